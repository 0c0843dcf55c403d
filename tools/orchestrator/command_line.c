/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See command_line.h. The tables that common/options.c wants are made of the settings' table. */
#include "orchestrator/command_line.h"

#include "common/options.h"
#include "orchestrator/setting.h"

#include <string.h>

enum key {
    KEY_CONFIG = 256,
    KEY_CHECK_CONFIG,
    KEY_RECOVER,
    KEY_VERSION,
    KEY_SETTING /* and on: a setting's number */
};

static const struct tool_option commands[] = {
    {"config", KEY_CONFIG, "FILE",
     "the config file (default: pywatt/orchestrator.ini in\n$XDG_CONFIG_HOME, ~/.config or /etc, "
     "the first that is there)"},
    {"check-config", KEY_CHECK_CONFIG, NULL,
     "do not serve: read all settings, say \"ok\", or everything\nthat is wrong with them"},
    {"recover", KEY_RECOVER, NULL,
     "do not serve: set a damaged store aside, and begin it anew\nwith all modules that are sound in "
     "it"},
    {"version", KEY_VERSION, NULL, "print the version and end"},
    {"help", 'h', NULL, "print this and end"},
    {NULL, 0, NULL, NULL},
};

static struct tool_syntax syntax = {
    .usage = "pywatt-orchestrator [OPTION...]",
    .about =
        "Registers modules, keeps their leases and answers their heartbeats, over JSON and\n"
        "protobuf on the same port. Prints one line \"listening URL\" for each listener once\n"
        "connections are accepted there, and logs to stderr. SIGTERM and SIGINT end it; SIGHUP\n"
        "has it read its settings, certificates and join tokens again.",
    .notes =
        "Each option of a [section] may stand in the config file, as key = value, and in the\n"
        "environment: --max-frame is PYWATT_ORCHESTRATOR_MAX_FRAME there. Options go before the\n"
        "environment, and that before the file.\n\n"
        "Times are in milliseconds, or carry a unit: 250ms, 2s, 5m, 1h. So do sizes, which are in\n"
        "bytes: 256KiB, 1MiB.\n\n"
        "Exit codes: 0 ended by a signal, 1 other failure, 2 bad usage or settings, 3 cannot\n"
        "listen, 4 the store cannot be opened.",
};

/* Fills `syntax`, once. */
static const struct tool_syntax *whole_syntax(void)
{
    static struct tool_option options[SETTINGS_MAX + TOOL_TABLES_MAX];
    const struct setting_section *last = NULL;
    const struct setting_section *section = NULL;
    const struct setting *setting;
    size_t used = 0;
    size_t groups = 0;

    if (syntax.groups[0].options != NULL) {
        return &syntax;
    }
    for (size_t number = 0; (setting = setting_at(number, &section)) != NULL; number++) {
        if (section != last) {
            used += last != NULL; /* one without a name ends the table before */
            syntax.groups[groups].heading = section->heading;
            syntax.groups[groups++].options = &options[used];
            last = section;
        }
        options[used++] = (struct tool_option){setting->name, KEY_SETTING + (int)number,
                                               setting->argument, setting->help};
    }
    syntax.groups[groups].heading = "Other";
    syntax.groups[groups].options = commands;
    return &syntax;
}

static int take_command(void *user, int key, const char *value)
{
    struct command_line *line = user;

    switch (key) {
    case KEY_CONFIG: line->config = value; break;
    case KEY_CHECK_CONFIG: line->check_config = true; break;
    case KEY_RECOVER: line->recover = true; break;
    case KEY_VERSION: line->version = true; break;
    case 'h': line->help = true; break;
    default: break;
    }
    return 0;
}

int command_line_read(struct command_line *line, int argc, char **argv)
{
    *line = (struct command_line){.argc = argc, .argv = argv};
    return tool_options_parse(whole_syntax(), argc, argv, take_command, line);
}

struct listener {
    void (*tell)(void *user, size_t number, const char *value);
    void *user;
};

static int take_setting(void *user, int key, const char *value)
{
    const struct listener *listener = user;

    if (key >= KEY_SETTING) {
        listener->tell(listener->user, (size_t)(key - KEY_SETTING), value);
    }
    return 0;
}

void command_line_settings(const struct command_line *line,
                           void (*tell)(void *user, size_t number, const char *value), void *user)
{
    struct listener listener = {tell, user};

    /* It went well once. */
    (void)tool_options_parse(whole_syntax(), line->argc, line->argv, take_setting, &listener);
}

int command_line_help(void)
{
    return tool_options_help(whole_syntax());
}
