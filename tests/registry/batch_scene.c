/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* batch_scene.c - see batch_scene.h. */
#include "batch_scene.h"

#include <stdio.h>

struct scene begin(tune_fn tune)
{
    return begin_with("protobuf", true, tune);
}

struct scene begin_with(const char *codec, bool take_batches, tune_fn tune)
{
    struct scene scene = {.fake = pw_fake_start()};
    pw_fake_take_batches(scene.fake, take_batches);
    scene.client = open_client(scene.fake, codec, tune);
    for (int i = 0; i < BEATS; i++) {
        char name[32];
        snprintf(name, sizeof(name), "module %d", i);
        scene.modules[i] = register_named(scene.client, name);
        scene.beats[i] = (struct pywatt_beat){.module = scene.modules[i]};
    }
    return scene;
}

void end(struct scene *scene)
{
    for (int i = 0; i < BEATS; i++) {
        pywatt_module_free(scene->modules[i]);
    }
    pywatt_client_free(scene->client);
    pw_fake_free(scene->fake);
}

enum pywatt_status beat_all(struct scene *scene, struct pywatt_error *error)
{
    return pywatt_heartbeat_batch(scene->client, scene->beats, BEATS, error);
}

void expect_all(const struct scene *scene, enum pywatt_status status)
{
    for (int i = 0; i < BEATS; i++) {
        if (scene->beats[i].status != status) {
            fail_msg("beat %d: %s", i, pywatt_status_name(scene->beats[i].status));
        }
    }
}

uint64_t messages(const struct scene *scene)
{
    return pw_fake_count(scene->fake, PW_OP_HEARTBEAT_BATCH);
}

static void *send_batch(void *user)
{
    struct sender *sender = user;
    sender->status = beat_all(sender->scene, &sender->error);
    return NULL;
}

void start(struct sender *sender, struct scene *scene)
{
    *sender = (struct sender){.scene = scene};
    assert_int_equal(pthread_create(&sender->thread, NULL, send_batch, sender), 0);
}

void join(struct sender *sender)
{
    assert_int_equal(pthread_join(sender->thread, NULL), 0);
}

void lose_the_connection(struct scene *scene)
{
    pw_fake_disconnect(scene->fake);
    while (pw_channel_connected(scene->client->channel)) {
        /* The heartbeat thread finds out. */
    }
}
