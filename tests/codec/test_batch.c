/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Batches of heartbeats, where a codec has them: their bounds, what is refused and how it is named,
 * and that a beat in an unusual spelling is the same beat. Also what replies say beyond the four
 * operations: features and when to come again. One thread.
 */
#include "pw_test.h"

#include "codec/proto_wire.h"
#include "samples.h"

#include <stdio.h>
#include <stdlib.h>

#define ID "0123456789abcdef"
#define TEXT_OF(bytes) (bytes), sizeof(bytes) - 1
#define BEAT ID_FIELD "\x12\x03tok\x18\x01"
#define ID_FIELD "\x0a\x10" ID

static struct pw_reader reader;
static const struct pw_codec_ops *codec;
static struct pw_batched_beat beats[PW_BATCH_MAX + 1];

static int set_up(void **state)
{
    (void)state;
    codec = pw_codec_by_name("protobuf");
    pw_reader_init(&reader);
    for (size_t i = 0; i < PW_BATCH_MAX + 1; i++) {
        memset(beats[i].module_id.bytes, (int)i, sizeof(beats[i].module_id));
        beats[i].token = PW_STR_LITERAL("0123456789012345678901234567890123456789012");
        beats[i].health = (enum pywatt_health)(i % 3);
        beats[i].generation = i % 5 == 0 ? 0 : i;
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pw_reader_destroy(&reader);
    return 0;
}

static struct pw_request batch_of(uint32_t count)
{
    return (struct pw_request){.operation = PW_OP_HEARTBEAT_BATCH,
                               .has_request_id = true,
                               .beats = beats,
                               .beat_count = count};
}

static enum pywatt_status write_to(struct pw_buffer *out, const struct pw_codec_ops *with,
                                   const struct pw_request *request, struct pywatt_error *error)
{
    pw_buffer_init(out, (size_t)1 << 20);
    return pw_codec_encode_request(with, request, out, error);
}

static void carries_as_many_beats_as_a_batch_may_have(void **state)
{
    (void)state;
    static const uint32_t counts[] = {1, 2, 1000, PW_BATCH_MAX};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        const struct pw_request request = batch_of(counts[i]);
        struct pw_buffer out;
        assert_int_equal(write_to(&out, codec, &request, NULL), PYWATT_OK);
        struct pw_span exact = pw_copy_bytes(pw_buffer_bytes(&out), pw_buffer_len(&out));
        if (pw_read_request(&reader, codec, exact) != PYWATT_OK) {
            fail_msg("%u beats: %s", counts[i], reader.error.text);
        }
        assert_true(pw_same_request(&reader.request, &request));
        pw_free_bytes(exact);
        pw_buffer_destroy(&out);
    }
}

static void writes_no_batch_that_nobody_could_read(void **state)
{
    (void)state;
    struct pw_buffer out;
    struct pywatt_error error;
    struct pw_request request = batch_of(0);
    assert_int_equal(write_to(&out, codec, &request, &error), PYWATT_INVALID_ARGUMENT);
    request = batch_of(PW_BATCH_MAX + 1);
    assert_int_equal(write_to(&out, codec, &request, &error), PYWATT_INVALID_ARGUMENT);
    request = batch_of(3);
    beats[2].token.len = 0;
    assert_int_equal(write_to(&out, codec, &request, &error), PYWATT_INVALID_ARGUMENT);
    beats[2].token.len = 1;
    beats[2].health = (enum pywatt_health)3;
    assert_int_equal(write_to(&out, codec, &request, &error), PYWATT_INVALID_ARGUMENT);
    beats[2].health = PYWATT_HEALTHY;
    beats[2].alias = PW_ALIAS_MAX + 1;
    assert_int_equal(write_to(&out, codec, &request, &error), PYWATT_INVALID_ARGUMENT);
    beats[2].alias = 0;
    assert_int_equal(pw_buffer_len(&out), 0);
    pw_buffer_destroy(&out);
}

static void says_which_codec_has_no_batches(void **state)
{
    (void)state;
    const struct pw_request request = batch_of(1);
    struct pw_response response = {
        .operation = PW_OP_HEARTBEAT_BATCH, .success = true, .beat_count = 1};
    for (const struct pw_codec_ops *const *at = pw_codec_all(); *at != NULL; at++) {
        struct pw_buffer out;
        struct pywatt_error error = {PYWATT_OK, ""};
        const enum pywatt_status expected = (*at)->batches ? PYWATT_OK : PYWATT_UNSUPPORTED;
        assert_int_equal(write_to(&out, *at, &request, &error), expected);
        assert_int_equal(pw_codec_encode_response(*at, &response, &out, &error), expected);
        assert_true((*at)->batches || strstr(error.text, (*at)->name) != NULL);
        pw_buffer_destroy(&out);
    }
}

/* ---- What is refused ---- */

static enum pywatt_status read_body(unsigned number, const char *body, size_t len, bool as_request)
{
    uint8_t bytes[8192];
    assert_true(len + 8 < sizeof(bytes));
    const uint8_t *end = pw_wire_put_bytes(bytes, number, body, len);
    struct pw_span exact = pw_copy_bytes(bytes, (size_t)(end - bytes));
    const enum pywatt_status status = as_request ? pw_read_request(&reader, codec, exact)
                                                 : pw_read_response(&reader, codec, exact);
    pw_free_bytes(exact);
    return status;
}

static void expect_refused(const char *body, size_t len, enum pywatt_status expected,
                           const char *words)
{
    const enum pywatt_status status = read_body(6, body, len, true);
    if (status != expected || strstr(reader.error.text, words) == NULL) {
        fail_msg("%s: %s, '%s'", words, pywatt_status_name(status), reader.error.text);
    }
}

static void names_the_beat_and_field_that_is_wrong(void **state)
{
    (void)state;
    expect_refused(TEXT_OF(""), PYWATT_SERIALIZATION, "heartbeat_batch.beats are missing");
    expect_refused(TEXT_OF("\x08\x01"), PYWATT_SERIALIZATION, "beats is of the wrong type");
    expect_refused(TEXT_OF("\x0a\x19" BEAT "\x0a\x00"), PYWATT_SERIALIZATION,
                   "heartbeat_batch.beats[1].module_id is missing");
    expect_refused(TEXT_OF("\x0a\x12" ID_FIELD), PYWATT_SERIALIZATION,
                   "heartbeat_batch.beats[0].token is missing");
    expect_refused(TEXT_OF("\x0a\x17" ID_FIELD "\x12\x03tok"), PYWATT_SERIALIZATION,
                   "heartbeat_batch.beats[0].health is missing");
    expect_refused(TEXT_OF("\x0a\x19" ID_FIELD "\x12\x03tok\x18\x04"), PYWATT_SERIALIZATION,
                   "heartbeat_batch.beats[0].health is out of range");
    expect_refused(TEXT_OF("\x0a\x19" ID_FIELD "\x12\x03t\xffk\x18\x01"), PYWATT_SERIALIZATION,
                   "heartbeat_batch.beats[0].token is not UTF-8");
    expect_refused(TEXT_OF("\x0a\x1b" BEAT "\x18\x01"), PYWATT_SERIALIZATION,
                   "heartbeat_batch.beats[0].health stands twice");
    expect_refused(TEXT_OF("\x0a\x1a" BEAT "\x20"), PYWATT_SERIALIZATION,
                   "beats[0] is malformed or cut off");
    assert_true(reader.recognised);
}

/* Fields in another order, numbers with more bytes than they need, fields of the future. */
static void reads_a_beat_in_any_spelling(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        size_t len;
    } spellings[] = {
        {TEXT_OF("\x0a\x1b" BEAT "\x20\x07")},
        {TEXT_OF("\x0a\x1b\x20\x07\x18\x01\x12\x03tok" ID_FIELD)},
        {TEXT_OF("\x0a\x1c" BEAT "\x20\x87\x00")},
        {TEXT_OF("\x0a\x1c" ID_FIELD "\x12\x03tok\x18\x81\x00\x20\x07")},
        {TEXT_OF("\x0a\x1c" ID_FIELD "\x12\x83\x00tok\x18\x01\x20\x07")},
        {TEXT_OF("\x0a\x1f" BEAT "\x20\x07\x7a\x02xy")},
        {TEXT_OF("\x7a\x01x\x0a\x1b" BEAT "\x20\x07")},
    };
    for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
        if (read_body(6, spellings[i].body, spellings[i].len, true) != PYWATT_OK) {
            fail_msg("spelling %zu: %s", i, reader.error.text);
        }
        assert_int_equal(reader.request.beat_count, 1);
        assert_memory_equal(reader.request.beats[0].module_id.bytes, ID, 16);
        assert_int_equal(reader.request.beats[0].token.len, 3); /* a view of bytes now gone */
        assert_int_equal(reader.request.beats[0].health, PYWATT_HEALTHY);
        assert_int_equal(reader.request.beats[0].generation, 7);
    }
}

static enum pywatt_status read_beats(size_t count, const char *beat, size_t beat_len)
{
    struct pw_buffer body;
    struct pw_buffer whole;
    uint8_t head[8];
    pw_buffer_init(&body, (size_t)1 << 20);
    pw_buffer_init(&whole, (size_t)1 << 20);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(pw_buffer_append(&body, beat, beat_len), PYWATT_OK);
    }
    const uint8_t *end = pw_wire_put_length(head, 6, pw_buffer_len(&body));
    assert_int_equal(pw_buffer_append(&whole, head, (size_t)(end - head)), PYWATT_OK);
    assert_int_equal(pw_buffer_append(&whole, pw_buffer_bytes(&body), pw_buffer_len(&body)),
                     PYWATT_OK);
    const enum pywatt_status status = pw_read_request(&reader, codec, pw_buffer_span(&whole));
    pw_buffer_destroy(&body);
    pw_buffer_destroy(&whole);
    return status;
}

static void refuses_more_beats_than_a_batch_may_have(void **state)
{
    (void)state;
    assert_int_equal(read_beats(PW_BATCH_MAX, TEXT_OF("\x0a\x19" BEAT)), PYWATT_OK);
    assert_int_equal(read_beats(PW_BATCH_MAX + 1, TEXT_OF("\x0a\x19" BEAT)), PYWATT_LIMIT);
    assert_int_equal(read_beats(100000, TEXT_OF("\x0a\x00")), PYWATT_SERIALIZATION);
    /* Beats that are recognised by their bytes count as elements, too. */
    struct pw_codec_limits limits = pw_codec_default_limits;
    struct pw_request request = batch_of(10);
    struct pw_buffer out;
    limits.max_elements = 30;
    assert_int_equal(write_to(&out, codec, &request, NULL), PYWATT_OK);
    pw_arena_reset(&reader.arena);
    assert_int_equal(pw_codec_decode_request(codec, pw_buffer_span(&out), &limits, &reader.arena,
                                             &reader.request, &reader.recognised, &reader.error),
                     PYWATT_LIMIT);
    pw_buffer_destroy(&out);
}

/* ---- Aliases ---- */

static void names_what_is_wrong_with_short_beats(void **state)
{
    (void)state;
    static const char one[] = "\x12\x04\x05\x00\x00\x00"; /* alias 1, healthy */
    assert_int_equal(read_body(6, TEXT_OF(one), true), PYWATT_OK);
    assert_int_equal(reader.request.beat_count, 1);
    assert_int_equal(reader.request.short_beats[0], pw_short_beat_of(1, PYWATT_HEALTHY));
    assert_int_equal(read_body(6, TEXT_OF("\x12\x04\xff\xff\x03\x00"), true), PYWATT_OK);
    assert_int_equal(pw_short_beat_alias(reader.request.short_beats[0]), PW_ALIAS_MAX);
    assert_int_equal(pw_short_beat_health(reader.request.short_beats[0]), PYWATT_UNHEALTHY);
    expect_refused(TEXT_OF("\x12\x04\x01\x00\x00\x00"), PYWATT_SERIALIZATION, "out of range");
    expect_refused(TEXT_OF("\x12\x04\x04\x00\x00\x00"), PYWATT_SERIALIZATION, "out of range");
    expect_refused(TEXT_OF("\x12\x04\x01\x00\x04\x00"), PYWATT_SERIALIZATION, "out of range");
    expect_refused(TEXT_OF("\x12\x00"), PYWATT_SERIALIZATION, "short_beats is cut off");
    expect_refused(TEXT_OF("\x12\x03\x05\x00\x00"), PYWATT_SERIALIZATION, "short_beats is cut off");
    expect_refused(TEXT_OF("\x12\x05\x05\x00\x00\x00"), PYWATT_SERIALIZATION, "cut off");
    expect_refused(TEXT_OF("\x15\x05\x00\x00\x00"), PYWATT_SERIALIZATION,
                   "short_beats is of the wrong type");
    expect_refused(TEXT_OF("\x12\x04\x05\x00\x00\x00\x12\x04\x05\x00\x00\x00"),
                   PYWATT_SERIALIZATION, "short_beats stands twice");
    /* One place for each beat in full, wherever that stands. */
    assert_int_equal(
        read_body(6, TEXT_OF("\x12\x08\x05\x00\x00\x00\x00\x00\x00\x00\x0a\x19" BEAT), true),
        PYWATT_OK);
    assert_int_equal(reader.request.beat_count, 2);
    assert_int_equal(reader.request.full_count, 1);
    assert_int_equal(reader.request.short_beats[0], pw_short_beat_of(1, PYWATT_HEALTHY));
    assert_int_equal(reader.request.short_beats[1],
                     pw_short_beat_of(0, reader.request.beats[0].health));
    expect_refused(TEXT_OF("\x12\x04\x05\x00\x00\x00\x0a\x19" BEAT), PYWATT_SERIALIZATION,
                   "places for beats in full");
    expect_refused(TEXT_OF("\x12\x08\x05\x00\x00\x00\x00\x00\x00\x00"), PYWATT_SERIALIZATION,
                   "places for beats in full");
    expect_refused(TEXT_OF("\x12\x08\x00\x00\x00\x00\x00\x00\x00\x00\x0a\x19" BEAT),
                   PYWATT_SERIALIZATION, "places for beats in full");
    expect_refused(TEXT_OF("\x0a\x1d" BEAT "\x28\x80\x80\x04"), PYWATT_SERIALIZATION,
                   "beats[0].alias is out of range");
}

static void carries_as_many_short_beats_as_a_batch_may_have(void **state)
{
    (void)state;
    static pw_short_beat shorts[PW_BATCH_MAX + 1];
    struct pw_buffer out;
    for (uint32_t i = 0; i <= PW_BATCH_MAX; i++) {
        shorts[i] = pw_short_beat_of(i * 63 + 1, (enum pywatt_health)(i % 3));
    }
    struct pw_request request = batch_of(PW_BATCH_MAX);
    request.short_beats = shorts;
    assert_int_equal(write_to(&out, codec, &request, NULL), PYWATT_OK);
    assert_true(pw_buffer_len(&out) < 4 * PW_BATCH_MAX + 40);
    struct pw_span exact = pw_copy_bytes(pw_buffer_bytes(&out), pw_buffer_len(&out));
    assert_int_equal(pw_read_request(&reader, codec, exact), PYWATT_OK);
    assert_true(pw_same_request(&reader.request, &request));
    pw_free_bytes(exact);
    /* They count as elements. */
    struct pw_codec_limits limits = pw_codec_default_limits;
    limits.max_elements = PW_BATCH_MAX;
    pw_arena_reset(&reader.arena);
    assert_int_equal(pw_codec_decode_request(codec, pw_buffer_span(&out), &limits, &reader.arena,
                                             &reader.request, &reader.recognised, &reader.error),
                     PYWATT_LIMIT);
    pw_buffer_destroy(&out);
    request.beat_count = PW_BATCH_MAX + 1;
    assert_int_equal(write_to(&out, codec, &request, NULL), PYWATT_INVALID_ARGUMENT);
    pw_buffer_destroy(&out);
    uint8_t long_body[4 * (PW_BATCH_MAX + 1) + 8];
    const uint8_t *end = pw_wire_put_bytes(long_body, 2, shorts, sizeof(shorts));
    assert_int_equal(read_body(6, (const char *)long_body, (size_t)(end - long_body), true),
                     PYWATT_LIMIT);
}

static void refuses_exceptions_that_make_no_sense(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        size_t len;
    } bodies[] = {
        {TEXT_OF("\x08\x02\x12\x04\x08\x02\x20\x01")},                         /* not sent */
        {TEXT_OF("\x08\x02\x12\x04\x08\x01\x20\x01\x12\x04\x08\x01\x20\x01")}, /* twice */
        {TEXT_OF("\x08\x03\x12\x04\x08\x02\x20\x01\x12\x04\x08\x01\x20\x01")}, /* falling */
        {TEXT_OF("\x08\x02\x12\x02\x08\x01")},                                 /* no health */
        {TEXT_OF("\x12\x04\x08\x01\x20\x01")},                                 /* no beats */
        {TEXT_OF("\x08\x81\x08")},                                             /* 1025 beats */
        {TEXT_OF("\x08\x02\x12\x05\x08\x01\x1a\x01\xff")},                     /* no UTF-8 */
    };
    assert_int_equal(read_body(8, TEXT_OF("\x08\x02\x12\x04\x08\x01\x20\x02"), false), PYWATT_OK);
    assert_int_equal(reader.response.exception_count, 1);
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        if (read_body(8, bodies[i].body, bodies[i].len, false) != PYWATT_SERIALIZATION) {
            fail_msg("reply %zu was read", i);
        }
        assert_int_equal(reader.response.exception_count, 0);
    }
}

/* ---- Replies of all operations ---- */

static enum pywatt_status there_and_back(const struct pw_codec_ops *with,
                                         const struct pw_response *response)
{
    struct pw_buffer out;
    pw_buffer_init(&out, (size_t)1 << 20);
    assert_int_equal(pw_codec_encode_response(with, response, &out, NULL), PYWATT_OK);
    const enum pywatt_status status = pw_read_response(&reader, with, pw_buffer_span(&out));
    pw_buffer_destroy(&out);
    return status;
}

static void does_not_tell_who_went_through_to_come_again(void **state)
{
    (void)state;
    for (const struct pw_codec_ops *const *at = pw_codec_all(); *at != NULL; at++) {
        const struct pw_response response = {
            .operation = PW_OP_UNREGISTER, .success = true, .retry_after_ms = 1500};
        assert_int_equal(there_and_back(*at, &response), PYWATT_OK);
        assert_true(reader.response.success);
        assert_int_equal(reader.response.retry_after_ms, 0);
    }
}

static void tells_when_to_come_again(void **state)
{
    (void)state;
    static const uint32_t waits[] = {0, 1, 1500, UINT32_MAX};
    for (const struct pw_codec_ops *const *at = pw_codec_all(); *at != NULL; at++) {
        for (int operation = 0; operation < PW_OPERATION_COUNT; operation++) {
            for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
                const struct pw_response response = {.operation = (enum pw_operation)operation,
                                                     .status = PYWATT_UNAVAILABLE,
                                                     .error = PW_STR_LITERAL("not now"),
                                                     .retry_after_ms = waits[i]};
                assert_int_equal(there_and_back(*at, &response), PYWATT_OK);
                assert_int_equal(reader.response.retry_after_ms, waits[i]);
                assert_int_equal(reader.response.status, PYWATT_UNAVAILABLE);
            }
        }
    }
}

static void tells_its_features(void **state)
{
    (void)state;
    for (const struct pw_sample_response *at = pw_sample_responses; at->name != NULL; at++) {
        for (unsigned features = 0; features <= PW_FEATURE_HEARTBEAT_BATCH; features++) {
            struct pw_response response;
            pw_response_init(&response);
            at->fill(&response);
            response.features = features;
            assert_int_equal(there_and_back(codec, &response), PYWATT_OK);
            assert_int_equal(reader.response.features, features);
            pw_response_clear(&response);
        }
    }
    /* Those of the future are passed over. */
    assert_int_equal(read_body(10, TEXT_OF("time_travel"), false), PYWATT_SERIALIZATION);
    const char many[] = "\x32\x00\x52\x0btime_travel\x52\x0fheartbeat_batch\x52\x00";
    assert_int_equal(
        pw_read_response(&reader, codec, (struct pw_span){(const uint8_t *)many, sizeof(many) - 1}),
        PYWATT_OK);
    assert_int_equal(reader.response.features, PW_FEATURE_HEARTBEAT_BATCH);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(carries_as_many_beats_as_a_batch_may_have),
        cmocka_unit_test(writes_no_batch_that_nobody_could_read),
        cmocka_unit_test(says_which_codec_has_no_batches),
        cmocka_unit_test(names_the_beat_and_field_that_is_wrong),
        cmocka_unit_test(reads_a_beat_in_any_spelling),
        cmocka_unit_test(refuses_more_beats_than_a_batch_may_have),
        cmocka_unit_test(names_what_is_wrong_with_short_beats),
        cmocka_unit_test(carries_as_many_short_beats_as_a_batch_may_have),
        cmocka_unit_test(refuses_exceptions_that_make_no_sense),
        cmocka_unit_test(tells_when_to_come_again),
        cmocka_unit_test(does_not_tell_who_went_through_to_come_again),
        cmocka_unit_test(tells_its_features),
    };
    return PW_TEST_RUN_WITH(cases, set_up, tear_down);
}
