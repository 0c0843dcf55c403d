/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * How often the heartbeat thread goes round, and what that costs: it sleeps while there is nothing to
 * do, however long a reply is overdue and however full the connection is. Its sleep is a ppoll, which
 * this program wraps and counts; nobody else here calls it once there is a connection.
 */
#include "fixture.h"

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>

enum {
    BEATS = 20,
    /* It wakes when a beat is due and when its answer comes, and looks once more after each. */
    ROUNDS_A_BEAT = 4,
    ROUNDS_BESIDE = 10
};

int __real_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                 const sigset_t *mask);
int __wrap_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                 const sigset_t *mask);

static atomic_uint rounds;

int __wrap_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                 const sigset_t *mask)
{
    atomic_fetch_add_explicit(&rounds, 1, memory_order_relaxed);
    return __real_ppoll(fds, count, timeout, mask);
}

static void assert_rounds_since(unsigned before, unsigned beats)
{
    const unsigned made = atomic_load(&rounds) - before;
    if (made > beats * ROUNDS_A_BEAT + ROUNDS_BESIDE) {
        fail_msg("%u rounds for %u beats", made, beats);
    }
}

static uint32_t interval_ms(void)
{
    return 10 * pw_test_slow_factor();
}

static void a_held_reply_keeps_nobody_awake(void **state)
{
    (void)state;
    struct pw_fake *fake = pw_fake_start();
    struct pywatt_client *client = open_client(fake, "json", NULL);
    struct pywatt_module *module = register_named(client, "alpha");
    struct pywatt_module_info *info = new_info("held");
    struct box box;
    box_init(&box);
    pw_fake_hold(fake, PW_OP_REGISTER);
    assert_int_equal(pywatt_register_module_async(client, info, on_registered, &box, NULL),
                     PYWATT_OK);
    assert_int_equal(pywatt_start_heartbeat_loop(module, interval_ms(), NULL, NULL, NULL, NULL),
                     PYWATT_OK);
    assert_true(pw_fake_wait(fake, PW_OP_REGISTER, 2));
    assert_true(pw_fake_wait(fake, PW_OP_HEARTBEAT, 1));
    const unsigned before = atomic_load(&rounds);
    assert_true(pw_fake_wait(fake, PW_OP_HEARTBEAT, 1 + BEATS));
    assert_rounds_since(before, BEATS);
    pw_fake_release(fake);
    assert_true(box_wait(&box, 1));
    pywatt_module_free(box.told[0].module);
    pywatt_module_free(module);
    pywatt_module_info_free(info);
    pywatt_client_free(client);
    pw_fake_free(fake);
    box_destroy(&box);
}

/* Each beat that is due meanwhile is skipped, and that is all. */
static void an_unanswered_beat_keeps_nobody_awake(void **state)
{
    (void)state;
    for (int serial = 0; serial < 2; serial++) {
        struct pw_fake *fake = pw_fake_start();
        struct pywatt_module *modules[2];
        if (serial == 1) {
            pw_fake_omit_request_ids(fake);
        }
        struct pywatt_client *client = open_client(fake, "json", NULL);
        pw_fake_hold(fake, PW_OP_HEARTBEAT);
        for (int i = 0; i < 2; i++) {
            modules[i] = register_named(client, "one of two");
            assert_int_equal(
                pywatt_start_heartbeat_loop(modules[i], interval_ms(), NULL, NULL, NULL, NULL),
                PYWATT_OK);
        }
        assert_true(pw_fake_wait(fake, PW_OP_HEARTBEAT, serial == 1 ? 1 : 2));
        const unsigned before = atomic_load(&rounds);
        const uint64_t skipped = STAT(client, beats_skipped);
        assert_true(WAIT_STAT(client, beats_skipped, skipped + BEATS));
        assert_rounds_since(before, BEATS);
        pw_fake_release(fake);
        pywatt_module_free(modules[0]);
        pywatt_module_free(modules[1]);
        pywatt_client_free(client);
        pw_fake_free(fake);
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_held_reply_keeps_nobody_awake),
        cmocka_unit_test(an_unanswered_beat_keeps_nobody_awake),
    };
    return PW_TEST_RUN(cases);
}
