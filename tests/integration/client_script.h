/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * client_script.h - a client whose calls are written as lines of text, each made in a thread of its
 * own while the main thread plays the orchestrator. See tests/corpus/conversations/README.md.
 */
#ifndef PW_TESTS_CLIENT_SCRIPT_H
#define PW_TESTS_CLIENT_SCRIPT_H

#include "transport/transport.h"

#include <stdbool.h>

struct client_script;

/* Listens, and opens a client with this codec that will connect there. Asserts. */
struct client_script *client_script_new(const char *codec);

/* Ends the client. NULL is allowed. */
void client_script_free(struct client_script *script);

/* Waits for a connection of the client; NULL if none comes. */
struct pw_conn *client_script_accept(struct client_script *script);

/* Starts what is written behind "do", and waits for what is started; false with why. */
bool client_script_do(struct client_script *script, const char *words, char *why, size_t size);
bool client_script_done(struct client_script *script, const char *words, char *why, size_t size);

#endif
