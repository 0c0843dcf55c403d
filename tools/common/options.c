/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * See options.h. The tables are turned into what getopt_long wants; its own messages are switched
 * off, because ours also have to come out as JSON.
 */
#include "common/options.h"

#include "common/report.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

/* The column at which the help of an option begins. */
#define HELP_COLUMN 26

static int fill_table(const struct tool_syntax *syntax, struct option *longs, char *shorts)
{
    int count = 0;
    size_t letters = 0;

    shorts[letters++] = ':';
    for (size_t g = 0; g < TOOL_TABLES_MAX && syntax->groups[g].options != NULL; g++) {
        for (const struct tool_option *o = syntax->groups[g].options; o->name != NULL; o++) {
            if (count == TOOL_OPTIONS_MAX) {
                return -1;
            }
            longs[count].name = o->name;
            longs[count].has_arg = o->argument != NULL ? required_argument : no_argument;
            longs[count].flag = NULL;
            longs[count].val = o->key;
            count++;
            if (o->key > ' ' && o->key < 127) {
                shorts[letters++] = (char)o->key;
                if (o->argument != NULL) {
                    shorts[letters++] = ':';
                }
            }
        }
    }
    memset(&longs[count], 0, sizeof(longs[count]));
    shorts[letters] = '\0';
    return count;
}

static const char *name_of_key(const struct option *longs, int count, int key)
{
    for (int i = 0; i < count; i++) {
        if (longs[i].val == key) {
            return longs[i].name;
        }
    }
    return "?";
}

/* Says what getopt_long stumbled over; `key` is its '?' or ':'. */
static int refuse(const struct option *longs, int count, int key, const char *argument)
{
    if (key == ':') {
        return tool_usage_error("--%s needs a value", name_of_key(longs, count, optopt));
    }
    for (int i = 0; i < count; i++) {
        if (optopt != 0 && longs[i].val == optopt && longs[i].has_arg == no_argument) {
            return tool_usage_error("--%s takes no value", longs[i].name);
        }
    }
    return tool_usage_error("unknown option '%s'", argument);
}

int tool_options_parse(const struct tool_syntax *syntax, int argc, char **argv,
                       tool_option_fn handle, void *user)
{
    struct option longs[TOOL_OPTIONS_MAX + 1];
    char shorts[2 * TOOL_OPTIONS_MAX + 2];
    int count = fill_table(syntax, longs, shorts);

    if (count < 0) {
        return tool_usage_error("the table of options is full");
    }
    opterr = 0;
    optind = 0;
    for (;;) {
        int at = optind == 0 ? 1 : optind;
        int key = getopt_long(argc, argv, shorts, longs, NULL);
        if (key == -1) {
            break;
        }
        if (key == '?' || key == ':') {
            const char *argument = optind > 0 && optind <= argc ? argv[optind - 1] : argv[at];
            return refuse(longs, count, key, argument);
        }
        int done = handle(user, key, optarg);
        if (done != 0) {
            return done;
        }
    }
    if (optind < argc) {
        return tool_usage_error("unexpected argument '%s'", argv[optind]);
    }
    return 0;
}

static void print_option(const struct tool_option *option)
{
    char left[80];
    bool letter = option->key > ' ' && option->key < 127;
    const char *line = option->help;
    int width;

    width = snprintf(left, sizeof(left), "  %c%c%s--%s%s%s", letter ? '-' : ' ',
                     letter ? option->key : ' ', letter ? ", " : "  ", option->name,
                     option->argument != NULL ? " " : "",
                     option->argument != NULL ? option->argument : "");
    if (width >= HELP_COLUMN) {
        printf("%s\n%*s", left, HELP_COLUMN, "");
    } else {
        printf("%-*s", HELP_COLUMN, left);
    }
    for (const char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        printf("%.*s\n%*s", (int)(end - line), line, HELP_COLUMN, "");
    }
    puts(line);
}

int tool_options_help(const struct tool_syntax *syntax)
{
    printf("Usage: %s\n\n%s\n", syntax->usage, syntax->about);
    for (size_t g = 0; g < TOOL_TABLES_MAX && syntax->groups[g].options != NULL; g++) {
        printf("\n%s:\n", syntax->groups[g].heading);
        for (const struct tool_option *o = syntax->groups[g].options; o->name != NULL; o++) {
            print_option(o);
        }
    }
    if (syntax->notes != NULL) {
        printf("\n%s\n", syntax->notes);
    }
    return tool_flush_stdout();
}
