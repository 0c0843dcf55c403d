/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The life of decoded messages, and statuses found in a peer's words. One thread.
 */
#include "malloc_fail.h"
#include "model/message.h"
#include "model/registration.h"
#include "model_samples.h"

#define COUNT_ONLY ((unsigned long)-1)

static void operations_have_names(void **state)
{
    (void)state;
    assert_string_equal(pw_operation_name(PW_OP_REGISTER), "register");
    assert_string_equal(pw_operation_name(PW_OP_UNREGISTER), "unregister");
    assert_string_equal(pw_operation_name(PW_OP_HEARTBEAT), "heartbeat");
    assert_string_equal(pw_operation_name(PW_OP_CAPABILITIES), "capabilities");
    assert_string_equal(pw_operation_name((enum pw_operation)99), "unknown");
    assert_string_equal(pw_operation_name((enum pw_operation) - 1), "unknown");
}

static void a_reset_request_is_empty_and_owns_nothing_but_its_map(void **state)
{
    (void)state;
    struct pw_request request;
    pw_request_init(&request);
    request.operation = PW_OP_CAPABILITIES;
    request.has_request_id = true;
    request.request_id.bytes[0] = 1;
    request.token = PW_STR_LITERAL("t");
    request.generation = 5;
    request.health = PYWATT_UNHEALTHY;
    request.info = sample_info();
    request.capabilities = sample_capabilities();
    struct pywatt_string_map *details = pw_request_details(&request);
    assert_ptr_equal(request.details, details);
    assert_int_equal(pywatt_string_map_set(details, "k", "v"), PYWATT_OK);
    pw_request_reset(&request);
    struct pw_request empty;
    pw_request_init(&empty);
    empty.details_storage = details;
    assert_memory_equal(&request, &empty, sizeof(empty));
    assert_ptr_equal(pw_request_details(&request), details);
    assert_int_equal(pywatt_string_map_count(details), 0);
    pw_request_clear(&request);
    assert_null(request.details);
    assert_null(request.details_storage);
    pw_request_clear(&request);
}

static void a_reset_response_is_empty_and_owns_nothing_but_its_map(void **state)
{
    (void)state;
    struct pw_response response;
    pw_response_init(&response);
    response.operation = PW_OP_HEARTBEAT;
    response.success = true;
    response.status = PYWATT_TIMEOUT;
    response.error = PW_STR_LITERAL("e");
    response.health = PYWATT_DEGRADED;
    response.registration = pw_registration_new();
    struct pywatt_string_map *context = pw_response_context(&response);
    assert_ptr_equal(response.context, context);
    assert_int_equal(pywatt_string_map_set(context, "k", "v"), PYWATT_OK);
    pw_response_reset(&response);
    struct pw_response empty;
    pw_response_init(&empty);
    empty.context_storage = context;
    assert_memory_equal(&response, &empty, sizeof(empty));
    assert_ptr_equal(pw_response_context(&response), context);
    assert_int_equal(pywatt_string_map_count(context), 0);
    pw_response_clear(&response);
    assert_null(response.context);
    assert_null(response.context_storage);
    pw_response_clear(&response);
}

static void a_reset_response_gives_back_only_its_own_reference(void **state)
{
    (void)state;
    struct pw_response response;
    pw_response_init(&response);
    response.registration = pw_registration_new();
    struct pywatt_registration *kept = pywatt_registration_acquire(response.registration);
    pw_response_clear(&response);
    assert_string_equal(pywatt_registration_token(kept), "");
    pywatt_registration_release(kept);
}

static void beats_that_follow_each_other_allocate_nothing(void **state)
{
    (void)state;
    struct pw_request request;
    struct pw_response response;
    pw_request_init(&request);
    pw_response_init(&response);
    for (int round = 0; round < 10; round++) {
        if (round == 1) {
            pw_malloc_fail_at(COUNT_ONLY);
        }
        pw_request_reset(&request);
        pw_response_reset(&response);
        assert_int_equal(pywatt_string_map_set(pw_request_details(&request), "load", "0.5"),
                         PYWATT_OK);
        assert_int_equal(pywatt_string_map_set(pw_response_context(&response), "shard", "3"),
                         PYWATT_OK);
    }
    pw_malloc_fail_disarm();
    assert_int_equal(pw_malloc_fail_count(), 0);
    pw_request_clear(&request);
    pw_response_clear(&response);
}

static void says_when_there_is_no_memory_for_a_map(void **state)
{
    (void)state;
    struct pw_request request;
    struct pw_response response;
    pw_request_init(&request);
    pw_response_init(&response);
    pw_malloc_fail_at(1);
    assert_null(pw_request_details(&request));
    pw_malloc_fail_at(1);
    assert_null(pw_response_context(&response));
    pw_malloc_fail_disarm();
    assert_null(request.details);
    pw_request_clear(&request);
    pw_response_clear(&response);
}

static void finds_a_status_in_the_words_of_a_peer(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum pywatt_status status;
    } texts[] = {
        {"Module name 'x' is already taken", PYWATT_NAME_TAKEN},
        {"module NAME x TAKEN", PYWATT_NAME_TAKEN},
        {"Registration failed: Module name 'rejected' is already taken", PYWATT_NAME_TAKEN},
        {"Invalid token", PYWATT_INVALID_TOKEN},
        {"invalid token for module", PYWATT_INVALID_TOKEN},
        {"Error: Invalid token", PYWATT_INVALID_TOKEN},
        {"Module not found: 01234567-89ab-cdef-fedc-ba9876543210", PYWATT_MODULE_NOT_FOUND},
        {"module not found", PYWATT_MODULE_NOT_FOUND},
        {"Heartbeat failed: Module not found", PYWATT_MODULE_NOT_FOUND},
        {"Authentication failed: bad certificate", PYWATT_AUTHENTICATION_FAILED},
        {"Authentication failed: invalid token", PYWATT_AUTHENTICATION_FAILED},
        {"not authorized", PYWATT_AUTHENTICATION_FAILED},
        {"Registration rejected: authentication", PYWATT_REJECTED},
        {"rejected: Module not found", PYWATT_REJECTED},
        {"the name is bad", PYWATT_REJECTED},
        {"it is taken", PYWATT_REJECTED},
        {"Invalid tokens", PYWATT_INVALID_TOKEN},
        {"Invalid toke", PYWATT_REJECTED},
        {"something else", PYWATT_REJECTED},
        {"aut", PYWATT_REJECTED},
        {"", PYWATT_REJECTED},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        const enum pywatt_status found = pw_status_from_error_text(pw_str_from(texts[i].text));
        if (found != texts[i].status) {
            fail_msg("\"%s\" is taken for %s", texts[i].text, pywatt_status_name(found));
        }
    }
    assert_int_equal(pw_status_from_error_text((struct pw_str){NULL, 0}), PYWATT_REJECTED);
    assert_int_equal(pw_status_from_error_text((struct pw_str){"Invalid token", 12}),
                     PYWATT_REJECTED);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(operations_have_names),
        cmocka_unit_test(a_reset_request_is_empty_and_owns_nothing_but_its_map),
        cmocka_unit_test(a_reset_response_is_empty_and_owns_nothing_but_its_map),
        cmocka_unit_test(a_reset_response_gives_back_only_its_own_reference),
        cmocka_unit_test(beats_that_follow_each_other_allocate_nothing),
        cmocka_unit_test(says_when_there_is_no_memory_for_a_map),
        cmocka_unit_test(finds_a_status_in_the_words_of_a_peer),
    };
    return PW_TEST_RUN(cases);
}
