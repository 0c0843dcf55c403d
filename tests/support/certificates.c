/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See certificates.h. No threads. */
#include "certificates.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "test certificates: %s failed\n", what);
        ERR_print_errors_fp(stderr);
        abort();
    }
}

static void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *const extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    must(extension != NULL && X509_add_ext(certificate, extension, -1) == 1, value);
    X509_EXTENSION_free(extension);
}

#define DAY_S 86400L

static X509 *new_certificate(EVP_PKEY *key, const char *name, long from_s, long to_s)
{
    static long serial;
    X509 *const certificate = X509_new();
    must(certificate != NULL, "X509_new");
    X509_NAME *const subject = X509_get_subject_name(certificate);
    must(X509_set_version(certificate, 2) == 1 &&
             ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial) == 1 &&
             X509_gmtime_adj(X509_getm_notBefore(certificate), from_s) != NULL &&
             X509_gmtime_adj(X509_getm_notAfter(certificate), to_s) != NULL &&
             X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name,
                                        -1, -1, 0) == 1 &&
             X509_set_pubkey(certificate, key) == 1,
         "filling a certificate");
    return certificate;
}

static void write_certificate(const X509 *certificate, const char *file)
{
    FILE *const out = fopen(file, "we");
    must(out != NULL && PEM_write_X509(out, certificate) == 1 && fclose(out) == 0, file);
}

static void write_key(const EVP_PKEY *key, const char *file)
{
    FILE *const out = fopen(file, "we");
    must(out != NULL && PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) == 1 &&
             fclose(out) == 0,
         file);
}

void pw_test_ca_make(struct pw_test_ca *ca, const char *folder, const char *name)
{
    ca->key = EVP_EC_gen("P-256");
    must(ca->key != NULL, "making a key");
    ca->certificate = new_certificate(ca->key, name, -10 * DAY_S, 10 * DAY_S);
    X509 *const own = ca->certificate;
    must(X509_set_issuer_name(own, X509_get_subject_name(own)) == 1, "naming the issuer");
    add_extension(own, own, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(own, own, NID_key_usage, "critical,keyCertSign");
    add_extension(own, own, NID_subject_key_identifier, "hash");
    must(X509_sign(own, ca->key, EVP_sha256()) > 0, "signing");
    snprintf(ca->file, sizeof(ca->file), "%s/%s.pem", folder, name);
    write_certificate(own, ca->file);
}

void pw_test_ca_free(struct pw_test_ca *ca)
{
    EVP_PKEY_free(ca->key);
    X509_free(ca->certificate);
}

void pw_test_certificate_make_s(const struct pw_test_ca *ca, const char *folder, const char *name,
                                const char *alternatives, long from_s, long to_s,
                                struct pw_test_certificate *out)
{
    EVP_PKEY *const key = EVP_EC_gen("P-256");
    must(key != NULL, "making a key");
    X509 *const certificate = new_certificate(key, name, from_s, to_s);
    must(X509_set_issuer_name(certificate, X509_get_subject_name(ca->certificate)) == 1,
         "naming the issuer");
    if (alternatives != NULL) {
        add_extension(certificate, ca->certificate, NID_subject_alt_name, alternatives);
    }
    must(X509_sign(certificate, ca->key, EVP_sha256()) > 0, "signing");
    snprintf(out->cert_file, sizeof(out->cert_file), "%s/%s.pem", folder, name);
    snprintf(out->key_file, sizeof(out->key_file), "%s/%s.key", folder, name);
    write_certificate(certificate, out->cert_file);
    write_key(key, out->key_file);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

void pw_test_lock_key(const char *key_file, const char *locked_file, const char *passphrase)
{
    FILE *const in = fopen(key_file, "re");
    must(in != NULL, key_file);
    EVP_PKEY *const key = PEM_read_PrivateKey(in, NULL, NULL, NULL);
    fclose(in);
    FILE *const out = fopen(locked_file, "we");
    must(key != NULL && out != NULL &&
             PEM_write_PKCS8PrivateKey(out, key, EVP_aes_128_cbc(), passphrase,
                                       (int)strlen(passphrase), NULL, NULL) == 1 &&
             fclose(out) == 0,
         locked_file);
    EVP_PKEY_free(key);
}

void pw_test_certificate_make(const struct pw_test_ca *ca, const char *folder, const char *name,
                              const char *alternatives, int from_days, int to_days,
                              struct pw_test_certificate *out)
{
    pw_test_certificate_make_s(ca, folder, name, alternatives, DAY_S * from_days, DAY_S * to_days,
                               out);
}
