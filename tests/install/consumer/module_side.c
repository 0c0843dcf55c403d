/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A consumer of the module side alone. It talks to nobody: it shows that headers, libraries and
 * their dependencies are found.
 */
#include <pywatt/pywatt.h>

#include <stdio.h>
#include <string.h>

int main(void)
{
    struct pywatt_client_options options;
    struct pywatt_client *client = NULL;
    struct pywatt_error error = {0};

    if (strcmp(pywatt_version(), EXPECTED_VERSION) != 0) {
        fprintf(stderr, "the library says it is version %s\n", pywatt_version());
        return 1;
    }
    pywatt_client_options_init(&options);
    options.endpoints = "tcp://127.0.0.1:1";
    options.codec = "protobuf";
    if (pywatt_client_open(&options, &client, &error) != PYWATT_OK) {
        fprintf(stderr, "open: %s\n", error.text);
        return 1;
    }
    pywatt_client_free(client);
    puts("module side: ok");
    return 0;
}
