/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * same.c - see same.h.
 */
#include "same.h"

#include "model/registration.h"
#include "model/string_map.h"

#include <string.h>

static bool same_id(bool has_a, const struct pywatt_uuid *a, bool has_b,
                    const struct pywatt_uuid *b)
{
    return has_a == has_b && (!has_a || pywatt_uuid_equal(a, b));
}

static bool same_beats(const struct pw_request *a, const struct pw_request *b)
{
    bool same =
        a->beat_count == b->beat_count && (a->short_beats == NULL) == (b->short_beats == NULL);
    if (same && a->short_beats != NULL) {
        same = a->full_count == b->full_count &&
               memcmp(a->short_beats, b->short_beats, a->beat_count * sizeof(*a->short_beats)) == 0;
    }
    for (uint32_t i = 0; same && i < pw_request_full_count(a); i++) {
        same = pywatt_uuid_equal(&a->beats[i].module_id, &b->beats[i].module_id) &&
               pw_str_equal(a->beats[i].token, b->beats[i].token) &&
               a->beats[i].generation == b->beats[i].generation &&
               a->beats[i].health == b->beats[i].health && a->beats[i].alias == b->beats[i].alias;
    }
    return same;
}

static bool same_exceptions(const struct pw_response *a, const struct pw_response *b)
{
    bool same = a->beat_count == b->beat_count && a->exception_count == b->exception_count;
    for (uint32_t i = 0; same && i < a->exception_count; i++) {
        same = a->exceptions[i].index == b->exceptions[i].index &&
               a->exceptions[i].status == b->exceptions[i].status &&
               a->exceptions[i].health == b->exceptions[i].health &&
               pw_str_equal(a->exceptions[i].error, b->exceptions[i].error);
    }
    return same;
}

bool pw_same_request(const struct pw_request *a, const struct pw_request *b)
{
    if (a->operation != b->operation || !pw_str_equal(a->token, b->token) ||
        !same_id(a->has_request_id, &a->request_id, b->has_request_id, &b->request_id)) {
        return false;
    }
    if (a->operation == PW_OP_REGISTER) {
        return a->can_wait == b->can_wait && pywatt_module_info_equal(a->info, b->info);
    }
    if (!same_beats(a, b)) {
        return false;
    }
    return pywatt_uuid_equal(&a->module_id, &b->module_id) && a->health == b->health &&
           a->generation == b->generation && pywatt_string_map_equal(a->details, b->details) &&
           pywatt_capabilities_equal(a->capabilities, b->capabilities);
}

static bool same_registration(const struct pywatt_registration *a,
                              const struct pywatt_registration *b)
{
    if (a == NULL || b == NULL) {
        return a == b;
    }
    return pywatt_uuid_equal(&a->id, &b->id) && a->port == b->port &&
           strcmp(pywatt_registration_token(a), pywatt_registration_token(b)) == 0 &&
           strcmp(pywatt_registration_orchestrator_host(a),
                  pywatt_registration_orchestrator_host(b)) == 0 &&
           pywatt_module_info_equal(a->info, b->info) && pywatt_string_map_equal(a->env, b->env) &&
           pywatt_string_map_equal(a->additional_data, b->additional_data) &&
           a->generation == b->generation && a->lease_ms == b->lease_ms;
}

bool pw_same_response(const struct pw_response *a, const struct pw_response *b)
{
    return a->operation == b->operation && a->success == b->success && a->status == b->status &&
           a->health == b->health && pw_str_equal(a->error, b->error) &&
           a->retry_after_ms == b->retry_after_ms && a->features == b->features &&
           same_exceptions(a, b) &&
           same_id(a->has_request_id, &a->request_id, b->has_request_id, &b->request_id) &&
           pywatt_string_map_equal(a->context, b->context) &&
           same_registration(a->registration, b->registration);
}
