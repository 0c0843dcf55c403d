/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * pywattctl run: a whole module. It registers (or goes on with a module of a state file), says what
 * it can do, beats in the background, tells what changes, and unregisters when it is asked to end.
 *
 * The main thread sleeps in waiter.c and makes no blocking call, so that Ctrl-C is answered at once
 * whatever the orchestrator does.
 */
#include "pywattctl/run.h"

#include "common/parse.h"
#include "pywattctl/capability_options.h"
#include "pywattctl/commands.h"
#include "pywattctl/module_options.h"
#include "pywattctl/registration.h"

#include <string.h>

/* How long the end may take if the orchestrator does not answer. */
#define UNREGISTER_MS 5000
/* How often the count of beats is looked at, at most and at least. */
#define COUNT_MIN_MS 1
#define COUNT_MAX_MS 50

enum key {
    KEY_INTERVAL = KEY_OF_COMMAND,
    KEY_HEALTH,
    KEY_COUNT,
    KEY_DURATION,
    KEY_KEEP,
    KEY_RETRY_DELAY
};

static const struct tool_option own_options[] = {
    {"interval", KEY_INTERVAL, "MS",
     "time between beats (default: what the orchestrator\nrecommends); 1ms, 2s and so on are "
     "understood"},
    {"health", KEY_HEALTH, "STATUS", "health at first: healthy (default), degraded, unhealthy"},
    {"count", KEY_COUNT, "N", "end when N beats have been answered"},
    {"duration", KEY_DURATION, "MS", "end after this time"},
    {"keep", KEY_KEEP, NULL, "at the end leave the module registered"},
    {"retry-delay", KEY_RETRY_DELAY, "MS",
     "longest pause between attempts to connect (default 1000)"},
    {NULL, 0, NULL, NULL},
};

static const struct tool_syntax syntax = {
    .usage = "pywattctl run {--name NAME | --state FILE} [OPTION...]",
    .about =
        "Registers a module, or goes on with the one in a state file, advertises what it is told\n"
        "to, and beats until SIGINT (Ctrl-C) or SIGTERM; then it unregisters the module and prints\n"
        "a summary. Prints a line for each change: connecting, registered, advertised, beating,\n"
        "verdict, health, lost, failing, back, reregistered, ending, unregistered, summary.\n"
        "SIGUSR1 makes the health one step worse (healthy, degraded, unhealthy), SIGUSR2 better.",
    .groups = {{"Beats", own_options},
               {"Module", ctl_module_options_table},
               {"Capabilities", ctl_capability_options_table},
               {"Connection", ctl_run_connection_options},
               {"Output", ctl_output_options}},
};

struct command {
    struct ctl_common common;
    struct ctl_module_options module;
    struct pywatt_capabilities *capabilities;
    uint32_t interval_ms;
    enum pywatt_health health;
    uint64_t count;
    uint64_t duration_ms;
    uint32_t retry_delay_ms;
    bool keep;
};

static int set_own(struct command *command, int key, const char *value)
{
    switch (key) {
    case KEY_INTERVAL:
        return tool_parse_time_ms_u32("interval", value, 1, 86400000, &command->interval_ms);
    case KEY_HEALTH:
        return pywatt_health_parse(value, &command->health) == PYWATT_OK
                   ? 0
                   : tool_usage_error("--health: '%s' is none of: healthy, degraded, unhealthy",
                                      value);
    case KEY_COUNT: return tool_parse_u64("count", value, 1, UINT64_C(1) << 53, &command->count);
    case KEY_DURATION:
        return tool_parse_time_ms("duration", value, 1, UINT64_C(1) << 53, &command->duration_ms);
    case KEY_RETRY_DELAY:
        return tool_parse_time_ms_u32("retry-delay", value, 1, 86400000, &command->retry_delay_ms);
    default: command->keep = true; return 0;
    }
}

static int set(void *user, int key, const char *value)
{
    struct command *command = user;

    if (key >= KEY_OF_COMMAND) {
        return set_own(command, key, value);
    }
    if (key >= KEY_HTTP && key < KEY_CAPABILITIES_END) {
        return ctl_capability_options_set(&command->capabilities, key, value);
    }
    if (key >= KEY_NAME && key < KEY_MODULE_END) {
        return ctl_module_options_set(&command->module, key, value);
    }
    return ctl_common_set(&command->common, key, value);
}

/* ---- The beginning ------------------------------------------------------------------------ */

static int open_client(const struct command *command, struct run *run)
{
    struct pywatt_client_options options;
    struct pywatt_error error = {PYWATT_OK, ""};
    struct pywatt_tls *tls = NULL;
    int bad = ctl_make_tls(&command->common, &tls);

    if (bad != 0) {
        return bad;
    }
    pywatt_client_options_init(&options);
    options.endpoints = ctl_endpoint(&command->common);
    options.shuffle_endpoints = command->common.shuffle;
    options.codec = ctl_codec(&command->common);
    options.timeout_ms = command->common.timeout_ms;
    options.reconnect = PYWATT_RECONNECT_EXPONENTIAL;
    options.reconnect_delay_ms = 50;
    options.reconnect_max_delay_ms = command->retry_delay_ms;
    if (options.reconnect_delay_ms > options.reconnect_max_delay_ms) {
        options.reconnect_delay_ms = options.reconnect_max_delay_ms;
    }
    options.tls = tls;
    enum pywatt_status status = pywatt_client_open(&options, &run->client, &error);
    pywatt_tls_free(tls); /* the client has a reference of its own */
    return status == PYWATT_OK ? 0 : ctl_fail(&error);
}

/* Names the endpoint where the library's words do not: it may have been given up long after. */
static int fail_at(const struct run *run, const struct pywatt_error *error)
{
    const char *endpoint = ctl_endpoint(run->common);

    if (error->status != PYWATT_CONNECTION || strstr(error->text, endpoint) != NULL) {
        return ctl_fail(error);
    }
    return tool_fail(ctl_exit_code(error->status), error->status, "%s: %s", endpoint, error->text);
}

/* Waits for a call of the beginning. `what` is what an interruption prevented. */
static int await(struct run *run, const char *what, struct pywatt_module **module)
{
    struct pywatt_error error = {PYWATT_OK, ""};

    if (!waiter_call_wait(&run->waiter, 1, WAITER_FOREVER, &error, module)) {
        return tool_fail(TOOL_EXIT_OTHER, PYWATT_CANCELLED, "interrupted before the module was %s",
                         what);
    }
    return error.status == PYWATT_OK ? 0 : fail_at(run, &error);
}

static int register_new(struct command *command, struct run *run)
{
    struct pywatt_error error = {PYWATT_OK, ""};
    struct pywatt_module_info *info = NULL;
    struct ctl_state_writer *writer = NULL;
    int code = ctl_module_options_info(&command->module, &info);

    if (code == 0 && command->common.state_path != NULL) {
        code = ctl_state_prepare(command->common.state_path, &writer);
    }
    if (code == 0) {
        struct ctl_record *record = ctl_record_new("connecting");
        ctl_record_text(record, "endpoint", ctl_endpoint(&command->common));
        run_print(run, record);
        waiter_call_begin(&run->waiter);
        if (pywatt_register_module_async(run->client, info, waiter_registered, &run->waiter,
                                         &error) != PYWATT_OK) {
            code = ctl_fail(&error);
        } else {
            code = await(run, "registered", &run->module);
        }
    }
    pywatt_module_info_free(info);
    if (code != 0) {
        ctl_state_abandon(writer);
        return code;
    }
    struct pywatt_registration *registration = pywatt_module_registration(run->module);
    struct ctl_record *record = ctl_record_new("registered");
    ctl_record_registration(record, registration, false);
    ctl_record_text(record, "codec", ctl_codec(&command->common));
    run_print(run, record);
    if (writer != NULL) {
        code = ctl_save_registration(writer, &command->common, registration);
    }
    pywatt_registration_release(registration);
    return code;
}

static int attach(struct command *command, struct run *run)
{
    const struct ctl_state *state = &command->common.state;
    const char *name = pywatt_module_info_name(state->info);
    struct pywatt_error error = {PYWATT_OK, ""};

    if (command->module.name != NULL && strcmp(command->module.name, name) != 0) {
        return tool_usage_error("state file '%s' holds the module '%s', not '%s'",
                                command->common.state_path, name, command->module.name);
    }
    int bad = ctl_module_options_join(&command->module, state->info);
    if (bad != 0) {
        return bad;
    }
    if (pywatt_attach_module(run->client, state->info, &state->id, state->token, &run->module,
                             &error) != PYWATT_OK) {
        return ctl_fail(&error);
    }
    struct ctl_record *record = ctl_record_new("attached");
    ctl_record_text(record, "name", name);
    ctl_record_uuid(record, "id", &state->id);
    ctl_record_text(record, "codec", ctl_codec(&command->common));
    run_print(run, record);
    return 0;
}

static int advertise(struct command *command, struct run *run)
{
    struct pywatt_error error = {PYWATT_OK, ""};
    struct pywatt_module *none = NULL;

    if (command->capabilities == NULL) {
        return 0;
    }
    waiter_call_begin(&run->waiter);
    if (pywatt_advertise_capabilities_async(run->module, command->capabilities, waiter_done,
                                            &run->waiter, &error) != PYWATT_OK) {
        return ctl_fail(&error);
    }
    int code = await(run, "advertised", &none);
    if (code == 0) {
        struct ctl_record *record = ctl_record_new("advertised");
        ctl_record_capabilities(record, command->capabilities);
        run_print(run, record);
    }
    return code;
}

static int start_beating(struct command *command, struct run *run)
{
    struct pywatt_error error = {PYWATT_OK, ""};
    struct ctl_record *record = ctl_record_new("beating");

    pywatt_module_set_health(run->module, command->health);
    pywatt_module_set_watcher(run->module, run_watch, run);
    if (command->interval_ms != 0) {
        ctl_record_number(record, "interval_ms", command->interval_ms);
    }
    ctl_record_text(record, "health", pywatt_health_name(command->health));
    run_print(run, record);
    if (pywatt_start_heartbeat_loop(run->module, command->interval_ms, NULL, NULL, NULL, &error) !=
        PYWATT_OK) {
        return ctl_fail(&error);
    }
    return 0;
}

/* ---- The life ----------------------------------------------------------------------------- */

/* Carries out what SIGUSR1 and SIGUSR2 asked for. */
static void change_health(struct command *command, struct run *run)
{
    int wanted = (int)command->health + run->waiter.health_steps;

    run->waiter.health_steps = 0;
    if (wanted < (int)PYWATT_HEALTHY) {
        wanted = (int)PYWATT_HEALTHY;
    }
    if (wanted > (int)PYWATT_UNHEALTHY) {
        wanted = (int)PYWATT_UNHEALTHY;
    }
    command->health = (enum pywatt_health)wanted;
    pywatt_module_set_health(run->module, command->health);
    struct ctl_record *record = ctl_record_new("health");
    ctl_record_text(record, "health", pywatt_health_name(command->health));
    run_print(run, record);
}

static bool has_counted_enough(const struct command *command, const struct run *run)
{
    struct pywatt_client_stats stats = {.size = sizeof(stats)};

    if (command->count == 0) {
        return false;
    }
    return pywatt_client_get_stats(run->client, &stats) == PYWATT_OK &&
           stats.beats_answered >= command->count;
}

/* When to look at the count again: often enough to end close to it, never in a busy loop. */
static uint64_t next_look(const struct command *command, uint64_t end_ns)
{
    uint64_t pause_ms = command->interval_ms / 4;

    if (command->count == 0) {
        return end_ns;
    }
    if (pause_ms < COUNT_MIN_MS) {
        pause_ms = COUNT_MIN_MS;
    }
    if (pause_ms > COUNT_MAX_MS || command->interval_ms == 0) {
        pause_ms = COUNT_MAX_MS;
    }
    uint64_t look_ns = waiter_after_ms(pause_ms);
    return look_ns < end_ns ? look_ns : end_ns;
}

/* Returns why it is over. */
static const char *live(struct command *command, struct run *run)
{
    uint64_t end_ns =
        command->duration_ms != 0 ? waiter_after_ms(command->duration_ms) : WAITER_FOREVER;

    for (;;) {
        if (waiter_ended(&run->waiter)) {
            return run->waiter.stops > 0 ? "signal" : "failure";
        }
        if (has_counted_enough(command, run)) {
            return "count";
        }
        if (waiter_now_ns() >= end_ns) {
            return "duration";
        }
        waiter_sleep(&run->waiter, next_look(command, end_ns));
        if (run->waiter.health_steps != 0) {
            change_health(command, run);
        }
    }
}

/* ---- The end ------------------------------------------------------------------------------ */

/* A second Ctrl-C, or the time, ends the wait for an orchestrator that does not answer. */
static int unregister(struct command *command, struct run *run)
{
    struct pywatt_error error = {PYWATT_OK, ""};
    struct pywatt_module *none = NULL;
    uint64_t deadline_ns = waiter_after_ms(
        command->common.timeout_ms < UNREGISTER_MS ? command->common.timeout_ms : UNREGISTER_MS);

    waiter_call_begin(&run->waiter);
    if (pywatt_unregister_module_async(run->module, waiter_done, &run->waiter, &error) !=
        PYWATT_OK) {
        return ctl_fail(&error);
    }
    if (!waiter_call_wait(&run->waiter, run->waiter.stops + 1, deadline_ns, &error, &none)) {
        return tool_fail(CTL_EXIT_TIMEOUT, PYWATT_TIMEOUT,
                         "the module could not be unregistered: no answer from %s",
                         ctl_endpoint(&command->common));
    }
    if (error.status != PYWATT_OK) {
        return ctl_fail(&error);
    }
    struct ctl_record *record = ctl_record_new("unregistered");
    ctl_record_uuid(record, "id", pywatt_module_id(run->module));
    run_print(run, record);
    return command->common.state_path != NULL ? ctl_state_remove(command->common.state_path) : 0;
}

static int run_module(struct command *command, struct run *run)
{
    bool known = command->common.state.token != NULL;
    int code = known ? attach(command, run) : register_new(command, run);
    int ended = 0;

    if (run->module == NULL) {
        return code;
    }
    if (code == 0) {
        code = advertise(command, run);
    }
    if (code == 0) {
        code = start_beating(command, run);
    }
    if (code == 0) {
        struct ctl_record *record = ctl_record_new("ending");
        ctl_record_text(record, "reason", live(command, run));
        run_print(run, record);
    }
    pywatt_module_set_watcher(run->module, NULL, NULL);
    if (run->fatal.status != PYWATT_OK) {
        code = ctl_fail(&run->fatal);
    } else if (!command->keep) {
        ended = unregister(command, run);
    }
    run_print_summary(run);
    if (code == 0 && atomic_load(&run->output_failed)) {
        code = TOOL_EXIT_OTHER;
    }
    return code != 0 ? code : ended;
}

static int run_command(struct command *command)
{
    struct run run = {.common = &command->common};
    struct pywatt_module *late = NULL;
    const char *path = command->common.state_path;
    int code = 0;

    if (path != NULL && ctl_state_exists(path)) {
        code = ctl_state_load(path, &command->common.state);
    }
    if (code == 0) {
        code = waiter_init(&run.waiter);
    }
    if (code != 0) {
        return code;
    }
    code = open_client(command, &run);
    if (code == 0) {
        code = run_module(command, &run);
    }
    /* After the client's end no callback runs; one may have brought a module that nobody took. */
    pywatt_client_free(run.client);
    late = run.waiter.call_module;
    pywatt_module_free(late);
    pywatt_module_free(run.module);
    waiter_destroy(&run.waiter);
    return code;
}

int ctl_run(int argc, char **argv)
{
    struct command command = {.health = PYWATT_HEALTHY, .retry_delay_ms = 1000};

    ctl_common_init(&command.common);
    ctl_module_options_init(&command.module);
    int code = tool_options_parse(&syntax, argc, argv, set, &command);
    if (code == 0) {
        code = command.common.help ? tool_options_help(&syntax) : run_command(&command);
    }
    pywatt_capabilities_free(command.capabilities);
    ctl_module_options_clear(&command.module);
    ctl_common_clear(&command.common);
    return code;
}
