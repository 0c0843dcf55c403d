/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * config.c - any bytes as the config file of the daemon:
 *
 *   each complaint is a line of printable text, and names a line that there is, in their order;
 *   an exit code there is if there was a complaint that is more than a warning, and only then;
 *   a setting that comes from the file stands in the line where it is said to stand;
 *   the same bytes say the same again, to the settings and to whom they are complained of;
 *   what is taken can be copied, as a reload does, and is taken again.
 *
 * Nothing outside is touched: the files that settings name and the accounts of the machine are those
 * of the functions below. The input is the file.
 */
#include "fuzz.h"

#include "base/utf8.h"
#include "orchestrator/config_file.h"
#include "orchestrator/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#define NAME "a.ini"

enum {
    SAID_MAX = 64 << 10
};

/* ---- The machine: the linker puts these in the place of the system's (--wrap) ---- */

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __real_stat(const char *path, struct stat *out);
int __wrap_stat(const char *path, struct stat *out);
int __wrap_getpwnam_r(const char *name, struct passwd *entry, char *buffer, size_t size,
                      struct passwd **found);
int __wrap_getgrnam_r(const char *name, struct group *entry, char *buffer, size_t size,
                      struct group **found);

/* False: it is replay.c, or libFuzzer, that asks for a file. */
static bool is_input;

/* There are no files to read, */
int __wrap_open(const char *path, int flags, ...)
{
    va_list arguments;
    if (is_input) {
        errno = ENOENT;
        return -1;
    }
    va_start(arguments, flags);
    const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return __real_open(path, flags, mode);
}

/* but some to look at; everybody may read those of odd length. */
int __wrap_stat(const char *path, struct stat *out)
{
    if (!is_input) {
        return __real_stat(path, out);
    }
    *out = (struct stat){.st_mode = S_IFREG | (strlen(path) % 2 == 1 ? 0644 : 0600)};
    return 0;
}

/* Of a big account there is more than fits at first. */
static int look_up(const char *name, size_t size, bool *found)
{
    const bool big = strcmp(name, "big") == 0;
    *found = strcmp(name, "root") == 0 || (big && size > 4096);
    return big && !*found ? ERANGE : 0;
}

int __wrap_getpwnam_r(const char *name, struct passwd *entry, char *buffer, size_t size,
                      struct passwd **found)
{
    bool is_there;
    const int failed = look_up(name, size, &is_there);
    (void)buffer;
    *entry = (struct passwd){.pw_uid = 0};
    *found = is_there ? entry : NULL;
    return failed;
}

int __wrap_getgrnam_r(const char *name, struct group *entry, char *buffer, size_t size,
                      struct group **found)
{
    bool is_there;
    const int failed = look_up(name, size, &is_there);
    (void)buffer;
    *entry = (struct group){.gr_gid = 0};
    *found = is_there ? entry : NULL;
    return failed;
}

/* ---- What is complained of ---- */

struct reading {
    struct settings settings;
    struct complaints complaints;
    unsigned lines;     /* of the file */
    unsigned last_line; /* that was complained of */
    bool whole;         /* the file has been read: now they are looked at as a whole */
    bool bad;           /* there was more than a warning */
    size_t said_len;
    char said[SAID_MAX]; /* one after the other, as far as there is room */
};

/* Behind the name of the file: the number of a line. */
static void check_place(struct reading *reading, const char *text)
{
    if (strncmp(text, NAME ":", strlen(NAME ":")) != 0) {
        FUZZ_CHECK(reading->whole, "no place: %s", text);
        return;
    }
    char *end;
    const unsigned long line = strtoul(text + strlen(NAME ":"), &end, 10);
    FUZZ_CHECK(line >= 1 && line <= reading->lines && strncmp(end, ": ", 2) == 0, "of %u lines: %s",
               reading->lines, text);
    FUZZ_CHECK(reading->whole || line >= reading->last_line, "after line %u: %s",
               reading->last_line, text);
    reading->last_line = (unsigned)line;
}

static void check_words(const char *text)
{
    const size_t len = strlen(text);
    FUZZ_CHECK(len > 0 && len < COMPLAINT_SIZE, "%zu bytes", len);
    FUZZ_CHECK(pw_utf8_valid((struct pw_str){text, len}), "not UTF-8: %s", text);
    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)text[i];
        FUZZ_CHECK((c >= ' ' || c == '\t') && c != 127, "a control character in: %s", text);
    }
}

static void say(void *user, bool warning, const char *text)
{
    struct reading *const reading = user;
    const size_t len = strlen(text) + 1;
    check_words(text);
    check_place(reading, text);
    reading->bad = reading->bad || !warning;
    if (len <= SAID_MAX - reading->said_len) {
        memcpy(reading->said + reading->said_len, text, len);
        reading->said_len += len;
    }
}

/* ---- Reading ---- */

static unsigned count_lines(const uint8_t *data, size_t size)
{
    unsigned lines = size > 0 && data[size - 1] != '\n' ? 1 : 0;
    for (size_t i = 0; i < size; i++) {
        lines += data[i] == '\n';
    }
    return lines;
}

static struct reading *read_file(const uint8_t *data, size_t size)
{
    struct reading *const reading = calloc(1, sizeof(*reading));
    FUZZ_CHECK(reading != NULL, "no memory");
    reading->complaints = (struct complaints){.say = say, .user = reading};
    reading->lines = count_lines(data, size);
    is_input = true;
    settings_init(&reading->settings);
    settings_take_file(&reading->settings, NAME, (const char *)data, size, &reading->complaints);
    reading->whole = true;
    settings_finish(&reading->settings, &reading->complaints);
    is_input = false;
    FUZZ_CHECK((reading->complaints.code != 0) == reading->bad, "code %d",
               reading->complaints.code);
    return reading;
}

static void end(struct reading *reading)
{
    settings_clear(&reading->settings);
    free(reading);
}

static void check_equal(const struct settings *a, const struct settings *b)
{
    const struct setting *setting;
    for (size_t number = 0; (setting = setting_at(number, NULL)) != NULL; number++) {
        FUZZ_CHECK(setting_is_equal(setting, a, b), "another %s", setting->name);
    }
}

/* ---- A second opinion on where settings stand ---- */

/* What stands in a line, from 1 on; the first one has no mark of the byte order. */
static struct pw_str line_at(const uint8_t *data, size_t size, unsigned line)
{
    const char *at = (const char *)data;
    const char *const end = at + size;
    if (size >= 3 && memcmp(at, "\xef\xbb\xbf", 3) == 0) {
        at += 3;
    }
    while (line-- > 1) {
        at = (const char *)memchr(at, '\n', (size_t)(end - at)) + 1;
    }
    while (at < end && (*at == ' ' || *at == '\t')) {
        at++;
    }
    const char *const newline = memchr(at, '\n', (size_t)(end - at));
    return (struct pw_str){at, (size_t)((newline == NULL ? end : newline) - at)};
}

static void check_origins(const struct reading *reading, const uint8_t *data, size_t size)
{
    const struct setting *setting;
    for (size_t number = 0; (setting = setting_at(number, NULL)) != NULL; number++) {
        const unsigned line = reading->settings.origins[number].line;
        if (reading->settings.origins[number].source == SETTINGS_DEFAULT) {
            continue;
        }
        FUZZ_CHECK(reading->settings.origins[number].source == SETTINGS_FILE, "%s", setting->name);
        FUZZ_CHECK(line >= 1 && line <= reading->lines, "%s: line %u", setting->name, line);
        const struct pw_str text = line_at(data, size, line);
        const size_t len = strlen(setting->name);
        FUZZ_CHECK(text.len > len && memcmp(text.data, setting->name, len) == 0,
                   "%s is not in line %u", setting->name, line);
    }
}

/* ---- Using them ---- */

static void check_copy(const struct settings *settings)
{
    struct settings copy;
    struct pywatt_error error = {.text = ""};
    const struct setting *setting;
    settings_init(&copy);
    for (size_t number = 0; (setting = setting_at(number, NULL)) != NULL; number++) {
        FUZZ_CHECK(setting_copy(setting, &copy, settings), "no memory");
    }
    check_equal(&copy, settings);
    is_input = true;
    FUZZ_CHECK(pywatt_orchestrator_check(&copy.options, &error) == PYWATT_OK, "%s", error.text);
    is_input = false;
    for (size_t i = 0; i < copy.listen.count; i++) {
        FUZZ_CHECK(pywatt_orchestrator_check_url(copy.listen.urls[i], &error) == PYWATT_OK, "%s",
                   error.text);
    }
    settings_clear(&copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reading *const first = read_file(data, size);
    struct reading *const second = read_file(data, size);
    FUZZ_CHECK(first->said_len == second->said_len &&
                   memcmp(first->said, second->said, first->said_len) == 0,
               "another complaint");
    FUZZ_CHECK(first->complaints.code == second->complaints.code, "code %d",
               second->complaints.code);
    check_equal(&first->settings, &second->settings);
    check_origins(first, data, size);
    if (first->complaints.code == 0) {
        check_copy(&first->settings);
    }
    end(first);
    end(second);
    return 0;
}
