/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * correlator_impl.h - what the files that make up a correlator share: correlator.c (its life, who
 * completes what, who has which role), failure.c (its end), call.c (blocking calls), post.c (posted
 * requests and the pump) and reader.c (bytes that came become replies). Nobody else includes it.
 *
 * `lock` guards all that is not marked otherwise. Nobody waits for the peer, decodes, or runs
 * foreign code with it held.
 */
#ifndef PW_RPC_CORRELATOR_IMPL_H
#define PW_RPC_CORRELATOR_IMPL_H

#include "base/arena.h"
#include "base/list.h"
#include "base/map.h"
#include "base/sync.h"
#include "rpc/correlator.h"
#include "rpc/stream.h"

/* A request id: a nonce of the connection, then the variant's two bits and 62 bits of number. */
#define PW_REQUEST_NONCE_SIZE 8
#define PW_REQUEST_NUMBER_MAX ((UINT64_C(1) << 62) - 1)

/* A reply up to this size reaches a sleeping caller without a malloc. */
#define PW_REPLY_INLINE_BYTES 512

/* Whether the peer echoes request ids. */
enum pw_peer {
    PW_PEER_UNKNOWN, /* no reply yet: one request at a time */
    PW_PEER_SERIAL,  /* it does not: one request at a time, matched by order */
    PW_PEER_PIPELINED
};

/* A blocking call; stands on its caller's stack. */
struct pw_call {
    struct pw_post entry;  /* its place in `pending`; `done` is NULL, which marks it as a call */
    struct pw_span frame;  /* what is to be sent; the caller's */
    struct pw_list turn;   /* in `waiting` until started */
    struct pw_list parked; /* in `parked` while its caller sleeps */
    struct pw_cond cond;   /* made when it is first needed */
    bool has_cond;
    bool overdue; /* a timed wait ran out */
    bool started; /* in `pending`, its frame appended */
    /* Set by whoever completes it. */
    bool finished;
    bool by_failure; /* with the connection: its error is the call's */
    bool unsent;     /* by failure, and nothing of it has left */
    bool decides;    /* the reply of a serial peer: see pw_correlator_decided_locked */
    enum pywatt_status status;
    const struct pw_codec_ops *reply_codec; /* NULL if there was no reply */
    size_t reply_len;
    uint8_t *reply_heap; /* the reply, if it does not fit below; the caller frees it */
    uint8_t reply_inline[PW_REPLY_INLINE_BYTES];
};

struct pw_correlator {
    /* Set when it was made. */
    char url[PW_ENDPOINT_URL_MAX];
    const struct pw_codec_ops *codec;
    const struct pw_clock *clock;
    struct pw_codec_limits limits;
    uint32_t max_in_flight;
    uint64_t epoch;
    uint8_t nonce[PW_REQUEST_NONCE_SIZE];
    struct pw_rpc_counters *counters;
    const atomic_uint *bursts;
    void (*wake_pump)(void *user);
    void (*lost)(void *user);
    void *wake_user;
    void (*gone)(void *user);
    void *gone_user;

    /* Atomic. */
    atomic_uint references;
    atomic_uint_fast64_t last_number; /* of requests */
    atomic_bool crowded;              /* a post may find no room: look before it is encoded */
    atomic_bool failed;               /* set last: `status` and `error` do not change any more */
    atomic_uint features;             /* that the peer has told */
    atomic_uint receiving;            /* threads that receive; to see that it is one */
    atomic_uint receiving_max;

    struct pw_mutex lock;
    enum pywatt_status status; /* the first fatal error, which sticks */
    struct pywatt_error error;
    uint64_t failed_at_ns;
    bool barren;
    bool hung;
    enum pw_peer peer;
    bool deciding;             /* serial: a reply was matched, and is not decoded yet */
    bool replied;              /* some reply was received */
    uint64_t heard;            /* how often something was received */
    bool doubted;              /* since then a request has timed out in silence */
    bool reader;               /* somebody has the reader's role */
    uint64_t last_looked_ns;   /* when a request last began, or the pump saw that all is quiet */
    struct pw_map pending;     /* number -> pw_post: started, not completed */
    struct pw_post *sole;      /* the one in `pending`, if the peer is not pipelined */
    struct pw_list waiting;    /* pw_call.turn and posts_turn: first come, first served */
    struct pw_list parked;     /* pw_call.parked: who can be handed the reader's role */
    struct pw_list posts;      /* pw_post.by_deadline of all in `pending`, earliest first */
    struct pw_list ended;      /* posts to be told that they failed, after the lock */
    struct pw_list posts_turn; /* in `waiting` after a post was refused */
    size_t refused_len;        /* the size of that post's frame */
    pthread_t refused_by;      /* whose post that was, while there is a turn or room for it */
    bool post_reserved;        /* its turn has come: room is kept until the pump has looked */
    bool wake_wanted;          /* the pump is to be woken after the lock */
    bool report_failure;       /* a log line is to be written after the lock */
    struct pywatt_error send_error;
    uint32_t fail_parked;
    uint32_t fail_signals;

    struct pw_stream stream; /* shared as stream.h says */

    /* The reader's: what replies to posts are decoded into. */
    uint64_t received_ns; /* when it last received something */
    struct pw_arena arena;
    struct pw_response response;
};

static inline uint32_t pw_correlator_list_len(const struct pw_list *list)
{
    uint32_t len = 0;
    for (const struct pw_list *at = list->next; at != list; at = at->next) {
        len++;
    }
    return len;
}

/* ---- correlator.c -------------------------------------------------------------------------- */

/*
 * Unlocks, after handing the reader's role on if it is free, and then does what had to wait for
 * that: wakes the pump, runs `done` of posts that ended. Every way out of a correlator ends here.
 */
void pw_correlator_leave(struct pw_correlator *c);

/*
 * The same where the pump looks for itself before it sleeps: in what it calls, and after a post, of
 * which it hears if that is the earliest. Woken to read as well, it would never sleep while a reply
 * is overdue.
 */
void pw_correlator_leave_to_pump(struct pw_correlator *c);

/* Whether a frame of `len` bytes may go now, as far as those before it are concerned. */
bool pw_correlator_has_room_locked(const struct pw_correlator *c, size_t len);

/* Enters a request into `pending` and appends its frame. PYWATT_OK, PYWATT_NO_MEMORY. */
enum pywatt_status pw_correlator_start_locked(struct pw_correlator *c, struct pw_post *entry,
                                              struct pw_span frame);

/* Takes a request out of `pending`: the right, and the duty, to complete it. */
void pw_correlator_take_locked(struct pw_correlator *c, struct pw_post *entry);

/* Completes a call, which nobody else may any more. */
void pw_correlator_complete_locked(struct pw_call *call, enum pywatt_status status);

/* Puts a post that was taken out among those whose `done` runs after the lock. */
void pw_correlator_end_post_locked(struct pw_correlator *c, struct pw_post *post,
                                   enum pywatt_status status);

/* Somebody who posts reads as well, so that the pump need not. */
static inline bool pw_correlator_in_burst(const struct pw_correlator *c)
{
    return c->bursts != NULL && atomic_load(c->bursts) > 0;
}

static inline void pw_correlator_count_timeout(struct pw_correlator *c)
{
    atomic_fetch_add_explicit(&c->counters->timeouts, 1, memory_order_relaxed);
}

/* Starts calls whose turn has come, and sends; releases the lock meanwhile. */
void pw_correlator_flush_locked(struct pw_correlator *c);

static inline struct pw_call *pw_call_of(struct pw_post *entry)
{
    return PW_CONTAINER_OF(entry, struct pw_call, entry);
}

/* ---- failure.c ----------------------------------------------------------------------------- */

/* The first error sticks; everything under way is completed with it. The text follows the URL. */
void pw_correlator_fail_locked(struct pw_correlator *c, enum pywatt_status status,
                               const char *format, ...) PYWATT_PRINTF(3, 4);

/* The same where the peer is the cause: it counts against it if it has not replied yet. */
void pw_correlator_lost_locked(struct pw_correlator *c, enum pywatt_status status,
                               const char *format, ...) PYWATT_PRINTF(3, 4);

/*
 * A request that was taken out has no reply, for the reason `status`. The connection ends if the
 * order of replies is lost, or if the peer has fallen silent.
 */
void pw_correlator_gave_up_locked(struct pw_correlator *c, const struct pw_post *entry,
                                  enum pywatt_status status);

/*
 * A serial peer's reply was decoded, or could not be: the next request may go, or the connection
 * ends, as nobody can say which request the next reply belongs to.
 */
void pw_correlator_decided_locked(struct pw_correlator *c, bool readable);

/* ---- reader.c ------------------------------------------------------------------------------ */

#define PW_READ_NOW 0 /* without waiting */

/*
 * Takes the reader's role, which must be free, waits until something can be done, receives once,
 * completes what came, returns the role. Releases the lock meanwhile. False if nothing was there.
 */
bool pw_correlator_read_locked(struct pw_correlator *c, int timeout_ms);

/*
 * Before a request, on a connection that was quiet for a while: reads what came while nobody looked.
 * It may be the end, and then the request can go to another connection.
 */
void pw_correlator_look_locked(struct pw_correlator *c, uint64_t now_ns);

/* pw_correlator_read_locked in two halves, for somebody who waits elsewhere in between. */
void pw_correlator_begin_read_locked(struct pw_correlator *c);
bool pw_correlator_end_read_and_lock(struct pw_correlator *c, bool ready);

/* ---- call.c -------------------------------------------------------------------------------- */

/* A request as a frame, on the caller's stack if it is small. */
struct pw_request_frame {
    struct pw_span bytes;
    struct pw_buffer buffer;
    bool on_heap;
    uint8_t storage[2048];
};

/*
 * Gives the request its id, and encodes it into `scratch`, or into the frame if that is NULL;
 * *number gets the id's number. Free the frame in any case. PYWATT_OK, PYWATT_NO_MEMORY, PYWATT_LIMIT, and what the encoder says.
 */
enum pywatt_status pw_request_frame_make(struct pw_correlator *c, struct pw_request *request,
                                         struct pw_buffer *scratch, uint64_t *number,
                                         struct pw_request_frame *frame,
                                         struct pywatt_error *error);
void pw_request_frame_free(struct pw_request_frame *frame);

/*
 * Decodes a reply to a request for `operation`. As pw_codec_decode_response, and
 * PYWATT_SERIALIZATION if it answers something else.
 */
enum pywatt_status pw_correlator_decode(struct pw_correlator *c, const struct pw_codec_ops *codec,
                                        struct pw_span payload, enum pw_operation operation,
                                        struct pw_arena *arena, struct pw_response *response,
                                        struct pywatt_error *error);

#endif
