/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * dispatcher.c - the queue of callbacks that are to run. Any thread posts; the dispatcher thread
 * runs. `lock` guards all of it, and is not held while a job runs.
 */
#include "registry/dispatcher.h"

enum pywatt_status pw_dispatcher_init(struct pw_dispatcher *dispatcher)
{
    pw_list_init(&dispatcher->jobs);
    dispatcher->promised = 0;
    dispatcher->closed = false;
    if (pw_mutex_init(&dispatcher->lock) != PYWATT_OK) {
        return PYWATT_NO_MEMORY;
    }
    if (pw_cond_init(&dispatcher->wake) != PYWATT_OK) {
        pw_mutex_destroy(&dispatcher->lock);
        return PYWATT_NO_MEMORY;
    }
    return PYWATT_OK;
}

void pw_dispatcher_destroy(struct pw_dispatcher *dispatcher)
{
    pw_cond_destroy(&dispatcher->wake);
    pw_mutex_destroy(&dispatcher->lock);
}

bool pw_dispatcher_promise(struct pw_dispatcher *dispatcher)
{
    pw_mutex_lock(&dispatcher->lock);
    const bool open = !dispatcher->closed;
    if (open) {
        dispatcher->promised++;
    }
    pw_mutex_unlock(&dispatcher->lock);
    return open;
}

void pw_dispatcher_redeem(struct pw_dispatcher *dispatcher, struct pw_job *job)
{
    pw_mutex_lock(&dispatcher->lock);
    dispatcher->promised--;
    pw_list_append(&dispatcher->jobs, &job->link);
    pw_cond_signal(&dispatcher->wake);
    pw_mutex_unlock(&dispatcher->lock);
}

void pw_dispatcher_release(struct pw_dispatcher *dispatcher)
{
    pw_mutex_lock(&dispatcher->lock);
    dispatcher->promised--;
    pw_cond_signal(&dispatcher->wake);
    pw_mutex_unlock(&dispatcher->lock);
}

bool pw_dispatcher_post(struct pw_dispatcher *dispatcher, struct pw_job *job)
{
    pw_mutex_lock(&dispatcher->lock);
    const bool open = !dispatcher->closed;
    if (open) {
        pw_list_append(&dispatcher->jobs, &job->link);
        pw_cond_signal(&dispatcher->wake);
    }
    pw_mutex_unlock(&dispatcher->lock);
    return open;
}

void pw_dispatcher_close(struct pw_dispatcher *dispatcher)
{
    pw_mutex_lock(&dispatcher->lock);
    dispatcher->closed = true;
    pw_cond_signal(&dispatcher->wake);
    pw_mutex_unlock(&dispatcher->lock);
}

/* Waits for a job; NULL when there will be none any more. */
static struct pw_job *next_job_locked(struct pw_dispatcher *dispatcher)
{
    for (;;) {
        struct pw_list *first = pw_list_pop(&dispatcher->jobs);
        if (first != NULL) {
            return PW_CONTAINER_OF(first, struct pw_job, link);
        }
        if (dispatcher->closed && dispatcher->promised == 0) {
            return NULL;
        }
        pw_cond_wait(&dispatcher->wake, &dispatcher->lock);
    }
}

void pw_dispatcher_run(struct pw_dispatcher *dispatcher)
{
    pw_mutex_lock(&dispatcher->lock);
    for (;;) {
        struct pw_job *job = next_job_locked(dispatcher);
        if (job == NULL) {
            break;
        }
        pw_mutex_unlock(&dispatcher->lock);
        job->run(job);
        pw_mutex_lock(&dispatcher->lock);
    }
    pw_mutex_unlock(&dispatcher->lock);
}
