/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * heartbeat.h - the heartbeat thread: sends the beats of all loops at their times and all
 * asynchronous operations, and reads their replies while no blocking caller does.
 *
 * Others hand it things through its mail, under `lock`; everything else here is the thread's own.
 * It is woken by an eventfd, which is written only while it sleeps. heartbeat.c is the thread and
 * its mail, beats.c and outbox.c are what it sends.
 */
#ifndef PW_REGISTRY_HEARTBEAT_H
#define PW_REGISTRY_HEARTBEAT_H

#include "base/list.h"
#include "base/sync.h"
#include "model/message.h"
#include "registry/beat_frame.h"
#include "registry/due_heap.h"

#include <pywatt/heartbeat.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pw_async;

struct pw_heartbeat {
    atomic_int wakefulness; /* heartbeat.c says what it may be */
    atomic_bool stopping;
    int wake_fd;

    struct pw_mutex lock;
    /* Guarded by lock. */
    struct pw_list mail_operations;
    struct pw_list mail_loops;         /* to be taken in, or, if they are stopped, let go */
    struct pw_list mail_recovered;     /* modules; each with a reference */
    struct pywatt_error connect_error; /* how connecting ended last */
    bool connect_made;                 /* there is a connection that nobody has used yet */
    bool connect_gave_up;              /* and operations that wait for it are to fail */
    bool ended;

    /* The heartbeat thread's own. */
    struct pw_list ready;                   /* operations to be sent, in order */
    struct pw_due_heap operation_deadlines; /* of those, and of what waits for a recovery */
    struct pw_due_heap deferred;            /* operations that are to come again, by when */
    uint64_t deferred_link;                 /* the connection by which they stand there */
    struct pw_due_heap loops;               /* all of them, by their next beat */
    struct pw_list all_loops;
    struct pw_beat_frames frames; /* of beats that share a message */
    struct pw_list due_loops;     /* those with a beat that is due and not sent */
    bool beats_first;             /* who gets the next room: takes turns */
    bool disconnected;            /* found so in this round */
    bool greets;                  /* one beat is to show who has connected */
    uint64_t greeted_connects;    /* the connection on which one did so last */
    bool more;                    /* operations are left that may find room */
    struct pywatt_error last_connect_error;
    uint64_t lost_connects; /* connections and replies, when one was found lost last */
    uint64_t lost_replies;
    uint64_t connect_at_ns; /* when the next one is to be made then, as far as loops need it */
};

/* PYWATT_OK, PYWATT_NO_MEMORY, PYWATT_IO. */
enum pywatt_status pw_heartbeat_init(struct pw_heartbeat *heartbeat, uint32_t max_frame_bytes,
                                     struct pywatt_error *error);
void pw_heartbeat_destroy(struct pw_heartbeat *heartbeat);

/* Gives the descriptor back; the thread has ended, or never began. */
void pw_heartbeat_close(struct pw_heartbeat *heartbeat);

/* Makes the thread look again, or end. Any thread; takes no lock. */
void pw_heartbeat_wake(struct pw_heartbeat *heartbeat);
void pw_heartbeat_stop(struct pw_heartbeat *heartbeat);

/* The thread: returns once it was stopped. */
void pw_heartbeat_run(struct pywatt_client *client);

/*
 * Hands an operation over, to be sent, or, if it is `parked`, to be sent when its module is
 * registered again. False, and it is not taken, once the thread has ended.
 */
bool pw_heartbeat_submit(struct pywatt_client *client, struct pw_async *operation);

/* Hands a loop over, with a reference for the thread. False, and it is not taken, once it ended. */
bool pw_heartbeat_add_loop(struct pywatt_client *client, struct pywatt_heartbeat_loop *loop);

/* Tells that a loop was stopped: the thread lets go of it. */
void pw_heartbeat_remove_loop(struct pywatt_client *client, struct pywatt_heartbeat_loop *loop);

/* Tells that the beat of a loop that was sent is to be sent again. */
void pw_heartbeat_send_again(struct pywatt_client *client, struct pywatt_heartbeat_loop *loop);

/* Tells that an attempt to recover this module has ended. */
void pw_heartbeat_recovered(struct pywatt_client *client, struct pywatt_module *module);

/*
 * Tells how connecting ended, in `result->status` and its text. If it was given up for now,
 * operations that wait for a connection fail with that.
 */
void pw_heartbeat_connect_ended(struct pywatt_client *client, const struct pywatt_error *result,
                                bool gave_up);

/* ---- Between the files of the heartbeat thread; on that thread only ---------------------------- */

/* outbox.c: takes an operation in, sends what there is room for, fails what has run out. */
void pw_outbox_take(struct pywatt_client *client, struct pw_async *operation);
void pw_outbox_send(struct pywatt_client *client, bool *posted);
void pw_outbox_expire(struct pywatt_client *client, uint64_t now_ns);
/* Those whose moment has come again are to be sent. */
void pw_outbox_resume(struct pywatt_client *client, uint64_t now_ns);

/* Goes on with what waited for this module; fails what waits for a connection; fails everything. */
void pw_outbox_recovered(struct pywatt_client *client, struct pywatt_module *module);
void pw_outbox_unconnected(struct pywatt_client *client, const struct pywatt_error *error);
void pw_outbox_end(struct pywatt_client *client);

/* beats.c: takes a loop in, sends its beat again, lets go of it, of all. */
void pw_beats_take(struct pywatt_client *client, struct pywatt_heartbeat_loop *loop);
void pw_beats_send_again(struct pywatt_client *client, struct pywatt_heartbeat_loop *loop);
void pw_beats_drop(struct pywatt_client *client, struct pywatt_heartbeat_loop *loop);
void pw_beats_end(struct pywatt_client *client);
/* The shortest interval of a loop; PW_DEADLINE_NEVER if there is none. */
uint64_t pw_beats_shortest_ns(struct pywatt_client *client);

/* Finds what is due; posts it: true if there is something to be flushed. */
void pw_beats_collect(struct pywatt_client *client, uint64_t now_ns);
bool pw_beats_send(struct pywatt_client *client, uint64_t deadline_ns);

#endif
