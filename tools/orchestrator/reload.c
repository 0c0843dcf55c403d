/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See reload.h. */
#include "orchestrator/reload.h"

#include "common/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE_SIZE (COMPLAINT_SIZE + 64)

static void say(enum pywatt_log_level wanted, enum pywatt_log_level level, const char *format, ...)
    PYWATT_PRINTF(3, 4);

static void say(enum pywatt_log_level wanted, enum pywatt_log_level level, const char *format, ...)
{
    char text[LINE_SIZE] = "SIGHUP: ";
    const size_t len = strlen(text);
    va_list arguments;

    if (level > wanted) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(text + len, sizeof(text) - len, format, arguments);
    va_end(arguments);
    pywatt_log_to_stderr(NULL, level, text);
}

static void say_complaint(void *user, bool warning, const char *text)
{
    const struct settings *settings = user;

    say(settings->log_level, warning ? PYWATT_LOG_WARNING : PYWATT_LOG_ERROR, "%s", text);
}

/* ---- What has to wait for the next start ---- */

static void keep(const struct setting *setting, struct settings *next, const struct settings *now,
                 struct complaints *complaints)
{
    say(now->log_level, PYWATT_LOG_WARNING, "%s has changed, which needs a restart", setting->name);
    if (!setting_copy(setting, next, now)) {
        complain_no_memory(complaints);
    }
}

/* Whether there is TLS at all is decided at the start, so it is all or nothing of that section. */
static bool waits(const struct setting *setting, const struct settings *next,
                  const struct settings *now)
{
    const char *field = setting->field;
    const bool tls = field != NULL && strncmp(setting->name, "tls-", 4) == 0;

    return setting->change == SETTING_AT_START || (tls && next->tls_wanted != now->tls_wanted);
}

/* `changes` gets the names of those that take effect, as many as it has room for. */
static size_t compare(struct settings *next, const struct settings *now, char *changes, size_t size,
                      struct complaints *complaints)
{
    const struct setting *setting;
    size_t count = 0;
    size_t used = 0;

    for (size_t number = 0; (setting = setting_at(number, NULL)) != NULL; number++) {
        if (setting_is_equal(setting, next, now)) {
            continue;
        }
        if (waits(setting, next, now)) {
            keep(setting, next, now, complaints);
            continue;
        }
        int n =
            snprintf(changes + used, size - used, "%s%s", count == 0 ? "" : ", ", setting->name);
        used += n > 0 && (size_t)n < size - used ? (size_t)n : 0;
        count++;
    }
    return count;
}

/* ---- Putting it in force ---- */

static void put_in_force(struct pywatt_orchestrator *orchestrator, struct settings *next,
                         struct complaints *complaints)
{
    struct pywatt_error error = {PYWATT_OK, ""};
    enum pywatt_status status = PYWATT_OK;

    if (next->options.tls != NULL) {
        status = pywatt_tls_reconfigure(next->options.tls, &next->tls, &error);
    }
    if (status == PYWATT_OK) {
        status = pywatt_orchestrator_reconfigure(orchestrator, &next->options, &error);
    }
    if (status != PYWATT_OK) {
        settings_complain_of(next, error.text, complaints);
    }
}

void reload(struct pywatt_orchestrator *orchestrator, struct settings *settings,
            const struct command_line *line)
{
    struct settings next;
    struct complaints complaints = {.say = say_complaint, .user = settings};
    char changes[512] = "";
    size_t count = 0;

    if (settings_read(&next, line, &complaints) == 0) {
        count = compare(&next, settings, changes, sizeof(changes), &complaints);
        next.tls_wanted = settings->tls_wanted;
        next.options.tls = settings->options.tls;
        next.options.on_event = settings->options.on_event;
    }
    if (complaints.code == 0) {
        put_in_force(orchestrator, &next, &complaints);
    }
    if (complaints.code != 0) {
        say(settings->log_level, PYWATT_LOG_ERROR,
            "settings, certificates and join tokens stay as they were");
        settings_clear(&next);
        return;
    }
    settings_clear(settings);
    *settings = next;
    pywatt_set_log_sink(pywatt_log_to_stderr, NULL, settings->log_level);
    if (settings->options.tls != NULL) {
        say(settings->log_level, PYWATT_LOG_INFO, "certificates were read again");
    }
    if (settings->options.join_token_file != NULL) {
        say(settings->log_level, PYWATT_LOG_INFO, "join tokens were read again");
    }
    say(settings->log_level, PYWATT_LOG_INFO, "settings were read again: %zu changed%s%s", count,
        count == 0 ? "" : ": ", changes);
}
