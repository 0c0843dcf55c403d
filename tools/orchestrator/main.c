/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * pywatt-orchestrator: the orchestrator of the library as a daemon.
 *
 * The main thread blocks the signals that end it before any other thread exists, starts the
 * orchestrator, and then waits for one of them; on SIGHUP it reads its settings again. While it ends, a
 * timer's signal comes to it if that takes too long. Module events are printed on the library's event
 * thread.
 */
#include "common/report.h"
#include "orchestrator/event_line.h"
#include "orchestrator/reload.h"
#include "orchestrator/settings.h"

#include <pywatt/pywatt.h>

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

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

static void say_complaint(void *user, bool warning, const char *text)
{
    (void)user;
    tool_fail(0, PYWATT_INVALID_ARGUMENT, "%s%s", warning ? "warning: " : "", text);
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

/*
 * A signal handler. A thread that waits for the disk cannot be given up without the process; and what
 * it has not answered by now nobody was promised.
 */
static void give_up(int number)
{
    static const char text[] =
        "pywatt-orchestrator: it has not ended within end-timeout, as when the disk of the store hangs, "
        "and ends at once: changes that wait for the store were not acknowledged, and may be lost\n";

    (void)number;
    (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
    _exit(TOOL_EXIT_OTHER);
}

static void limit_end(uint32_t timeout_ms)
{
    const struct itimerval limit = {
        .it_value = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000}};

    signal(SIGALRM, give_up);
    setitimer(ITIMER_REAL, &limit, NULL);
}

/* Waits for a signal that ends it; from then on a second one ends the program at once. */
static void wait_for_end(struct pywatt_orchestrator *orchestrator, struct settings *settings,
                         const struct command_line *command, const sigset_t *ending)
{
    int number = 0;
    char line[64];

    while (sigwait(ending, &number) != 0 || number == SIGHUP) {
        if (number == SIGHUP) {
            reload(orchestrator, settings, command);
        }
    }
    if (settings->log_level >= PYWATT_LOG_INFO) {
        snprintf(line, sizeof(line), "signal %d (%s): ending", number, strsignal(number));
        pywatt_log_to_stderr(NULL, PYWATT_LOG_INFO, line);
    }
    limit_end(settings->end_timeout_ms);
    pthread_sigmask(SIG_UNBLOCK, ending, NULL);
}

static int serve(struct pywatt_orchestrator *orchestrator, struct settings *settings,
                 const struct command_line *line, const sigset_t *ending)
{
    static char bound[LISTENERS_MAX][URL_SIZE];
    struct pywatt_error error = {PYWATT_OK, ""};

    for (size_t i = 0; i < settings->listen.count; i++) {
        const char *url = settings->listen.urls[i];
        enum pywatt_status status =
            pywatt_orchestrator_listen(orchestrator, url, bound[i], sizeof(bound[i]), &error);
        if (status != PYWATT_OK) {
            return tool_fail(exit_code_of(status, true), status, "cannot listen at '%s': %s", url,
                             error.text);
        }
    }
    enum pywatt_status status = pywatt_orchestrator_start(orchestrator, &error);
    if (status != PYWATT_OK) {
        return tool_fail(TOOL_EXIT_OTHER, status, "cannot start: %s", error.text);
    }
    int failed = announce(bound, settings->listen.count);
    if (failed == 0) {
        wait_for_end(orchestrator, settings, line, ending);
    }
    pywatt_orchestrator_stop(orchestrator);
    return failed;
}

static int make_tls(struct settings *settings)
{
    struct pywatt_error error = {PYWATT_OK, ""};
    struct complaints complaints = {.say = say_complaint};

    if (settings->tls_wanted) {
        enum pywatt_status status =
            pywatt_tls_server_new(&settings->tls, &settings->options.tls, &error);
        if (status != PYWATT_OK) {
            settings_complain_of(settings, error.text, &complaints);
            complaints.code = status == PYWATT_NO_MEMORY ? TOOL_EXIT_OTHER : complaints.code;
        }
    }
    return complaints.code;
}

static int run(struct settings *settings, const struct command_line *line)
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
    failed = make_tls(settings);
    if (failed != 0) {
        return failed;
    }
    enum pywatt_status status = pywatt_orchestrator_new(&settings->options, &orchestrator, &error);
    if (status != PYWATT_OK) {
        return tool_fail(exit_code_of(status, false), status, "%s", error.text);
    }
    int code = serve(orchestrator, settings, line, &ending);
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

static int check(const struct settings *settings)
{
    struct complaints complaints = {.say = say_complaint};

    settings_check_tls(settings, &complaints);
    if (complaints.code == 0) {
        printf("ok: %s\n", settings->file == NULL ? "there is no config file" : settings->file);
        complaints.code = tool_flush_stdout();
    }
    return complaints.code;
}

/* With settings that are good. */
static int work(struct settings *settings, const struct command_line *line)
{
    return line->check_config ? check(settings)
           : line->recover    ? recover(settings)
                              : run(settings, line);
}

static int read_and_work(const struct command_line *line)
{
    struct settings settings;
    struct complaints complaints = {.say = say_complaint};
    int code = settings_read(&settings, line, &complaints);

    if (code == 0) {
        code = work(&settings, line);
    } else if (line->check_config) {
        settings_check_tls(&settings, &complaints);
    }
    pywatt_tls_free(settings.options.tls);
    settings_clear(&settings);
    return code;
}

int main(int argc, char **argv)
{
    struct command_line line;

    tool_report_init("pywatt-orchestrator", NULL);
    int code = command_line_read(&line, argc, argv);
    if (code != 0) {
        return code;
    }
    if (line.help) {
        return command_line_help();
    }
    if (line.version) {
        printf("pywatt-orchestrator %s (libpywatt %s)\n", PYWATT_PROGRAM_VERSION, pywatt_version());
        return tool_flush_stdout();
    }
    return read_and_work(&line);
}
