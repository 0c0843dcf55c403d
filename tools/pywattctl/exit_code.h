/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* exit_code.h - how pywattctl ends, by status. The table in docs/ERRORS.md is compared with it. */
#ifndef CTL_EXIT_CODE_H
#define CTL_EXIT_CODE_H

#include "common/report.h"

enum ctl_exit {
    /* 0, 1 and 2 stand in common/report.h */
    CTL_EXIT_CONNECTION = 3,
    CTL_EXIT_REFUSED = 4,
    CTL_EXIT_MODULE_NOT_FOUND = 5,
    CTL_EXIT_INVALID_TOKEN = 6,
    CTL_EXIT_TIMEOUT = 7
};

int ctl_exit_code(enum pywatt_status status);

/* Says what the library reported and returns the code for it. */
int ctl_fail(const struct pywatt_error *error);

#endif
