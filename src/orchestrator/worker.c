/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * worker.c - the loop of a worker thread. mail_mutex guards the mailbox and nothing else; all other
 * state is the thread's own.
 */
#include "orchestrator/worker.h"

#include "base/clock.h"
#include "base/wake.h"
#include "codec/codec.h"
#include "orchestrator/admission.h"
#include "orchestrator/beat_run.h"
#include "orchestrator/in_force.h"
#include "orchestrator/options.h"
#include "orchestrator/pending.h"
#include "orchestrator/server.h"
#include "orchestrator/session.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    EVENTS_AT_ONCE = 256,
    OUT_KEPT = 256 * 1024,
    /* Each takes longer than hundreds of beats, and many may be ready to begin at the same moment. */
    OPENINGS_AT_ONCE = 4
};

#define OUT_LIMIT ((size_t)1 << 30)

/*
 * A batch of events may take long, and a beat in it must not count from when the batch began. The
 * clock is one of those that cost no system call.
 */
static void look_at_clock(struct pw_worker *worker)
{
    const struct pw_moment now = pw_lease_look(worker->server->lease);
    worker->now_ns = now.clock_ns;
    worker->lease_ns = now.lease_ns;
}

/* ---- The mailbox ---- */

void pw_worker_post(struct pw_worker *worker, struct pw_mail *mail)
{
    pw_mutex_lock(&worker->mail_mutex);
    const bool was_empty = pw_list_empty(&worker->mail);
    pw_list_append(&worker->mail, &mail->link);
    pw_mutex_unlock(&worker->mail_mutex);
    if (was_empty) {
        pw_wake(worker->wake_fd);
    }
}

static void deliver_all(struct pw_worker *worker)
{
    struct pw_list all;
    pw_list_init(&all);
    pw_mutex_lock(&worker->mail_mutex);
    pw_list_splice(&all, &worker->mail);
    pw_mutex_unlock(&worker->mail_mutex);
    struct pw_list *link;
    while ((link = pw_list_pop(&all)) != NULL) {
        struct pw_mail *mail = PW_CONTAINER_OF(link, struct pw_mail, link);
        look_at_clock(worker);
        mail->deliver(worker, mail);
    }
    pw_session_settle_all(worker);
}

void pw_worker_drain(struct pw_worker *worker)
{
    deliver_all(worker);
    pw_session_free_closed(worker);
}

static void on_wake(struct pw_worker *worker)
{
    /* Read first: mail that comes from now on wakes again. */
    pw_wake_taken(worker->wake_fd);
    deliver_all(worker);
}

/* ---- Passes: see lease.h ---- */

static void deliver_pass(struct pw_worker *worker, struct pw_mail *mail)
{
    (void)mail;
    worker->pass = PW_PASS_WANTED;
}

void pw_worker_ask_pass(struct pw_worker *worker)
{
    pw_worker_post(worker, &worker->pass_mail);
}

/*
 * Sockets that are ready come in turn, so after as many events as there are sockets each had its
 * turn; sooner, if fewer are ready than fit into a batch.
 */
static void begin_pass(struct pw_worker *worker)
{
    if (worker->pass == PW_PASS_WANTED) {
        worker->pass = PW_PASS_RUNNING;
        worker->pass_left = worker->session_count + worker->server->listener_count + 1;
    }
}

static void note_pass(struct pw_worker *worker, size_t events)
{
    if (worker->pass != PW_PASS_RUNNING) {
        return;
    }
    if (events < EVENTS_AT_ONCE || events >= worker->pass_left) {
        worker->pass = PW_PASS_NONE;
        pw_lease_pass_done(worker->server->lease);
    } else {
        worker->pass_left -= events;
    }
}

/* ---- Stopping ---- */

static void deliver_stop(struct pw_worker *worker, struct pw_mail *mail)
{
    (void)mail;
    worker->stopping = true;
    worker->stop_deadline_ns =
        pw_deadline_after_ms(worker->now_ns, worker->config->hooks.stop_timeout_ms);
    if (worker->index == 0) {
        pw_server_close_listeners(worker->server);
    }
    struct pw_list *link = worker->sessions.next;
    while (link != &worker->sessions) {
        struct pw_list *next = link->next;
        pw_session_wind_up(PW_CONTAINER_OF(link, struct pw_session, link));
        link = next;
    }
}

void pw_worker_stop(struct pw_worker *worker)
{
    pw_worker_post(worker, &worker->stop_mail);
}

static bool is_over(const struct pw_worker *worker)
{
    return worker->stopping &&
           (worker->session_count == 0 || worker->now_ns >= worker->stop_deadline_ns);
}

static void close_all(struct pw_worker *worker)
{
    while (!pw_list_empty(&worker->sessions)) {
        pw_session_close(PW_CONTAINER_OF(worker->sessions.next, struct pw_session, link));
    }
    pw_session_free_closed(worker);
    worker->ended = true;
}

/* ---- The loop ---- */

static int wait_ms(const struct pw_worker *worker)
{
    if (worker->pass == PW_PASS_RUNNING) {
        return 0;
    }
    uint64_t deadline_ns = worker->stopping ? worker->stop_deadline_ns : PW_DEADLINE_NEVER;
    uint64_t tick;
    if (pw_wheel_next(&worker->wheel, &tick) && tick < deadline_ns / PW_NS_PER_MS) {
        deadline_ns = tick * PW_NS_PER_MS;
    }
    const uint64_t now_ns = pw_clock_now_ns(worker->config->hooks.clock);
    return pw_deadline_poll_ms(now_ns, deadline_ns);
}

static void run_timers(struct pw_worker *worker)
{
    struct pw_list fired;
    pw_list_init(&fired);
    look_at_clock(worker);
    pw_wheel_advance(&worker->wheel, worker->now_ns / PW_NS_PER_MS, &fired);
    struct pw_list *link;
    while ((link = pw_list_pop(&fired)) != NULL) {
        struct pw_timer *timer = PW_CONTAINER_OF(link, struct pw_timer, link);
        if (timer == &worker->accept_timer) {
            pw_server_resume_accepting(worker->server);
        } else if (timer == &worker->pace_timer) {
            pw_admission_on_timer(worker);
        } else {
            pw_session_on_timer(PW_CONTAINER_OF(timer, struct pw_session, timer));
        }
    }
}

static void handle(struct pw_worker *worker, const struct epoll_event *event)
{
    struct pw_source *source = event->data.ptr;
    look_at_clock(worker);
    switch (source->kind) {
    case PW_SOURCE_MAILBOX: on_wake(worker); break;
    case PW_SOURCE_LISTENER: pw_server_accept(worker->server, source); break;
    case PW_SOURCE_SESSION:
        pw_session_on_event(PW_CONTAINER_OF(source, struct pw_session, source), event->events);
        break;
    }
}

static void *worker_main(void *arg)
{
    struct pw_worker *worker = arg;
    struct epoll_event events[EVENTS_AT_ONCE];
    while (!is_over(worker)) {
        begin_pass(worker);
        const int n = epoll_wait(worker->epoll_fd, events, EVENTS_AT_ONCE, wait_ms(worker));
        worker->openings_left = OPENINGS_AT_ONCE;
        for (int i = 0; i < n; i++) {
            handle(worker, &events[i]);
        }
        run_timers(worker);
        if (n >= 0) {
            note_pass(worker, (size_t)n);
        }
        pw_session_free_closed(worker);
        pw_buffer_trim(&worker->out, OUT_KEPT);
    }
    close_all(worker);
    pw_in_force_left(worker);
    return NULL;
}

enum pywatt_status pw_worker_start(struct pw_worker *worker)
{
    const enum pywatt_status status =
        pw_thread_start(&worker->thread, "pw-worker", worker_main, worker);
    worker->running = status == PYWATT_OK;
    return status;
}

void pw_worker_join(struct pw_worker *worker)
{
    if (worker->running) {
        pthread_join(worker->thread, NULL);
        worker->running = false;
    }
    worker->ended = true;
}

/* ---- Init and destroy ---- */

bool pw_worker_watch(struct pw_worker *worker, int operation, int fd, uint32_t events,
                     struct pw_source *source)
{
    struct epoll_event event = {.events = events, .data = {.ptr = source}};
    return epoll_ctl(worker->epoll_fd, operation, fd, &event) == 0;
}

void pw_worker_unwatch(struct pw_worker *worker, int fd)
{
    (void)epoll_ctl(worker->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

static void close_fd(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

static enum pywatt_status open_fds(struct pw_worker *worker)
{
    worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    worker->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (worker->epoll_fd < 0 || worker->wake_fd < 0 ||
        !pw_worker_watch(worker, EPOLL_CTL_ADD, worker->wake_fd, EPOLLIN, &worker->wake_source)) {
        close_fd(worker->epoll_fd);
        close_fd(worker->wake_fd);
        return PYWATT_IO;
    }
    return PYWATT_OK;
}

enum pywatt_status pw_worker_init(struct pw_worker *worker, struct pw_server *server,
                                  unsigned index)
{
    *worker = (struct pw_worker){.server = server, .index = index};
    worker->wake_source.kind = PW_SOURCE_MAILBOX;
    look_at_clock(worker);
    worker->pass_mail.deliver = deliver_pass;
    worker->stop_mail.deliver = deliver_stop;
    pw_list_init(&worker->mail);
    pw_list_init(&worker->sessions);
    pw_list_init(&worker->unproven);
    pw_list_init(&worker->closed);
    pw_list_init(&worker->unsettled);
    pw_list_init(&worker->spare_pendings);
    pw_list_init(&worker->pass_mail.link);
    pw_list_init(&worker->stop_mail.link);
    pw_timer_init(&worker->accept_timer);
    pw_timer_init(&worker->pace_timer);
    pw_wheel_init(&worker->wheel, worker->now_ns / PW_NS_PER_MS);
    pw_buffer_init(&worker->out, OUT_LIMIT);
    pw_arena_init(&worker->arena, PW_CODEC_ARENA_BUDGET);
    pw_request_init(&worker->request);
    pw_counters_init(&worker->counters);
    worker->scratch = malloc(PW_WORKER_HEADROOM + PW_WORKER_RECEIVE);
    worker->run = calloc(1, sizeof(*worker->run));
    enum pywatt_status status = PYWATT_NO_MEMORY;
    if (worker->scratch != NULL && worker->run != NULL) {
        status = pw_mutex_init(&worker->mail_mutex);
    }
    if (status == PYWATT_OK) {
        status = open_fds(worker);
        if (status != PYWATT_OK) {
            pw_mutex_destroy(&worker->mail_mutex);
        }
    }
    if (status != PYWATT_OK) {
        free(worker->scratch);
        free(worker->run);
        return status;
    }
    pw_in_force_begin(worker);
    return PYWATT_OK;
}

void pw_worker_destroy(struct pw_worker *worker)
{
    close(worker->epoll_fd);
    close(worker->wake_fd);
    /* Tokens have gone through it. */
    explicit_bzero(worker->scratch, PW_WORKER_HEADROOM + PW_WORKER_RECEIVE);
    free(worker->scratch);
    free(worker->run);
    pw_pending_free_spares(worker);
    pw_buffer_destroy(&worker->out);
    pw_arena_destroy(&worker->arena);
    pw_request_clear(&worker->request);
    pw_mutex_destroy(&worker->mail_mutex);
    pw_config_release(worker->config);
}
