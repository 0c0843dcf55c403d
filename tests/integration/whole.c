/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Both libraries in one program, all of them: it links only if no name is defined twice. A consumer
 * that links the static archives of both would stumble over such a name.
 */
#include "pw_test.h"

#include <pywatt/orchestrator.h>
#include <pywatt/pywatt.h>

static void both_libraries_have_their_names_to_themselves(void **state)
{
    (void)state;
    assert_string_equal(pywatt_liveness_name(PYWATT_ALIVE), "alive");
    assert_string_equal(pywatt_status_name(PYWATT_OK), "OK");
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(both_libraries_have_their_names_to_themselves),
    };
    return PW_TEST_RUN(cases);
}
