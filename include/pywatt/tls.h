/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * tls.h - "tls://host:port", as a library of its own (libpywatt-tls), so that only those need OpenSSL
 * who use it. It makes an object of certificates and settings, which goes into the options of a client
 * or of an orchestrator:
 *
 *     struct pywatt_tls_options settings;
 *     struct pywatt_tls *tls;
 *     pywatt_tls_options_init(&settings);
 *     settings.ca_file = "ca.pem";
 *     if (pywatt_tls_client_new(&settings, &tls, &error) == PYWATT_OK) {
 *         options.tls = tls;
 *         options.endpoints = "tls://hub.example:7900";
 *
 * Where a name has several addresses a client takes the first at which somebody accepts TCP; if the
 * handshake then fails it tries none of the others.
 *
 * An object serves any number of clients, or of orchestrators. All functions may be called from any
 * thread. Files are read when it is made, by pywatt_tls_reload and by
 * pywatt_tls_reconfigure, never in between; a key that asks
 * for a passphrase is refused. Nothing of a key is ever logged or told in an error.
 *
 * After fork(2) an object is the parent's: in a child all functions return PYWATT_FORKED and touch
 * nothing, pywatt_tls_free does nothing, and no client or orchestrator can be made with it. The child
 * can make an object of its own.
 */
#ifndef PYWATT_TLS_H
#define PYWATT_TLS_H

#include <pywatt/export.h>
#include <pywatt/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

PYWATT_BEGIN_DECLS

struct pywatt_tls;

/* Filled by pywatt_tls_options_init, then changed by the application. All files are PEM. */
struct pywatt_tls_options {
    /* sizeof(struct pywatt_tls_options), set by init: lets the struct grow. */
    size_t size;
    /*
     * Whom we believe: the CAs that may have signed the peer's certificate. A client always checks
     * that of the orchestrator; NULL (default) means the CAs of the system. An orchestrator asks
     * clients for certificates if this is set, and lets nobody in without one: its subject
     * alternative names then say for which modules the connection is good (docs/PROTOCOL.md).
     * NULL: it asks for none. Copied, as are all strings here.
     */
    const char *ca_file;
    /*
     * Our own certificate, followed by those between it and the CA, and its private key. An
     * orchestrator must have them; a client only if it is asked for them.
     */
    const char *cert_file;
    const char *key_file;
    /*
     * Client: the name or the IP address that must stand in the orchestrator's certificate, in place
     * of the URL's host.
     */
    const char *server_name;
    /* TLS 1.2 will do. Default false: 1.3 or nothing. */
    bool allow_tls12;
    /*
     * How long a handshake may take, on either side. A client's begins with the first byte from the
     * orchestrator; before that it waits until the deadline of its call, since it may be one of
     * those who wait to be accepted. Default 5000; 1 to 600000.
     */
    uint32_t handshake_timeout_ms;
    /*
     * Orchestrator: connections that are accepted in a second; who comes meanwhile waits, and the
     * beats of those who are in do not wait behind handshakes. Nor does a lease wait for who has not
     * been accepted: what a module sends from the queue is not seen. So N modules that come back at
     * once need leases of more than N / handshakes_per_s seconds. Default 400; 0: no limit.
     */
    uint32_t handshakes_per_s;
};

/* Fills *options with the defaults. */
PYWATT_API void pywatt_tls_options_init(struct pywatt_tls_options *options);

/*
 * Makes the object for clients, or for orchestrators, and reads the files. `options` is borrowed for the
 * call. On success *out is the caller's, to be given back with pywatt_tls_free; whoever it was given
 * to in options has a reference of his own by then.
 * PYWATT_OK; PYWATT_INVALID_ARGUMENT (an option is missing or out of range, or a file holds no
 * certificate or key, or the key is not the certificate's: the text names it); PYWATT_IO (a file
 * cannot be read: the text has the reason); PYWATT_NO_MEMORY. Blocks while it reads.
 */
PYWATT_API enum pywatt_status pywatt_tls_client_new(const struct pywatt_tls_options *options,
                                                    struct pywatt_tls **out,
                                                    struct pywatt_error *error);
PYWATT_API enum pywatt_status pywatt_tls_server_new(const struct pywatt_tls_options *options,
                                                    struct pywatt_tls **out,
                                                    struct pywatt_error *error);

/*
 * Reads the files again, for the connections that begin from then on; those that stand are left alone.
 * Sessions that were kept for resumption end. If anything is wrong what was there stays in force.
 * Statuses of pywatt_tls_client_new, or PYWATT_FORKED.
 */
PYWATT_API enum pywatt_status pywatt_tls_reload(struct pywatt_tls *tls, struct pywatt_error *error);

/*
 * Puts other options in force for the connections that begin from then on, and reads the files that they
 * name; if anything is wrong, all stays as it was. For orchestrators' objects. `options` is borrowed for
 * the call. Statuses of pywatt_tls_server_new, or PYWATT_FORKED. Blocks while it reads.
 */
PYWATT_API enum pywatt_status pywatt_tls_reconfigure(struct pywatt_tls *tls,
                                                     const struct pywatt_tls_options *options,
                                                     struct pywatt_error *error);

/* Gives the caller's reference back. `tls` is consumed; NULL is allowed. */
PYWATT_API void pywatt_tls_free(struct pywatt_tls *tls);

/* Counts since the object was made. */
struct pywatt_tls_stats {
    /* sizeof(struct pywatt_tls_stats), set by the caller before the call. */
    size_t size;
    /* Handshakes that came through, those included that resumed an earlier session. */
    uint64_t handshakes;
    uint64_t resumed;
    uint64_t failed;
    /* How often accepting was put off by handshakes_per_s. */
    uint64_t paced;
};

/* Fills as many fields as *stats's `size` covers. PYWATT_OK, PYWATT_INVALID_ARGUMENT or PYWATT_FORKED. */
PYWATT_API enum pywatt_status pywatt_tls_get_stats(struct pywatt_tls *tls,
                                                   struct pywatt_tls_stats *stats);

PYWATT_END_DECLS

#endif
