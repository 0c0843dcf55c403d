/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * peer_redis.c - Redis, without persistence. A sign of life is EXPIRE on a key that is there; a caller
 * sends one and reads ":1". Its own redis-benchmark is what the rate with many connections is taken
 * with (redis.h).
 */
#include "support/peer_private.h"
#include "support/redis.h"

#include "support/check.h"
#include "support/clock.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void add_command(struct bench_command *command, const char *folder, uint16_t port)
{
    const char *const words[] = {"--bind", "127.0.0.1", "--save", "",      "--appendonly",
                                 "no",     "--dir",     folder,   "--port"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        bench_command_add(command, "%s", words[i]);
    }
    bench_command_add(command, "%u", (unsigned)port);
}

/* Reads exactly what is expected; false if something else, or nothing, comes. */
static bool expect(int fd, const char *wanted)
{
    char got[64];
    size_t len = strlen(wanted);
    size_t have = 0;

    while (have < len) {
        ssize_t n = recv(fd, got + have, len - have, 0);
        if (n <= 0) {
            if (n < 0 && errno == EINTR) {
                continue;
            }
            return false;
        }
        have += (size_t)n;
    }
    return memcmp(got, wanted, len) == 0;
}

static bool ready(int fd)
{
    bench_send_all(fd, "PING\r\n", 6);
    return expect(fd, "+PONG\r\n");
}

struct caller {
    int fd;
    char request[128];
    size_t len;
};

static void *open_caller(struct bench_peer *peer)
{
    struct caller *caller = calloc(1, sizeof(*caller));

    bench_check(caller != NULL, "out of memory");
    caller->fd = bench_connect_loopback(peer->port);
    bench_check(caller->fd >= 0, "redis takes no connection");
    snprintf(caller->request, sizeof(caller->request), "SET caller:%d x\r\n", caller->fd);
    bench_send_all(caller->fd, caller->request, strlen(caller->request));
    bench_check(expect(caller->fd, "+OK\r\n"), "redis refused a SET");
    char key[32];
    int key_len = snprintf(key, sizeof(key), "caller:%d", caller->fd);
    caller->len =
        (size_t)snprintf(caller->request, sizeof(caller->request),
                         "*3\r\n$6\r\nEXPIRE\r\n$%d\r\n%s\r\n$3\r\n300\r\n", key_len, key);
    return caller;
}

static void call(void *user)
{
    struct caller *caller = user;

    bench_send_all(caller->fd, caller->request, caller->len);
    bench_check(expect(caller->fd, ":1\r\n"), "redis refused an EXPIRE");
}

static void close_caller(void *user)
{
    struct caller *caller = user;

    close(caller->fd);
    free(caller);
}

const struct bench_peer_ops bench_peer_redis = {
    .name = "redis",
    .call_name = "redis EXPIRE",
    .program = "redis-server",
    .missing = "redis-server is not installed",
    .usable = true,
    .command = add_command,
    .ready = ready,
    .open = open_caller,
    .call = call,
    .close = close_caller,
};

/* ---- redis-benchmark ------------------------------------------------------------------------ */

/* Asks one thing; the answer, a text of several lines, goes to `out`. */
static void ask(int fd, const char *command, char *out, size_t size)
{
    size_t have = 0;
    size_t wanted = SIZE_MAX;

    bench_send_all(fd, command, strlen(command));
    while (have < wanted) {
        bench_check(have + 1 < size, "redis says too much");
        ssize_t n = recv(fd, out + have, size - 1 - have, 0);
        bench_check(n > 0, "redis says nothing");
        have += (size_t)n;
        out[have] = '\0';
        char *body = strstr(out, "\r\n");
        if (body != NULL && out[0] == '$') {
            wanted = (size_t)(body + 2 - out) + strtoul(out + 1, NULL, 10) + 2;
        } else if (body != NULL) {
            wanted = (size_t)(body + 2 - out);
        }
    }
}

/* How many calls of a command there were without a fault since the counts were set to zero. */
static unsigned long long calls_of(int fd, const char *command)
{
    static const char failed[] = ",failed_calls=0";
    static const char rejected[] = ",rejected_calls=0,";
    char info[16384];
    char name[64];

    ask(fd, "INFO commandstats\r\n", info, sizeof(info));
    snprintf(name, sizeof(name), "cmdstat_%s:calls=", command);
    char *line = strstr(info, name);
    bench_check(line != NULL, "redis has not heard of %s", command);
    line[strcspn(line, "\r\n")] = '\0';
    bench_check(strstr(line, failed) != NULL && strstr(line, rejected) != NULL, "redis: %s", line);
    return strtoull(line + strlen(name), NULL, 10);
}

/* Every key that the commands may hit is there, and stays long enough, so that each is found. */
static void fill(int fd, unsigned keys)
{
    char command[64];

    for (unsigned i = 0; i < keys; i++) {
        snprintf(command, sizeof(command), "SET key:%012u x\r\n", i);
        bench_send_all(fd, command, strlen(command));
        bench_check(expect(fd, "+OK\r\n"), "redis refused a SET");
    }
}

struct bench_redis {
    struct bench_peer *server;
    char program[1024];
    int fd;
};

struct bench_redis *bench_redis_start(const char **why)
{
    struct bench_redis *redis = calloc(1, sizeof(*redis));

    bench_check(redis != NULL, "out of memory");
    if (!bench_process_find("redis-benchmark", redis->program, sizeof(redis->program))) {
        *why = "redis-tools is not installed";
        free(redis);
        return NULL;
    }
    redis->server = bench_peer_start("redis", why);
    if (redis->server == NULL) {
        free(redis);
        return NULL;
    }
    redis->fd = bench_connect_loopback(redis->server->port);
    bench_check(redis->fd >= 0, "redis takes no connection");
    return redis;
}

static double run(struct bench_redis *redis, const char *const *words, unsigned long requests,
                  unsigned pipeline)
{
    struct bench_command command = {.count = 0};
    struct bench_process process;
    double rate = 0;
    char line[1024];

    bench_command_add(&command, "%s", redis->program);
    bench_command_add(&command, "-p");
    bench_command_add(&command, "%u", (unsigned)redis->server->port);
    bench_command_add(&command, "-c");
    bench_command_add(&command, "50");
    bench_command_add(&command, "-P");
    bench_command_add(&command, "%u", pipeline);
    bench_command_add(&command, "-n");
    bench_command_add(&command, "%lu", requests);
    bench_command_add(&command, "-r");
    bench_command_add(&command, "%u", BENCH_REDIS_KEYS);
    bench_command_add(&command, "--csv");
    for (size_t i = 0; words[i] != NULL; i++) {
        bench_command_add(&command, "%s", words[i]);
    }
    bench_process_start(&process, command.argv, NULL);
    while (fgets(line, sizeof(line), process.out) != NULL) {
        /* "COMMAND","requests per second","mean",... after a line of headings */
        char *comma = strstr(line, "\",\"");
        if (comma != NULL && strtod(comma + 3, NULL) > 0) {
            rate = strtod(comma + 3, NULL);
        }
    }
    bench_check(bench_process_wait(&process) == 0 && rate > 0, "redis-benchmark failed");
    return rate;
}

double bench_redis_rate(struct bench_redis *redis, enum bench_redis_command what,
                        unsigned long requests, unsigned pipeline)
{
    static const char *const expire_words[] = {"EXPIRE", "key:__rand_int__", "3000", NULL};
    static const char *const set_words[] = {"SET", "key:__rand_int__", "value", "EX", "30", NULL};
    char answer[256];

    fill(redis->fd, BENCH_REDIS_KEYS);
    ask(redis->fd, "CONFIG RESETSTAT\r\n", answer, sizeof(answer));
    double rate =
        run(redis, what == BENCH_REDIS_EXPIRE ? expire_words : set_words, requests, pipeline);
    unsigned long long calls = calls_of(redis->fd, what == BENCH_REDIS_EXPIRE ? "expire" : "set");
    bench_check(calls >= requests, "redis got %llu of %lu commands", calls, requests);
    ask(redis->fd, "DBSIZE\r\n", answer, sizeof(answer));
    bench_check(strtoul(answer + 1, NULL, 10) == BENCH_REDIS_KEYS, "redis has lost keys: %s",
                answer);
    return rate;
}

void bench_redis_stop(struct bench_redis *redis)
{
    if (redis != NULL) {
        close(redis->fd);
        bench_peer_stop(redis->server);
        free(redis);
    }
}
