/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * batch_scene.h - a client of a fake orchestrator that takes batches, with modules, and one beat for
 * each. Functions assert: main thread.
 */
#ifndef PW_REGISTRY_BATCH_SCENE_H
#define PW_REGISTRY_BATCH_SCENE_H

#include "fixture.h"

#include "registry/client.h"
#include "registry/module.h"

#include <pthread.h>

enum {
    BEATS = 12
};

struct scene {
    struct pw_fake *fake;
    struct pywatt_client *client;
    struct pywatt_module *modules[BEATS];
    struct pywatt_beat beats[BEATS];
};

struct scene begin(tune_fn tune); /* protobuf */
struct scene begin_with(const char *codec, bool take_batches, tune_fn tune);
void end(struct scene *scene);

/* Any thread. */
enum pywatt_status beat_all(struct scene *scene, struct pywatt_error *error);

/* Every beat has this status. */
void expect_all(const struct scene *scene, enum pywatt_status status);

/* Batches that have come to the fake. */
uint64_t messages(const struct scene *scene);

/* The fake ends it; returns when the client has seen that. */
void lose_the_connection(struct scene *scene);

/* A batch that is sent from a thread of its own, so that the main thread can do something meanwhile. */
struct sender {
    pthread_t thread;
    struct scene *scene;
    enum pywatt_status status;
    struct pywatt_error error;
};

void start(struct sender *sender, struct scene *scene);
void join(struct sender *sender);

#endif
