/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * words.c - see the header. Texts that reach a log line or a caller's struct pywatt_error.
 */
#include "tls/words.h"

#include "tls/names.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>

bool pw_tls_is_no_memory(void)
{
    return ERR_GET_REASON(ERR_peek_error()) == ERR_R_MALLOC_FAILURE ||
           ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE;
}

const char *pw_tls_reason(void)
{
    const char *const text = ERR_reason_error_string(ERR_peek_error());
    return text == NULL ? "unknown error" : text;
}

/* Reasons from here on are alerts that the peer has sent. */
#define FIRST_ALERT 1000

static const struct {
    int reason;
    const char *words;
} known[] = {
    {SSL_R_TLSV1_ALERT_UNKNOWN_CA, "it does not know the CA of our certificate"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, "it says that our certificate has expired"},
    {SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, "it does not accept our certificate"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, "it does not accept our certificate"},
    {SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, "it wants a certificate from us, and got none"},
    {SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, "it does not speak a version of TLS that we do"},
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, "it showed no certificate"},
    {SSL_R_UNSUPPORTED_PROTOCOL, "it does not speak a version of TLS that we do"},
    {SSL_R_WRONG_VERSION_NUMBER, "it does not speak TLS"},
    {SSL_R_HTTP_REQUEST, "it does not speak TLS"},
    {SSL_R_UNEXPECTED_EOF_WHILE_READING, "it has ended the connection"},
};

const char *pw_tls_words_failure(bool open, char out[PW_TLS_WORDS_MAX])
{
    const unsigned long error = ERR_peek_error();
    const int reason = ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i].reason == reason) {
            return known[i].words;
        }
    }
    if (reason >= FIRST_ALERT) {
        snprintf(out, PW_TLS_WORDS_MAX, "it says: %s", pw_tls_reason());
        return out;
    }
    if (error == 0) {
        return "it has ended the connection";
    }
    snprintf(out, PW_TLS_WORDS_MAX, "%s%s", pw_tls_reason(), open ? "" : " (does it speak TLS?)");
    return out;
}

/* "2026-01-31 12:00 UTC", or "?" for a date that is none. */
static const char *date_words(const ASN1_TIME *when, char out[32])
{
    struct tm tm;
    if (ASN1_TIME_to_tm(when, &tm) != 1 || strftime(out, 32, "%Y-%m-%d %H:%M UTC", &tm) == 0) {
        return "?";
    }
    return out;
}

void pw_tls_words_certificate(X509_STORE_CTX *store, const char *wanted, char out[PW_TLS_WORDS_MAX])
{
    const int code = X509_STORE_CTX_get_error(store);
    const X509 *const certificate = X509_STORE_CTX_get_current_cert(store);
    const char *const whose =
        X509_STORE_CTX_get_error_depth(store) == 0 ? "its certificate" : "the CA's certificate";
    char names[PW_TLS_WORDS_MAX / 2];
    char date[32];
    switch (code) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        snprintf(out, PW_TLS_WORDS_MAX, "its certificate is for %s, not for %.60s",
                 pw_tls_names_list(certificate, names, sizeof(names)),
                 wanted == NULL ? "?" : wanted);
        break;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        snprintf(out, PW_TLS_WORDS_MAX, "%s has expired on %s", whose,
                 date_words(X509_get0_notAfter(certificate), date));
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        snprintf(out, PW_TLS_WORDS_MAX, "%s is not valid before %s", whose,
                 date_words(X509_get0_notBefore(certificate), date));
        break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        snprintf(out, PW_TLS_WORDS_MAX, "its certificate comes from an unknown CA (%s)",
                 X509_verify_cert_error_string(code));
        break;
    default:
        snprintf(out, PW_TLS_WORDS_MAX, "%s is not good: %s", whose,
                 X509_verify_cert_error_string(code));
        break;
    }
}
