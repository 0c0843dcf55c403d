/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * store.c - a sqlite store whose files were damaged: it is refused with words that name the file, or
 * it shows exactly what was in it after one of the changes that were made; if it was closed in order,
 * the last one. What is refused for damage can be recovered, and then only records are in it that
 * were put. What is opened takes another record, and has it when it is opened again.
 *
 * The input: which image, and whether a record is put; then the damage, a row of pieces: which file and
 * how, three bytes where (in the file, or among its bytes that are not 0), and more as that needs.
 */
#include "fuzz.h"
#include "store_image.h"

#include <string.h>
#include <unistd.h>

/* ---- Damage ---- */

static size_t somewhere(struct fuzz_input *input, size_t len)
{
    const size_t high = fuzz_byte(input);
    return (high << 16 | fuzz_two_bytes(input)) % len;
}

static size_t at_most(size_t len, size_t most)
{
    return len < most ? len : most;
}

/* Most of a file is empty: a byte that is not. */
static size_t somewhere_used(struct fuzz_input *input, const struct store_bytes *bytes)
{
    size_t used = 0;
    for (size_t i = 0; i < bytes->len; i++) {
        used += bytes->data[i] != 0;
    }
    size_t left = used == 0 ? 0 : somewhere(input, used);
    size_t at = 0;
    while (at + 1 < bytes->len && (bytes->data[at] == 0 || left-- > 0)) {
        at++;
    }
    return at;
}

static void damage(struct fuzz_input *input, const struct store_bytes *original,
                   struct store_bytes *bytes, uint8_t code)
{
    const unsigned kind = code / 2 % 7;
    const size_t at = code & 64 ? somewhere_used(input, bytes) : somewhere(input, bytes->len);
    const size_t behind = bytes->len - at;
    switch (kind) {
    case 0: bytes->data[at] ^= (uint8_t)(1u << fuzz_byte(input) % 8); break;
    case 1: bytes->data[at] = fuzz_byte(input); break;
    case 2:
        for (size_t n = at_most(fuzz_byte(input) % 16u + 1, behind), i = 0; i < n; i++) {
            bytes->data[at + i] = fuzz_byte(input);
        }
        break;
    case 3: memset(bytes->data + at, 0, at_most(fuzz_two_bytes(input), behind)); break;
    case 4: bytes->len = at > 0 ? at : 1; break; /* cut short */
    case 5: /* a page that was written to another place, or at another time */
    {
        const size_t page = 4096;
        const size_t to = at / page * page;
        const size_t from = somewhere(input, original->len) / page * page;
        memcpy(bytes->data + to, original->data + from,
               at_most(page, at_most(bytes->len - to, original->len - from)));
        break;
    }
    default: /* a few bytes of another place */
    {
        const size_t from = somewhere(input, original->len);
        memcpy(bytes->data + at, original->data + from,
               at_most(fuzz_byte(input), at_most(behind, original->len - from)));
        break;
    }
    }
}

static struct store_bytes copy(const struct store_bytes *bytes)
{
    struct store_bytes made = {malloc(bytes->len + 1), bytes->len};
    FUZZ_CHECK(made.data != NULL, "no memory");
    if (bytes->len > 0) {
        memcpy(made.data, bytes->data, bytes->len);
    }
    return made;
}

static void write_file(const char *suffix, struct store_bytes bytes)
{
    char path[256];
    snprintf(path, sizeof(path), "%s%s", store_images()->path, suffix);
    FILE *const file = fopen(path, "wb");
    FUZZ_CHECK(file != NULL && fwrite(bytes.data, 1, bytes.len, file) == bytes.len, "%s", path);
    fclose(file);
}

static void write_damaged(struct fuzz_input *input, const struct store_image *image)
{
    struct store_bytes database = copy(&image->database);
    struct store_bytes log = copy(&image->log);
    while (fuzz_left(input)) {
        const uint8_t code = fuzz_byte(input);
        if (code % 2 == 0) {
            damage(input, &image->database, &database, code);
        } else if (log.len > 0) {
            damage(input, &image->log, &log, code);
        }
    }
    write_file("", database);
    if (log.len > 0) {
        write_file("-wal", log);
    }
    free(database.data);
    free(log.data);
}

/* ---- What is shown ---- */

struct shown {
    struct store_state state;
    unsigned count;
};

static bool same_capabilities(const struct pw_shared_capabilities *a,
                              const struct pw_shared_capabilities *b)
{
    return a == NULL || b == NULL ? a == b
                                  : pywatt_capabilities_equal(a->capabilities, b->capabilities);
}

/* It is one that was put, whenever. */
static bool look(void *user, const struct pw_store_record *record)
{
    struct shown *const shown = user;
    const unsigned n = record->id.bytes[1];
    FUZZ_CHECK(n <= STORE_NEWCOMER && record->generation > 0 && record->generation < 16,
               "module %u of generation %llu", n, (unsigned long long)record->generation);
    struct pw_store_record known = store_image_record(n, record->generation);
    FUZZ_CHECK(pywatt_uuid_equal(&record->id, &known.id) &&
                   pywatt_module_info_equal(record->info->info, known.info->info) &&
                   same_capabilities(record->capabilities, known.capabilities) &&
                   record->lease_ms == known.lease_ms &&
                   memcmp(record->token_hash, known.token_hash, PW_TOKEN_HASH_SIZE) == 0,
               "module %u is shown as it never was", n);
    store_image_release(&known);
    FUZZ_CHECK(shown->state.generations[n] == 0, "module %u is shown twice", n);
    shown->state.generations[n] = record->generation;
    shown->count++;
    return true;
}

/* Refused with words, or shown. */
static enum pywatt_status open_and_list(struct pw_store **store, struct shown *shown)
{
    struct pywatt_error error = {.text = ""};
    uint64_t revision;
    *shown = (struct shown){.count = 0};
    *store = NULL;
    enum pywatt_status status = pw_store_open(store_images()->url, store, &error);
    if (status == PYWATT_OK) {
        status = pw_store_list(*store, look, shown, &revision, &error);
        if (status != PYWATT_OK) {
            pw_store_close(*store);
        }
    }
    FUZZ_CHECK(status == PYWATT_OK || (status == PYWATT_IO && strstr(error.text, "store.db")),
               "%s: '%s'", pywatt_status_name(status), error.text);
    return status;
}

static bool is_state_between(const struct store_image *image, const struct store_state *state)
{
    for (unsigned i = image->first; i <= image->last; i++) {
        if (memcmp(state, &store_images()->states[i], sizeof(*state)) == 0) {
            return true;
        }
    }
    return false;
}

static void recover(void)
{
    struct pw_store_salvage salvage;
    struct pywatt_error error;
    struct pw_store *store;
    struct shown shown;
    const enum pywatt_status status = pw_store_recover(store_images()->url, &salvage, &error);
    if (status != PYWATT_OK) {
        /* Its first page may say that it is something else's, or newer; or no row is left. */
        FUZZ_CHECK(status == PYWATT_IO && (strstr(error.text, "none of an orchestrator") != NULL ||
                                           strstr(error.text, "newer") != NULL ||
                                           strstr(error.text, "no module is found") != NULL),
                   "not recovered: %s", error.text);
        return;
    }
    FUZZ_CHECK(open_and_list(&store, &shown) == PYWATT_OK && shown.count == salvage.kept,
               "%u of %llu records were kept", shown.count, (unsigned long long)salvage.kept);
    pw_store_close(store);
}

/* Damage that nobody saw may be met later: then it is told. */
static void put_another(struct pw_store *store, struct shown *shown)
{
    const enum pywatt_status status = store_image_put(store, STORE_NEWCOMER, 1, 0);
    pw_store_close(store);
    FUZZ_CHECK(status == PYWATT_OK || status == PYWATT_IO, "%s", pywatt_status_name(status));
    shown->state.generations[STORE_NEWCOMER] = status == PYWATT_OK ? 1 : 0;
    struct pw_store *again;
    struct shown then;
    if (open_and_list(&again, &then) == PYWATT_OK) {
        FUZZ_CHECK(status != PYWATT_OK ||
                       memcmp(&then.state, &shown->state, sizeof(then.state)) == 0,
                   "something else is there after a record was put");
        pw_store_close(again);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, data + size};
    const struct store_images *const images = store_images();
    const uint8_t how = fuzz_byte(&input);
    const struct store_image *const image = how % 2 == 0 ? &images->closed : &images->killed;
    struct pw_store *store;
    struct shown shown;
    write_damaged(&input, image);
    if (open_and_list(&store, &shown) != PYWATT_OK) {
        recover();
    } else {
        FUZZ_CHECK(is_state_between(image, &shown.state), "what is shown was never in it");
        if (how / 2 % 2 == 1) {
            put_another(store, &shown);
        } else {
            pw_store_close(store);
        }
    }
    store_image_clean();
    return 0;
}
