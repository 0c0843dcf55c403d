/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See store_images.h. */
#include "store_images.h"

#include "faulty_vfs.h"
#include "orchestrator/store_sqlite.h"
#include "pw_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct store_images store_images;

/* ---- Images ---- */

struct store_bytes store_image_read(const char *suffix)
{
    char path[600];
    struct store_bytes image = {NULL, 0};
    snprintf(path, sizeof(path), "%s%s", store_place_path(&store_images.at), suffix);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    image.len = (size_t)ftell(file);
    rewind(file);
    image.bytes = malloc(image.len);
    assert_non_null(image.bytes);
    assert_int_equal(fread(image.bytes, 1, image.len, file), image.len);
    fclose(file);
    return image;
}

void store_images_remove(void)
{
    static const char *const suffixes[] = {"",     "-wal",       "-shm",       "-lock",
                                           "-new", "-recovered", ".damaged-1", ".damaged-1-wal"};
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        char path[600];
        snprintf(path, sizeof(path), "%s%s", store_place_path(&store_images.at), suffixes[i]);
        unlink(path);
    }
}

void store_image_write(const char *suffix, const struct store_bytes *image)
{
    char path[600];
    snprintf(path, sizeof(path), "%s%s", store_place_path(&store_images.at), suffix);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(image->bytes, 1, image->len, file), image->len);
    fclose(file);
}

int store_images_make(void **state)
{
    (void)state;
    faulty_vfs_register();
    faulty_vfs_pretend_syncs();
    store_place_begin(&store_images.at, &pw_store_sqlite);
    struct pw_store *store = store_place_open(&store_images.at);
    for (unsigned n = 0; n < STORE_IMAGE_MODULES; n++) {
        char name[16];
        snprintf(name, sizeof(name), "n%u", n);
        struct pw_store_change change = {.kind = PW_STORE_PUT, .record = store_record(n, name, 1)};
        if (n % 3 == 0) {
            struct pywatt_capabilities *capabilities = pywatt_capabilities_new();
            pywatt_capabilities_add_message_type(capabilities, name);
            change.record.capabilities = pw_shared_capabilities_new(capabilities);
        }
        if (n == STORE_IMAGE_MODULES - 1) {
            store_images.earlier_log = store_image_read("-wal");
            store_images.earlier_lock = store_image_read("-lock");
        }
        assert_int_equal(store_submit(store, &change), PYWATT_OK);
        store_record_release(&change.record);
    }
    store_images.open_database = store_image_read("");
    store_images.open_log = store_image_read("-wal");
    store_images.open_lock = store_image_read("-lock");
    pw_store_close(store);
    store_images.database = store_image_read("");
    return 0;
}

int store_images_free(void **state)
{
    (void)state;
    free(store_images.database.bytes);
    free(store_images.open_database.bytes);
    free(store_images.open_log.bytes);
    free(store_images.open_lock.bytes);
    free(store_images.earlier_log.bytes);
    free(store_images.earlier_lock.bytes);
    store_place_end(&store_images.at);
    return 0;
}

/* ---- What is shown ---- */

static bool look(void *user, const struct pw_store_record *record)
{
    struct store_shown *shown = user;
    const unsigned n = record->id.bytes[1] * 256u + record->id.bytes[2];
    char name[16];
    snprintf(name, sizeof(name), "n%u", n);
    struct pw_store_record expected = store_record(n < STORE_IMAGE_MODULES ? n : 0, name, 1);
    shown->wrong =
        shown->wrong || n >= STORE_IMAGE_MODULES || shown->seen[n % STORE_IMAGE_MODULES]++ > 0 ||
        !pywatt_uuid_equal(&record->id, &expected.id) ||
        !pywatt_module_info_equal(record->info->info, expected.info->info) ||
        memcmp(record->token_hash, expected.token_hash, sizeof(expected.token_hash)) != 0 ||
        record->generation != 1 || record->lease_ms != expected.lease_ms ||
        (record->capabilities != NULL) != (n % 3 == 0) ||
        (record->capabilities != NULL &&
         strcmp(pywatt_capabilities_message_type(record->capabilities->capabilities, 0), name) !=
             0);
    shown->in_order = shown->in_order && n == shown->count;
    shown->count++;
    store_record_release(&expected);
    return true;
}

bool store_image_open(unsigned seed, struct store_shown *shown)
{
    struct pw_store *store = NULL;
    struct pywatt_error error = {.text = ""};
    uint64_t revision;
    *shown = (struct store_shown){.in_order = true};
    enum pywatt_status status = pw_store_open(store_images.at.url, &store, &error);
    if (status == PYWATT_OK) {
        status = pw_store_list(store, look, shown, &revision, &error);
        pw_store_close(store);
    }
    if (status != PYWATT_OK && (status != PYWATT_IO || strstr(error.text, "store.db") == NULL)) {
        fail_msg("seed %u: %s: '%s'", seed, pywatt_status_name(status), error.text);
    }
    if (shown->wrong) {
        fail_msg("seed %u: a record is shown that nobody put", seed);
    }
    return status == PYWATT_OK;
}

void store_image_recover(unsigned seed)
{
    struct pw_store_salvage salvage;
    struct pywatt_error error;
    struct store_shown shown;
    const enum pywatt_status status = pw_store_recover(store_images.at.url, &salvage, &error);
    if (status != PYWATT_OK) {
        /* Its first page may say that it is newer; without tables or rows it may be anybody's. */
        if (status != PYWATT_IO || (strstr(error.text, "none of an orchestrator") == NULL &&
                                    strstr(error.text, "newer") == NULL &&
                                    strstr(error.text, "no module is found") == NULL)) {
            fail_msg("seed %u: not recovered: %s", seed, error.text);
        }
    } else if (!store_image_open(seed, &shown) || shown.count != salvage.kept) {
        fail_msg("seed %u: %u of %u modules that were kept are shown", seed, shown.count,
                 (unsigned)salvage.kept);
    }
}

void store_images_write_open(const struct store_bytes *log, const struct store_bytes *lock)
{
    store_images_remove();
    store_image_write("", &store_images.open_database);
    store_image_write("-wal", log);
    if (lock != NULL) {
        store_image_write("-lock", lock);
    }
}

void store_image_expect_unchanged(unsigned seed, const char *suffix,
                                  const struct store_bytes *before)
{
    struct store_bytes now = store_image_read(suffix);
    if (now.len != before->len || memcmp(now.bytes, before->bytes, now.len) != 0) {
        fail_msg("seed %u: it was refused, and PATH%s was changed", seed, suffix);
    }
    free(now.bytes);
}

struct store_bytes store_image_copy(const struct store_bytes *from)
{
    struct store_bytes image = {malloc(from->len), from->len};
    assert_non_null(image.bytes);
    memcpy(image.bytes, from->bytes, from->len);
    return image;
}
