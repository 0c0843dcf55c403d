/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * version.c - the version of the library, which the build takes from the project. No threads.
 */
#include <pywatt/status.h>

#ifndef PW_VERSION
#error "PW_VERSION is not defined: the build gives it to this file"
#endif

const char *pywatt_version(void)
{
    return PW_VERSION;
}
