/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * tls.c - finds the way from a "tls:" endpoint to the library that can make connections of it. No
 * state; any thread.
 */
#include "transport/tls.h"

#include "base/error.h"
#include "base/fork.h"
#include "transport/host_port.h"
#include "transport/tcp.h"
#include "transport/words.h"

#include <assert.h>

enum pywatt_status pw_tls_acquire(struct pywatt_tls *tls, struct pywatt_error *error)
{
    if (tls == NULL) {
        return PYWATT_OK;
    }
    if (pw_fork_is_child(tls->process)) {
        return pw_fork_refuse("object of options.tls", error);
    }
    tls->ops->acquire(tls);
    return PYWATT_OK;
}

void pw_tls_release(struct pywatt_tls *tls)
{
    if (tls != NULL) {
        tls->ops->release(tls);
    }
}

/* Why the endpoint cannot be used so, or NULL. */
static const char *fault_of(const struct pw_endpoint *endpoint, bool for_listening,
                            const struct pywatt_tls *tls)
{
    if (endpoint->transport != &pw_tls_transport) {
        return tls != NULL && !for_listening && endpoint->transport == &pw_tcp_transport
                   ? "options.tls is set, and this endpoint is not encrypted: tls: is needed"
                   : NULL;
    }
    if (tls == NULL) {
        return for_listening ? "options.tls is not set: make it with pywatt_tls_server_new "
                               "(libpywatt-tls), from a certificate and its key"
                             : "options.tls is not set: make it with pywatt_tls_client_new "
                               "(libpywatt-tls)";
    }
    if (tls->ops->listens != for_listening) {
        return for_listening ? "options.tls is a client's: make it with pywatt_tls_server_new"
                             : "options.tls is a server's: make it with pywatt_tls_client_new";
    }
    return NULL;
}

enum pywatt_status pw_endpoint_secure(struct pw_endpoint *endpoint, bool for_listening,
                                      struct pywatt_tls *tls, struct pywatt_error *error)
{
    const char *const fault = fault_of(endpoint, for_listening, tls);
    if (fault != NULL) {
        char quoted[PW_WORDS_URL_MAX];
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "%s: %s",
                            pw_words_url(endpoint->url, quoted), fault);
    }
    endpoint->tls = endpoint->transport == &pw_tls_transport ? tls : NULL;
    return PYWATT_OK;
}

static enum pywatt_status tls_connect(const struct pw_endpoint *endpoint, uint64_t deadline_ns,
                                      int cancel_fd, struct pw_conn **out,
                                      struct pywatt_error *error)
{
    assert(endpoint->tls != NULL);
    return endpoint->tls->ops->connect(endpoint->tls, endpoint, deadline_ns, cancel_fd, out, error);
}

static enum pywatt_status tls_listen(const struct pw_endpoint *endpoint, struct pw_listener **out,
                                     struct pywatt_error *error)
{
    assert(endpoint->tls != NULL);
    return endpoint->tls->ops->listen(endpoint->tls, endpoint, out, error);
}

const struct pw_transport_ops pw_tls_transport = {
    .scheme = "tls",
    .parse = pw_host_port_parse,
    .connect = tls_connect,
    .listen = tls_listen,
};
