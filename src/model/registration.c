/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * registration.c - what an orchestrator said when it registered a module. One thread makes it; once
 * it is handed out only the reference count changes, which is atomic.
 */
#include "model/registration.h"

#include "base/tool_hints.h"
#include "model/string_map.h"
#include "model/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pywatt_registration *pw_registration_new(void)
{
    struct pywatt_registration *registration = calloc(1, sizeof(*registration));
    if (registration != NULL) {
        atomic_init(&registration->references, 1);
        PW_HINT_ATOMIC(registration->references);
    }
    return registration;
}

static void free_secret(char *text)
{
    if (text != NULL) {
        explicit_bzero(text, strlen(text));
        free(text);
    }
}

struct pywatt_registration *pywatt_registration_acquire(struct pywatt_registration *registration)
{
    if (registration != NULL) {
        atomic_fetch_add_explicit(&registration->references, 1, memory_order_relaxed);
    }
    return registration;
}

void pywatt_registration_release(struct pywatt_registration *registration)
{
    if (registration == NULL) {
        return;
    }
    /* What other threads did with it has happened before the last reference frees it. */
    PW_HINT_RELEASE(&registration->references);
    if (atomic_fetch_sub_explicit(&registration->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    PW_HINT_ACQUIRE(&registration->references);
    free_secret(registration->token);
    free(registration->host);
    pywatt_module_info_free(registration->info);
    pywatt_string_map_free(registration->env);
    pywatt_string_map_free(registration->additional_data);
    free(registration);
}

enum pywatt_status pw_registration_set_token(struct pywatt_registration *registration,
                                             struct pw_str token)
{
    const enum pywatt_status status = pw_text_check(token, PYWATT_TOKEN_MAX, true);
    if (status != PYWATT_OK) {
        return status;
    }
    char *copy = pw_text_copy(token);
    if (copy == NULL) {
        return PYWATT_NO_MEMORY;
    }
    free_secret(registration->token);
    registration->token = copy;
    return PYWATT_OK;
}

enum pywatt_status pw_registration_set_host(struct pywatt_registration *registration,
                                            struct pw_str host)
{
    const enum pywatt_status status = pw_text_check(host, PYWATT_HOST_MAX, true);
    if (status != PYWATT_OK) {
        return status;
    }
    char *copy = pw_text_copy(host);
    if (copy == NULL) {
        return PYWATT_NO_MEMORY;
    }
    free(registration->host);
    registration->host = copy;
    return PYWATT_OK;
}

enum pywatt_status pw_registration_set_number(struct pywatt_registration *registration,
                                              const char *key, uint64_t value)
{
    char digits[24];
    const int len = snprintf(digits, sizeof(digits), "%" PRIu64, value);
    return pw_string_map_put(&registration->additional_data, pw_str_from(key),
                             (struct pw_str){digits, (size_t)len});
}

/* JSON text of a whole number, bare or as a string of digits; 0 for anything else. */
static uint64_t read_number(const struct pywatt_string_map *map, const char *key)
{
    struct pw_str text = pw_str_from(pywatt_string_map_get(map, key));
    if (text.len > 2 && text.data[0] == '"') {
        text = (struct pw_str){text.data + 1, text.len - 2};
    }
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.data[i];
        if (c < '0' || c > '9' || __builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(c - '0'), &value)) {
            return 0;
        }
    }
    return value;
}

void pw_registration_seal(struct pywatt_registration *registration)
{
    const struct pywatt_string_map *data = registration->additional_data;
    registration->generation = read_number(data, PW_DATA_GENERATION);
    registration->lease_ms = read_number(data, PW_DATA_LEASE_MS);
    registration->heartbeat_interval_ms = read_number(data, PW_DATA_HEARTBEAT_INTERVAL_MS);
}

const struct pywatt_uuid *pywatt_registration_id(const struct pywatt_registration *registration)
{
    return registration == NULL ? NULL : &registration->id;
}

static const char *text_or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

const char *pywatt_registration_token(const struct pywatt_registration *registration)
{
    return registration == NULL ? NULL : text_or_empty(registration->token);
}

const struct pywatt_module_info *
pywatt_registration_info(const struct pywatt_registration *registration)
{
    return registration == NULL ? NULL : registration->info;
}

const char *pywatt_registration_orchestrator_host(const struct pywatt_registration *registration)
{
    return registration == NULL ? NULL : text_or_empty(registration->host);
}

uint16_t pywatt_registration_orchestrator_port(const struct pywatt_registration *registration)
{
    return registration == NULL ? 0 : registration->port;
}

const struct pywatt_string_map *
pywatt_registration_env(const struct pywatt_registration *registration)
{
    return registration == NULL ? NULL : pw_string_map_or_null(registration->env);
}

const struct pywatt_string_map *
pywatt_registration_additional_data(const struct pywatt_registration *registration)
{
    return registration == NULL ? NULL : pw_string_map_or_null(registration->additional_data);
}

uint64_t pywatt_registration_generation(const struct pywatt_registration *registration)
{
    return registration == NULL ? 0 : registration->generation;
}

uint64_t pywatt_registration_lease_ms(const struct pywatt_registration *registration)
{
    return registration == NULL ? 0 : registration->lease_ms;
}

uint64_t pywatt_registration_heartbeat_interval_ms(const struct pywatt_registration *registration)
{
    return registration == NULL ? 0 : registration->heartbeat_interval_ms;
}
