/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * codec: nanoseconds to encode and to decode each message in each codec, and how long it is. Every
 * message is decoded once and encoded again before it is measured, and must give the same bytes.
 * One thread.
 */
#include "codec/codec.h"
#include "base/arena.h"
#include "base/buffer.h"
#include "model/message.h"
#include "model/registration.h"
#include "support/check.h"
#include "support/clock.h"
#include "support/progress.h"
#include "support/results.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 100

#define TOKEN "Zm9yIG1lYXN1cmluZyBvbmx5LCBubyBzZWNyZXQgYXQ"

/* One message in one codec, and what encoding and decoding it needs. */
struct subject {
    const struct pw_codec_ops *codec;
    const struct pw_request *request; /* or */
    const struct pw_response *response;
    struct pw_buffer bytes;
    struct pw_arena arena;
    struct pw_request decoded_request;
    struct pw_response decoded_response;
};

static void encode(struct subject *subject)
{
    struct pywatt_error error = {PYWATT_OK, ""};

    pw_buffer_clear(&subject->bytes);
    bench_check_ok(
        subject->request != NULL
            ? pw_codec_encode_request(subject->codec, subject->request, &subject->bytes, &error)
            : pw_codec_encode_response(subject->codec, subject->response, &subject->bytes, &error),
        &error);
}

static void decode(struct subject *subject)
{
    struct pywatt_error error = {PYWATT_OK, ""};
    struct pw_span span = pw_buffer_span(&subject->bytes);
    bool recognised = false;

    pw_arena_reset(&subject->arena);
    bench_check_ok(subject->request != NULL
                       ? pw_codec_decode_request(subject->codec, span, &pw_codec_default_limits,
                                                 &subject->arena, &subject->decoded_request,
                                                 &recognised, &error)
                       : pw_codec_decode_response(subject->codec, span, &pw_codec_default_limits,
                                                  &subject->arena, &subject->decoded_response,
                                                  &error),
                   &error);
}

/* What was decoded says the same as what was encoded: it encodes to the same bytes. */
static void check_round_trip(struct subject *subject)
{
    struct pywatt_error error = {PYWATT_OK, ""};
    struct pw_buffer again;

    pw_buffer_init(&again, pw_codec_default_limits.max_bytes);
    encode(subject);
    decode(subject);
    bench_check_ok(
        subject->request != NULL
            ? pw_codec_encode_request(subject->codec, &subject->decoded_request, &again, &error)
            : pw_codec_encode_response(subject->codec, &subject->decoded_response, &again, &error),
        &error);
    bench_check(pw_buffer_len(&again) == pw_buffer_len(&subject->bytes) &&
                    memcmp(pw_buffer_bytes(&again), pw_buffer_bytes(&subject->bytes),
                           pw_buffer_len(&again)) == 0,
                "%s: a message changes when it is decoded and encoded again", subject->codec->name);
    pw_buffer_destroy(&again);
}

/* Nanoseconds for one call of `work`. */
static double measure(struct subject *subject, void (*work)(struct subject *), uint64_t run_ns)
{
    const unsigned batch = 64;
    uint64_t calls = 0;
    uint64_t took = 0;
    uint64_t began = bench_now_ns();

    do {
        for (unsigned i = 0; i < batch; i++) {
            work(subject);
        }
        calls += batch;
        took = bench_now_ns() - began;
    } while (took < run_ns);
    return (double)took / (double)calls;
}

static void run(const struct bench_settings *settings, struct bench_results *results,
                struct subject *subject)
{
    const uint64_t run_ns = bench_amount(settings, 50 * BENCH_NS_PER_MS, 1);
    const bool asks = subject->request != NULL;
    const uint32_t beats = asks ? subject->request->beat_count : subject->response->beat_count;
    const char *operation =
        pw_operation_name(asks ? subject->request->operation : subject->response->operation);
    char metric[96];

    pw_buffer_init(&subject->bytes, pw_codec_default_limits.max_bytes);
    pw_arena_init(&subject->arena, PW_CODEC_ARENA_BUDGET);
    pw_request_init(&subject->decoded_request);
    pw_response_init(&subject->decoded_response);
    check_round_trip(subject);
    encode(subject);

    char size[32] = "";
    if (beats > 0) {
        snprintf(size, sizeof(size), " of %u%s", beats,
                 asks && subject->request->short_beats != NULL ? " by alias" : "");
    }
    int len = snprintf(metric, sizeof(metric), "%s %s%s %s", subject->codec->name, operation, size,
                       asks ? "request" : "reply");
    bench_check(len > 0 && (size_t)len < sizeof(metric), "a name too long");
    char *rest = metric + len;
    size_t room = sizeof(metric) - (size_t)len;
    snprintf(rest, room, ", size");
    bench_results_add(results, metric, "bytes", (double)pw_buffer_len(&subject->bytes));
    for (unsigned i = 0; i < settings->runs; i++) {
        snprintf(rest, room, ", encode");
        bench_results_add(results, metric, "ns", measure(subject, encode, run_ns));
        snprintf(rest, room, ", decode");
        bench_results_add(results, metric, "ns", measure(subject, decode, run_ns));
    }

    pw_request_clear(&subject->decoded_request);
    pw_response_clear(&subject->decoded_response);
    pw_arena_destroy(&subject->arena);
    pw_buffer_destroy(&subject->bytes);
}

/* ---- The messages --------------------------------------------------------------------------- */

struct messages {
    struct pywatt_module_info *info;
    struct pywatt_capabilities *capabilities;
    struct pywatt_registration *registration;
    struct pw_request requests[PW_OPERATION_COUNT];
    struct pw_response responses[PW_OPERATION_COUNT];
    struct pw_batched_beat beats[BATCH];
    pw_short_beat short_beats[BATCH];
    struct pw_request batch_request;
    struct pw_request short_batch_request;
    struct pw_response batch_response;
};

/* Beats of as many modules in one message, and the reply to it if all went well. */
static void make_batch(struct messages *messages)
{
    for (unsigned i = 0; i < BATCH; i++) {
        messages->beats[i] = (struct pw_batched_beat){
            .token = PW_STR_LITERAL(TOKEN), .generation = 1, .health = PYWATT_HEALTHY};
        pywatt_uuid_generate(&messages->beats[i].module_id);
    }
    pw_request_init(&messages->batch_request);
    messages->batch_request.operation = PW_OP_HEARTBEAT_BATCH;
    messages->batch_request.has_request_id = true;
    pywatt_uuid_generate(&messages->batch_request.request_id);
    messages->batch_request.beats = messages->beats;
    messages->batch_request.beat_count = BATCH;
    for (unsigned i = 0; i < BATCH; i++) {
        messages->short_beats[i] = pw_short_beat_of(i + 1, PYWATT_HEALTHY);
    }
    messages->short_batch_request = messages->batch_request;
    messages->short_batch_request.beats = NULL;
    messages->short_batch_request.short_beats = messages->short_beats;
    pw_response_init(&messages->batch_response);
    messages->batch_response.operation = PW_OP_HEARTBEAT_BATCH;
    messages->batch_response.has_request_id = true;
    messages->batch_response.request_id = messages->batch_request.request_id;
    messages->batch_response.success = true;
    messages->batch_response.beat_count = BATCH;
}

/* The parts of which the messages consist: about as much as a usual module says. */
static void make_parts(struct messages *messages)
{
    static const char *const methods[] = {"GET", "POST"};
    bool ok = pywatt_module_info_new("thermometer", "1.0.0", "Measures a room", &messages->info) ==
                  PYWATT_OK &&
              pywatt_module_info_set_metadata(messages->info, "site", "north") == PYWATT_OK;

    messages->capabilities = pywatt_capabilities_new();
    messages->registration = pw_registration_new();
    ok = ok &&
         pywatt_capabilities_add_http_endpoint(messages->capabilities, "/api/v1/data", methods,
                                               2) == PYWATT_OK &&
         pywatt_capabilities_add_message_type(messages->capabilities, "temperature") == PYWATT_OK &&
         pywatt_capabilities_set_capability(messages->capabilities, "limits",
                                            "{\"min\":-40,\"max\":85,\"units\":[\"C\",\"K\"]}") ==
             PYWATT_OK &&
         messages->registration != NULL &&
         pw_registration_set_token(messages->registration, PW_STR_LITERAL(TOKEN)) == PYWATT_OK &&
         pw_registration_set_host(messages->registration, PW_STR_LITERAL("127.0.0.1")) ==
             PYWATT_OK &&
         pw_registration_set_number(messages->registration, PW_DATA_LEASE_MS, 15000) == PYWATT_OK &&
         pw_registration_set_number(messages->registration, PW_DATA_HEARTBEAT_INTERVAL_MS, 5000) ==
             PYWATT_OK &&
         pw_registration_set_number(messages->registration, PW_DATA_GENERATION, 1) == PYWATT_OK;
    bench_check(ok, "the messages cannot be made");
    pywatt_uuid_generate(&messages->registration->id);
    messages->registration->port = 7900;
    bench_check(pywatt_module_info_copy(messages->info, &messages->registration->info) == PYWATT_OK,
                "out of memory");
    pw_registration_seal(messages->registration);
}

static void make_messages(struct messages *messages)
{
    make_batch(messages);
    make_parts(messages);
    for (int i = 0; i < PW_OPERATION_COUNT; i++) {
        struct pw_request *request = &messages->requests[i];
        struct pw_response *response = &messages->responses[i];

        pw_request_init(request);
        request->operation = (enum pw_operation)i;
        request->has_request_id = true;
        pywatt_uuid_generate(&request->request_id);
        if (request->operation == PW_OP_REGISTER) {
            request->info = messages->info;
        } else {
            request->module_id = messages->registration->id;
            request->token = PW_STR_LITERAL(TOKEN);
        }
        pw_response_init(response);
        response->operation = request->operation;
        response->has_request_id = true;
        response->request_id = request->request_id;
        response->success = true;
    }
    messages->requests[PW_OP_HEARTBEAT].generation = 1;
    messages->requests[PW_OP_CAPABILITIES].capabilities = messages->capabilities;
    messages->responses[PW_OP_REGISTER].registration = messages->registration;
}

static void free_parts(struct messages *messages)
{
    pywatt_module_info_free(messages->info);
    pywatt_capabilities_free(messages->capabilities);
    pywatt_registration_release(messages->registration);
}

int main(int argc, char **argv)
{
    struct bench_settings settings;
    static struct messages messages;
    unsigned done = 0;

    bench_settings_parse(&settings, "codec", "Times the codecs, message by message.", argc, argv);
    struct bench_results *results = bench_results_new(&settings);
    make_messages(&messages);
    for (const struct pw_codec_ops *const *codec = pw_codec_all(); *codec != NULL; codec++) {
        for (int i = 0; i < PW_OPERATION_COUNT; i++) {
            struct subject request = {.codec = *codec, .request = &messages.requests[i]};
            struct subject response = {.codec = *codec, .response = &messages.responses[i]};
            bench_progress(&settings, done++, 3 * PW_OPERATION_COUNT, (*codec)->name);
            run(&settings, results, &request);
            run(&settings, results, &response);
        }
        if ((*codec)->batches) {
            struct subject request = {.codec = *codec, .request = &messages.batch_request};
            struct subject shorter = {.codec = *codec, .request = &messages.short_batch_request};
            struct subject response = {.codec = *codec, .response = &messages.batch_response};
            run(&settings, results, &request);
            run(&settings, results, &shorter);
            run(&settings, results, &response);
        }
    }
    free_parts(&messages);
    return bench_results_finish(results);
}
