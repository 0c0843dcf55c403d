/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * state_file.h - what `register` found out and later commands need, as one JSON object in a file
 * that only its owner can read. One thread at a time for a file.
 *
 * A file is replaced whole (a new one is written beside it and renamed), and the place is tried
 * before anything is registered, so that no module is registered whose token then gets lost.
 */
#ifndef CTL_STATE_FILE_H
#define CTL_STATE_FILE_H

#include <pywatt/model.h>

#include <stdbool.h>

struct ctl_state {
    char *endpoint;
    char *codec;
    struct pywatt_uuid id;
    char *token;
    struct pywatt_module_info *info;
};

/* Frees what it holds, wipes the token, and leaves it empty. */
void ctl_state_clear(struct ctl_state *state);

/* Fills *state, which is empty. Statuses as text: 0, or an exit code after it has said why. */
int ctl_state_load(const char *path, struct ctl_state *state);

/* True if something stands at `path`. */
bool ctl_state_exists(const char *path);

/* A new file that is not at its place yet. */
struct ctl_state_writer;

/* Makes the file beside `path`, which is borrowed until the writer's end. 0 or an exit code. */
int ctl_state_prepare(const char *path, struct ctl_state_writer **out);

/* Writes `state` and puts the file at its place; the writer is consumed. 0 or an exit code. */
int ctl_state_commit(struct ctl_state_writer *writer, const struct ctl_state *state);

/* Takes the new file away; the writer is consumed, NULL is allowed. */
void ctl_state_abandon(struct ctl_state_writer *writer);

/* Removes the file at `path`; one that is not there is no failure. 0 or an exit code. */
int ctl_state_remove(const char *path);

#endif
