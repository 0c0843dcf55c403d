/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * setting.h - what one setting is: the table of all of them, from which the command line, the config
 * file, the environment, --help and the reload work; and what can be done with any of them. The table is
 * constant; functions on a struct settings belong to who has it.
 *
 * To add one: a line in setting_table.c, and the manual page and examples/orchestrator.ini, as tests ask for.
 * Its name is that of the option (--max-frame), of the key in its section of the file (max-frame), and,
 * in capitals, of the variable (PYWATT_ORCHESTRATOR_MAX_FRAME).
 */
#ifndef ORCHESTRATOR_SETTING_H
#define ORCHESTRATOR_SETTING_H

#include "common/value.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct settings;

enum setting_type {
    SETTING_NUMBER,    /* uint32_t */
    SETTING_TIME,      /* uint32_t, milliseconds */
    SETTING_LONG_TIME, /* uint64_t, milliseconds */
    SETTING_SIZE,      /* uint32_t, bytes */
    SETTING_WORD,      /* int or an enum: the word's index */
    SETTING_YES,       /* bool; without a value on the command line */
    SETTING_TEXT,      /* const char *, not empty */
    SETTING_SECRET,    /* the same, the name of a file that nobody else should read */
    SETTING_USERS,     /* the same, of numbers; set by names or numbers of users */
    SETTING_GROUPS,    /* the same of groups */
    SETTING_ADDRESS,   /* options.advertise_host and _port */
    SETTING_URLS       /* struct setting_urls: separated by commas, or given several times */
};

/* When a change takes effect on SIGHUP. */
enum setting_change {
    SETTING_AT_ONCE,
    SETTING_AT_START
};

struct setting {
    const char *name;
    /* How --help calls the value, NULL for SETTING_YES; and its help, as struct tool_option's. */
    const char *argument;
    const char *help;
    enum setting_type type;
    enum setting_change change;
    /* Of the field in struct settings; and its name, by which the library calls it in an error. */
    size_t offset;
    const char *field;
    /* Of a number, a time, a size. */
    uint64_t min;
    uint64_t max;
    /* Of a SETTING_WORD, up to a NULL. */
    const char *const *words;
};

/* A section of the file, and a group of --help. */
struct setting_section {
    const char *name;
    const char *heading;
    const struct setting *settings; /* up to one without a name */
};

/* Up to one without a name. */
extern const struct setting_section setting_sections[];

/* More than there are. */
#define SETTINGS_MAX 64

/* The setting with this number, from 0 on, or NULL; *section, if not NULL, gets that which it is in. */
const struct setting *setting_at(size_t number, const struct setting_section **section);

#define SETTING_VARIABLE_PREFIX "PYWATT_ORCHESTRATOR_"
#define SETTING_VARIABLE_SIZE 64

/* The variable of the environment for a name. */
void setting_variable(const char *name, char out[SETTING_VARIABLE_SIZE]);

enum setting_result {
    SETTING_GOOD,
    SETTING_BAD, /* `why` has the reason, and what would be right */
    SETTING_NO_MEMORY
};

/*
 * Sets it to what `text` says, which is copied. Of SETTING_URLS all are added that are there, or, with
 * `whole`, the text as one.
 */
enum setting_result setting_set(const struct setting *setting, struct settings *settings,
                                const char *text, bool whole, char why[TOOL_WHY_SIZE]);

bool setting_is_equal(const struct setting *setting, const struct settings *a,
                      const struct settings *b);

/* Makes it in `to` what it is in `from`. False when memory is out. */
bool setting_copy(const struct setting *setting, struct settings *to, const struct settings *from);

/* The text of a SETTING_TEXT or SETTING_SECRET, or NULL. */
const char *setting_text(const struct setting *setting, const struct settings *settings);

#endif
