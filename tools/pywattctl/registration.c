/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See registration.h. */
#include "pywattctl/registration.h"

#include <stdlib.h>
#include <string.h>

void ctl_record_registration(struct ctl_record *record, struct pywatt_registration *registration,
                             bool with_token)
{
    const struct pywatt_module_info *info = pywatt_registration_info(registration);

    if (info != NULL) {
        ctl_record_text(record, "name", pywatt_module_info_name(info));
    }
    ctl_record_uuid(record, "id", pywatt_registration_id(registration));
    if (with_token) {
        ctl_record_text(record, "token", pywatt_registration_token(registration));
    }
    ctl_record_text(record, "orchestrator_host",
                    pywatt_registration_orchestrator_host(registration));
    ctl_record_number(record, "orchestrator_port",
                      pywatt_registration_orchestrator_port(registration));
    ctl_record_number(record, "lease_ms", pywatt_registration_lease_ms(registration));
    ctl_record_number(record, "heartbeat_interval_ms",
                      pywatt_registration_heartbeat_interval_ms(registration));
    ctl_record_number(record, "generation", pywatt_registration_generation(registration));
}

int ctl_save_registration(struct ctl_state_writer *writer, const struct ctl_common *common,
                          struct pywatt_registration *registration)
{
    struct ctl_state state = {.id = *pywatt_registration_id(registration)};
    enum pywatt_status status =
        pywatt_module_info_copy(pywatt_registration_info(registration), &state.info);
    int code = 0;

    state.endpoint = strdup(ctl_endpoint(common));
    state.codec = strdup(ctl_codec(common));
    state.token = strdup(pywatt_registration_token(registration));
    if (status != PYWATT_OK || state.endpoint == NULL || state.codec == NULL ||
        state.token == NULL) {
        ctl_state_abandon(writer);
        code = tool_fail(TOOL_EXIT_OTHER, PYWATT_NO_MEMORY, "out of memory");
    } else {
        code = ctl_state_commit(writer, &state);
    }
    ctl_state_clear(&state);
    return code;
}
