/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* registration.h - what commands do with a registration: print it, keep it. Any thread. */
#ifndef CTL_REGISTRATION_H
#define CTL_REGISTRATION_H

#include "pywattctl/common.h"

/* Adds what the orchestrator said of a module; the token only if it is asked for. */
void ctl_record_registration(struct ctl_record *record, struct pywatt_registration *registration,
                             bool with_token);

/*
 * Writes it, with the endpoint and codec in use, to the file that the writer has prepared; the
 * writer is consumed. Returns 0 or an exit code.
 */
int ctl_save_registration(struct ctl_state_writer *writer, const struct ctl_common *common,
                          struct pywatt_registration *registration);

#endif
