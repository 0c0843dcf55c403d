/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * peer_etcd.c - etcd, one member, spoken to through its JSON gateway over HTTP/1.1 connections that
 * stay open. A sign of life is a lease that is kept alive; a caller has a lease of its own, and the
 * answer must name it and its full time to live.
 */
#include "support/peer_private.h"

#include "support/check.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define TTL_S 600
#define ANSWER_SIZE 4096

static void add_command(struct bench_command *command, const char *folder, uint16_t port)
{
    const unsigned peer_port = bench_free_port();

    bench_command_add(command, "--data-dir=%s/data", folder);
    bench_command_add(command, "--listen-client-urls=http://127.0.0.1:%u", (unsigned)port);
    bench_command_add(command, "--advertise-client-urls=http://127.0.0.1:%u", (unsigned)port);
    bench_command_add(command, "--listen-peer-urls=http://127.0.0.1:%u", peer_port);
    bench_command_add(command, "--initial-advertise-peer-urls=http://127.0.0.1:%u", peer_port);
    bench_command_add(command, "--initial-cluster=default=http://127.0.0.1:%u", peer_port);
    bench_command_add(command, "--log-level=error");
}

/* Where the body of an answer ends, if all of it is there; 0 if not. `head` ends before the body. */
static bool is_whole(const char *answer, const char *body)
{
    const char *length = strcasestr(answer, "content-length:");

    if (length != NULL && length < body) {
        return strlen(body) >= strtoul(length + strlen("content-length:"), NULL, 10);
    }
    return strstr(body, "\r\n0\r\n\r\n") != NULL; /* the chunk that ends all chunks */
}

/* Sends a request and reads the whole answer; false if the connection ends or it is no 200. */
static bool ask(int fd, const char *request, size_t len, char answer[ANSWER_SIZE])
{
    size_t have = 0;

    bench_send_all(fd, request, len);
    for (;;) {
        ssize_t n = recv(fd, answer + have, ANSWER_SIZE - 1 - have, 0);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        have += (size_t)n;
        answer[have] = '\0';
        const char *body = strstr(answer, "\r\n\r\n");
        if (body != NULL && is_whole(answer, body + 4)) {
            return strncmp(answer, "HTTP/1.1 200", 12) == 0;
        }
        bench_check(have < ANSWER_SIZE - 1, "etcd says too much");
    }
}

static size_t post(char *out, size_t size, const char *path, const char *body)
{
    return (size_t)snprintf(out, size,
                            "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                            "application/json\r\nContent-Length: %zu\r\n\r\n%s",
                            path, strlen(body), body);
}

static bool ready(int fd)
{
    static const char request[] = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    char answer[ANSWER_SIZE];

    return ask(fd, request, sizeof(request) - 1, answer) &&
           strstr(answer, "\"health\":\"true\"") != NULL;
}

struct caller {
    int fd;
    char request[512];
    size_t len;
    char wanted[96]; /* a part of the answer */
};

static void *open_caller(struct bench_peer *peer)
{
    struct caller *caller = calloc(1, sizeof(*caller));
    char body[64];
    char answer[ANSWER_SIZE];

    bench_check(caller != NULL, "out of memory");
    caller->fd = bench_connect_loopback(peer->port);
    bench_check(caller->fd >= 0, "etcd takes no connection");
    snprintf(body, sizeof(body), "{\"TTL\":%d}", TTL_S);
    caller->len = post(caller->request, sizeof(caller->request), "/v3/lease/grant", body);
    bench_check(ask(caller->fd, caller->request, caller->len, answer), "etcd gave no lease");
    const char *id = strstr(answer, "\"ID\":\"");
    bench_check(id != NULL, "etcd gave no lease: %s", answer);
    unsigned long long number = strtoull(id + strlen("\"ID\":\""), NULL, 10);
    snprintf(body, sizeof(body), "{\"ID\":\"%llu\"}", number);
    caller->len = post(caller->request, sizeof(caller->request), "/v3/lease/keepalive", body);
    snprintf(caller->wanted, sizeof(caller->wanted), "\"ID\":\"%llu\",\"TTL\":\"%d\"", number,
             TTL_S);
    return caller;
}

static void call(void *user)
{
    struct caller *caller = user;
    char answer[ANSWER_SIZE];

    bench_check(ask(caller->fd, caller->request, caller->len, answer) &&
                    strstr(answer, caller->wanted) != NULL,
                "etcd did not keep a lease alive: %s", answer);
}

static void close_caller(void *user)
{
    struct caller *caller = user;

    close(caller->fd);
    free(caller);
}

const struct bench_peer_ops bench_peer_etcd = {
    .name = "etcd",
    .call_name = "etcd lease keep-alive",
    .program = "etcd",
    .missing = "etcd-server is not installed",
    .usable = true,
    .command = add_command,
    .ready = ready,
    .open = open_caller,
    .call = call,
    .close = close_caller,
};
