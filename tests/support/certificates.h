/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * certificates.h - CAs and certificates that are made while a test runs, so that no key is kept in the
 * tree. EC P-256: cheap even under Valgrind. Whatever fails ends the process with a word on stderr.
 */
#ifndef PW_TEST_CERTIFICATES_H
#define PW_TEST_CERTIFICATES_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#define PW_TEST_FILE_MAX 256

struct pw_test_ca {
    EVP_PKEY *key;
    X509 *certificate;
    char file[PW_TEST_FILE_MAX];
};

/* Files of a certificate and its key. */
struct pw_test_certificate {
    char cert_file[PW_TEST_FILE_MAX];
    char key_file[PW_TEST_FILE_MAX];
};

/* Writes FOLDER/NAME.pem. End it with pw_test_ca_free. */
void pw_test_ca_make(struct pw_test_ca *ca, const char *folder, const char *name);
void pw_test_ca_free(struct pw_test_ca *ca);

/*
 * Writes FOLDER/NAME.pem and FOLDER/NAME.key. `alternatives`: "DNS:a.example,IP:127.0.0.1,URI:pywatt:x",
 * or NULL. It is valid from and to so many days from now.
 */
void pw_test_certificate_make(const struct pw_test_ca *ca, const char *folder, const char *name,
                              const char *alternatives, int from_days, int to_days,
                              struct pw_test_certificate *out);

/* In seconds. */
void pw_test_certificate_make_s(const struct pw_test_ca *ca, const char *folder, const char *name,
                                const char *alternatives, long from_s, long to_s,
                                struct pw_test_certificate *out);

/* Writes the key once more, under a passphrase. */
void pw_test_lock_key(const char *key_file, const char *locked_file, const char *passphrase);

#endif
