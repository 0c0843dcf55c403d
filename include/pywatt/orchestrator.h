/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * orchestrator.h - the other side, as a library (libpywatt-orchestrator): it listens, registers
 * modules, keeps their leases, and tells the application what happens to them.
 *
 * All functions may be called from any thread unless a comment says otherwise. An orchestrator has
 * `workers` threads that serve connections and one that keeps the leases; all block all signals.
 *
 * After fork(2) an orchestrator is the parent's: in a child all functions return PYWATT_FORKED, and
 * those that stop or free it do nothing.
 */
#ifndef PYWATT_ORCHESTRATOR_H
#define PYWATT_ORCHESTRATOR_H

#include <pywatt/export.h>
#include <pywatt/model.h>
#include <pywatt/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

PYWATT_BEGIN_DECLS

struct pywatt_orchestrator;
struct pywatt_tls;

/* Whether a module beats. Apart from its health, which is what the module says of itself. */
enum pywatt_liveness {
    /* It beat within its lease, on a connection that stands. */
    PYWATT_ALIVE = 0,
    /* Its connection closed, and it has not beaten since; its lease still runs. */
    PYWATT_SUSPECT = 1,
    /* Its lease ran out. It keeps its id, token and capabilities for retain_ms. */
    PYWATT_LOST = 2
};

/* "alive", "suspect", "lost", or "unknown" for another number. Static. */
PYWATT_API const char *pywatt_liveness_name(enum pywatt_liveness liveness);

/*
 * Who may register a name or an id that a module holds, without that module's token. A module that
 * the store knew when the orchestrator was started is suspect until it comes back; it is not to
 * blame for that, so it can be taken over only once it is lost. It has one whole lease, which begins
 * when first_frame_timeout_ms, or 30 s if that is less, is over: so long SDKs may wait for the reply to a beat
 * that got lost with their old connection.
 */
enum pywatt_takeover {
    /* Anybody, once the holder is suspect or lost. */
    PYWATT_TAKEOVER_SUSPECT = 0,
    /* Anybody, once the holder is lost. */
    PYWATT_TAKEOVER_LOST = 1,
    /* Nobody. */
    PYWATT_TAKEOVER_TOKEN = 2
};

enum pywatt_event_kind {
    PYWATT_EVENT_REGISTERED = 0,
    /* Registered again under its id: with its token, or taken over. */
    PYWATT_EVENT_REREGISTERED = 1,
    PYWATT_EVENT_ADVERTISED = 2,
    /* The reported health changed. */
    PYWATT_EVENT_HEALTH = 3,
    /* The liveness changed. */
    PYWATT_EVENT_LIVENESS = 4,
    PYWATT_EVENT_UNREGISTERED = 5,
    /* Lost for longer than retain_ms: forgotten. */
    PYWATT_EVENT_FORGOTTEN = 6
};

/* Static name such as "registered", or "unknown". */
PYWATT_API const char *pywatt_event_name(enum pywatt_event_kind kind);

struct pywatt_event {
    enum pywatt_event_kind kind;
    struct pywatt_uuid module_id;
    /* Borrowed for the call. */
    const char *module_name;
    enum pywatt_health health;
    enum pywatt_liveness liveness;
    uint64_t generation;
};

/*
 * Told what happens to modules, in order for each module. `event` is borrowed. Runs on a thread of
 * its own, with no lock held; it may call any function of this header, also those that stop and
 * free the orchestrator (see there).
 *
 * A slow one delays nobody. Events wait for it, with two limits. While more than 1024 wait, a
 * PYWATT_EVENT_HEALTH or PYWATT_EVENT_LIVENESS takes the place of the one of the same kind about the
 * same module that waits still: states in between are not told, the last one is. While 262144
 * wait, or when memory is out, further events of any kind are dropped; the log then says how many.
 * Whoever needs to know the state for certain asks pywatt_orchestrator_find.
 */
typedef void (*pywatt_event_fn)(void *user, const struct pywatt_event *event);

/* Filled by pywatt_orchestrator_options_init, then changed by the application. */
struct pywatt_orchestrator_options {
    /* sizeof(struct pywatt_orchestrator_options), set by init: lets the struct grow. */
    size_t size;
    /* Threads that serve connections. Default 0: one for each processor. At most 256. */
    uint32_t workers;
    /* The lease of a module that asks for none. Default 15000. */
    uint32_t lease_ms;
    /* What a module may ask for. Default 100 and 3600000. */
    uint32_t min_lease_ms;
    uint32_t max_lease_ms;
    /* How long a lost module is kept. Default 86400000 (a day). */
    uint64_t retain_ms;
    enum pywatt_takeover takeover;
    /*
     * Where registrations are kept: "memory" (default), which ends with the orchestrator, or
     * "sqlite:PATH": the file PATH, on a local disk, which is made if it is not there, with others
     * beside it. There a registration is on the disk before it is answered, a token as its SHA-256. One
     * orchestrator at a time has the file; sqlite3(1) may read it meanwhile. Copied.
     */
    const char *store;
    /*
     * What modules are told as the orchestrator's address: an IP literal and a port. Default NULL
     * and 0: the local address of the connection that the module came in on; over "unix:" and
     * "memory:" that of the first "tcp:" listener (127.0.0.1 if it listens at all addresses), and
     * without one 127.0.0.1 and port 0. Copied.
     */
    const char *advertise_host;
    uint16_t advertise_port;
    /* The longest frame accepted, its five header bytes not counted. 256 to 64 MiB; 1 MiB. */
    uint32_t max_frame_bytes;
    /*
     * Connections at once. Default 10000. A further one takes the place of one that has proven nothing
     * (see max_unproven_connections), or is closed at once if there is none.
     */
    uint32_t max_connections;
    /* Modules at once. Default 1000000. A registration over it is answered with a limit error. */
    uint32_t max_modules;
    /*
     * How long a frame may take from its first byte to its last; the first one of a connection has
     * first_frame_timeout_ms. Default 10000.
     */
    uint32_t frame_timeout_ms;
    /*
     * How long a connection may be silent while nothing is owed to it, neither a reply nor bytes
     * that it has not taken. Default 0: for ever (its modules' leases decide).
     */
    uint32_t idle_timeout_ms;
    /* Output buffered for a peer that does not read; over it, the connection ends. 1 MiB. */
    uint32_t max_output_bytes;
    /* NULL for nobody. `event_user` is borrowed until the orchestrator is freed. */
    pywatt_event_fn on_event;
    void *event_user;
    /*
     * Connections at once from one IP address; further ones are closed at once. Default 0: as many
     * as max_connections, as all modules of a machine share one. IPv6 addresses with the same first
     * 64 bits are one here, and wherever else a limit is an address's.
     */
    uint32_t max_connections_per_peer;
    /*
     * Registrations a second, those included that are repeated; as many as come in a second may come
     * at once. Modules of libpywatt that are too many are refused with PYWATT_UNAVAILABLE and told when
     * to come again, each a moment after the one before and at most 60 s later: they do so by
     * themselves, and then get in. Who shows the token of a module that is registered does not wait
     * behind the others, and one IP address has a quarter of the places. Modules of other SDKs, which do not know that, count but are never
     * refused for it. Default 50000; 0: no limit. At most 10000000.
     */
    uint32_t registrations_per_s;
    /*
     * For "tls:" listeners, which cannot do without: from pywatt_tls_server_new of <pywatt/tls.h>
     * (libpywatt-tls). Borrowed for the call: the orchestrator takes a reference. Listeners with
     * other schemes may stand beside them. If it asks for client certificates, a connection is
     * good for those modules only which its certificate names. Default NULL.
     */
    struct pywatt_tls *tls;
    /*
     * A file with the token, or while it is being changed the two tokens, each on a line of its own,
     * without which nobody registers: every registration, repeated ones included, must have one of
     * them in its metadata, as "join_token". Of 1 to 256 bytes each; the file is read when the
     * orchestrator is made, and again by each pywatt_orchestrator_reconfigure. Who shows none, or a wrong one, is
     * refused with PYWATT_REJECTED. Nothing of a join token is kept but its SHA-256, and it is taken
     * out of the metadata in any case, also where none is wanted. Default NULL: none is. Copied, as
     * are all strings here.
     */
    const char *join_token_file;
    /*
     * Names that may be registered, separated by commas: "camera, sensor-*" lets in camera, and
     * whatever begins with sensor-; "*.floor2" what ends in .floor2. Others are refused with
     * PYWATT_REJECTED. Modules that are registered already are left alone. Default NULL: all.
     */
    const char *allow_names;
    /*
     * Over "unix:": user ids and group ids, as decimal numbers separated by commas. If one of the two is
     * set, the peer's process must be of a user in the one, or of a group (supplementary ones
     * included) in the other; everybody else is refused with PYWATT_REJECTED at his first request, and
     * his connection ends. Default NULL: whom the socket file's mode lets in.
     */
    const char *unix_allow_uids;
    const char *unix_allow_gids;
    /*
     * Connections at once that have proven nothing yet: no registration, advertisement or beat has
     * come through on them, no right join token and no client certificate. When one more comes, or there
     * are max_connections already, the oldest of them is closed for it; only those stay that wait for the
     * store, or were told when to come again. Default 0: half of max_connections.
     */
    uint32_t max_unproven_connections;
    /* Those from one IP address; further ones are closed at once. Default 0: no other limit. */
    uint32_t max_unproven_per_peer;
    /*
     * Registrations a second from one IP address; as many may come at once. Those over it are refused with
     * PYWATT_UNAVAILABLE, modules of all SDKs alike, and those of libpywatt come again by themselves.
     * Default 0: no limit. At most 10000000.
     */
    uint32_t registrations_per_s_per_peer;
    /* How long a connection may take for its first frame once it is accepted, and its TLS handshake
     * is over. Default 5000. */
    uint32_t first_frame_timeout_ms;
    /*
     * How long a connection may be silent that has proven nothing yet; who was told when to come again
     * may be so until then. Default 15000, three heartbeats of the default lease; 0: for ever.
     */
    uint32_t unproven_idle_timeout_ms;
    /* How long a peer may take nothing of what waits for it. Default 10000. */
    uint32_t write_timeout_ms;
    /*
     * The longest frame of a connection that has proven nothing yet, where that is less than
     * max_frame_bytes. Modules of other SDKs may advertise on a new connection. 256 to 64 MiB; 64 KiB.
     */
    uint32_t max_unproven_frame_bytes;
    /* How deeply a message may be nested, and how many values it may have. Defaults, and most: 40
     * and 16384, which is what libpywatt can build; least: 4 and 64. */
    uint32_t max_depth;
    uint32_t max_elements;
    /* Requests of one connection that may wait for the store; no further one is read meanwhile. 1 to
     * 65536; 256. */
    uint32_t max_pending_requests;
    /*
     * TCP: how long what was sent may stay without a sign from the peer's machine, after which the
     * connection ends (TCP_USER_TIMEOUT). Where nothing is sent keepalive finds out in 30 s. Default
     * 15000; 0: the system's, which is a quarter of an hour.
     */
    uint32_t tcp_user_timeout_ms;
};

/* Fills *options with the defaults. */
PYWATT_API void pywatt_orchestrator_options_init(struct pywatt_orchestrator_options *options);

/*
 * Makes an orchestrator and opens its store; nothing listens and no thread runs yet. `options` is
 * borrowed for the call, its strings are copied. On success *out is the caller's, to be ended with
 * pywatt_orchestrator_free.
 * PYWATT_OK, PYWATT_INVALID_ARGUMENT (the text names the option), PYWATT_UNSUPPORTED (no such
 * store), PYWATT_IO (the store cannot be opened: the text names the file and says what to do, which for
 * one that is damaged is pywatt_store_recover), PYWATT_NO_MEMORY, PYWATT_FORKED (options.tls is of the
 * process that has forked this one).
 */
PYWATT_API enum pywatt_status
pywatt_orchestrator_new(const struct pywatt_orchestrator_options *options,
                        struct pywatt_orchestrator **out, struct pywatt_error *error);

/*
 * That pywatt_orchestrator_new would take these options: nothing is opened but `join_token_file`, which
 * is read, and nothing changes or is logged. PYWATT_OK, PYWATT_INVALID_ARGUMENT (the text names the option, or file
 * and line), PYWATT_UNSUPPORTED (no such store), PYWATT_IO (that file cannot be read), PYWATT_NO_MEMORY.
 */
PYWATT_API enum pywatt_status
pywatt_orchestrator_check(const struct pywatt_orchestrator_options *options,
                          struct pywatt_error *error);

/*
 * That `url` is one for pywatt_orchestrator_listen: nothing is opened, no name is resolved. PYWATT_OK,
 * PYWATT_INVALID_ARGUMENT, PYWATT_UNSUPPORTED (scheme). Does not block.
 */
PYWATT_API enum pywatt_status pywatt_orchestrator_check_url(const char *url,
                                                            struct pywatt_error *error);

/*
 * Puts other options in force, all of them or, if anything is wrong, none. At any time, while it runs
 * as well as before and after. `options` is borrowed for the call, its strings are copied. `workers`,
 * `store`, `tls`, `on_event` and `event_user` must be as they were for pywatt_orchestrator_new.
 *
 * When it returns they hold for whatever comes from then on. What is there stays, even if it would be
 * too much now: connections and modules are not ended by a limit, a module's lease is changed by its
 * next registration, a lost module is kept for as long as was said when it was lost, and a message that
 * has begun to come has the time that it had. How long a connection may be silent changes for
 * those that stand, too. `join_token_file` is read again, also if it is the same file.
 * PYWATT_OK, PYWATT_INVALID_ARGUMENT (the text names the option, or file and line), PYWATT_IO (a file
 * cannot be read), PYWATT_NO_MEMORY, PYWATT_FORKED. Reads files, and waits for a moment for each worker, and for other calls of it. Not from a log sink.
 */
PYWATT_API enum pywatt_status
pywatt_orchestrator_reconfigure(struct pywatt_orchestrator *orchestrator,
                                const struct pywatt_orchestrator_options *options,
                                struct pywatt_error *error);

/* What pywatt_store_recover did. */
struct pywatt_store_recovery {
    /* sizeof(struct pywatt_store_recovery), set by the caller before the call. */
    size_t size;
    /* Modules that the store has now. */
    uint64_t kept;
    /* Modules that were there and cannot be relied upon: they have to register anew. */
    uint64_t left_out;
    /* Where the damaged file is now; of a long path the end. */
    char aside[256];
};

/*
 * For a store, named as in the options, that pywatt_orchestrator_new finds damaged: the file is set
 * aside as it is, as PATH.damaged-N, and a new one takes its place that has all modules of it that are
 * beyond doubt. If it fails, or is broken off at any moment, nothing is lost. Nobody may have the store
 * open. Blocks. On success *out, which may be NULL, gets as many fields as its `size` covers.
 * PYWATT_OK, PYWATT_INVALID_ARGUMENT, PYWATT_UNSUPPORTED (no such store, or one that keeps nothing),
 * PYWATT_IO (the text says why), PYWATT_NO_MEMORY.
 */
PYWATT_API enum pywatt_status pywatt_store_recover(const char *store,
                                                   struct pywatt_store_recovery *out,
                                                   struct pywatt_error *error);

/*
 * Opens a listener at `url` ("tcp://host:port", "tls://host:port", "unix:/path", "memory:name"; port 0
 * takes a free one). Before pywatt_orchestrator_start only. If `bound_url` is not NULL, it gets the URL with the
 * port that was taken, cut to `bound_size` bytes with its NUL.
 * PYWATT_OK, PYWATT_INVALID_ARGUMENT (bad URL, "tls:" without options.tls, or already started), PYWATT_UNSUPPORTED (scheme),
 * PYWATT_IO (busy port, no permission, no such folder: the text says which), PYWATT_NO_MEMORY.
 * May block for a name to be resolved.
 */
PYWATT_API enum pywatt_status pywatt_orchestrator_listen(struct pywatt_orchestrator *orchestrator,
                                                         const char *url, char *bound_url,
                                                         size_t bound_size,
                                                         struct pywatt_error *error);

/*
 * Starts the threads. PYWATT_OK, PYWATT_INVALID_ARGUMENT (started already), PYWATT_NO_MEMORY (of
 * threads, too), PYWATT_IO (file descriptors are out; the text names the first listener's URL).
 * After a failure all that is left to do is to free it.
 */
PYWATT_API enum pywatt_status pywatt_orchestrator_start(struct pywatt_orchestrator *orchestrator,
                                                        struct pywatt_error *error);

/*
 * Ends cleanly: stops listening, reads what lies in its sockets and answers it (for a second at
 * most, if peers or the store are slow), closes all connections, ends the threads. A connection that
 * nobody has accepted yet is closed unread. Registrations stay in the store. Blocks until done, and
 * until on_event was told what happened. May be called again, from any thread.
 *
 * From inside of on_event it waits for the same, but for on_event itself: events that are left are
 * told afterwards, and a later call, or pywatt_orchestrator_free, waits for that. If the
 * orchestrator is being started or stopped by another thread at that moment it returns at once, and
 * that thread stops it.
 */
PYWATT_API void pywatt_orchestrator_stop(struct pywatt_orchestrator *orchestrator);

/*
 * Stops, and gives all memory back. `orchestrator` is consumed; NULL is allowed. Nobody else may be
 * inside of a function that uses it, not even of the one that starts it. Not from inside of the
 * function that pywatt_orchestrator_for_each calls. Waits for changes that the store has under way,
 * without a limit: a thread that waits for a disk cannot be given up safely. Who must end in time
 * ends the process; what was answered is kept all the same.
 * From inside of on_event: on_event is not called again, and the memory is given back when it has
 * returned.
 */
PYWATT_API void pywatt_orchestrator_free(struct pywatt_orchestrator *orchestrator);

/* ---- What it knows ------------------------------------------------------------------------ */

/* A copy of what is known of a module, taken at one instant; owned by who asked for it. */
struct pywatt_module_view;

/*
 * Looks a module up by its id. On success *out is the caller's, to be freed with
 * pywatt_module_view_free. PYWATT_OK, PYWATT_MODULE_NOT_FOUND, PYWATT_INVALID_ARGUMENT,
 * PYWATT_NO_MEMORY. Does not block for long.
 */
PYWATT_API enum pywatt_status pywatt_orchestrator_find(struct pywatt_orchestrator *orchestrator,
                                                       const struct pywatt_uuid *id,
                                                       struct pywatt_module_view **out);

/* The same, by name. */
PYWATT_API enum pywatt_status
pywatt_orchestrator_find_by_name(struct pywatt_orchestrator *orchestrator, const char *name,
                                 struct pywatt_module_view **out);

/*
 * Calls `visit` for each module, in no order, with no lock held; modules that come or go meanwhile
 * may be missed. `view` is borrowed for the call. Ends early when `visit` returns false.
 * PYWATT_OK, PYWATT_INVALID_ARGUMENT or PYWATT_NO_MEMORY.
 */
PYWATT_API enum pywatt_status
pywatt_orchestrator_for_each(struct pywatt_orchestrator *orchestrator,
                             bool (*visit)(void *user, const struct pywatt_module_view *view),
                             void *user);

/*
 * Gives the copy back; NULL is allowed. The getters below lend what is part of it, until it is freed.
 */
PYWATT_API void pywatt_module_view_free(struct pywatt_module_view *view);
PYWATT_API const struct pywatt_uuid *pywatt_module_view_id(const struct pywatt_module_view *view);
PYWATT_API const struct pywatt_module_info *
pywatt_module_view_info(const struct pywatt_module_view *view);

/* What the module last advertised; NULL if it never did. */
PYWATT_API const struct pywatt_capabilities *
pywatt_module_view_capabilities(const struct pywatt_module_view *view);
PYWATT_API enum pywatt_health pywatt_module_view_health(const struct pywatt_module_view *view);

/* The details of the last beat that had any; NULL if none had. */
PYWATT_API const struct pywatt_string_map *
pywatt_module_view_details(const struct pywatt_module_view *view);
PYWATT_API enum pywatt_liveness pywatt_module_view_liveness(const struct pywatt_module_view *view);
PYWATT_API uint64_t pywatt_module_view_generation(const struct pywatt_module_view *view);
PYWATT_API uint64_t pywatt_module_view_lease_ms(const struct pywatt_module_view *view);

/* Nanoseconds since the module last beat, registered or advertised. */
PYWATT_API uint64_t pywatt_module_view_silent_ns(const struct pywatt_module_view *view);

/* Beats that were accepted since the module was registered here, or was taken over. */
PYWATT_API uint64_t pywatt_module_view_beats(const struct pywatt_module_view *view);

/*
 * Sets the orchestrator's own view of a module's health, which its beats are answered with from
 * then on, until pywatt_orchestrator_clear_verdict; without one, a beat is answered with the health
 * that it reports. PYWATT_OK, PYWATT_MODULE_NOT_FOUND or PYWATT_INVALID_ARGUMENT.
 */
PYWATT_API enum pywatt_status
pywatt_orchestrator_set_verdict(struct pywatt_orchestrator *orchestrator,
                                const struct pywatt_uuid *id, enum pywatt_health verdict);
PYWATT_API enum pywatt_status
pywatt_orchestrator_clear_verdict(struct pywatt_orchestrator *orchestrator,
                                  const struct pywatt_uuid *id);

/* Counts since the orchestrator was made, and how many there are now. */
struct pywatt_orchestrator_stats {
    /* sizeof(struct pywatt_orchestrator_stats), set by the caller before the call. */
    size_t size;
    uint64_t modules;
    uint64_t connections;
    uint64_t connections_accepted;
    /* Those included that were closed for another one. */
    uint64_t connections_refused;
    /* Messages: a batch of beats is one. */
    uint64_t requests;
    /* Beats that count, each one of a batch by itself. */
    uint64_t heartbeats;
    uint64_t registrations;
    /* Each beat of a batch that is refused counts. */
    uint64_t requests_refused;
    uint64_t bad_frames;
    uint64_t modules_lost;
    uint64_t bytes_received;
    uint64_t bytes_sent;
    /* Registrations that were told to come again later (registrations_per_s); refused as well. */
    uint64_t registrations_deferred;
    /* Registrations without a right join token, of a name that is not allowed, and over
     * registrations_per_s_per_peer; refused as well. */
    uint64_t join_tokens_refused;
    uint64_t names_refused;
    uint64_t registrations_throttled;
    /* Connections over a limit of their address; refused as well. */
    uint64_t peers_refused;
    /* Peers of a Unix socket whose user and groups are not allowed. */
    uint64_t users_refused;
    /* Connections now that have proven nothing yet. */
    uint64_t connections_unproven;
};

/* Fills as many fields as *stats's `size` covers. PYWATT_OK or PYWATT_INVALID_ARGUMENT. */
PYWATT_API enum pywatt_status
pywatt_orchestrator_get_stats(struct pywatt_orchestrator *orchestrator,
                              struct pywatt_orchestrator_stats *stats);

PYWATT_END_DECLS

#endif
