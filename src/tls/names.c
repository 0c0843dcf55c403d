/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * names.c - reads subject alternative names. No state; any thread.
 */
#include "tls/names.h"

#include <arpa/inet.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A module name that an entry speaks of; len 0 if none. */
static struct pw_str module_in(const GENERAL_NAME *entry)
{
    const struct pw_str none = {NULL, 0};
    int type;
    const ASN1_STRING *const value = GENERAL_NAME_get0_value(entry, &type);
    if ((type != GEN_DNS && type != GEN_URI) || value == NULL || ASN1_STRING_length(value) <= 0) {
        return none;
    }
    struct pw_str text = {(const char *)ASN1_STRING_get0_data(value),
                          (size_t)ASN1_STRING_length(value)};
    if (memchr(text.data, '\0', text.len) != NULL) {
        return none;
    }
    if (type == GEN_DNS) {
        return text;
    }
    const size_t scheme_len = sizeof(PW_TLS_MODULE_URI) - 1;
    if (text.len <= scheme_len || memcmp(text.data, PW_TLS_MODULE_URI, scheme_len) != 0) {
        return none;
    }
    return (struct pw_str){text.data + scheme_len, text.len - scheme_len};
}

enum pywatt_status pw_tls_names_grant(const X509 *certificate, struct pw_grant **out)
{
    int critical = -1;
    GENERAL_NAMES *const names =
        X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, NULL);
    if (names == NULL && critical >= 0) {
        return PYWATT_NO_MEMORY; /* it was read once, when the certificate was verified */
    }
    const int count = names == NULL ? 0 : sk_GENERAL_NAME_num(names);
    struct pw_str *const patterns = calloc((size_t)count + 1, sizeof(*patterns));
    enum pywatt_status status = PYWATT_NO_MEMORY;
    if (patterns != NULL) {
        size_t used = 0;
        for (int i = 0; i < count; i++) {
            const struct pw_str name = module_in(sk_GENERAL_NAME_value(names, i));
            if (name.len > 0) {
                patterns[used++] = name;
            }
        }
        status = pw_grant_new(patterns, used, out);
    }
    free(patterns);
    GENERAL_NAMES_free(names);
    return status;
}

/* Who made the certificate may have put anything there, and it goes into logs and onto terminals. */
static void make_printable(char *text)
{
    for (; *text != '\0'; text++) {
        if (*text < 0x20 || *text > 0x7e) {
            *text = '?';
        }
    }
}

/* One entry as text; false if it is of a kind that says nothing here. */
static bool entry_words(const GENERAL_NAME *entry, char *out, size_t size)
{
    int type;
    const ASN1_STRING *const value = GENERAL_NAME_get0_value(entry, &type);
    const int len = value == NULL || type == GEN_DIRNAME ? 0 : ASN1_STRING_length(value);
    if (type == GEN_DNS && len > 0) {
        snprintf(out, size, "%.*s", len < 60 ? len : 60,
                 (const char *)ASN1_STRING_get0_data(value));
        make_printable(out);
        return true;
    }
    if (type == GEN_IPADD && (len == 4 || len == 16)) {
        return inet_ntop(len == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(value), out,
                         (socklen_t)size) != NULL;
    }
    return false;
}

const char *pw_tls_names_list(const X509 *certificate, char *out, size_t size)
{
    GENERAL_NAMES *const names =
        certificate == NULL ? NULL
                            : X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    const int count = names == NULL ? 0 : sk_GENERAL_NAME_num(names);
    size_t used = 0;
    for (int i = 0; i < count; i++) {
        char entry[64];
        if (!entry_words(sk_GENERAL_NAME_value(names, i), entry, sizeof(entry))) {
            continue;
        }
        const char *const comma = used == 0 ? "" : ", ";
        if (used + strlen(entry) + 8 > size) {
            snprintf(out + used, size - used, ", ...");
            break;
        }
        used += (size_t)snprintf(out + used, size - used, "%s%s", comma, entry);
    }
    GENERAL_NAMES_free(names);
    if (used == 0) {
        snprintf(out, size, "no host");
    }
    return out;
}
