/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * check.h - what a measurement rests on must hold, else the program says what did not and ends with
 * 1: a fast wrong answer is no result. Any thread.
 */
#ifndef BENCH_CHECK_H
#define BENCH_CHECK_H

#include <pywatt/status.h>

#include <stdio.h>
#include <stdlib.h>

#define bench_check(condition, ...)                         \
    do {                                                    \
        if (!(condition)) {                                 \
            fprintf(stderr, "%s:%d: ", __FILE__, __LINE__); \
            fprintf(stderr, __VA_ARGS__);                   \
            fputc('\n', stderr);                            \
            exit(1);                                        \
        }                                                   \
    } while (0)

/* For calls of the library that fill `error`. */
#define bench_check_ok(status, error)                                                      \
    do {                                                                                   \
        enum pywatt_status bench_status = (status);                                        \
        bench_check(bench_status == PYWATT_OK, "%s: %s", pywatt_status_name(bench_status), \
                    (error)->text);                                                        \
    } while (0)

#endif
