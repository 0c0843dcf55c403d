/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * files.c - an SSL_CTX from settings and files. No state; any thread. What is wrong with a file is
 * found here, not with the first connection.
 */
#include "base/error.h"
#include "base/log.h"
#include "tls/context.h"
#include "tls/verify.h"
#include "tls/words.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* The same for all orchestrators of this library: whose tickets they take is settled by their keys. */
static const unsigned char session_context[] = "pywatt";

/* ---- Files --------------------------------------------------------------------------------- */

/* Whether the file can be read at all; OpenSSL would not say why. */
static enum pywatt_status try_file(const char *option, const char *path, struct pywatt_error *error)
{
    FILE *const file = fopen(path, "re");
    bool good = file != NULL && (fgetc(file) != EOF || !ferror(file));
    const int number = errno;
    if (file != NULL) {
        fclose(file);
    }
    if (good) {
        return PYWATT_OK;
    }
    return number == ENOMEM ? pw_error_no_memory(error)
                            : pw_error_set(error, PYWATT_IO, "TLS: %s '%.100s': %s", option, path,
                                           strerrordesc_np(number));
}

static enum pywatt_status bad_file(const char *option, const char *path, const char *what,
                                   struct pywatt_error *error)
{
    return pw_tls_is_no_memory()
               ? pw_error_no_memory(error)
               : pw_error_set(error, PYWATT_INVALID_ARGUMENT, "TLS: %s '%.100s': %s (%s)", option,
                              path, what, pw_tls_reason());
}

/* Nobody is asked on a terminal for a passphrase. */
static int no_passphrase(char *buffer, int size, int writing, void *user)
{
    bool *const asked = user;
    (void)buffer;
    (void)size;
    (void)writing;
    *asked = true;
    return 0;
}

static void warn_of_age(const SSL_CTX *ctx, const char *path)
{
    const X509 *const own = SSL_CTX_get0_certificate(ctx);
    if (own == NULL) {
        return;
    }
    if (X509_cmp_current_time(X509_get0_notAfter(own)) < 0) {
        pw_log(PYWATT_LOG_WARNING, "TLS: our own certificate has expired: %s", path);
    } else if (X509_cmp_current_time(X509_get0_notBefore(own)) > 0) {
        pw_log(PYWATT_LOG_WARNING, "TLS: our own certificate is not valid yet: %s", path);
    }
}

static void warn_of_readers(const char *path)
{
    struct stat status;
    if (stat(path, &status) == 0 && (status.st_mode & S_IRWXO) != 0) {
        pw_log(PYWATT_LOG_WARNING, "TLS: everybody on this machine may use our key: %s", path);
    }
}

static enum pywatt_status read_key(SSL_CTX *ctx, const struct pywatt_tls_options *options,
                                   struct pywatt_error *error)
{
    bool asked = false;
    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
    SSL_CTX_set_default_passwd_cb_userdata(ctx, &asked);
    const bool read = SSL_CTX_use_PrivateKey_file(ctx, options->key_file, SSL_FILETYPE_PEM) == 1;
    SSL_CTX_set_default_passwd_cb_userdata(ctx, NULL);
    if (read && SSL_CTX_check_private_key(ctx) == 1) {
        warn_of_readers(options->key_file);
        return PYWATT_OK;
    }
    if (asked) {
        return pw_error_set(
            error, PYWATT_INVALID_ARGUMENT,
            "TLS: key_file '%.100s': it asks for a passphrase, and none can be given",
            options->key_file);
    }
    if (pw_tls_is_no_memory()) {
        return pw_error_no_memory(error);
    }
    if (read || ERR_GET_LIB(ERR_peek_last_error()) == ERR_LIB_X509) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT,
                            "TLS: key_file '%.80s' is not the key of the certificate in '%.80s'",
                            options->key_file, options->cert_file);
    }
    return bad_file("key_file", options->key_file, "there is no private key in it", error);
}

static enum pywatt_status read_own(SSL_CTX *ctx, const struct pywatt_tls_options *options,
                                   struct pywatt_error *error)
{
    if (options->cert_file == NULL) {
        return PYWATT_OK;
    }
    enum pywatt_status status = try_file("cert_file", options->cert_file, error);
    if (status == PYWATT_OK) {
        status = try_file("key_file", options->key_file, error);
    }
    if (status != PYWATT_OK) {
        return status;
    }
    if (SSL_CTX_use_certificate_chain_file(ctx, options->cert_file) != 1) {
        return bad_file("cert_file", options->cert_file, "there is no certificate in it", error);
    }
    status = read_key(ctx, options, error);
    if (status == PYWATT_OK) {
        warn_of_age(ctx, options->cert_file);
    }
    return status;
}

/* The names of these CAs are shown to clients, which may choose a certificate by them. */
static enum pywatt_status name_cas(SSL_CTX *ctx, const char *path, struct pywatt_error *error)
{
    STACK_OF(X509_NAME) *const names = SSL_load_client_CA_file(path);
    if (names == NULL) {
        return bad_file("ca_file", path, "there is no certificate in it", error);
    }
    SSL_CTX_set_client_CA_list(ctx, names);
    return PYWATT_OK;
}

static enum pywatt_status read_cas(SSL_CTX *ctx, const struct pywatt_tls_options *options,
                                   bool listens, struct pywatt_error *error)
{
    if (options->ca_file == NULL) {
        if (listens || SSL_CTX_set_default_verify_paths(ctx) == 1) {
            return PYWATT_OK;
        }
        return pw_tls_is_no_memory()
                   ? pw_error_no_memory(error)
                   : pw_error_set(error, PYWATT_IO, "TLS: the CAs of the system cannot be read: %s",
                                  pw_tls_reason());
    }
    const enum pywatt_status status = try_file("ca_file", options->ca_file, error);
    if (status != PYWATT_OK) {
        return status;
    }
    if (SSL_CTX_load_verify_file(ctx, options->ca_file) != 1) {
        return bad_file("ca_file", options->ca_file, "there is no certificate in it", error);
    }
    return listens ? name_cas(ctx, options->ca_file, error) : PYWATT_OK;
}

/* Of 1.2; those of 1.3 are all good. */
#define TLS12_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL"

/* ---- Settings ------------------------------------------------------------------------------ */

static bool set_common(SSL_CTX *ctx, const struct pywatt_tls_options *options)
{
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(ctx, 1); /* one recv(2) for a record, not two */
    /* The system's own settings may allow others, without any certificate. */
    return SSL_CTX_set_cipher_list(ctx, TLS12_CIPHERS) == 1 &&
           SSL_CTX_set_min_proto_version(ctx, options->allow_tls12 ? TLS1_2_VERSION
                                                                   : TLS1_3_VERSION) == 1;
}

static bool set_server(SSL_CTX *ctx, const struct pywatt_tls_options *options)
{
    /* Many connections, most of them idle: their buffers are given back. */
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets are enough */
    if (options->ca_file != NULL) {
        SSL_CTX_set_verify(
            ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT | SSL_VERIFY_CLIENT_ONCE,
            pw_tls_verify);
    }
    return SSL_CTX_set_session_ticket_cb(ctx, pw_tls_give_ticket, pw_tls_take_ticket, NULL) == 1 &&
           SSL_CTX_set_session_id_context(ctx, session_context, sizeof(session_context) - 1) == 1 &&
           SSL_CTX_set_num_tickets(ctx, 1) == 1; /* clients keep the last one */
}

static void set_client(SSL_CTX *ctx)
{
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, pw_tls_new_session);
    SSL_CTX_set_cert_cb(ctx, pw_tls_certificate_wanted, NULL);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, pw_tls_verify);
}

static bool set_all(SSL_CTX *ctx, const struct pywatt_tls_options *options, bool listens)
{
    if (!set_common(ctx, options)) {
        return false;
    }
    if (listens) {
        return set_server(ctx, options);
    }
    set_client(ctx);
    return true;
}

enum pywatt_status pw_tls_read_files(const struct pywatt_tls_options *options, bool listens,
                                     SSL_CTX **out, struct pywatt_error *error)
{
    ERR_clear_error();
    SSL_CTX *const ctx = SSL_CTX_new(listens ? TLS_server_method() : TLS_client_method());
    if (ctx == NULL || !set_all(ctx, options, listens)) {
        const enum pywatt_status failed =
            pw_tls_is_no_memory()
                ? pw_error_no_memory(error)
                : pw_error_set(error, PYWATT_UNSUPPORTED, "TLS: %s", pw_tls_reason());
        ERR_clear_error();
        SSL_CTX_free(ctx);
        return failed;
    }
    enum pywatt_status status = read_own(ctx, options, error);
    if (status == PYWATT_OK) {
        status = read_cas(ctx, options, listens, error);
    }
    ERR_clear_error();
    if (status != PYWATT_OK) {
        SSL_CTX_free(ctx);
        return status;
    }
    *out = ctx;
    return PYWATT_OK;
}
