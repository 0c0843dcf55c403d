/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See settings.h: where settings come from, and what they are as a whole. */
#include "orchestrator/settings.h"

#include "common/report.h"
#include "orchestrator/config_file.h"
#include "orchestrator/config_place.h"
#include "orchestrator/state_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG_VARIABLE SETTING_VARIABLE_PREFIX "CONFIG"

/* ---- Texts ---- */

struct settings_text {
    struct settings_text *next;
    char text[];
};

const char *settings_keep(struct settings *settings, const char *text, size_t len)
{
    struct settings_text *own = malloc(sizeof(*own) + len + 1);

    if (own == NULL) {
        return NULL;
    }
    memcpy(own->text, text, len);
    own->text[len] = '\0';
    own->next = settings->texts;
    settings->texts = own;
    return own->text;
}

void settings_init(struct settings *settings)
{
    memset(settings, 0, sizeof(*settings));
    pywatt_orchestrator_options_init(&settings->options);
    settings->options.store = NULL;
    pywatt_tls_options_init(&settings->tls);
    settings->log_level = PYWATT_LOG_INFO;
    settings->end_timeout_ms = 30000;
}

void settings_clear(struct settings *settings)
{
    struct settings_text *next;

    for (struct settings_text *own = settings->texts; own != NULL; own = next) {
        next = own->next;
        free(own);
    }
    settings->texts = NULL;
}

/* ---- Where something stands ---- */

#define PLACE_SIZE 512

/* `name`, as it is called where it was set last. */
static void place_of(const struct settings *settings, size_t number, char out[PLACE_SIZE])
{
    const char *name = setting_at(number, NULL)->name;

    switch (settings->origins[number].source) {
    case SETTINGS_FILE:
        snprintf(out, PLACE_SIZE, "%.400s:%u: %s", settings->file, settings->origins[number].line,
                 name);
        break;
    case SETTINGS_ENVIRONMENT: setting_variable(name, out); break;
    case SETTINGS_FLAG: snprintf(out, PLACE_SIZE, "--%s", name); break;
    case SETTINGS_DEFAULT: snprintf(out, PLACE_SIZE, "%s", name); break;
    }
}

/* Where `word` stands in `text` as a whole word; NULL if it does not. */
static const char *find_word(const char *text, const char *word)
{
    static const char inside[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
    const size_t len = strlen(word);

    for (const char *at = text; (at = strstr(at, word)) != NULL; at++) {
        bool begins = at == text || strchr(inside, at[-1]) == NULL;
        if (begins && (at[len] == '\0' || strchr(inside, at[len]) == NULL)) {
            return at;
        }
    }
    return NULL;
}

/* Of the settings that the text names the first one, if it can be one that somebody has set. */
void settings_complain_of(const struct settings *settings, const char *text,
                          struct complaints *complaints)
{
    const struct setting *setting;
    const char *first = NULL;
    bool first_set = false;
    char place[PLACE_SIZE] = "";

    for (size_t number = 0; (setting = setting_at(number, NULL)) != NULL; number++) {
        const char *at = setting->field == NULL ? NULL : find_word(text, setting->field);
        const bool set = settings->origins[number].source != SETTINGS_DEFAULT;
        if (at != NULL && (first == NULL || set > first_set || (set == first_set && at < first))) {
            first = at;
            first_set = set;
            place_of(settings, number, place);
        }
    }
    complain(complaints, "%s%s%s", place, first == NULL ? "" : ": ", text);
}

/* ---- One after the other ---- */

struct taking {
    struct settings *settings;
    struct complaints *complaints;
};

/* The setting has this value there, from where it was not set before. */
static void take(const struct taking *taking, size_t number, enum settings_source source,
                 unsigned line, const char *value)
{
    struct settings *settings = taking->settings;
    const struct setting *setting = setting_at(number, NULL);
    bool again = settings->origins[number].source == source;
    char why[TOOL_WHY_SIZE] = "";
    char place[PLACE_SIZE];

    settings->origins[number].source = source;
    settings->origins[number].line = line;
    if (setting->type == SETTING_URLS && !again) {
        settings->listen.count = 0;
    }
    switch (setting_set(setting, settings, value, source == SETTINGS_FLAG, why)) {
    case SETTING_GOOD: break;
    case SETTING_BAD:
        settings->spoiled = true;
        place_of(settings, number, place);
        complain(taking->complaints, "%s: %s", place, why);
        break;
    case SETTING_NO_MEMORY: complain_no_memory(taking->complaints); break;
    }
}

/* ---- The file ---- */

static const char *look_at_section(void *user, const char *name)
{
    (void)user;
    for (const struct setting_section *section = setting_sections; section->name != NULL;
         section++) {
        if (strcmp(section->name, name) == 0) {
            return NULL;
        }
    }
    return "there is no such section; there are serving, admission, leases, limits, tls and log";
}

static void take_fault(void *user, unsigned line, const char *why)
{
    const struct taking *taking = user;

    complain(taking->complaints, "%.400s:%u: %s", taking->settings->file, line, why);
}

/* SIZE_MAX if there is none; *section is where it belongs. */
static size_t find_setting(const char *name, const struct setting_section **section)
{
    const struct setting *setting;

    for (size_t number = 0; (setting = setting_at(number, section)) != NULL; number++) {
        if (strcmp(setting->name, name) == 0) {
            return number;
        }
    }
    return SIZE_MAX;
}

static void take_entry(void *user, unsigned line, const char *section, const char *key,
                       const char *value)
{
    const struct taking *taking = user;
    const struct setting_section *belongs = NULL;
    size_t number = find_setting(key, &belongs);
    char why[PLACE_SIZE] = "";

    if (strcmp(section, CONFIG_NO_SECTION) == 0) {
        return;
    }
    if (number == SIZE_MAX) {
        snprintf(why, sizeof(why), "%.60s: there is no such key; --help names them", key);
    } else if (strcmp(section, belongs->name) != 0) {
        snprintf(why, sizeof(why), "%s: it belongs into the section [%s]", key, belongs->name);
    } else if (taking->settings->origins[number].source == SETTINGS_FILE) {
        snprintf(why, sizeof(why), "%s: it stands in line %u already", key,
                 taking->settings->origins[number].line);
    } else if (strstr(value, " #") != NULL || strstr(value, "\t#") != NULL) {
        snprintf(why, sizeof(why), "%s: a comment behind a value begins with ' ;'", key);
    } else {
        take(taking, number, SETTINGS_FILE, line, value);
        return;
    }
    take_fault(user, line, why);
}

void settings_take_file(struct settings *settings, const char *name, const char *bytes, size_t len,
                        struct complaints *complaints)
{
    static const struct config_events events = {
        .section = look_at_section, .entry = take_entry, .fault = take_fault};
    struct taking taking = {settings, complaints};

    settings->file = settings_keep(settings, name, strlen(name));
    if (settings->file == NULL) {
        complain_no_memory(complaints);
        return;
    }
    config_read(bytes, len, &events, &taking);
}

static void read_file(struct settings *settings, const struct command_line *line,
                      struct complaints *complaints)
{
    const char *named = line->config != NULL ? line->config : getenv(CONFIG_VARIABLE);
    struct config_found found;

    config_find(named, &found);
    if (found.bytes != NULL) {
        settings_take_file(settings, found.path, found.bytes, found.len, complaints);
    } else if (found.why != NULL) {
        complain(complaints, "%.400s: the config file cannot be read: %s", found.path, found.why);
    }
    config_found_clear(&found);
}

/* ---- The environment ---- */

/* A variable with our prefix that is no setting's has been misspelled. */
static void look_for_strangers(struct complaints *complaints)
{
    static const char prefix[] = SETTING_VARIABLE_PREFIX;

    for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
        size_t len = strcspn(*entry, "=");
        char variable[SETTING_VARIABLE_SIZE];
        bool known = strncmp(*entry, CONFIG_VARIABLE "=", sizeof(CONFIG_VARIABLE)) == 0;
        const struct setting *setting;
        if (strncmp(*entry, prefix, sizeof(prefix) - 1) != 0) {
            continue;
        }
        for (size_t number = 0; !known && (setting = setting_at(number, NULL)) != NULL; number++) {
            setting_variable(setting->name, variable);
            known = strlen(variable) == len && memcmp(variable, *entry, len) == 0;
        }
        if (!known) {
            complain(complaints, "%.*s: there is no such setting; --help names them",
                     (int)(len < 100 ? len : 100), *entry);
        }
    }
}

static void read_environment(const struct taking *taking)
{
    const struct setting *setting;
    char variable[SETTING_VARIABLE_SIZE];

    for (size_t number = 0; (setting = setting_at(number, NULL)) != NULL; number++) {
        setting_variable(setting->name, variable);
        const char *value = getenv(variable);
        if (value != NULL) {
            take(taking, number, SETTINGS_ENVIRONMENT, 0, value);
        }
    }
    look_for_strangers(taking->complaints);
}

/* ---- The command line ---- */

static void take_flag(void *user, size_t number, const char *value)
{
    take(user, number, SETTINGS_FLAG, 0, value == NULL ? "yes" : value);
}

/* ---- As a whole ---- */

static void complain_about(const struct settings *settings, const void *text,
                           struct complaints *complaints, const char *why)
{
    const ptrdiff_t offset = (const char *)text - (const char *)settings;
    const struct setting *setting;
    char place[PLACE_SIZE];

    for (size_t number = 0; (setting = setting_at(number, NULL)) != NULL; number++) {
        if ((ptrdiff_t)setting->offset == offset) {
            place_of(settings, number, place);
            complain(complaints, "%s: %s", place, why);
        }
    }
}

static bool has_scheme(const char *url, const char *scheme)
{
    return strncasecmp(url, scheme, strlen(scheme)) == 0;
}

/* Plain is not spoken where TLS is asked for, unless somebody has said so. */
static void look_at_listeners(const struct settings *settings, bool whole,
                              struct complaints *complaints)
{
    const struct pywatt_tls_options *tls = &settings->tls;
    bool over_tls = false;
    char why[PLACE_SIZE];

    for (size_t i = 0; i < settings->listen.count; i++) {
        const char *url = settings->listen.urls[i];
        if (has_scheme(url, "tls:")) {
            over_tls = true;
            if (!whole) {
                snprintf(why, sizeof(why), "'%.300s' needs tls-cert and tls-key", url);
                complain_about(settings, &settings->listen, complaints, why);
            }
        } else if (has_scheme(url, "tcp:") && tls->ca_file != NULL) {
            complain_mildly(complaints,
                            "listen: nobody is asked for a certificate at '%.300s', in spite of "
                            "tls-client-ca",
                            url);
        }
    }
    if (whole && !over_tls) {
        complain_about(settings, &tls->cert_file, complaints,
                       "no listen speaks TLS; it needs one that begins with 'tls://'");
    }
}

static void look_at_tls(struct settings *settings, struct complaints *complaints)
{
    const struct pywatt_tls_options *tls = &settings->tls;
    bool whole = tls->cert_file != NULL && tls->key_file != NULL;

    settings->tls_wanted = tls->cert_file != NULL || tls->key_file != NULL || tls->ca_file != NULL;
    if (tls->cert_file != NULL && tls->key_file == NULL) {
        complain_about(settings, &tls->cert_file, complaints, "it needs a tls-key beside it");
    } else if (tls->key_file != NULL && tls->cert_file == NULL) {
        complain_about(settings, &tls->key_file, complaints, "it needs a tls-cert beside it");
    } else if (tls->ca_file != NULL && !whole) {
        complain_about(settings, &tls->ca_file, complaints, "it needs tls-cert and tls-key");
    }
    look_at_listeners(settings, whole, complaints);
}

static void look_at_secrets(const struct settings *settings, struct complaints *complaints)
{
    const struct setting *setting;
    struct stat status;
    char place[PLACE_SIZE];

    for (size_t number = 0; (setting = setting_at(number, NULL)) != NULL; number++) {
        const char *path = setting->type == SETTING_SECRET ? setting_text(setting, settings) : NULL;
        if (path != NULL && stat(path, &status) == 0 && (status.st_mode & S_IRWXO) != 0) {
            place_of(settings, number, place);
            complain_mildly(complaints,
                            "%s: everybody on this machine may use '%.300s'; chmod o= takes that "
                            "away",
                            place, path);
        }
    }
}

void settings_finish(struct settings *settings, struct complaints *complaints)
{
    struct pywatt_error error = {PYWATT_OK, ""};

    if (settings->listen.count == 0) {
        settings->listen.urls[settings->listen.count++] = DEFAULT_LISTEN;
    }
    if (settings->options.store == NULL) {
        char *store = state_store();
        settings->default_store = true;
        settings->options.store =
            store == NULL ? NULL : settings_keep(settings, store, strlen(store));
        free(store);
        if (settings->options.store == NULL) {
            complain_no_memory(complaints);
            return;
        }
    }
    look_at_tls(settings, complaints);
    look_at_secrets(settings, complaints);
    /* A wrong value is as it was before, and may not go together with the others. */
    if (settings->spoiled) {
        return;
    }
    enum pywatt_status status = pywatt_orchestrator_check(&settings->options, &error);
    if (status == PYWATT_NO_MEMORY) {
        complain_no_memory(complaints);
    } else if (status == PYWATT_UNSUPPORTED) {
        complain_about(settings, &settings->options.store, complaints, error.text);
        complaints->code = EXIT_STORE;
    } else if (status != PYWATT_OK) {
        settings_complain_of(settings, error.text, complaints);
    }
}

void settings_check_tls(const struct settings *settings, struct complaints *complaints)
{
    struct pywatt_tls *tls = NULL;
    struct pywatt_error error = {PYWATT_OK, ""};

    if (settings->tls_wanted) {
        enum pywatt_status status = pywatt_tls_server_new(&settings->tls, &tls, &error);
        if (status == PYWATT_NO_MEMORY) {
            complain_no_memory(complaints);
        } else if (status != PYWATT_OK) {
            settings_complain_of(settings, error.text, complaints);
        }
        pywatt_tls_free(tls);
    }
}

int settings_read(struct settings *settings, const struct command_line *line,
                  struct complaints *complaints)
{
    struct taking taking = {settings, complaints};

    settings_init(settings);
    read_file(settings, line, complaints);
    read_environment(&taking);
    command_line_settings(line, take_flag, &taking);
    settings_finish(settings, complaints);
    return complaints->code;
}

int settings_prepare_store(const struct settings *settings)
{
    return settings->default_store ? state_make_folder(settings->options.store) : 0;
}
