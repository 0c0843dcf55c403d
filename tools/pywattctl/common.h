/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * common.h - what all commands share: the options of the connection and of the output, and opening
 * a client with them. One thread.
 */
#ifndef CTL_COMMON_H
#define CTL_COMMON_H

#include "common/options.h"
#include "common/report.h"
#include "pywattctl/exit_code.h"
#include "pywattctl/output.h"
#include "pywattctl/state_file.h"

#include <pywatt/pywatt.h>
#include <pywatt/tls.h>

#include <stdbool.h>
#include <stdint.h>

#define CTL_DEFAULT_ENDPOINT "tcp://127.0.0.1:7900"
#define CTL_DEFAULT_CODEC "json"

/* Keys of options: each group has its own range. */
enum ctl_key {
    KEY_ENDPOINT = 256,
    KEY_CODEC,
    KEY_TIMEOUT,
    KEY_WAIT,
    KEY_SHUFFLE,
    KEY_STATE,
    KEY_TLS_CA,
    KEY_TLS_CERT,
    KEY_TLS_KEY,
    KEY_TLS_NAME,
    KEY_TLS_12,
    KEY_JSON,
    KEY_LOG_LEVEL,
    KEY_COMMON_END,
    KEY_ID = 300,
    KEY_TOKEN,
    KEY_IDENTITY_END,
    KEY_NAME = 320,
    KEY_VERSION,
    KEY_DESCRIPTION,
    KEY_MODULE_ID,
    KEY_METADATA,
    KEY_LEASE,
    KEY_JOIN_TOKEN,
    KEY_MODULE_END,
    KEY_HTTP = 340,
    KEY_MESSAGE_TYPE,
    KEY_CAPABILITY,
    KEY_FILE,
    KEY_CAPABILITIES_END,
    KEY_OF_COMMAND = 360
};

struct ctl_common {
    const char *endpoint; /* NULL if not given; then the state file's, then the default */
    const char *codec;
    uint32_t timeout_ms;
    bool wait;
    bool shuffle;
    struct pywatt_tls_options tls; /* its files are borrowed from argv */
    bool tls_given;                /* some option of it was */
    const char *state_path;
    bool help;
    /* What the state file holds; empty until it is loaded. */
    struct ctl_state state;
};

/* The tables for a command's syntax. `ctl_run_options` is without --wait: run always waits. */
extern const struct tool_option ctl_connection_options[];
extern const struct tool_option ctl_run_connection_options[];
extern const struct tool_option ctl_output_options[];

void ctl_common_init(struct ctl_common *common);
void ctl_common_clear(struct ctl_common *common);

/* Handles one of the shared options. Returns 0 or an exit code. */
int ctl_common_set(struct ctl_common *common, int key, const char *value);

/* What holds after the options and the state file were read. */
const char *ctl_endpoint(const struct ctl_common *common);
const char *ctl_codec(const struct ctl_common *common);

/*
 * What tls: endpoints need; *out is the caller's, and stays as it is where neither the options nor
 * the endpoints speak of TLS. Returns 0 or an exit code.
 */
int ctl_make_tls(const struct ctl_common *common, struct pywatt_tls **out);

/*
 * Opens a client that makes one attempt for each call, or, with --wait, tries until the timeout.
 * It does not register modules again by itself. Returns 0 or an exit code.
 */
int ctl_open(const struct ctl_common *common, struct pywatt_client **out);

/* ---- Which module: --id and --token, or the state file ------------------------------------- */

struct ctl_identity {
    const char *id_text;
    const char *token;
};

extern const struct tool_option ctl_identity_options[];
int ctl_identity_set(struct ctl_identity *identity, int key, const char *value);

/*
 * Loads the state file if there is one to load, opens a client and makes a handle for the module.
 * Both are the caller's on success. Returns 0 or an exit code.
 */
int ctl_attach(struct ctl_common *common, const struct ctl_identity *identity,
               struct pywatt_client **client, struct pywatt_module **module);

#endif
