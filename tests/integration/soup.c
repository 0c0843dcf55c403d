/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Lifecycle soup: threads that do at random whatever an application may do, in whatever order, while
 * others do the same (cook.c). Asserted is that every call returns with a status that it may have,
 * that every accepted asynchronous operation is told of once, and that in the end no descriptor, no
 * thread and no memory is left.
 */
#include "client.h"
#include "cook.h"
#include "place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    THREADS = 4,
    PATIENCE_MS = 20000
};

/* ---- The kitchen ------------------------------------------------------------------------------ */

static void open_kitchen(struct kitchen *kitchen, struct cook *cooks)
{
    static const char *const schemes[KITCHEN_HOSTS] = {"tcp", "memory"};
    memset(kitchen, 0, sizeof(*kitchen));
    pthread_mutex_init(&kitchen->lock, NULL);
    for (unsigned i = 0; i < KITCHEN_HOSTS; i++) {
        place_choose(schemes[i], kitchen->urls[i], sizeof(kitchen->urls[i]));
        pthread_mutex_init(&kitchen->host_locks[i], NULL);
        kitchen_start_host(kitchen, i, true);
    }
    for (unsigned i = 0; i < KITCHEN_CLIENTS; i++) {
        kitchen->clients[i] = cook_new_client(&cooks[0]);
    }
}

static bool all_is_told(void *user)
{
    struct kitchen *kitchen = user;
    return atomic_load(&kitchen->told) == atomic_load(&kitchen->accepted);
}

static void close_kitchen(struct kitchen *kitchen)
{
    for (unsigned i = 0; i < KITCHEN_CLIENTS; i++) {
        kitchen_give_client(kitchen, kitchen->clients[i]);
    }
    /* Guests may still be leaving. */
    assert_true(pw_test_wait_until(all_is_told, kitchen, PATIENCE_MS));
    for (unsigned i = 0; i < KITCHEN_HOSTS; i++) {
        pywatt_orchestrator_free(kitchen->hosts[i]);
        pthread_mutex_destroy(&kitchen->host_locks[i]);
    }
    pthread_mutex_destroy(&kitchen->lock);
}

static bool nobody_is_left(void *user)
{
    return pw_test_threads() <= *(const size_t *)user;
}

static void *do_nothing(void *arg)
{
    return arg;
}

/* ThreadSanitizer starts a thread of its own with the program's first one, and keeps it. */
static size_t count_threads(void)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, do_nothing, NULL), 0);
    pthread_join(thread, NULL);
    return pw_test_threads();
}

static void nothing_is_left_after(void **state)
{
    struct kitchen *kitchen = malloc(sizeof(*kitchen));
    struct cook *cooks = calloc(THREADS, sizeof(*cooks));
    const size_t descriptors = pw_test_open_fds();
    size_t threads = count_threads();
    for (unsigned i = 0; i < THREADS; i++) {
        cooks[i] = (struct cook){
            .kitchen = kitchen, .number = i, .seed = *(const unsigned *)*state * 1000 + i};
    }
    open_kitchen(kitchen, cooks);
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_create(&cooks[i].thread, NULL, cook_stir, &cooks[i]);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(cooks[i].thread, NULL);
    }
    close_kitchen(kitchen);
    if (getenv("PYWATT_TEST_VERBOSE") != NULL) {
        print_message("%u accepted, %u beats\n", atomic_load(&kitchen->accepted),
                      atomic_load(&kitchen->beats));
    }
    assert_int_equal(atomic_load(&kitchen->strange), 0);
    assert_in_range(atomic_load(&kitchen->accepted), 1, UINT32_MAX);
    assert_in_range(atomic_load(&kitchen->beats), 1, UINT32_MAX);
    assert_true(pw_test_wait_until(nobody_is_left, &threads, PATIENCE_MS));
    assert_int_equal(pw_test_open_fds(), descriptors);
    free(cooks);
    free(kitchen);
}

int main(void)
{
    enum {
        RECIPES = 3
    };
    static const unsigned seeds[RECIPES] = {1, 20, 300};
    static char names[RECIPES][32];
    struct CMUnitTest cases[RECIPES];
    for (unsigned i = 0; i < RECIPES; i++) {
        snprintf(names[i], sizeof(names[i]), "nothing_is_left_after %u", seeds[i]);
        cases[i] = (struct CMUnitTest){.name = names[i],
                                       .test_func = nothing_is_left_after,
                                       .initial_state = (void *)(uintptr_t)&seeds[i]};
    }
    return PW_TEST_RUN(cases);
}
