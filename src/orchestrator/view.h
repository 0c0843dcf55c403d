/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * view.h - copies of what the table knows of modules, for the application. Any thread.
 */
#ifndef PW_ORCHESTRATOR_VIEW_H
#define PW_ORCHESTRATOR_VIEW_H

#include "orchestrator/module_table.h"

#include <pywatt/orchestrator.h>

#include <stdbool.h>

typedef bool (*pw_view_visit)(void *user, const struct pywatt_module_view *view);

/* PYWATT_OK, and *out is the caller's; PYWATT_MODULE_NOT_FOUND; PYWATT_NO_MEMORY. */
enum pywatt_status pw_view_take(struct pw_module_table *table, const struct pywatt_uuid *id,
                                struct pywatt_module_view **out);

/* Shows every module until `visit` returns false. PYWATT_OK or PYWATT_NO_MEMORY. */
enum pywatt_status pw_view_for_each(struct pw_module_table *table, pw_view_visit visit, void *user);

#endif
