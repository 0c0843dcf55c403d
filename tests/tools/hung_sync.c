/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * hung_sync.c - to be preloaded: once the file is there that PYWATT_TEST_HUNG_SYNC names, whoever brings
 * something to the disk waits until the process ends, and says so before. Any thread; no state.
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int sync_or_hang(long number, int fd)
{
    static const char text[] = "a sync hangs\n";
    const char *path = getenv("PYWATT_TEST_HUNG_SYNC");
    if (path != NULL && access(path, F_OK) == 0) {
        (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
        for (;;) {
            pause();
        }
    }
    return (int)syscall(number, fd);
}

int fdatasync(int fd)
{
    return sync_or_hang(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    return sync_or_hang(SYS_fsync, fd);
}
