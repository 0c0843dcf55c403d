/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See results.h. */
#include "support/results.h"

#include "support/bars.h"
#include "support/check.h"
#include "support/folder.h"
#include "support/progress.h"
#include "support/table.h"

#include <math.h>
#include <string.h>

#define RUNS_MAX 1000

struct result {
    char *metric;
    char *unit;
    char *peer;    /* NULL: none */
    char *skipped; /* why; NULL: it was not */
    double *values;
    double *peer_values;
    unsigned runs;
};

struct bench_results {
    const struct bench_settings *settings;
    struct result *results;
    size_t count;
};

/* What is said of a result. */
struct summary {
    double value;
    double peer_value;
    double ratio;
    const struct bench_bar *bar;
    bool judged; /* there is a bar, and a measurement, which what --quick does is not */
    bool bar_met;
    char bar_text[48];
};

struct bench_results *bench_results_new(const struct bench_settings *settings)
{
    struct bench_results *results = calloc(1, sizeof(*results));

    bench_check(results != NULL, "out of memory");
    results->settings = settings;
    return results;
}

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static char *copy(const char *text)
{
    char *copied = text != NULL ? strdup(text) : NULL;

    bench_check(text == NULL || copied != NULL, "out of memory");
    return copied;
}

static struct result *find_or_add(struct bench_results *results, const char *metric,
                                  const char *unit, const char *peer)
{
    for (size_t i = 0; i < results->count; i++) {
        struct result *result = &results->results[i];
        if (same(result->metric, metric) && same(result->peer, peer)) {
            return result;
        }
    }
    results->results = realloc(results->results, (results->count + 1) * sizeof(*results->results));
    bench_check(results->results != NULL, "out of memory");
    struct result *result = &results->results[results->count++];
    *result = (struct result){copy(metric), copy(unit), copy(peer), NULL, NULL, NULL, 0};
    return result;
}

static void add(struct bench_results *results, const char *metric, const char *unit, double value,
                const char *peer, double peer_value)
{
    struct result *result = find_or_add(results, metric, unit, peer);
    size_t size = (result->runs + 1) * sizeof(double);

    bench_check(isfinite(value) && isfinite(peer_value), "%s: no number", metric);
    bench_check(result->runs < RUNS_MAX, "%s: too many runs", metric);
    result->values = realloc(result->values, size);
    result->peer_values = realloc(result->peer_values, size);
    bench_check(result->values != NULL && result->peer_values != NULL, "out of memory");
    result->values[result->runs] = value;
    result->peer_values[result->runs] = peer_value;
    result->runs++;
}

void bench_results_add(struct bench_results *results, const char *metric, const char *unit,
                       double value)
{
    add(results, metric, unit, value, NULL, 0);
}

void bench_results_against(struct bench_results *results, const char *metric, const char *unit,
                           double value, const char *peer, double peer_value)
{
    bench_check(peer_value > 0, "%s: %s reached nothing", metric, peer);
    add(results, metric, unit, value, peer, peer_value);
}

void bench_results_skip(struct bench_results *results, const char *metric, const char *peer,
                        const char *why)
{
    struct result *result = find_or_add(results, metric, "", peer);

    free(result->skipped);
    result->skipped = copy(why);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return x < y ? -1 : x > y;
}

double bench_median(double *values, unsigned count)
{
    if (count == 0) {
        return 0;
    }
    qsort(values, count, sizeof(values[0]), compare);
    unsigned middle = count / 2;
    return count % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

static double median_of(const double *values, const double *divisors, unsigned count)
{
    double some[RUNS_MAX];

    for (unsigned i = 0; i < count; i++) {
        some[i] = divisors != NULL ? values[i] / divisors[i] : values[i];
    }
    return bench_median(some, count);
}

static void summarise(const struct bench_settings *settings, const struct result *result,
                      struct summary *summary)
{
    *summary = (struct summary){.value = 0};
    summary->bar = bench_bar_find(settings->subject, result->metric, result->peer);
    summary->value = median_of(result->values, NULL, result->runs);
    if (result->peer != NULL) {
        summary->peer_value = median_of(result->peer_values, NULL, result->runs);
        summary->ratio = median_of(result->values, result->peer_values, result->runs);
    }
    if (summary->bar != NULL) {
        summary->judged = result->skipped == NULL && !settings->quick;
        summary->bar_met = bench_bar_met(summary->bar, summary->value, summary->ratio);
        bench_bar_text(summary->bar, summary->bar_text, sizeof(summary->bar_text));
    }
}

/* ---- Writing -------------------------------------------------------------------------------- */

/* A number as people read it: at least three digits, no more than they can use. */
static const char *number(char out[32], double value)
{
    double size = fabs(value);
    int digits = size == 0 || size >= 1000 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 4;

    snprintf(out, 32, "%.*f", digits, value);
    return out;
}

static void json_text(FILE *file, const char *key, const char *text)
{
    fprintf(file, "\"%s\": ", key);
    if (text == NULL) {
        fputs("null", file);
        return;
    }
    fputc('"', file);
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\') {
            fputc('\\', file);
        }
        fputc((unsigned char)*at < ' ' ? ' ' : *at, file);
    }
    fputc('"', file);
}

static void json_number(FILE *file, const char *key, bool known, double value)
{
    if (known) {
        fprintf(file, ", \"%s\": %.10g", key, value);
    } else {
        fprintf(file, ", \"%s\": null", key);
    }
}

static void write_json(FILE *file, const char *subject, const struct result *result,
                       const struct summary *summary)
{
    bool measured = result->skipped == NULL;

    fputc('{', file);
    json_text(file, "subject", subject);
    fputs(", ", file);
    json_text(file, "metric", result->metric);
    json_number(file, "value", measured, summary->value);
    fputs(", ", file);
    json_text(file, "unit", result->unit);
    fputs(", ", file);
    json_text(file, "peer", result->peer);
    json_number(file, "peer_value", measured && result->peer != NULL, summary->peer_value);
    json_number(file, "ratio", measured && result->peer != NULL, summary->ratio);
    fputs(", ", file);
    json_text(file, "bar", summary->bar != NULL ? summary->bar_text : NULL);
    fprintf(file, ", \"bar_met\": %s, \"runs\": [",
            !summary->judged   ? "null"
            : summary->bar_met ? "true"
                               : "false");
    for (unsigned i = 0; i < result->runs; i++) {
        fprintf(file, "%s%.10g", i == 0 ? "" : ", ", result->values[i]);
    }
    fputc(']', file);
    if (!measured) {
        fputs(", ", file);
        json_text(file, "skipped", result->skipped);
    }
    fputs("}\n", file);
}

static const char *verdict(const struct result *result, const struct summary *summary)
{
    return result->skipped != NULL ? "skipped"
           : !summary->judged      ? ""
           : summary->bar_met      ? "met"
                                   : "MISSED";
}

static void write_markdown(FILE *file, const char *subject, const struct result *result,
                           const struct summary *summary)
{
    char value[32];
    char peer_value[32];
    char ratio[32];

    if (result->skipped != NULL) {
        fprintf(file, "| %s | %s | | | %s: skipped, %s | | | %s | |\n", subject, result->metric,
                result->peer, result->skipped, summary->bar_text);
        return;
    }
    bool peer = result->peer != NULL;
    fprintf(file, "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", subject, result->metric,
            number(value, summary->value), result->unit, peer ? result->peer : "",
            peer ? number(peer_value, summary->peer_value) : "",
            peer ? number(ratio, summary->ratio) : "", summary->bar_text, verdict(result, summary));
}

static void print_row(struct bench_table *table, const struct result *result,
                      const struct summary *summary)
{
    char text[32];
    bool peer = result->peer != NULL && result->skipped == NULL;

    bench_table_cell(table, "%s", result->metric);
    bench_table_cell(table, "%s", result->skipped != NULL ? "-" : number(text, summary->value));
    bench_table_cell(table, "%s", result->unit);
    bench_table_cell(table, "%s", result->peer != NULL ? result->peer : "");
    bench_table_cell(table, "%s", peer ? number(text, summary->peer_value) : "");
    bench_table_cell(table, "%s", peer ? number(text, summary->ratio) : "");
    bench_table_cell(table, "%s", summary->bar_text);
    bench_table_cell(table, "%s", verdict(result, summary));
}

static FILE *open_part(const struct bench_settings *settings, const char *ending)
{
    char name[64];

    if (settings->out == NULL) {
        return NULL;
    }
    snprintf(name, sizeof(name), "%s.%s", settings->subject, ending);
    return bench_folder_file(settings->out, "parts", name);
}

static void close_part(FILE *file)
{
    bench_check(file == NULL || fclose(file) == 0, "the results cannot be written");
}

static void free_result(struct result *result)
{
    free(result->metric);
    free(result->unit);
    free(result->peer);
    free(result->skipped);
    free(result->values);
    free(result->peer_values);
}

int bench_results_finish(struct bench_results *results)
{
    static const char *const headings[] = {"metric", "value", "unit", "peer",
                                           "peer's", "ratio", "bar",  ""};
    const struct bench_settings *settings = results->settings;
    struct bench_table *table = bench_table_new(headings, 8, 1);
    FILE *json = open_part(settings, "json");
    FILE *markdown = open_part(settings, "md");

    bench_progress_end();
    for (size_t i = 0; i < results->count; i++) {
        struct result *result = &results->results[i];
        struct summary summary;
        summarise(settings, result, &summary);
        print_row(table, result, &summary);
        if (json != NULL) {
            write_json(json, settings->subject, result, &summary);
            write_markdown(markdown, settings->subject, result, &summary);
        }
    }
    bench_table_print(table);
    for (size_t i = 0; i < results->count; i++) {
        if (results->results[i].skipped != NULL) {
            printf("skipped: %s, %s\n", results->results[i].peer, results->results[i].skipped);
        }
    }
    close_part(json);
    close_part(markdown);
    for (size_t i = 0; i < results->count; i++) {
        free_result(&results->results[i]);
    }
    free(results->results);
    free(results);
    return fflush(stdout) == 0 ? 0 : 1;
}
