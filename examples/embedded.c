/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Both sides in one process, without a socket of the network: the module talks to the orchestrator
 * through "memory:", and the program asks the orchestrator what it knows of the module.
 */
#include <pywatt/orchestrator.h>
#include <pywatt/pywatt.h>

#include <stdio.h>

#define MEETING_PLACE "memory:example"

static struct pywatt_orchestrator *start_orchestrator(struct pywatt_error *error)
{
    struct pywatt_orchestrator_options options;
    struct pywatt_orchestrator *orchestrator = NULL;

    pywatt_orchestrator_options_init(&options);
    options.workers = 1;
    if (pywatt_orchestrator_new(&options, &orchestrator, error) ||
        pywatt_orchestrator_listen(orchestrator, MEETING_PLACE, NULL, 0, error) ||
        pywatt_orchestrator_start(orchestrator, error)) {
        pywatt_orchestrator_free(orchestrator);
        return NULL;
    }
    return orchestrator;
}

static struct pywatt_module *register_module(struct pywatt_client *client,
                                             struct pywatt_error *error)
{
    struct pywatt_module_info *info = NULL;
    struct pywatt_module *module = NULL;

    if (pywatt_module_info_new("thermometer", "1.0", "Measures a room", &info) == PYWATT_OK) {
        pywatt_register_module(client, info, &module, error);
    }
    pywatt_module_info_free(info);
    return module;
}

static enum pywatt_status advertise(struct pywatt_module *module, struct pywatt_error *error)
{
    static const char *const methods[] = {"GET", "POST"};
    struct pywatt_capabilities *can = pywatt_capabilities_new();

    enum pywatt_status status = pywatt_capabilities_add_http_endpoint(can, "/limits", methods, 2);
    if (status == PYWATT_OK) {
        status = pywatt_capabilities_add_message_type(can, "temperature");
    }
    if (status == PYWATT_OK) {
        status = pywatt_capabilities_set_capability(can, "range", "{\"unit\": \"C\", \"max\": 60}");
    }
    if (status == PYWATT_OK) {
        status = pywatt_advertise_capabilities(module, can, error);
    }
    pywatt_capabilities_free(can);
    return status;
}

static void print_what_is_known(struct pywatt_orchestrator *orchestrator,
                                const struct pywatt_uuid *id)
{
    struct pywatt_module_view *view = NULL;
    const struct pywatt_capabilities *can;

    if (pywatt_orchestrator_find(orchestrator, id, &view) != PYWATT_OK) {
        puts("the orchestrator does not know the module");
        return;
    }
    can = pywatt_module_view_capabilities(view);
    printf("%s is %s and says %s\n", pywatt_module_info_name(pywatt_module_view_info(view)),
           pywatt_liveness_name(pywatt_module_view_liveness(view)),
           pywatt_health_name(pywatt_module_view_health(view)));
    printf("it sends %s, of range %s\n", pywatt_capabilities_message_type(can, 0),
           pywatt_capabilities_capability(can, "range"));
    pywatt_module_view_free(view);
}

int main(void)
{
    struct pywatt_error error = {PYWATT_OK, ""};
    struct pywatt_client_options options;
    struct pywatt_client *client = NULL;
    struct pywatt_module *module = NULL;
    enum pywatt_health verdict = PYWATT_HEALTHY;
    int failed = 1;

    struct pywatt_orchestrator *orchestrator = start_orchestrator(&error);
    pywatt_client_options_init(&options);
    options.endpoints = MEETING_PLACE;
    options.codec = "protobuf";
    if (orchestrator != NULL && pywatt_client_open(&options, &client, &error) == PYWATT_OK) {
        module = register_module(client, &error);
    }
    if (module != NULL && advertise(module, &error) == PYWATT_OK &&
        pywatt_heartbeat(module, PYWATT_DEGRADED, NULL, &verdict, &error) == PYWATT_OK) {
        print_what_is_known(orchestrator, pywatt_module_id(module));
        failed = pywatt_unregister_module(module, &error) != PYWATT_OK;
        print_what_is_known(orchestrator, pywatt_module_id(module));
    }
    if (failed) {
        fprintf(stderr, "%s\n", error.text);
    }
    pywatt_module_free(module);
    pywatt_client_free(client);
    pywatt_orchestrator_free(orchestrator);
    return failed;
}
