/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * log.h - where the library's log lines go. One sink for the process; silent by default.
 *
 * The library never writes to stdout or stderr by itself, and never logs a token.
 */
#ifndef PYWATT_LOG_H
#define PYWATT_LOG_H

#include <pywatt/export.h>

PYWATT_BEGIN_DECLS

enum pywatt_log_level {
    PYWATT_LOG_ERROR = 0,
    PYWATT_LOG_WARNING = 1,
    PYWATT_LOG_INFO = 2,
    PYWATT_LOG_DEBUG = 3
};

/*
 * Receives one line without a newline. `line` is borrowed and dies with the call. Called from any
 * thread of the library, several at once, with no lock of the library held; it must not block for
 * long and must not call back into the library, except for functions that only read a value.
 */
typedef void (*pywatt_log_sink)(void *user, enum pywatt_log_level level, const char *line);

/*
 * Sets the process's sink and the most detailed level that reaches it; NULL silences the library.
 * `user` is borrowed for as long as the sink is set. A call that is in the old sink when this
 * returns may still finish there: a sink that is to be unloaded must be quiet first.
 * Any thread; does not block.
 */
PYWATT_API void pywatt_set_log_sink(pywatt_log_sink sink, void *user, enum pywatt_log_level level);

/* "error", "warning", "info" or "debug". Static. */
PYWATT_API const char *pywatt_log_level_name(enum pywatt_log_level level);

/*
 * A sink that writes "TIME LEVEL LINE" to stderr, one write(2) a line. `user` is not used.
 */
PYWATT_API void pywatt_log_to_stderr(void *user, enum pywatt_log_level level, const char *line);

PYWATT_END_DECLS

#endif
