/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * redis.h - a redis-server of our own and its own redis-benchmark, with 50 connections and random
 * keys. That every command was carried out without a fault is read from the server's counts. The
 * main thread's.
 */
#ifndef BENCH_REDIS_H
#define BENCH_REDIS_H

#define BENCH_REDIS_KEYS 10000u

enum bench_redis_command {
    BENCH_REDIS_EXPIRE, /* EXPIRE key 3000 */
    BENCH_REDIS_SET     /* SET key value EX 30 */
};

struct bench_redis;

/* NULL if it cannot be had on this machine, and why in *why, constant. */
struct bench_redis *bench_redis_start(const char **why);

/* Commands a second. */
double bench_redis_rate(struct bench_redis *redis, enum bench_redis_command what,
                        unsigned long requests, unsigned pipeline);

/* NULL is allowed. */
void bench_redis_stop(struct bench_redis *redis);

#endif
