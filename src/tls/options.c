/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * options.c - defaults and checks of the settings of TLS. No state; any thread.
 */
#include "base/error.h"
#include "tls/context.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define HANDSHAKE_MAX_MS 600000
#define HANDSHAKES_MAX 1000000

/* What the first version of the struct had. */
#define FIRST_SIZE                                           \
    (offsetof(struct pywatt_tls_options, handshakes_per_s) + \
     sizeof(((struct pywatt_tls_options *)NULL)->handshakes_per_s))

void pywatt_tls_options_init(struct pywatt_tls_options *options)
{
    if (options != NULL) {
        *options = (struct pywatt_tls_options){
            .size = sizeof(*options),
            .handshake_timeout_ms = 5000,
            .handshakes_per_s = 400,
        };
    }
}

static enum pywatt_status refuse(struct pywatt_error *error, const char *fault)
{
    return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "%s", fault);
}

static enum pywatt_status check_files(const struct pywatt_tls_options *o, bool listens,
                                      struct pywatt_error *error)
{
    if ((o->cert_file == NULL) != (o->key_file == NULL)) {
        return refuse(error, o->cert_file == NULL ? "TLS: there is a key_file, but no cert_file"
                                                  : "TLS: there is a cert_file, but no key_file");
    }
    if (listens && o->cert_file == NULL) {
        return refuse(error, "TLS: an orchestrator needs a certificate and its key: cert_file and "
                             "key_file are not set");
    }
    if (listens && o->server_name != NULL) {
        return refuse(error, "TLS: server_name is for clients");
    }
    if (o->server_name != NULL && o->server_name[0] == '\0') {
        return refuse(error, "TLS: server_name is empty");
    }
    if (o->server_name != NULL && strlen(o->server_name) > PW_ENDPOINT_HOST_MAX) {
        return refuse(error, "TLS: server_name is too long for the name of a host");
    }
    if (o->server_name != NULL && o->server_name[0] == '.') {
        return refuse(error,
                      "TLS: server_name begins with a point: it must be the name of one host");
    }
    return PYWATT_OK;
}

static enum pywatt_status check(const struct pywatt_tls_options *o, bool listens,
                                struct pywatt_error *error)
{
    if (o->handshake_timeout_ms == 0 || o->handshake_timeout_ms > HANDSHAKE_MAX_MS) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT,
                            "TLS: handshake_timeout_ms is %" PRIu32 ", must be from 1 to %d",
                            o->handshake_timeout_ms, HANDSHAKE_MAX_MS);
    }
    if (o->handshakes_per_s > HANDSHAKES_MAX) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT,
                            "TLS: handshakes_per_s is %" PRIu32 ", must be %d at most",
                            o->handshakes_per_s, HANDSHAKES_MAX);
    }
    return check_files(o, listens, error);
}

/* The texts of the struct, each of which is copied. */
static const size_t texts[] = {
    offsetof(struct pywatt_tls_options, ca_file),
    offsetof(struct pywatt_tls_options, cert_file),
    offsetof(struct pywatt_tls_options, key_file),
    offsetof(struct pywatt_tls_options, server_name),
};
#define TEXTS (sizeof(texts) / sizeof(texts[0]))

static const char **text_of(struct pywatt_tls_options *options, size_t i)
{
    return (const char **)(void *)((char *)options + texts[i]);
}

static enum pywatt_status copy_texts(struct pywatt_tls_options *options)
{
    bool failed = false;
    for (size_t i = 0; i < TEXTS; i++) {
        const char **const text = text_of(options, i);
        if (*text != NULL) {
            *text = failed ? NULL : strdup(*text);
            failed = failed || *text == NULL;
        }
    }
    if (failed) {
        pw_tls_options_clear(options);
    }
    return failed ? PYWATT_NO_MEMORY : PYWATT_OK;
}

enum pywatt_status pw_tls_options_read(const struct pywatt_tls_options *given, bool listens,
                                       struct pywatt_tls_options *out, struct pywatt_error *error)
{
    if (given == NULL) {
        return refuse(error, "TLS: the options are NULL");
    }
    if (given->size < FIRST_SIZE || given->size > sizeof(*out)) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT,
                            "TLS: options.size is %zu: fill the options with "
                            "pywatt_tls_options_init",
                            given->size);
    }
    pywatt_tls_options_init(out);
    memcpy(out, given, given->size);
    const enum pywatt_status status = check(out, listens, error);
    if (status != PYWATT_OK) {
        return status;
    }
    return copy_texts(out) == PYWATT_OK ? PYWATT_OK : pw_error_no_memory(error);
}

void pw_tls_options_clear(struct pywatt_tls_options *options)
{
    for (size_t i = 0; i < TEXTS; i++) {
        const char **const text = text_of(options, i);
        free((void *)(uintptr_t)*text);
        *text = NULL;
    }
}
