/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * names.h - the names in a certificate: whom it is for, and for which modules it is good. No state.
 */
#ifndef PW_TLS_NAMES_H
#define PW_TLS_NAMES_H

#include "transport/grant.h"

#include <openssl/x509.h>
#include <stddef.h>

/* A URI that begins so names the module that stands behind it. */
#define PW_TLS_MODULE_URI "pywatt:"

/*
 * The modules that the certificate's subject alternative names speak of: each DNS name as it stands,
 * and what stands behind "pywatt:" in a URI; "*." in front means all that end so. All else is passed
 * over, and so is what has a NUL in it. One reference is the caller's. PYWATT_OK, PYWATT_NO_MEMORY.
 */
enum pywatt_status pw_tls_names_grant(const X509 *certificate, struct pw_grant **out);

/* "a.example, 10.0.0.1, ...", or "no host": fit for a message. NULL is allowed. Returns `out`. */
const char *pw_tls_names_list(const X509 *certificate, char *out, size_t size);

#endif
