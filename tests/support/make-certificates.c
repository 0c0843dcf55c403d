/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * make-certificates FOLDER CA [NAME ALTERNATIVES]...: for tests that are no C: a CA, and certificates
 * of it, as certificates.h makes them.
 */
#include "certificates.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    struct pw_test_ca ca;
    struct pw_test_certificate made;

    if (argc < 3 || argc % 2 == 0) {
        fprintf(stderr, "usage: make-certificates FOLDER CA [NAME ALTERNATIVES]...\n");
        return 2;
    }
    pw_test_ca_make(&ca, argv[1], argv[2]);
    for (int i = 3; i + 1 < argc; i += 2) {
        pw_test_certificate_make(&ca, argv[1], argv[i], argv[i + 1], -1, 9, &made);
    }
    pw_test_ca_free(&ca);
    return 0;
}
