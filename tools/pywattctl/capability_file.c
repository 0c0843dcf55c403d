/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Capabilities from a JSON file, in the form in which they stand in a request:
 *
 *   {"endpoints": [{"path": "/x", "methods": ["GET"], "auth": "Bearer", "metadata": {"k": "v"}}],
 *    "message_types": ["resize"], "additional_capabilities": {"gpu": true}}
 *
 * Every part may be missing or null; a part that is not known is refused, so that a misspelt one is
 * not lost in silence.
 */
#include "pywattctl/capability_options.h"

#include "common/report.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a request can carry by default. */
#define FILE_MAX_BYTES (1024L * 1024)

struct reader {
    const char *path;
    struct pywatt_capabilities *capabilities;
};

static int refuse(const struct reader *reader, const char *what)
{
    return tool_usage_error("file '%s': %s", reader->path, what);
}

/* Returns 0 or an exit code, and remembers which field it was. */
static int check(const struct reader *reader, const char *field, const char *value,
                 enum pywatt_status status)
{
    char where[512];

    snprintf(where, sizeof(where), "file '%.400s': %s", reader->path, field);
    return ctl_capability_refused(where, value, status);
}

static int read_endpoint_metadata(const struct reader *reader, const cJSON *map,
                                  struct pywatt_endpoint *endpoint)
{
    const cJSON *item = NULL;
    int bad = 0;

    cJSON_ArrayForEach(item, map)
    {
        if (!cJSON_IsString(item)) {
            return refuse(reader, "the metadata of an endpoint maps texts to texts");
        }
        bad = check(reader, "metadata", item->string,
                    pywatt_endpoint_set_metadata(endpoint, item->string, item->valuestring));
        if (bad != 0) {
            return bad;
        }
    }
    return 0;
}

static int fill_endpoint(const struct reader *reader, const cJSON *object,
                         struct pywatt_endpoint *endpoint)
{
    const cJSON *member = NULL;
    int bad = 0;

    cJSON_ArrayForEach(member, object)
    {
        if (strcmp(member->string, "path") == 0 || strcmp(member->string, "methods") == 0 ||
            cJSON_IsNull(member)) {
            continue;
        }
        if (strcmp(member->string, "auth") == 0 && cJSON_IsString(member)) {
            bad = check(reader, "auth", member->valuestring,
                        pywatt_endpoint_set_auth(endpoint, member->valuestring));
        } else if (strcmp(member->string, "metadata") == 0 && cJSON_IsObject(member)) {
            bad = read_endpoint_metadata(reader, member, endpoint);
        } else {
            bad = refuse(reader, "an endpoint has path, methods, auth (a text) and metadata (an "
                                 "object), and nothing else");
        }
        if (bad != 0) {
            return bad;
        }
    }
    return 0;
}

static int read_endpoint(const struct reader *reader, const cJSON *object)
{
    const cJSON *path = cJSON_GetObjectItemCaseSensitive(object, "path");
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, "methods");
    const cJSON *item = NULL;
    const char *methods[PYWATT_METHODS_MAX];
    size_t count = 0;
    struct pywatt_endpoint *endpoint = NULL;

    if (!cJSON_IsString(path) || !cJSON_IsArray(list)) {
        return refuse(reader, "an endpoint needs a path (a text) and methods (an array)");
    }
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsString(item) || count == PYWATT_METHODS_MAX) {
            return refuse(reader, "methods are texts, and not more than 32 of them");
        }
        methods[count++] = item->valuestring;
    }
    int bad = check(reader, "path or methods", path->valuestring,
                    pywatt_endpoint_new(path->valuestring, methods, count, &endpoint));
    if (bad != 0) {
        return bad;
    }
    bad = fill_endpoint(reader, object, endpoint);
    if (bad == 0) {
        bad = check(reader, "endpoints", path->valuestring,
                    pywatt_capabilities_add_endpoint(reader->capabilities, endpoint));
    }
    pywatt_endpoint_free(endpoint);
    return bad;
}

static int read_message_type(const struct reader *reader, const cJSON *item)
{
    if (!cJSON_IsString(item)) {
        return refuse(reader, "message_types is an array of texts");
    }
    return check(reader, "message_types", item->valuestring,
                 pywatt_capabilities_add_message_type(reader->capabilities, item->valuestring));
}

static int read_additional(const struct reader *reader, const cJSON *item)
{
    char *text = cJSON_PrintUnformatted(item);

    if (text == NULL) {
        return tool_fail(TOOL_EXIT_OTHER, PYWATT_NO_MEMORY, "out of memory");
    }
    int bad = check(reader, "additional_capabilities", item->string,
                    pywatt_capabilities_set_capability(reader->capabilities, item->string, text));
    cJSON_free(text);
    return bad;
}

static int read_part(const struct reader *reader, const cJSON *part)
{
    static const struct {
        const char *name;
        bool is_object;
        int (*read)(const struct reader *reader, const cJSON *item);
    } parts[] = {{"endpoints", false, read_endpoint},
                 {"message_types", false, read_message_type},
                 {"additional_capabilities", true, read_additional}};
    const cJSON *item = NULL;

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (strcmp(part->string, parts[i].name) != 0) {
            continue;
        }
        if (!(parts[i].is_object ? cJSON_IsObject(part) : cJSON_IsArray(part))) {
            break;
        }
        cJSON_ArrayForEach(item, part)
        {
            int bad = parts[i].read(reader, item);
            if (bad != 0) {
                return bad;
            }
        }
        return 0;
    }
    return refuse(reader, "it holds endpoints (an array), message_types (an array), "
                          "additional_capabilities (an object), and nothing else");
}

static int read_object(const struct reader *reader, const cJSON *object)
{
    const cJSON *part = NULL;

    cJSON_ArrayForEach(part, object)
    {
        int bad = cJSON_IsNull(part) ? 0 : read_part(reader, part);
        if (bad != 0) {
            return bad;
        }
    }
    return 0;
}

int ctl_capability_file(struct pywatt_capabilities *capabilities, const char *path)
{
    struct reader reader = {path, capabilities};
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    char *text = malloc(FILE_MAX_BYTES + 1);
    size_t size = 0;
    int reason = errno;

    if (file != NULL && text != NULL) {
        size = fread(text, 1, FILE_MAX_BYTES + 1, file);
        reason = ferror(file) ? errno : 0;
    }
    if (file != NULL && file != stdin) {
        fclose(file);
    }
    if (text == NULL || file == NULL || reason != 0) {
        free(text);
        return tool_fail(TOOL_EXIT_USAGE, PYWATT_IO, "file '%s' cannot be read: %s", path,
                         strerror(reason));
    }
    int bad = 0;
    if (size > FILE_MAX_BYTES) {
        bad = refuse(&reader, "it is longer than 1 MiB");
    } else {
        text[size] = '\0';
        cJSON *object = cJSON_ParseWithLengthOpts(text, size + 1, NULL, 1);
        bad = cJSON_IsObject(object) && strlen(text) == size
                  ? read_object(&reader, object)
                  : refuse(&reader, "it is not a JSON object");
        cJSON_Delete(object);
    }
    free(text);
    return bad;
}
