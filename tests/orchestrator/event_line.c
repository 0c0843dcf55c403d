/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the daemon writes into its log of a module event: one line, whatever the module's name is.
 */
#include "orchestrator/event_line.h"

#include "pw_test.h"

#include <stdio.h>
#include <string.h>

static void check(const char *name, const char *written)
{
    const struct pywatt_event event = {
        .kind = PYWATT_EVENT_LIVENESS,
        .module_id = {.bytes = {0x12, 0x34}},
        .module_name = name,
        .health = PYWATT_DEGRADED,
        .liveness = PYWATT_LOST,
        .generation = 7,
    };
    char line[EVENT_LINE_SIZE];
    char expected[EVENT_LINE_SIZE];
    event_line(line, &event);
    snprintf(expected, sizeof(expected),
             "liveness %s id=12340000-0000-0000-0000-000000000000 health=Degraded liveness=lost "
             "generation=7",
             written);
    assert_string_equal(line, expected);
}

static void tells_an_event_in_one_line(void **state)
{
    (void)state;
    check("a module", "a module");
    check("m\xc3\xb6rz \xe6\x97\xa5 \xf0\x9f\x98\x80", "m\xc3\xb6rz \xe6\x97\xa5 \xf0\x9f\x98\x80");
}

static void control_characters_are_replaced(void **state)
{
    (void)state;
    check("a\nb\tc\x1b[2J\x7f", "a?b?c?[2J?");
    /* CSI and NEL as one character each; what lies beside the range stays. */
    check("a\xc2\x9b[2J\xc2\x85\xc2\x80\xc2\x9f", "a?[2J???");
    check("\xc2\xa0\xc3\x80\xc3\x9f", "\xc2\xa0\xc3\x80\xc3\x9f");
}

static void the_longest_name_is_told_whole(void **state)
{
    (void)state;
    char name[PYWATT_NAME_MAX + 1];
    memset(name, 'n', PYWATT_NAME_MAX);
    name[PYWATT_NAME_MAX] = '\0';
    check(name, name);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(tells_an_event_in_one_line),
        cmocka_unit_test(control_characters_are_replaced),
        cmocka_unit_test(the_longest_name_is_told_whole),
    };
    return PW_TEST_RUN(cases);
}
