/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * See output.h. A record is a cJSON object from the start; the text form walks over its members.
 * `output_lock` keeps lines of different threads whole.
 */
#include "pywattctl/output.h"

#include "common/report.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t output_lock = PTHREAD_MUTEX_INITIALIZER;
static bool output_json;

struct ctl_record {
    const char *event;
    cJSON *object;
    bool failed;
};

void ctl_output_init(bool json)
{
    output_json = json;
}

struct ctl_record *ctl_record_new(const char *event)
{
    struct ctl_record *record = calloc(1, sizeof(*record));

    if (record == NULL) {
        return NULL;
    }
    record->event = event;
    record->object = cJSON_CreateObject();
    record->failed = record->object == NULL;
    if (event != NULL) {
        ctl_record_text(record, "event", event);
    }
    return record;
}

void ctl_record_text(struct ctl_record *record, const char *key, const char *value)
{
    if (record != NULL && cJSON_AddStringToObject(record->object, key, value) == NULL) {
        record->failed = true;
    }
}

void ctl_record_number(struct ctl_record *record, const char *key, uint64_t value)
{
    if (record != NULL && cJSON_AddNumberToObject(record->object, key, (double)value) == NULL) {
        record->failed = true;
    }
}

void ctl_record_uuid(struct ctl_record *record, const char *key, const struct pywatt_uuid *value)
{
    char text[PYWATT_UUID_TEXT_SIZE];

    pywatt_uuid_format(value, text);
    ctl_record_text(record, key, text);
}

void ctl_record_map(struct ctl_record *record, const char *key, const struct pywatt_string_map *map,
                    bool json_values)
{
    const char *name = NULL;
    const char *value = NULL;

    if (record == NULL || map == NULL) {
        return;
    }
    cJSON *object = cJSON_AddObjectToObject(record->object, key);
    for (size_t i = 0; pywatt_string_map_at(map, i, &name, &value); i++) {
        cJSON *added = json_values ? cJSON_AddRawToObject(object, name, value)
                                   : cJSON_AddStringToObject(object, name, value);
        record->failed = record->failed || added == NULL;
    }
    record->failed = record->failed || object == NULL;
}

/*
 * True for a text that can stand as it is. Control characters never do: they could be the terminal's
 * commands. In a line of several values neither does what could be taken for the next one.
 */
static bool stands_bare(const char *text, bool in_line)
{
    for (const char *p = text; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;
        if (c < ' ' || c == 127 || (in_line && (c == ' ' || c == '"' || c == '='))) {
            return false;
        }
    }
    return !in_line || *text != '\0';
}

static bool print_value(const cJSON *item, bool in_line)
{
    if (cJSON_IsString(item) && stands_bare(item->valuestring, in_line)) {
        fputs(item->valuestring, stdout);
        return true;
    }
    char *text = cJSON_PrintUnformatted(item);
    if (text == NULL) {
        return false;
    }
    fputs(text, stdout);
    cJSON_free(text);
    return true;
}

static bool print_text(const struct ctl_record *record)
{
    const cJSON *item = NULL;
    bool ok = true;

    if (record->event == NULL) {
        cJSON_ArrayForEach(item, record->object)
        {
            printf("%-24s", item->string);
            ok = print_value(item, false) && ok;
            putchar('\n');
        }
        return ok;
    }
    printf(record->object->child->next != NULL ? "%-13s" : "%s", record->event);
    cJSON_ArrayForEach(item, record->object)
    {
        if (item != record->object->child) {
            printf(" %s=", item->string);
            ok = print_value(item, true) && ok;
        }
    }
    putchar('\n');
    return ok;
}

static bool print_json(const cJSON *object)
{
    char *text = cJSON_PrintUnformatted(object);

    if (text == NULL) {
        return false;
    }
    puts(text);
    cJSON_free(text);
    return true;
}

int ctl_record_print(struct ctl_record *record)
{
    bool failed = record == NULL || record->failed;
    int flushed = 0;
    int reason = 0;

    if (!failed) {
        pthread_mutex_lock(&output_lock);
        failed = output_json ? !print_json(record->object) : !print_text(record);
        flushed = fflush(stdout);
        reason = errno;
        pthread_mutex_unlock(&output_lock);
    }
    if (record != NULL) {
        cJSON_Delete(record->object);
        free(record);
    }
    if (failed) {
        return tool_fail(TOOL_EXIT_OTHER, PYWATT_NO_MEMORY, "out of memory");
    }
    if (flushed != 0) {
        return tool_fail(TOOL_EXIT_OTHER, PYWATT_IO, "standard output cannot be written: %s",
                         strerror(reason));
    }
    return 0;
}

void ctl_print_json_error(int exit_code, enum pywatt_status status, const char *text)
{
    cJSON *object = cJSON_CreateObject();
    cJSON *error = cJSON_AddObjectToObject(object, "error");
    bool ok = error != NULL &&
              cJSON_AddStringToObject(error, "status", pywatt_status_name(status)) != NULL &&
              cJSON_AddStringToObject(error, "code", pywatt_status_wire_code(status)) != NULL &&
              cJSON_AddStringToObject(error, "message", text) != NULL &&
              cJSON_AddNumberToObject(error, "exit_code", exit_code) != NULL;

    pthread_mutex_lock(&output_lock);
    if (!ok || !print_json(object)) {
        fprintf(stderr, "pywattctl: %s\n", text);
    }
    fflush(stdout);
    pthread_mutex_unlock(&output_lock);
    cJSON_Delete(object);
}
