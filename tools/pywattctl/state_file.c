/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See state_file.h. */
#include "pywattctl/state_file.h"

#include "common/report.h"
#include "pywattctl/module_options.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Far above what a full set of metadata takes. */
#define STATE_MAX_BYTES (2L * 1024 * 1024)
#define STATE_FORMAT 1

struct ctl_state_writer {
    const char *path;
    char *temporary;
    int fd;
};

void ctl_state_clear(struct ctl_state *state)
{
    free(state->endpoint);
    free(state->codec);
    if (state->token != NULL) {
        explicit_bzero(state->token, strlen(state->token));
    }
    free(state->token);
    pywatt_module_info_free(state->info);
    memset(state, 0, sizeof(*state));
}

bool ctl_state_exists(const char *path)
{
    struct stat found;

    return lstat(path, &found) == 0;
}

/* ---- Reading ------------------------------------------------------------------------------ */

static int refuse(const char *path, const char *why)
{
    return tool_fail(TOOL_EXIT_USAGE, PYWATT_SERIALIZATION,
                     "state file '%s': %s; it was not written by pywattctl, or is damaged", path,
                     why);
}

static int read_file(const char *path, char **text, size_t *size)
{
    FILE *file = fopen(path, "re");

    if (file == NULL) {
        return tool_fail(TOOL_EXIT_USAGE, PYWATT_IO, "state file '%s' cannot be read: %s", path,
                         strerror(errno));
    }
    char *bytes = malloc(STATE_MAX_BYTES + 1);
    if (bytes == NULL) {
        fclose(file);
        return tool_fail(TOOL_EXIT_OTHER, PYWATT_NO_MEMORY, "out of memory");
    }
    size_t n = fread(bytes, 1, STATE_MAX_BYTES + 1, file);
    bool broken = ferror(file) != 0;
    int reason = errno;
    fclose(file);
    if (broken || n > STATE_MAX_BYTES) {
        free(bytes);
        return broken ? tool_fail(TOOL_EXIT_USAGE, PYWATT_IO, "state file '%s' cannot be read: %s",
                                  path, strerror(reason))
                      : refuse(path, "it is too long");
    }
    bytes[n] = '\0';
    *text = bytes;
    *size = n;
    return 0;
}

static const char *text_of(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

    return cJSON_IsString(item) ? item->valuestring : NULL;
}

static enum pywatt_status read_info(const cJSON *object, const struct pywatt_uuid *id,
                                    struct pywatt_module_info **out)
{
    const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(object, "metadata");
    const cJSON *item = NULL;
    enum pywatt_status status = pywatt_module_info_new(
        text_of(object, "name"), text_of(object, "version"), text_of(object, "description"), out);

    if (status == PYWATT_OK) {
        status = pywatt_module_info_set_id(*out, id);
    }
    cJSON_ArrayForEach(item, metadata)
    {
        if (status == PYWATT_OK) {
            status = cJSON_IsString(item)
                         ? pywatt_module_info_set_metadata(*out, item->string, item->valuestring)
                         : PYWATT_INVALID_ARGUMENT;
        }
    }
    return status;
}

static int read_object(const char *path, const cJSON *object, struct ctl_state *state)
{
    static const char *const texts[] = {"endpoint", "codec",   "id",          "token",
                                        "name",     "version", "description", NULL};
    const cJSON *format = cJSON_GetObjectItemCaseSensitive(object, "format");
    char why[64];

    if (!cJSON_IsNumber(format) || format->valueint != STATE_FORMAT) {
        return refuse(path, "\"format\" is not 1");
    }
    for (size_t i = 0; texts[i] != NULL; i++) {
        if (text_of(object, texts[i]) == NULL) {
            snprintf(why, sizeof(why), "the text \"%s\" is missing", texts[i]);
            return refuse(path, why);
        }
    }
    if (pywatt_uuid_parse(text_of(object, "id"), &state->id) != PYWATT_OK) {
        return refuse(path, "\"id\" is no UUID");
    }
    enum pywatt_status status = read_info(object, &state->id, &state->info);
    if (status != PYWATT_OK && status != PYWATT_NO_MEMORY) {
        return refuse(path, "the description of the module is not valid");
    }
    state->endpoint = strdup(text_of(object, "endpoint"));
    state->codec = strdup(text_of(object, "codec"));
    state->token = strdup(text_of(object, "token"));
    if (status == PYWATT_NO_MEMORY || state->endpoint == NULL || state->codec == NULL ||
        state->token == NULL) {
        return tool_fail(TOOL_EXIT_OTHER, PYWATT_NO_MEMORY, "out of memory");
    }
    return 0;
}

/* cJSON ends a text at U+0000, and texts of ours have none: one that has was put there by others. */
static bool has_nul_escape(const char *text)
{
    for (const char *at = strchr(text, '\\'); at != NULL; at = strchr(at + 2, '\\')) {
        if (strncmp(at, "\\u0000", 6) == 0) {
            return true;
        }
        if (at[1] == '\0') {
            break;
        }
    }
    return false;
}

int ctl_state_load(const char *path, struct ctl_state *state)
{
    char *text = NULL;
    size_t size = 0;
    int bad = read_file(path, &text, &size);

    if (bad != 0) {
        return bad;
    }
    cJSON *object = cJSON_ParseWithLengthOpts(text, size + 1, NULL, 1);
    if (!cJSON_IsObject(object) || strlen(text) != size) {
        bad = refuse(path, "it is not a JSON object");
    } else if (has_nul_escape(text)) {
        bad = refuse(path, "a text in it has U+0000");
    } else {
        bad = read_object(path, object, state);
    }
    cJSON_Delete(object);
    explicit_bzero(text, size);
    free(text);
    if (bad != 0) {
        ctl_state_clear(state);
    }
    return bad;
}

/* ---- Writing ------------------------------------------------------------------------------ */

static int cannot_write(const char *path, int reason)
{
    return tool_fail(TOOL_EXIT_OTHER, PYWATT_IO, "state file '%s' cannot be written: %s", path,
                     strerror(reason));
}

int ctl_state_prepare(const char *path, struct ctl_state_writer **out)
{
    struct ctl_state_writer *writer = calloc(1, sizeof(*writer));

    if (writer == NULL || asprintf(&writer->temporary, "%s.XXXXXX", path) < 0) {
        free(writer);
        return tool_fail(TOOL_EXIT_OTHER, PYWATT_NO_MEMORY, "out of memory");
    }
    writer->path = path;
    /* mkostemp makes it readable and writable for the owner alone. */
    writer->fd = mkostemp(writer->temporary, O_CLOEXEC);
    if (writer->fd < 0) {
        int reason = errno;
        free(writer->temporary);
        free(writer);
        return cannot_write(path, reason);
    }
    *out = writer;
    return 0;
}

void ctl_state_abandon(struct ctl_state_writer *writer)
{
    if (writer == NULL) {
        return;
    }
    unlink(writer->temporary);
    close(writer->fd);
    free(writer->temporary);
    free(writer);
}

static cJSON *make_object(const struct ctl_state *state)
{
    char id[PYWATT_UUID_TEXT_SIZE];
    const char *key = NULL;
    const char *value = NULL;
    const struct pywatt_string_map *map = pywatt_module_info_metadata(state->info);
    cJSON *object = cJSON_CreateObject();
    cJSON *metadata = NULL;

    pywatt_uuid_format(&state->id, id);
    bool ok =
        cJSON_AddNumberToObject(object, "format", STATE_FORMAT) != NULL &&
        cJSON_AddStringToObject(object, "endpoint", state->endpoint) != NULL &&
        cJSON_AddStringToObject(object, "codec", state->codec) != NULL &&
        cJSON_AddStringToObject(object, "id", id) != NULL &&
        cJSON_AddStringToObject(object, "token", state->token) != NULL &&
        cJSON_AddStringToObject(object, "name", pywatt_module_info_name(state->info)) != NULL &&
        cJSON_AddStringToObject(object, "version", pywatt_module_info_version(state->info)) !=
            NULL &&
        cJSON_AddStringToObject(object, "description",
                                pywatt_module_info_description(state->info)) != NULL &&
        (metadata = cJSON_AddObjectToObject(object, "metadata")) != NULL;
    for (size_t i = 0; ok && pywatt_string_map_at(map, i, &key, &value); i++) {
        /* An orchestrator may have echoed it; it is asked for again, where it is needed. */
        ok = strcmp(key, CTL_METADATA_JOIN_TOKEN) == 0 ||
             cJSON_AddStringToObject(metadata, key, value) != NULL;
    }
    if (!ok) {
        cJSON_Delete(object);
        return NULL;
    }
    return object;
}

/* Returns 0 or an errno. */
static int write_all(int fd, const char *text)
{
    size_t left = strlen(text);

    while (left > 0) {
        ssize_t n = write(fd, text, left);
        if (n < 0 && errno != EINTR) {
            return errno;
        }
        if (n > 0) {
            text += n;
            left -= (size_t)n;
        }
    }
    return fsync(fd) == 0 ? 0 : errno;
}

int ctl_state_commit(struct ctl_state_writer *writer, const struct ctl_state *state)
{
    cJSON *object = make_object(state);
    char *text = object != NULL ? cJSON_Print(object) : NULL;
    int code = 0;

    if (text == NULL) {
        code = tool_fail(TOOL_EXIT_OTHER, PYWATT_NO_MEMORY, "out of memory");
    } else {
        int reason = write_all(writer->fd, text);
        if (reason == 0 && rename(writer->temporary, writer->path) != 0) {
            reason = errno;
        }
        code = reason == 0 ? 0 : cannot_write(writer->path, reason);
        explicit_bzero(text, strlen(text));
        cJSON_free(text);
    }
    cJSON_Delete(object);
    if (code != 0) {
        unlink(writer->temporary);
    }
    close(writer->fd);
    free(writer->temporary);
    free(writer);
    return code;
}

int ctl_state_remove(const char *path)
{
    if (unlink(path) != 0 && errno != ENOENT) {
        return tool_fail(TOOL_EXIT_OTHER, PYWATT_IO, "state file '%s' cannot be removed: %s", path,
                         strerror(errno));
    }
    return 0;
}
