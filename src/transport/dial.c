/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * dial.c - connects TCP sockets without blocking in connect(2). No state; any thread.
 */
#include "transport/dial.h"

#include "base/clock.h"
#include "base/error.h"
#include "transport/address.h"
#include "transport/socket.h"
#include "transport/words.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A silent peer is probed after 15 s, and given up after three probes 5 s apart. */
#define KEEPALIVE_IDLE_S 15
#define KEEPALIVE_INTERVAL_S 5
#define KEEPALIVE_PROBES 3

/* The same for one who does not confirm what he was sent, as no probe is for him: else 15 minutes. */
#define UNCONFIRMED_MS 30000

/* What a single attempt came to when it was no errno. */
#define NO_ANSWER (-1)
#define CANCELLED (-2)

int pw_tcp_set_options(int fd)
{
    static const struct {
        int level;
        int name;
        int value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, UNCONFIRMED_MS},
    };
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (setsockopt(fd, options[i].level, options[i].name, &options[i].value,
                       sizeof(options[i].value)) != 0) {
            return errno;
        }
    }
    return 0;
}

/*
 * On loopback, a socket that connects to a free port of the ephemeral range may be given that very
 * port as its own, and is then connected to itself: the peer would never get its port back.
 */
static bool is_own_peer(int fd)
{
    struct sockaddr_storage own;
    struct sockaddr_storage peer;
    socklen_t own_len = sizeof(own);
    socklen_t peer_len = sizeof(peer);
    memset(&own, 0, sizeof(own));
    memset(&peer, 0, sizeof(peer));
    return getsockname(fd, (struct sockaddr *)&own, &own_len) == 0 &&
           getpeername(fd, (struct sockaddr *)&peer, &peer_len) == 0 && own_len == peer_len &&
           memcmp(&own, &peer, own_len) == 0;
}

/* Waits for what connect(2) started; 0, an errno, NO_ANSWER or CANCELLED. */
static int finish_connect(int fd, uint64_t deadline_ns, int cancel_fd)
{
    switch (pw_fd_wait(fd, POLLOUT, deadline_ns, cancel_fd)) {
    case PYWATT_OK: break;
    case PYWATT_CLOSED: return CANCELLED;
    default: return NO_ANSWER;
    }
    int number = 0;
    socklen_t len = sizeof(number);
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &len) == 0 ? number : errno;
}

/* One address; 0 and *out, or why not. */
static int dial_one(const struct addrinfo *address, uint64_t deadline_ns, int cancel_fd, int *out)
{
    const int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    int result = pw_tcp_set_options(fd);
    if (result == 0 && connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
        result = errno;
    }
    if (result == EINPROGRESS || result == EINTR) {
        result = finish_connect(fd, deadline_ns, cancel_fd);
    }
    if (result == 0 && is_own_peer(fd)) {
        result = ECONNREFUSED;
    }
    if (result != 0) {
        close(fd);
        return result;
    }
    *out = fd;
    return 0;
}

/* When to give up this address, with `behind` more of them to try after it. */
static uint64_t share_of_deadline(uint64_t deadline_ns, size_t behind)
{
    const uint64_t now_ns = pw_clock_now_ns(&pw_clock_monotonic);
    if (deadline_ns == PW_DEADLINE_NEVER || deadline_ns <= now_ns) {
        return deadline_ns;
    }
    return now_ns + (deadline_ns - now_ns) / (behind + 1);
}

static size_t count_addresses(const struct addrinfo *address)
{
    size_t count = 0;
    for (; address != NULL; address = address->ai_next) {
        count++;
    }
    return count;
}

static void add_reason(struct pw_reasons *reasons, const struct addrinfo *address, int number)
{
    char where[PW_ADDRESS_TEXT_MAX];
    char words[PW_WORDS_ERRNO_MAX];
    pw_reasons_add(reasons, pw_address_text(address->ai_addr, where),
                   number == NO_ANSWER ? "no answer in time" : pw_words_errno(number, words));
}

enum pywatt_status pw_dial(const struct addrinfo *addresses, uint64_t deadline_ns, int cancel_fd,
                           int *out, struct pywatt_error *error)
{
    struct pw_reasons reasons = {.len = 0};
    size_t left = count_addresses(addresses);
    for (const struct addrinfo *at = addresses; at != NULL; at = at->ai_next) {
        enum pywatt_status status = pw_deadline_check(deadline_ns, cancel_fd);
        if (status == PYWATT_OK) {
            left--;
            const int number = dial_one(at, share_of_deadline(deadline_ns, left), cancel_fd, out);
            if (number == 0) {
                return PYWATT_OK;
            }
            if (number != CANCELLED) {
                add_reason(&reasons, at, number);
                continue;
            }
            status = PYWATT_CLOSED;
        }
        if (status == PYWATT_CLOSED) {
            return pw_error_set(error, PYWATT_CLOSED, "cancelled");
        }
        break;
    }
    const bool late = pw_deadline_check(deadline_ns, -1) == PYWATT_TIMEOUT;
    return pw_error_set(error, late ? PYWATT_TIMEOUT : PYWATT_CONNECTION, "%s%s%s",
                        late ? "the deadline has passed" : "", late && reasons.len > 0 ? "; " : "",
                        reasons.text);
}
