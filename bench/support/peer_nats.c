/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * peer_nats.c - NATS through libnats: a sign of life is a request, which somebody on a connection of
 * his own answers with the same bytes. Built only where libnats is; the library needs none of it.
 *
 * The callers share one connection, as threads of one process would; the answers come from a thread
 * of libnats. What is shared is made by the first caller and ended by the last, both by the main
 * thread.
 */
#include "support/peer_private.h"

#include "support/check.h"

#include <string.h>

static void add_command(struct bench_command *command, const char *folder, uint16_t port)
{
    (void)folder;
    bench_command_add(command, "-a");
    bench_command_add(command, "127.0.0.1");
    bench_command_add(command, "-p");
    bench_command_add(command, "%u", (unsigned)port);
}

#ifdef BENCH_HAVE_NATS

#include <nats/nats.h>
#include <sys/socket.h>

#define TIMEOUT_MS 30000

static natsConnection *asking;
static natsConnection *answering;
static natsSubscription *subscription;
static unsigned callers;

static void check(natsStatus status, const char *what)
{
    bench_check(status == NATS_OK, "nats, %s: %s", what, natsStatus_GetText(status));
}

static bool ready(int fd)
{
    char text[5];

    return recv(fd, text, sizeof(text), MSG_WAITALL) == (ssize_t)sizeof(text) &&
           memcmp(text, "INFO ", sizeof(text)) == 0;
}

static void answer(natsConnection *connection, natsSubscription *from, natsMsg *message, void *user)
{
    (void)from;
    (void)user;
    check(natsConnection_Publish(connection, natsMsg_GetReply(message), natsMsg_GetData(message),
                                 natsMsg_GetDataLength(message)),
          "answering");
    natsMsg_Destroy(message);
}

static natsConnection *connect_to(uint16_t port)
{
    natsOptions *options = NULL;
    natsConnection *connection = NULL;
    char url[64];

    snprintf(url, sizeof(url), "nats://127.0.0.1:%u", (unsigned)port);
    check(natsOptions_Create(&options), "options");
    check(natsOptions_SetURL(options, url), "URL");
    /* Else a background thread writes, a little later. */
    check(natsOptions_SetSendAsap(options, true), "send at once");
    check(natsConnection_Connect(&connection, options), "connecting");
    natsOptions_Destroy(options);
    return connection;
}

static void *open_caller(struct bench_peer *peer)
{
    unsigned *number = calloc(1, sizeof(*number));

    bench_check(number != NULL, "out of memory");
    if (callers++ == 0) {
        asking = connect_to(peer->port);
        answering = connect_to(peer->port);
        check(natsConnection_Subscribe(&subscription, answering, "alive", answer, NULL),
              "subscribing");
        check(natsConnection_Flush(answering), "subscribing");
    }
    *number = callers << 20;
    return number;
}

static void call(void *user)
{
    unsigned *number = user;
    natsMsg *reply = NULL;

    (*number)++;
    check(natsConnection_Request(&reply, asking, "alive", number, sizeof(*number), TIMEOUT_MS),
          "a request");
    bench_check(natsMsg_GetDataLength(reply) == (int)sizeof(*number) &&
                    memcmp(natsMsg_GetData(reply), number, sizeof(*number)) == 0,
                "nats: a wrong reply");
    natsMsg_Destroy(reply);
}

static void close_caller(void *user)
{
    free(user);
    if (--callers == 0) {
        natsSubscription_Destroy(subscription);
        natsConnection_Destroy(answering);
        natsConnection_Destroy(asking);
        nats_Close();
    }
}

#define USABLE true
#define MISSING "nats-server is not installed"

#else

static bool ready(int fd)
{
    (void)fd;
    return false;
}

static void *open_caller(struct bench_peer *peer)
{
    (void)peer;
    return NULL;
}

static void call(void *user)
{
    (void)user;
}

static void close_caller(void *user)
{
    (void)user;
}

#define USABLE false
#define MISSING "this build found no libnats (package libnats-dev)"

#endif

const struct bench_peer_ops bench_peer_nats = {
    .name = "nats",
    .call_name = "nats request",
    .program = "nats-server",
    .missing = MISSING,
    .usable = USABLE,
    .command = add_command,
    .ready = ready,
    .open = open_caller,
    .call = call,
    .close = close_caller,
};
