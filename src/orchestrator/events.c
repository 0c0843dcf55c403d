/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * events.c - the queue of events and the thread that empties it. The queue's mutex is the last one
 * of all: nothing else is taken while it is held, and it is not held while the application is told.
 */
#include "orchestrator/events.h"

#include "base/log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct queued {
    struct pw_list link;
    struct pw_map_node node; /* in `replaceable`, if `indexed` */
    bool indexed;
    struct pywatt_event event;
    char name[];
};

const char *pywatt_event_name(enum pywatt_event_kind kind)
{
    static const char *const names[] = {
        [PYWATT_EVENT_REGISTERED] = "registered", [PYWATT_EVENT_REREGISTERED] = "reregistered",
        [PYWATT_EVENT_ADVERTISED] = "advertised", [PYWATT_EVENT_HEALTH] = "health",
        [PYWATT_EVENT_LIVENESS] = "liveness",     [PYWATT_EVENT_UNREGISTERED] = "unregistered",
        [PYWATT_EVENT_FORGOTTEN] = "forgotten",
    };
    return (size_t)kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "unknown";
}

enum pywatt_status pw_events_init(struct pw_events *events, pywatt_event_fn on_event, void *user)
{
    *events = (struct pw_events){.on_event = on_event, .user = user};
    pw_list_init(&events->queue);
    pw_map_init(&events->replaceable);
    if (pw_mutex_init(&events->mutex) != PYWATT_OK) {
        return PYWATT_NO_MEMORY;
    }
    if (pw_cond_init(&events->cond) != PYWATT_OK) {
        pw_mutex_destroy(&events->mutex);
        return PYWATT_NO_MEMORY;
    }
    return PYWATT_OK;
}

void pw_events_destroy(struct pw_events *events)
{
    struct pw_list *link;
    while ((link = pw_list_pop(&events->queue)) != NULL) {
        free(PW_CONTAINER_OF(link, struct queued, link));
    }
    pw_map_destroy(&events->replaceable);
    pw_cond_destroy(&events->cond);
    pw_mutex_destroy(&events->mutex);
}

/* ---- In ---- */

static bool is_replaceable(enum pywatt_event_kind kind)
{
    return kind == PYWATT_EVENT_HEALTH || kind == PYWATT_EVENT_LIVENESS;
}

static uint64_t key_of(const struct pywatt_event *event)
{
    return pw_hash_uuid(&event->module_id) + (uint64_t)event->kind;
}

static void unindex_locked(struct pw_events *events, struct queued *queued)
{
    if (queued->indexed) {
        pw_map_remove(&events->replaceable, &queued->node);
        queued->indexed = false;
    }
}

static struct queued *same_waiting_locked(struct pw_events *events,
                                          const struct pywatt_event *event)
{
    struct pw_map_node *node = pw_map_first(&events->replaceable, key_of(event));
    for (; node != NULL; node = pw_map_next(node)) {
        struct queued *queued = PW_CONTAINER_OF(node, struct queued, node);
        if (queued->event.kind == event->kind &&
            pywatt_uuid_equal(&queued->event.module_id, &event->module_id)) {
            return queued;
        }
    }
    return NULL;
}

/*
 * The older event of the same module and kind goes, and only the newest is indexed. The new one
 * stands at the end, so that the last event of a module tells how it is.
 */
static struct queued *replace_locked(struct pw_events *events, const struct queued *fresh)
{
    struct queued *old = same_waiting_locked(events, &fresh->event);
    if (old == NULL) {
        return NULL;
    }
    unindex_locked(events, old);
    if (events->count <= PW_EVENTS_COALESCE_OVER) {
        return NULL;
    }
    pw_list_remove(&old->link);
    events->count--;
    return old;
}

static struct queued *copy_event(const struct pywatt_event *event)
{
    const size_t size = strlen(event->module_name) + 1;
    struct queued *queued = malloc(sizeof(*queued) + size);
    if (queued != NULL) {
        *queued = (struct queued){.event = *event};
        memcpy(queued->name, event->module_name, size);
        queued->event.module_name = queued->name;
    }
    return queued;
}

/* Appends `fresh` and returns NULL, or returns it where there is no room. */
static struct queued *append_locked(struct pw_events *events, struct queued *fresh,
                                    struct queued **replaced)
{
    if (is_replaceable(fresh->event.kind)) {
        *replaced = replace_locked(events, fresh);
        fresh->indexed =
            pw_map_insert(&events->replaceable, &fresh->node, key_of(&fresh->event)) == PYWATT_OK;
    }
    if (events->count >= PW_EVENTS_MAX) {
        unindex_locked(events, fresh);
        return fresh;
    }
    pw_list_append(&events->queue, &fresh->link);
    events->count++;
    if (events->holds == 0) {
        pw_cond_signal(&events->cond);
    }
    return NULL;
}

void pw_events_push(struct pw_events *events, const struct pywatt_event *event)
{
    if (!pw_events_are_told(events)) {
        return;
    }
    struct queued *fresh = copy_event(event);
    struct queued *replaced = NULL;
    struct queued *refused = NULL;
    pw_mutex_lock(&events->mutex);
    if (fresh != NULL) {
        refused = append_locked(events, fresh, &replaced);
    }
    if (fresh == NULL || refused != NULL) {
        events->dropped++;
    }
    pw_mutex_unlock(&events->mutex);
    free(replaced);
    free(refused);
}

void pw_events_hold(struct pw_events *events)
{
    pw_mutex_lock(&events->mutex);
    events->holds++;
    pw_mutex_unlock(&events->mutex);
}

void pw_events_release(struct pw_events *events)
{
    pw_mutex_lock(&events->mutex);
    if (--events->holds == 0 && !pw_list_empty(&events->queue)) {
        pw_cond_signal(&events->cond);
    }
    pw_mutex_unlock(&events->mutex);
}

/* ---- Out ---- */

static struct queued *take_locked(struct pw_events *events, uint64_t *dropped)
{
    while (events->abandoned == NULL) {
        struct pw_list *link = pw_list_pop(&events->queue);
        if (link != NULL) {
            *dropped = events->dropped;
            events->dropped = 0;
            struct queued *queued = PW_CONTAINER_OF(link, struct queued, link);
            events->count--;
            unindex_locked(events, queued);
            return queued;
        }
        if (events->stopping) {
            return NULL;
        }
        pw_cond_wait(&events->cond, &events->mutex);
    }
    return NULL;
}

/* Whose thread this one is. */
static _Thread_local const struct pw_events *own;

bool pw_events_on_own_thread(const struct pw_events *events)
{
    return own == events;
}

static void *events_main(void *arg)
{
    struct pw_events *events = arg;
    own = events;
    for (;;) {
        uint64_t dropped = 0;
        pw_mutex_lock(&events->mutex);
        struct queued *queued = take_locked(events, &dropped);
        void (*abandoned)(void *) = events->abandoned;
        pw_mutex_unlock(&events->mutex);
        if (queued == NULL) {
            own = NULL;
            if (abandoned != NULL) {
                abandoned(events->abandoned_user);
            }
            return NULL;
        }
        if (dropped > 0) {
            pw_log(PYWATT_LOG_WARNING,
                   "%" PRIu64 " events were dropped: on_event is too slow, or memory is out",
                   dropped);
        }
        events->on_event(events->user, &queued->event);
        free(queued);
    }
}

enum pywatt_status pw_events_start(struct pw_events *events)
{
    if (events->on_event == NULL) {
        return PYWATT_OK;
    }
    const enum pywatt_status status =
        pw_thread_start(&events->thread, "pw-events", events_main, events);
    events->running = status == PYWATT_OK;
    return status;
}

void pw_events_end(struct pw_events *events)
{
    pw_mutex_lock(&events->mutex);
    events->stopping = true;
    pw_cond_broadcast(&events->cond);
    pw_mutex_unlock(&events->mutex);
}

void pw_events_stop(struct pw_events *events)
{
    if (events->running) {
        pw_events_end(events);
        pthread_join(events->thread, NULL);
        events->running = false;
    }
}

void pw_events_abandon(struct pw_events *events, void (*abandoned)(void *user), void *user)
{
    pthread_detach(pthread_self());
    pw_mutex_lock(&events->mutex);
    events->abandoned = abandoned;
    events->abandoned_user = user;
    pw_mutex_unlock(&events->mutex);
}
