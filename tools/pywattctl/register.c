/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* pywattctl register: registers a module once and prints, and keeps, what later commands need. */
#include "pywattctl/commands.h"
#include "pywattctl/common.h"
#include "pywattctl/module_options.h"
#include "pywattctl/registration.h"

enum key {
    KEY_FORCE = KEY_OF_COMMAND
};

static const struct tool_option own_options[] = {
    {"force", KEY_FORCE, NULL, "overwrite a state file that holds another module"},
    {NULL, 0, NULL, NULL},
};

static const struct tool_syntax syntax = {
    .usage = "pywattctl register --name NAME [OPTION...]",
    .about = "Registers a module. Prints its id, its token and its lease; with --state they are\n"
             "also written to a file that heartbeat, advertise, unregister and run read.",
    .groups = {{"Module", ctl_module_options_table},
               {"Connection", ctl_connection_options},
               {"State", own_options},
               {"Output", ctl_output_options}},
};

struct command {
    struct ctl_common common;
    struct ctl_module_options module;
    bool force;
};

static int set(void *user, int key, const char *value)
{
    struct command *command = user;

    if (key == KEY_FORCE) {
        command->force = true;
        return 0;
    }
    if (key >= KEY_NAME && key < KEY_MODULE_END) {
        return ctl_module_options_set(&command->module, key, value);
    }
    return ctl_common_set(&command->common, key, value);
}

static int print(const struct command *command, struct pywatt_registration *registration)
{
    struct ctl_record *record = ctl_record_new(NULL);

    ctl_record_registration(record, registration, true);
    ctl_record_map(record, "env", pywatt_registration_env(registration), false);
    ctl_record_map(record, "additional_data", pywatt_registration_additional_data(registration),
                   true);
    if (command->common.state_path != NULL) {
        ctl_record_text(record, "state_file", command->common.state_path);
    }
    return ctl_record_print(record);
}

static int register_with(struct command *command, struct pywatt_client *client,
                         const struct pywatt_module_info *info, struct ctl_state_writer *writer)
{
    struct pywatt_module *module = NULL;
    struct pywatt_error error = {PYWATT_OK, ""};

    if (pywatt_register_module(client, info, &module, &error) != PYWATT_OK) {
        ctl_state_abandon(writer);
        return ctl_fail(&error);
    }
    struct pywatt_registration *registration = pywatt_module_registration(module);
    /* Printed even if it cannot be saved: without its token the module could not be taken out. */
    int code = print(command, registration);
    if (writer != NULL) {
        int saved = ctl_save_registration(writer, &command->common, registration);
        code = code != 0 ? code : saved;
    }
    pywatt_registration_release(registration);
    pywatt_module_free(module);
    return code;
}

static int run(struct command *command)
{
    const char *path = command->common.state_path;
    struct pywatt_module_info *info = NULL;
    struct pywatt_client *client = NULL;
    struct ctl_state_writer *writer = NULL;

    if (path != NULL && !command->force && ctl_state_exists(path)) {
        return tool_usage_error("state file '%s' exists already: unregister the module that it "
                                "holds, take another file, or say --force",
                                path);
    }
    int code = ctl_module_options_info(&command->module, &info);
    if (code == 0) {
        code = ctl_open(&command->common, &client);
    }
    if (code == 0 && path != NULL) {
        code = ctl_state_prepare(path, &writer);
    }
    if (code == 0) {
        code = register_with(command, client, info, writer);
    }
    pywatt_client_free(client);
    pywatt_module_info_free(info);
    return code;
}

int ctl_register(int argc, char **argv)
{
    struct command command = {.force = false};

    ctl_common_init(&command.common);
    ctl_module_options_init(&command.module);
    int code = tool_options_parse(&syntax, argc, argv, set, &command);
    if (code == 0) {
        code = command.common.help ? tool_options_help(&syntax) : run(&command);
    }
    ctl_module_options_clear(&command.module);
    ctl_common_clear(&command.common);
    return code;
}
