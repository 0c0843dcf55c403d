/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * transport.h - bytes to a peer and back: the contract that a transport fulfils, and the table of
 * them.
 *
 * To add a transport: write one file with a `const struct pw_transport_ops`, and add one line to
 * the table in transport.c. The behavioural suite in tests/transport runs over every entry.
 *
 * Threads: a connection may be used by one thread that receives and one that sends at the same
 * time; shutdown may come from any third at any time. Destroy comes last, when nobody is inside.
 * All descriptors are non-blocking and close on exec; nothing raises SIGPIPE.
 */
#ifndef PW_TRANSPORT_TRANSPORT_H
#define PW_TRANSPORT_TRANSPORT_H

#include "transport/endpoint.h"
#include "transport/grant.h"

#include <pywatt/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum pw_io {
    PW_IO_OK,    /* at least one byte moved */
    PW_IO_AGAIN, /* nothing now: wait for pw_conn_poll_events */
    PW_IO_EOF,   /* receive only: the peer has ended, or the connection was shut down */
    PW_IO_ERROR  /* the connection is dead; the error has PYWATT_IO and names the peer */
};

/* How long receiving patiently waits at most. */
#define PW_PATIENCE_MS 10

/* Where one end of a connection is, as far as that can be said in words. */
struct pw_address {
    char host[PW_ENDPOINT_HOST_MAX + 1]; /* an IP literal; empty where there is none */
    uint16_t port;                       /* 0 where there is none */
};

/* As many groups of a peer are looked at. */
#define PW_CREDENTIAL_GROUPS 64

/* Whose process the other end of a connection on this machine is. */
struct pw_credentials {
    uint32_t uid;
    uint32_t gid;
    size_t group_count;
    uint32_t groups[PW_CREDENTIAL_GROUPS]; /* the supplementary ones */
};

/* First member of every transport's connection. */
struct pw_conn {
    const struct pw_conn_ops *ops;
};

struct pw_conn_ops {
    /* Receives what is there, up to `len` bytes (> 0). Never blocks. `error` may be NULL. */
    enum pw_io (*receive)(struct pw_conn *conn, void *buffer, size_t len, size_t *got,
                          struct pywatt_error *error);

    /*
     * The same, but it may wait for PW_PATIENCE_MS until something comes, or the connection ends; a
     * system call less than to poll first. NULL if this kind of connection cannot.
     */
    enum pw_io (*receive_patiently)(struct pw_conn *conn, void *buffer, size_t len, size_t *got,
                                    struct pywatt_error *error);

    /*
     * Sends as much as there is room for, from `count` (> 0) pieces in order, not all of them
     * empty; it may leave out all but the first that is not. Never blocks. Bytes that found no room
     * may be encrypted already: after PW_IO_AGAIN the next call begins with the same pieces, of which
     * the last may be longer, and others may stand behind it.
     */
    enum pw_io (*send)(struct pw_conn *conn, const struct iovec *pieces, int count, size_t *sent,
                       struct pywatt_error *error);

    /* True if receive would give bytes that poll(2) does not know of. */
    bool (*buffered)(struct pw_conn *conn);

    /*
     * The descriptor to poll, and the events to poll for, for somebody who wants `wanted`. These
     * may be others: receiving may have to write first, bytes may be buffered. Ask again after
     * each call that received or sent.
     */
    int (*fd)(struct pw_conn *conn);
    short (*poll_events)(struct pw_conn *conn, short wanted);

    /*
     * Both directions end; whoever polls wakes up. What has come before can still be received.
     * Any thread, at any time, again and again.
     */
    void (*shutdown)(struct pw_conn *conn);

    /*
     * While a handshake is under way at the side that has accepted: the milliseconds that it may
     * take in all. Receiving goes on with it. 0 once the connection is open. NULL: it always is.
     */
    uint32_t (*opening_ms)(struct pw_conn *conn);

    /* Which modules the peer may act for; the connection's. NULL, slot or result: for all. */
    struct pw_grant *(*grant)(struct pw_conn *conn);

    /*
     * Whose process has connected; of who has more groups than fit, none but the first is told. False
     * if that cannot be told. NULL: it never can.
     */
    bool (*credentials)(struct pw_conn *conn, struct pw_credentials *out);

    /* The local end as the peer can reach it, and a name of the peer for log lines. */
    void (*local_address)(struct pw_conn *conn, struct pw_address *out);
    void (*peer_name)(struct pw_conn *conn, char *out, size_t size);

    /* Closes the descriptor and frees the connection. */
    void (*destroy)(struct pw_conn *conn);
};

/* First member of every transport's listener. One thread at a time, except accept: any. */
struct pw_listener {
    const struct pw_listener_ops *ops;
};

struct pw_listener_ops {
    /*
     * Takes the next connection, which the caller then owns. Never blocks. PW_IO_AGAIN: none there.
     * PW_IO_ERROR: none could be taken now (PYWATT_IO: descriptors are out, or PYWATT_NO_MEMORY);
     * the listener still works, and still looks readable.
     */
    enum pw_io (*accept)(struct pw_listener *listener, struct pw_conn **out,
                         struct pywatt_error *error);
    int (*fd)(struct pw_listener *listener); /* readable when accept would give one */
    /* Where peers reach it: with the real port, and an IP literal where a name was given. */
    void (*url)(struct pw_listener *listener, char *out, size_t size);
    void (*destroy)(struct pw_listener *listener);
};

struct pw_transport_ops {
    const char *scheme;

    /*
     * Reads what stands behind "scheme:" into host, port, path. PYWATT_OK, or
     * PYWATT_INVALID_ARGUMENT with a text that names the fault; the caller puts the URL in front.
     */
    enum pywatt_status (*parse)(const char *rest, bool for_listening, struct pw_endpoint *out,
                                struct pywatt_error *error);

    /*
     * Connects, trying every address that the name has, in turn; blocks until it is done, until
     * `deadline_ns`, or until `cancel_fd` (-1 for none) is readable. On success *out is the
     * caller's. PYWATT_OK, PYWATT_CONNECTION (the text names the URL and the reason for each
     * address), PYWATT_TIMEOUT, PYWATT_CLOSED (cancelled), PYWATT_NO_MEMORY.
     */
    enum pywatt_status (*connect)(const struct pw_endpoint *endpoint, uint64_t deadline_ns,
                                  int cancel_fd, struct pw_conn **out, struct pywatt_error *error);

    /*
     * Listens. PYWATT_OK, PYWATT_IO (the text names the URL and the reason), PYWATT_NO_MEMORY.
     * Blocks while a name is looked up, 10 s at most.
     */
    enum pywatt_status (*listen)(const struct pw_endpoint *endpoint, struct pw_listener **out,
                                 struct pywatt_error *error);
};

/*
 * The transport with this scheme, in upper or lower case, or NULL; and all of them,
 * NULL-terminated. Static.
 */
const struct pw_transport_ops *pw_transport_by_scheme(const char *scheme, size_t len);
const struct pw_transport_ops *const *pw_transport_all(void);

/* Checked wrappers over the ops. *out is NULL on failure; destroying NULL does nothing. */
enum pywatt_status pw_transport_connect(const struct pw_endpoint *endpoint, uint64_t deadline_ns,
                                        int cancel_fd, struct pw_conn **out,
                                        struct pywatt_error *error);
enum pywatt_status pw_transport_listen(const struct pw_endpoint *endpoint, struct pw_listener **out,
                                       struct pywatt_error *error);

enum pw_io pw_conn_receive(struct pw_conn *conn, void *buffer, size_t len, size_t *got,
                           struct pywatt_error *error);
bool pw_conn_may_wait(struct pw_conn *conn);
enum pw_io pw_conn_receive_patiently(struct pw_conn *conn, void *buffer, size_t len, size_t *got,
                                     struct pywatt_error *error);
enum pw_io pw_conn_send(struct pw_conn *conn, const struct iovec *pieces, int count, size_t *sent,
                        struct pywatt_error *error);
uint32_t pw_conn_opening_ms(struct pw_conn *conn);
struct pw_grant *pw_conn_grant(struct pw_conn *conn);
bool pw_conn_credentials(struct pw_conn *conn, struct pw_credentials *out);
bool pw_conn_buffered(struct pw_conn *conn);
int pw_conn_fd(struct pw_conn *conn);
short pw_conn_poll_events(struct pw_conn *conn, short wanted);
void pw_conn_shutdown(struct pw_conn *conn);
void pw_conn_local_address(struct pw_conn *conn, struct pw_address *out);
void pw_conn_peer_name(struct pw_conn *conn, char *out, size_t size);
void pw_conn_destroy(struct pw_conn *conn);

enum pw_io pw_listener_accept(struct pw_listener *listener, struct pw_conn **out,
                              struct pywatt_error *error);
int pw_listener_fd(struct pw_listener *listener);
void pw_listener_url(struct pw_listener *listener, char *out, size_t size);
void pw_listener_destroy(struct pw_listener *listener);

#endif
