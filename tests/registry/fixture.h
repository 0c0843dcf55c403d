/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the tests of the module side share: a client against the fake orchestrator, and a box into
 * which callbacks put what they were told and in which the main thread looks.
 */
#ifndef PW_REGISTRY_FIXTURE_H
#define PW_REGISTRY_FIXTURE_H

#include "base/sync.h"
#include "fake_orchestrator.h"
#include "pw_test.h"

#include <pywatt/pywatt.h>

#include <stdbool.h>
#include <stdint.h>

/* Short pauses, so that what comes back does so soon. `tune` may be NULL. */
typedef void (*tune_fn)(struct pywatt_client_options *options);
struct pywatt_client *open_client(struct pw_fake *fake, const char *codec, tune_fn tune);

struct pywatt_module_info *new_info(const char *name);
struct pywatt_capabilities *new_capabilities(void);

/* What new_capabilities looks like to the fake. */
#define TOLD_CAPABILITIES "/work,job,tuning={\"k\":[1,2]},"

/* Registers and asserts that it worked. */
struct pywatt_module *register_named(struct pywatt_client *client, const char *name);

/* The codecs that an application may choose, for tests that run over each. */
extern const char *const all_codecs[];
extern const size_t codec_count;

enum {
    BOX_EVENTS_MAX = 64
};

struct told {
    enum pywatt_status status;
    enum pywatt_health verdict;
    bool reregistered;
    char text[PYWATT_ERROR_TEXT_MAX];
    struct pywatt_module *module;
};

struct box {
    struct pw_mutex lock;
    struct pw_cond changed;
    uint64_t count;
    struct told told[BOX_EVENTS_MAX]; /* the first ones */
    bool open;                        /* of a gate; see box_gate_* */
    uint64_t waiting;
};

void box_init(struct box *box);
void box_destroy(struct box *box);

/* Puts one thing in; how many there are; waits until there are `count`. */
void box_put(struct box *box, enum pywatt_status status, enum pywatt_health verdict,
             const char *text, struct pywatt_module *module, bool reregistered);
uint64_t box_count(struct box *box);
bool box_wait(struct box *box, uint64_t count);

/* A gate that a callback stands at until the main thread opens it. */
void box_gate_pass(struct box *box);
bool box_gate_wait_for_one(struct box *box);
void box_gate_open(struct box *box);

/* Callbacks whose `user` is a box. */
void on_registered(void *user, enum pywatt_status status, const struct pywatt_error *error,
                   struct pywatt_module *module);
void on_done(void *user, enum pywatt_status status, const struct pywatt_error *error);
void on_heartbeat(void *user, enum pywatt_status status, const struct pywatt_error *error,
                  enum pywatt_health verdict);
void on_event(void *user, struct pywatt_module *module, const struct pywatt_heartbeat_event *event);

/* A fake, a client of it, perhaps a module; the box is the test's to begin and to end. */
struct place {
    struct pw_fake *fake;
    struct pywatt_client *client;
    struct pywatt_module *module;
    struct box box;
};

struct place open_place(const char *codec, tune_fn tune);
struct place open_place_with_module(const char *codec, tune_fn tune); /* "alpha" */
void close_place(struct place *place);

/* With a module that has told its capabilities. */
struct place open_place_that_told(const char *codec, tune_fn tune);

/* What the fake knows of the place's module. */
struct pw_fake_module seen_by_fake(struct place *place);

/* That module was registered again, once, and told its capabilities again. */
void assert_came_back(struct place *place);

/* Runs an operation in its blocking form. */
enum pywatt_status run_blocking(struct place *place, struct pywatt_module *module,
                                enum pw_operation operation, struct pywatt_error *error);

/* Submits an operation whose end goes into the place's box; `module` for all but to register. */
enum pywatt_status submit_async(struct place *place, struct pywatt_module *module,
                                enum pw_operation operation);

/* Starts a loop without a provider, which lasts as long as the module. */
void start_loop(struct pywatt_module *module, uint32_t interval_ms);

/* Waits until the fake has seen this many more beats: the tests' clock. */
void wait_beats(struct place *place, uint64_t more);

/* It was refused since its deadline leaves no time to wait for an hour, in words that say so. */
void assert_says_how_long(enum pywatt_status status, const char *text);

/* Some ways to tune a client. */
void no_retries(struct pywatt_client_options *options);
void short_timeout(struct pywatt_client_options *options); /* 100 ms */

/* Waits until no more than this many threads are left. */
bool wait_threads(size_t count);

/* A counter of the client's stats, by its offset; waits until it is at least `least`. */
uint64_t stat_of(struct pywatt_client *client, size_t offset);
bool wait_stat(struct pywatt_client *client, size_t offset, uint64_t least);
#define STAT(client, field) stat_of((client), offsetof(struct pywatt_client_stats, field))
#define WAIT_STAT(client, field, least) \
    wait_stat((client), offsetof(struct pywatt_client_stats, field), (least))

#endif
