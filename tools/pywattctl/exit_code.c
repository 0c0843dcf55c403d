/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See exit_code.h. */
#include "pywattctl/exit_code.h"

int ctl_exit_code(enum pywatt_status status)
{
    switch (status) {
    case PYWATT_OK: return TOOL_EXIT_OK;
    case PYWATT_INVALID_ARGUMENT:
    case PYWATT_UNSUPPORTED: return TOOL_EXIT_USAGE;
    case PYWATT_CONNECTION:
    case PYWATT_CHANNEL: return CTL_EXIT_CONNECTION;
    case PYWATT_REJECTED:
    case PYWATT_NAME_TAKEN:
    case PYWATT_AUTHENTICATION_FAILED:
    case PYWATT_LIMIT:
    case PYWATT_STALE_GENERATION:
    case PYWATT_UNAVAILABLE: return CTL_EXIT_REFUSED;
    case PYWATT_MODULE_NOT_FOUND: return CTL_EXIT_MODULE_NOT_FOUND;
    case PYWATT_INVALID_TOKEN: return CTL_EXIT_INVALID_TOKEN;
    case PYWATT_TIMEOUT: return CTL_EXIT_TIMEOUT;
    case PYWATT_NO_MEMORY:
    case PYWATT_SERIALIZATION:
    case PYWATT_IO:
    case PYWATT_CLOSED:
    case PYWATT_FORKED:
    case PYWATT_CANCELLED: return TOOL_EXIT_OTHER;
    }
    return TOOL_EXIT_OTHER;
}

int ctl_fail(const struct pywatt_error *error)
{
    return tool_fail(ctl_exit_code(error->status), error->status, "%s", error->text);
}
