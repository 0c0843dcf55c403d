/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The sqlite store when the power goes, at each moment of its life: all that it does to its files is
 * recorded, and played back up to there. What was synced is there. Of what was not, everything may have
 * come to the disk, nothing, or any of its sectors, since neither the system nor the disk keeps an
 * order. The store opens from all of that, shows what had been answered, and what was under way shows
 * wholly or not at all.
 *
 * PYWATT_TEST_SEEDS says how often sectors are chosen for each moment. The recorder is called by the
 * writer thread of the store while the main thread waits for it.
 */
#include "faulty_vfs.h"
#include "pw_test.h"
#include "store_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    EVENTS_MAX = 4096,
    CHANGES_MAX = 64,
    SECTOR = 512,
    SEEDS = 2
};

/* ---- The record ---- */

struct event {
    struct vfs_event vfs;
    bool log;         /* of the log, and not the database */
    unsigned changes; /* how many had been answered */
};

struct image {
    uint8_t *bytes;
    size_t len;
    bool there;
};

static struct store_place at;
static struct event events[EVENTS_MAX];
static size_t event_count;
static unsigned changes;
static char shown[CHANGES_MAX][4096]; /* after so many changes */
static char answered[CHANGES_MAX][64];
static struct image beginning; /* the database; there is no log */

static void keep(const struct vfs_event *event)
{
    const char *path = store_place_path(&at);
    const size_t len = strlen(path);
    if (strncmp(event->path, path, len) != 0 ||
        (event->path[len] != '\0' && strcmp(event->path + len, "-wal") != 0)) {
        return;
    }
    if (event_count == EVENTS_MAX) {
        abort();
    }
    struct event *kept = &events[event_count++];
    *kept = (struct event){.vfs = *event, .log = event->path[len] != '\0', .changes = changes};
    if (event->kind == VFS_WRITE) {
        void *copy = malloc(event->len);
        if (copy == NULL) {
            abort();
        }
        kept->vfs.data = memcpy(copy, event->data, event->len);
    }
}

/* What is there after one more change; and what the lock file says, which nothing syncs. */
static void note(struct pw_store *store)
{
    changes++;
    assert_true(changes < CHANGES_MAX);
    strcpy(shown[changes], store_list(store, NULL).names);
    char path[600];
    store_file_path(&at, "-lock", path);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    const size_t got = fread(answered[changes], 1, sizeof(answered[0]) - 1, file);
    answered[changes][got] = '\0';
    fclose(file);
}

/* So long that it has pages of its own. */
static void put_long(struct pw_store *store, unsigned n, const char *name, uint64_t expected)
{
    char type[200];
    struct pw_store_change change = {.kind = PW_STORE_PUT,
                                     .record = store_record(n, name, expected + 1),
                                     .expected_generation = expected};
    struct pywatt_capabilities *capabilities = pywatt_capabilities_new();
    for (unsigned i = 0; i < 80; i++) {
        snprintf(type, sizeof(type), "%0199u", i);
        assert_int_equal(pywatt_capabilities_add_message_type(capabilities, type), PYWATT_OK);
    }
    change.record.capabilities = pw_shared_capabilities_new(capabilities);
    assert_non_null(change.record.capabilities);
    assert_int_equal(store_submit(store, &change), PYWATT_OK);
    store_record_release(&change.record);
    note(store);
}

static void live(struct pw_store *store, unsigned first)
{
    char name[16];
    for (unsigned n = first; n < first + 4; n++) {
        snprintf(name, sizeof(name), "n%u", n);
        assert_int_equal(store_put(store, n, name, 0), PYWATT_OK);
        note(store);
    }
    snprintf(name, sizeof(name), "n%u", first);
    put_long(store, first, name, 1);
    assert_int_equal(store_put(store, first, name, 2), PYWATT_OK);
    note(store);
    assert_int_equal(store_take_out(store, first + 1, 1), PYWATT_OK);
    note(store);
}

static void read_beginning(void)
{
    FILE *file = fopen(store_place_path(&at), "r");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    beginning = (struct image){.len = (size_t)ftell(file), .there = true};
    beginning.bytes = malloc(beginning.len);
    assert_non_null(beginning.bytes);
    rewind(file);
    assert_int_equal(fread(beginning.bytes, 1, beginning.len, file), beginning.len);
    fclose(file);
}

/* Twice, so that the log is moved into the database in between, and begun anew. */
static int record(void **state)
{
    (void)state;
    faulty_vfs_register();
    faulty_vfs_pretend_syncs();
    store_file_begin(&at);
    store_file_fill(&at, 2);
    read_beginning();
    struct pw_store *store = store_place_open(&at);
    strcpy(shown[0], store_list(store, NULL).names);
    pw_store_close(store);
    faulty_vfs_listen(keep);
    for (unsigned first = 10; first <= 20; first += 10) {
        store = store_place_open(&at);
        live(store, first);
        pw_store_close(store);
    }
    faulty_vfs_listen(NULL);
    store_place_end(&at);
    return 0;
}

static int forget(void **state)
{
    (void)state;
    for (size_t i = 0; i < event_count; i++) {
        free((void *)(uintptr_t)events[i].vfs.data);
    }
    free(beginning.bytes);
    return 0;
}

/* ---- Playing it back ---- */

struct choice {
    enum {
        ALL,
        NONE,
        SOME,
        LAST_TORN
    } kind;
    uint64_t random;
    size_t last; /* the event that is torn */
};

static bool chosen(struct choice *choice, size_t event)
{
    choice->random ^= choice->random << 13;
    choice->random ^= choice->random >> 7;
    choice->random ^= choice->random << 17;
    switch (choice->kind) {
    case ALL: return true;
    case NONE: return false;
    case SOME: break;
    case LAST_TORN: return event != choice->last || choice->random % 2 == 0;
    }
    return choice->random % 2 == 0;
}

static void resize(struct image *image, size_t len)
{
    if (len > image->len) {
        image->bytes = realloc(image->bytes, len);
        assert_non_null(image->bytes);
        memset(image->bytes + image->len, 0, len - image->len);
    }
    image->len = len;
    image->there = true;
}

static void write_some(struct image *image, const struct vfs_event *event, size_t number,
                       struct choice *choice)
{
    size_t done = 0;
    while (done < event->len) {
        const size_t offset = (size_t)event->offset + done;
        const size_t left = event->len - done;
        const size_t room = SECTOR - offset % SECTOR;
        const size_t len = left < room ? left : room;
        if (chosen(choice, number)) {
            if (offset + len > image->len) {
                resize(image, offset + len);
            }
            memcpy(image->bytes + offset, (const uint8_t *)event->data + done, len);
        }
        done += len;
    }
}

static void apply(struct image *image, size_t number, struct choice *choice)
{
    const struct vfs_event *event = &events[number].vfs;
    if (event->kind == VFS_WRITE) {
        write_some(image, event, number, choice);
    } else if (event->kind == VFS_TRUNCATE && chosen(choice, number)) {
        resize(image, (size_t)event->offset);
    } else if (event->kind == VFS_DELETE && chosen(choice, number)) {
        image->len = 0;
        image->there = false;
    }
}

/* Of one file: what is certain, and the first event that is not. */
struct disk {
    struct image synced;
    size_t since;
};

/* The file when the power goes before event `end`. */
static void write_out(const struct disk *disk, bool log, size_t end, struct choice *choice)
{
    struct image image = {malloc(disk->synced.len + 1), disk->synced.len, disk->synced.there};
    char path[600];
    assert_non_null(image.bytes);
    memcpy(image.bytes, disk->synced.bytes, disk->synced.len);
    for (size_t i = disk->since; i < end; i++) {
        if (events[i].log == log) {
            apply(&image, i, choice);
        }
    }
    store_file_path(&at, log ? "-wal" : "", path);
    unlink(path);
    if (image.there) {
        store_file_write(&at, log ? "-wal" : "", (const char *)image.bytes, image.len);
    }
    free(image.bytes);
}

static void sync_up_to(struct disk *disk, bool log, size_t end)
{
    struct choice all = {.kind = ALL, .random = 1};
    for (size_t i = disk->since; i < end; i++) {
        if (events[i].log == log) {
            apply(&disk->synced, i, &all);
        }
    }
    disk->since = end;
}

static void cut(const struct disk disks[2], size_t end, struct choice choice)
{
    char path[600];
    const unsigned done = end == 0 ? 0 : events[end - 1].changes;
    for (unsigned log = 0; log < 2; log++) {
        write_out(&disks[log], log, end, &choice);
    }
    store_file_path(&at, "-shm", path);
    unlink(path);
    store_file_write(&at, "-lock", answered[done], strlen(answered[done]));
    struct pw_store *store = NULL;
    struct pywatt_error error;
    if (pw_store_open(at.url, &store, &error) != PYWATT_OK) {
        fail_msg("event %zu, choice %d: %s", end, (int)choice.kind, error.text);
    }
    const struct store_listed listed = store_list(store, NULL);
    if (strcmp(listed.names, shown[done]) != 0 && strcmp(listed.names, shown[done + 1]) != 0) {
        fail_msg("event %zu, choice %d: %u changes were answered, and there is '%s'", end,
                 (int)choice.kind, done, listed.names);
    }
    pw_store_close(store);
}

static unsigned seeds(void)
{
    const char *text = getenv("PYWATT_TEST_SEEDS");
    return text == NULL ? SEEDS : (unsigned)strtoul(text, NULL, 10);
}

static unsigned cut_in_all_ways(const struct disk disks[2], size_t end)
{
    unsigned times = 3;
    cut(disks, end, (struct choice){.kind = ALL, .random = 1});
    cut(disks, end, (struct choice){.kind = NONE, .random = 1});
    cut(disks, end, (struct choice){.kind = LAST_TORN, .random = end + 1, .last = end - 1});
    for (unsigned seed = 0; seed < seeds(); seed++, times++) {
        cut(disks, end, (struct choice){.kind = SOME, .random = end * 1000 + seed + 1});
    }
    return times;
}

static void what_was_answered_is_there_whenever_the_power_goes(void **state)
{
    (void)state;
    struct disk disks[2] = {{.synced = {.there = true}}, {.synced = {.there = false}}};
    unsigned times = 0;
    store_file_begin(&at);
    resize(&disks[0].synced, beginning.len);
    memcpy(disks[0].synced.bytes, beginning.bytes, beginning.len);
    resize(&disks[1].synced, 1);
    disks[1].synced = (struct image){disks[1].synced.bytes, 0, false};
    for (size_t end = 1; end <= event_count; end++) {
        const struct event *event = &events[end - 1];
        if (event->vfs.kind == VFS_SYNC) {
            sync_up_to(&disks[event->log], event->log, end);
        }
        if (pw_test_slow_factor() == 1 || end % 16 == 0) {
            times += cut_in_all_ways(disks, end);
        }
    }
    free(disks[0].synced.bytes);
    free(disks[1].synced.bytes);
    store_place_end(&at);
    print_message("%u power cuts, %zu events\n", times, event_count);
    assert_true(times > 0);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(what_was_answered_is_there_whenever_the_power_goes),
    };
    return PW_TEST_RUN_WITH(cases, record, forget);
}
