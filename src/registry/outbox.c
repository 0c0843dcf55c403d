/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * outbox.c - the asynchronous operations that wait to be sent: in order, as there is room, or parked
 * with their module until it is registered again; each until its deadline. And those that are to come
 * again at a moment before that. The heartbeat thread only, and no lock but what is asked of others
 * for a moment.
 */
#include "base/error.h"
#include "registry/async.h"
#include "registry/client.h"
#include "registry/heartbeat.h"

enum {
    /* Then beats that became due have their turn. */
    MOST_IN_A_ROUND = 512
};

static struct pw_async *operation_of(struct pw_list *link)
{
    return PW_CONTAINER_OF(link, struct pw_async, link);
}

/* Takes it out of whatever it waits in. */
static void take_out(struct pw_heartbeat *heartbeat, struct pw_async *operation)
{
    pw_list_remove(&operation->link);
    pw_due_heap_remove(&heartbeat->operation_deadlines, &operation->due);
}

static void fail(struct pw_heartbeat *heartbeat, struct pw_async *operation,
                 enum pywatt_status status)
{
    take_out(heartbeat, operation);
    pw_async_finish(operation, status);
}

/*
 * True if it has to wait: to leave, until nobody is registering the module again; for the rest,
 * until the module is registered again.
 */
static bool must_wait(struct pw_async *operation)
{
    struct pywatt_module *module = operation->errand.module;
    if (operation->errand.operation == PW_OP_UNREGISTER) {
        return pw_handle_recovering(module);
    }
    return pw_needs_registration(operation->errand.operation) && !operation->recovered &&
           pw_handle_unwell(module);
}

static void park(struct pywatt_client *client, struct pw_async *operation)
{
    struct pywatt_module *module = operation->errand.module;
    pw_list_remove(&operation->link);
    pw_list_append(&module->parked, &operation->link);
    operation->parked = true;
    operation->round = pw_handle_recovery_round(module);
    if (operation->errand.operation == PW_OP_UNREGISTER) {
        return;
    }
    operation->recovered = true;
    const enum pywatt_status status =
        pw_handle_deferred(module, operation->errand.deadline_ns, &operation->error);
    if (status != PYWATT_OK) {
        pw_prefix_operation(&operation->error, operation->errand.operation, module);
        fail(&client->heartbeat, operation, status);
    } else {
        pw_recovery_request(client, module, true);
    }
}

static void unpark(struct pw_heartbeat *heartbeat, struct pw_async *operation)
{
    operation->parked = false;
    pw_list_append(&heartbeat->ready, &operation->link);
}

void pw_outbox_take(struct pywatt_client *client, struct pw_async *operation)
{
    struct pw_heartbeat *heartbeat = &client->heartbeat;
    struct pywatt_module *module = operation->errand.module;
    if (operation->deferral.retry_after_ms != 0) {
        pw_due_heap_insert(&heartbeat->deferred, &operation->due,
                           pw_deferral_until_ns(client, &operation->deferral));
        return;
    }
    pw_due_heap_insert(&heartbeat->operation_deadlines, &operation->due,
                       operation->errand.deadline_ns);
    if (operation->parked && pw_handle_unwell(module)) {
        pw_list_append(&module->parked, &operation->link);
    } else {
        unpark(heartbeat, operation);
    }
}

/* What was put off on a connection that is gone comes as soon as that allows. */
static void look_at_link(struct pywatt_client *client)
{
    struct pw_heartbeat *heartbeat = &client->heartbeat;
    const uint64_t link = pw_channel_link(client->channel);
    if (link == heartbeat->deferred_link) {
        return;
    }
    heartbeat->deferred_link = link;
    struct pw_due_heap before;
    struct pw_due *due;
    pw_due_heap_move(&before, &heartbeat->deferred);
    while ((due = pw_due_heap_pop(&before, UINT64_MAX)) != NULL) {
        pw_outbox_take(client, PW_CONTAINER_OF(due, struct pw_async, due));
    }
}

void pw_outbox_resume(struct pywatt_client *client, uint64_t now_ns)
{
    struct pw_heartbeat *heartbeat = &client->heartbeat;
    struct pw_due *due;
    if (heartbeat->deferred.root != NULL) {
        look_at_link(client);
    }
    while ((due = pw_due_heap_pop(&heartbeat->deferred, now_ns)) != NULL) {
        struct pw_async *operation = PW_CONTAINER_OF(due, struct pw_async, due);
        operation->deferral.retry_after_ms = 0;
        pw_outbox_take(client, operation);
    }
}

/* ---- What ends without being sent ----------------------------------------------------------- */

static enum pywatt_status ran_out(struct pywatt_client *client, struct pw_async *operation)
{
    struct pywatt_error *error = &operation->error;
    const struct pywatt_error *last = &client->heartbeat.last_connect_error;
    enum pywatt_status status;
    if (operation->parked) {
        status = pw_error_set(error, PYWATT_TIMEOUT,
                              "no reply before the deadline: the module is being registered again");
    } else if (pw_channel_connected(client->channel)) {
        status = pw_error_set(error, PYWATT_TIMEOUT,
                              "no reply before the deadline: too much was under way to send it");
    } else {
        status = pw_error_set(error, PYWATT_CONNECTION, "no connection before the deadline%s%s",
                              last->status == PYWATT_OK ? "" : ": ",
                              last->status == PYWATT_OK ? "" : last->text);
    }
    pw_prefix_operation(error, operation->errand.operation, operation->errand.module);
    return status;
}

void pw_outbox_expire(struct pywatt_client *client, uint64_t now_ns)
{
    struct pw_due_heap *deadlines = &client->heartbeat.operation_deadlines;
    while (pw_due_heap_next_ns(deadlines) <= now_ns) {
        struct pw_async *operation = PW_CONTAINER_OF(deadlines->root, struct pw_async, due);
        fail(&client->heartbeat, operation, ran_out(client, operation));
    }
}

void pw_outbox_unconnected(struct pywatt_client *client, const struct pywatt_error *error)
{
    struct pw_heartbeat *heartbeat = &client->heartbeat;
    while (!pw_list_empty(&heartbeat->ready)) {
        struct pw_async *operation = operation_of(heartbeat->ready.next);
        operation->error = *error;
        pw_prefix_operation(&operation->error, operation->errand.operation,
                            operation->errand.module);
        fail(heartbeat, operation, error->status);
    }
}

void pw_outbox_end(struct pywatt_client *client)
{
    pw_outbox_resume(client, PW_DEADLINE_NEVER);
    struct pw_due_heap *deadlines = &client->heartbeat.operation_deadlines;
    while (deadlines->root != NULL) {
        struct pw_async *operation = PW_CONTAINER_OF(deadlines->root, struct pw_async, due);
        fail(&client->heartbeat, operation, pw_client_is_closed(&operation->error));
    }
}

/* An attempt to recover its module has ended: sends it again, fails it, or lets it wait on. */
static void reconsider(struct pywatt_client *client, struct pywatt_module *module,
                       struct pw_async *operation)
{
    struct pw_heartbeat *heartbeat = &client->heartbeat;
    const bool leaves = operation->errand.operation == PW_OP_UNREGISTER;
    enum pywatt_status status = PYWATT_OK;
    if (leaves ? !pw_handle_recovering(module) : !pw_handle_unwell(module)) {
        unpark(heartbeat, operation);
        return;
    }
    pw_list_append(&module->parked, &operation->link);
    if (leaves || pw_handle_recovering(module)) {
        return;
    }
    status = pw_handle_recovery_failed(module, operation->round, operation->errand.deadline_ns,
                                       &operation->error);
    if (status != PYWATT_OK) {
        fail(heartbeat, operation, status);
    } else {
        pw_recovery_request(client, module, true);
    }
}

void pw_outbox_recovered(struct pywatt_client *client, struct pywatt_module *module)
{
    struct pw_list parked;
    struct pw_list *link;
    pw_list_init(&parked);
    pw_list_splice(&parked, &module->parked);
    while ((link = pw_list_pop(&parked)) != NULL) {
        reconsider(client, module, operation_of(link));
    }
}

/* ---- What is sent --------------------------------------------------------------------------- */

static void put_back(struct pw_heartbeat *heartbeat, struct pw_async *operation)
{
    pw_due_heap_insert(&heartbeat->operation_deadlines, &operation->due,
                       operation->errand.deadline_ns);
    pw_list_append(heartbeat->ready.next, &operation->link); /* before the first */
}

/* Posts it or ends it: true. False if it must wait where it is. */
static bool send_operation(struct pywatt_client *client, struct pw_async *operation, bool *posted)
{
    struct pw_heartbeat *heartbeat = &client->heartbeat;
    struct pw_request request;
    enum pywatt_status status = pw_errand_fill(&operation->errand, &request, &operation->error);
    if (status != PYWATT_OK) {
        fail(heartbeat, operation, status);
        return true;
    }
    /* Once the channel has it, it may be over, and gone, at any moment. */
    take_out(heartbeat, operation);
    operation->sent_ns = pw_clock_now_ns(client->clock);
    status = pw_channel_post(client->channel, &request, operation->errand.deadline_ns,
                             &operation->post, &operation->error);
    if (status == PYWATT_OK) {
        *posted = true;
        return true;
    }
    if (status == PYWATT_CONNECTION || status == PYWATT_UNAVAILABLE) {
        heartbeat->disconnected |= status == PYWATT_CONNECTION;
        put_back(heartbeat, operation);
        return false;
    }
    pw_prefix_operation(&operation->error, operation->errand.operation, operation->errand.module);
    pw_async_finish(operation, status);
    return true;
}

void pw_outbox_send(struct pywatt_client *client, bool *posted)
{
    struct pw_heartbeat *heartbeat = &client->heartbeat;
    unsigned left = MOST_IN_A_ROUND;
    while (!heartbeat->disconnected && !pw_list_empty(&heartbeat->ready)) {
        struct pw_async *operation = operation_of(heartbeat->ready.next);
        if (left == 0) {
            heartbeat->more = true;
            return;
        }
        left--;
        if (must_wait(operation)) {
            park(client, operation);
        } else if (!send_operation(client, operation, posted)) {
            return;
        }
    }
}
