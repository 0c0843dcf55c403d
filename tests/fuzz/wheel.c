/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * wheel.c - operations on a timer wheel, against a table of the times: a timer fires in the first
 * advance that reaches its time, those of one advance in the order of their times, and what the
 * wheel says of the next one is never too late. The input is a row of operations, a byte each with
 * its numbers.
 */
#include "fuzz.h"

#include "base/bytes.h"
#include "orchestrator/timer_wheel.h"

enum {
    TIMERS = 12
};

struct model {
    struct pw_wheel wheel;
    struct pw_timer timers[TIMERS];
    bool set[TIMERS];
    uint64_t due[TIMERS];
};

/* Near, or as far as its exponent says. */
static uint64_t distance(struct fuzz_input *input)
{
    const unsigned exponent = fuzz_byte(input) % 64;
    const uint64_t digits = fuzz_two_bytes(input);
    return exponent < 48 ? digits << exponent : digits << 48 >> (63 - exponent);
}

static uint64_t after(uint64_t now, uint64_t distance)
{
    return distance > UINT64_MAX - now ? UINT64_MAX : now + distance;
}

static void check_next(const struct model *model)
{
    uint64_t earliest = UINT64_MAX;
    bool any = false;
    for (unsigned i = 0; i < TIMERS; i++) {
        any = any || model->set[i];
        earliest = model->set[i] && model->due[i] < earliest ? model->due[i] : earliest;
    }
    uint64_t when = 0;
    FUZZ_CHECK(pw_wheel_next(&model->wheel, &when) == any, "whether a timer is set");
    FUZZ_CHECK(!any || (when <= earliest && when > model->wheel.now),
               "%llu is told, and %llu is the earliest", (unsigned long long)when,
               (unsigned long long)earliest);
}

static void advance(struct model *model, uint64_t now)
{
    struct pw_list fired;
    struct pw_list *link;
    uint64_t last = 0;
    pw_list_init(&fired);
    pw_wheel_advance(&model->wheel, now, &fired);
    while ((link = pw_list_pop(&fired)) != NULL) {
        const long n = PW_CONTAINER_OF(link, struct pw_timer, link) - model->timers;
        FUZZ_CHECK(model->set[n], "timer %ld fires, and was not set", n);
        FUZZ_CHECK(model->due[n] <= now, "timer %ld fires too early", n);
        FUZZ_CHECK(model->due[n] >= last, "timer %ld fires behind a later one", n);
        last = model->due[n];
        model->set[n] = false;
    }
    for (unsigned i = 0; i < TIMERS; i++) {
        FUZZ_CHECK(!model->set[i] || model->due[i] > now, "timer %u does not fire", i);
    }
}

static void set(struct model *model, unsigned n, uint64_t due)
{
    const uint64_t now = model->wheel.now;
    pw_wheel_set(&model->wheel, &model->timers[n], due);
    model->set[n] = true;
    model->due[n] = due > now ? due : now + 1;
}

static void step(struct model *model, struct fuzz_input *input)
{
    const uint8_t code = fuzz_byte(input);
    const unsigned n = code / 8 % TIMERS;
    uint64_t when = 0;
    switch (code % 8) {
    case 0:
    case 1: set(model, n, after(model->wheel.now, distance(input))); break;
    case 2: set(model, n, distance(input)); break; /* perhaps long gone */
    case 3:
        pw_wheel_cancel(&model->wheel, &model->timers[n]);
        model->set[n] = false;
        break;
    case 4: advance(model, after(model->wheel.now, distance(input))); break;
    case 5: advance(model, after(model->wheel.now, fuzz_byte(input))); break;
    default:
        if (pw_wheel_next(&model->wheel, &when)) {
            advance(model, when - (when - model->wheel.now > 1 && n == 0 ? 1 : 0));
        }
        break;
    }
    check_next(model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct model model;
    struct fuzz_input input = {data, data + size};
    pw_wheel_init(&model.wheel, distance(&input));
    for (unsigned i = 0; i < TIMERS; i++) {
        pw_timer_init(&model.timers[i]);
        model.set[i] = false;
    }
    while (fuzz_left(&input) && model.wheel.now < UINT64_MAX) {
        step(&model, &input);
    }
    return 0;
}
