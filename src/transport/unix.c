/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * unix.c - connections and listeners over sockets of the local machine. No lock; threads as
 * transport.h says.
 */
#include "transport/unix.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "transport/socket.h"
#include "transport/unix_path.h"
#include "transport/words.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The kernel tells nobody when a full queue has room again, so it is asked this often. */
#define FULL_QUEUE_RETRY_MS 5

/* In the kernel since 4.13; headers of other libraries lag behind. */
#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

#define PEER_NAME_MAX (sizeof("unix:") + PW_ENDPOINT_PATH_MAX)

struct unix_listener {
    struct pw_listener listener;
    int fd;
    bool has_file; /* not abstract: `path` is in use */
    struct pw_unix_path path;
    char name[PW_ENDPOINT_PATH_MAX + 1];
};

static const struct pw_conn_ops unix_conn_ops;
static const struct pw_listener_ops unix_listener_ops;

static enum pywatt_status refuse(struct pywatt_error *error, const char *fault)
{
    return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "%s", fault);
}

static enum pywatt_status unix_parse(const char *rest, bool for_listening, struct pw_endpoint *out,
                                     struct pywatt_error *error)
{
    (void)for_listening;
    /* "unix:///path" has an empty host, and means the same as "unix:/path". */
    if (strncmp(rest, "///", 3) == 0) {
        rest += 2;
    } else if (strncmp(rest, "//", 2) == 0) {
        return refuse(error, "a host cannot stand in it: unix:/path or unix:///path");
    }
    const size_t len = strlen(rest);
    if (len == 0 || strcmp(rest, "@") == 0) {
        return refuse(error, "the path is missing: unix:/path or unix:@name");
    }
    if (rest[0] != '/' && rest[0] != '@') {
        return refuse(error, "the path must begin with / or, for an abstract name, with @");
    }
    if (len > PW_ENDPOINT_PATH_MAX) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT,
                            "the path is too long: %zu bytes, at most %d fit into a socket address",
                            len, PW_ENDPOINT_PATH_MAX);
    }
    memcpy(out->path, rest, len + 1);
    return PYWATT_OK;
}

/* Fills the address for a path or an "@name"; returns its length. */
static socklen_t fill_address(struct sockaddr_un *address, const char *path)
{
    const size_t len = strlen(path);
    memset(address, 0, sizeof(*address));
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, path, len);
    if (path[0] != '@') {
        return sizeof(*address);
    }
    address->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

/* ---- Connections --------------------------------------------------------------------------- */

static enum pywatt_status cannot_connect(const struct pw_endpoint *endpoint,
                                         enum pywatt_status status, const char *why,
                                         struct pywatt_error *error)
{
    char quoted[PW_WORDS_URL_MAX];
    return pw_error_set(error, status, "cannot connect to %s: %s",
                        pw_words_url(endpoint->url, quoted), why);
}

/* Until when to wait before the next attempt. */
static uint64_t next_attempt(uint64_t deadline_ns)
{
    const uint64_t retry_ns =
        pw_deadline_after_ms(pw_clock_now_ns(&pw_clock_monotonic), FULL_QUEUE_RETRY_MS);
    return retry_ns < deadline_ns ? retry_ns : deadline_ns;
}

static enum pywatt_status connect_socket(int fd, const struct pw_endpoint *endpoint,
                                         uint64_t deadline_ns, int cancel_fd,
                                         struct pywatt_error *error)
{
    struct sockaddr_un address;
    const socklen_t len = fill_address(&address, endpoint->path);
    for (;;) {
        const enum pywatt_status status = pw_deadline_check(deadline_ns, cancel_fd);
        if (status != PYWATT_OK) {
            return cannot_connect(endpoint, status,
                                  status == PYWATT_CLOSED ? "cancelled" : "no answer in time",
                                  error);
        }
        if (connect(fd, (const struct sockaddr *)&address, len) == 0) {
            return PYWATT_OK;
        }
        if (errno == EAGAIN) {
            (void)pw_fd_wait(-1, 0, next_attempt(deadline_ns), cancel_fd);
        } else if (errno != EINTR) {
            char words[PW_WORDS_ERRNO_MAX];
            return cannot_connect(endpoint, PYWATT_CONNECTION, pw_words_errno(errno, words), error);
        }
    }
}

static enum pywatt_status unix_connect(const struct pw_endpoint *endpoint, uint64_t deadline_ns,
                                       int cancel_fd, struct pw_conn **out,
                                       struct pywatt_error *error)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        char words[PW_WORDS_ERRNO_MAX];
        return cannot_connect(endpoint, PYWATT_CONNECTION, pw_words_errno(errno, words), error);
    }
    const enum pywatt_status status = connect_socket(fd, endpoint, deadline_ns, cancel_fd, error);
    if (status != PYWATT_OK) {
        close(fd);
        return status;
    }
    char name[PEER_NAME_MAX];
    pw_fd_be_patient(fd);
    snprintf(name, sizeof(name), "unix:%s", endpoint->path);
    return pw_socket_new(&unix_conn_ops, fd, name, out, error);
}

/* ---- Listeners ----------------------------------------------------------------------------- */

static struct unix_listener *unix_of(struct pw_listener *listener)
{
    return PW_CONTAINER_OF(listener, struct unix_listener, listener);
}

static const char *words_for_listening(int number, char buffer[PW_WORDS_ERRNO_MAX])
{
    switch (number) {
    case EADDRINUSE: return "address in use: somebody listens there already";
    case EEXIST: return "a file that is not a socket stands there";
    default: return pw_words_errno(number, buffer);
    }
}

static int bind_socket(struct unix_listener *listener)
{
    if (!listener->has_file) {
        struct sockaddr_un address;
        const socklen_t len = fill_address(&address, listener->name);
        return bind(listener->fd, (const struct sockaddr *)&address, len) == 0 ? 0 : errno;
    }
    return pw_unix_path_bind(&listener->path, listener->fd);
}

static void give_up(struct unix_listener *listener)
{
    /* The file goes first: as long as somebody listens on it, nobody else touches it. */
    if (listener->has_file) {
        pw_unix_path_release(&listener->path);
    }
    if (listener->fd >= 0) {
        close(listener->fd);
    }
    free(listener);
}

/* Everything after memory is there; 0 or an errno, and then the caller gives up. */
static int open_listener(struct unix_listener *listener)
{
    if (listener->name[0] == '/') {
        const int number = pw_unix_path_acquire(&listener->path, listener->name);
        if (number != 0) {
            return number;
        }
        listener->has_file = true;
    }
    listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener->fd < 0) {
        return errno;
    }
    const int number = bind_socket(listener);
    if (number != 0) {
        return number;
    }
    return listen(listener->fd, PW_LISTEN_BACKLOG) == 0 ? 0 : errno;
}

static enum pywatt_status unix_listen(const struct pw_endpoint *endpoint, struct pw_listener **out,
                                      struct pywatt_error *error)
{
    struct unix_listener *const new_listener = calloc(1, sizeof(*new_listener));
    if (new_listener == NULL) {
        return pw_error_no_memory(error);
    }
    new_listener->listener.ops = &unix_listener_ops;
    new_listener->fd = -1;
    strcpy(new_listener->name, endpoint->path); /* same size */
    const int number = open_listener(new_listener);
    if (number != 0) {
        char quoted[PW_WORDS_URL_MAX];
        char words[PW_WORDS_ERRNO_MAX];
        give_up(new_listener);
        return pw_error_set(error, PYWATT_IO, "cannot listen at %s: %s",
                            pw_words_url(endpoint->url, quoted),
                            words_for_listening(number, words));
    }
    *out = &new_listener->listener;
    return PYWATT_OK;
}

static enum pw_io unix_accept(struct pw_listener *listener, struct pw_conn **out,
                              struct pywatt_error *error)
{
    int fd = -1;
    const enum pw_io result = pw_fd_accept(unix_of(listener)->fd, &fd, error);
    if (result != PW_IO_OK) {
        return result;
    }
    char name[PEER_NAME_MAX];
    struct ucred peer = {.pid = 0};
    socklen_t len = sizeof(peer);
    (void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len);
    snprintf(name, sizeof(name), "unix:pid %d", (int)peer.pid);
    return pw_socket_new(&unix_conn_ops, fd, name, out, error) == PYWATT_OK ? PW_IO_OK
                                                                            : PW_IO_ERROR;
}

static bool unix_credentials(struct pw_conn *conn, struct pw_credentials *out)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);
    const int fd = pw_socket_fd(conn);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 || peer.uid == (uid_t)-1) {
        return false;
    }
    out->uid = peer.uid;
    out->gid = peer.gid;
    len = sizeof(out->groups);
    const bool have_groups = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, out->groups, &len) == 0;
    out->group_count = have_groups ? len / sizeof(out->groups[0]) : 0;
    return true;
}

static int unix_fd(struct pw_listener *listener)
{
    return unix_of(listener)->fd;
}

static void unix_url(struct pw_listener *listener, char *out, size_t size)
{
    snprintf(out, size, "unix:%s", unix_of(listener)->name);
}

static void unix_destroy(struct pw_listener *listener)
{
    give_up(unix_of(listener));
}

static const struct pw_conn_ops unix_conn_ops = {
    .receive = pw_socket_receive,
    .receive_patiently = pw_socket_receive_patiently,
    .send = pw_socket_send,
    .buffered = pw_socket_buffered,
    .fd = pw_socket_fd,
    .poll_events = pw_socket_poll_events,
    .shutdown = pw_socket_shutdown,
    .credentials = unix_credentials,
    .local_address = pw_socket_no_address,
    .peer_name = pw_socket_peer_name,
    .destroy = pw_socket_destroy,
};

static const struct pw_listener_ops unix_listener_ops = {
    .accept = unix_accept,
    .fd = unix_fd,
    .url = unix_url,
    .destroy = unix_destroy,
};

const struct pw_transport_ops pw_unix_transport = {
    .scheme = "unix",
    .parse = unix_parse,
    .connect = unix_connect,
    .listen = unix_listen,
};
