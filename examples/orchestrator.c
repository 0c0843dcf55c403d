/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* An orchestrator within a program: it tells what happens to modules, until Enter. */

#include <pywatt/orchestrator.h>
#include <stdio.h>
static void print_event(void *user, const struct pywatt_event *event)
{
    fprintf(user, "%s %s\n", pywatt_event_name(event->kind), event->module_name);
}

int main(int argc, char **argv)
{
    const char *url = argc > 1 ? argv[1] : "tcp://127.0.0.1:7900";
    struct pywatt_orchestrator_options options;
    struct pywatt_orchestrator *hub;
    struct pywatt_error error;
    pywatt_orchestrator_options_init(&options);
    options.on_event = print_event;
    options.event_user = stderr;
    if (pywatt_orchestrator_new(&options, &hub, &error) ||
        pywatt_orchestrator_listen(hub, url, NULL, 0, &error) ||
        pywatt_orchestrator_start(hub, &error)) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    getchar();
    pywatt_orchestrator_free(hub);
}
