/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See peer.h: what all peers have in common. */
#include "support/peer_private.h"

#include "support/check.h"
#include "support/clock.h"
#include "support/folder.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define START_PATIENCE_NS (30 * BENCH_NS_PER_S)
#define START_ATTEMPTS 3

static const struct bench_peer_ops *const peers[] = {&bench_peer_redis, &bench_peer_etcd,
                                                     &bench_peer_nats};

const char *const bench_peer_names[] = {"redis", "etcd", "nats", NULL};

struct bench_caller {
    const struct bench_peer_ops *ops;
    void *inner;
};

void bench_command_add(struct bench_command *command, const char *format, ...)
{
    va_list arguments;

    bench_check(command->count + 1 < BENCH_PEER_ARGUMENTS, "a command line too long");
    va_start(arguments, format);
    vsnprintf(command->texts[command->count], BENCH_PEER_TEXT, format, arguments);
    va_end(arguments);
    command->argv[command->count] = command->texts[command->count];
    command->argv[++command->count] = NULL;
}

void bench_send_all(int fd, const void *data, size_t len)
{
    for (size_t sent = 0; sent < len;) {
        ssize_t n = send(fd, (const char *)data + sent, len - sent, MSG_NOSIGNAL);
        bench_check(n > 0 || errno == EINTR, "send: %s", strerror(errno));
        sent += n > 0 ? (size_t)n : 0;
    }
}

static bool serves(struct bench_peer *peer)
{
    int fd = bench_connect_loopback(peer->port);

    if (fd < 0) {
        return false;
    }
    bool ready = peer->ops->ready(fd);
    close(fd);
    return ready;
}

/* What the server said, for somebody who wants to know why it does not work. */
static void print_log(const struct bench_peer *peer)
{
    char line[512];
    char path[128];

    snprintf(path, sizeof(path), "%s/log", peer->folder);
    FILE *log = fopen(path, "re");
    while (log != NULL && fgets(line, sizeof(line), log) != NULL) {
        fputs(line, stderr);
    }
    if (log != NULL) {
        fclose(log);
    }
}

/* False if it ended by itself, for example because its port has been taken meanwhile. */
static bool start_once(struct bench_peer *peer, const char *path)
{
    struct bench_command command = {.count = 0};
    char log[128];

    peer->port = bench_free_port();
    snprintf(log, sizeof(log), "%s/log", peer->folder);
    bench_command_add(&command, "%s", path);
    peer->ops->command(&command, peer->folder, peer->port);
    bench_process_start(&peer->process, command.argv, log);
    uint64_t deadline = bench_now_ns() + START_PATIENCE_NS;
    while (!serves(peer)) {
        if (bench_process_ended(&peer->process)) {
            return false;
        }
        if (bench_now_ns() >= deadline) {
            print_log(peer);
            bench_check(false, "%s does not answer", peer->ops->name);
        }
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    return true;
}

struct bench_peer *bench_peer_start(const char *name, const char **why)
{
    char path[1024];
    struct bench_peer *peer = calloc(1, sizeof(*peer));
    unsigned attempts = 0;

    bench_check(peer != NULL, "out of memory");
    for (size_t i = 0; bench_peer_names[i] != NULL; i++) {
        if (strcmp(peers[i]->name, name) == 0) {
            peer->ops = peers[i];
        }
    }
    bench_check(peer->ops != NULL, "no peer is called %s", name);
    if (!peer->ops->usable || !bench_process_find(peer->ops->program, path, sizeof(path))) {
        *why = peer->ops->missing;
        free(peer);
        return NULL;
    }
    bench_folder_scratch(peer->folder, sizeof(peer->folder));
    while (!start_once(peer, path)) {
        print_log(peer);
        bench_check(++attempts < START_ATTEMPTS, "%s does not start", name);
    }
    return peer;
}

void bench_peer_stop(struct bench_peer *peer)
{
    if (peer != NULL) {
        bench_process_stop(&peer->process);
        bench_folder_remove(peer->folder);
        free(peer);
    }
}

const char *bench_peer_call_name(const struct bench_peer *peer)
{
    return peer->ops->call_name;
}

uint16_t bench_peer_port(const struct bench_peer *peer)
{
    return peer->port;
}

struct bench_caller *bench_caller_open(struct bench_peer *peer)
{
    struct bench_caller *caller = calloc(1, sizeof(*caller));

    bench_check(caller != NULL, "out of memory");
    caller->ops = peer->ops;
    caller->inner = peer->ops->open(peer);
    return caller;
}

void bench_caller_call(struct bench_caller *caller)
{
    caller->ops->call(caller->inner);
}

void bench_caller_close(struct bench_caller *caller)
{
    if (caller != NULL) {
        caller->ops->close(caller->inner);
        free(caller);
    }
}
