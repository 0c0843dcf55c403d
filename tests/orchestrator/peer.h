/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * peer.h - a module as the wire shows it: one connection that sends requests in some codec and
 * reads the replies one by one. For tests of the orchestrator. A peer belongs to one thread at a
 * time; nothing here asserts, so any thread may use one.
 */
#ifndef PW_TESTS_PEER_H
#define PW_TESTS_PEER_H

#include "codec/codec.h"
#include "transport/transport.h"

#include <stdbool.h>

struct peer {
    struct pw_conn *conn;
    const struct pw_codec_ops *codec;
    struct pw_buffer in;
    struct pw_buffer out;
    struct pw_arena arena;
    struct pw_response response; /* of the last receive */
    char error[512];             /* its error text, NUL-terminated */
    uint8_t format_code;         /* of its frame */
    size_t frame_size;           /* the same */
    const char *unwanted;        /* a text that no reply may have in it; NULL: any may */
    bool met;                    /* one has */
    uint64_t next_id;
};

/* What a module has once it is registered. */
struct identity {
    struct pywatt_uuid id;
    char token[64];
    uint64_t generation;
    uint64_t lease_ms;
    uint64_t interval_ms;
    char host[64];
    uint16_t port;
};

/* `codec` is a name of the codecs' table, those included that only the wire chooses. */
bool peer_open(struct peer *peer, const char *url, const char *codec);
void peer_close(struct peer *peer);

/* Sends bytes as they are, however long it takes. False if the connection broke. */
bool peer_send_raw(struct peer *peer, const void *data, size_t len);

/* Sends a frame with this payload. */
bool peer_send_frame(struct peer *peer, uint8_t format_code, const char *payload);

/* Sends a request under a request id of its own, which request->request_id gets. */
bool peer_send(struct peer *peer, struct pw_request *request);

/* Appends a request as a frame to `out`, under a request id of its own; nothing is sent. */
bool peer_pack(struct peer *peer, struct pw_request *request, struct pw_buffer *out);

/*
 * Receives the next reply into peer->response. False at the end of the connection, when the reply
 * makes no sense, or when none comes for a long time.
 */
bool peer_receive(struct peer *peer);

/* True if the connection ends without another reply. */
bool peer_is_closed_by_other(struct peer *peer);

/* Nothing has come that was not read. */
bool peer_has_nothing(struct peer *peer);

/*
 * Sends a request and receives its reply, which must carry the request's id if the codec does that.
 * The status of the reply; PYWATT_CHANNEL if there was none, PYWATT_SERIALIZATION if it does not
 * belong to the request.
 */
enum pywatt_status peer_call(struct peer *peer, struct pw_request *request);

/* The same for each operation. `who` gets what a registration says. `id`, `token` may be NULL. */
enum pywatt_status peer_register(struct peer *peer, const char *name, struct identity *who);
enum pywatt_status peer_register_with(struct peer *peer, const char *name,
                                      const struct pywatt_uuid *id, const char *token,
                                      const char *lease_ms, struct identity *who);
enum pywatt_status peer_beat(struct peer *peer, const struct identity *who,
                             enum pywatt_health health);
enum pywatt_status peer_beat_with(struct peer *peer, const struct identity *who,
                                  enum pywatt_health health, uint64_t generation,
                                  struct pywatt_string_map *details);
enum pywatt_status peer_advertise(struct peer *peer, const struct identity *who, const char *path);
enum pywatt_status peer_tell(struct peer *peer, const struct identity *who,
                             struct pywatt_capabilities *capabilities);
enum pywatt_status peer_unregister(struct peer *peer, const struct identity *who);

/* The requests themselves, with borrowed contents; `info` and `caps` are the caller's to free. */
struct pw_request beat_of(const struct identity *who, enum pywatt_health health);
struct pw_request register_of(struct pywatt_module_info *info);

#endif
