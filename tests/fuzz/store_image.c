/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * store_image.c - see store_image.h. The store tells in a thread of its own that a change is made: a
 * semaphore waits for that.
 */
#include "store_image.h"

#include "fuzz.h"

#include <dirent.h>
#include <semaphore.h>
#include <string.h>
#include <unistd.h>

static struct store_images images;

/* ---- The folder ---- */

void store_image_clean(void)
{
    DIR *const folder = opendir(images.folder);
    const struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] != '.') {
            unlinkat(dirfd(folder), entry->d_name, 0);
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
}

static void remove_folder(void)
{
    store_image_clean();
    rmdir(images.folder);
}

/* Where run-fuzzers says, which then tidies up behind who crashes; else in memory, if it can be. */
static void make_folder(void)
{
    const char *const told = getenv("PYWATT_FUZZ_FOLDER");
    const char *const usual = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(images.folder, sizeof(images.folder), "%s/pywatt-fuzz-XXXXXX",
             told != NULL ? told : usual);
    FUZZ_CHECK(mkdtemp(images.folder) != NULL, "%s cannot be made", images.folder);
    atexit(remove_folder);
    snprintf(images.path, sizeof(images.path), "%s/store.db", images.folder);
    snprintf(images.url, sizeof(images.url), "sqlite:%s", images.path);
}

static struct store_bytes read_file(const char *suffix)
{
    char path[256];
    struct store_bytes bytes = {NULL, 0};
    snprintf(path, sizeof(path), "%s%s", images.path, suffix);
    FILE *const file = fopen(path, "rb");
    if (file == NULL) {
        return bytes;
    }
    fseek(file, 0, SEEK_END);
    bytes.len = (size_t)ftell(file);
    rewind(file);
    bytes.data = malloc(bytes.len + 1);
    FUZZ_CHECK(bytes.data != NULL && fread(bytes.data, 1, bytes.len, file) == bytes.len, "%s",
               path);
    fclose(file);
    return bytes;
}

/* ---- Records and changes ---- */

struct pw_store_record store_image_record(unsigned n, uint64_t generation)
{
    char name[16];
    struct pywatt_module_info *info = NULL;
    snprintf(name, sizeof(name), "m%u.%u", n, (unsigned)(generation / 3));
    FUZZ_CHECK(pywatt_module_info_new(name, "1", "d", &info) == PYWATT_OK, "%s", name);
    struct pw_store_record record = {.id = {.bytes = {0x33, (uint8_t)n}},
                                     .info = pw_shared_info_new(info),
                                     .generation = generation,
                                     .lease_ms = 1000 + n};
    memset(record.token_hash, (int)(n * 16 + generation), sizeof(record.token_hash));
    if ((n + generation) % 3 == 0) {
        struct pywatt_capabilities *const capabilities = pywatt_capabilities_new();
        pywatt_capabilities_add_message_type(capabilities, name);
        record.capabilities = pw_shared_capabilities_new(capabilities);
    }
    return record;
}

void store_image_release(struct pw_store_record *record)
{
    pw_shared_info_release(record->info);
    pw_shared_capabilities_release(record->capabilities);
}

struct outcome {
    sem_t told;
    enum pywatt_status status;
};

static void keep(void *user, enum pywatt_status status)
{
    struct outcome *const outcome = user;
    outcome->status = status;
    sem_post(&outcome->told);
}

static enum pywatt_status submit(struct pw_store *store, const struct pw_store_change *change)
{
    struct outcome outcome;
    sem_init(&outcome.told, 0, 0);
    pw_store_submit(store, change, keep, &outcome);
    while (sem_wait(&outcome.told) != 0) {
    }
    sem_destroy(&outcome.told);
    return outcome.status;
}

enum pywatt_status store_image_put(struct pw_store *store, unsigned n, uint64_t generation,
                                   uint64_t expected)
{
    struct pw_store_change change = {.kind = PW_STORE_PUT,
                                     .record = store_image_record(n, generation),
                                     .expected_generation = expected};
    const enum pywatt_status status = submit(store, &change);
    store_image_release(&change.record);
    return status;
}

/* ---- The images ---- */

static void change(struct pw_store *store, unsigned *at, unsigned n, bool remove)
{
    const struct store_state *const before = &images.states[*at];
    struct store_state *const after = &images.states[++*at];
    const uint64_t generation = before->generations[n];
    const struct pw_store_change removal = {.kind = PW_STORE_REMOVE,
                                            .record = {.id = {.bytes = {0x33, (uint8_t)n}}},
                                            .expected_generation = generation};
    *after = *before;
    after->generations[n] = remove ? 0 : generation + 1;
    const enum pywatt_status status =
        remove ? submit(store, &removal) : store_image_put(store, n, generation + 1, generation);
    FUZZ_CHECK(status == PYWATT_OK, "change %u: %s", *at, pywatt_status_name(status));
}

static struct pw_store *open_store(void)
{
    struct pw_store *store = NULL;
    struct pywatt_error error;
    FUZZ_CHECK(pw_store_open(images.url, &store, &error) == PYWATT_OK, "%s", error.text);
    return store;
}

static void make_images(void)
{
    unsigned at = 0;
    struct pw_store *store = open_store();
    for (unsigned i = 0; i < 2 * STORE_MODULES; i++) {
        change(store, &at, i * 3 % STORE_MODULES, false);
    }
    change(store, &at, 2, true);
    pw_store_close(store);
    images.closed = (struct store_image){.database = read_file(""), .first = at, .last = at};

    store = open_store();
    images.killed.first = at;
    for (unsigned i = 0; i < STORE_MODULES; i++) {
        change(store, &at, i, false);
    }
    change(store, &at, 5, true);
    change(store, &at, 2, false);
    images.killed.database = read_file("");
    images.killed.log = read_file("-wal");
    images.killed.last = at;
    pw_store_close(store);
    store_image_clean();
}

const struct store_images *store_images(void)
{
    if (images.folder[0] == '\0') {
        make_folder();
        make_images();
    }
    return &images;
}
