/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The short ways for usual beats beside the long ways for any message: both give the same bytes, the
 * same messages, the same statuses and the same errors, for messages of all kinds, for every change,
 * insertion, loss and cut of a byte of them, and under every limit; and the beats that our encoders
 * write do go the short way. One thread.
 */
#include "pw_test.h"

#include "codec/json_codec.h"
#include "codec/json_usual.h"
#include "codec/protobuf_codec.h"
#include "codec/protobuf_usual.h"
#include "model/string_map.h"
#include "samples.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- The ways of each codec --------------------------------------------------------------- */

/* The same as a codec, without its short ways; and those alone. */
struct ways {
    const struct pw_codec_ops *codec;
    struct pw_codec_ops long_ways;
    bool (*short_request)(struct pw_span payload, const struct pw_codec_limits *limits,
                          struct pw_request *message);
    bool (*short_response)(struct pw_span payload, const struct pw_codec_limits *limits,
                           struct pw_response *message);
};

static enum pywatt_status rust_request(const struct pw_request *request, struct pw_buffer *out,
                                       struct pywatt_error *error)
{
    return pw_json_encode_request(request, PW_JSON_RUST, out, error);
}

static enum pywatt_status rust_response(const struct pw_response *response, struct pw_buffer *out,
                                        struct pywatt_error *error)
{
    return pw_json_encode_response(response, PW_JSON_RUST, out, error);
}

static enum pywatt_status python_request(const struct pw_request *request, struct pw_buffer *out,
                                         struct pywatt_error *error)
{
    return pw_json_encode_request(request, PW_JSON_PYTHON, out, error);
}

static enum pywatt_status python_response(const struct pw_response *response, struct pw_buffer *out,
                                          struct pywatt_error *error)
{
    return pw_json_encode_response(response, PW_JSON_PYTHON, out, error);
}

static struct ways all_ways[] = {
    {.codec = &pw_codec_json,
     .long_ways = {.encode_request = rust_request,
                   .encode_response = rust_response,
                   .decode_request = pw_json_decode_request,
                   .decode_response = pw_json_decode_response,
                   .peek_response_id = pw_json_peek_response_id},
     .short_request = pw_json_usual_request,
     .short_response = pw_json_usual_response},
    {.codec = &pw_codec_json_python,
     .long_ways = {.encode_request = python_request,
                   .encode_response = python_response,
                   .decode_request = pw_json_decode_request,
                   .decode_response = pw_json_decode_response,
                   .peek_response_id = pw_json_peek_response_id},
     .short_request = pw_json_usual_request,
     .short_response = pw_json_usual_response},
    {.codec = &pw_codec_protobuf,
     .long_ways = {.encode_request = pw_protobuf_encode_request,
                   .encode_response = pw_protobuf_encode_response,
                   .decode_request = pw_protobuf_scan_request,
                   .decode_response = pw_protobuf_scan_response},
     .short_request = pw_protobuf_usual_request,
     .short_response = pw_protobuf_usual_response},
};

#define WAYS (sizeof(all_ways) / sizeof(all_ways[0]))

static struct pw_reader reader;
static struct pw_reader long_reader;

static int set_up(void **state)
{
    (void)state;
    pw_reader_init(&reader);
    pw_reader_init(&long_reader);
    for (size_t i = 0; i < WAYS; i++) {
        all_ways[i].long_ways.name = all_ways[i].codec->name;
        all_ways[i].long_ways.batches = all_ways[i].codec->batches;
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pw_reader_destroy(&reader);
    pw_reader_destroy(&long_reader);
    return 0;
}

/* ---- Reading both ways -------------------------------------------------------------------- */

typedef void (*read_function)(const struct ways *ways, struct pw_span bytes,
                              const struct pw_codec_limits *limits);

static void check_verdicts(const struct ways *ways, enum pywatt_status status,
                           enum pywatt_status long_status)
{
    if (status != long_status) {
        fail_msg("%s: status %d, the long way %d", ways->codec->name, (int)status,
                 (int)long_status);
    }
    if (status != PYWATT_OK) {
        assert_string_equal(reader.error.text, long_reader.error.text);
    }
}

static void read_requests(const struct ways *ways, struct pw_span bytes,
                          const struct pw_codec_limits *limits)
{
    pw_arena_reset(&reader.arena);
    pw_arena_reset(&long_reader.arena);
    const enum pywatt_status status =
        pw_codec_decode_request(ways->codec, bytes, limits, &reader.arena, &reader.request,
                                &reader.recognised, &reader.error);
    const enum pywatt_status long_status =
        pw_codec_decode_request(&ways->long_ways, bytes, limits, &long_reader.arena,
                                &long_reader.request, &long_reader.recognised, &long_reader.error);
    check_verdicts(ways, status, long_status);
    assert_int_equal(reader.recognised, long_reader.recognised);
    assert_true(pw_same_request(&reader.request, &long_reader.request));
}

static void check_peeks(const struct ways *ways, struct pw_span bytes)
{
    struct pywatt_uuid id = {{0}};
    struct pywatt_uuid long_id = {{0}};
    bool has_id = false;
    bool long_has_id = false;
    if (ways->long_ways.peek_response_id == NULL) {
        return;
    }
    const enum pywatt_status status = pw_codec_peek_response_id(ways->codec, bytes, &has_id, &id);
    assert_int_equal(status,
                     pw_codec_peek_response_id(&ways->long_ways, bytes, &long_has_id, &long_id));
    assert_int_equal(has_id, long_has_id);
    assert_true(!has_id || pywatt_uuid_equal(&id, &long_id));
}

static void read_responses(const struct ways *ways, struct pw_span bytes,
                           const struct pw_codec_limits *limits)
{
    pw_arena_reset(&reader.arena);
    pw_arena_reset(&long_reader.arena);
    const enum pywatt_status status = pw_codec_decode_response(
        ways->codec, bytes, limits, &reader.arena, &reader.response, &reader.error);
    const enum pywatt_status long_status =
        pw_codec_decode_response(&ways->long_ways, bytes, limits, &long_reader.arena,
                                 &long_reader.response, &long_reader.error);
    check_verdicts(ways, status, long_status);
    assert_true(pw_same_response(&reader.response, &long_reader.response));
    check_peeks(ways, bytes);
}

/* ---- Damage ------------------------------------------------------------------------------- */

/* Reads the bytes out of a heap block of exactly their size. */
static void read_exactly(const struct ways *ways, const uint8_t *bytes, size_t len,
                         read_function read)
{
    struct pw_span exact = pw_copy_bytes(bytes, len);
    read(ways, exact, &pw_codec_default_limits);
    pw_free_bytes(exact);
}

/* How many other values a byte is given, 255 being all. */
static unsigned values_per_byte(void)
{
    return pw_test_slow_factor() == 1 ? 255 : pw_test_slow_factor() > 10 ? 2 : 16;
}

static void change_byte(const struct ways *ways, struct pw_span whole, size_t at,
                        read_function read)
{
    static const uint8_t telling[] = {0x00, ' ', '"', '\\', ',', '0', 0x7F, 0x80};
    uint8_t more[1024];
    const unsigned values = values_per_byte();
    assert_true(whole.len + 2 < sizeof(more));
    memcpy(more, whole.data, whole.len);
    for (unsigned i = 1; i <= values; i++) {
        more[at] = whole.data[at] ^ (uint8_t)(values == 255 ? i : i * 37 + at);
        read_exactly(ways, more, whole.len, read);
    }
    /* One more byte, and one less. */
    memmove(more + at + 1, whole.data + at, whole.len - at);
    for (unsigned i = 0; i < sizeof(telling) / pw_test_slow_factor() + 1; i++) {
        more[at] = telling[i % sizeof(telling)];
        read_exactly(ways, more, whole.len + 1, read);
    }
    memcpy(more, whole.data, at);
    memcpy(more + at, whole.data + at + 1, whole.len - at - 1);
    read_exactly(ways, more, whole.len - 1, read);
}

static void add_at_the_end(const struct ways *ways, struct pw_span whole, read_function read)
{
    static const uint8_t telling[] = {0x00, ' ', '"', '}', ',', '0', 0x20, 0x18, 0x80};
    uint8_t more[1024];
    memcpy(more, whole.data, whole.len);
    for (size_t i = 0; i < sizeof(telling); i++) {
        more[whole.len] = telling[i];
        more[whole.len + 1] = 1;
        read_exactly(ways, more, whole.len + 1, read);
        read_exactly(ways, more, whole.len + 2, read);
    }
}

static void damage(const struct ways *ways, struct pw_span whole, read_function read)
{
    read(ways, whole, &pw_codec_default_limits);
    add_at_the_end(ways, whole, read);
    for (size_t at = 0; at < whole.len; at++) {
        read_exactly(ways, whole.data, at, read);
        change_byte(ways, whole, at, read);
    }
}

static void lower_limits(const struct ways *ways, struct pw_span whole, read_function read)
{
    struct pw_codec_limits limits = pw_codec_default_limits;
    for (limits.max_elements = 0; limits.max_elements < 40; limits.max_elements++) {
        read(ways, whole, &limits);
    }
    limits = pw_codec_default_limits;
    for (limits.max_depth = 0; limits.max_depth < 5; limits.max_depth++) {
        read(ways, whole, &limits);
    }
    limits = pw_codec_default_limits;
    for (limits.max_string = 0; limits.max_string < 600; limits.max_string++) {
        read(ways, whole, &limits);
    }
    limits = pw_codec_default_limits;
    for (limits.max_bytes = 0; limits.max_bytes < whole.len + 2; limits.max_bytes++) {
        read(ways, whole, &limits);
    }
}

/* ---- Messages ----------------------------------------------------------------------------- */

#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

static const struct pw_str tokens[] = {
    {"t", 1},
    {TEN "01234", 15},
    {TEN "012345", 16},
    {TEN "0123456", 17},
    {"Zm9yIG1lYXN1cmluZyBvbmx5LCBubyBzZWNyZXQgYXQ", 43},
    {HUNDRED, 94},
    {HUNDRED, 95},
    {HUNDRED, 96},
    {HUNDRED TEN TEN "0123456", 127},
    {HUNDRED TEN TEN "01234567", 128},
    {HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED TEN "01", 512},
    {"a \"quoted\" one", 14},
    {TEN TEN "\\" TEN, 31},
    {TEN TEN "\x7f" TEN, 31},
    {TEN TEN "\n" TEN, 31},
    {"t\xc3\xb6ken of many characters", 25},
};

static const uint64_t generations[] = {
    0,
    1,
    9,
    10,
    127,
    128,
    300,
    UINT64_C(999999999999999999),
    UINT32_MAX,
    INT64_MAX,
    UINT64_C(9999999999999999999),
    UINT64_MAX,
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void beat(struct pw_request *request, size_t token, size_t generation,
                 enum pywatt_health health)
{
    pw_request_init(request);
    pw_sample_request("heartbeat", request);
    request->token = tokens[token];
    request->generation = generations[generation];
    request->health = health;
}

static struct pw_span request_bytes(const struct pw_codec_ops *codec,
                                    const struct pw_request *request)
{
    struct pw_buffer out;
    pw_buffer_init(&out, 1 << 20);
    assert_int_equal(pw_codec_encode_request(codec, request, &out, NULL), PYWATT_OK);
    const struct pw_span bytes = pw_copy_bytes(pw_buffer_bytes(&out), pw_buffer_len(&out));
    pw_buffer_destroy(&out);
    return bytes;
}

/* ---- Tests -------------------------------------------------------------------------------- */

static void reads_every_damaged_sample_as_the_long_way(void **state)
{
    (void)state;
    for (size_t i = 0; i < WAYS; i++) {
        const struct ways *ways = &all_ways[i];
        for (const struct pw_sample_request *at = pw_sample_requests;
             pw_sample_fits(ways->codec, at->name); at++) {
            struct pw_span whole = pw_sample_request_bytes(ways->codec, at->name);
            if (strncmp(at->name, "heartbeat", 9) == 0) {
                damage(ways, whole, read_requests);
            }
            lower_limits(ways, whole, read_requests);
            pw_free_bytes(whole);
        }
        for (const struct pw_sample_response *at = pw_sample_responses;
             pw_sample_fits(ways->codec, at->name); at++) {
            struct pw_span whole = pw_sample_response_bytes(ways->codec, at->name);
            if (strncmp(at->name, "heartbeat", 9) == 0) {
                damage(ways, whole, read_responses);
            }
            lower_limits(ways, whole, read_responses);
            pw_free_bytes(whole);
        }
    }
}

static void reads_every_damaged_beat_with_a_generation_as_the_long_way(void **state)
{
    (void)state;
    struct pw_request request;
    for (size_t i = 0; i < WAYS; i++) {
        beat(&request, 4, 6, PYWATT_DEGRADED);
        struct pw_span whole = request_bytes(all_ways[i].codec, &request);
        damage(&all_ways[i], whole, read_requests);
        lower_limits(&all_ways[i], whole, read_requests);
        pw_free_bytes(whole);
    }
}

/* Writes both ways, into a buffer that holds some bytes already. */
static void write_both_ways(const struct ways *ways, const struct pw_request *request,
                            const struct pw_response *response, size_t limit, size_t held)
{
    static const uint8_t filling[1024];
    struct pw_buffer out[2];
    enum pywatt_status status[2];
    for (int i = 0; i < 2; i++) {
        const struct pw_codec_ops *codec = i == 0 ? ways->codec : &ways->long_ways;
        pw_buffer_init(&out[i], limit);
        assert_int_equal(pw_buffer_append(&out[i], filling, held), PYWATT_OK);
        status[i] = request != NULL ? pw_codec_encode_request(codec, request, &out[i], NULL)
                                    : pw_codec_encode_response(codec, response, &out[i], NULL);
    }
    assert_int_equal(status[0], status[1]);
    assert_int_equal(pw_buffer_len(&out[0]), pw_buffer_len(&out[1]));
    if (pw_buffer_len(&out[0]) > 0) {
        assert_memory_equal(pw_buffer_bytes(&out[0]), pw_buffer_bytes(&out[1]),
                            pw_buffer_len(&out[0]));
    }
    pw_buffer_destroy(&out[0]);
    pw_buffer_destroy(&out[1]);
}

static void writes_and_reads_every_beat_as_the_long_way(void **state)
{
    (void)state;
    struct pw_request request;
    for (size_t i = 0; i < WAYS; i++) {
        for (size_t token = 0; token < COUNT_OF(tokens); token++) {
            for (size_t generation = 0; generation < COUNT_OF(generations); generation++) {
                const enum pywatt_health health = (enum pywatt_health)((token + generation) % 3);
                beat(&request, token, generation, health);
                write_both_ways(&all_ways[i], &request, NULL, 1 << 20, 0);
                write_both_ways(&all_ways[i], &request, NULL, 1 << 20, 1);
                struct pw_span whole = request_bytes(all_ways[i].codec, &request);
                read_requests(&all_ways[i], whole, &pw_codec_default_limits);
                assert_true(pw_same_request(&request, &reader.request));
                pw_free_bytes(whole);
            }
        }
    }
}

/* What a reply may have beside its health, of which any keeps it from being usual. */
static void vary_reply(struct pw_response *response, unsigned variant)
{
    pw_sample_response(variant == 1 ? "heartbeat-context" : "heartbeat", response);
    response->has_request_id = variant != 2;
    response->retry_after_ms = variant == 3 ? 1000 : 0;
    response->features = variant == 4 ? PW_FEATURE_HEARTBEAT_BATCH : 0;
    if (variant == 5) {
        response->success = false;
        response->status = PYWATT_UNAVAILABLE;
    }
    if (variant == 6) {
        response->operation = PW_OP_UNREGISTER;
    }
}

static void writes_every_reply_as_the_long_way(void **state)
{
    (void)state;
    struct pw_response response;
    for (size_t i = 0; i < WAYS; i++) {
        for (int health = PYWATT_HEALTHY; health <= PYWATT_UNHEALTHY; health++) {
            for (unsigned variant = 0; variant <= 6; variant++) {
                pw_response_init(&response);
                vary_reply(&response, variant);
                response.health = (enum pywatt_health)health;
                write_both_ways(&all_ways[i], NULL, &response, 1 << 20, 0);
                write_both_ways(&all_ways[i], NULL, &response, 1 << 20, 1);
                pw_response_clear(&response);
            }
        }
    }
}

static void writes_into_any_room_as_the_long_way(void **state)
{
    (void)state;
    struct pw_request request;
    struct pw_response response;
    beat(&request, 4, 6, PYWATT_UNHEALTHY);
    pw_response_init(&response);
    pw_sample_response("heartbeat", &response);
    for (size_t i = 0; i < WAYS; i++) {
        for (size_t room = 0; room < 700; room++) {
            /* A block that has room from the beginning, and one that must grow. */
            write_both_ways(&all_ways[i], &request, NULL, 1 + room, 1);
            write_both_ways(&all_ways[i], &request, NULL, 300 + room, 300);
            write_both_ways(&all_ways[i], NULL, &response, 1 + room, 1);
            write_both_ways(&all_ways[i], NULL, &response, 300 + room, 300);
        }
    }
    pw_response_clear(&response);
}

static void goes_the_short_way_with_what_our_encoders_write(void **state)
{
    (void)state;
    struct pw_request request;
    for (size_t i = 0; i < WAYS; i++) {
        for (size_t generation = 0; generation < 10; generation++) {
            beat(&request, 4, generation, (enum pywatt_health)(generation % 3));
            struct pw_span bytes = request_bytes(all_ways[i].codec, &request);
            pw_request_reset(&reader.request);
            assert_true(
                all_ways[i].short_request(bytes, &pw_codec_default_limits, &reader.request));
            assert_true(pw_same_request(&request, &reader.request));
            pw_free_bytes(bytes);
        }
        struct pw_span reply = pw_sample_response_bytes(all_ways[i].codec, "heartbeat");
        pw_response_reset(&reader.response);
        assert_true(all_ways[i].short_response(reply, &pw_codec_default_limits, &reader.response));
        pw_free_bytes(reply);
    }
}

/* The SDKs' ids of the envelope have nothing to do with the request id. */
static void goes_the_short_way_with_ids_of_the_rust_sdk(void **state)
{
    (void)state;
    static const char beat_text[] =
        "{\"id\":\"00000000-1111-4222-8333-444444444444\",\"content\":{\"request_type\":"
        "\"heartbeat\",\"module_id\":\"A3B8F042-1e16-4f0d-8f1c-7d2f6c5b4a90\",\"token\":\"t\","
        "\"status\":\"Degraded\"},\"metadata\":{\"id\":\"6f1d3c1e-52a7-4d0b-9b60-0c6f5a1d2e34\"}}";
    const struct pw_span bytes = {(const uint8_t *)beat_text, sizeof(beat_text) - 1};
    pw_request_reset(&reader.request);
    assert_true(pw_json_usual_request(bytes, &pw_codec_default_limits, &reader.request));
    assert_int_equal(reader.request.request_id.bytes[0], 0x6f);
    assert_int_equal(reader.request.module_id.bytes[0], 0xa3);
    damage(&all_ways[0], bytes, read_requests);
}

/* ---- What no single byte makes of another message ------------------------------------------ */

static const char rust_head[] =
    "{\"id\":\"00000000-1111-4222-8333-444444444444\",\"content\":{\"request_type\":"
    "\"heartbeat\",\"module_id\":\"a3b8f042-1e16-4f0d-8f1c-7d2f6c5b4a90\",\"token\":\"";
static const char rust_tail[] = "},\"metadata\":{\"id\":\"6f1d3c1e-52a7-4d0b-9b60-0c6f5a1d2e34\"}}";

static void read_json_beat(const char *token, const char *generation)
{
    char text[1024];
    const int len =
        snprintf(text, sizeof(text), "%s%s\",\"status\":\"Healthy\"%s%s%s", rust_head, token,
                 generation[0] == '\0' ? "" : ",\"generation\":", generation, rust_tail);
    assert_in_range(len, 1, sizeof(text) - 1);
    read_exactly(&all_ways[0], (const uint8_t *)text, (size_t)len, read_requests);
}

static void reads_every_generation_as_the_long_way(void **state)
{
    (void)state;
    static const char *const spellings[] = {
        "",
        "0",
        "1",
        "00",
        "01",
        "-0",
        "-1",
        "1.0",
        "1e2",
        "1 ",
        " 1",
        "\"7\"",
        "null",
        "999999999999999999",
        "9999999999999999999",
        "18446744073709551615",
        "18446744073709551616",
        "18446744073709551620",
        "99999999999999999999",
        "100000000000000000000",
        "1,\"generation\":1",
        "1,\"details\":null",
    };
    for (size_t i = 0; i < COUNT_OF(spellings); i++) {
        read_json_beat("tok", spellings[i]);
    }
    read_json_beat("tok", "18446744073709551615");
    assert_true(reader.request.generation == UINT64_MAX);
    read_json_beat("tok", "9999999999999999999");
    assert_true(reader.request.generation == UINT64_C(9999999999999999999));
}

static void reads_tokens_of_every_length_as_the_long_way(void **state)
{
    (void)state;
    char token[600];
    uint8_t bytes[700] = {0x0a, 16};
    for (size_t len = 0; len < sizeof(token) - 1; len++) {
        memset(token, 't', len);
        token[len] = '\0';
        read_json_beat(token, "");
        /* Request id, the heartbeat's length, module id, token, health; the ids are of zeros. */
        uint8_t *at = pw_wire_put_length(bytes + 18, PW_PB_HEARTBEAT,
                                         18 + 1 + pw_wire_varint_len(len) + len + 2);
        *at++ = 0x0a;
        *at++ = 16;
        memset(at, 0, 16);
        at = pw_wire_put_bytes(at + 16, PW_PB_TOKEN, token, len);
        at = pw_wire_put_number(at, PW_PB_HEALTH, 1);
        read_exactly(&all_ways[2], bytes, (size_t)(at - bytes), read_requests);
        assert_int_equal(reader.request.token.len, len <= PYWATT_TOKEN_MAX ? len : 0);
    }
}

/* A block may be larger than the limit, when what it held was consumed. */
static void writes_no_more_than_the_limit_into_a_larger_block(void **state)
{
    (void)state;
    static const uint8_t filling[1000];
    struct pw_request request;
    beat(&request, 4, 6, PYWATT_HEALTHY);
    for (size_t i = 0; i < WAYS; i++) {
        for (size_t room = 0; room < 600; room += 10) {
            struct pw_buffer out[2];
            enum pywatt_status status[2];
            for (int k = 0; k < 2; k++) {
                pw_buffer_init(&out[k], sizeof(filling));
                assert_int_equal(pw_buffer_append(&out[k], filling, 1000), PYWATT_OK);
                pw_buffer_consume(&out[k], 10);
                assert_int_equal(pw_buffer_append(&out[k], filling, 5), PYWATT_OK);
                assert_true(out[k].capacity > out[k].limit);
                pw_buffer_truncate(&out[k], sizeof(filling) - room);
                status[k] = pw_codec_encode_request(
                    k == 0 ? all_ways[i].codec : &all_ways[i].long_ways, &request, &out[k], NULL);
            }
            assert_int_equal(status[0], status[1]);
            assert_int_equal(pw_buffer_len(&out[0]), pw_buffer_len(&out[1]));
            pw_buffer_destroy(&out[0]);
            pw_buffer_destroy(&out[1]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(reads_every_damaged_sample_as_the_long_way),
        cmocka_unit_test(reads_every_damaged_beat_with_a_generation_as_the_long_way),
        cmocka_unit_test(writes_and_reads_every_beat_as_the_long_way),
        cmocka_unit_test(writes_every_reply_as_the_long_way),
        cmocka_unit_test(writes_into_any_room_as_the_long_way),
        cmocka_unit_test(goes_the_short_way_with_what_our_encoders_write),
        cmocka_unit_test(goes_the_short_way_with_ids_of_the_rust_sdk),
        cmocka_unit_test(reads_every_generation_as_the_long_way),
        cmocka_unit_test(reads_tokens_of_every_length_as_the_long_way),
        cmocka_unit_test(writes_no_more_than_the_limit_into_a_larger_block),
    };
    return PW_TEST_RUN_WITH(cases, set_up, tear_down);
}
