/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* pywattctl unregister: takes a module out of the orchestrator, and its state file away. */
#include "pywattctl/commands.h"
#include "pywattctl/common.h"

static const struct tool_syntax syntax = {
    .usage = "pywattctl unregister {--state FILE | --id UUID --token TOKEN} [OPTION...]",
    .about = "Takes a module out of the orchestrator. A state file is removed when that is done.",
    .groups = {{"Module", ctl_identity_options},
               {"Connection", ctl_connection_options},
               {"Output", ctl_output_options}},
};

struct command {
    struct ctl_common common;
    struct ctl_identity identity;
};

static int set(void *user, int key, const char *value)
{
    struct command *command = user;

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
    int code = ctl_attach(&command->common, &command->identity, &client, &module);

    if (code != 0) {
        return code;
    }
    if (pywatt_unregister_module(module, &error) != PYWATT_OK) {
        code = ctl_fail(&error);
    } else {
        struct ctl_record *record = ctl_record_new(NULL);
        ctl_record_uuid(record, "id", pywatt_module_id(module));
        ctl_record_text(record, "result", "unregistered");
        code = ctl_record_print(record);
        /* The file is of this module only if that is where its id came from. */
        if (command->identity.id_text == NULL) {
            int removed = ctl_state_remove(command->common.state_path);
            code = code != 0 ? code : removed;
        }
    }
    pywatt_module_free(module);
    pywatt_client_free(client);
    return code;
}

int ctl_unregister(int argc, char **argv)
{
    struct command command = {.identity = {NULL, NULL}};

    ctl_common_init(&command.common);
    int code = tool_options_parse(&syntax, argc, argv, set, &command);
    if (code == 0) {
        code = command.common.help ? tool_options_help(&syntax) : run(&command);
    }
    ctl_common_clear(&command.common);
    return code;
}
