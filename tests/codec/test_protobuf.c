/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The protobuf codec beside protobuf-c's generated code: what is written by hand has the bytes that
 * protobuf-c makes, what is read by hand is what protobuf-c reads; and what the scan refuses though
 * protobuf-c would not. One thread.
 */
#include "pw_test.h"

#include "codec/proto_wire.h"
#include "samples.h"

#include <pywatt/v1/registration.pb-c.h>
#include <stdio.h>
#include <stdlib.h>

#define ID "0123456789abcdef"
#define TEXT_OF(bytes) (bytes), sizeof(bytes) - 1

static struct pw_reader reader;
static const struct pw_codec_ops *codec;

static int set_up(void **state)
{
    (void)state;
    codec = pw_codec_by_name("protobuf");
    pw_reader_init(&reader);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pw_reader_destroy(&reader);
    return 0;
}

/* ---- Beside protobuf-c -------------------------------------------------------------------- */

static bool same_text(struct pw_str text, const char *other)
{
    return pw_str_equal(text, pw_str_from(other));
}

static void check_beat(const Pywatt__V1__HeartbeatRequest *beat, const struct pw_request *request)
{
    assert_int_equal(beat->module_id.len, 16);
    assert_memory_equal(beat->module_id.data, request->module_id.bytes, 16);
    assert_true(same_text(request->token, beat->token));
    assert_int_equal(beat->health, request->health + 1);
    assert_true(beat->generation == request->generation);
    assert_int_equal(beat->n_details, pywatt_string_map_count(request->details));
    for (size_t i = 0; i < beat->n_details; i++) {
        assert_string_equal(pywatt_string_map_get(request->details, beat->details[i]->key),
                            beat->details[i]->value);
    }
}

static void check_batch(const Pywatt__V1__HeartbeatBatchRequest *batch,
                        const struct pw_request *request)
{
    assert_int_equal(batch->n_beats, pw_request_full_count(request));
    assert_int_equal(batch->n_short_beats, request->short_beats == NULL ? 0 : request->beat_count);
    for (size_t i = 0; i < batch->n_short_beats; i++) {
        const pw_short_beat beat = request->short_beats[i];
        assert_int_equal(batch->short_beats[i], pw_short_beat_alias(beat) == 0 ? 0 : beat);
    }
    for (size_t i = 0; i < batch->n_beats; i++) {
        const Pywatt__V1__BatchedHeartbeat *beat = batch->beats[i];
        assert_int_equal(beat->module_id.len, 16);
        assert_memory_equal(beat->module_id.data, request->beats[i].module_id.bytes, 16);
        assert_true(same_text(request->beats[i].token, beat->token));
        assert_int_equal(beat->health, request->beats[i].health + 1);
        assert_true(beat->generation == request->beats[i].generation);
        assert_int_equal(beat->alias, request->beats[i].alias);
    }
}

/* Unpacks what we wrote, checks it, packs it again: the same bytes. */
static void writes_the_bytes_that_protobuf_c_writes(void **state)
{
    (void)state;
    for (const struct pw_sample_request *at = pw_sample_requests; at->name != NULL; at++) {
        struct pw_span bytes = pw_sample_request_bytes(codec, at->name);
        Pywatt__V1__Request *message = pywatt__v1__request__unpack(NULL, bytes.len, bytes.data);
        uint8_t packed[4096];
        assert_non_null(message);
        assert_int_equal(pywatt__v1__request__get_packed_size(message), bytes.len);
        pywatt__v1__request__pack(message, packed);
        assert_memory_equal(packed, bytes.data, bytes.len);
        assert_int_equal(pw_read_request(&reader, codec, bytes), PYWATT_OK);
        if (message->operation_case == PYWATT__V1__REQUEST__OPERATION_HEARTBEAT) {
            check_beat(message->heartbeat, &reader.request);
        }
        pywatt__v1__request__free_unpacked(message, NULL);
        pw_free_bytes(bytes);
    }
    for (const struct pw_sample_response *at = pw_sample_responses; at->name != NULL; at++) {
        struct pw_span bytes = pw_sample_response_bytes(codec, at->name);
        Pywatt__V1__Response *message = pywatt__v1__response__unpack(NULL, bytes.len, bytes.data);
        uint8_t packed[4096];
        assert_non_null(message);
        assert_int_equal(pywatt__v1__response__get_packed_size(message), bytes.len);
        pywatt__v1__response__pack(message, packed);
        assert_memory_equal(packed, bytes.data, bytes.len);
        pywatt__v1__response__free_unpacked(message, NULL);
        pw_free_bytes(bytes);
    }
}

/*
 * Every single-byte change of a beat: whatever we accept, protobuf-c reads as the same beat. The
 * reverse does not hold, as it accepts what we refuse.
 */
static void reads_what_protobuf_c_reads(void **state)
{
    (void)state;
    static const char *const names[] = {"heartbeat", "heartbeat-full", "unregister", "batch"};
    const unsigned step = pw_test_slow_factor() == 1 ? 1 : 17;
    size_t accepted = 0;
    for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
        struct pw_span bytes = pw_sample_request_bytes(codec, names[n]);
        uint8_t *changed = (uint8_t *)(uintptr_t)bytes.data;
        for (size_t at = 0; at < bytes.len; at++) {
            const uint8_t before = changed[at];
            for (unsigned by = 1; by < 256; by += step) {
                changed[at] = before ^ (uint8_t)by;
                if (pw_read_request(&reader, codec, bytes) != PYWATT_OK) {
                    continue;
                }
                Pywatt__V1__Request *message =
                    pywatt__v1__request__unpack(NULL, bytes.len, bytes.data);
                assert_non_null(message);
                assert_int_equal(reader.request.has_request_id, message->request_id.len == 16);
                if (reader.request.operation == PW_OP_HEARTBEAT) {
                    assert_int_equal(message->operation_case,
                                     PYWATT__V1__REQUEST__OPERATION_HEARTBEAT);
                    check_beat(message->heartbeat, &reader.request);
                } else if (reader.request.operation == PW_OP_HEARTBEAT_BATCH) {
                    assert_int_equal(message->operation_case,
                                     PYWATT__V1__REQUEST__OPERATION_HEARTBEAT_BATCH);
                    check_batch(message->heartbeat_batch, &reader.request);
                } else if (reader.request.operation == PW_OP_UNREGISTER) {
                    assert_int_equal(message->operation_case,
                                     PYWATT__V1__REQUEST__OPERATION_UNREGISTRATION);
                    assert_true(same_text(reader.request.token, message->unregistration->token));
                }
                pywatt__v1__request__free_unpacked(message, NULL);
                accepted++;
            }
            changed[at] = before;
        }
        pw_free_bytes(bytes);
    }
    assert_true(accepted > 100);
}

/* The status enum of the schema is that of the library, name by name. */
static void has_the_statuses_of_the_library(void **state)
{
    (void)state;
    const ProtobufCEnumDescriptor *statuses = &pywatt__v1__status__descriptor;
    assert_int_equal(statuses->n_values, PYWATT_UNAVAILABLE + 1);
    for (unsigned i = 0; i < statuses->n_values; i++) {
        const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(statuses, (int)i);
        char name[64] = "STATUS_";
        const char *wire = pywatt_status_wire_code((enum pywatt_status)i);
        size_t len = strlen(name);
        for (; *wire != '\0'; wire++) {
            name[len++] = (char)(*wire >= 'a' && *wire <= 'z' ? *wire - 'a' + 'A' : *wire);
        }
        assert_non_null(value);
        assert_string_equal(value->name, name);
    }
}

/* ---- What the scan refuses ----------------------------------------------------------------- */

/* A request with the field `number` that holds `body`. */
static enum pywatt_status read_body(unsigned number, const char *body, size_t len)
{
    uint8_t bytes[512];
    uint8_t *at = pw_wire_put_bytes(bytes, 1, ID, 16);
    at = pw_wire_put_bytes(at, number, body, len);
    struct pw_span exact = pw_copy_bytes(bytes, (size_t)(at - bytes));
    const enum pywatt_status status = pw_read_request(&reader, codec, exact);
    pw_free_bytes(exact);
    return status;
}

static void expect_wrong(unsigned number, const char *body, size_t len, const char *place)
{
    const enum pywatt_status status = read_body(number, body, len);
    if (status != PYWATT_SERIALIZATION || strncmp(reader.error.text, place, strlen(place)) != 0) {
        fail_msg("%d: %s, not %s", (int)status, reader.error.text, place);
    }
    assert_true(reader.recognised);
    assert_true(reader.request.has_request_id);
    assert_false(pw_has_forbidden_word(reader.error.text));
}

#define BEAT "\x0a\x10" ID "\x12\x01t\x18\x01"
#define MODULE_AND_TOKEN "\x0a\x10" ID "\x12\x01t"

static void reads_a_minimal_message_of_each_kind(void **state)
{
    (void)state;
    assert_int_equal(read_body(2, TEXT_OF(BEAT)), PYWATT_OK);
    assert_int_equal(read_body(3, TEXT_OF("\x0a\x03\x0a\x01n")), PYWATT_OK);
    assert_int_equal(read_body(4, TEXT_OF(MODULE_AND_TOKEN)), PYWATT_OK);
    assert_int_equal(read_body(5, TEXT_OF(MODULE_AND_TOKEN)), PYWATT_OK);
    assert_int_equal(pywatt_capabilities_endpoint_count(reader.request.capabilities), 0);
}

static void names_a_protobuf_field_that_is_missing(void **state)
{
    (void)state;
    expect_wrong(2, TEXT_OF(""), "heartbeat.module_id is missing");
    expect_wrong(2, TEXT_OF("\x0a\x10" ID), "heartbeat.token is missing");
    expect_wrong(2, TEXT_OF("\x0a\x10" ID "\x12\x00"), "heartbeat.token is missing");
    expect_wrong(2, TEXT_OF(MODULE_AND_TOKEN), "heartbeat.health is missing");
    expect_wrong(2, TEXT_OF(MODULE_AND_TOKEN "\x18\x00"), "heartbeat.health is missing");
    expect_wrong(3, TEXT_OF(""), "registration.info is missing");
    expect_wrong(3, TEXT_OF("\x0a\x00"), "registration.info.name is missing");
    expect_wrong(4, TEXT_OF("\x12\x01t"), "unregistration.module_id is missing");
    expect_wrong(5, TEXT_OF("\x0a\x10" ID), "capabilities.token is missing");
    expect_wrong(5, TEXT_OF(MODULE_AND_TOKEN "\x1a\x00"),
                 "capabilities.endpoints.path must not be empty");
}

static void names_a_protobuf_field_that_is_wrong(void **state)
{
    (void)state;
    expect_wrong(2,
                 TEXT_OF("\x0a\x0f"
                         "0123456789abcde"),
                 "heartbeat.module_id is no UUID");
    expect_wrong(2, TEXT_OF("\x0a\x11" ID "x"), "heartbeat.module_id is no UUID");
    expect_wrong(2, TEXT_OF("\x0a\x00"), "heartbeat.module_id is no UUID");
    expect_wrong(2, TEXT_OF("\x08\x01"), "heartbeat.module_id is of the wrong type");
    expect_wrong(2, TEXT_OF("\x12\x01\xff"), "heartbeat.token is not UTF-8");
    expect_wrong(2,
                 TEXT_OF("\x12\x03"
                         "a\0b"),
                 "heartbeat.token is not UTF-8");
    expect_wrong(2, TEXT_OF("\x18\x04"), "heartbeat.health is out of range");
    expect_wrong(2, TEXT_OF("\x18\x81\x80\x80\x80\x10"), "heartbeat.health is out of range");
    expect_wrong(2, TEXT_OF("\x1a\x01\x01"), "heartbeat.health is of the wrong type");
    expect_wrong(2, TEXT_OF(BEAT "\x18\x02"), "heartbeat.health stands twice");
    expect_wrong(2, TEXT_OF(BEAT "\x12\x01u"), "heartbeat.token stands twice");
    expect_wrong(2, TEXT_OF(BEAT "\x2a\x03\x0a\x01\xff"), "heartbeat.details.key is not UTF-8");
    expect_wrong(2, TEXT_OF(BEAT "\x2a\x05\x0a\x04"), "heartbeat is malformed");
    expect_wrong(2, TEXT_OF(BEAT "\x2a\x02\x0a\x04"), "details is malformed");
    expect_wrong(2, TEXT_OF(BEAT "\x2a\x06\x0a\x01k\x12\x01v\x2a\x03\x0a\x01k"),
                 "heartbeat.details has a key twice");
    expect_wrong(2, TEXT_OF(BEAT "\x7b\x7c"), "heartbeat is malformed"); /* a group */
    expect_wrong(2, TEXT_OF(BEAT "\x80\x80\x80\x80\x10\x00"), "heartbeat is malformed"); /* 2^29 */
    expect_wrong(3, TEXT_OF("\x0a\x03\x0a\x01n\x0a\x03\x0a\x01m"),
                 "registration.info stands twice");
    expect_wrong(3, TEXT_OF("\x0a\x15\x0a\x01n\x22\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
                 "registration.info.id must not be nil");
    expect_wrong(3, TEXT_OF("\x0a\x0b\x0a\x01n\x2a\x02\x0a\x00\x2a\x02\x12\x00"),
                 "registration.info.metadata has a key twice");
    expect_wrong(5, TEXT_OF(MODULE_AND_TOKEN "\x1a\x04\x12\x02\xc3\x28"),
                 "capabilities.endpoints.methods is not UTF-8");
    expect_wrong(5, TEXT_OF(MODULE_AND_TOKEN "\x1a\x05\x0a\x01/\x12\x00"),
                 "capabilities.endpoints.methods must not be empty");
    expect_wrong(5, TEXT_OF(MODULE_AND_TOKEN "\x1a\x04\x1a\x02\xc3\x28"),
                 "capabilities.endpoints.scheme is not UTF-8");
    expect_wrong(5, TEXT_OF(MODULE_AND_TOKEN "\x2a\x06\x0a\x01k\x12\x01x"),
                 "capabilities.additional cannot be used");
    expect_wrong(5, TEXT_OF(MODULE_AND_TOKEN "\x2a\x03\x0a\x01k"),
                 "capabilities.additional cannot be used");
}

static void reads_numbers_of_up_to_64_bits(void **state)
{
    (void)state;
    assert_int_equal(read_body(2, TEXT_OF(BEAT "\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")),
                     PYWATT_OK);
    assert_true(reader.request.generation == UINT64_MAX);
    assert_int_equal(read_body(2, TEXT_OF(BEAT "\x20\x81\x00")),
                     PYWATT_OK); /* longer than needed */
    assert_true(reader.request.generation == 1);
    expect_wrong(2, TEXT_OF(BEAT "\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
                 "heartbeat is malformed");
    expect_wrong(2, TEXT_OF(BEAT "\x20\x81\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"),
                 "heartbeat is malformed");
}

static void refuses_a_token_over_its_bound(void **state)
{
    (void)state;
    for (size_t len = PYWATT_TOKEN_MAX; len <= PYWATT_TOKEN_MAX + 1; len++) {
        uint8_t body[1024];
        uint8_t whole[1100];
        char token[PYWATT_TOKEN_MAX + 1];
        memset(token, 't', sizeof(token));
        uint8_t *at = pw_wire_put_bytes(body, 1, ID, 16);
        at = pw_wire_put_bytes(at, 2, token, len);
        at = pw_wire_put_bytes(whole, 4, body, (size_t)(at - body));
        struct pw_span exact = pw_copy_bytes(whole, (size_t)(at - whole));
        assert_int_equal(pw_read_request(&reader, codec, exact),
                         len == PYWATT_TOKEN_MAX ? PYWATT_OK : PYWATT_LIMIT);
        pw_free_bytes(exact);
    }
    assert_string_equal(reader.error.text, "unregistration.token is too long");
}

static void skips_protobuf_fields_that_it_does_not_know(void **state)
{
    (void)state;
    assert_int_equal(read_body(2, TEXT_OF(BEAT "\x30\x07\x3a\x03xyz\x79"
                                               "12345678"
                                               "\x7d"
                                               "1234"
                                               "\x82\x7d\x01x")),
                     PYWATT_OK);
    assert_int_equal(read_body(5, TEXT_OF(MODULE_AND_TOKEN "\x7a\x02\xff\xff")), PYWATT_OK);
    static const uint8_t unknown_first[] = "\x78\x01\x7a\x01\xff\x12\x17" BEAT;
    struct pw_span bytes = pw_copy_bytes(unknown_first, sizeof(unknown_first) - 1);
    assert_int_equal(pw_read_request(&reader, codec, bytes), PYWATT_OK);
    assert_false(reader.request.has_request_id);
    pw_free_bytes(bytes);
}

static enum pywatt_status read_whole(const char *bytes, size_t len)
{
    struct pw_span exact = pw_copy_bytes(bytes, len);
    const enum pywatt_status status = pw_read_request(&reader, codec, exact);
    pw_free_bytes(exact);
    return status;
}

static void does_not_recognise_a_message_without_one_operation(void **state)
{
    (void)state;
    assert_int_equal(read_whole(TEXT_OF("\x0a\x10" ID)), PYWATT_UNSUPPORTED);
    assert_false(reader.recognised);
    assert_int_equal(read_whole(TEXT_OF("\x3a\x00")), PYWATT_UNSUPPORTED); /* of the future */
    assert_false(reader.recognised);
    assert_int_equal(read_whole(TEXT_OF("\x12\x00\x22\x00")), PYWATT_SERIALIZATION);
    assert_false(reader.recognised);
    assert_int_equal(read_whole(TEXT_OF("\x12\x00\x12\x00")), PYWATT_SERIALIZATION);
    assert_false(reader.recognised);
    assert_int_equal(read_whole(TEXT_OF("\x0a\x01x\x12\x00")), PYWATT_SERIALIZATION);
    assert_int_equal(read_whole(TEXT_OF("\x08\x01\x12\x00")), PYWATT_SERIALIZATION);
    assert_int_equal(read_whole(TEXT_OF("\x10\x01")), PYWATT_SERIALIZATION);
}

/* ---- Replies ------------------------------------------------------------------------------ */

static enum pywatt_status read_reply(const char *bytes, size_t len)
{
    struct pw_span exact = pw_copy_bytes(bytes, len);
    const enum pywatt_status status = pw_read_response(&reader, codec, exact);
    pw_free_bytes(exact);
    return status;
}

static void takes_a_status_that_it_does_not_know_for_rejected(void **state)
{
    (void)state;
    assert_int_equal(read_reply(TEXT_OF("\x10\x7f\x1a\x01x\x32\x00")), PYWATT_OK);
    assert_false(reader.response.success);
    assert_int_equal(reader.response.status, PYWATT_REJECTED);
    assert_int_equal(read_reply(TEXT_OF("\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x32\x00")),
                     PYWATT_SERIALIZATION);
    assert_int_equal(read_reply(TEXT_OF("\x10\x00\x32\x00")), PYWATT_OK);
    assert_true(reader.response.success);
}

static void names_the_field_of_a_reply_that_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        const char *place;
    } cases[] = {
        {TEXT_OF("\x0a\x10" ID), "the message does not hold one reply"},
        {TEXT_OF("\x32\x00\x3a\x00"), "the message does not hold one reply"},
        {TEXT_OF("\x22\x00"), "heartbeat.health is missing"},
        {TEXT_OF("\x22\x06\x08\x01\x12\x02\x0a\x09"), "context is malformed"},
        {TEXT_OF("\x22\x06\x08\x01\x12\x00\x12\x00"), "heartbeat.context has a key twice"},
        {TEXT_OF("\x2a\x00"), "registration.info is missing"},
        {TEXT_OF("\x2a\x05\x0a\x03\x0a\x01n"), "registration.id is missing"},
        {TEXT_OF("\x2a\x17\x0a\x03\x0a\x01n\x12\x10" ID), "registration.token is missing"},
        {TEXT_OF("\x2a\x04\x28\x80\x80\x04"), "registration.orchestrator_port is out of range"},
        {TEXT_OF("\x1a\x01\xff\x32\x00"), "error is not UTF-8"},
        {TEXT_OF("\x2a\x22\x0a\x03\x0a\x01n\x12\x10" ID "\x1a\x01t\x3a\x04\x12\x02{}"
                 "\x3a\x00"),
         "registration.additional_data"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (read_reply(cases[i].bytes, cases[i].len) != PYWATT_SERIALIZATION ||
            strncmp(reader.error.text, cases[i].place, strlen(cases[i].place)) != 0) {
            fail_msg("case %zu: %s", i, reader.error.text);
        }
        assert_false(pw_has_forbidden_word(reader.error.text));
        assert_null(reader.response.registration);
    }
}

static void finds_the_id_of_a_reply_wherever_it_stands(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        enum pywatt_status status;
        bool has_id;
    } cases[] = {
        {TEXT_OF("\x0a\x10" ID), PYWATT_OK, true},
        {TEXT_OF("\x32\x00\x0a\x10" ID), PYWATT_OK, true},
        {TEXT_OF("\x78\x01\x0a\x10" ID "\x32\x00"), PYWATT_OK, true},
        {TEXT_OF("\x32\x00"), PYWATT_OK, false},
        {TEXT_OF("\x0a\x0f"
                 "0123456789abcde"),
         PYWATT_OK, false},
        {TEXT_OF("\x32\x01"), PYWATT_SERIALIZATION, false},
        {TEXT_OF("\x0a\x10"
                 "0123456789abcde"),
         PYWATT_SERIALIZATION, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pywatt_uuid id = {{0}};
        bool has_id = false;
        struct pw_span exact = pw_copy_bytes(cases[i].bytes, cases[i].len);
        assert_int_equal(pw_codec_peek_response_id(codec, exact, &has_id, &id), cases[i].status);
        assert_int_equal(has_id, cases[i].has_id);
        assert_true(!has_id || memcmp(id.bytes, ID, 16) == 0);
        pw_free_bytes(exact);
    }
}

/* ---- Numbers ------------------------------------------------------------------------------ */

static void tells_how_long_a_number_is(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits <= 64; bits++) {
        for (int less = 0; less < 2; less++) {
            const uint64_t value = (bits == 64 ? 0 : UINT64_C(1) << bits) - (uint64_t)less;
            uint8_t bytes[16];
            uint64_t read = 0;
            const size_t len = (size_t)(pw_wire_put_varint(bytes, value) - bytes);
            assert_int_equal(pw_wire_varint_len(value), len);
            struct pw_wire wire = {bytes, bytes + len};
            assert_true(pw_wire_varint(&wire, &read));
            assert_true(read == value);
            assert_ptr_equal(wire.at, wire.end);
            wire = (struct pw_wire){bytes, bytes + len - 1};
            assert_false(pw_wire_varint(&wire, &read));
        }
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(writes_the_bytes_that_protobuf_c_writes),
        cmocka_unit_test(reads_what_protobuf_c_reads),
        cmocka_unit_test(has_the_statuses_of_the_library),
        cmocka_unit_test(reads_a_minimal_message_of_each_kind),
        cmocka_unit_test(names_a_protobuf_field_that_is_missing),
        cmocka_unit_test(names_a_protobuf_field_that_is_wrong),
        cmocka_unit_test(reads_numbers_of_up_to_64_bits),
        cmocka_unit_test(refuses_a_token_over_its_bound),
        cmocka_unit_test(skips_protobuf_fields_that_it_does_not_know),
        cmocka_unit_test(does_not_recognise_a_message_without_one_operation),
        cmocka_unit_test(takes_a_status_that_it_does_not_know_for_rejected),
        cmocka_unit_test(names_the_field_of_a_reply_that_is_wrong),
        cmocka_unit_test(finds_the_id_of_a_reply_wherever_it_stands),
        cmocka_unit_test(tells_how_long_a_number_is),
    };
    return PW_TEST_RUN_WITH(cases, set_up, tear_down);
}
