/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The file of join tokens when the system refuses: the old tokens stay in force, and the words say why.
 * What its lines may be like is in join.c.
 */
#include "orchestrator/join_token.h"

#include "call_fail.h"
#include "world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OLD "an-old-token-of-some-length"
#define NEW "a-new-token-of-another-length"

struct scene {
    struct world world;
    char *folder;
    char file[256];
};

static void write_text(const struct scene *scene, const char *text)
{
    FILE *file = fopen(scene->file, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void begin(struct scene *scene, const char *text)
{
    world_prepare(&scene->world);
    scene->folder = pw_test_temp_dir();
    snprintf(scene->file, sizeof(scene->file), "%s/join", scene->folder);
    write_text(scene, text);
    scene->world.options.join_token_file = scene->file;
    world_start(&scene->world);
}

static void end(struct scene *scene)
{
    world_stop(&scene->world);
    free(scene->folder);
}

static enum pywatt_status join(struct world *world, const char *name, const char *token)
{
    struct peer peer;
    struct pywatt_module_info *info = NULL;
    world_peer(world, &peer, "json");
    assert_int_equal(pywatt_module_info_new(name, "1", "d", &info), PYWATT_OK);
    assert_int_equal(pywatt_module_info_set_metadata(info, "join_token", token), PYWATT_OK);
    struct pw_request request = register_of(info);
    const enum pywatt_status status = peer_call(&peer, &request);
    pywatt_module_info_free(info);
    peer_close(&peer);
    return status;
}

static enum pywatt_status read_again(struct scene *scene, struct pywatt_error *error)
{
    return pywatt_orchestrator_reconfigure(scene->world.orchestrator, &scene->world.options, error);
}

static void expect_refused(struct scene *scene, int number)
{
    struct pywatt_error error = {.text = ""};
    assert_int_equal(read_again(scene, &error), PYWATT_IO);
    assert_non_null(strstr(error.text, scene->file));
    assert_non_null(strstr(error.text, strerror(number)));
}

static void what_cannot_be_read_for_now_changes_nothing(void **state)
{
    (void)state;
    static const enum call calls[] = {CALL_OPEN, CALL_STAT};
    static const int numbers[] = {EMFILE, ENFILE, EIO};
    struct scene scene;
    begin(&scene, OLD);
    write_text(&scene, NEW);
    for (size_t i = 0; i < 6; i++) {
        call_fail_at(calls[i / 3], 0, numbers[i % 3]);
        expect_refused(&scene, numbers[i % 3]);
        assert_true(call_fail_disarm());
    }
    /* A file that can be opened, and each byte of which fails to be read. */
    assert_int_equal(unlink(scene.file), 0);
    assert_int_equal(symlink("/proc/self/mem", scene.file), 0);
    expect_refused(&scene, EIO);
    assert_int_equal(join(&scene.world, "a", NEW), PYWATT_REJECTED);
    assert_int_equal(join(&scene.world, "a", OLD), PYWATT_OK);
    assert_int_equal(unlink(scene.file), 0);
    write_text(&scene, NEW);
    assert_int_equal(read_again(&scene, NULL), PYWATT_OK);
    assert_int_equal(join(&scene.world, "b", OLD), PYWATT_REJECTED);
    assert_int_equal(join(&scene.world, "b", NEW), PYWATT_OK);
    end(&scene);
}

/* Read by itself: the workers of an orchestrator read as well. */
static void it_is_read_whole_in_pieces_and_interrupted(void **state)
{
    (void)state;
    struct scene scene;
    struct pw_join_set expected;
    struct pw_join_set set;
    scene.folder = pw_test_temp_dir();
    snprintf(scene.file, sizeof(scene.file), "%s/join", scene.folder);
    write_text(&scene, OLD "\n" NEW "\n");
    assert_int_equal(pw_join_set_read(&expected, scene.file, NULL), PYWATT_OK);
    assert_int_equal(expected.count, 2);
    for (unsigned long n = 1; n <= 4; n++) {
        call_fail_at(CALL_READ, (n + 1) / 2, n % 2 == 0 ? EINTR : CALL_SHORT);
        assert_int_equal(pw_join_set_read(&set, scene.file, NULL), PYWATT_OK);
        assert_true(call_fail_disarm());
        assert_int_equal(set.count, 2);
        assert_memory_equal(set.hashes, expected.hashes, sizeof(set.hashes));
    }
    free(scene.folder);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(what_cannot_be_read_for_now_changes_nothing),
        cmocka_unit_test(it_is_read_whole_in_pieces_and_interrupted),
    };
    return PW_TEST_RUN(cases);
}
