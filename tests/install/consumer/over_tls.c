/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A consumer of all three libraries: over_tls CA CERT KEY: an orchestrator behind TLS that asks for
 * certificates, and a module "camera" that shows the same one and beats.
 */
#include <pywatt/orchestrator.h>
#include <pywatt/pywatt.h>
#include <pywatt/tls.h>

#include <stdio.h>
#include <stdlib.h>

static void must(enum pywatt_status status, const struct pywatt_error *error, const char *what)
{
    if (status != PYWATT_OK) {
        fprintf(stderr, "%s: %s: %s\n", what, pywatt_status_text(status), error->text);
        exit(1);
    }
}

static void run_a_module(const char *url, struct pywatt_tls *tls)
{
    struct pywatt_client_options options;
    struct pywatt_client *client = NULL;
    struct pywatt_module_info *info = NULL;
    struct pywatt_module *module = NULL;
    struct pywatt_error error = {0};

    pywatt_client_options_init(&options);
    options.endpoints = url;
    options.tls = tls;
    must(pywatt_client_open(&options, &client, &error), &error, "open");
    must(pywatt_module_info_new("camera", "1.0", "an installed consumer", &info), &error, "info");
    must(pywatt_register_module(client, info, &module, &error), &error, "register");
    must(pywatt_heartbeat(module, PYWATT_HEALTHY, NULL, NULL, &error), &error, "beat");
    pywatt_module_free(module);
    pywatt_module_info_free(info);
    pywatt_client_free(client);
}

int main(int argc, char **argv)
{
    struct pywatt_tls_options settings;
    struct pywatt_tls *server = NULL;
    struct pywatt_tls *client = NULL;
    struct pywatt_orchestrator_options options;
    struct pywatt_orchestrator *orchestrator = NULL;
    struct pywatt_error error = {0};
    char url[128];

    if (argc != 4) {
        fputs("usage: over_tls CA CERT KEY\n", stderr);
        return 2;
    }
    pywatt_tls_options_init(&settings);
    settings.ca_file = argv[1];
    settings.cert_file = argv[2];
    settings.key_file = argv[3];
    must(pywatt_tls_server_new(&settings, &server, &error), &error, "server");
    must(pywatt_tls_client_new(&settings, &client, &error), &error, "client");
    pywatt_orchestrator_options_init(&options);
    options.tls = server;
    must(pywatt_orchestrator_new(&options, &orchestrator, &error), &error, "orchestrator");
    must(pywatt_orchestrator_listen(orchestrator, "tls://127.0.0.1:0", url, sizeof(url), &error),
         &error, "listen");
    must(pywatt_orchestrator_start(orchestrator, &error), &error, "start");
    run_a_module(url, client);
    pywatt_orchestrator_free(orchestrator);
    pywatt_tls_free(client);
    pywatt_tls_free(server);
    puts("over TLS: ok");
    return 0;
}
