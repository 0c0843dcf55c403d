/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * allow.c - reads the lists of allow.h, and looks things up in them. No lock: see there.
 */
#include "orchestrator/allow.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

enum {
    ENTRIES_MAX = 1024
};

/* ---- Lists of texts ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct pw_str trim(struct pw_str text)
{
    while (text.len > 0 && is_blank(text.data[0])) {
        text.data++;
        text.len--;
    }
    while (text.len > 0 && is_blank(text.data[text.len - 1])) {
        text.len--;
    }
    return text;
}

static size_t count_entries(const char *text)
{
    size_t count = 1;
    for (; *text != '\0'; text++) {
        count += *text == ',';
    }
    return count;
}

/* The entries between the commas; *out is the caller's to free, and points into `text`. */
static enum pywatt_status split(const char *option, const char *text, struct pw_str **out,
                                size_t *count, struct pywatt_error *error)
{
    *count = count_entries(text);
    if (*count > ENTRIES_MAX) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "%s has %zu entries: at most %d",
                            option, *count, ENTRIES_MAX);
    }
    struct pw_str *entries = calloc(*count, sizeof(*entries));
    if (entries == NULL) {
        return pw_error_no_memory(error);
    }
    for (size_t i = 0; i < *count; i++) {
        const size_t len = strcspn(text, ",");
        entries[i] = trim((struct pw_str){text, len});
        if (entries[i].len == 0) {
            free(entries);
            return pw_error_set(error, PYWATT_INVALID_ARGUMENT,
                                "%s: entry %zu is empty; without a list it is to be left out",
                                option, i + 1);
        }
        text += len + 1;
    }
    *out = entries;
    return PYWATT_OK;
}

/* ---- Names ---- */

/* A star anywhere else would never be one. */
static bool is_pattern(struct pw_str entry)
{
    const char *star = memchr(entry.data, '*', entry.len);
    return star == NULL || (star == entry.data + entry.len - 1 && entry.len > 1) ||
           (star == entry.data && entry.len > 2 && entry.data[1] == '.' &&
            memchr(star + 1, '*', entry.len - 1) == NULL);
}

static enum pywatt_status read_names(const char *text, struct pw_grant **out,
                                     struct pywatt_error *error)
{
    struct pw_str *entries;
    size_t count;
    if (text == NULL) {
        return PYWATT_OK;
    }
    enum pywatt_status status = split("allow_names", text, &entries, &count, error);
    if (status != PYWATT_OK) {
        return status;
    }
    for (size_t i = 0; i < count && status == PYWATT_OK; i++) {
        if (!is_pattern(entries[i])) {
            status =
                pw_error_set(error, PYWATT_INVALID_ARGUMENT,
                             "allow_names: \"%.*s\" is neither a name nor prefix* nor *.suffix",
                             entries[i].len < 64 ? (int)entries[i].len : 64, entries[i].data);
        }
    }
    if (status == PYWATT_OK && pw_grant_new(entries, count, out) != PYWATT_OK) {
        status = pw_error_no_memory(error);
    }
    free(entries);
    return status;
}

/* ---- Users and groups ---- */

static bool read_id(struct pw_str text, uint32_t *out)
{
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || value > UINT32_MAX) {
            return false;
        }
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    }
    *out = (uint32_t)value;
    return value < UINT32_MAX; /* which stands for nobody */
}

static enum pywatt_status read_ids(const char *option, const char *text, struct pw_allow_ids *out,
                                   struct pywatt_error *error)
{
    struct pw_str *entries;
    if (text == NULL) {
        return PYWATT_OK;
    }
    enum pywatt_status status = split(option, text, &entries, &out->count, error);
    if (status != PYWATT_OK) {
        return status;
    }
    out->ids = calloc(out->count, sizeof(*out->ids));
    if (out->ids == NULL) {
        status = pw_error_no_memory(error);
    }
    for (size_t i = 0; i < out->count && status == PYWATT_OK; i++) {
        if (!read_id(entries[i], &out->ids[i])) {
            status = pw_error_set(error, PYWATT_INVALID_ARGUMENT,
                                  "%s: \"%.*s\" is no decimal number of one", option,
                                  entries[i].len < 64 ? (int)entries[i].len : 64, entries[i].data);
        }
    }
    free(entries);
    return status;
}

static bool has_id(const struct pw_allow_ids *list, uint32_t id)
{
    for (size_t i = 0; i < list->count && list->ids != NULL; i++) {
        if (list->ids[i] == id) {
            return true;
        }
    }
    return false;
}

bool pw_allow_user(const struct pw_allow *allow, const struct pw_credentials *peer)
{
    bool allowed = has_id(&allow->uids, peer->uid) || has_id(&allow->gids, peer->gid);
    for (size_t i = 0; i < peer->group_count && !allowed; i++) {
        allowed = has_id(&allow->gids, peer->groups[i]);
    }
    return allowed;
}

/* ---- All of them ---- */

enum pywatt_status pw_allow_init(struct pw_allow *allow, const char *names, const char *uids,
                                 const char *gids, struct pywatt_error *error)
{
    *allow = (struct pw_allow){.names = NULL};
    enum pywatt_status status = read_names(names, &allow->names, error);
    if (status == PYWATT_OK) {
        status = read_ids("unix_allow_uids", uids, &allow->uids, error);
    }
    if (status == PYWATT_OK) {
        status = read_ids("unix_allow_gids", gids, &allow->gids, error);
    }
    if (status != PYWATT_OK) {
        pw_allow_destroy(allow);
    }
    return status;
}

void pw_allow_destroy(struct pw_allow *allow)
{
    pw_grant_release(allow->names);
    free(allow->uids.ids);
    free(allow->gids.ids);
    *allow = (struct pw_allow){.names = NULL};
}
