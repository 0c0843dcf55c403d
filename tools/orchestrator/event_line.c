/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See event_line.h. */
#include "orchestrator/event_line.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

/* `text` is UTF-8. */
static void clean_copy(char *out, size_t size, const char *text)
{
    const unsigned char *from = (const unsigned char *)text;
    size_t n = 0;

    while (*from != '\0' && n + 1 < size) {
        bool two_bytes = from[0] == 0xc2 && from[1] >= 0x80 && from[1] <= 0x9f;
        out[n++] = two_bytes || *from < ' ' || *from == 127 ? '?' : (char)*from;
        from += two_bytes ? 2 : 1;
    }
    out[n] = '\0';
}

void event_line(char out[EVENT_LINE_SIZE], const struct pywatt_event *event)
{
    char id[PYWATT_UUID_TEXT_SIZE];
    char name[PYWATT_NAME_MAX + 1];

    pywatt_uuid_format(&event->module_id, id);
    clean_copy(name, sizeof(name), event->module_name);
    snprintf(out, EVENT_LINE_SIZE, "%s %s id=%s health=%s liveness=%s generation=%" PRIu64,
             pywatt_event_name(event->kind), name, id, pywatt_health_name(event->health),
             pywatt_liveness_name(event->liveness), event->generation);
}
