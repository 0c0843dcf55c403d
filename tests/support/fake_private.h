/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fake_private.h - what the files of the fake orchestrator share. One thread serves
 * (fake_serving.c) and answers (fake_answers.c); `lock` guards everything that others set or read
 * (fake_orchestrator.c), and is not held while a handler runs. Orders that must have happened when they
 * return (disconnect, go away, come back) are carried out by the thread between two polls.
 */
#ifndef PW_TEST_FAKE_PRIVATE_H
#define PW_TEST_FAKE_PRIVATE_H

#include "fake_orchestrator.h"

#include "base/arena.h"
#include "base/buffer.h"
#include "base/list.h"
#include "base/sync.h"
#include "transport/frame.h"
#include "transport/transport.h"

enum {
    PW_FAKE_CONNECTIONS_MAX = 64,
    PW_FAKE_FRAME_MAX = 1 << 20,
    PW_FAKE_OPERATIONS = PW_OP_HEARTBEAT_BATCH + 1
};

struct pw_fake_alias {
    bool given;
    struct pywatt_uuid id;
    uint64_t generation;
    char token[1024];
};

struct pw_fake_connection {
    struct pw_conn *conn;
    struct pw_buffer in;
    struct pw_buffer out;
    struct pw_buffer held;
    bool told; /* what the fake can do */
    struct pw_fake_alias *aliases;
    uint32_t alias_count;
};

struct pw_fake_known {
    struct pw_list link;
    struct pw_fake_module is;
};

struct pw_fake_rule {
    pw_fake_handler handler;
    void *user;
    enum pywatt_status refuse_status;
    const char *refuse_text;
    uint64_t defer_times;
    uint32_t retry_after_ms;
    bool hold;
    bool drop;
};

enum pw_fake_order {
    PW_FAKE_ORDER_NONE,
    PW_FAKE_ORDER_DISCONNECT,
    PW_FAKE_ORDER_GO_AWAY,
    PW_FAKE_ORDER_COME_BACK,
    PW_FAKE_ORDER_RELEASE,
    PW_FAKE_ORDER_END
};

struct pw_fake {
    char url[64];
    pthread_t thread;
    int wake_fd;

    /* The thread's own. */
    struct pw_endpoint endpoint;
    struct pw_listener *listener;
    struct pw_fake_connection connections[PW_FAKE_CONNECTIONS_MAX];
    struct pw_arena arena;
    struct pw_request request;
    struct pw_beat_exception exceptions[PW_BATCH_MAX];
    struct pw_batched_beat expanded[PW_BATCH_MAX];

    struct pw_mutex lock;
    struct pw_cond changed;
    /* Guarded by lock. */
    enum pw_fake_order order;
    struct pw_fake_rule rules[PW_FAKE_OPERATIONS];
    bool omit_request_ids;
    bool allow_takeover;
    bool take_batches;
    uint64_t short_beats;
    bool lose_aliases;
    int verdict;
    uint64_t interval_ms;
    uint64_t counts[PW_FAKE_OPERATIONS];
    uint64_t held[PW_FAKE_OPERATIONS]; /* of those, whose replies were kept back */
    uint64_t connected;
    uint64_t tokens; /* made so far */
    struct pw_list modules;
};

/* Aborts, saying `text`, unless it is so. */
void pw_fake_must(bool what, const char *text);

/* ---- fake_answers.c -------------------------------------------------------------------------- */

struct pw_fake_module *pw_fake_find_locked(struct pw_fake *fake, const struct pywatt_uuid *id);
void pw_fake_forget_locked(struct pw_fake_module *module);
void pw_fake_new_token_locked(struct pw_fake *fake, struct pw_fake_module *module);

/* Answers the request in a frame; false if the connection is to be ended. */
bool pw_fake_serve(struct pw_fake *fake, struct pw_fake_connection *connection,
                   const struct pw_frame *frame);

/* ---- fake_serving.c -------------------------------------------------------------------------- */

void pw_fake_open_listener(struct pw_fake *fake);

/* The thread. */
void *pw_fake_run(void *fake);

/* ---- fake_aliases.c ---- */

/* Makes beats by aliases beats in full, so that all that follows knows only those. */
void pw_fake_expand(struct pw_fake *fake, const struct pw_fake_connection *connection,
                    struct pw_request *request);

/* Gives the aliases of the beats that are answered as having gone well. */
void pw_fake_give_aliases(struct pw_fake_connection *connection, const struct pw_request *request,
                          const struct pw_response *response);
void pw_fake_forget_aliases(struct pw_fake_connection *connection);

#endif
