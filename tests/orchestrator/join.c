/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The join token, where one is wanted: who is let in, what is kept of it, and what its file may be like.
 */
#include "world.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OLD "an-old-token-of-some-length"
#define NEW "a-new-token-of-another-length"

enum {
    CODECS = 3
};

static const char *const codecs[CODECS] = {"json", "json-python", "protobuf"};

struct scene {
    struct world world;
    char *folder;
    char file[256];
};

static void write_file(const struct scene *scene, const void *text, size_t len, mode_t mode)
{
    FILE *file = fopen(scene->file, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(scene->file, mode), 0);
}

static void write_text(const struct scene *scene, const char *text)
{
    write_file(scene, text, strlen(text), 0600);
}

static void prepare(struct scene *scene, const char *text)
{
    world_prepare(&scene->world);
    scene->folder = pw_test_temp_dir();
    snprintf(scene->file, sizeof(scene->file), "%s/join", scene->folder);
    write_text(scene, text);
    scene->world.options.join_token_file = scene->file;
}

static void begin(struct scene *scene, const char *text)
{
    prepare(scene, text);
    world_start(&scene->world);
}

static void end(struct scene *scene)
{
    world_stop(&scene->world);
    free(scene->folder);
}

/* Registers with a join token (NULL: without), and what it showed in the metadata besides. */
static enum pywatt_status join_again(struct peer *peer, const char *name, const char *join_token,
                                     const struct identity *before, struct identity *who)
{
    struct pywatt_module_info *info = NULL;
    assert_int_equal(pywatt_module_info_new(name, "1", "d", &info), PYWATT_OK);
    assert_int_equal(pywatt_module_info_set_metadata(info, "room", "7"), PYWATT_OK);
    if (join_token != NULL) {
        assert_int_equal(pywatt_module_info_set_metadata(info, "join_token", join_token),
                         PYWATT_OK);
    }
    if (before != NULL) {
        assert_int_equal(pywatt_module_info_set_id(info, &before->id), PYWATT_OK);
    }
    struct pw_request request = register_of(info);
    if (before != NULL) {
        request.token = pw_str_from(before->token);
    }
    const enum pywatt_status status = peer_call(peer, &request);
    pywatt_module_info_free(info);
    if (status == PYWATT_OK && who != NULL) {
        who->id = *pywatt_registration_id(peer->response.registration);
        snprintf(who->token, sizeof(who->token), "%s",
                 pywatt_registration_token(peer->response.registration));
        who->generation = pywatt_registration_generation(peer->response.registration);
    }
    return status;
}

static enum pywatt_status join(struct peer *peer, const char *name, const char *join_token)
{
    return join_again(peer, name, join_token, NULL, NULL);
}

/* ---- The token ---- */

static void who_has_no_join_token_is_told_what_to_do(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, OLD "\n");
    for (size_t i = 0; i < CODECS; i++) {
        struct peer peer;
        world_peer(&scene.world, &peer, codecs[i]);
        assert_int_equal(join(&peer, "a", NULL), PYWATT_REJECTED);
        assert_non_null(strstr(peer.error, "join_token"));
        assert_int_equal(join(&peer, "a", NEW), PYWATT_REJECTED);
        assert_non_null(strstr(peer.error, "not in force"));
        assert_null(strstr(peer.error, OLD));
        assert_null(strstr(peer.error, NEW));
        /* A part of it, or more than it, is not it. */
        assert_int_equal(join(&peer, "a", "an-old-token-of-some-lengt"), PYWATT_REJECTED);
        assert_int_equal(join(&peer, "a", OLD "h"), PYWATT_REJECTED);
        assert_int_equal(join(&peer, "a", ""), PYWATT_REJECTED);
        assert_int_equal(world_stats(&scene.world).join_tokens_refused, 5 * i + 5);
        assert_int_equal(world_stats(&scene.world).requests_refused, 5 * i + 5);
        assert_int_equal(world_stats(&scene.world).modules, i);
        char name[16];
        snprintf(name, sizeof(name), "good %zu", i);
        assert_int_equal(join(&peer, name, OLD), PYWATT_OK);
        peer_close(&peer);
    }
    end(&scene);
}

static void every_registration_needs_one_and_nothing_else_does(void **state)
{
    (void)state;
    struct scene scene;
    struct peer peer;
    struct identity who = {.token = ""};
    begin(&scene, OLD);
    world_peer(&scene.world, &peer, "json");
    assert_int_equal(join_again(&peer, "a", OLD, NULL, &who), PYWATT_OK);
    assert_int_equal(peer_beat(&peer, &who, PYWATT_HEALTHY), PYWATT_OK);
    assert_int_equal(peer_advertise(&peer, &who, "/a"), PYWATT_OK);
    /* Not even with id and token of the module. */
    assert_int_equal(join_again(&peer, "a", NULL, &who, NULL), PYWATT_REJECTED);
    assert_int_equal(peer_beat(&peer, &who, PYWATT_HEALTHY), PYWATT_OK);
    assert_int_equal(join_again(&peer, "a", OLD, &who, &who), PYWATT_OK);
    assert_int_equal(who.generation, 2);
    /* Nor is a name that has become free to be had without. */
    peer_close(&peer);
    world_await_liveness(&scene.world, 0, &who.id, PYWATT_SUSPECT);
    world_peer(&scene.world, &peer, "json");
    assert_int_equal(join(&peer, "a", NULL), PYWATT_REJECTED);
    assert_int_equal(peer_beat(&peer, &who, PYWATT_HEALTHY), PYWATT_OK);
    assert_int_equal(peer_unregister(&peer, &who), PYWATT_OK);
    peer_close(&peer);
    end(&scene);
}

static void who_has_shown_it_has_proven_something(void **state)
{
    (void)state;
    struct scene scene;
    struct peer peer;
    struct peer other;
    begin(&scene, OLD);
    world_peer(&scene.world, &peer, "json");
    assert_int_equal(join(&peer, "a", OLD), PYWATT_OK);
    world_peer(&scene.world, &other, "json");
    assert_int_equal(join(&other, "b", NEW), PYWATT_REJECTED);
    assert_int_equal(world_stats(&scene.world).connections_unproven, 1);
    assert_int_equal(join(&other, "a", OLD), PYWATT_NAME_TAKEN);
    assert_int_equal(world_stats(&scene.world).connections_unproven, 0);
    peer_close(&other);
    peer_close(&peer);
    end(&scene);
}

static enum pywatt_status read_again(struct scene *scene, struct pywatt_error *error)
{
    return pywatt_orchestrator_reconfigure(scene->world.orchestrator, &scene->world.options, error);
}

static void two_are_good_while_they_are_changed(void **state)
{
    (void)state;
    struct scene scene;
    struct peer peer;
    begin(&scene, OLD "\n");
    world_peer(&scene.world, &peer, "json");
    assert_int_equal(join(&peer, "a", OLD), PYWATT_OK);
    assert_int_equal(join(&peer, "b", NEW), PYWATT_REJECTED);
    write_text(&scene, OLD "\n" NEW "\n");
    assert_int_equal(join(&peer, "b", NEW), PYWATT_REJECTED);
    assert_int_equal(read_again(&scene, NULL), PYWATT_OK);
    assert_int_equal(join(&peer, "b", NEW), PYWATT_OK);
    assert_int_equal(join(&peer, "c", OLD), PYWATT_OK);
    write_text(&scene, NEW "\n");
    assert_int_equal(read_again(&scene, NULL), PYWATT_OK);
    assert_int_equal(join(&peer, "d", OLD), PYWATT_REJECTED);
    assert_int_equal(join(&peer, "d", NEW), PYWATT_OK);
    peer_close(&peer);
    end(&scene);
}

/* ---- What is kept of it ---- */

struct lines {
    pthread_mutex_t mutex;
    unsigned count;
    unsigned warnings;
    bool seen;
    char last[512];
};

static void keep_line(void *user, enum pywatt_log_level level, const char *line)
{
    struct lines *lines = user;
    pthread_mutex_lock(&lines->mutex);
    lines->count++;
    lines->warnings += level == PYWATT_LOG_WARNING;
    lines->seen |= strstr(line, OLD) != NULL || strstr(line, NEW) != NULL;
    snprintf(lines->last, sizeof(lines->last), "%s", line);
    pthread_mutex_unlock(&lines->mutex);
}

static bool is_in_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return false;
    }
    static char bytes[1 << 20];
    const size_t len = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    return memmem(bytes, len, text, strlen(text)) != NULL;
}

static void check_view(struct world *world, const struct identity *who)
{
    struct pywatt_module_view *view = world_view(world, &who->id);
    const struct pywatt_string_map *metadata =
        pywatt_module_info_metadata(pywatt_module_view_info(view));
    assert_int_equal(pywatt_string_map_count(metadata), 1);
    assert_string_equal(pywatt_string_map_get(metadata, "room"), "7");
    pywatt_module_view_free(view);
}

/* With the first registration, and with those of its owner again. */
static void check_not_given_back(struct world *world, const char *codec, bool wanted)
{
    struct peer peer;
    struct identity who = {.token = ""};
    world_peer(world, &peer, codec);
    peer.unwanted = OLD;
    for (int i = 0; i < 3; i++) {
        if (wanted) {
            assert_int_equal(join_again(&peer, "a", NEW, i == 0 ? NULL : &who, NULL),
                             PYWATT_REJECTED);
        }
        assert_int_equal(join_again(&peer, codec, OLD, i == 0 ? NULL : &who, &who), PYWATT_OK);
        /* The reply echoes the info. */
        const struct pywatt_string_map *metadata =
            pywatt_module_info_metadata(pywatt_registration_info(peer.response.registration));
        assert_int_equal(pywatt_string_map_count(metadata), 1);
        check_view(world, &who);
        assert_int_equal(peer_beat(&peer, &who, PYWATT_HEALTHY), PYWATT_OK);
    }
    /* Nor a registration that is refused for something else. */
    assert_int_equal(join(&peer, codec, OLD), PYWATT_NAME_TAKEN);
    assert_false(peer.met);
    peer_close(&peer);
}

static void check_kept_nowhere(const char *join_token_text)
{
    struct scene scene;
    struct lines lines = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    char store[300];
    char wal[310];
    prepare(&scene, OLD);
    if (join_token_text == NULL) {
        scene.world.options.join_token_file = NULL; /* who sends one to the wrong place */
    }
    snprintf(store, sizeof(store), "sqlite:%s/store.db", scene.folder);
    snprintf(wal, sizeof(wal), "%s-wal", store + 7);
    scene.world.options.store = store;
    pywatt_set_log_sink(keep_line, &lines, PYWATT_LOG_DEBUG);
    world_start(&scene.world);
    for (size_t i = 0; i < CODECS; i++) {
        check_not_given_back(&scene.world, codecs[i], join_token_text != NULL);
    }
    assert_true(is_in_file(store + 7, "room") || is_in_file(wal, "room"));
    assert_false(is_in_file(store + 7, OLD) || is_in_file(wal, OLD));
    end(&scene);
    pywatt_set_log_sink(NULL, NULL, PYWATT_LOG_ERROR);
    assert_false(lines.seen);
    assert_int_equal(lines.count > 0, join_token_text != NULL);
}

static void a_join_token_is_kept_nowhere(void **state)
{
    (void)state;
    check_kept_nowhere(OLD);
    check_kept_nowhere(NULL);
}

static void many_wrong_ones_are_worth_few_lines(void **state)
{
    (void)state;
    struct scene scene;
    struct peer peer;
    struct lines lines = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    begin(&scene, OLD);
    pywatt_set_log_sink(keep_line, &lines, PYWATT_LOG_DEBUG);
    world_peer(&scene.world, &peer, "protobuf");
    const int64_t begin_ns = pw_test_now_ns();
    for (int i = 0; i < 500; i++) {
        assert_int_equal(join(&peer, "a", NEW), PYWATT_REJECTED);
    }
    const int64_t seconds = (pw_test_now_ns() - begin_ns) / 1000000000 + 2;
    assert_int_equal(world_stats(&scene.world).join_tokens_refused, 500);
    assert_int_equal(join(&peer, "a", OLD), PYWATT_OK);
    peer_close(&peer);
    end(&scene);
    pywatt_set_log_sink(NULL, NULL, PYWATT_LOG_ERROR);
    assert_in_range(lines.count, 1, (size_t)seconds * 10);
}

/* ---- The file ---- */

static void the_ends_of_lines_do_not_count(void **state)
{
    (void)state;
    static const char *const texts[] = {
        OLD, OLD "\n", OLD "\r\n", "\n\n" OLD "\n\n", "\r\n" OLD "\r\n\r\n", OLD "\n" OLD "\n"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct scene scene;
        struct peer peer;
        begin(&scene, texts[i]);
        world_peer(&scene.world, &peer, "json");
        assert_int_equal(join(&peer, "a", OLD "\r"), PYWATT_REJECTED);
        assert_int_equal(join(&peer, "a", OLD), PYWATT_OK);
        peer_close(&peer);
        end(&scene);
    }
}

#define BYTES(text) (text), sizeof(text) - 1

static const struct bad_file {
    const char *text;
    size_t len;
    const char *fault;
} bad_files[] = {
    {BYTES(""), "no token stands in it"},
    {BYTES("\n\r\n\n"), "no token stands in it"},
    {BYTES(OLD "\n" NEW "\nthird-token-of-some-length\n"), "line 3: there are two"},
    {BYTES("\n" NEW "\t"), "line 2: it has a control character"},
    {BYTES(NEW "\n" OLD "\0"), "line 2: it is not UTF-8"},
    {BYTES("\xff\xfe" OLD), "line 1: it is not UTF-8"},
    {BYTES(" " NEW "\n"), "line 1: it begins or ends with a space"},
    {BYTES(NEW " \n"), "line 1: it begins or ends with a space"},
};

static void check_refused(struct scene *scene, enum pywatt_status wanted, const char *fault)
{
    struct pywatt_orchestrator *other = NULL;
    struct pywatt_error error = {.text = ""};
    assert_int_equal(read_again(scene, &error), wanted);
    assert_non_null(strstr(error.text, fault));
    assert_non_null(strstr(error.text, scene->file));
    assert_null(strstr(error.text, NEW));
    error.text[0] = '\0';
    assert_int_equal(pywatt_orchestrator_new(&scene->world.options, &other, &error), wanted);
    assert_non_null(strstr(error.text, fault));
}

static void a_bad_file_changes_nothing_and_is_named(void **state)
{
    (void)state;
    struct scene scene;
    struct peer peer;
    char longest[256 + 1];
    char text[1024];
    memset(longest, 'x', sizeof(longest) - 1);
    longest[256] = '\0';
    begin(&scene, OLD);
    world_peer(&scene.world, &peer, "json");
    for (size_t i = 0; i < sizeof(bad_files) / sizeof(bad_files[0]); i++) {
        write_file(&scene, bad_files[i].text, bad_files[i].len, 0600);
        check_refused(&scene, PYWATT_INVALID_ARGUMENT, bad_files[i].fault);
    }
    snprintf(text, sizeof(text), "%sx\n", longest);
    write_text(&scene, text);
    check_refused(&scene, PYWATT_INVALID_ARGUMENT, "line 1: a token has at most 256 bytes");
    snprintf(text, sizeof(text), "%s\n%s\n\n\n\n\n\n", longest, longest);
    write_text(&scene, text);
    check_refused(&scene, PYWATT_INVALID_ARGUMENT, "longer than two tokens");
    assert_int_equal(unlink(scene.file), 0);
    check_refused(&scene, PYWATT_IO, "No such file");
    assert_int_equal(mkdir(scene.file, 0700), 0);
    check_refused(&scene, PYWATT_INVALID_ARGUMENT, "not a plain file");
    assert_int_equal(rmdir(scene.file), 0);
    assert_int_equal(mkfifo(scene.file, 0600), 0);
    check_refused(&scene, PYWATT_INVALID_ARGUMENT, "not a plain file");
    assert_int_equal(unlink(scene.file), 0);
    /* The old one is in force still, through all of it. */
    assert_int_equal(join(&peer, "a", OLD), PYWATT_OK);
    assert_int_equal(join(&peer, "b", longest), PYWATT_REJECTED);
    write_text(&scene, longest);
    assert_int_equal(read_again(&scene, NULL), PYWATT_OK);
    assert_int_equal(join(&peer, "b", longest), PYWATT_OK);
    peer_close(&peer);
    end(&scene);
}

static void a_file_that_others_may_read_is_worth_a_warning(void **state)
{
    (void)state;
    const struct {
        mode_t mode;
        const char *text;
        unsigned warnings;
        const char *words;
    } cases[] = {
        {0600, OLD, 0, ""},
        {0400, OLD, 0, ""},
        {0640, OLD, 0, ""},
        {0644, OLD, 1, "chmod"},
        {0660, OLD, 1, "chmod"},
        {0604, OLD, 1, "chmod"},
        {0600, "short", 1, "can be guessed"},
    };
    struct scene scene;
    struct lines lines = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    begin(&scene, OLD);
    pywatt_set_log_sink(keep_line, &lines, PYWATT_LOG_DEBUG);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lines.warnings = 0;
        lines.last[0] = '\0';
        assert_int_equal(unlink(scene.file), 0);
        write_file(&scene, cases[i].text, strlen(cases[i].text), cases[i].mode);
        assert_int_equal(pywatt_orchestrator_check(&scene.world.options, NULL), PYWATT_OK);
        assert_int_equal(lines.warnings, 0); /* it is not in force yet */
        assert_int_equal(read_again(&scene, NULL), PYWATT_OK);
        assert_int_equal(lines.warnings, cases[i].warnings);
        assert_non_null(strstr(lines.last, cases[i].words));
    }
    pywatt_set_log_sink(NULL, NULL, PYWATT_LOG_ERROR);
    end(&scene);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(who_has_no_join_token_is_told_what_to_do),
        cmocka_unit_test(every_registration_needs_one_and_nothing_else_does),
        cmocka_unit_test(who_has_shown_it_has_proven_something),
        cmocka_unit_test(two_are_good_while_they_are_changed),
        cmocka_unit_test(a_join_token_is_kept_nowhere),
        cmocka_unit_test(many_wrong_ones_are_worth_few_lines),
        cmocka_unit_test(the_ends_of_lines_do_not_count),
        cmocka_unit_test(a_bad_file_changes_nothing_and_is_named),
        cmocka_unit_test(a_file_that_others_may_read_is_worth_a_warning),
    };
    return PW_TEST_RUN(cases);
}
