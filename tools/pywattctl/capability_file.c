/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Capabilities from a JSON file, in the form in which they stand in a request; the library reads it, so
 * that they arrive as they are spelled. Files and other options add up. One thread.
 */
#include "pywattctl/capability_options.h"

#include "common/report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a request can carry by default. */
#define FILE_MAX_BYTES (1024L * 1024)

/* Returns 0 or an exit code; *text is the caller's then. */
static int read_file(const char *path, char **text, size_t *size)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    int reason = errno;
    char *bytes = malloc(FILE_MAX_BYTES + 1);

    if (file != NULL && bytes != NULL) {
        *size = fread(bytes, 1, FILE_MAX_BYTES + 1, file);
        reason = ferror(file) ? errno : 0;
    }
    if (file != NULL && file != stdin) {
        fclose(file);
    }
    if (bytes == NULL) {
        return tool_fail(TOOL_EXIT_OTHER, PYWATT_NO_MEMORY, "out of memory");
    }
    if (reason != 0 || *size > FILE_MAX_BYTES) {
        free(bytes);
        return reason != 0 ? tool_fail(TOOL_EXIT_USAGE, PYWATT_IO, "file '%s' cannot be read: %s",
                                       path, strerror(reason))
                           : tool_usage_error("file '%s': it is longer than 1 MiB", path);
    }
    *text = bytes;
    return 0;
}

static enum pywatt_status add_all(struct pywatt_capabilities *capabilities,
                                  const struct pywatt_capabilities *more)
{
    const struct pywatt_string_map *additional = pywatt_capabilities_additional(more);
    enum pywatt_status status = PYWATT_OK;
    const char *key = NULL;
    const char *value = NULL;

    for (size_t i = 0; i < pywatt_capabilities_endpoint_count(more) && status == PYWATT_OK; i++) {
        status =
            pywatt_capabilities_add_endpoint(capabilities, pywatt_capabilities_endpoint(more, i));
    }
    for (size_t i = 0; i < pywatt_capabilities_message_type_count(more) && status == PYWATT_OK;
         i++) {
        status = pywatt_capabilities_add_message_type(capabilities,
                                                      pywatt_capabilities_message_type(more, i));
    }
    for (size_t i = 0; status == PYWATT_OK && pywatt_string_map_at(additional, i, &key, &value);
         i++) {
        status = pywatt_capabilities_set_capability(capabilities, key, value);
    }
    return status;
}

int ctl_capability_file(struct pywatt_capabilities *capabilities, const char *path)
{
    char *text = NULL;
    size_t size = 0;
    struct pywatt_capabilities *found = NULL;
    struct pywatt_error error = {.text = ""};
    int bad = read_file(path, &text, &size);

    if (bad != 0) {
        return bad;
    }
    enum pywatt_status status = pywatt_capabilities_parse(text, size, &found, &error);
    free(text);
    if (status == PYWATT_OK) {
        status = add_all(capabilities, found);
        snprintf(error.text, sizeof(error.text), "too many capabilities, with those added before");
    }
    pywatt_capabilities_free(found);
    if (status == PYWATT_NO_MEMORY) {
        return tool_fail(TOOL_EXIT_OTHER, status, "file '%s': out of memory", path);
    }
    return status == PYWATT_OK ? 0 : tool_usage_error("file '%s': %s", path, error.text);
}
