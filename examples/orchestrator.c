/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* An orchestrator within a program: it listens, and tells what happens to modules, until Enter. */

#include <pywatt/orchestrator.h>
#include <stdio.h>

static void print_event(void *user, const struct pywatt_event *event)
{
    fprintf(user, "%s %s: %s, %s\n", pywatt_event_name(event->kind), event->module_name,
            pywatt_liveness_name(event->liveness), pywatt_health_name(event->health));
}

int main(int argc, char **argv)
{
    struct pywatt_orchestrator_options options;
    struct pywatt_orchestrator *orchestrator = NULL;
    struct pywatt_error error;
    char url[128];

    pywatt_orchestrator_options_init(&options);
    options.on_event = print_event;
    options.event_user = stderr;
    if (pywatt_orchestrator_new(&options, &orchestrator, &error) ||
        pywatt_orchestrator_listen(orchestrator, argc > 1 ? argv[1] : "tcp://127.0.0.1:7900", url,
                                   sizeof(url), &error) ||
        pywatt_orchestrator_start(orchestrator, &error)) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    fprintf(stderr, "listening %s\n", url);
    getchar();
    pywatt_orchestrator_free(orchestrator);
    return 0;
}
