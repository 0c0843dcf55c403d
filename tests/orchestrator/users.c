/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Peers of a Unix socket are told apart by the user and the groups of their process.
 */
#include "peer.h"
#include "pw_test.h"

#include <pywatt/orchestrator.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct scene {
    struct pywatt_orchestrator *orchestrator;
    char unix_url[64];
    char tcp_url[64];
};

static void begin(struct scene *scene, const char *uids, const char *gids)
{
    static unsigned count;
    struct pywatt_orchestrator_options options;
    pywatt_orchestrator_options_init(&options);
    options.workers = 1;
    options.first_frame_timeout_ms = 600000;
    options.unproven_idle_timeout_ms = 0;
    options.unix_allow_uids = uids;
    options.unix_allow_gids = gids;
    snprintf(scene->unix_url, sizeof(scene->unix_url), "unix:@pw-users-%d-%u", (int)getpid(),
             ++count);
    assert_int_equal(pywatt_orchestrator_new(&options, &scene->orchestrator, NULL), PYWATT_OK);
    assert_int_equal(
        pywatt_orchestrator_listen(scene->orchestrator, scene->unix_url, NULL, 0, NULL), PYWATT_OK);
    assert_int_equal(pywatt_orchestrator_listen(scene->orchestrator, "tcp://127.0.0.1:0",
                                                scene->tcp_url, sizeof(scene->tcp_url), NULL),
                     PYWATT_OK);
    assert_int_equal(pywatt_orchestrator_start(scene->orchestrator, NULL), PYWATT_OK);
}

static uint64_t users_refused(const struct scene *scene)
{
    struct pywatt_orchestrator_stats stats = {.size = sizeof(stats)};
    assert_int_equal(pywatt_orchestrator_get_stats(scene->orchestrator, &stats), PYWATT_OK);
    return stats.users_refused;
}

static enum pywatt_status register_at(const char *url)
{
    struct peer peer;
    assert_true(peer_open(&peer, url, "json"));
    const enum pywatt_status status = peer_register(&peer, "a", NULL);
    peer_close(&peer);
    return status;
}

static void check(const char *uids, const char *gids, enum pywatt_status wanted)
{
    struct scene scene;
    begin(&scene, uids, gids);
    assert_int_equal(register_at(scene.unix_url), wanted);
    assert_int_equal(users_refused(&scene), wanted == PYWATT_OK ? 0 : 1);
    pywatt_orchestrator_free(scene.orchestrator);
}

static const char *number(char text[16], unsigned value)
{
    snprintf(text, 16, "%u", value);
    return text;
}

static void a_user_or_a_group_opens_the_socket(void **state)
{
    (void)state;
    char own_uid[16];
    char own_gid[16];
    char other[16];
    char list[64];
    number(own_uid, (unsigned)geteuid());
    number(own_gid, (unsigned)getegid());
    number(other, (unsigned)geteuid() + 4711);
    snprintf(list, sizeof(list), "%s, %s", other, own_uid);
    check(NULL, NULL, PYWATT_OK);
    check(own_uid, NULL, PYWATT_OK);
    check(list, NULL, PYWATT_OK);
    check(other, NULL, PYWATT_REJECTED);
    check(NULL, own_gid, PYWATT_OK);
    check(other, own_gid, PYWATT_OK);
    check(own_uid, other, PYWATT_OK);
    check(other, other, PYWATT_REJECTED);
    check(NULL, other, PYWATT_REJECTED);
}

/* Of this thread alone; libc's function interrupts all others. */
static long set_groups(size_t count, const gid_t *groups)
{
    return syscall(SYS_setgroups, count, groups);
}

/* The groups of who connects are set for a moment, which only root may do. */
static void a_supplementary_group_will_do(void **state)
{
    (void)state;
    const gid_t group = 54321;
    gid_t before[256];
    struct scene scene;
    const int count = getgroups(256, before);
    if (count < 0 || set_groups(1, &group) != 0) {
        skip();
    }
    begin(&scene, NULL, "54321");
    const enum pywatt_status status = register_at(scene.unix_url);
    assert_int_equal(set_groups((size_t)count, before), 0);
    const enum pywatt_status without = register_at(scene.unix_url);
    pywatt_orchestrator_free(scene.orchestrator);
    assert_int_equal(status, PYWATT_OK);
    assert_int_equal(without, PYWATT_REJECTED);
}

static void who_is_not_let_in_is_told_so_and_the_connection_ends(void **state)
{
    (void)state;
    static const char *const codecs[] = {"json", "json-python", "protobuf"};
    struct scene scene;
    struct identity who = {.token = "0123456789012345678901234567890123456789012"};
    char other[16];
    begin(&scene, number(other, (unsigned)geteuid() + 1), NULL);
    for (size_t i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++) {
        struct peer peer;
        assert_true(peer_open(&peer, scene.unix_url, codecs[i]));
        assert_int_equal(peer_beat(&peer, &who, PYWATT_HEALTHY), PYWATT_REJECTED);
        assert_non_null(strstr(peer.error, "This user may not use"));
        assert_true(peer_is_closed_by_other(&peer));
        peer_close(&peer);
    }
    assert_int_equal(users_refused(&scene), 3);
    /* Other listeners have no users. */
    assert_int_equal(register_at(scene.tcp_url), PYWATT_OK);
    pywatt_orchestrator_free(scene.orchestrator);
}

static void says_what_is_wrong_with_a_list(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "root", "1,,2", "-1", "1 2", "4294967295", "0x10", "1.5"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct pywatt_orchestrator_options options;
        struct pywatt_orchestrator *orchestrator = NULL;
        struct pywatt_error error = {.text = ""};
        pywatt_orchestrator_options_init(&options);
        options.unix_allow_gids = bad[i];
        assert_int_equal(pywatt_orchestrator_new(&options, &orchestrator, &error),
                         PYWATT_INVALID_ARGUMENT);
        assert_non_null(strstr(error.text, "unix_allow_gids"));
    }
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_user_or_a_group_opens_the_socket),
        cmocka_unit_test(a_supplementary_group_will_do),
        cmocka_unit_test(who_is_not_let_in_is_told_so_and_the_connection_ends),
        cmocka_unit_test(says_what_is_wrong_with_a_list),
    };
    return PW_TEST_RUN(cases);
}
