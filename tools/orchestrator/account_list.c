/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See account_list.h. */
#include "orchestrator/account_list.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLANKS " \t"

/* Longer names are no account's; a group with all of its members fits. */
#define NAME_SIZE 256
#define ENTRY_SIZE_MIN 1024
#define ENTRY_SIZE_MAX (1 << 22)

/* The digits of a number, and a comma. */
#define NUMBER_SIZE 11

/* 0, and *found says whether there is such an account; or an errno. */
static int ask(enum account_kind kind, const char *name, char *buffer, size_t size, bool *found,
               uint64_t *number)
{
    struct passwd user;
    struct passwd *is_user = NULL;
    struct group group;
    struct group *is_group = NULL;
    int failed = kind == ACCOUNT_USER ? getpwnam_r(name, &user, buffer, size, &is_user)
                                      : getgrnam_r(name, &group, buffer, size, &is_group);

    *found = is_user != NULL || is_group != NULL;
    if (*found) {
        *number = is_user != NULL ? is_user->pw_uid : is_group->gr_gid;
    }
    /* So some systems say that there is none. */
    return failed == ENOENT || failed == ESRCH ? 0 : failed;
}

static int look_up(enum account_kind kind, const char *name, bool *found, uint64_t *number)
{
    int failed = ERANGE;

    for (size_t size = ENTRY_SIZE_MIN; failed == ERANGE && size <= ENTRY_SIZE_MAX; size *= 4) {
        char *buffer = malloc(size);
        failed = buffer == NULL ? ENOMEM : ask(kind, name, buffer, size, found, number);
        free(buffer);
    }
    return failed;
}

static bool number_of(enum account_kind kind, const char *name, uint64_t *number, char *why)
{
    const char *what = kind == ACCOUNT_USER ? "user" : "group";
    bool found = false;

    if (name[strspn(name, "0123456789")] == '\0' && name[0] != '\0') {
        /* The highest one stands for nobody. */
        return tool_value_u64(name, 0, UINT32_MAX - 1, number, why);
    }
    int failed = name[0] == '\0' ? 0 : look_up(kind, name, &found, number);
    if (failed == ENOMEM) {
        why[0] = '\0';
    } else if (failed != 0) {
        snprintf(why, TOOL_WHY_SIZE, "'%.100s': this %s cannot be looked up: %s", name, what,
                 strerror(failed));
    } else if (!found) {
        snprintf(why, TOOL_WHY_SIZE,
                 "'%.100s' is no %s of this machine: names or numbers, separated by commas", name,
                 what);
    }
    return failed == 0 && found;
}

/* The entry at `text`, without blanks; of one that is too long the beginning, which is no account. */
static void take_entry(const char *text, size_t len, char name[NAME_SIZE])
{
    size_t skip = strspn(text, BLANKS);

    skip = skip < len ? skip : len;
    len -= skip;
    while (len > 0 && strchr(BLANKS, text[skip + len - 1]) != NULL) {
        len--;
    }
    snprintf(name, NAME_SIZE, "%.*s", (int)(len < NAME_SIZE ? len : NAME_SIZE), text + skip);
}

static size_t count_entries(const char *text)
{
    size_t count = 1;

    for (; *text != '\0'; text++) {
        count += *text == ',';
    }
    return count;
}

char *account_list_numbers(enum account_kind kind, const char *text, char why[TOOL_WHY_SIZE])
{
    const size_t count = count_entries(text);
    const size_t size = count * NUMBER_SIZE + 1;
    char *numbers = malloc(size);
    size_t used = 0;

    why[0] = '\0';
    for (size_t i = 0; numbers != NULL && i < count; i++) {
        const size_t len = strcspn(text, ",");
        char name[NAME_SIZE];
        uint64_t number = 0;
        take_entry(text, len, name);
        if (!number_of(kind, name, &number, why)) {
            free(numbers);
            return NULL;
        }
        used +=
            (size_t)snprintf(numbers + used, size - used, "%s%" PRIu64, i == 0 ? "" : ",", number);
        text += len + 1;
    }
    return numbers;
}
