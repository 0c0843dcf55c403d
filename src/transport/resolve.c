/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * resolve.c - looks names up on a helper thread, since getaddrinfo(3) can neither be bounded nor
 * interrupted.
 *
 * Threads: the caller and the helper share one job; each holds a reference, and who drops the last
 * one frees it. One lock, which is never destroyed, guards all jobs: look-ups are few, and a lock in
 * the job would be destroyed by one thread while the other is still leaving it. The caller owns the
 * eventfd and closes it when it leaves, so that a helper left behind holds no descriptor.
 */
#include "transport/resolve.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/sync.h"
#include "transport/endpoint.h"
#include "transport/socket.h"
#include "transport/words.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define JOBS_MAX 32
#define PORT_TEXT_MAX 6

struct job {
    char host[PW_ENDPOINT_HOST_MAX + 1];
    char port[PORT_TEXT_MAX];

    /* Under jobs_lock. */
    unsigned references;
    int wake_fd; /* -1 once the caller has left */
    bool done;
    int code;   /* of getaddrinfo */
    int number; /* errno that goes with EAI_SYSTEM */
    struct addrinfo *result;
};

static struct pw_mutex jobs_lock = {PTHREAD_MUTEX_INITIALIZER};
static unsigned jobs_running; /* helpers in all the process; under jobs_lock */

static bool jobs_enter(void)
{
    pw_mutex_lock(&jobs_lock);
    const bool room = jobs_running < JOBS_MAX;
    jobs_running += room;
    pw_mutex_unlock(&jobs_lock);
    return room;
}

static void jobs_leave(void)
{
    pw_mutex_lock(&jobs_lock);
    jobs_running--;
    pw_mutex_unlock(&jobs_lock);
}

static enum pywatt_status fail(const char *host, int code, int number, struct pywatt_error *error)
{
    if (code == EAI_MEMORY) {
        return pw_error_no_memory(error);
    }
    char words[PW_WORDS_ERRNO_MAX];
    return pw_error_set(error, PYWATT_CONNECTION, "%.100s cannot be resolved: %s", host,
                        code == EAI_SYSTEM ? pw_words_errno(number, words) : gai_strerror(code));
}

/* For PYWATT_TIMEOUT and PYWATT_CLOSED. */
static enum pywatt_status not_resolved(const char *host, enum pywatt_status status,
                                       struct pywatt_error *error)
{
    return pw_error_set(error, status, "%.100s was not resolved: %s", host,
                        status == PYWATT_CLOSED ? "cancelled" : "no answer in time");
}

static int look_up(const char *host, const char *port, int flags, struct addrinfo **out)
{
    const struct addrinfo hints = {
        .ai_flags = flags | AI_NUMERICSERV,
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
    };
    return getaddrinfo(host, port, &hints, out);
}

static void drop(struct job *job)
{
    pw_mutex_lock(&jobs_lock);
    const bool last = --job->references == 0;
    pw_mutex_unlock(&jobs_lock);
    if (!last) {
        return;
    }
    if (job->result != NULL) {
        freeaddrinfo(job->result);
    }
    free(job);
}

static void *helper_main(void *arg)
{
    struct job *const job = arg;
    struct addrinfo *result = NULL;
    const int code = look_up(job->host, job->port, 0, &result);
    const int number = errno;

    pw_mutex_lock(&jobs_lock);
    job->code = code;
    job->number = number;
    job->result = code == 0 ? result : NULL;
    job->done = true;
    if (job->wake_fd >= 0) {
        (void)eventfd_write(job->wake_fd, 1);
    }
    pw_mutex_unlock(&jobs_lock);
    drop(job);
    jobs_leave();
    return NULL;
}

static enum pywatt_status job_new(const char *host, const char *port, struct job **out,
                                  struct pywatt_error *error)
{
    struct job *const job = calloc(1, sizeof(*job));
    if (job == NULL) {
        return pw_error_no_memory(error);
    }
    job->references = 1;
    job->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (job->wake_fd < 0) {
        const int number = errno;
        drop(job);
        return fail(host, EAI_SYSTEM, number, error);
    }
    snprintf(job->host, sizeof(job->host), "%s", host);
    snprintf(job->port, sizeof(job->port), "%s", port);
    *out = job;
    return PYWATT_OK;
}

/* Starts the helper, which has a reference of its own. */
static enum pywatt_status job_start(struct job *job)
{
    pthread_t thread;
    job->references = 2;
    if (pw_thread_start(&thread, "pywatt-resolve", helper_main, job) != PYWATT_OK) {
        job->references = 1;
        return PYWATT_NO_MEMORY;
    }
    pthread_detach(thread);
    return PYWATT_OK;
}

/* Takes the answer if it has come, and leaves the job to the helper if it hasn't. */
static enum pywatt_status job_take(struct job *job, enum pywatt_status waited,
                                   struct addrinfo **out, struct pywatt_error *error)
{
    pw_mutex_lock(&jobs_lock);
    close(job->wake_fd);
    job->wake_fd = -1;
    const bool done = job->done && waited != PYWATT_CLOSED;
    const int code = job->code;
    const int number = job->number;
    if (done) {
        *out = job->result;
        job->result = NULL;
    }
    pw_mutex_unlock(&jobs_lock);

    if (!done) {
        return not_resolved(job->host, waited, error);
    }
    return code == 0 ? PYWATT_OK : fail(job->host, code, number, error);
}

/* The helper, once started, counts itself out of those that run. */
static enum pywatt_status start_job(const char *host, const char *port, struct job **out,
                                    struct pywatt_error *error)
{
    if (!jobs_enter()) {
        return pw_error_set(error, PYWATT_CONNECTION,
                            "%.100s cannot be resolved: %d look-ups are under way and hang", host,
                            JOBS_MAX);
    }
    enum pywatt_status status = job_new(host, port, out, error);
    if (status == PYWATT_OK && job_start(*out) != PYWATT_OK) {
        close((*out)->wake_fd);
        drop(*out);
        status = pw_error_no_memory(error);
    }
    if (status != PYWATT_OK) {
        jobs_leave();
    }
    return status;
}

enum pywatt_status pw_resolve(const char *host, uint16_t port, uint64_t deadline_ns, int cancel_fd,
                              struct addrinfo **out, struct pywatt_error *error)
{
    char port_text[PORT_TEXT_MAX];
    snprintf(port_text, sizeof(port_text), "%u", port);
    *out = NULL;
    const int code = look_up(host, port_text, AI_NUMERICHOST, out);
    if (code == 0) {
        return PYWATT_OK;
    }
    if (code != EAI_NONAME) {
        return fail(host, code, errno, error);
    }
    enum pywatt_status status = pw_deadline_check(deadline_ns, cancel_fd);
    if (status != PYWATT_OK) {
        return not_resolved(host, status, error);
    }
    struct job *job = NULL;
    status = start_job(host, port_text, &job, error);
    if (status != PYWATT_OK) {
        return status;
    }
    /* Nobody changes wake_fd before job_take does. */
    status = job_take(job, pw_fd_wait(job->wake_fd, POLLIN, deadline_ns, cancel_fd), out, error);
    drop(job);
    return status;
}
