/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A module that never blocks: each operation is started, and its callback starts the next one, on
 * the client's dispatcher thread. The main thread is free for other work; here it only waits for
 * the end, on a condition variable. `lock` guards `ended` and `failed`.
 */
#include <pywatt/pywatt.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>

#define BEATS 100

struct life {
    struct pywatt_module *module; /* only the dispatcher thread, until the end */
    int answered;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool ended;
    bool failed;
};

static void end(struct life *life, bool failed, const char *text)
{
    if (failed) {
        fprintf(stderr, "%s\n", text);
    }
    pthread_mutex_lock(&life->lock);
    life->ended = true;
    life->failed = failed;
    pthread_cond_signal(&life->changed);
    pthread_mutex_unlock(&life->lock);
}

static void unregistered(void *user, enum pywatt_status status, const struct pywatt_error *error)
{
    struct life *life = user;

    if (status == PYWATT_OK) {
        printf("unregistered after %d beats\n", life->answered);
    }
    end(life, status != PYWATT_OK, error->text);
}

/* All beats are under way at once; the answers come one after the other. */
static void answered(void *user, enum pywatt_status status, const struct pywatt_error *error,
                     enum pywatt_health verdict)
{
    struct life *life = user;
    struct pywatt_error reason;

    if (status != PYWATT_OK) {
        fprintf(stderr, "a beat failed: %s\n", error->text);
    } else if (verdict != PYWATT_HEALTHY) {
        fprintf(stderr, "the orchestrator thinks: %s\n", pywatt_health_name(verdict));
    }
    if (++life->answered == BEATS &&
        pywatt_unregister_module_async(life->module, unregistered, life, &reason) != PYWATT_OK) {
        end(life, true, reason.text);
    }
}

static void registered(void *user, enum pywatt_status status, const struct pywatt_error *error,
                       struct pywatt_module *module)
{
    struct life *life = user;
    struct pywatt_error reason;

    if (status != PYWATT_OK) {
        end(life, true, error->text);
        return;
    }
    puts("registered");
    life->module = module;
    for (int i = 0; i < BEATS; i++) {
        if (pywatt_heartbeat_async(module, PYWATT_HEALTHY, NULL, answered, life, &reason) !=
            PYWATT_OK) {
            end(life, true, reason.text);
            return;
        }
    }
}

int main(int argc, char **argv)
{
    struct life life = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    struct pywatt_client_options options;
    struct pywatt_client *client = NULL;
    struct pywatt_module_info *info = NULL;
    struct pywatt_error error = {PYWATT_NO_MEMORY, "out of memory"};

    pywatt_client_options_init(&options);
    options.endpoints = argc > 1 ? argv[1] : "tcp://127.0.0.1:7900";
    if (pywatt_client_open(&options, &client, &error) != PYWATT_OK ||
        pywatt_module_info_new("counter", "1.0", "Counts", &info) != PYWATT_OK ||
        pywatt_register_module_async(client, info, registered, &life, &error) != PYWATT_OK) {
        end(&life, true, error.text);
    }
    pthread_mutex_lock(&life.lock);
    while (!life.ended) {
        pthread_cond_wait(&life.changed, &life.lock);
    }
    pthread_mutex_unlock(&life.lock);

    /* Once the client is gone no callback runs any more. */
    pywatt_client_free(client);
    pywatt_module_free(life.module);
    pywatt_module_info_free(info);
    return life.failed ? 1 : 0;
}
