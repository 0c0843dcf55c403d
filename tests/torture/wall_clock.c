/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * wall_clock.c - to be preloaded: the time of day is off by as many seconds as the file says that
 * PYWATT_TEST_WALL_CLOCK names, eight bytes that may change while the program runs. The monotonic
 * clocks and all waiting are the kernel's own, so that what a step breaks is the program's fault.
 *
 * Any thread; the offset is read from memory that is shared with whoever writes the file.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

typedef int clock_function(clockid_t id, struct timespec *now);

static const _Atomic int64_t *offset_s;
static clock_function *real_clock;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("PYWATT_TEST_WALL_CLOCK");
    /* ISO C has no way from an object pointer to a function's. */
    *(void **)&real_clock = dlsym(RTLD_NEXT, "clock_gettime");
    const int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        void *map = mmap(NULL, sizeof(*offset_s), PROT_READ, MAP_SHARED, fd, 0);
        offset_s = map == MAP_FAILED ? NULL : map;
        close(fd);
    }
    if (offset_s == NULL || real_clock == NULL) {
        abort();
    }
}

int clock_gettime(clockid_t id, struct timespec *now)
{
    if (real_clock == NULL) {
        return -1; /* of a constructor before ours */
    }
    const int result = real_clock(id, now);
    if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        now->tv_sec += atomic_load_explicit(offset_s, memory_order_relaxed);
    }
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec precise;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &precise) != 0) {
        return -1;
    }
    *now = (struct timeval){.tv_sec = precise.tv_sec, .tv_usec = precise.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *out)
{
    struct timespec now = {.tv_sec = -1};
    clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL) {
        *out = now.tv_sec;
    }
    return now.tv_sec;
}
