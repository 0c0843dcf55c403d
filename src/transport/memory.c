/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * memory.c - connections within the process: socket pairs, and a table of the names at which
 * somebody listens.
 *
 * One lock guards the table and the queues of all listeners; each listener's eventfd counts what is
 * in its queue, under the same lock. Connections have no lock and touch no table.
 */
#include "transport/memory.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/list.h"
#include "base/sync.h"
#include "transport/socket.h"
#include "transport/words.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define PEER_NAME_MAX (sizeof("memory:") + PW_ENDPOINT_PATH_MAX)

/* The other end of a connection that waits to be accepted. */
struct waiting {
    struct pw_list link;
    struct pw_conn *conn;
};

struct memory_listener {
    struct pw_listener listener;
    int event_fd;
    char name[PW_ENDPOINT_PATH_MAX + 1];
    /* Under table_lock. */
    struct pw_list in_table;
    struct pw_list queue;
    size_t queued;
};

static struct pw_mutex table_lock = {PTHREAD_MUTEX_INITIALIZER};
static struct pw_list table = {&table, &table}; /* under table_lock */

static const struct pw_conn_ops memory_conn_ops;
static const struct pw_listener_ops memory_listener_ops;

static enum pywatt_status memory_parse(const char *rest, bool for_listening,
                                       struct pw_endpoint *out, struct pywatt_error *error)
{
    (void)for_listening;
    const size_t len = strlen(rest);
    if (len == 0) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "the name is missing: memory:name");
    }
    if (len > PW_ENDPOINT_PATH_MAX) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT,
                            "the name is too long: %zu bytes, at most %d", len,
                            PW_ENDPOINT_PATH_MAX);
    }
    memcpy(out->path, rest, len + 1);
    return PYWATT_OK;
}

static struct memory_listener *memory_of(struct pw_listener *listener)
{
    return PW_CONTAINER_OF(listener, struct memory_listener, listener);
}

static struct memory_listener *find_locked(const char *name)
{
    for (struct pw_list *at = table.next; at != &table; at = at->next) {
        struct memory_listener *const listener =
            PW_CONTAINER_OF(at, struct memory_listener, in_table);
        if (strcmp(listener->name, name) == 0) {
            return listener;
        }
    }
    return NULL;
}

/* ---- Connections --------------------------------------------------------------------------- */

static enum pywatt_status make_pair(const char *peer, struct pw_conn **a, struct pw_conn **b,
                                    struct pywatt_error *error)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) {
        char words[PW_WORDS_ERRNO_MAX];
        return pw_error_set(error, PYWATT_IO, "a socket pair cannot be made: %s",
                            pw_words_errno(errno, words));
    }
    enum pywatt_status status = pw_socket_new(&memory_conn_ops, fds[0], peer, a, error);
    if (status != PYWATT_OK) {
        close(fds[1]);
        return status;
    }
    status = pw_socket_new(&memory_conn_ops, fds[1], peer, b, error);
    if (status != PYWATT_OK) {
        pw_socket_destroy(*a);
    }
    return status;
}

enum pywatt_status pw_memory_pair(struct pw_conn **a, struct pw_conn **b,
                                  struct pywatt_error *error)
{
    return make_pair("memory:pair", a, b, error);
}

/* Queues `waiting`; NULL, or why that cannot be. */
static const char *enqueue(const char *name, struct waiting *waiting)
{
    const char *fault = NULL;
    pw_mutex_lock(&table_lock);
    struct memory_listener *const listener = find_locked(name);
    if (listener == NULL) {
        fault = "nobody in this process listens there";
    } else if (listener->queued >= PW_LISTEN_BACKLOG) {
        fault = "too many connections wait to be accepted";
    } else if (eventfd_write(listener->event_fd, 1) != 0) {
        fault = "the listener cannot be woken";
    } else {
        pw_list_append(&listener->queue, &waiting->link);
        listener->queued++;
    }
    pw_mutex_unlock(&table_lock);
    return fault;
}

static enum pywatt_status cannot_connect(const char *url, enum pywatt_status status,
                                         const char *why, struct pywatt_error *error)
{
    char quoted[PW_WORDS_URL_MAX];
    return pw_error_set(error, status, "cannot connect to %s: %s", pw_words_url(url, quoted), why);
}

static enum pywatt_status memory_connect(const struct pw_endpoint *endpoint, uint64_t deadline_ns,
                                         int cancel_fd, struct pw_conn **out,
                                         struct pywatt_error *error)
{
    enum pywatt_status status = pw_deadline_check(deadline_ns, cancel_fd);
    if (status != PYWATT_OK) {
        return cannot_connect(endpoint->url, status,
                              status == PYWATT_CLOSED ? "cancelled" : "the deadline has passed",
                              error);
    }
    struct waiting *const waiting = malloc(sizeof(*waiting));
    if (waiting == NULL) {
        return pw_error_no_memory(error);
    }
    char name[PEER_NAME_MAX];
    snprintf(name, sizeof(name), "memory:%s", endpoint->path);
    struct pw_conn *ours = NULL;
    struct pywatt_error why;
    status = make_pair(name, &ours, &waiting->conn, &why);
    if (status != PYWATT_OK) {
        free(waiting);
        return status == PYWATT_NO_MEMORY
                   ? pw_error_no_memory(error)
                   : cannot_connect(endpoint->url, PYWATT_CONNECTION, why.text, error);
    }
    pw_fd_be_patient(pw_conn_fd(ours));
    const char *const fault = enqueue(endpoint->path, waiting);
    if (fault != NULL) {
        pw_socket_destroy(ours);
        pw_socket_destroy(waiting->conn);
        free(waiting);
        return cannot_connect(endpoint->url, PYWATT_CONNECTION, fault, error);
    }
    *out = ours;
    return PYWATT_OK;
}

/* ---- Listeners ----------------------------------------------------------------------------- */

static enum pywatt_status cannot_listen(const char *url, const char *why,
                                        struct pywatt_error *error)
{
    char quoted[PW_WORDS_URL_MAX];
    return pw_error_set(error, PYWATT_IO, "cannot listen at %s: %s", pw_words_url(url, quoted),
                        why);
}

/* Puts the listener into the table, unless its name is in use. */
static bool publish(struct memory_listener *listener)
{
    pw_mutex_lock(&table_lock);
    const bool is_free = find_locked(listener->name) == NULL;
    if (is_free) {
        pw_list_append(&table, &listener->in_table);
    }
    pw_mutex_unlock(&table_lock);
    return is_free;
}

static enum pywatt_status memory_listen(const struct pw_endpoint *endpoint,
                                        struct pw_listener **out, struct pywatt_error *error)
{
    struct memory_listener *const memory = calloc(1, sizeof(*memory));
    if (memory == NULL) {
        return pw_error_no_memory(error);
    }
    memory->listener.ops = &memory_listener_ops;
    strcpy(memory->name, endpoint->path); /* same size */
    pw_list_init(&memory->in_table);
    pw_list_init(&memory->queue);
    memory->event_fd = eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC);
    if (memory->event_fd < 0) {
        char words[PW_WORDS_ERRNO_MAX];
        const char *const why = pw_words_errno(errno, words);
        free(memory);
        return cannot_listen(endpoint->url, why, error);
    }
    if (!publish(memory)) {
        close(memory->event_fd);
        free(memory);
        return cannot_listen(
            endpoint->url, "address in use: somebody in this process listens there already", error);
    }
    *out = &memory->listener;
    return PYWATT_OK;
}

static enum pw_io memory_accept(struct pw_listener *listener, struct pw_conn **out,
                                struct pywatt_error *error)
{
    (void)error;
    struct memory_listener *const memory = memory_of(listener);
    pw_mutex_lock(&table_lock);
    struct pw_list *const first = pw_list_pop(&memory->queue);
    if (first != NULL) {
        eventfd_t one;
        memory->queued--;
        (void)eventfd_read(memory->event_fd, &one);
    }
    pw_mutex_unlock(&table_lock);
    if (first == NULL) {
        return PW_IO_AGAIN;
    }
    struct waiting *const waiting = PW_CONTAINER_OF(first, struct waiting, link);
    *out = waiting->conn;
    free(waiting);
    return PW_IO_OK;
}

static int memory_fd(struct pw_listener *listener)
{
    return memory_of(listener)->event_fd;
}

static void memory_url(struct pw_listener *listener, char *out, size_t size)
{
    snprintf(out, size, "memory:%s", memory_of(listener)->name);
}

static void memory_destroy(struct pw_listener *listener)
{
    struct memory_listener *const memory = memory_of(listener);
    pw_mutex_lock(&table_lock);
    pw_list_remove(&memory->in_table);
    pw_mutex_unlock(&table_lock);
    /* Nobody finds it any more, so the queue is ours. */
    for (struct pw_list *at = pw_list_pop(&memory->queue); at != NULL;
         at = pw_list_pop(&memory->queue)) {
        struct waiting *const waiting = PW_CONTAINER_OF(at, struct waiting, link);
        pw_socket_destroy(waiting->conn);
        free(waiting);
    }
    close(memory->event_fd);
    free(memory);
}

static const struct pw_conn_ops memory_conn_ops = {
    .receive = pw_socket_receive,
    .receive_patiently = pw_socket_receive_patiently,
    .send = pw_socket_send,
    .buffered = pw_socket_buffered,
    .fd = pw_socket_fd,
    .poll_events = pw_socket_poll_events,
    .shutdown = pw_socket_shutdown,
    .local_address = pw_socket_no_address,
    .peer_name = pw_socket_peer_name,
    .destroy = pw_socket_destroy,
};

static const struct pw_listener_ops memory_listener_ops = {
    .accept = memory_accept,
    .fd = memory_fd,
    .url = memory_url,
    .destroy = memory_destroy,
};

const struct pw_transport_ops pw_memory_transport = {
    .scheme = "memory",
    .parse = memory_parse,
    .connect = memory_connect,
    .listen = memory_listen,
};
