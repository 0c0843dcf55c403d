/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* pywattctl advertise: says what a registered module can do; replaces what was said before. */
#include "pywattctl/capability_options.h"
#include "pywattctl/commands.h"
#include "pywattctl/common.h"

static const struct tool_syntax syntax = {
    .usage = "pywattctl advertise {--state FILE | --id UUID --token TOKEN} [OPTION...]",
    .about = "Says what a module can do. It replaces what was said before: to take everything\n"
             "back, give none of the options below.",
    .groups = {{"Capabilities", ctl_capability_options_table},
               {"Module", ctl_identity_options},
               {"Connection", ctl_connection_options},
               {"Output", ctl_output_options}},
};

struct command {
    struct ctl_common common;
    struct ctl_identity identity;
    struct pywatt_capabilities *capabilities;
};

static int set(void *user, int key, const char *value)
{
    struct command *command = user;

    if (key >= KEY_HTTP && key < KEY_CAPABILITIES_END) {
        return ctl_capability_options_set(&command->capabilities, key, value);
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

    if (command->capabilities == NULL) {
        command->capabilities = pywatt_capabilities_new();
    }
    if (command->capabilities == NULL) {
        return tool_fail(TOOL_EXIT_OTHER, PYWATT_NO_MEMORY, "out of memory");
    }
    int code = ctl_attach(&command->common, &command->identity, &client, &module);
    if (code != 0) {
        return code;
    }
    if (pywatt_advertise_capabilities(module, command->capabilities, &error) != PYWATT_OK) {
        code = ctl_fail(&error);
    } else {
        struct ctl_record *record = ctl_record_new(NULL);
        ctl_record_uuid(record, "id", pywatt_module_id(module));
        ctl_record_capabilities(record, command->capabilities);
        code = ctl_record_print(record);
    }
    pywatt_module_free(module);
    pywatt_client_free(client);
    return code;
}

int ctl_advertise(int argc, char **argv)
{
    struct command command = {.capabilities = NULL};

    ctl_common_init(&command.common);
    int code = tool_options_parse(&syntax, argc, argv, set, &command);
    if (code == 0) {
        code = command.common.help ? tool_options_help(&syntax) : run(&command);
    }
    pywatt_capabilities_free(command.capabilities);
    ctl_common_clear(&command.common);
    return code;
}
