/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * tls.h - "tls://host:port", of which this library knows only the name: connections and listeners are
 * made by the object that the application got from libpywatt-tls and put into its options. So
 * nobody needs OpenSSL who does not use it, and who asks for TLS without it is told so.
 */
#ifndef PW_TRANSPORT_TLS_H
#define PW_TRANSPORT_TLS_H

#include "transport/transport.h"

/* What libpywatt-tls puts behind a `struct pywatt_tls`. As the slots of struct pw_transport_ops. */
struct pw_tls_ops {
    bool listens; /* it is a server's, else a client's */
    enum pywatt_status (*connect)(struct pywatt_tls *tls, const struct pw_endpoint *endpoint,
                                  uint64_t deadline_ns, int cancel_fd, struct pw_conn **out,
                                  struct pywatt_error *error);
    enum pywatt_status (*listen)(struct pywatt_tls *tls, const struct pw_endpoint *endpoint,
                                 struct pw_listener **out, struct pywatt_error *error);
    void (*acquire)(struct pywatt_tls *tls);
    void (*release)(struct pywatt_tls *tls);
};

/* First member of the real one. Shared by references. */
struct pywatt_tls {
    const struct pw_tls_ops *ops;
    uint32_t process; /* that made it; base/fork.h */
};

extern const struct pw_transport_ops pw_tls_transport;

/* NULL is allowed. PYWATT_OK, or PYWATT_FORKED: then it is the parent's, and nothing was touched. */
enum pywatt_status pw_tls_acquire(struct pywatt_tls *tls, struct pywatt_error *error);
void pw_tls_release(struct pywatt_tls *tls);

/*
 * Gives a tls: endpoint that is to be connected to, or listened at, what makes its connections; it
 * is borrowed. For any other endpoint nothing happens, but that a client that has TLS does not
 * connect to another machine without it. PYWATT_OK; PYWATT_INVALID_ARGUMENT (there is none, or it is made for the other side, or the
 * endpoint is plain; the text says what to do).
 */
enum pywatt_status pw_endpoint_secure(struct pw_endpoint *endpoint, bool for_listening,
                                      struct pywatt_tls *tls, struct pywatt_error *error);

#endif
