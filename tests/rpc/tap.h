/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * tap.h - a connection that passes everything on to another one, counts, and can be told to
 * misbehave: one more implementation of struct pw_conn_ops.
 */
#ifndef PW_TESTS_RPC_TAP_H
#define PW_TESTS_RPC_TAP_H

#include "rig.h"

#include "transport/transport.h"

#include <semaphore.h>
#include <stdatomic.h>

struct tap {
    struct pw_conn conn;
    struct pw_conn *inner;
    atomic_uint sends;
    atomic_uint receives;
    atomic_size_t receive_at_most; /* bytes a call; 0: no limit */
    atomic_bool fail_sends;        /* PW_IO_ERROR, and nothing is sent */
    atomic_bool hold_sends;        /* after sending, wait for tap_let_go */
    sem_t held;                    /* posted by a send that waits */
    sem_t go;
    atomic_bool keeps_back; /* bytes are received ahead, and poll does not know of them */
    char kept[4096];
    size_t kept_len;
};

/* `inner` is consumed; `tap` is the caller's, and outlives the connection. */
struct pw_conn *tap_init(struct tap *tap, struct pw_conn *inner);
void tap_end(struct tap *tap);

/* rig_start, with the correlator's own end tapped. */
void rig_start_tapped(struct rig *rig, struct tap *tap);

void tap_wait_held(struct tap *tap);
void tap_let_go(struct tap *tap);

#endif
