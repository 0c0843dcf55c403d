/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See store_file.h. */
#include "store_file.h"

#include "orchestrator/store_sqlite.h"
#include "pw_test.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void store_file_begin(struct store_place *place)
{
    store_place_begin(place, &pw_store_sqlite);
}

void store_file_path(const struct store_place *place, const char *suffix, char out[600])
{
    snprintf(out, 600, "%s%s", store_place_path(place), suffix);
}

bool store_file_is_there(const struct store_place *place, const char *suffix)
{
    char path[600];
    store_file_path(place, suffix, path);
    return access(path, F_OK) == 0;
}

void store_file_write(const struct store_place *place, const char *suffix, const char *bytes,
                      size_t len)
{
    char path[600];
    store_file_path(place, suffix, path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    fclose(file);
}

int store_file_run_sql(const struct store_place *place, const char *sql)
{
    sqlite3 *handle = NULL;
    assert_int_equal(sqlite3_open(store_place_path(place), &handle), SQLITE_OK);
    const int result = sqlite3_exec(handle, sql, NULL, NULL, NULL);
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);
    return result;
}

void store_file_expect_refused(const struct store_place *place, const char *words)
{
    struct pw_store *store = NULL;
    struct pywatt_error error = {.text = ""};
    assert_int_equal(pw_store_open(place->url, &store, &error), PYWATT_IO);
    if (strstr(error.text, words) == NULL || strstr(error.text, "store.db") == NULL) {
        fail_msg("'%s' has no '%s'", error.text, words);
    }
}

void store_file_fill(const struct store_place *place, unsigned count)
{
    struct pw_store *store = store_place_open(place);
    for (unsigned n = 1; n <= count; n++) {
        char name[16];
        snprintf(name, sizeof(name), "n%u", n);
        assert_int_equal(store_put(store, n, name, 0), PYWATT_OK);
    }
    pw_store_close(store);
}
