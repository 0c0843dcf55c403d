/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See waiter.h. */
#include "pywattctl/waiter.h"

#include "common/report.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

int waiter_init(struct waiter *waiter)
{
    sigset_t signals;

    memset(waiter, 0, sizeof(*waiter));
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGUSR1);
    sigaddset(&signals, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    pthread_mutex_init(&waiter->lock, NULL);
    waiter->signal_fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    waiter->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (waiter->signal_fd < 0 || waiter->wake_fd < 0) {
        int reason = errno;
        waiter_destroy(waiter);
        return tool_fail(TOOL_EXIT_OTHER, PYWATT_IO, "no file descriptor is left: %s",
                         strerror(reason));
    }
    return 0;
}

void waiter_destroy(struct waiter *waiter)
{
    if (waiter->signal_fd >= 0) {
        close(waiter->signal_fd);
    }
    if (waiter->wake_fd >= 0) {
        close(waiter->wake_fd);
    }
    pthread_mutex_destroy(&waiter->lock);
}

uint64_t waiter_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t waiter_after_ms(uint64_t ms)
{
    uint64_t now = waiter_now_ns();

    return ms > (WAITER_FOREVER - now) / NS_PER_MS ? WAITER_FOREVER : now + ms * NS_PER_MS;
}

static int poll_ms(uint64_t deadline_ns)
{
    uint64_t now = waiter_now_ns();

    if (deadline_ns == WAITER_FOREVER) {
        return -1;
    }
    if (deadline_ns <= now) {
        return 0;
    }
    uint64_t ms = (deadline_ns - now + NS_PER_MS - 1) / NS_PER_MS;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

static void take_signals(struct waiter *waiter)
{
    struct signalfd_siginfo info;

    while (read(waiter->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        switch (info.ssi_signo) {
        case SIGUSR1: waiter->health_steps++; break;
        case SIGUSR2: waiter->health_steps--; break;
        default: waiter->stops++; break;
        }
    }
}

void waiter_sleep(struct waiter *waiter, uint64_t deadline_ns)
{
    struct pollfd fds[] = {{.fd = waiter->signal_fd, .events = POLLIN},
                           {.fd = waiter->wake_fd, .events = POLLIN}};
    uint64_t count = 0;

    if (poll(fds, 2, poll_ms(deadline_ns)) <= 0) {
        return;
    }
    if (fds[1].revents != 0 && read(waiter->wake_fd, &count, sizeof(count)) < 0) {
        return;
    }
    take_signals(waiter);
}

static void wake(struct waiter *waiter)
{
    uint64_t one = 1;

    /* It can only fail when the counter is full, and then the sleeper wakes anyway. */
    ssize_t written = write(waiter->wake_fd, &one, sizeof(one));
    (void)written;
}

void waiter_end(struct waiter *waiter)
{
    pthread_mutex_lock(&waiter->lock);
    waiter->ended = true;
    pthread_mutex_unlock(&waiter->lock);
    wake(waiter);
}

bool waiter_ended(struct waiter *waiter)
{
    pthread_mutex_lock(&waiter->lock);
    bool ended = waiter->ended;
    pthread_mutex_unlock(&waiter->lock);
    return ended || waiter->stops > 0;
}

void waiter_call_begin(struct waiter *waiter)
{
    pthread_mutex_lock(&waiter->lock);
    waiter->call_done = false;
    waiter->call_module = NULL;
    pthread_mutex_unlock(&waiter->lock);
}

void waiter_registered(void *user, enum pywatt_status status, const struct pywatt_error *error,
                       struct pywatt_module *module)
{
    struct waiter *waiter = user;

    pthread_mutex_lock(&waiter->lock);
    waiter->call_done = true;
    waiter->call_error = *error;
    waiter->call_error.status = status;
    waiter->call_module = module;
    pthread_mutex_unlock(&waiter->lock);
    wake(waiter);
}

void waiter_done(void *user, enum pywatt_status status, const struct pywatt_error *error)
{
    waiter_registered(user, status, error, NULL);
}

bool waiter_call_wait(struct waiter *waiter, int stops, uint64_t deadline_ns,
                      struct pywatt_error *error, struct pywatt_module **module)
{
    for (;;) {
        pthread_mutex_lock(&waiter->lock);
        bool done = waiter->call_done;
        if (done) {
            *error = waiter->call_error;
            *module = waiter->call_module;
            waiter->call_module = NULL;
        }
        pthread_mutex_unlock(&waiter->lock);
        if (done || waiter->stops >= stops || waiter_now_ns() >= deadline_ns) {
            return done;
        }
        waiter_sleep(waiter, deadline_ns);
    }
}
