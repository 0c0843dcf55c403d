/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See events.h. */
#include "simulation/events.h"

#include "support/check.h"

static bool before(const struct event *a, const struct event *b)
{
    return a->time_ns != b->time_ns ? a->time_ns < b->time_ns : a->who < b->who;
}

void events_init(struct events *events, size_t capacity)
{
    *events = (struct events){.capacity = capacity};
    events->heap = calloc(capacity, sizeof(*events->heap));
    bench_check(events->heap != NULL, "out of memory");
}

void events_destroy(struct events *events)
{
    free(events->heap);
}

void events_add(struct events *events, struct event event)
{
    struct event *heap = events->heap;
    size_t at = events->count++;

    bench_check(events->count <= events->capacity, "too many events");
    while (at > 0 && before(&event, &heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = event;
}

bool events_take(struct events *events, struct event *event)
{
    struct event *heap = events->heap;

    if (events->count == 0) {
        return false;
    }
    *event = heap[0];
    const struct event last = heap[--events->count];
    size_t at = 0;
    for (size_t child = 1; child < events->count; child = 2 * at + 1) {
        if (child + 1 < events->count && before(&heap[child + 1], &heap[child])) {
            child++;
        }
        if (!before(&heap[child], &last)) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return true;
}
