/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Goes on with a module that another process registered: all it takes is the module's id and its
 * token. Reports one beat with a detail, and leaves the module registered.
 *
 * Usage: attach URL ID TOKEN
 */
#include <pywatt/pywatt.h>

#include <stdio.h>

int main(int argc, char **argv)
{
    struct pywatt_client_options options;
    struct pywatt_client *client = NULL;
    struct pywatt_module *module = NULL;
    struct pywatt_string_map *details = pywatt_string_map_new();
    struct pywatt_error error = {PYWATT_NO_MEMORY, "out of memory"};
    enum pywatt_health verdict = PYWATT_HEALTHY;
    struct pywatt_uuid id;

    if (argc != 4 || pywatt_uuid_parse(argv[2], &id) != PYWATT_OK) {
        fprintf(stderr, "Usage: attach URL ID TOKEN\n");
        pywatt_string_map_free(details);
        return 2;
    }
    pywatt_client_options_init(&options);
    options.endpoints = argv[1];
    int failed = pywatt_client_open(&options, &client, &error) ||
                 pywatt_attach_module(client, NULL, &id, argv[3], &module, &error) ||
                 pywatt_string_map_set(details, "queue", "17") ||
                 pywatt_heartbeat(module, PYWATT_HEALTHY, details, &verdict, &error);
    if (failed) {
        fprintf(stderr, "%s\n", error.text);
    } else {
        printf("the orchestrator thinks: %s\n", pywatt_health_name(verdict));
    }
    pywatt_module_free(module);
    pywatt_client_free(client);
    pywatt_string_map_free(details);
    return failed;
}
