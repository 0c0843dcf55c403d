/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * See run.h. run_watch runs on the client's dispatcher thread, one call after the other.
 */
#include "pywattctl/run.h"

#include "pywattctl/registration.h"

#include <stdio.h>

#define NS_PER_US 1000

void run_print(struct run *run, struct ctl_record *record)
{
    if (ctl_record_print(record) != 0) {
        atomic_store(&run->output_failed, true);
        waiter_end(&run->waiter);
    }
}

/* The module has a new token: it is told, and kept where later commands look for it. */
static void tell_reregistered(struct run *run, struct pywatt_module *module)
{
    struct pywatt_registration *registration = pywatt_module_registration(module);
    struct ctl_record *record = ctl_record_new("reregistered");
    struct ctl_state_writer *writer = NULL;

    ctl_record_registration(record, registration, false);
    run_print(run, record);
    if (run->common->state_path != NULL &&
        ctl_state_prepare(run->common->state_path, &writer) == 0) {
        ctl_save_registration(writer, run->common, registration);
    }
    pywatt_registration_release(registration);
}

static bool is_connection_trouble(enum pywatt_status status)
{
    return status == PYWATT_CONNECTION || status == PYWATT_CHANNEL || status == PYWATT_TIMEOUT;
}

static void tell_failure(struct run *run, const struct pywatt_heartbeat_event *event)
{
    if (run->failing && run->failing_with == event->status) {
        return;
    }
    run->failing = true;
    run->failing_with = event->status;
    struct ctl_record *record =
        ctl_record_new(is_connection_trouble(event->status) ? "lost" : "failing");
    ctl_record_text(record, "status", pywatt_status_name(event->status));
    ctl_record_text(record, "text", event->text);
    run_print(run, record);
    /* Somebody else is this module now, and a further beat cannot change that. */
    if (event->status == PYWATT_STALE_GENERATION || event->status == PYWATT_INVALID_TOKEN) {
        run->fatal.status = event->status;
        snprintf(run->fatal.text, sizeof(run->fatal.text), "%s", event->text);
        waiter_end(&run->waiter);
    }
}

void run_watch(void *user, struct pywatt_module *module, const struct pywatt_heartbeat_event *event)
{
    struct run *run = user;

    if (event->reregistered) {
        tell_reregistered(run, module);
    }
    if (event->status != PYWATT_OK) {
        tell_failure(run, event);
        return;
    }
    if (run->failing) {
        run->failing = false;
        run_print(run, ctl_record_new("back"));
    }
    if (!run->has_verdict || run->verdict != event->verdict) {
        run->has_verdict = true;
        run->verdict = event->verdict;
        struct ctl_record *record = ctl_record_new("verdict");
        ctl_record_text(record, "health", pywatt_health_name(event->verdict));
        run_print(run, record);
    }
}

void run_print_summary(struct run *run)
{
    struct pywatt_client_stats stats = {.size = sizeof(stats)};
    struct ctl_record *record = ctl_record_new("summary");

    pywatt_client_get_stats(run->client, &stats);
    ctl_record_number(record, "sent", stats.beats_sent);
    ctl_record_number(record, "answered", stats.beats_answered);
    ctl_record_number(record, "failed", stats.beats_failed);
    ctl_record_number(record, "skipped", stats.beats_skipped);
    ctl_record_number(record, "max_lateness_us", stats.beats_max_lateness_ns / NS_PER_US);
    ctl_record_number(record, "connects", stats.connects);
    ctl_record_number(record, "reregistrations", stats.reregistrations);
    run_print(run, record);
}
