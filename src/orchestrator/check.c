/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * check.c - what can be known of settings without an orchestrator. No state; any thread.
 */
#include "base/error.h"
#include "orchestrator/options.h"
#include "orchestrator/store.h"
#include "transport/endpoint.h"

enum pywatt_status pywatt_orchestrator_check(const struct pywatt_orchestrator_options *options,
                                             struct pywatt_error *error)
{
    struct pw_config *config = NULL;
    if (options == NULL) {
        return pw_error_set(error, PYWATT_INVALID_ARGUMENT, "options is NULL");
    }
    enum pywatt_status status = pw_config_new(options, NULL, &config, error);
    if (status == PYWATT_OK) {
        status = pw_store_check(config->options.store, error);
        pw_config_release(config);
    }
    return status;
}

enum pywatt_status pywatt_orchestrator_check_url(const char *url, struct pywatt_error *error)
{
    struct pw_endpoint endpoint;
    return url == NULL ? pw_error_set(error, PYWATT_INVALID_ARGUMENT, "url is NULL")
                       : pw_endpoint_parse(url, true, &endpoint, error);
}
