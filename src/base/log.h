/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * log.h - log lines of the library, to the sink of <pywatt/log.h>. Any thread. A line that is not
 * wanted costs one atomic load.
 */
#ifndef PW_BASE_LOG_H
#define PW_BASE_LOG_H

#include <pywatt/log.h>

#include <stdbool.h>
#include <stdint.h>

bool pw_log_wanted(enum pywatt_log_level level);

/* Formats a line of up to 511 bytes, control characters replaced by '?', and hands it over. */
void pw_log_write(enum pywatt_log_level level, const char *format, ...) PYWATT_PRINTF(2, 3);

#define pw_log(level, ...)                    \
    do {                                      \
        if (pw_log_wanted(level)) {           \
            pw_log_write(level, __VA_ARGS__); \
        }                                     \
    } while (0)

/*
 * Lets through `burst` lines a second and counts the rest: for what a hostile peer can cause.
 * Zero-initialised; any thread.
 */
struct pw_log_limit {
    _Atomic uint64_t window_start_ns;
    _Atomic uint32_t used;
    _Atomic uint32_t suppressed;
};

/* True if a line may be written now; *suppressed gets how many were not since the last one. */
bool pw_log_limit_pass(struct pw_log_limit *limit, uint32_t burst, uint64_t now_ns,
                       uint32_t *suppressed);

#endif
