/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * progress.h - a bar on stderr while a subject runs, if that is a terminal; nothing else. The main
 * thread's.
 */
#ifndef BENCH_PROGRESS_H
#define BENCH_PROGRESS_H

#include "support/settings.h"

/* How much of it is done, and what is being measured now. */
void bench_progress(const struct bench_settings *settings, unsigned done, unsigned total,
                    const char *what);

/* Takes the bar away. */
void bench_progress_end(void);

/* The line that is drawn; for its test. Returns its length. */
int bench_progress_line(char *out, unsigned size, const struct bench_settings *settings,
                        unsigned done, unsigned total, const char *what);

#endif
