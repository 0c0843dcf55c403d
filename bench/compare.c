/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * compare: two reports of scripts/bench side by side. Where there is a peer, the ratios are compared,
 * which another machine or another day change less; else the values. A change up to the threshold
 * is called noise. One thread.
 */
#include "common/options.h"
#include "common/parse.h"
#include "common/report.h"
#include "support/table.h"

#include <cjson/cJSON.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOISE_PERCENT 10
#define EXIT_WORSE 3

enum key {
    KEY_NOISE = 256
};

static const struct tool_option options[] = {
    {"noise", KEY_NOISE, "PERCENT", "changes up to this are noise (default 10)"},
    {"help", 'h', NULL, "print this and end"},
    {NULL, 0, NULL, NULL},
};

static const struct tool_syntax syntax = {
    .usage = "bench/compare [--noise PERCENT] BEFORE.json AFTER.json",
    .about = "Sets two reports of scripts/bench side by side.",
    .groups = {{"Options", options}},
    .notes = "Ends with 0, or with 3 if something became worse by more than the threshold.",
};

struct settings {
    uint32_t noise_percent;
    bool help;
};

static int set(void *user, int key, const char *value)
{
    struct settings *settings = user;

    if (key == KEY_NOISE) {
        return tool_parse_u32("noise", value, 0, 1000, &settings->noise_percent);
    }
    settings->help = true;
    return 0;
}

/* ---- Reading -------------------------------------------------------------------------------- */

static char *read_all(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t len = 0;

    if (file == NULL) {
        return NULL;
    }
    for (size_t room = 65536;; room *= 2) {
        char *more = realloc(text, room);
        if (more == NULL) {
            break;
        }
        text = more;
        len += fread(text + len, 1, room - 1 - len, file);
        if (len < room - 1) {
            text[len] = '\0';
            fclose(file);
            return text;
        }
    }
    fclose(file);
    free(text);
    return NULL;
}

/* A list, or NULL after it has been said why not. */
static cJSON *read_report(const char *path)
{
    char *text = read_all(path);
    cJSON *report = text != NULL ? cJSON_Parse(text) : NULL;

    free(text);
    if (!cJSON_IsArray(report)) {
        tool_fail(TOOL_EXIT_OTHER, PYWATT_IO, "%s: no report of scripts/bench", path);
        cJSON_Delete(report);
        return NULL;
    }
    return report;
}

/* A text of a result; "" if it is null or not there. */
static const char *text_of(const cJSON *result, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(result, key);
    return cJSON_IsString(item) ? item->valuestring : "";
}

/* A number of a result; NaN if it is null or not there. */
static double number_of(const cJSON *result, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(result, key);
    return cJSON_IsNumber(item) ? item->valuedouble : (double)NAN;
}

static const cJSON *find(const cJSON *report, const cJSON *wanted)
{
    const cJSON *result = NULL;

    cJSON_ArrayForEach(result, report)
    {
        if (strcmp(text_of(result, "subject"), text_of(wanted, "subject")) == 0 &&
            strcmp(text_of(result, "metric"), text_of(wanted, "metric")) == 0 &&
            strcmp(text_of(result, "peer"), text_of(wanted, "peer")) == 0) {
            return result;
        }
    }
    return NULL;
}

/* ---- Judging -------------------------------------------------------------------------------- */

/* What counts of a result: its ratio if it has one. */
static double figure_of(const cJSON *result)
{
    const double ratio = number_of(result, "ratio");
    return isnan(ratio) ? number_of(result, "value") : ratio;
}

/* Rates are the better the larger; times, sizes and counts the smaller. */
static bool larger_is_better(const cJSON *result)
{
    const char *unit = text_of(result, "unit");
    const size_t len = strlen(unit);
    return len >= 2 && strcmp(unit + len - 2, "/s") == 0;
}

static void cell_of(struct bench_table *table, double figure)
{
    if (isnan(figure)) {
        bench_table_cell(table, "-");
    } else {
        bench_table_cell(table, "%.4g", figure);
    }
}

/* Adds a row; true if it is a change for the worse. */
static bool compare(struct bench_table *table, const cJSON *before, const cJSON *after,
                    double noise_percent)
{
    const cJSON *any = before != NULL ? before : after;
    const double old = before != NULL ? figure_of(before) : (double)NAN;
    const double new = after != NULL ? figure_of(after) : (double)NAN;
    /* From nothing to something is no percentage, but a change. */
    const double change = old == new ? 0 : (new - old) / fabs(old) * 100;
    const char *verdict = "same within noise";
    bool worse = false;

    if (isnan(old) || isnan(new)) {
        verdict = isnan(old) && isnan(new) ? "not measured"
                  : isnan(old)             ? "only after"
                                           : "only before";
    } else if (fabs(change) > noise_percent) {
        worse = (new < old) == larger_is_better(any);
        verdict = worse ? "WORSE" : "better";
    }
    bench_table_cell(table, "%s", text_of(any, "subject"));
    bench_table_cell(table, "%s", text_of(any, "metric"));
    bench_table_cell(table, "%s", text_of(any, "peer"));
    cell_of(table, old);
    cell_of(table, new);
    bench_table_cell(table, "%s", text_of(any, "peer")[0] != '\0' ? "ratio" : text_of(any, "unit"));
    if (isnan(change) || isinf(change)) {
        bench_table_cell(table, "-");
    } else {
        bench_table_cell(table, "%+.1f %%", change);
    }
    bench_table_cell(table, "%s", verdict);
    return worse;
}

static unsigned compare_all(const cJSON *before, const cJSON *after, double noise_percent)
{
    static const char *const headings[] = {"subject", "metric", "peer",   "before",
                                           "after",   "",       "change", ""};
    struct bench_table *table = bench_table_new(headings, 8, 3);
    const cJSON *result = NULL;
    unsigned worse = 0;

    cJSON_ArrayForEach(result, before)
    {
        worse += compare(table, result, find(after, result), noise_percent) ? 1 : 0;
    }
    cJSON_ArrayForEach(result, after)
    {
        if (find(before, result) == NULL) {
            compare(table, NULL, result, noise_percent);
        }
    }
    bench_table_print(table);
    return worse;
}

int main(int argc, char **argv)
{
    struct settings settings = {.noise_percent = NOISE_PERCENT};
    int code = TOOL_EXIT_OTHER;

    tool_report_init("compare", NULL);
    const int files = argc - 2;
    int bad = tool_options_parse(&syntax, files > 0 && argv[files][0] != '-' ? files : argc, argv,
                                 set, &settings);
    if (bad != 0 || settings.help) {
        return bad != 0 ? bad : tool_options_help(&syntax);
    }
    if (files < 1 || argv[files][0] == '-') {
        return tool_usage_error("two reports are needed");
    }
    cJSON *before = read_report(argv[files]);
    cJSON *after = read_report(argv[files + 1]);
    if (before != NULL && after != NULL) {
        const unsigned worse = compare_all(before, after, settings.noise_percent);
        printf("\nnoise threshold: %u %%; worse by more than that: %u\n", settings.noise_percent,
               worse);
        code = worse > 0 ? EXIT_WORSE : TOOL_EXIT_OK;
    }
    cJSON_Delete(before);
    cJSON_Delete(after);
    return tool_flush_stdout() != 0 ? TOOL_EXIT_OTHER : code;
}
