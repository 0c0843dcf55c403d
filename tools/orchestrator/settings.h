/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* settings.h - the command line of pywatt-orchestrator. One thread. */
#ifndef ORCHESTRATOR_SETTINGS_H
#define ORCHESTRATOR_SETTINGS_H

#include "common/report.h"

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

struct settings {
    const char *urls[LISTENERS_MAX]; /* borrowed from argv */
    size_t url_count;
    struct pywatt_orchestrator_options options;
    struct pywatt_tls_options tls; /* its files are borrowed from argv */
    bool tls_given;                /* some option of it was */
    char *advertise_host;          /* owned; options.advertise_host points to it */
    char *default_store;           /* owned; options.store points to it, if none was named */
    enum pywatt_log_level log_level;
    bool log_events;
    bool recover; /* the store, and end */
    /* Print this and end, instead of running. */
    bool help;
    bool version;
};

/* Fills *settings. Returns 0, or an exit code after it has said what is wrong. */
int settings_read(struct settings *settings, int argc, char **argv);

/* Makes the folder of the store if none was named. Returns 0, or an exit code. */
int settings_prepare_store(const struct settings *settings);

/* Writes the help to stdout; returns an exit code. */
int settings_print_help(void);

/* Frees what the settings own. */
void settings_clear(struct settings *settings);

#endif
