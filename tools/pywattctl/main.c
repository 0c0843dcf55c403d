/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* pywattctl: a module on the command line. This file finds the command; each has a file of its own. */
#include "common/report.h"
#include "pywattctl/commands.h"
#include "pywattctl/output.h"

#include <pywatt/pywatt.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int print_help(int argc, char **argv);
static int print_version(int argc, char **argv);

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"register", ctl_register, "register a module, and print its id and token"},
    {"run", ctl_run, "register, advertise and beat until Ctrl-C, then unregister"},
    {"heartbeat", ctl_heartbeat, "report the health of a registered module once"},
    {"advertise", ctl_advertise, "say what a registered module can do"},
    {"unregister", ctl_unregister, "take a module out of the orchestrator"},
    {"version", print_version, "print the version"},
    {"help", print_help, "print this"},
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static int print_help(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    puts("Usage: pywattctl COMMAND [OPTION...]\n\n"
         "Acts as a module towards an orchestrator.\n\nCommands:");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        printf("  %-12s %s\n", commands[i].name, commands[i].help);
    }
    puts("\npywattctl COMMAND --help prints the options of a command.\n\n"
         "Exit codes: 0 done, 1 other failure, 2 bad usage, 3 no connection, 4 refused by the\n"
         "orchestrator, 5 module not found, 6 invalid token, 7 no reply in time.");
    return tool_flush_stdout();
}

static int print_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    struct ctl_record *record = ctl_record_new(NULL);
    ctl_record_text(record, "pywattctl", PYWATT_PROGRAM_VERSION);
    ctl_record_text(record, "libpywatt", pywatt_version());
    return ctl_record_print(record);
}

/* Looked for before anything is parsed: a wrong option before it is reported as JSON, too. */
static bool wants_json(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            return true;
        }
    }
    return false;
}

int main(int argc, char **argv)
{
    bool json = wants_json(argc, argv);

    ctl_output_init(json);
    tool_report_init("pywattctl", json ? ctl_print_json_error : NULL);
    if (argc < 2) {
        return tool_usage_error("a command is needed: register, run, heartbeat, advertise, "
                                "unregister, version or help");
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        return print_help(argc, argv);
    }
    if (strcmp(argv[1], "--version") == 0) {
        return print_version(argc, argv);
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    return tool_usage_error("unknown command '%s'", argv[1]);
}
