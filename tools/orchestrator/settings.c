/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See settings.h. */
#include "orchestrator/settings.h"

#include "common/options.h"
#include "common/parse.h"
#include "orchestrator/state_folder.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum key {
    KEY_LISTEN = 256,
    KEY_WORKERS,
    KEY_ADVERTISE,
    KEY_STORE,
    KEY_RECOVER,
    KEY_LEASE,
    KEY_MIN_LEASE,
    KEY_MAX_LEASE,
    KEY_RETAIN,
    KEY_TAKEOVER,
    KEY_MAX_FRAME,
    KEY_MAX_CONNECTIONS,
    KEY_MAX_CONNECTIONS_PER_PEER,
    KEY_MAX_MODULES,
    KEY_REGISTRATIONS,
    KEY_FRAME_TIMEOUT,
    KEY_IDLE_TIMEOUT,
    KEY_TLS_CERT,
    KEY_TLS_KEY,
    KEY_TLS_CLIENT_CA,
    KEY_TLS_12,
    KEY_TLS_HANDSHAKES,
    KEY_TLS_TIMEOUT,
    KEY_LOG_LEVEL,
    KEY_LOG_EVENTS,
    KEY_VERSION
};

static const struct tool_option serving[] = {
    {"listen", KEY_LISTEN, "URL",
     "where modules connect: tcp://HOST:PORT, tls://HOST:PORT,\nunix:/PATH; may be given several "
     "times; port 0 takes a\nfree one (default " DEFAULT_LISTEN ")"},
    {"workers", KEY_WORKERS, "N", "threads that serve connections (default 0: one per processor)"},
    {"advertise", KEY_ADVERTISE, "HOST:PORT",
     "address that modules are told, an IP literal and a port\n(default: where they came in)"},
    {"store", KEY_STORE, "URL",
     "where registrations are kept: sqlite:PATH, or memory,\nwhich ends with the program (default: "
     "sqlite in the state\nfolder, $XDG_STATE_HOME/pywatt or /var/lib/pywatt)"},
    {"recover", KEY_RECOVER, NULL,
     "do not serve: set a damaged store aside, and begin it anew\nwith all modules that are sound in "
     "it"},
    {NULL, 0, NULL, NULL},
};

static const struct tool_option leases[] = {
    {"lease", KEY_LEASE, "MS", "lease of a module that asks for none (default 15000)"},
    {"min-lease", KEY_MIN_LEASE, "MS", "shortest lease a module may ask for (default 100)"},
    {"max-lease", KEY_MAX_LEASE, "MS", "longest lease a module may ask for (default 3600000)"},
    {"retain", KEY_RETAIN, "MS", "how long a lost module is kept (default 86400000)"},
    {"takeover", KEY_TAKEOVER, "WHEN",
     "when a name in use may be taken without its token:\nonce its holder is suspect (default), "
     "once it is lost,\nor never: token"},
    {NULL, 0, NULL, NULL},
};

static const struct tool_option limits[] = {
    {"max-frame", KEY_MAX_FRAME, "BYTES",
     "longest message accepted, 256 to 67108864\n(default 1048576)"},
    {"max-connections", KEY_MAX_CONNECTIONS, "N", "connections at once (default 10000)"},
    {"max-connections-per-peer", KEY_MAX_CONNECTIONS_PER_PEER, "N",
     "the same for each IP address (default 0: no other limit)"},
    {"max-modules", KEY_MAX_MODULES, "N", "modules at once (default 1000000)"},
    {"registrations", KEY_REGISTRATIONS, "N",
     "registrations a second; further ones are told when to come\nagain (default 50000; 0: no limit)"},
    {"frame-timeout", KEY_FRAME_TIMEOUT, "MS",
     "time for a message from its first byte to its last, and for\nthe first one of a connection (default 10000)"},
    {"idle-timeout", KEY_IDLE_TIMEOUT, "MS",
     "how long a connection may be silent that waits for nothing\n(default 0: for ever)"},
    {NULL, 0, NULL, NULL},
};

static const struct tool_option tls[] = {
    {"tls-cert", KEY_TLS_CERT, "FILE",
     "the certificate for tls: listeners, and those up to its CA"},
    {"tls-key", KEY_TLS_KEY, "FILE", "its private key; both are read again on SIGHUP"},
    {"tls-client-ca", KEY_TLS_CLIENT_CA, "FILE",
     "lets in only who shows a certificate of these CAs; its names\nare the modules that a "
     "connection is good for"},
    {"tls-1.2", KEY_TLS_12, NULL, "TLS 1.2 will do (default: 1.3 or nothing)"},
    {"tls-handshakes", KEY_TLS_HANDSHAKES, "N",
     "handshakes a second; who comes meanwhile waits\n(default 400; 0: no limit)"},
    {"tls-handshake-timeout", KEY_TLS_TIMEOUT, "MS", "time for a handshake (default 5000)"},
    {NULL, 0, NULL, NULL},
};

static const struct tool_option other[] = {
    {"log-level", KEY_LOG_LEVEL, "LEVEL", "error, warning, info (default) or debug; to stderr"},
    {"log-events", KEY_LOG_EVENTS, NULL, "log what happens to modules, one line each, to stderr"},
    {"version", KEY_VERSION, NULL, "print the version and end"},
    {"help", 'h', NULL, "print this and end"},
    {NULL, 0, NULL, NULL},
};

static const struct tool_syntax syntax = {
    .usage = "pywatt-orchestrator [OPTION...]",
    .about =
        "Registers modules, keeps their leases and answers their heartbeats, over JSON and\n"
        "protobuf on the same port. Prints one line \"listening URL\" for each listener once\n"
        "connections are accepted there, and logs to stderr. SIGTERM and SIGINT end it; SIGHUP\n"
        "has it read its certificates again.",
    .groups = {{"Serving", serving},
               {"Leases and names", leases},
               {"Limits", limits},
               {"TLS", tls},
               {"Other", other}},
    .notes = "Times are in milliseconds, or carry a unit: 250ms, 2s, 5m, 1h.\n\n"
             "Exit codes: 0 ended by a signal, 1 other failure, 2 bad usage, 3 cannot listen,\n"
             "4 the store cannot be opened.",
};

static int set_serving(struct settings *settings, int key, const char *value)
{
    struct pywatt_orchestrator_options *options = &settings->options;

    switch (key) {
    case KEY_LISTEN:
        if (settings->url_count == LISTENERS_MAX) {
            return tool_usage_error("--listen: more than %d listeners", LISTENERS_MAX);
        }
        settings->urls[settings->url_count++] = value;
        return 0;
    case KEY_WORKERS: return tool_parse_u32("workers", value, 0, 256, &options->workers);
    case KEY_ADVERTISE:
        free(settings->advertise_host);
        settings->advertise_host = NULL;
        return tool_parse_host_port("advertise", value, &settings->advertise_host,
                                    &options->advertise_port);
    case KEY_RECOVER: settings->recover = true; return 0;
    default: options->store = value; return 0;
    }
}

static int set_lease(struct pywatt_orchestrator_options *options, int key, const char *value)
{
    static const char *const words[] = {[PYWATT_TAKEOVER_SUSPECT] = "suspect",
                                        [PYWATT_TAKEOVER_LOST] = "lost",
                                        [PYWATT_TAKEOVER_TOKEN] = "token"};
    int word = 0;

    switch (key) {
    case KEY_LEASE:
        return tool_parse_time_ms_u32("lease", value, 1, UINT32_MAX, &options->lease_ms);
    case KEY_MIN_LEASE:
        return tool_parse_time_ms_u32("min-lease", value, 1, UINT32_MAX, &options->min_lease_ms);
    case KEY_MAX_LEASE:
        return tool_parse_time_ms_u32("max-lease", value, 1, UINT32_MAX, &options->max_lease_ms);
    case KEY_RETAIN:
        return tool_parse_time_ms("retain", value, 0, UINT64_C(1) << 53, &options->retain_ms);
    default:
        if (tool_parse_word("takeover", value, words, 3, &word) != 0) {
            return TOOL_EXIT_USAGE;
        }
        options->takeover = (enum pywatt_takeover)word;
        return 0;
    }
}

static int set_limit(struct pywatt_orchestrator_options *options, int key, const char *value)
{
    switch (key) {
    case KEY_MAX_FRAME:
        return tool_parse_u32("max-frame", value, 256, 64 << 20, &options->max_frame_bytes);
    case KEY_MAX_CONNECTIONS:
        return tool_parse_u32("max-connections", value, 1, UINT32_MAX, &options->max_connections);
    case KEY_MAX_CONNECTIONS_PER_PEER:
        return tool_parse_u32("max-connections-per-peer", value, 0, UINT32_MAX,
                              &options->max_connections_per_peer);
    case KEY_MAX_MODULES:
        return tool_parse_u32("max-modules", value, 1, UINT32_MAX, &options->max_modules);
    case KEY_REGISTRATIONS:
        return tool_parse_u32("registrations", value, 0, 10000000, &options->registrations_per_s);
    case KEY_FRAME_TIMEOUT:
        return tool_parse_time_ms_u32("frame-timeout", value, 1, UINT32_MAX,
                                      &options->frame_timeout_ms);
    default:
        return tool_parse_time_ms_u32("idle-timeout", value, 0, UINT32_MAX,
                                      &options->idle_timeout_ms);
    }
}

static int set_tls(struct settings *settings, int key, const char *value)
{
    struct pywatt_tls_options *options = &settings->tls;

    settings->tls_given = true;
    switch (key) {
    case KEY_TLS_CERT: options->cert_file = value; return 0;
    case KEY_TLS_KEY: options->key_file = value; return 0;
    case KEY_TLS_CLIENT_CA: options->ca_file = value; return 0;
    case KEY_TLS_12: options->allow_tls12 = true; return 0;
    case KEY_TLS_HANDSHAKES:
        return tool_parse_u32("tls-handshakes", value, 0, 1000000, &options->handshakes_per_s);
    default:
        return tool_parse_time_ms_u32("tls-handshake-timeout", value, 1, 600000,
                                      &options->handshake_timeout_ms);
    }
}

static int set_other(struct settings *settings, int key, const char *value)
{
    static const char *const levels[] = {"error", "warning", "info", "debug"};
    int level = 0;

    switch (key) {
    case KEY_LOG_LEVEL:
        if (tool_parse_word("log-level", value, levels, 4, &level) != 0) {
            return TOOL_EXIT_USAGE;
        }
        settings->log_level = (enum pywatt_log_level)level;
        return 0;
    case KEY_LOG_EVENTS: settings->log_events = true; return 0;
    case KEY_VERSION: settings->version = true; return 0;
    default: settings->help = true; return 0;
    }
}

static int set(void *user, int key, const char *value)
{
    struct settings *settings = user;

    if (key >= KEY_LISTEN && key <= KEY_RECOVER) {
        return set_serving(settings, key, value);
    }
    if (key >= KEY_LEASE && key <= KEY_TAKEOVER) {
        return set_lease(&settings->options, key, value);
    }
    if (key >= KEY_MAX_FRAME && key <= KEY_IDLE_TIMEOUT) {
        return set_limit(&settings->options, key, value);
    }
    if (key >= KEY_TLS_CERT && key <= KEY_TLS_TIMEOUT) {
        return set_tls(settings, key, value);
    }
    return set_other(settings, key, value);
}

int settings_read(struct settings *settings, int argc, char **argv)
{
    memset(settings, 0, sizeof(*settings));
    pywatt_orchestrator_options_init(&settings->options);
    settings->options.store = NULL;
    pywatt_tls_options_init(&settings->tls);
    settings->log_level = PYWATT_LOG_INFO;

    int bad = tool_options_parse(&syntax, argc, argv, set, settings);
    if (bad != 0) {
        return bad;
    }
    if (settings->url_count == 0) {
        settings->urls[settings->url_count++] = DEFAULT_LISTEN;
    }
    for (size_t i = 0; i < settings->url_count; i++) {
        if (strncasecmp(settings->urls[i], "tls:", 4) == 0 && settings->tls.cert_file == NULL) {
            return tool_usage_error("--listen '%s': --tls-cert and --tls-key are needed",
                                    settings->urls[i]);
        }
    }
    settings->options.advertise_host = settings->advertise_host;
    if (settings->options.store == NULL) {
        settings->default_store = state_store();
        settings->options.store = settings->default_store;
        return settings->default_store != NULL ? 0 : TOOL_EXIT_OTHER;
    }
    return 0;
}

int settings_prepare_store(const struct settings *settings)
{
    return settings->default_store == NULL ? 0 : state_make_folder(settings->default_store);
}

int settings_print_help(void)
{
    return tool_options_help(&syntax);
}

void settings_clear(struct settings *settings)
{
    free(settings->advertise_host);
    settings->advertise_host = NULL;
    free(settings->default_store);
    settings->default_store = NULL;
}
