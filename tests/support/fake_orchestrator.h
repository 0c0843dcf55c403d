/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * An orchestrator that does what a test tells it: one thread over a memory: listener, which decodes
 * requests with the library's codecs and answers as a well-behaved orchestrator would, unless it was
 * told to refuse, hold back, drop or cut off. It counts what it is asked, and remembers of each
 * module what it was told.
 *
 * All functions may be called from any thread; handlers run on the fake's own.
 */
#ifndef PW_TEST_FAKE_ORCHESTRATOR_H
#define PW_TEST_FAKE_ORCHESTRATOR_H

#include "model/message.h"

#include <pywatt/model.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pw_fake;

/* Listens at an address of its own, and serves. Never NULL: it aborts if it cannot. */
struct pw_fake *pw_fake_start(void);
void pw_fake_free(struct pw_fake *fake);

/* "memory:..."; lives as long as the fake. */
const char *pw_fake_url(const struct pw_fake *fake);

/* ---- What it does ---------------------------------------------------------------------------- */

enum pw_fake_action {
    PW_FAKE_ANSWER,
    PW_FAKE_HOLD, /* the reply is kept until pw_fake_release */
    PW_FAKE_DROP,
    PW_FAKE_DISCONNECT
};

/*
 * Decides on one request. `response` holds what would be answered, and may be changed; texts put into
 * it must be static. A batch's exceptions are an array with room for PW_BATCH_MAX; a handler may write
 * to it. Nothing of the fake is locked.
 */
typedef enum pw_fake_action (*pw_fake_handler)(void *user, const struct pw_request *request,
                                               struct pw_response *response);

/* For one operation; NULL takes the handler away again. */
void pw_fake_handle(struct pw_fake *fake, enum pw_operation operation, pw_fake_handler handler,
                    void *user);

/* Refuses an operation with this status and text (static); PYWATT_OK: no more. */
void pw_fake_refuse(struct pw_fake *fake, enum pw_operation operation, enum pywatt_status status,
                    const char *text);

/* Refuses the next so many of an operation, and says in how many milliseconds to come again. */
void pw_fake_defer(struct pw_fake *fake, enum pw_operation operation, uint64_t times,
                   uint32_t retry_after_ms);

/* Keeps the replies to an operation back; pw_fake_release sends all that were, and keeps no more. */
void pw_fake_hold(struct pw_fake *fake, enum pw_operation operation);
void pw_fake_release(struct pw_fake *fake);

/* Answers nothing to an operation from now on, or again. */
void pw_fake_drop(struct pw_fake *fake, enum pw_operation operation, bool drop);

/* Replies without request ids from now on, as the peers that match by order. */
void pw_fake_omit_request_ids(struct pw_fake *fake);

/*
 * Takes batches of beats, and says so in the first reply on each connection that has said nothing
 * yet; or no more. As long as it takes none, a batch gets no reply, like anything that is unknown.
 */
void pw_fake_take_batches(struct pw_fake *fake, bool take);

/* How many beats came by their aliases so far. */
uint64_t pw_fake_short_beats(struct pw_fake *fake);

/*
 * Knows no alias, though it says that beats which name some went well: beats by aliases are refused. Or
 * does so no more.
 */
void pw_fake_lose_aliases(struct pw_fake *fake, bool lose);

/* Lets anybody register an id that is known, with a new token, as if its holder were lost. */
void pw_fake_allow_takeover(struct pw_fake *fake);

/* What beats are answered with; -1: what they report. */
void pw_fake_set_verdict(struct pw_fake *fake, int verdict);

/* Additional data of registrations from now on; 0 for none. */
void pw_fake_set_interval_ms(struct pw_fake *fake, uint64_t interval_ms);

/* Ends all connections that there are. Returns when they are. */
void pw_fake_disconnect(struct pw_fake *fake);

/* Ends all connections and takes no more; then takes them again. Return when it is so. */
void pw_fake_go_away(struct pw_fake *fake);
void pw_fake_come_back(struct pw_fake *fake);

/* Knows no module any more, as after a restart without a store. */
void pw_fake_forget(struct pw_fake *fake);

/* Gives the module another token and generation, as when somebody else takes it over. */
void pw_fake_take_over(struct pw_fake *fake, const struct pywatt_uuid *id);

/* Counts the module's generation up, but leaves its token: beats that name the old one are stale. */
void pw_fake_fence_off(struct pw_fake *fake, const struct pywatt_uuid *id);

/* ---- What it has seen ------------------------------------------------------------------------ */

/* Requests of this kind since the start. */
uint64_t pw_fake_count(struct pw_fake *fake, enum pw_operation operation);

/* Waits until there were `count` of them. False if that takes longer than is sane. */
bool pw_fake_wait(struct pw_fake *fake, enum pw_operation operation, uint64_t count);

/* The same, of those whose replies were kept back. */
bool pw_fake_wait_held(struct pw_fake *fake, enum pw_operation operation, uint64_t count);

/* Connections since the start. */
uint64_t pw_fake_connections(struct pw_fake *fake);

struct pw_fake_module {
    struct pywatt_uuid id;
    char name[64];
    char token[64];
    uint64_t generation;
    uint64_t registered; /* times */
    uint64_t beats;
    enum pywatt_health health;
    char details[128];      /* "key=value," of the last beat, in the order they came */
    uint64_t advertised;    /* times */
    char capabilities[256]; /* "path," "type," "key=json," */
};

/* What is known of a module; false if nothing is. */
bool pw_fake_find(struct pw_fake *fake, const struct pywatt_uuid *id, struct pw_fake_module *out);

/* Waits until the last beat of the module reported `health`. */
bool pw_fake_wait_health(struct pw_fake *fake, const struct pywatt_uuid *id,
                         enum pywatt_health health);

#endif
