/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * worker.h - a thread that serves connections: its own epoll set, a mailbox through which others
 * reach it, and what its connections share: the buffers of the moment, a request, an arena, a timer
 * wheel, counters. A connection that is idle holds no memory but its own small struct.
 */
#ifndef PW_ORCHESTRATOR_WORKER_H
#define PW_ORCHESTRATOR_WORKER_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/list.h"
#include "base/sync.h"
#include "model/message.h"
#include "orchestrator/stats.h"
#include "orchestrator/timer_wheel.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

struct pw_beat_run;
struct pw_config;
struct pw_server;
struct pw_worker;

/* One receive takes at most so much; behind it there is room for the start of a frame. */
#define PW_WORKER_RECEIVE 65536
#define PW_WORKER_HEADROOM 32768

/* What an event of the epoll set belongs to: the first member of each of them. */
enum pw_source_kind {
    PW_SOURCE_MAILBOX,
    PW_SOURCE_LISTENER,
    PW_SOURCE_SESSION
};

struct pw_source {
    enum pw_source_kind kind;
};

/* Something for a worker to do, from any thread: `deliver` runs on the worker's thread. */
struct pw_mail {
    struct pw_list link;
    void (*deliver)(struct pw_worker *worker, struct pw_mail *mail);
};

enum pw_pass {
    PW_PASS_NONE,
    PW_PASS_WANTED, /* begins with the next wait for events */
    PW_PASS_RUNNING
};

struct pw_worker {
    struct pw_server *server;
    unsigned index;
    int epoll_fd;
    int wake_fd;
    pthread_t thread;
    bool running; /* the server's: the thread was started */

    struct pw_mutex mail_mutex;
    /* mail_mutex */
    struct pw_list mail;

    /* The mutex of the server's in_force */
    bool told;        /* config_mail is under way */
    bool left;        /* its thread has ended */
    uint64_t version; /* of `config` */

    /* The worker's thread; before it starts and after it ended, the server's. */
    const struct pw_config *config; /* one reference; does not change while an event is handled */
    struct pw_mail config_mail;
    struct pw_source wake_source;
    uint64_t now_ns;   /* looked up anew for each event, mail and turn of the timers */
    uint64_t lease_ns; /* the same moment on the clock of the leases */
    struct pw_wheel wheel;
    struct pw_list sessions;
    size_t session_count;
    struct pw_list unproven; /* of those, who has proven nothing yet; see crowd.h */
    unsigned openings_left; /* parts of handshakes that may be done before others have their turn */
    struct pw_list closed;  /* sessions to be freed when the batch is over */
    struct pw_list unsettled; /* sessions with replies that mail has brought */
    uint8_t *scratch;         /* PW_WORKER_HEADROOM + PW_WORKER_RECEIVE bytes */
    struct pw_buffer out;     /* replies of the session that is served at the moment */
    struct pw_arena arena;
    struct pw_request request;
    struct pw_beat_run *run;       /* beats that are to be served together; empty between events */
    struct pw_list spare_pendings; /* of pending.c */
    size_t spare_count;
    struct pw_timer accept_timer; /* set while listeners are left alone for a moment */
    struct pw_timer pace_timer;   /* set while places of the pace may have to be given up */
    struct pw_mail pass_mail;
    enum pw_pass pass;
    size_t pass_left; /* events after which every socket has had its turn */
    struct pw_mail stop_mail;
    bool stopping;
    bool ended; /* its loop is over: who comes now is turned away */
    uint64_t stop_deadline_ns;

    struct pw_counters counters;
};

/* PYWATT_OK, PYWATT_NO_MEMORY, PYWATT_IO (descriptors are out). */
enum pywatt_status pw_worker_init(struct pw_worker *worker, struct pw_server *server,
                                  unsigned index);

/* Its thread must have ended. */
void pw_worker_destroy(struct pw_worker *worker);

/* PYWATT_OK or PYWATT_NO_MEMORY. */
enum pywatt_status pw_worker_start(struct pw_worker *worker);

/* Asks the thread to serve what it has read, and to end; pw_worker_join waits for that. */
void pw_worker_stop(struct pw_worker *worker);
void pw_worker_join(struct pw_worker *worker);

/* Puts mail into the box. Any thread. A mail is in one box at a time. */
void pw_worker_post(struct pw_worker *worker, struct pw_mail *mail);

/* Delivers what is in the box; for the time after the thread has ended. */
void pw_worker_drain(struct pw_worker *worker);

/* Asks for a pass over all sockets; the worker tells the lease when it is made. */
void pw_worker_ask_pass(struct pw_worker *worker);

/* epoll_ctl. False if the kernel has no memory for it. */
bool pw_worker_watch(struct pw_worker *worker, int operation, int fd, uint32_t events,
                     struct pw_source *source);

/* No event of this descriptor comes any more. To be called before it is closed. */
void pw_worker_unwatch(struct pw_worker *worker, int fd);

#endif
