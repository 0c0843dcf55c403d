/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * conn.h - a connection over TLS, of either side.
 *
 * An SSL object is not safe from two threads, and one may receive while another sends. So each call
 * of OpenSSL is made under the connection's lock, which is never held while anybody waits: neither
 * the descriptor that OpenSSL reads and writes ever blocks, nor does OpenSSL.
 *
 * Who receives patiently waits in recv(2) without the lock, and only then lets OpenSSL have what
 * came; meanwhile OpenSSL, if a sender calls it, finds nothing to read, as the order of bytes would
 * be lost.
 */
#ifndef PW_TLS_CONN_H
#define PW_TLS_CONN_H

#include "base/sync.h"
#include "tls/context.h"
#include "tls/names.h"
#include "tls/words.h"

#include <stdatomic.h>

/* Of ciphertext, received patiently: about a record. */
#define PW_TLS_RAW_SIZE ((size_t)17 * 1024)

/*
 * So much ciphertext is read in one call at most: records that carry nothing, as for new keys, keep
 * OpenSSL inside for as long as they come. What is left is still in the kernel, and poll(2) tells.
 */
#define PW_TLS_CALL_BUDGET ((size_t)64 * 1024)

/* What a call into OpenSSL finds out on its way; lives as long as that. */
struct pw_tls_call {
    size_t budget;             /* of ciphertext that may still be read in it */
    struct pywatt_error error; /* what the system says, if io_failed */
    bool io_failed;
    char certificate[PW_TLS_WORDS_MAX]; /* why the peer's does not do, or "" */
};

struct pw_tls_conn {
    struct pw_conn conn;
    /* Constant. */
    struct pw_tls *tls; /* a reference */
    int fd;
    char *name;   /* client: whom the certificate must name */
    char *site;   /* client: "host:port", under which the session is kept */
    uint8_t *raw; /* client: PW_TLS_RAW_SIZE bytes; a server has none, and no patience */

    /* Atomic: read without the lock, for the next wait. */
    atomic_bool open;             /* the handshake is over */
    atomic_bool more;             /* receiving would give bytes that the kernel no longer has */
    atomic_bool read_wants_write; /* receiving goes on when it is writable */
    atomic_bool write_wants_read; /* sending goes on when it is readable */

    struct pw_mutex lock;
    /* lock */
    SSL *ssl; /* a server's is made when the first bytes come */
    struct pw_tls_call *call;
    bool waiting; /* somebody is in recv(2), and `raw` is his */
    bool heard;   /* some byte has come */
    bool eof;     /* the peer's end has been read */
    bool shut;    /* pw_conn_shutdown was called */
    bool certificate_wanted;
    bool session_came;
    size_t raw_start;
    size_t raw_len;
    enum pywatt_status failed; /* the first failure sticks; its words: */
    char *why;                 /* NULL if there was no memory for them */

    /* Written under the lock before `open` is set, constant afterwards. */
    struct pw_grant *grant;

    char peer[];
};

struct pw_tls_conn *pw_tls_conn_of(struct pw_conn *conn);

/*
 * Makes a connection of `fd`, which is consumed in any case; it takes a reference on `tls`. `site` and
 * `name` are copied; NULL at a server. PYWATT_OK, PYWATT_NO_MEMORY.
 */
enum pywatt_status pw_tls_conn_new(struct pw_tls *tls, int fd, const char *site, const char *name,
                                   struct pw_tls_conn **out, struct pywatt_error *error);
void pw_tls_conn_destroy(struct pw_tls_conn *c);

/* Around each call of OpenSSL: makes the SSL object if there is none. False when memory is out. */
bool pw_tls_conn_enter_locked(struct pw_tls_conn *c, struct pw_tls_call *call);
void pw_tls_conn_leave_locked(struct pw_tls_conn *c);

/* What a call of OpenSSL came to that has moved no byte. */
enum pw_tls_result {
    PW_TLS_WANTS_READ,
    PW_TLS_WANTS_WRITE,
    PW_TLS_ENDED, /* the peer has, cleanly enough */
    PW_TLS_FAILED /* pw_tls_conn_fail_locked gives it its words */
};
enum pw_tls_result pw_tls_conn_result_locked(struct pw_tls_conn *c, int returned);

/*
 * If the handshake is over now: notes that, and whom the peer may act for. PYWATT_OK; PYWATT_IO if he
 * has not shown who he is, though he had to; PYWATT_NO_MEMORY.
 */
enum pywatt_status pw_tls_conn_note_open_locked(struct pw_tls_conn *c);

/* Gives `error` the words for what that gave, which sticks. */
enum pw_io pw_tls_conn_not_open_locked(struct pw_tls_conn *c, enum pywatt_status status,
                                       struct pywatt_error *error);

/* Gives `error` the words for what has failed; it sticks, unless only the system did not send. */
enum pw_io pw_tls_conn_fail_locked(struct pw_tls_conn *c, const char *what,
                                   struct pywatt_error *error);
enum pw_io pw_tls_conn_no_memory_locked(struct pw_tls_conn *c, struct pywatt_error *error);

/* The failure that sticks. */
enum pw_io pw_tls_conn_failed_locked(const struct pw_tls_conn *c, struct pywatt_error *error);

/*
 * Goes on with the handshake, or with what comes behind it. PW_IO_OK: it is over. PW_IO_AGAIN: wait
 * for *events. PW_IO_ERROR: `error` says why, without the peer's name.
 */
enum pw_io pw_tls_conn_handshake(struct pw_tls_conn *c, short *events, struct pywatt_error *error);

/* Whether the peer has said anything yet. */
bool pw_tls_conn_heard(struct pw_tls_conn *c);

/*
 * Client, after the handshake: whether the server has said what it thinks of our certificate, if it
 * asked for one; it does so by a ticket, or by ending the connection. Results as above.
 */
enum pw_io pw_tls_conn_verdict(struct pw_tls_conn *c, short *events, struct pywatt_error *error);

/* ---- bio.c --------------------------------------------------------------------------------- */

/* A BIO over the connection's descriptor, or NULL when memory is out. */
BIO *pw_tls_bio_new(struct pw_tls_conn *c);

#endif
