/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* setting_table.c - the settings there are. See setting.h. */
#include "orchestrator/setting.h"
#include "orchestrator/settings.h"

#define AT(member) .offset = offsetof(struct settings, member)
#define OPTION(member) AT(options.member), .field = #member
#define TLS(member) AT(tls.member), .field = #member
#define RANGE(least, most) .min = (least), .max = (most)

#define DAYS_MAX (UINT64_C(1) << 53)

static const char *const takeovers[] = {[PYWATT_TAKEOVER_SUSPECT] = "suspect",
                                        [PYWATT_TAKEOVER_LOST] = "lost",
                                        [PYWATT_TAKEOVER_TOKEN] = "token",
                                        NULL};
static const char *const levels[] = {[PYWATT_LOG_ERROR] = "error",
                                     [PYWATT_LOG_WARNING] = "warning",
                                     [PYWATT_LOG_INFO] = "info",
                                     [PYWATT_LOG_DEBUG] = "debug",
                                     NULL};

static const struct setting serving[] = {
    {"listen", "URL",
     "where modules connect: tcp://HOST:PORT, tls://HOST:PORT,\nunix:/PATH; may be given several "
     "times; port 0 takes a\nfree one (default " DEFAULT_LISTEN ")",
     SETTING_URLS, SETTING_AT_START, AT(listen)},
    {"workers", "N", "threads that serve connections (default 0: one per processor)",
     SETTING_NUMBER, SETTING_AT_START, OPTION(workers), RANGE(0, 256)},
    {"advertise", "HOST:PORT",
     "address that modules are told, an IP literal and a port\n(default: where they came in)",
     SETTING_ADDRESS, SETTING_AT_ONCE, OPTION(advertise_host)},
    {"store", "URL",
     "where registrations are kept: sqlite:PATH, or memory,\nwhich ends with the program (default: "
     "sqlite in the state\nfolder, $XDG_STATE_HOME/pywatt or /var/lib/pywatt)",
     SETTING_TEXT, SETTING_AT_START, OPTION(store)},
    {"end-timeout", "MS",
     "how long a signal may take to end it, as with a disk that\nhangs; then it ends at once "
     "(default 30000)",
     SETTING_TIME, SETTING_AT_ONCE, AT(end_timeout_ms), RANGE(1, 600000)},
    {.name = NULL},
};

static const struct setting admission[] = {
    {"join-token-file", "FILE",
     "registrations must show the token on its first line, or, while\nit is being changed, on its "
     "second; read again on SIGHUP",
     SETTING_SECRET, SETTING_AT_ONCE, OPTION(join_token_file)},
    {"allow-names", "LIST",
     "modules that may register, separated by commas: NAME,\nPREFIX*, *.SUFFIX (default: all)",
     SETTING_TEXT, SETTING_AT_ONCE, OPTION(allow_names)},
    {"allow-users", "LIST",
     "who may use unix: listeners, by name or number, separated by\ncommas (default: whom the "
     "socket's mode lets in)",
     SETTING_USERS, SETTING_AT_ONCE, OPTION(unix_allow_uids)},
    {"allow-groups", "LIST", "the same by groups; one of the two is enough", SETTING_GROUPS,
     SETTING_AT_ONCE, OPTION(unix_allow_gids)},
    {.name = NULL},
};

static const struct setting leases[] = {
    {"lease", "MS", "lease of a module that asks for none (default 15000)", SETTING_TIME,
     SETTING_AT_ONCE, OPTION(lease_ms), RANGE(1, UINT32_MAX)},
    {"min-lease", "MS", "shortest lease a module may ask for (default 100)", SETTING_TIME,
     SETTING_AT_ONCE, OPTION(min_lease_ms), RANGE(1, UINT32_MAX)},
    {"max-lease", "MS", "longest lease a module may ask for (default 3600000)", SETTING_TIME,
     SETTING_AT_ONCE, OPTION(max_lease_ms), RANGE(1, UINT32_MAX)},
    {"retain", "MS", "how long a lost module is kept (default 86400000)", SETTING_LONG_TIME,
     SETTING_AT_ONCE, OPTION(retain_ms), RANGE(0, DAYS_MAX)},
    {"takeover", "WHEN",
     "when a name in use may be taken without its token:\nonce its holder is suspect (default), "
     "once it is lost,\nor never: token",
     SETTING_WORD, SETTING_AT_ONCE, OPTION(takeover), .words = takeovers},
    {.name = NULL},
};

static const struct setting limits[] = {
    {"max-frame", "BYTES", "longest message accepted, 256 to 67108864\n(default 1048576)",
     SETTING_SIZE, SETTING_AT_ONCE, OPTION(max_frame_bytes), RANGE(256, 64 << 20)},
    {"max-unproven-frame", "BYTES",
     "the same on a connection on which nobody has registered,\nbeaten or advertised yet (default "
     "65536)",
     SETTING_SIZE, SETTING_AT_ONCE, OPTION(max_unproven_frame_bytes), RANGE(256, 64 << 20)},
    {"max-depth", "N", "how deep messages may be nested, 4 to 40 (default 40)", SETTING_NUMBER,
     SETTING_AT_ONCE, OPTION(max_depth), RANGE(4, 40)},
    {"max-elements", "N", "values in a message, 64 to 16384 (default 16384)", SETTING_NUMBER,
     SETTING_AT_ONCE, OPTION(max_elements), RANGE(64, 16384)},
    {"max-pending-requests", "N", "requests of a connection that wait for the store (default 256)",
     SETTING_NUMBER, SETTING_AT_ONCE, OPTION(max_pending_requests), RANGE(1, 65536)},
    {"max-output", "BYTES",
     "output kept for a peer that does not read; over it, its\nconnection ends (default 1048576)",
     SETTING_SIZE, SETTING_AT_ONCE, OPTION(max_output_bytes), RANGE(4096, UINT32_MAX)},
    {"max-connections", "N", "connections at once (default 10000)", SETTING_NUMBER, SETTING_AT_ONCE,
     OPTION(max_connections), RANGE(1, UINT32_MAX)},
    {"max-connections-per-peer", "N", "the same for each IP address (default 0: no other limit)",
     SETTING_NUMBER, SETTING_AT_ONCE, OPTION(max_connections_per_peer), RANGE(0, UINT32_MAX)},
    {"max-unproven-connections", "N",
     "connections at once on which nobody has registered, beaten or\nadvertised yet; over it, the "
     "oldest goes (default 0: half of all)",
     SETTING_NUMBER, SETTING_AT_ONCE, OPTION(max_unproven_connections), RANGE(0, UINT32_MAX)},
    {"max-unproven-per-peer", "N", "the same for each IP address (default 0: no other limit)",
     SETTING_NUMBER, SETTING_AT_ONCE, OPTION(max_unproven_per_peer), RANGE(0, UINT32_MAX)},
    {"max-modules", "N", "modules at once (default 1000000)", SETTING_NUMBER, SETTING_AT_ONCE,
     OPTION(max_modules), RANGE(1, UINT32_MAX)},
    {"registrations", "N",
     "registrations a second; further ones are told when to come\nagain (default 50000; 0: no "
     "limit)",
     SETTING_NUMBER, SETTING_AT_ONCE, OPTION(registrations_per_s), RANGE(0, 10000000)},
    {"registrations-per-peer", "N",
     "registrations a second from one IP address; further ones are\nrefused (default 0: no limit)",
     SETTING_NUMBER, SETTING_AT_ONCE, OPTION(registrations_per_s_per_peer), RANGE(0, 10000000)},
    {"first-frame-timeout", "MS",
     "time for the first message of a connection once it is\naccepted (default 5000)", SETTING_TIME,
     SETTING_AT_ONCE, OPTION(first_frame_timeout_ms), RANGE(1, UINT32_MAX)},
    {"frame-timeout", "MS", "time for a later one from its first byte to its last\n(default 10000)",
     SETTING_TIME, SETTING_AT_ONCE, OPTION(frame_timeout_ms), RANGE(1, UINT32_MAX)},
    {"idle-timeout", "MS",
     "how long a connection may be silent that waits for nothing\n(default 0: for ever)",
     SETTING_TIME, SETTING_AT_ONCE, OPTION(idle_timeout_ms), RANGE(0, UINT32_MAX)},
    {"unproven-idle-timeout", "MS",
     "the same while nobody has registered, beaten or advertised\n(default 15000; 0: for ever)",
     SETTING_TIME, SETTING_AT_ONCE, OPTION(unproven_idle_timeout_ms), RANGE(0, UINT32_MAX)},
    {"write-timeout", "MS",
     "how long a peer may take nothing of what waits for it\n(default 10000)", SETTING_TIME,
     SETTING_AT_ONCE, OPTION(write_timeout_ms), RANGE(1, UINT32_MAX)},
    {"tcp-user-timeout", "MS",
     "how long what was sent may stay without a sign from the\npeer's machine (default 15000; 0: "
     "the system's)",
     SETTING_TIME, SETTING_AT_ONCE, OPTION(tcp_user_timeout_ms), RANGE(0, INT32_MAX)},
    {.name = NULL},
};

static const struct setting tls[] = {
    {"tls-cert", "FILE", "the certificate for tls: listeners, and those up to its CA", SETTING_TEXT,
     SETTING_AT_ONCE, TLS(cert_file)},
    {"tls-key", "FILE", "its private key; both are read again on SIGHUP", SETTING_SECRET,
     SETTING_AT_ONCE, TLS(key_file)},
    {"tls-client-ca", "FILE",
     "lets in only who shows a certificate of these CAs; its names\nare the modules that a "
     "connection is good for",
     SETTING_TEXT, SETTING_AT_ONCE, TLS(ca_file)},
    {"tls-1.2", NULL, "TLS 1.2 will do (default: 1.3 or nothing)", SETTING_YES, SETTING_AT_ONCE,
     TLS(allow_tls12)},
    {"tls-handshakes", "N",
     "handshakes a second; who comes meanwhile waits\n(default 400; 0: no limit)", SETTING_NUMBER,
     SETTING_AT_ONCE, TLS(handshakes_per_s), RANGE(0, 1000000)},
    {"tls-handshake-timeout", "MS", "time for a handshake (default 5000)", SETTING_TIME,
     SETTING_AT_ONCE, TLS(handshake_timeout_ms), RANGE(1, 600000)},
    {.name = NULL},
};

static const struct setting logging[] = {
    {"log-level", "LEVEL", "error, warning, info (default) or debug; to stderr", SETTING_WORD,
     SETTING_AT_ONCE, AT(log_level), .words = levels},
    {"log-events", NULL, "log what happens to modules, one line each, to stderr", SETTING_YES,
     SETTING_AT_START, AT(log_events)},
    {.name = NULL},
};

const struct setting_section setting_sections[] = {
    {"serving", "Serving, [serving] in the file", serving},
    {"admission", "Who may come in, [admission]", admission},
    {"leases", "Leases and names, [leases]", leases},
    {"limits", "Limits, [limits]", limits},
    {"tls", "TLS, [tls]", tls},
    {"log", "Log, [log]", logging},
    {.name = NULL},
};
