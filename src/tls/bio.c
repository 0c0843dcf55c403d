/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * bio.c - how OpenSSL reaches a connection's socket: it never blocks, raises no SIGPIPE, and takes
 * what somebody has received patiently before it asks the kernel. Under the connection's lock.
 */
#include "tls/conn.h"
#include "transport/socket.h"

#include <openssl/bio.h>
#include <string.h>

static size_t take_raw(struct pw_tls_conn *c, char *out, size_t len)
{
    const size_t taken = len < c->raw_len ? len : c->raw_len;
    memcpy(out, c->raw + c->raw_start, taken);
    c->raw_start += taken;
    c->raw_len -= taken;
    return taken;
}

static enum pw_io receive_within(struct pw_tls_call *call, int fd, char *out, size_t len,
                                 size_t *got)
{
    const size_t most = len < call->budget ? len : call->budget;
    const enum pw_io result = pw_fd_receive(fd, out, most, got, &call->error);
    call->budget -= *got;
    return result;
}

static int bio_read(BIO *bio, char *out, int len)
{
    struct pw_tls_conn *const c = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (len <= 0) {
        return 0;
    }
    if (c->raw_len > 0) {
        c->heard = true;
        return (int)take_raw(c, out, (size_t)len);
    }
    size_t got = 0;
    const enum pw_io result = c->waiting || c->call->budget == 0
                                  ? PW_IO_AGAIN
                                  : receive_within(c->call, c->fd, out, (size_t)len, &got);
    switch (result) {
    case PW_IO_OK: c->heard = true; return (int)got;
    case PW_IO_AGAIN: BIO_set_retry_read(bio); return -1;
    case PW_IO_EOF: c->eof = true; return 0;
    case PW_IO_ERROR: break;
    }
    c->call->io_failed = true;
    return -1;
}

static int bio_write(BIO *bio, const char *data, int len)
{
    struct pw_tls_conn *const c = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (len <= 0) {
        return 0;
    }
    const struct iovec piece = {.iov_base = (void *)(uintptr_t)data, .iov_len = (size_t)len};
    size_t sent = 0;
    switch (pw_fd_send(c->fd, &piece, 1, &sent, &c->call->error)) {
    case PW_IO_OK: return (int)sent;
    case PW_IO_AGAIN: BIO_set_retry_write(bio); return -1;
    case PW_IO_EOF:
    case PW_IO_ERROR: break;
    }
    c->call->io_failed = true;
    return -1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    const struct pw_tls_conn *const c = BIO_get_data(bio);
    (void)number;
    (void)pointer;
    switch (command) {
    case BIO_CTRL_FLUSH: return 1;
    case BIO_CTRL_EOF: return c->eof;
    default: return 0;
    }
}

static BIO_METHOD *make_method(void)
{
    BIO_METHOD *const made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "pywatt");
    if (made != NULL &&
        (BIO_meth_set_read(made, bio_read) != 1 || BIO_meth_set_write(made, bio_write) != 1 ||
         BIO_meth_set_ctrl(made, bio_ctrl) != 1)) {
        BIO_meth_free(made);
        return NULL;
    }
    return made;
}

/* Made once, and kept for ever: connections may come at any time. NULL when memory is out. */
static BIO_METHOD *the_method(void)
{
    static _Atomic(BIO_METHOD *) method;
    BIO_METHOD *known = atomic_load(&method);
    if (known != NULL) {
        return known;
    }
    BIO_METHOD *const made = make_method();
    if (made != NULL && !atomic_compare_exchange_strong(&method, &known, made)) {
        BIO_meth_free(made);
        return known;
    }
    return made;
}

BIO *pw_tls_bio_new(struct pw_tls_conn *c)
{
    BIO_METHOD *const method = the_method();
    BIO *const bio = method == NULL ? NULL : BIO_new(method);
    if (bio != NULL) {
        BIO_set_data(bio, c);
        BIO_set_init(bio, 1);
    }
    return bio;
}
