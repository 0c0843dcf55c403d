/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See series.h. */
#include "support/series.h"

#include "support/check.h"
#include "support/folder.h"

#include <math.h>
#include <stdarg.h>

struct bench_series {
    FILE *file;
};

struct bench_series *bench_series_new(const struct bench_settings *settings, const char *name,
                                      const char *heading)
{
    char file[128];

    if (settings->out == NULL) {
        return NULL;
    }
    struct bench_series *series = calloc(1, sizeof(*series));
    bench_check(series != NULL, "out of memory");
    snprintf(file, sizeof(file), "%s.dat", name);
    series->file = bench_folder_file(settings->out, "data", file);
    fprintf(series->file, "# %s\n", heading);
    return series;
}

void bench_series_line(struct bench_series *series, const char *format, ...)
{
    va_list arguments;

    if (series != NULL) {
        va_start(arguments, format);
        vfprintf(series->file, format, arguments);
        va_end(arguments);
        fputc('\n', series->file);
    }
}

void bench_series_end(struct bench_series *series)
{
    if (series != NULL) {
        bench_check(fclose(series->file) == 0, "the data of a plot cannot be written");
        free(series);
    }
}

void bench_series_distribution(const struct bench_settings *settings, const char *name,
                               const struct bench_histogram *histogram, uint64_t expected,
                               double unit)
{
    struct bench_series *series =
        bench_series_new(settings, name, "1/(1-quantile) measured corrected");

    if (series == NULL) {
        return;
    }
    if (expected == 0) {
        expected = bench_histogram_at(histogram, BENCH_P50);
    }
    struct bench_histogram *corrected = bench_histogram_corrected(histogram, expected);
    /* Ten points for each tenfold step: 1, 1.26, ... 10,000. */
    for (int i = 0; i <= 40; i++) {
        double inverse = pow(10, i / 10.0);
        unsigned per_million = (unsigned)lround((1 - 1 / inverse) * 1e6);
        bench_series_line(series, "%.4f %.3f %.3f", inverse,
                          (double)bench_histogram_at(histogram, per_million) / unit,
                          (double)bench_histogram_at(corrected, per_million) / unit);
    }
    free(corrected);
    bench_series_end(series);
}
