/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * module.h - what a module does: register, advertise, beat, unregister.
 *
 * Each operation has a blocking form and an asynchronous one.
 *
 * Blocking: the calling thread sends, and itself receives if nobody else does. It returns by the
 * client's timeout_ms at the latest, except that pywatt_unregister_module waits for callbacks. All
 * return
 *   PYWATT_OK
 *   PYWATT_CONNECTION             no address could be reached (before the deadline, or within the
 *                                 attempts that the reconnect policy allows)
 *   PYWATT_CHANNEL                the connection broke after the request was sent
 *   PYWATT_TIMEOUT                no reply before the deadline
 *   PYWATT_SERIALIZATION          the reply cannot be read
 *   PYWATT_LIMIT                  the request or the reply is larger than max_frame_bytes
 *   PYWATT_CLOSED                 the client was closed
 *   PYWATT_NO_MEMORY, PYWATT_INVALID_ARGUMENT
 * and what the orchestrator answers:
 *   PYWATT_REJECTED, PYWATT_MODULE_NOT_FOUND, PYWATT_INVALID_TOKEN, PYWATT_NAME_TAKEN,
 *   PYWATT_AUTHENTICATION_FAILED, PYWATT_STALE_GENERATION, PYWATT_UNAVAILABLE, and other statuses
 *   that its error code names,
 * with the orchestrator's own text in `error`. `error` may always be NULL.
 *
 * Where max_in_flight requests are under way, the next one waits for room, within its deadline. If the
 * orchestrator refuses something for now and says when to come again, it is sent again then; if the
 * deadline leaves no time for that it ends at once, with PYWATT_UNAVAILABLE; so does a call from a
 * callback on a heartbeat thread.
 *
 * Asynchronous: returns at once. PYWATT_LIMIT also means that too many asynchronous operations are
 * not over yet: max_in_flight of them, or 1024 if that is more, counted from the call until `done`
 * begins. If it returns PYWATT_OK, `done` runs exactly once, on the client's dispatcher thread, with
 * no lock held, never from inside the call; callbacks of a client run one after the other, so they
 * should not block for long. If it returns anything else, `done` never runs. What a callback is given
 * is borrowed for the call unless its comment says otherwise. A callback may call anything, also
 * blocking operations, unregister, stop and free.
 *
 * All functions may be called from any thread, several at once on the same module.
 */
#ifndef PYWATT_MODULE_H
#define PYWATT_MODULE_H

#include <pywatt/client.h>

PYWATT_BEGIN_DECLS

/* A handle on a registered module. Owned by the application, which frees it. */
struct pywatt_module;

/*
 * `module` is the new handle, owned by the callee from here on, or NULL if `status` is not
 * PYWATT_OK. `error` is borrowed; never NULL; its text is empty on success.
 */
typedef void (*pywatt_registered_fn)(void *user, enum pywatt_status status,
                                     const struct pywatt_error *error,
                                     struct pywatt_module *module);

/* As above, for operations that give nothing back. */
typedef void (*pywatt_done_fn)(void *user, enum pywatt_status status,
                               const struct pywatt_error *error);

/* `verdict` is the orchestrator's view of the module's health; meaningful if PYWATT_OK. */
typedef void (*pywatt_heartbeat_fn)(void *user, enum pywatt_status status,
                                    const struct pywatt_error *error, enum pywatt_health verdict);

/*
 * Registers a module. `info` is copied; if it has an id, the module gets that id. A module may ask
 * for a lease with the metadata key "lease_ms" (decimal); the orchestrator decides. An id that this
 * client has registered or attached before is registered again with its token, and all handles with
 * that id go on with the new registration.
 * On success *out is a handle that the caller owns. Blocking; statuses at the top.
 */
PYWATT_API enum pywatt_status pywatt_register_module(struct pywatt_client *client,
                                                     const struct pywatt_module_info *info,
                                                     struct pywatt_module **out,
                                                     struct pywatt_error *error);
PYWATT_API enum pywatt_status pywatt_register_module_async(struct pywatt_client *client,
                                                           const struct pywatt_module_info *info,
                                                           pywatt_registered_fn done, void *user,
                                                           struct pywatt_error *error);

/*
 * Makes a handle for a module that is registered already, from a saved id and token; both are
 * copied. `info`, copied, may be NULL: then the module cannot register again by itself when the
 * orchestrator has forgotten it. Nothing is sent. PYWATT_OK, PYWATT_INVALID_ARGUMENT,
 * PYWATT_LIMIT, PYWATT_CLOSED or PYWATT_NO_MEMORY. Does not block.
 */
PYWATT_API enum pywatt_status pywatt_attach_module(struct pywatt_client *client,
                                                   const struct pywatt_module_info *info,
                                                   const struct pywatt_uuid *id, const char *token,
                                                   struct pywatt_module **out,
                                                   struct pywatt_error *error);

/*
 * Takes the module out of the orchestrator. Its heartbeat loop, if one runs, is stopped first: both
 * forms wait for a provider or a watcher that is running, as pywatt_heartbeat_loop_stop does. The
 * handle stays the caller's to free; other operations on it then answer PYWATT_CLOSED. If it
 * fails, the module counts as still registered, with its loop stopped. Blocking; statuses at the
 * top.
 */
PYWATT_API enum pywatt_status pywatt_unregister_module(struct pywatt_module *module,
                                                       struct pywatt_error *error);
PYWATT_API enum pywatt_status pywatt_unregister_module_async(struct pywatt_module *module,
                                                             pywatt_done_fn done, void *user,
                                                             struct pywatt_error *error);

/*
 * Sends one health report and waits for the answer. `details` is borrowed and may be NULL.
 * `verdict`, which may be NULL, gets the orchestrator's view of the module's health on success.
 * If the orchestrator has forgotten the module and the client may register it again, it does so,
 * and beats again, all within the deadline. Blocking; statuses at the top.
 */
PYWATT_API enum pywatt_status pywatt_heartbeat(struct pywatt_module *module,
                                               enum pywatt_health health,
                                               const struct pywatt_string_map *details,
                                               enum pywatt_health *verdict,
                                               struct pywatt_error *error);
PYWATT_API enum pywatt_status pywatt_heartbeat_async(struct pywatt_module *module,
                                                     enum pywatt_health health,
                                                     const struct pywatt_string_map *details,
                                                     pywatt_heartbeat_fn done, void *user,
                                                     struct pywatt_error *error);

/*
 * Says what the module can do; replaces what was said before. `capabilities` is copied, and told
 * again when the client has to register the module again. Blocking; statuses at the top.
 */
PYWATT_API enum pywatt_status
pywatt_advertise_capabilities(struct pywatt_module *module,
                              const struct pywatt_capabilities *capabilities,
                              struct pywatt_error *error);
PYWATT_API enum pywatt_status
pywatt_advertise_capabilities_async(struct pywatt_module *module,
                                    const struct pywatt_capabilities *capabilities,
                                    pywatt_done_fn done, void *user, struct pywatt_error *error);

/* The module's id, borrowed; it never changes. */
PYWATT_API const struct pywatt_uuid *pywatt_module_id(const struct pywatt_module *module);

/*
 * What the orchestrator said when it last registered the module, with a reference that the caller
 * gives back with pywatt_registration_release. An attached module has its id and token there, its
 * info if it was given one, and nothing else. Never NULL. Does not block.
 */
PYWATT_API struct pywatt_registration *pywatt_module_registration(struct pywatt_module *module);

/*
 * Stores the health that the module's heartbeat loop reports from its next beat on. One atomic
 * store: no lock, no system call, callable from a signal handler.
 */
PYWATT_API void pywatt_module_set_health(struct pywatt_module *module, enum pywatt_health health);

/*
 * Gives the handle back; its heartbeat loop is stopped first. Nothing is unregistered: an
 * orchestrator sees the lease run out. `module` is consumed; NULL is allowed. Callable from any
 * callback; elsewhere it waits until no callback of this module's loop is running.
 */
PYWATT_API void pywatt_module_free(struct pywatt_module *module);

PYWATT_END_DECLS

#endif
