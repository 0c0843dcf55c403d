/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * status.h - the one error enum of the library, and the error text that goes with it.
 *
 * Every function that can fail returns enum pywatt_status by value. Most also take an optional
 * struct pywatt_error, which the caller owns (often on its stack): on failure it holds the same
 * status and a sentence that names what failed (which URL, which field, which limit, what to do).
 * There is no thread-local "last error".
 */
#ifndef PYWATT_STATUS_H
#define PYWATT_STATUS_H

#include <pywatt/export.h>

PYWATT_BEGIN_DECLS

/*
 * X(name, number, wire code, text). The wire code is what a reply carries as `error_code`; the
 * numbers and the wire codes are stable, new ones are added at the end.
 */
#define PYWATT_STATUS_TABLE(X)                                                               \
    X(OK, 0, "ok", "success")                                                                \
    X(INVALID_ARGUMENT, 1, "invalid_argument", "invalid argument")                           \
    X(NO_MEMORY, 2, "out_of_memory", "out of memory")                                        \
    X(CONNECTION, 3, "connection", "the orchestrator cannot be reached")                     \
    X(SERIALIZATION, 4, "serialization", "a message cannot be encoded or decoded")           \
    X(CHANNEL, 5, "channel", "the connection was lost while a request was under way")        \
    X(TIMEOUT, 6, "timeout", "no reply before the deadline")                                 \
    X(REJECTED, 7, "rejected", "the orchestrator rejected the request")                      \
    X(MODULE_NOT_FOUND, 8, "module_not_found", "the orchestrator does not know the module")  \
    X(INVALID_TOKEN, 9, "invalid_token", "the module token is not valid")                    \
    X(NAME_TAKEN, 10, "name_taken", "the module name is taken")                              \
    X(AUTHENTICATION_FAILED, 11, "authentication_failed", "authentication failed")           \
    X(IO, 12, "io", "input or output failed")                                                \
    X(CLOSED, 13, "closed", "the object is closed")                                          \
    X(UNSUPPORTED, 14, "unsupported", "not supported")                                       \
    X(CANCELLED, 15, "cancelled", "the operation was cancelled")                             \
    X(LIMIT, 16, "limit_exceeded", "a limit is exceeded")                                    \
    X(STALE_GENERATION, 17, "stale_generation", "a newer registration of the module exists") \
    X(UNAVAILABLE, 18, "unavailable", "the service is unavailable for now, try again later") \
    X(FORKED, 19, "forked", "the object belongs to the process that has forked this one")

enum pywatt_status {
#define PYWATT_STATUS_ENUM(name, number, wire, text) PYWATT_##name = number,
    PYWATT_STATUS_TABLE(PYWATT_STATUS_ENUM)
#undef PYWATT_STATUS_ENUM
};

/* Bytes of an error text, its terminating NUL included. Longer texts are cut. */
#define PYWATT_ERROR_TEXT_MAX 256

/* Filled on failure by functions that take one; left alone on success. The caller owns it. */
struct pywatt_error {
    enum pywatt_status status;
    char text[PYWATT_ERROR_TEXT_MAX];
};

/*
 * The name of a status as it stands in the source without the prefix, such as "NAME_TAKEN", or
 * "UNKNOWN" for a number that is none. The string is static. Any thread; does not block.
 */
PYWATT_API const char *pywatt_status_name(enum pywatt_status status);

/*
 * A short sentence for a status, in English, or "unknown status". The string is static. Any
 * thread; does not block.
 */
PYWATT_API const char *pywatt_status_text(enum pywatt_status status);

/*
 * The stable code that replies carry on the wire as `error_code`, such as "name_taken", or
 * "rejected" for a number that is no status. The string is static. Any thread; does not block.
 */
PYWATT_API const char *pywatt_status_wire_code(enum pywatt_status status);

/* The version of the library that is loaded, such as "0.1.0". Static; any thread. */
PYWATT_API const char *pywatt_version(void);

PYWATT_END_DECLS

#endif
