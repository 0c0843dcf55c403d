/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * pywatt-orchestrator: the orchestrator of the library as a daemon.
 *
 * The main thread blocks the signals that end it before any other thread exists, starts the
 * orchestrator, and then waits for one of them. Module events are printed on the library's event
 * thread.
 */
#include "common/report.h"
#include "orchestrator/event_line.h"
#include "orchestrator/settings.h"

#include <pywatt/pywatt.h>

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* As long as a URL may get. */
#define URL_SIZE 512

static int exit_code_of(enum pywatt_status status, bool listening)
{
    switch (status) {
    case PYWATT_INVALID_ARGUMENT: return TOOL_EXIT_USAGE;
    case PYWATT_UNSUPPORTED: return listening ? TOOL_EXIT_USAGE : EXIT_STORE;
    case PYWATT_IO: return listening ? EXIT_CANNOT_LISTEN : EXIT_STORE;
    default: return TOOL_EXIT_OTHER;
    }
}

static void log_event(void *user, const struct pywatt_event *event)
{
    char line[EVENT_LINE_SIZE];

    (void)user;
    event_line(line, event);
    pywatt_log_to_stderr(NULL, PYWATT_LOG_INFO, line);
}

/* Prints where it listens. Returns an exit code. */
static int announce(char (*urls)[URL_SIZE], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        printf("listening %s\n", urls[i]);
    }
    return tool_flush_stdout();
}

/* What is wrong with the files leaves the old certificates in force. */
static void reload(struct pywatt_tls *tls, enum pywatt_log_level level)
{
    struct pywatt_error error = {PYWATT_OK, ""};
    char line[sizeof(error.text) + 64];

    if (tls == NULL || pywatt_tls_reload(tls, &error) == PYWATT_OK) {
        if (level >= PYWATT_LOG_INFO) {
            pywatt_log_to_stderr(NULL, PYWATT_LOG_INFO,
                                 tls == NULL ? "SIGHUP: there is nothing to be read again"
                                             : "SIGHUP: certificates were read again");
        }
    } else {
        snprintf(line, sizeof(line), "SIGHUP: the certificates stay as they were: %s", error.text);
        pywatt_log_to_stderr(NULL, PYWATT_LOG_ERROR, line);
    }
}

/* Waits for a signal that ends it; from then on a second one ends the program at once. */
static void wait_for_end(const sigset_t *ending, enum pywatt_log_level level,
                         struct pywatt_tls *tls)
{
    int number = 0;
    char line[64];

    while (sigwait(ending, &number) != 0 || number == SIGHUP) {
        if (number == SIGHUP) {
            reload(tls, level);
        }
    }
    if (level >= PYWATT_LOG_INFO) {
        snprintf(line, sizeof(line), "signal %d (%s): ending", number, strsignal(number));
        pywatt_log_to_stderr(NULL, PYWATT_LOG_INFO, line);
    }
    pthread_sigmask(SIG_UNBLOCK, ending, NULL);
}

static int serve(struct pywatt_orchestrator *orchestrator, const struct settings *settings,
                 const sigset_t *ending)
{
    static char bound[LISTENERS_MAX][URL_SIZE];
    struct pywatt_error error = {PYWATT_OK, ""};

    for (size_t i = 0; i < settings->url_count; i++) {
        enum pywatt_status status = pywatt_orchestrator_listen(orchestrator, settings->urls[i],
                                                               bound[i], sizeof(bound[i]), &error);
        if (status != PYWATT_OK) {
            return tool_fail(exit_code_of(status, true), status, "cannot listen at '%s': %s",
                             settings->urls[i], error.text);
        }
    }
    enum pywatt_status status = pywatt_orchestrator_start(orchestrator, &error);
    if (status != PYWATT_OK) {
        return tool_fail(TOOL_EXIT_OTHER, status, "cannot start: %s", error.text);
    }
    int failed = announce(bound, settings->url_count);
    if (failed == 0) {
        wait_for_end(ending, settings->log_level, settings->options.tls);
    }
    pywatt_orchestrator_stop(orchestrator);
    return failed;
}

static int run(struct settings *settings)
{
    struct pywatt_orchestrator *orchestrator = NULL;
    struct pywatt_error error = {PYWATT_OK, ""};
    sigset_t ending;

    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &ending, NULL);
    signal(SIGPIPE, SIG_IGN);

    pywatt_set_log_sink(pywatt_log_to_stderr, NULL, settings->log_level);
    if (settings->log_events) {
        settings->options.on_event = log_event;
    }
    int failed = settings_prepare_store(settings);
    if (failed != 0) {
        return failed;
    }
    if (settings->tls_given) {
        enum pywatt_status made =
            pywatt_tls_server_new(&settings->tls, &settings->options.tls, &error);
        if (made != PYWATT_OK) {
            return tool_fail(made == PYWATT_NO_MEMORY ? TOOL_EXIT_OTHER : TOOL_EXIT_USAGE, made,
                             "%s", error.text);
        }
    }
    enum pywatt_status status = pywatt_orchestrator_new(&settings->options, &orchestrator, &error);
    if (status != PYWATT_OK) {
        return tool_fail(exit_code_of(status, false), status, "%s", error.text);
    }
    int code = serve(orchestrator, settings, &ending);
    pywatt_orchestrator_free(orchestrator);
    return code;
}

static int recover(const struct settings *settings)
{
    struct pywatt_store_recovery recovery = {.size = sizeof(recovery)};
    struct pywatt_error error = {PYWATT_OK, ""};
    enum pywatt_status status = pywatt_store_recover(settings->options.store, &recovery, &error);

    if (status != PYWATT_OK) {
        return tool_fail(exit_code_of(status, false), status, "%s", error.text);
    }
    printf("recovered %s: %" PRIu64 " modules kept, %" PRIu64
           " left out; the damaged file is now %s\n",
           settings->options.store, recovery.kept, recovery.left_out, recovery.aside);
    return tool_flush_stdout();
}

int main(int argc, char **argv)
{
    struct settings settings;

    tool_report_init("pywatt-orchestrator", NULL);
    int code = settings_read(&settings, argc, argv);
    if (code == 0 && settings.help) {
        code = settings_print_help();
    } else if (code == 0 && settings.version) {
        printf("pywatt-orchestrator %s (libpywatt %s)\n", PYWATT_PROGRAM_VERSION, pywatt_version());
        code = tool_flush_stdout();
    } else if (code == 0 && settings.recover) {
        code = recover(&settings);
    } else if (code == 0) {
        code = run(&settings);
    }
    pywatt_tls_free(settings.options.tls);
    settings_clear(&settings);
    return code;
}
