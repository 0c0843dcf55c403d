/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* pywattctl heartbeat: one health report of a registered module. */
#include "pywattctl/commands.h"
#include "pywattctl/common.h"
#include "pywattctl/module_options.h"

enum key {
    KEY_STATUS = KEY_OF_COMMAND,
    KEY_DETAIL
};

static const struct tool_option own_options[] = {
    {"status", KEY_STATUS, "STATUS", "healthy (default), degraded or unhealthy"},
    {"detail", KEY_DETAIL, "KEY=VALUE", "a detail to report; may be given several times"},
    {NULL, 0, NULL, NULL},
};

static const struct tool_syntax syntax = {
    .usage = "pywattctl heartbeat {--state FILE | --id UUID --token TOKEN} [OPTION...]",
    .about = "Reports the health of a module once, and prints what the orchestrator thinks of it.",
    .groups = {{"Report", own_options},
               {"Module", ctl_identity_options},
               {"Connection", ctl_connection_options},
               {"Output", ctl_output_options}},
};

struct command {
    struct ctl_common common;
    struct ctl_identity identity;
    enum pywatt_health health;
    struct pywatt_string_map *details;
};

static int set(void *user, int key, const char *value)
{
    struct command *command = user;

    if (key == KEY_STATUS) {
        return pywatt_health_parse(value, &command->health) == PYWATT_OK
                   ? 0
                   : tool_usage_error("--status: '%s' is none of: healthy, degraded, unhealthy",
                                      value);
    }
    if (key == KEY_DETAIL) {
        return ctl_add_pair("detail", value, &command->details);
    }
    if (key >= KEY_ID && key < KEY_IDENTITY_END) {
        return ctl_identity_set(&command->identity, key, value);
    }
    return ctl_common_set(&command->common, key, value);
}

static int run(struct command *command)
{
    struct pywatt_client *client = NULL;
    struct pywatt_module *module = NULL;
    struct pywatt_error error = {PYWATT_OK, ""};
    enum pywatt_health verdict = PYWATT_HEALTHY;
    int code = ctl_attach(&command->common, &command->identity, &client, &module);

    if (code != 0) {
        return code;
    }
    if (pywatt_heartbeat(module, command->health, command->details, &verdict, &error) !=
        PYWATT_OK) {
        code = ctl_fail(&error);
    } else {
        struct ctl_record *record = ctl_record_new(NULL);
        ctl_record_uuid(record, "id", pywatt_module_id(module));
        ctl_record_text(record, "status", pywatt_health_name(command->health));
        ctl_record_text(record, "verdict", pywatt_health_name(verdict));
        code = ctl_record_print(record);
    }
    pywatt_module_free(module);
    pywatt_client_free(client);
    return code;
}

int ctl_heartbeat(int argc, char **argv)
{
    struct command command = {.health = PYWATT_HEALTHY};

    ctl_common_init(&command.common);
    int code = tool_options_parse(&syntax, argc, argv, set, &command);
    if (code == 0) {
        code = command.common.help ? tool_options_help(&syntax) : run(&command);
    }
    pywatt_string_map_free(command.details);
    ctl_common_clear(&command.common);
    return code;
}
