/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * settings.h - the settings of pywatt-orchestrator: from its config file, over that the environment, over
 * that the command line. They are read when it starts, and again on SIGHUP. One thread.
 */
#ifndef ORCHESTRATOR_SETTINGS_H
#define ORCHESTRATOR_SETTINGS_H

#include "orchestrator/command_line.h"
#include "orchestrator/complaints.h"
#include "orchestrator/setting.h"

#include <pywatt/log.h>
#include <pywatt/orchestrator.h>
#include <pywatt/tls.h>

#include <stdbool.h>
#include <stddef.h>

/* Exit codes beside those of common/report.h. They stand in the manual page, too. */
#define EXIT_CANNOT_LISTEN 3
#define EXIT_STORE 4

#define DEFAULT_LISTEN "tcp://127.0.0.1:7900"
#define LISTENERS_MAX 64

struct setting_urls {
    size_t count;
    const char *urls[LISTENERS_MAX];
};

enum settings_source {
    SETTINGS_DEFAULT,
    SETTINGS_FILE,
    SETTINGS_ENVIRONMENT,
    SETTINGS_FLAG
};

struct settings_text;

struct settings {
    /* What the table's fields are in. All texts are owned by `texts`. */
    struct pywatt_orchestrator_options options;
    struct pywatt_tls_options tls;
    struct setting_urls listen;
    enum pywatt_log_level log_level;
    bool log_events;
    uint32_t end_timeout_ms;

    bool tls_wanted;    /* there is something of a certificate */
    bool default_store; /* none was named */
    bool spoiled;       /* some value was wrong, and is as it was before */
    const char *file;   /* the config file, or NULL */
    struct {
        enum settings_source source;
        unsigned line;
    } origins[SETTINGS_MAX]; /* of each setting, by its number */
    struct settings_text *texts;
};

/* All defaults; to be ended with settings_clear, as are settings that could not be read. */
void settings_init(struct settings *settings);
void settings_clear(struct settings *settings);

/* A copy that lives as long as the settings; NULL when memory is out. */
const char *settings_keep(struct settings *settings, const char *text, size_t len);

/*
 * Reads the file, the environment and the command line, and looks at them as a whole. What is wrong goes
 * to `complaints`, all of it. Returns complaints->code.
 */
int settings_read(struct settings *settings, const struct command_line *line,
                  struct complaints *complaints);

/* The parts of it. The file's is for bytes of whatever origin; `name` is how they are called. */
void settings_take_file(struct settings *settings, const char *name, const char *bytes, size_t len,
                        struct complaints *complaints);
void settings_finish(struct settings *settings, struct complaints *complaints);

/* That the certificates can be read. */
void settings_check_tls(const struct settings *settings, struct complaints *complaints);

/* Says what the library found wrong, with where the setting stands that its text names. */
void settings_complain_of(const struct settings *settings, const char *text,
                          struct complaints *complaints);

/* Makes the folder of the store if none was named. Returns 0, or an exit code. */
int settings_prepare_store(const struct settings *settings);

#endif
