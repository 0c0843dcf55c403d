/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See progress.h. */
#include "support/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WIDTH 30

int bench_progress_line(char *out, unsigned size, const struct bench_settings *settings,
                        unsigned done, unsigned total, const char *what)
{
    char bar[WIDTH + 1];
    unsigned filled = total == 0 || done >= total ? WIDTH : done * WIDTH / total;

    memset(bar, ' ', WIDTH);
    memset(bar, '#', filled);
    bar[WIDTH] = '\0';
    return snprintf(out, size, "%s%s%s [%s] %3u %% %.40s", settings->step,
                    settings->step[0] != '\0' ? " " : "", settings->subject, bar,
                    filled * 100 / WIDTH, what);
}

void bench_progress(const struct bench_settings *settings, unsigned done, unsigned total,
                    const char *what)
{
    char line[160];

    if (isatty(STDERR_FILENO)) {
        bench_progress_line(line, sizeof(line), settings, done, total, what);
        fprintf(stderr, "\r\033[K%s", line);
        fflush(stderr);
    }
}

void bench_progress_end(void)
{
    if (isatty(STDERR_FILENO)) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
}
