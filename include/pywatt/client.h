/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * client.h - the module side's root object: where the orchestrator is, how it is spoken to, and the
 * threads and connections that do it.
 *
 * A client may be used from any number of threads. It has three threads of its own, started together
 * by the first heartbeat loop, watcher or asynchronous call: the heartbeat thread (beats, and the
 * replies of asynchronous calls), the recovery thread (connects and registers again in the
 * background) and the dispatcher (runs the application's callbacks, one after the other, with no
 * lock held). All of them block all signals, and have a stack of 512 KiB: what callbacks and health
 * providers need more than that they must take elsewhere. A blocking call needs none of them: the caller itself
 * sends, receives and connects.
 *
 * A client does not survive fork(2). In a child every function that is given what its parent made
 * (client, modules, loops) touches nothing and returns PYWATT_FORKED, or NULL, or nothing; those that
 * free leave the memory. The child can open a client of its own. Descriptors are closed by exec.
 */
#ifndef PYWATT_CLIENT_H
#define PYWATT_CLIENT_H

#include <pywatt/export.h>
#include <pywatt/histogram.h>
#include <pywatt/model.h>
#include <pywatt/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

PYWATT_BEGIN_DECLS

struct pywatt_client;
struct pywatt_tls;

/* What happens when an orchestrator cannot be reached. */
enum pywatt_reconnect {
    /* One attempt over all addresses for each call; the call fails with it. */
    PYWATT_RECONNECT_NONE = 0,
    /* Attempts reconnect_delay_ms apart. */
    PYWATT_RECONNECT_FIXED = 1,
    /*
     * Full jitter: the n-th pause is random between 0 and reconnect_delay_ms * 2^n, or
     * reconnect_max_delay_ms if that is less.
     */
    PYWATT_RECONNECT_EXPONENTIAL = 2
};

/* Filled by pywatt_client_options_init, then changed by the application. */
struct pywatt_client_options {
    /* sizeof(struct pywatt_client_options), set by init: lets the struct grow. */
    size_t size;
    /*
     * One or more URLs, separated by commas: "tcp://host:port", "tls://host:port" (see `tls`),
     * "unix:/path", "memory:name". The client goes to the next one when one cannot be reached. Copied. No default: must be set.
     */
    const char *endpoints;
    /* "json" (default) or "protobuf". Copied. */
    const char *codec;
    /*
     * The deadline of a whole operation: queueing, resolving, connecting, sending, receiving.
     * Default 30000. 0 is refused. When it passes twice in a row without a byte from the
     * orchestrator the connection is given up, and the client goes to the next endpoint.
     */
    uint32_t timeout_ms;
    /* Default PYWATT_RECONNECT_EXPONENTIAL, 200, 30000. */
    enum pywatt_reconnect reconnect;
    uint32_t reconnect_delay_ms;
    uint32_t reconnect_max_delay_ms;
    /* Attempts in a row after which a call gives up with PYWATT_CONNECTION; 0: no limit. */
    uint32_t reconnect_max_attempts;
    /*
     * Register again, with the same id, and advertise again, when an orchestrator no longer knows
     * a module. Default true.
     */
    bool reregister;
    /* The longest frame accepted or sent, its five header bytes not counted. Default 1 MiB. */
    uint32_t max_frame_bytes;
    /* Requests under way on a connection, at most. Default 16384. */
    uint32_t max_in_flight;
    /*
     * Whether beats that leave at the same time go out as one message, where the codec has that
     * (protobuf) and the orchestrator says that it can. Default true.
     */
    bool coalesce;
    /*
     * Tries the endpoints in a random order, drawn when the client is opened, instead of the one in
     * which they stand: then not all clients go to the same orchestrator first. Default false.
     */
    bool shuffle_endpoints;
    /*
     * When a connection that has worked is lost and only heartbeat loops need another one, it is made
     * at a random moment within so many milliseconds, or within the shortest interval of the loops if
     * that is less: clients that have lost the same orchestrator do not all come to the next one at
     * once. Calls do not wait for it. Default 1000; 0: at once. At most 3600000.
     */
    uint32_t reconnect_spread_ms;
    /*
     * For "tls:" endpoints, which cannot do without: from pywatt_tls_client_new of <pywatt/tls.h>
     * (libpywatt-tls). Borrowed for the call: the client takes a reference. If it is set, "tcp:"
     * endpoints are refused, so that nothing ever goes over the network in the clear. Default NULL.
     */
    struct pywatt_tls *tls;
};

/* Fills *options with the defaults. Any thread; does not block. */
PYWATT_API void pywatt_client_options_init(struct pywatt_client_options *options);

/*
 * Makes a client. Nothing is sent and no connection is made before the first call that needs one.
 * `options` is borrowed for the call, its strings are copied. On success *out is the caller's: end
 * it with pywatt_client_free. `error` may be NULL.
 *
 * PYWATT_OK; PYWATT_INVALID_ARGUMENT (a bad URL, a codec that does not exist, a number out of
 * range: the text names it); PYWATT_UNSUPPORTED (a scheme that this build lacks);
 * PYWATT_NO_MEMORY; PYWATT_FORKED (options.tls is of the process that has forked this one). Any
 * thread; does not block.
 */
PYWATT_API enum pywatt_status pywatt_client_open(const struct pywatt_client_options *options,
                                                 struct pywatt_client **out,
                                                 struct pywatt_error *error);

/*
 * Ends the work: calls under way and all later ones fail with PYWATT_CLOSED, beats stop, the
 * connections are shut down. Nothing is unregistered. May be called again. Any thread, callbacks
 * included; does not block. NULL is allowed.
 */
PYWATT_API void pywatt_client_close(struct pywatt_client *client);

/*
 * Closes, then waits until no call is inside the client, no callback runs, and its threads have
 * ended. From inside a callback of this client it closes and returns without waiting. May be
 * called again. NULL is allowed.
 */
PYWATT_API void pywatt_client_stop(struct pywatt_client *client);

/*
 * Stops, then gives the client's memory back. The handles of modules and loops stay the
 * application's to free, before or after; they answer PYWATT_CLOSED. From inside a callback, the
 * memory is given back when that callback has returned. `client` is consumed; NULL is allowed.
 */
PYWATT_API void pywatt_client_free(struct pywatt_client *client);

/* Counts since the client was opened. Each is exact; they are not read at one instant. */
struct pywatt_client_stats {
    /* sizeof(struct pywatt_client_stats), set by the caller before the call. */
    size_t size;
    uint64_t requests_sent;
    uint64_t replies_received;
    /* Replies that nobody waited for any more: late, duplicated or forged. */
    uint64_t replies_dropped;
    uint64_t timeouts;
    uint64_t connects;
    uint64_t connect_failures;
    uint64_t reregistrations;
    /*
     * Beats of heartbeat loops, and those of batches. One that is due is sent, or skipped
     * (heartbeat.h says when), or fails at once as it cannot be sent as it is, for example as its
     * details fit no frame. One that was sent is answered, or has failed: it was refused, it got no
     * answer in time, or the connection broke, even before the beat had left; also after its loop
     * was stopped.
     */
    uint64_t beats_sent;
    uint64_t beats_answered;
    uint64_t beats_failed;
    uint64_t beats_skipped;
    /* The largest delay between the moment a beat was due and the moment it was sent. */
    uint64_t beats_max_lateness_ns;
    /* Beats of loops that were sent more than a millisecond after they were due. */
    uint64_t beats_late;
    /* From sending a beat, of whatever kind, to its answer. */
    struct pywatt_histogram round_trips;
    /* From the moment a loop's beat was due to the moment it was sent. */
    struct pywatt_histogram lateness;
    /*
     * How often the orchestrator has refused something for now and said when to come again. Operations
     * do so, within their deadlines, as long as the connection stands; loops skip their beats until
     * then.
     */
    uint64_t deferred;
};

/*
 * Fills as many fields of *stats as its `size` covers. PYWATT_OK, or PYWATT_INVALID_ARGUMENT for
 * NULL or a `size` that is too small for one field. Any thread; does not block for long.
 */
PYWATT_API enum pywatt_status pywatt_client_get_stats(struct pywatt_client *client,
                                                      struct pywatt_client_stats *stats);

PYWATT_END_DECLS

#endif
