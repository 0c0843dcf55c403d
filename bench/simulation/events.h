/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* events.h - what happens next: a binary heap by time; of two at one time, the lower number first. */
#ifndef BENCH_SIMULATION_EVENTS_H
#define BENCH_SIMULATION_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event {
    uint64_t time_ns;
    uint32_t who;
};

struct events {
    struct event *heap;
    size_t count;
    size_t capacity;
};

/* Room for `capacity` events at once; ends the program when memory is out. */
void events_init(struct events *events, size_t capacity);
void events_destroy(struct events *events);
void events_add(struct events *events, struct event event);

/* The earliest; false if there is none. */
bool events_take(struct events *events, struct event *event);

#endif
