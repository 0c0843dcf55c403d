/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See pin.h. Where there is only one processor, or the kernel says no, nothing happens. */
#include "support/pin.h"

#include <sched.h>

/* To the first processor that this process may use, or to the last. */
static void pin(int last)
{
    static cpu_set_t allowed;
    static int known;
    int chosen = -1;

    if (!known && sched_getaffinity(0, sizeof(allowed), &allowed) != 0) {
        return;
    }
    known = 1;
    for (int i = 0; i < CPU_SETSIZE && (chosen < 0 || last); i++) {
        chosen = CPU_ISSET((unsigned)i, &allowed) ? i : chosen;
    }
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET((unsigned)chosen, &only);
    (void)sched_setaffinity(0, sizeof(only), &only);
}

void bench_pin_answerers(void)
{
    pin(1);
}

void bench_pin_caller(void)
{
    pin(0);
}
