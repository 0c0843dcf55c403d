/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fake_answers.c - what the fake orchestrator knows of modules, and what it answers. The serving
 * thread's, but for what ends in _locked.
 */
#include "fake_private.h"

#include "codec/codec.h"
#include "model/registration.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Modules --------------------------------------------------------------------------------- */

struct pw_fake_module *pw_fake_find_locked(struct pw_fake *fake, const struct pywatt_uuid *id)
{
    for (struct pw_list *at = fake->modules.next; at != &fake->modules; at = at->next) {
        struct pw_fake_known *module = PW_CONTAINER_OF(at, struct pw_fake_known, link);
        if (pywatt_uuid_equal(&module->is.id, id)) {
            return &module->is;
        }
    }
    return NULL;
}

void pw_fake_forget_locked(struct pw_fake_module *module)
{
    struct pw_fake_known *known = PW_CONTAINER_OF(module, struct pw_fake_known, is);
    pw_list_remove(&known->link);
    free(known);
}

void pw_fake_new_token_locked(struct pw_fake *fake, struct pw_fake_module *module)
{
    fake->tokens++;
    snprintf(module->token, sizeof(module->token), "token-%llu", (unsigned long long)fake->tokens);
}

static struct pw_fake_module *add_locked(struct pw_fake *fake,
                                         const struct pywatt_module_info *info)
{
    struct pw_fake_known *known = calloc(1, sizeof(*known));
    pw_fake_must(known != NULL, "no memory");
    if (pywatt_module_info_id(info) != NULL) {
        known->is.id = *pywatt_module_info_id(info);
    } else {
        pywatt_uuid_generate(&known->is.id);
    }
    pw_fake_new_token_locked(fake, &known->is);
    pw_list_append(&fake->modules, &known->link);
    return &known->is;
}

static struct pywatt_registration *make_registration(const struct pw_fake *fake,
                                                     const struct pw_fake_module *module,
                                                     const struct pywatt_module_info *info)
{
    struct pywatt_registration *made = pw_registration_new();
    pw_fake_must(made != NULL, "no memory");
    made->id = module->id;
    made->port = 7900;
    bool good =
        pw_registration_set_token(made, pw_str_from(module->token)) == PYWATT_OK &&
        pw_registration_set_host(made, pw_str_from("127.0.0.1")) == PYWATT_OK &&
        pywatt_module_info_copy(info, &made->info) == PYWATT_OK &&
        pw_registration_set_number(made, PW_DATA_GENERATION, module->generation) == PYWATT_OK;
    if (fake->interval_ms != 0) {
        good = good && pw_registration_set_number(made, PW_DATA_HEARTBEAT_INTERVAL_MS,
                                                  fake->interval_ms) == PYWATT_OK;
    }
    pw_fake_must(good, "a registration cannot be made");
    pw_registration_seal(made);
    return made;
}

static void refuse(struct pw_response *response, enum pywatt_status status, const char *text)
{
    response->success = false;
    response->status = status;
    response->error = pw_str_from(text);
}

static void append_pair(char *out, size_t size, const char *key, const char *value)
{
    const size_t used = strlen(out);
    snprintf(out + used, size - used, "%s%s%s,", key, value == NULL ? "" : "=",
             value == NULL ? "" : value);
}

static void append_map(char *out, size_t size, const struct pywatt_string_map *map)
{
    const char *key;
    const char *value;
    for (size_t i = 0; pywatt_string_map_at(map, i, &key, &value); i++) {
        append_pair(out, size, key, value);
    }
}

static void note_capabilities(struct pw_fake_module *module,
                              const struct pywatt_capabilities *capabilities)
{
    char *out = module->capabilities;
    const size_t size = sizeof(module->capabilities);
    module->advertised++;
    module->capabilities[0] = '\0';
    for (size_t i = 0; i < pywatt_capabilities_endpoint_count(capabilities); i++) {
        append_pair(out, size, pywatt_endpoint_path(pywatt_capabilities_endpoint(capabilities, i)),
                    NULL);
    }
    for (size_t i = 0; i < pywatt_capabilities_message_type_count(capabilities); i++) {
        append_pair(out, size, pywatt_capabilities_message_type(capabilities, i), NULL);
    }
    append_map(out, size, pywatt_capabilities_additional(capabilities));
}

/* ---- What is answered ------------------------------------------------------------------------ */

static void answer_register_locked(struct pw_fake *fake, const struct pw_request *request,
                                   struct pw_response *response)
{
    const struct pywatt_uuid *id = pywatt_module_info_id(request->info);
    struct pw_fake_module *module = id == NULL ? NULL : pw_fake_find_locked(fake, id);
    if (module != NULL && !pw_str_equal(request->token, pw_str_from(module->token))) {
        if (!fake->allow_takeover) {
            refuse(response, PYWATT_INVALID_TOKEN, "Invalid token");
            return;
        }
        pw_fake_new_token_locked(fake, module);
    }
    if (module == NULL) {
        module = add_locked(fake, request->info);
    }
    module->generation++;
    module->registered++;
    snprintf(module->name, sizeof(module->name), "%s", pywatt_module_info_name(request->info));
    response->registration = make_registration(fake, module, request->info);
}

static void answer_beat(struct pw_fake *fake, const struct pw_request *request,
                        struct pw_fake_module *module, struct pw_response *response)
{
    module->beats++;
    module->health = request->health;
    module->details[0] = '\0';
    append_map(module->details, sizeof(module->details), request->details);
    response->health = fake->verdict < 0 ? request->health : (enum pywatt_health)fake->verdict;
}

static void answer_locked(struct pw_fake *fake, const struct pw_request *request,
                          struct pw_response *response);

/* Each beat is answered as if it had come alone. */
static void answer_batch_locked(struct pw_fake *fake, const struct pw_request *request,
                                struct pw_response *response)
{
    response->beat_count = request->beat_count;
    response->exceptions = fake->exceptions;
    for (uint32_t i = 0; i < request->beat_count; i++) {
        const struct pw_batched_beat *beat = &request->beats[i];
        const struct pw_request alone = {.operation = PW_OP_HEARTBEAT,
                                         .module_id = beat->module_id,
                                         .token = beat->token,
                                         .generation = beat->generation,
                                         .health = beat->health};
        struct pw_response answer = {.success = true};
        answer_locked(fake, &alone, &answer);
        if (!answer.success || answer.health != beat->health) {
            fake->exceptions[response->exception_count++] =
                (struct pw_beat_exception){.index = i,
                                           .status = answer.success ? PYWATT_OK : answer.status,
                                           .health = answer.health,
                                           .error = answer.error};
        }
    }
}

static void answer_locked(struct pw_fake *fake, const struct pw_request *request,
                          struct pw_response *response)
{
    if (request->operation == PW_OP_HEARTBEAT_BATCH) {
        answer_batch_locked(fake, request, response);
        return;
    }
    if (request->operation == PW_OP_REGISTER) {
        answer_register_locked(fake, request, response);
        return;
    }
    response->health = request->health;
    struct pw_fake_module *module = pw_fake_find_locked(fake, &request->module_id);
    if (request->token.len == 0) {
        refuse(response, PYWATT_INVALID_ARGUMENT, "the alias stands for nothing");
    } else if (module == NULL) {
        refuse(response, PYWATT_MODULE_NOT_FOUND, "Module not found: it is not here");
    } else if (!pw_str_equal(request->token, pw_str_from(module->token))) {
        refuse(response, PYWATT_INVALID_TOKEN, "Invalid token");
    } else if (request->operation == PW_OP_HEARTBEAT && request->generation != 0 &&
               request->generation != module->generation) {
        refuse(response, PYWATT_STALE_GENERATION, "a newer registration exists");
    } else if (request->operation == PW_OP_HEARTBEAT) {
        answer_beat(fake, request, module, response);
    } else if (request->operation == PW_OP_CAPABILITIES) {
        note_capabilities(module, request->capabilities);
    } else {
        pw_fake_forget_locked(module);
    }
}

/* Decides what becomes of a request, and fills the answer. */
static enum pw_fake_action decide(struct pw_fake *fake, const struct pw_request *request,
                                  struct pw_response *response)
{
    pw_mutex_lock(&fake->lock);
    struct pw_fake_rule rule = fake->rules[request->operation];
    rule.drop |= request->operation == PW_OP_HEARTBEAT_BATCH && !fake->take_batches;
    *response = (struct pw_response){
        .operation = request->operation,
        .has_request_id = request->has_request_id && !fake->omit_request_ids,
        .request_id = request->request_id,
        .success = true,
    };
    enum pw_fake_action action = rule.drop   ? PW_FAKE_DROP
                                 : rule.hold ? PW_FAKE_HOLD
                                             : PW_FAKE_ANSWER;
    if (rule.refuse_status != PYWATT_OK) {
        response->health = request->health;
        refuse(response, rule.refuse_status, rule.refuse_text);
    } else if (rule.defer_times > 0 && !rule.drop) {
        fake->rules[request->operation].defer_times--;
        response->health = request->health;
        response->retry_after_ms = rule.retry_after_ms;
        refuse(response, PYWATT_UNAVAILABLE, "come again");
    } else if (!rule.drop) {
        answer_locked(fake, request, response);
    }
    pw_mutex_unlock(&fake->lock);
    if (rule.handler != NULL) {
        action = rule.handler(rule.user, request, response);
    }
    pw_mutex_lock(&fake->lock);
    fake->counts[request->operation]++;
    fake->held[request->operation] += action == PW_FAKE_HOLD ? 1 : 0;
    pw_cond_broadcast(&fake->changed);
    pw_mutex_unlock(&fake->lock);
    return action;
}

static void append_reply(struct pw_buffer *out, const struct pw_codec_ops *codec,
                         const struct pw_response *response)
{
    struct pw_buffer payload;
    struct pywatt_error error;
    uint8_t header[PW_FRAME_HEADER_SIZE];
    pw_buffer_init(&payload, PW_FAKE_FRAME_MAX);
    const enum pywatt_status status = pw_codec_encode_response(codec, response, &payload, &error);
    pw_fake_must(status == PYWATT_OK, "a reply cannot be encoded");
    pw_frame_write_header(header, (uint32_t)pw_buffer_len(&payload), codec->format_code);
    pw_fake_must(pw_buffer_append(out, header, sizeof(header)) == PYWATT_OK &&
                     pw_buffer_append(out, pw_buffer_bytes(&payload), pw_buffer_len(&payload)) ==
                         PYWATT_OK,
                 "no memory for a reply");
    pw_buffer_destroy(&payload);
}

static void tell_features(struct pw_fake *fake, struct pw_fake_connection *connection,
                          const struct pw_codec_ops *codec, struct pw_response *response)
{
    pw_mutex_lock(&fake->lock);
    if (fake->take_batches && codec->batches && !connection->told) {
        connection->told = true;
        response->features = PW_FEATURE_HEARTBEAT_BATCH;
    }
    pw_mutex_unlock(&fake->lock);
}

bool pw_fake_serve(struct pw_fake *fake, struct pw_fake_connection *connection,
                   const struct pw_frame *frame)
{
    struct pywatt_error error;
    bool recognised;
    const struct pw_codec_ops *codec = pw_codec_by_frame(frame->format_code, frame->payload);
    if (codec == NULL ||
        pw_codec_decode_request(codec, frame->payload, &pw_codec_default_limits, &fake->arena,
                                &fake->request, &recognised, &error) != PYWATT_OK) {
        return false;
    }
    struct pw_response response;
    pw_fake_expand(fake, connection, &fake->request);
    const enum pw_fake_action action = decide(fake, &fake->request, &response);
    if (action == PW_FAKE_ANSWER || action == PW_FAKE_HOLD) {
        tell_features(fake, connection, codec, &response);
        pw_fake_give_aliases(connection, &fake->request, &response);
        append_reply(action == PW_FAKE_HOLD ? &connection->held : &connection->out, codec,
                     &response);
    }
    pywatt_registration_release(response.registration);
    pw_request_reset(&fake->request);
    pw_arena_reset(&fake->arena);
    return action != PW_FAKE_DISCONNECT;
}
