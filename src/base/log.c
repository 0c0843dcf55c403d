/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * log.c - hands log lines to the process's sink. Any thread.
 *
 * `config_lock` guards `config`; sinks are called without it. `wanted_level` repeats what the
 * configuration wants in one atomic, so that a line nobody wants costs no lock.
 */
#include "base/log.h"

#include "base/clock.h"
#include "base/tool_hints.h"
#include "base/utf8.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
    LINE_MAX_BYTES = 511,
    SILENT = -1
};

struct log_config {
    pywatt_log_sink sink;
    void *user;
    int level;
};

static pthread_mutex_t config_lock = PTHREAD_MUTEX_INITIALIZER;
static struct log_config config = {.level = SILENT};
static atomic_int wanted_level = SILENT;

void pywatt_set_log_sink(pywatt_log_sink sink, void *user, enum pywatt_log_level level)
{
    PW_HINT_ATOMIC(wanted_level);
    pthread_mutex_lock(&config_lock);
    config = (struct log_config){sink, user, sink == NULL ? SILENT : (int)level};
    atomic_store_explicit(&wanted_level, config.level, memory_order_relaxed);
    pthread_mutex_unlock(&config_lock);
}

bool pw_log_wanted(enum pywatt_log_level level)
{
    return (int)level <= atomic_load_explicit(&wanted_level, memory_order_relaxed);
}

const char *pywatt_log_level_name(enum pywatt_log_level level)
{
    static const char *const names[] = {[PYWATT_LOG_ERROR] = "error",
                                        [PYWATT_LOG_WARNING] = "warning",
                                        [PYWATT_LOG_INFO] = "info",
                                        [PYWATT_LOG_DEBUG] = "debug"};
    return (size_t)level < sizeof(names) / sizeof(names[0]) ? names[level] : "unknown";
}

/* Each control character, also those of two bytes (U+0080 to U+009F), becomes one '?'. */
static void replace_controls(char *line)
{
    const unsigned char *from = (const unsigned char *)line;
    char *to = line;
    while (*from != '\0') {
        const bool two_bytes = from[0] == 0xc2 && from[1] >= 0x80 && from[1] <= 0x9f;
        if (two_bytes || *from < 0x20 || *from == 0x7f) {
            *to++ = '?';
        } else {
            *to++ = (char)*from;
        }
        from += two_bytes ? 2 : 1;
    }
    *to = '\0';
}

void pw_log_write(enum pywatt_log_level level, const char *format, ...)
{
    const int saved_errno = errno;
    pthread_mutex_lock(&config_lock);
    const struct log_config to = config;
    pthread_mutex_unlock(&config_lock);
    if ((int)level <= to.level) {
        /* One byte more than fits, as the cut has to see what it cuts off. */
        char line[LINE_MAX_BYTES + 2];
        va_list args;
        va_start(args, format);
        const int wanted = vsnprintf(line, sizeof(line), format, args);
        va_end(args);
        if (wanted > LINE_MAX_BYTES) {
            line[pw_utf8_cut(line, LINE_MAX_BYTES)] = '\0';
        }
        if (wanted >= 0) {
            replace_controls(line);
            to.sink(to.user, level, line);
        }
    }
    errno = saved_errno;
}

/* A log that cannot be written has nowhere to say so. */
static void write_whole(const char *text, size_t len)
{
    while (len > 0) {
        const ssize_t written = write(STDERR_FILENO, text, len);
        if (written == 0 || (written < 0 && errno != EINTR)) {
            return;
        }
        text += written > 0 ? written : 0;
        len -= written > 0 ? (size_t)written : 0;
    }
}

void pywatt_log_to_stderr(void *user, enum pywatt_log_level level, const char *line)
{
    (void)user;
    const int saved_errno = errno;
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    char when[32];
    strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &utc);
    char text[LINE_MAX_BYTES + 64];
    const int wanted = snprintf(text, sizeof(text), "%s.%03ldZ %s %s\n", when,
                                now.tv_nsec / 1000000, pywatt_log_level_name(level), line);
    size_t len = wanted < 0 ? 0 : (size_t)wanted;
    if (len >= sizeof(text)) {
        len = pw_utf8_cut(text, sizeof(text) - 2);
        text[len++] = '\n';
    }
    write_whole(text, len);
    errno = saved_errno;
}

bool pw_log_limit_pass(struct pw_log_limit *limit, uint32_t burst, uint64_t now_ns,
                       uint32_t *suppressed)
{
    PW_HINT_ATOMIC(*limit);
    uint64_t start_ns = atomic_load(&limit->window_start_ns);
    /* Whoever opens the new second empties the count; a line or two may slip through meanwhile. */
    if (now_ns > start_ns && now_ns - start_ns >= PW_NS_PER_S &&
        atomic_compare_exchange_strong(&limit->window_start_ns, &start_ns, now_ns)) {
        atomic_store(&limit->used, 0);
    }
    uint32_t used = atomic_load(&limit->used);
    while (used < burst) {
        if (atomic_compare_exchange_weak(&limit->used, &used, used + 1)) {
            *suppressed = atomic_exchange(&limit->suppressed, 0);
            return true;
        }
    }
    atomic_fetch_add(&limit->suppressed, 1);
    return false;
}
