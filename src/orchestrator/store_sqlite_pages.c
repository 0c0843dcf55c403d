/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * store_sqlite_pages.c - the rows of a damaged database, found without its tree: every page is looked at,
 * and what has the form of a row of `modules` is shown, whatever happened to the first page or to
 * those that lead to it. In the thread of who recovers, who has the lock.
 *
 * A page stands in the log, as far as the log is valid, or else in the database. Nothing that is read is
 * relied upon: each offset and length is checked, and a row has its checksum.
 */
#include "orchestrator/store_sqlite_private.h"

#include "base/uuid.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The format of SQLite's files. */
enum {
    PAGE = PW_SQLITE_PAGE,
    FREE_FIRST = 32, /* in the first page: where the list of free pages begins, and how many */
    FREE_COUNT = 36,
    LEAF = 0x0d,
    LEAF_HEADER = 8,
    LOCAL_MAX = PAGE - 35, /* a longer row goes on in pages of its own */
    LOCAL_MIN = (PAGE - 12) * 32 / 255 - 23,
    OVERFLOW_DATA = PAGE - 4,
    LOG_HEADER = 32,
    FRAME_HEADER = 24,
    COLUMNS = 9
};

struct pages {
    int fd;
    int log_fd;       /* -1: there is none */
    uint32_t count;   /* of pages, the first is number 1 */
    uint32_t *frames; /* by number: where it stands in the log, from 1; 0: nowhere */
    bool *is_free;    /* by number */
    struct pw_buffer text;
};

/* ---- Pages ---- */

static bool read_at(int fd, void *out, size_t len, uint64_t offset)
{
    size_t done = 0;
    while (done < len) {
        const ssize_t n = pread(fd, (uint8_t *)out + done, len - done, (off_t)(offset + done));
        if (n <= 0) {
            return false;
        }
        done += (size_t)n;
    }
    return true;
}

static bool read_page(const struct pages *pages, uint32_t number, uint8_t out[PAGE])
{
    if (number == 0 || number > pages->count) {
        return false;
    }
    const uint64_t frame = pages->frames[number];
    return frame > 0 ? read_at(pages->log_fd, out, PAGE,
                               LOG_HEADER + (frame - 1) * (FRAME_HEADER + PAGE) + FRAME_HEADER)
                     : read_at(pages->fd, out, PAGE, (uint64_t)(number - 1) * PAGE);
}

/* ---- The log ---- */

struct log_sum {
    uint32_t a;
    uint32_t b;
    bool big_endian;
};

static uint32_t word_at(const uint8_t *bytes, bool big_endian)
{
    return big_endian ? pw_load_be32(bytes)
                      : (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
                            (uint32_t)bytes[3] << 24;
}

static void add_to_sum(struct log_sum *sum, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i + 8 <= len; i += 8) {
        sum->a += word_at(bytes + i, sum->big_endian) + sum->b;
        sum->b += word_at(bytes + i + 4, sum->big_endian) + sum->a;
    }
}

static bool sum_is(const struct log_sum *sum, const uint8_t *bytes)
{
    return pw_load_be32(bytes) == sum->a && pw_load_be32(bytes + 4) == sum->b;
}

/* A header that fits; its sum is where that of the first frame begins. */
static bool begin_log(int fd, uint8_t header[LOG_HEADER], struct log_sum *sum)
{
    if (!read_at(fd, header, LOG_HEADER, 0) || (pw_load_be32(header) & ~1u) != 0x377f0682 ||
        pw_load_be32(header + 8) != PAGE) {
        return false;
    }
    *sum = (struct log_sum){.big_endian = (header[3] & 1) != 0};
    add_to_sum(sum, header, 24);
    return sum_is(sum, header + 24);
}

/* One after the other until one does not fit; `tell` hears its page, and how many a commit left. */
static uint32_t walk_log(const struct pages *pages, uint32_t last,
                         void (*tell)(const struct pages *pages, uint32_t page, uint32_t frame),
                         uint32_t *count)
{
    uint8_t header[LOG_HEADER];
    uint8_t frame[FRAME_HEADER + PAGE];
    struct log_sum sum;
    uint32_t committed = 0;
    if (pages->log_fd < 0 || !begin_log(pages->log_fd, header, &sum)) {
        return 0;
    }
    for (uint32_t n = 1; n <= last; n++) {
        const uint64_t at = LOG_HEADER + (uint64_t)(n - 1) * sizeof(frame);
        if (!read_at(pages->log_fd, frame, sizeof(frame), at) ||
            memcmp(frame + 8, header + 16, 8) != 0) {
            break;
        }
        add_to_sum(&sum, frame, 8);
        add_to_sum(&sum, frame + FRAME_HEADER, PAGE);
        if (!sum_is(&sum, frame + 16)) {
            break;
        }
        if (tell != NULL) {
            tell(pages, pw_load_be32(frame), n);
        }
        if (pw_load_be32(frame + 4) != 0) {
            committed = n;
            *count = pw_load_be32(frame + 4);
        }
    }
    return committed;
}

static void note_frame(const struct pages *pages, uint32_t page, uint32_t frame)
{
    if (page <= pages->count) {
        pages->frames[page] = frame;
    }
}

/* ---- Free pages ---- */

/*
 * What was deleted still stands on them. A list that does not have as many as it says is not believed,
 * as it may name pages that are in use.
 */
static void note_free(const struct pages *pages)
{
    uint8_t page[PAGE];
    if (!read_page(pages, 1, page) || memcmp(page, "SQLite format 3", 16) != 0) {
        return;
    }
    const uint32_t expected = pw_load_be32(page + FREE_COUNT);
    uint32_t found = 0;
    uint32_t trunk = pw_load_be32(page + FREE_FIRST);
    while (trunk != 0 && found < expected && read_page(pages, trunk, page)) {
        const uint32_t leaves = pw_load_be32(page + 4);
        pages->is_free[trunk] = true;
        found++;
        for (uint32_t i = 0; i < leaves && i < PAGE / 4 - 2; i++, found++) {
            const uint32_t leaf = pw_load_be32(page + 8 + (size_t)i * 4);
            if (leaf <= pages->count) {
                pages->is_free[leaf] = true;
            }
        }
        trunk = pw_load_be32(page);
    }
    if (trunk != 0 || found != expected) {
        memset(pages->is_free, 0, pages->count + 1);
    }
}

/* ---- Rows ---- */

/* How many bytes it has; 0 if it does not end. */
static size_t read_varint(const uint8_t *bytes, size_t len, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < len && i < 9; i++) {
        *out = i == 8 ? *out << 8 | bytes[i] : *out << 7 | (bytes[i] & 0x7f);
        if (i == 8 || bytes[i] < 0x80) {
            return i + 1;
        }
    }
    return 0;
}

static uint64_t size_of(uint64_t type)
{
    static const uint8_t sizes[] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0};
    return type < 12 ? sizes[type] : (type - 12) / 2;
}

/* Whether a row of `modules` may have columns of these types. */
static bool types_fit(const uint64_t types[COLUMNS])
{
    /* The number of the row; id, name; generation, lease; token's hash, info; capabilities; sum. */
    static const char kinds[COLUMNS] = {'-', 't', 't', 'n', 'n', 't', 't', 'o', 'n'};
    for (size_t i = 0; i < COLUMNS; i++) {
        const bool is_text = types[i] >= 13 && types[i] % 2 == 1;
        const bool is_number = (types[i] >= 1 && types[i] <= 6) || types[i] == 8 || types[i] == 9;
        const bool fits = kinds[i] == 't'   ? is_text
                          : kinds[i] == 'n' ? is_number
                          : kinds[i] == 'o' ? is_text || types[i] == 0
                                            : types[i] == 0;
        if (!fits) {
            return false;
        }
    }
    return size_of(types[1]) == PW_UUID_TEXT_LEN && size_of(types[5]) == 2 * PW_TOKEN_HASH_SIZE;
}

/* The types that the header of a row tells; false if they do not make up all of it. */
static bool read_types(const uint8_t *bytes, size_t len, uint64_t payload, uint64_t types[COLUMNS],
                       size_t *header)
{
    uint64_t header_len = 0;
    uint64_t sum = 0;
    size_t at = read_varint(bytes, len, &header_len);
    for (size_t i = 0; i < COLUMNS && at > 0; i++) {
        const size_t n = read_varint(bytes + at, len - at, &types[i]);
        if (n == 0 || size_of(types[i]) > payload) {
            return false;
        }
        at += n;
        sum += size_of(types[i]);
    }
    *header = at;
    return at > 0 && header_len == at && sum + at == payload && types_fit(types);
}

static uint64_t number_of(uint64_t type, const uint8_t *bytes)
{
    const uint64_t size = size_of(type);
    uint64_t number = size > 0 && bytes[0] >= 0x80 ? UINT64_MAX : 0;
    for (uint64_t i = 0; i < size; i++) {
        number = number << 8 | bytes[i];
    }
    return type == 9 ? 1 : number;
}

/* The row whose columns stand there; true if its checksum is right. */
static bool make_row(struct pw_sqlite_row *row, const uint64_t types[COLUMNS], const uint8_t *bytes)
{
    const uint8_t *at[COLUMNS + 1] = {bytes};
    struct pw_str texts[COLUMNS];
    for (size_t i = 0; i < COLUMNS; i++) {
        at[i + 1] = at[i] + size_of(types[i]);
        texts[i] =
            (struct pw_str){types[i] == 0 ? NULL : (const char *)at[i], (size_t)size_of(types[i])};
    }
    *row = (struct pw_sqlite_row){
        .generation = number_of(types[3], at[3]),
        .lease_ms = number_of(types[4], at[4]),
        .name = texts[2],
        .info = texts[6],
        .capabilities = texts[7],
        .sum = number_of(types[8], at[8]),
    };
    memcpy(row->id, texts[1].data, PW_UUID_TEXT_LEN);
    memcpy(row->token_hash, texts[5].data, sizeof(row->token_hash));
    return pw_sqlite_row_is_sound(row);
}

/* What of a row stands on its own page. */
static size_t local_part(uint64_t payload)
{
    if (payload <= LOCAL_MAX) {
        return (size_t)payload;
    }
    const uint64_t wanted = LOCAL_MIN + (payload - LOCAL_MIN) % OVERFLOW_DATA;
    return (size_t)(wanted <= LOCAL_MAX ? wanted : LOCAL_MIN);
}

/* All of a row into `text`; false if the chain of pages behind it is broken. */
static bool gather(struct pages *pages, const uint8_t *local, size_t len, uint64_t payload,
                   int *result)
{
    uint8_t page[PAGE];
    pw_buffer_clear(&pages->text);
    enum pywatt_status status = pw_buffer_append(&pages->text, local, len);
    uint64_t left = payload - len;
    uint32_t next = left > 0 ? pw_load_be32(local + len) : 0;
    while (status == PYWATT_OK && left > 0 && read_page(pages, next, page)) {
        const size_t piece = left < OVERFLOW_DATA ? (size_t)left : OVERFLOW_DATA;
        status = pw_buffer_append(&pages->text, page + 4, piece);
        next = pw_load_be32(page);
        left -= piece;
    }
    *result = status == PYWATT_NO_MEMORY ? SQLITE_NOMEM : SQLITE_OK;
    return status == PYWATT_OK && left == 0;
}

static int look_at_cell(struct pages *pages, const uint8_t page[PAGE], size_t at,
                        pw_sqlite_row_found found, void *user)
{
    uint64_t payload;
    uint64_t number;
    uint64_t types[COLUMNS];
    size_t header;
    const size_t a = read_varint(page + at, PAGE - at, &payload);
    const size_t b = a == 0 ? 0 : read_varint(page + at + a, PAGE - at - a, &number);
    if (b == 0 || payload > (uint64_t)pages->count * PAGE) {
        return SQLITE_OK;
    }
    const uint8_t *const local = page + at + a + b;
    const size_t room = PAGE - at - a - b;
    const size_t len = local_part(payload);
    if (len + (payload > len ? 4 : 0) > room || !read_types(local, len, payload, types, &header)) {
        return SQLITE_OK;
    }
    int result;
    struct pw_sqlite_row row = {.number = 0};
    const bool sound = gather(pages, local, len, payload, &result) &&
                       make_row(&row, types, pw_buffer_bytes(&pages->text) + header);
    return result == SQLITE_OK ? found(user, &row, sound) : result;
}

static int look_at_page(struct pages *pages, uint32_t number, pw_sqlite_row_found found, void *user)
{
    uint8_t page[PAGE];
    int result = SQLITE_OK;
    if (pages->is_free[number] || !read_page(pages, number, page) || page[0] != LEAF) {
        return SQLITE_OK;
    }
    const size_t cells = (size_t)page[3] << 8 | page[4];
    for (size_t i = 0; i < cells && LEAF_HEADER + 2 * i + 2 <= PAGE && result == SQLITE_OK; i++) {
        const uint8_t *const pointer = page + LEAF_HEADER + 2 * i;
        const size_t at = (size_t)pointer[0] << 8 | pointer[1];
        if (at < PAGE) {
            result = look_at_cell(pages, page, at, found, user);
        }
    }
    return result;
}

/* ---- The files ---- */

static bool open_pages(struct pages *pages, const struct pw_sqlite_place *place)
{
    struct stat found;
    uint32_t count = 0;
    char *log = pw_sqlite_path_with(place, "-wal");
    pages->fd = open(place->path, O_RDONLY | O_CLOEXEC);
    pages->log_fd = log == NULL ? -1 : open(log, O_RDONLY | O_CLOEXEC);
    free(log);
    if (log == NULL || pages->fd < 0 || fstat(pages->fd, &found) != 0) {
        return false;
    }
    const uint32_t committed = walk_log(pages, UINT32_MAX, NULL, &count);
    const uint64_t size = ((uint64_t)found.st_size + PAGE - 1) / PAGE;
    pages->count = size > UINT32_MAX - 1 ? UINT32_MAX - 1 : (uint32_t)size;
    pages->count = committed > 0 && count > pages->count ? count : pages->count;
    pages->frames = calloc((size_t)pages->count + 1, sizeof(*pages->frames));
    pages->is_free = calloc((size_t)pages->count + 1, sizeof(*pages->is_free));
    if (pages->frames == NULL || pages->is_free == NULL) {
        return false;
    }
    (void)walk_log(pages, committed, note_frame, &count);
    note_free(pages);
    return true;
}

static void close_pages(struct pages *pages)
{
    if (pages->fd >= 0) {
        close(pages->fd);
    }
    if (pages->log_fd >= 0) {
        close(pages->log_fd);
    }
    free(pages->frames);
    free(pages->is_free);
    pw_buffer_destroy(&pages->text);
}

int pw_sqlite_pages_walk(const struct pw_sqlite_place *place, pw_sqlite_row_found found, void *user)
{
    struct pages pages = {.fd = -1, .log_fd = -1};
    pw_buffer_init(&pages.text, PW_SQLITE_TEXT_MAX);
    int result = open_pages(&pages, place) ? SQLITE_OK
                 : pages.fd < 0            ? SQLITE_CANTOPEN
                                           : SQLITE_NOMEM;
    for (uint32_t number = 2; number <= pages.count && result == SQLITE_OK; number++) {
        result = look_at_page(&pages, number, found, user);
    }
    close_pages(&pages);
    return result;
}
