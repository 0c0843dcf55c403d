/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * slow: peers that send a byte now and then, and never a whole frame.
 *
 *   torture_slow PORT COUNT INTERVAL_MS once|again
 *
 * Opens so many connections to 127.0.0.1, evenly over one interval, and sends a byte over each of them
 * every interval. One that the other side closes is opened anew at once if "again" is asked for. Prints
 * "all" when as many as asked for have been opened, and, for each line of its input, one JSON object:
 * how many were opened, closed by the other side, and are open, and how old the oldest of the closed and of the
 * open ones became. The main thread's.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS 1000000

struct peer {
    int fd; /* -1: none */
    int64_t opened_ns;
    unsigned sent;
};

struct crowd {
    struct sockaddr_in to;
    struct peer *peers;
    unsigned count;
    bool again;
    int epoll;
    uint64_t opened;
    uint64_t closed;
    int64_t oldest_ns; /* of those that the other side closed */
};

static void fail(const char *what)
{
    fprintf(stderr, "torture_slow: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void open_peer(struct crowd *crowd, unsigned at)
{
    struct peer *peer = &crowd->peers[at];
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLIN, .data = {.u32 = at}};
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (peer->fd < 0) {
        fail("socket");
    }
    if (connect(peer->fd, (const struct sockaddr *)&crowd->to, sizeof(crowd->to)) != 0 &&
        errno != EINPROGRESS) {
        fail("connect");
    }
    if (epoll_ctl(crowd->epoll, EPOLL_CTL_ADD, peer->fd, &event) != 0) {
        fail("epoll_ctl");
    }
    peer->opened_ns = now_ns();
    peer->sent = 0;
    crowd->opened++;
}

static void send_byte(struct peer *peer)
{
    /* A frame of 200 bytes in JSON, if it were ever whole. */
    static const char start[] = {0, 0, 0, (char)200, 1, '{', '"'};
    const char byte = peer->sent < sizeof(start) ? start[peer->sent] : 'a';
    peer->sent += send(peer->fd, &byte, 1, MSG_NOSIGNAL) == 1;
}

static void on_closed(struct crowd *crowd, unsigned at)
{
    struct peer *peer = &crowd->peers[at];
    const int64_t age_ns = now_ns() - peer->opened_ns;
    close(peer->fd);
    peer->fd = -1;
    crowd->closed++;
    crowd->oldest_ns = age_ns > crowd->oldest_ns ? age_ns : crowd->oldest_ns;
    if (crowd->again) {
        open_peer(crowd, at);
    }
}

static void report(const struct crowd *crowd)
{
    unsigned open = 0;
    int64_t oldest_ns = 0;
    for (unsigned i = 0; i < crowd->count; i++) {
        if (crowd->peers[i].fd >= 0) {
            const int64_t age_ns = now_ns() - crowd->peers[i].opened_ns;
            open++;
            oldest_ns = age_ns > oldest_ns ? age_ns : oldest_ns;
        }
    }
    printf("{\"opened\": %" PRIu64 ", \"closed\": %" PRIu64 ", \"open\": %u"
           ", \"oldest_closed_ms\": %" PRId64 ", \"oldest_open_ms\": %" PRId64 "}\n",
           crowd->opened, crowd->closed, open, crowd->oldest_ns / NS_PER_MS, oldest_ns / NS_PER_MS);
}

/* Until `until_ns`; false at the end of the input. */
static bool look(struct crowd *crowd, int64_t until_ns)
{
    struct epoll_event events[64];
    int64_t left_ns;
    do {
        left_ns = until_ns - now_ns();
        const int wait_ms = left_ns > 0 ? (int)((left_ns + NS_PER_MS - 1) / NS_PER_MS) : 0;
        const int count = epoll_wait(crowd->epoll, events, 64, wait_ms);
        for (int i = 0; i < count; i++) {
            if (events[i].data.u32 < crowd->count) {
                on_closed(crowd, events[i].data.u32);
                continue;
            }
            char line[16];
            if (read(STDIN_FILENO, line, sizeof(line)) <= 0) {
                return false;
            }
            report(crowd);
        }
    } while (now_ns() < until_ns);
    return true;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fputs("usage: torture_slow PORT COUNT INTERVAL_MS once|again\n", stderr);
        return 2;
    }
    struct crowd crowd = {
        .to = {.sin_family = AF_INET,
               .sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10)),
               .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}},
        .count = (unsigned)strtoul(argv[2], NULL, 10),
        .again = strcmp(argv[4], "again") == 0,
        .epoll = epoll_create1(EPOLL_CLOEXEC),
    };
    const int64_t turn_ns = (int64_t)strtoul(argv[3], NULL, 10) * NS_PER_MS / crowd.count;
    struct epoll_event input = {.events = EPOLLIN, .data = {.u32 = crowd.count}};
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    crowd.peers = calloc(crowd.count, sizeof(struct peer));
    if (crowd.peers == NULL || crowd.epoll < 0 ||
        epoll_ctl(crowd.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &input) != 0) {
        fail("a crowd");
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    const int64_t began_ns = now_ns();
    for (uint64_t turn = 0; look(&crowd, began_ns + (int64_t)turn * turn_ns); turn++) {
        const unsigned at = (unsigned)(turn % crowd.count);
        if (turn < crowd.count) {
            open_peer(&crowd, at);
        } else if (crowd.peers[at].fd >= 0) {
            send_byte(&crowd.peers[at]);
        }
        if (turn + 1 == crowd.count) {
            puts("all");
        }
    }
    exit(0);
}
