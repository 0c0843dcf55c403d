/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See setting.h: what each type is. */
#include "orchestrator/setting.h"

#include "orchestrator/account_list.h"
#include "orchestrator/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(enum pywatt_takeover) == sizeof(int), "a word is as long as an int");
_Static_assert(sizeof(enum pywatt_log_level) == sizeof(int), "a word is as long as an int");

#define BLANKS " \t"

const struct setting *setting_at(size_t number, const struct setting_section **section)
{
    for (const struct setting_section *s = setting_sections; s->name != NULL; s++) {
        for (const struct setting *setting = s->settings; setting->name != NULL; setting++) {
            if (number-- == 0) {
                if (section != NULL) {
                    *section = s;
                }
                return setting;
            }
        }
    }
    return NULL;
}

void setting_variable(const char *name, char out[SETTING_VARIABLE_SIZE])
{
    int n = snprintf(out, SETTING_VARIABLE_SIZE, SETTING_VARIABLE_PREFIX "%s", name);

    for (int i = (int)strlen(SETTING_VARIABLE_PREFIX); i < n && out[i] != '\0'; i++) {
        if (out[i] >= 'a' && out[i] <= 'z') {
            out[i] = (char)(out[i] - 'a' + 'A');
        } else if (out[i] < '0' || out[i] > '9') {
            out[i] = '_';
        }
    }
}

static void *field(const struct setting *setting, struct settings *settings)
{
    return (char *)settings + setting->offset;
}

static const void *look(const struct setting *setting, const struct settings *settings)
{
    return (const char *)settings + setting->offset;
}

const char *setting_text(const struct setting *setting, const struct settings *settings)
{
    const char *text;

    memcpy(&text, look(setting, settings), sizeof(text));
    return text;
}

/* ---- Setting it ---- */

static enum setting_result set_number(const struct setting *setting, struct settings *settings,
                                      const char *text, char *why)
{
    uint64_t value = 0;
    uint32_t small;
    bool good = setting->type == SETTING_NUMBER
                    ? tool_value_u64(text, setting->min, setting->max, &value, why)
                : setting->type == SETTING_SIZE
                    ? tool_value_size(text, setting->min, setting->max, &value, why)
                    : tool_value_time_ms(text, setting->min, setting->max, &value, why);

    if (!good) {
        return SETTING_BAD;
    }
    small = (uint32_t)value;
    if (setting->type == SETTING_LONG_TIME) {
        memcpy(field(setting, settings), &value, sizeof(value));
    } else {
        memcpy(field(setting, settings), &small, sizeof(small));
    }
    return SETTING_GOOD;
}

static enum setting_result set_word(const struct setting *setting, struct settings *settings,
                                    const char *text, char *why)
{
    size_t count = 0;
    int word = 0;

    while (setting->words[count] != NULL) {
        count++;
    }
    if (!tool_value_word(text, setting->words, count, &word, why)) {
        return SETTING_BAD;
    }
    memcpy(field(setting, settings), &word, sizeof(word));
    return SETTING_GOOD;
}

static enum setting_result keep_text(const struct setting *setting, struct settings *settings,
                                     const char *text)
{
    const char *own = settings_keep(settings, text, strlen(text));

    if (own == NULL) {
        return SETTING_NO_MEMORY;
    }
    memcpy(field(setting, settings), &own, sizeof(own));
    return SETTING_GOOD;
}

static enum setting_result set_accounts(const struct setting *setting, struct settings *settings,
                                        const char *text, char *why)
{
    enum account_kind kind = setting->type == SETTING_USERS ? ACCOUNT_USER : ACCOUNT_GROUP;
    char *numbers = account_list_numbers(kind, text, why);

    if (numbers == NULL) {
        return why[0] == '\0' ? SETTING_NO_MEMORY : SETTING_BAD;
    }
    enum setting_result result = keep_text(setting, settings, numbers);
    free(numbers);
    return result;
}

static enum setting_result set_text(const struct setting *setting, struct settings *settings,
                                    const char *text, char *why)
{
    if (*text == '\0') {
        snprintf(why, TOOL_WHY_SIZE, "it is empty: it wants %s", setting->argument);
        return SETTING_BAD;
    }
    return setting->type == SETTING_USERS || setting->type == SETTING_GROUPS
               ? set_accounts(setting, settings, text, why)
               : keep_text(setting, settings, text);
}

static enum setting_result set_address(struct settings *settings, const char *text, char *why)
{
    const char *host = NULL;
    size_t len = 0;
    uint16_t port = 0;

    if (!tool_value_host_port(text, &host, &len, &port, why)) {
        return SETTING_BAD;
    }
    const char *own = settings_keep(settings, host, len);
    if (own == NULL) {
        return SETTING_NO_MEMORY;
    }
    settings->options.advertise_host = own;
    settings->options.advertise_port = port;
    return SETTING_GOOD;
}

/* The library knows what a URL is. */
static enum setting_result add_url(struct settings *settings, const char *text, size_t len,
                                   char *why)
{
    struct pywatt_error error = {PYWATT_OK, ""};
    struct setting_urls *listen = &settings->listen;

    if (listen->count == LISTENERS_MAX) {
        snprintf(why, TOOL_WHY_SIZE, "more than %d listeners", LISTENERS_MAX);
        return SETTING_BAD;
    }
    const char *own = settings_keep(settings, text, len);
    if (own == NULL) {
        return SETTING_NO_MEMORY;
    }
    if (pywatt_orchestrator_check_url(own, &error) != PYWATT_OK) {
        snprintf(why, TOOL_WHY_SIZE, "'%.250s': %.250s", own, error.text);
        return SETTING_BAD;
    }
    listen->urls[listen->count++] = own;
    return SETTING_GOOD;
}

static enum setting_result add_urls(struct settings *settings, const char *text, char *why)
{
    enum setting_result result = SETTING_GOOD;

    for (const char *end; result == SETTING_GOOD && text != NULL;
         text = *end == ',' ? end + 1 : NULL) {
        text += strspn(text, BLANKS);
        end = text + strcspn(text, ",");
        size_t len = (size_t)(end - text);
        while (len > 0 && strchr(BLANKS, text[len - 1]) != NULL) {
            len--;
        }
        result = add_url(settings, text, len, why);
    }
    return result;
}

enum setting_result setting_set(const struct setting *setting, struct settings *settings,
                                const char *text, bool whole, char why[TOOL_WHY_SIZE])
{
    switch (setting->type) {
    case SETTING_NUMBER:
    case SETTING_TIME:
    case SETTING_LONG_TIME:
    case SETTING_SIZE: return set_number(setting, settings, text, why);
    case SETTING_WORD: return set_word(setting, settings, text, why);
    case SETTING_YES:
        return tool_value_yes(text, field(setting, settings), why) ? SETTING_GOOD : SETTING_BAD;
    case SETTING_TEXT:
    case SETTING_SECRET:
    case SETTING_USERS:
    case SETTING_GROUPS: return set_text(setting, settings, text, why);
    case SETTING_ADDRESS: return set_address(settings, text, why);
    case SETTING_URLS: break;
    }
    return whole ? add_url(settings, text, strlen(text), why) : add_urls(settings, text, why);
}

/* ---- Comparing, copying ---- */

static size_t size_of(const struct setting *setting)
{
    switch (setting->type) {
    case SETTING_LONG_TIME: return sizeof(uint64_t);
    case SETTING_WORD: return sizeof(int);
    case SETTING_YES: return sizeof(bool);
    default: return sizeof(uint32_t);
    }
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_urls(const struct setting_urls *a, const struct setting_urls *b)
{
    bool same = a->count == b->count;

    for (size_t i = 0; same && i < a->count; i++) {
        same = strcmp(a->urls[i], b->urls[i]) == 0;
    }
    return same;
}

bool setting_is_equal(const struct setting *setting, const struct settings *a,
                      const struct settings *b)
{
    switch (setting->type) {
    case SETTING_TEXT:
    case SETTING_SECRET:
    case SETTING_USERS:
    case SETTING_GROUPS: return same_text(setting_text(setting, a), setting_text(setting, b));
    case SETTING_ADDRESS:
        return same_text(a->options.advertise_host, b->options.advertise_host) &&
               a->options.advertise_port == b->options.advertise_port;
    case SETTING_URLS: return same_urls(&a->listen, &b->listen);
    default: return memcmp(look(setting, a), look(setting, b), size_of(setting)) == 0;
    }
}

/* NULL stays NULL. False when memory is out. */
static bool copy_text(struct settings *to, const char *from, const char **out)
{
    *out = from == NULL ? NULL : settings_keep(to, from, strlen(from));
    return from == NULL || *out != NULL;
}

bool setting_copy(const struct setting *setting, struct settings *to, const struct settings *from)
{
    const char *text;
    bool good = true;

    switch (setting->type) {
    case SETTING_TEXT:
    case SETTING_SECRET:
    case SETTING_USERS:
    case SETTING_GROUPS:
        good = copy_text(to, setting_text(setting, from), &text);
        memcpy(field(setting, to), &text, sizeof(text));
        return good;
    case SETTING_ADDRESS:
        to->options.advertise_port = from->options.advertise_port;
        return copy_text(to, from->options.advertise_host, &to->options.advertise_host);
    case SETTING_URLS:
        to->listen.count = from->listen.count;
        for (size_t i = 0; i < from->listen.count; i++) {
            good = copy_text(to, from->listen.urls[i], &to->listen.urls[i]) && good;
        }
        return good;
    default: memcpy(field(setting, to), look(setting, from), size_of(setting)); return true;
    }
}
