/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See common.h. */
#include "pywattctl/common.h"

#include "common/parse.h"

#include <string.h>

#define ENDPOINT_OPTION                                                                      \
    {                                                                                        \
        "endpoint", KEY_ENDPOINT, "URL[,URL]",                                               \
            "the orchestrator: tcp://HOST:PORT, tls://HOST:PORT or\n"                        \
            "unix:/PATH; further ones are tried in turn\n(default " CTL_DEFAULT_ENDPOINT ")" \
    }
#define SHUFFLE_OPTION                                                 \
    {                                                                  \
        "shuffle", KEY_SHUFFLE, NULL, "try the endpoints in any order" \
    }
#define CODEC_OPTION                                                                   \
    {                                                                                  \
        "codec", KEY_CODEC, "NAME", "json or protobuf (default " CTL_DEFAULT_CODEC ")" \
    }
#define TIMEOUT_OPTION                                         \
    {                                                          \
        "timeout", KEY_TIMEOUT, "MS",                          \
            "time for each request, connecting included\n"     \
            "(default 30000; 2s, 5m and so on are understood)" \
    }
#define STATE_OPTION                                             \
    {                                                            \
        "state", KEY_STATE, "FILE",                              \
            "keeps endpoint, codec, id, token and description\n" \
            "of the module between commands"                     \
    }

#define TLS_OPTIONS                                                                                   \
    {"tls-ca", KEY_TLS_CA, "FILE",                                                                    \
     "the CAs that may have signed the certificate of a tls:\norchestrator (default: the system's)"}, \
        {"tls-cert", KEY_TLS_CERT, "FILE", "our certificate, for one that asks for it"},              \
        {"tls-key", KEY_TLS_KEY, "FILE", "and its private key"},                                      \
        {"tls-name", KEY_TLS_NAME, "NAME",                                                            \
         "what its certificate must name (default: the host of the URL)"},                            \
    {                                                                                                 \
        "tls-1.2", KEY_TLS_12, NULL, "TLS 1.2 will do (default: 1.3 or nothing)"                      \
    }

const struct tool_option ctl_connection_options[] = {
    ENDPOINT_OPTION,
    SHUFFLE_OPTION,
    CODEC_OPTION,
    TIMEOUT_OPTION,
    {"wait", KEY_WAIT, NULL, "keep trying to connect until the timeout"},
    TLS_OPTIONS,
    STATE_OPTION,
    {NULL, 0, NULL, NULL},
};

const struct tool_option ctl_run_connection_options[] = {
    ENDPOINT_OPTION, SHUFFLE_OPTION, CODEC_OPTION,          TIMEOUT_OPTION,
    TLS_OPTIONS,     STATE_OPTION,   {NULL, 0, NULL, NULL},
};

const struct tool_option ctl_output_options[] = {
    {"json", KEY_JSON, NULL, "one JSON object on each line, errors too"},
    {"log-level", KEY_LOG_LEVEL, "LEVEL",
     "the library's log on stderr: error, warning, info or debug\n(default: none)"},
    {"help", 'h', NULL, "print this and end"},
    {NULL, 0, NULL, NULL},
};

const struct tool_option ctl_identity_options[] = {
    {"id", KEY_ID, "UUID", "the module's id, as register printed it"},
    {"token", KEY_TOKEN, "TOKEN",
     "its token (other users of this machine see arguments;\n--state keeps it from them)"},
    {NULL, 0, NULL, NULL},
};

void ctl_common_init(struct ctl_common *common)
{
    struct pywatt_client_options defaults;

    memset(common, 0, sizeof(*common));
    pywatt_client_options_init(&defaults);
    common->timeout_ms = defaults.timeout_ms;
    pywatt_tls_options_init(&common->tls);
}

void ctl_common_clear(struct ctl_common *common)
{
    ctl_state_clear(&common->state);
}

static int set_log_level(const char *value)
{
    static const char *const levels[] = {"error", "warning", "info", "debug"};
    int level = 0;

    if (tool_parse_word("log-level", value, levels, 4, &level) != 0) {
        return TOOL_EXIT_USAGE;
    }
    pywatt_set_log_sink(pywatt_log_to_stderr, NULL, (enum pywatt_log_level)level);
    return 0;
}

static int set_tls(struct ctl_common *common, int key, const char *value)
{
    common->tls_given = true;
    switch (key) {
    case KEY_TLS_CA: common->tls.ca_file = value; return 0;
    case KEY_TLS_CERT: common->tls.cert_file = value; return 0;
    case KEY_TLS_KEY: common->tls.key_file = value; return 0;
    case KEY_TLS_NAME: common->tls.server_name = value; return 0;
    default: common->tls.allow_tls12 = true; return 0;
    }
}

int ctl_common_set(struct ctl_common *common, int key, const char *value)
{
    if (key >= KEY_TLS_CA && key <= KEY_TLS_12) {
        return set_tls(common, key, value);
    }
    switch (key) {
    case KEY_ENDPOINT: common->endpoint = value; return 0;
    case KEY_SHUFFLE: common->shuffle = true; return 0;
    case KEY_CODEC: common->codec = value; return 0;
    case KEY_TIMEOUT:
        return tool_parse_time_ms_u32("timeout", value, 1, UINT32_MAX, &common->timeout_ms);
    case KEY_WAIT: common->wait = true; return 0;
    case KEY_STATE: common->state_path = value; return 0;
    case KEY_JSON: return 0; /* main has seen it already: errors before it come out as JSON, too */
    case KEY_LOG_LEVEL: return set_log_level(value);
    default: common->help = true; return 0;
    }
}

int ctl_identity_set(struct ctl_identity *identity, int key, const char *value)
{
    if (key == KEY_ID) {
        identity->id_text = value;
    } else {
        identity->token = value;
    }
    return 0;
}

const char *ctl_endpoint(const struct ctl_common *common)
{
    if (common->endpoint != NULL) {
        return common->endpoint;
    }
    return common->state.endpoint != NULL ? common->state.endpoint : CTL_DEFAULT_ENDPOINT;
}

const char *ctl_codec(const struct ctl_common *common)
{
    if (common->codec != NULL) {
        return common->codec;
    }
    return common->state.codec != NULL ? common->state.codec : CTL_DEFAULT_CODEC;
}

int ctl_make_tls(const struct ctl_common *common, struct pywatt_tls **out)
{
    struct pywatt_error error = {PYWATT_OK, ""};

    if (!common->tls_given && strcasestr(ctl_endpoint(common), "tls:") == NULL) {
        return 0;
    }
    return pywatt_tls_client_new(&common->tls, out, &error) == PYWATT_OK ? 0 : ctl_fail(&error);
}

int ctl_open(const struct ctl_common *common, struct pywatt_client **out)
{
    struct pywatt_client_options options;
    struct pywatt_error error = {PYWATT_OK, ""};
    struct pywatt_tls *tls = NULL;
    int bad = ctl_make_tls(common, &tls);

    if (bad != 0) {
        return bad;
    }
    pywatt_client_options_init(&options);
    options.endpoints = ctl_endpoint(common);
    options.shuffle_endpoints = common->shuffle;
    options.codec = ctl_codec(common);
    options.timeout_ms = common->timeout_ms;
    options.reconnect = common->wait ? PYWATT_RECONNECT_EXPONENTIAL : PYWATT_RECONNECT_NONE;
    options.reconnect_delay_ms = 50;
    options.reconnect_max_delay_ms = 1000;
    options.reregister = false;
    options.tls = tls;
    enum pywatt_status status = pywatt_client_open(&options, out, &error);
    pywatt_tls_free(tls); /* the client has a reference of its own */
    return status == PYWATT_OK ? 0 : ctl_fail(&error);
}

/* Finds id, token and, if it is known, the description. */
static int identify(struct ctl_common *common, const struct ctl_identity *identity,
                    struct pywatt_uuid *id, const char **token)
{
    if ((identity->id_text == NULL) != (identity->token == NULL)) {
        return tool_usage_error("--id and --token are needed together");
    }
    if (identity->id_text == NULL && common->state_path == NULL) {
        return tool_usage_error("which module? Give --id and --token, or --state");
    }
    if (identity->id_text != NULL) {
        if (pywatt_uuid_parse(identity->id_text, id) != PYWATT_OK) {
            return tool_usage_error("--id: '%s' is not a UUID", identity->id_text);
        }
        *token = identity->token;
        return 0;
    }
    int bad = ctl_state_load(common->state_path, &common->state);
    if (bad == 0) {
        *id = common->state.id;
        *token = common->state.token;
    }
    return bad;
}

int ctl_attach(struct ctl_common *common, const struct ctl_identity *identity,
               struct pywatt_client **client, struct pywatt_module **module)
{
    struct pywatt_error error = {PYWATT_OK, ""};
    struct pywatt_uuid id;
    const char *token = NULL;
    int bad = identify(common, identity, &id, &token);

    if (bad == 0) {
        bad = ctl_open(common, client);
    }
    if (bad != 0) {
        return bad;
    }
    if (pywatt_attach_module(*client, common->state.info, &id, token, module, &error) !=
        PYWATT_OK) {
        pywatt_client_free(*client);
        *client = NULL;
        return ctl_fail(&error);
    }
    return 0;
}
