/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A consumer of both libraries: it embeds an orchestrator and registers a module with it, once with
 * each codec.
 */
#include <pywatt/orchestrator.h>
#include <pywatt/pywatt.h>

#include <stdio.h>
#include <stdlib.h>

static void must(enum pywatt_status status, const struct pywatt_error *error, const char *what)
{
    if (status != PYWATT_OK) {
        fprintf(stderr, "%s: %s: %s\n", what, pywatt_status_text(status), error->text);
        exit(1);
    }
}

static void run_a_module(const char *url, const char *codec)
{
    struct pywatt_client_options options;
    struct pywatt_client *client = NULL;
    struct pywatt_module_info *info = NULL;
    struct pywatt_module *module = NULL;
    struct pywatt_error error = {0};
    enum pywatt_health verdict = PYWATT_UNHEALTHY;

    pywatt_client_options_init(&options);
    options.endpoints = url;
    options.codec = codec;
    must(pywatt_client_open(&options, &client, &error), &error, "open");
    must(pywatt_module_info_new(codec, "1.0", "an installed consumer", &info), &error, "info");
    must(pywatt_register_module(client, info, &module, &error), &error, "register");
    must(pywatt_heartbeat(module, PYWATT_DEGRADED, NULL, &verdict, &error), &error, "beat");
    must(pywatt_unregister_module(module, &error), &error, "unregister");
    pywatt_module_free(module);
    pywatt_module_info_free(info);
    pywatt_client_free(client);
}

int main(void)
{
    struct pywatt_orchestrator_options options;
    struct pywatt_orchestrator *orchestrator = NULL;
    struct pywatt_error error = {0};
    char url[128];

    pywatt_orchestrator_options_init(&options);
    must(pywatt_orchestrator_new(&options, &orchestrator, &error), &error, "orchestrator");
    must(pywatt_orchestrator_listen(orchestrator, "tcp://127.0.0.1:0", url, sizeof(url), &error),
         &error, "listen");
    must(pywatt_orchestrator_start(orchestrator, &error), &error, "start");
    run_a_module(url, "json");
    run_a_module(url, "protobuf");
    pywatt_orchestrator_stop(orchestrator);
    pywatt_orchestrator_free(orchestrator);
    puts("both sides: ok");
    return 0;
}
