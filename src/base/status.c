/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * status.c - the names, texts and wire codes of enum pywatt_status. Constant tables, made from the
 * same X-macro as the enum; any thread.
 */
#include <pywatt/status.h>

#include "base/error.h"

#include <stddef.h>
#include <string.h>

struct status_entry {
    const char *name;
    const char *wire_code;
    const char *text;
};

static const struct status_entry entries[] = {
#define STATUS_ENTRY(name, number, wire, text) [PYWATT_##name] = {#name, wire, text},
    PYWATT_STATUS_TABLE(STATUS_ENTRY)
#undef STATUS_ENTRY
};

#define STATUS_COUNT (sizeof(entries) / sizeof(entries[0]))

/*
 * As many entries as numbers, and each number once: with holes the first would be false, with a
 * number given twice the sum of the bits would not be all ones.
 */
#define STATUS_ONE(name, number, wire, text) +1u
#define STATUS_BIT(name, number, wire, text) +(1ull << (number))
_Static_assert((0u PYWATT_STATUS_TABLE(STATUS_ONE)) == STATUS_COUNT,
               "the status numbers have no holes");
_Static_assert((0ull PYWATT_STATUS_TABLE(STATUS_BIT)) == (1ull << STATUS_COUNT) - 1,
               "each status has its own number");
#undef STATUS_ONE
#undef STATUS_BIT

static const struct status_entry *find(enum pywatt_status status)
{
    return (size_t)status < STATUS_COUNT ? &entries[status] : NULL;
}

const char *pywatt_status_name(enum pywatt_status status)
{
    const struct status_entry *entry = find(status);
    return entry == NULL ? "UNKNOWN" : entry->name;
}

const char *pywatt_status_text(enum pywatt_status status)
{
    const struct status_entry *entry = find(status);
    return entry == NULL ? "unknown status" : entry->text;
}

const char *pywatt_status_wire_code(enum pywatt_status status)
{
    const struct status_entry *entry = find(status);
    return entry == NULL ? entries[PYWATT_REJECTED].wire_code : entry->wire_code;
}

enum pywatt_status pw_status_from_wire_code(const char *code, unsigned long len)
{
    /* From 1: a failure that calls itself a success must not be taken for one. */
    for (size_t i = 1; i < STATUS_COUNT; i++) {
        const char *wire_code = entries[i].wire_code;
        if (strlen(wire_code) == len && memcmp(wire_code, code, len) == 0) {
            return (enum pywatt_status)i;
        }
    }
    return PYWATT_REJECTED;
}
