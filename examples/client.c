/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A module: registers, beats in the background until Enter, unregisters. */

#include <pywatt/pywatt.h>
#include <stdio.h>
int main(int argc, char **argv)
{
    struct pywatt_client_options options;
    struct pywatt_client *client;
    struct pywatt_module_info *info;
    struct pywatt_module *module;
    struct pywatt_error error = {PYWATT_NO_MEMORY, "out of memory"};
    pywatt_client_options_init(&options);
    options.endpoints = argc > 1 ? argv[1] : "tcp://127.0.0.1:7900";
    if (pywatt_client_open(&options, &client, &error) ||
        pywatt_module_info_new("thermometer", "1.0", "Measures a room", &info) ||
        pywatt_register_module(client, info, &module, &error) ||
        pywatt_start_heartbeat_loop(module, 1000, NULL, NULL, NULL, &error)) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    pywatt_module_set_health(module, PYWATT_DEGRADED); /* any time, from any thread */
    getchar();
    pywatt_unregister_module(module, &error);
    pywatt_module_free(module);
    pywatt_client_free(client);
    pywatt_module_info_free(info);
}
