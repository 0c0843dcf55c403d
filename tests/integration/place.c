/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * place.c - see the header.
 */
#include "place.h"

#include "pw_test.h"

#include <pywatt/uuid.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const place_schemes[] = {"tcp", "unix", "memory"};
const size_t place_scheme_count = sizeof(place_schemes) / sizeof(place_schemes[0]);

void place_choose(const char *scheme, char *url, size_t size)
{
    static char *folder;
    static unsigned number;
    number++;
    if (strcmp(scheme, "memory") == 0) {
        snprintf(url, size, "memory:place-%u", number);
        return;
    }
    if (strcmp(scheme, "tcp") == 0) {
        struct pywatt_uuid drawn;
        pywatt_uuid_generate(&drawn);
        snprintf(url, size, "tcp://127.%u.%u.%u:0", 1 + drawn.bytes[0] % 254u, drawn.bytes[1],
                 1 + drawn.bytes[2] % 254u);
        return;
    }
    if (folder == NULL) {
        folder = pw_test_temp_dir();
    }
    snprintf(url, size, "unix:%s/%u", folder, number);
}
