/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * process.h - programs that a measurement needs beside it. They end with it, whatever ends it: the
 * kernel kills them when the main thread, which must be the one that starts them, is gone.
 */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct bench_process {
    pid_t pid;
    /* Its standard input, and its output with its errors; NULL where they lead to a file. */
    FILE *in;
    FILE *out;
};

/* True if PATH, or a folder for administrators, has such a program; `path` gets it. */
bool bench_process_find(const char *program, char *path, size_t size);

/*
 * Starts `argv` with a pipe to it and one from it; or, with `log`, with nothing to read, and what it
 * says in that file. Ends the program if it cannot be started.
 */
void bench_process_start(struct bench_process *process, char *const argv[], const char *log);

/* Waits for its end; returns its exit code, or 128 + the signal that ended it. Closes the pipes. */
int bench_process_wait(struct bench_process *process);

/* Asks it to end, and waits for it; after a while it is killed. */
void bench_process_stop(struct bench_process *process);

/* True if it has ended by itself; it is then waited for. */
bool bench_process_ended(struct bench_process *process);

/* Processor time that it has used so far, in all its threads. */
uint64_t bench_process_cpu_ns(pid_t pid);

/* Memory that it has resident. */
uint64_t bench_process_resident_bytes(pid_t pid);

/* A port of this machine's loopback that was free a moment ago. */
uint16_t bench_free_port(void);

/* A connection to the loopback's port, without delays; -1 if nobody listens. */
int bench_connect_loopback(uint16_t port);

#endif
