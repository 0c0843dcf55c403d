/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * wrong: beats with wrong tokens for modules that exist, or registrations with wrong join tokens, at a
 * steady rate.
 *
 *   torture_wrong URL RATE CODEC CONNECTIONS beats|registrations
 *
 * Reads ids from the first line of its input, and beats for them, or registers modules, over so many
 * connections in turn, until the input ends; then prints one JSON object with how many were sent and
 * how they ended. In JSON each beat is a request of its own. The main thread's, but for `done`.
 */
#include <pywatt/pywatt.h>

#include <inttypes.h>
#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    VICTIMS = 100, /* attempts of a round, over all connections */
    CONNECTIONS_MAX = 20,
};

struct attack {
    struct pywatt_client *clients[CONNECTIONS_MAX];
    unsigned connections;
    unsigned each; /* attempts of a round over one connection */
    struct pywatt_beat beats[VICTIMS];
    struct pywatt_module_info *info; /* NULL: it beats */
    sem_t over;                      /* posted once a registration */
    uint64_t sent;
    atomic_uint_fast64_t refused;
};

static void fail(const char *what)
{
    fprintf(stderr, "torture_wrong: %s\n", what);
    exit(1);
}

/* A byte at a time, so that nothing is left in a buffer when poll(2) is asked for the end. */
static void read_ids(struct pywatt_uuid ids[VICTIMS])
{
    unsigned count = 0;
    size_t len = 0;
    char text[PYWATT_UUID_TEXT_SIZE];
    char c = 0;
    while (c != '\n' && read(STDIN_FILENO, &c, 1) == 1) {
        if (c != ' ' && c != '\n' && len + 1 < sizeof(text)) {
            text[len++] = c;
            continue;
        }
        text[len] = '\0';
        len = 0;
        if (count < VICTIMS && pywatt_uuid_parse(text, &ids[count]) == PYWATT_OK) {
            count++;
        }
    }
    if (count == 0) {
        fail("no ids");
    }
    for (unsigned i = count; i < VICTIMS; i++) {
        ids[i] = ids[i - count];
    }
}

/* Waits until then; true if the input has ended. */
static bool input_ended(const struct timespec *until)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, until, NULL) != 0) {
    }
    return poll(&input, 1, 0) > 0;
}

static void advance(struct timespec *at, unsigned long ns)
{
    at->tv_nsec += (long)ns;
    at->tv_sec += at->tv_nsec / 1000000000;
    at->tv_nsec %= 1000000000;
}

static void open_clients(struct attack *attack, const char *url, const char *codec)
{
    struct pywatt_client_options options;
    struct pywatt_error error = {PYWATT_OK, ""};
    pywatt_client_options_init(&options);
    options.endpoints = url;
    options.codec = codec;
    for (unsigned i = 0; i < attack->connections; i++) {
        if (pywatt_client_open(&options, &attack->clients[i], &error) != PYWATT_OK) {
            fail(error.text);
        }
    }
}

static void prepare_beats(struct attack *attack)
{
    struct pywatt_uuid ids[VICTIMS];
    struct pywatt_error error = {PYWATT_OK, ""};
    read_ids(ids);
    for (unsigned i = 0; i < VICTIMS; i++) {
        attack->beats[i].health = PYWATT_HEALTHY;
        if (pywatt_attach_module(attack->clients[i / attack->each], NULL, &ids[i],
                                 "wrong-wrong-wrong-wron", &attack->beats[i].module,
                                 &error) != PYWATT_OK) {
            fail(error.text);
        }
    }
}

static void prepare_registrations(struct attack *attack)
{
    if (pywatt_module_info_new("intruder", "1", "d", &attack->info) != PYWATT_OK ||
        pywatt_module_info_set_metadata(attack->info, "join_token", "wrong-wrong-wrong-wron") !=
            PYWATT_OK ||
        sem_init(&attack->over, 0, 0) != 0) {
        fail("out of memory");
    }
}

static void beat(struct attack *attack)
{
    struct pywatt_error error = {PYWATT_OK, ""};
    for (unsigned i = 0; i < attack->connections; i++) {
        pywatt_heartbeat_batch(attack->clients[i], &attack->beats[i * attack->each], attack->each,
                               &error);
    }
    for (unsigned i = 0; i < VICTIMS; i++) {
        attack->sent++;
        attack->refused += attack->beats[i].status == PYWATT_INVALID_TOKEN;
    }
}

/* On the clients' threads. */
static void done(void *user, enum pywatt_status status, const struct pywatt_error *error,
                 struct pywatt_module *module)
{
    struct attack *attack = user;
    (void)error;
    (void)module;
    attack->refused += status == PYWATT_REJECTED;
    sem_post(&attack->over);
}

static void try_to_register(struct attack *attack)
{
    struct pywatt_error error = {PYWATT_OK, ""};
    for (unsigned i = 0; i < VICTIMS; i++) {
        if (pywatt_register_module_async(attack->clients[i / attack->each], attack->info, done,
                                         attack, &error) != PYWATT_OK) {
            fail(error.text);
        }
    }
    for (unsigned i = 0; i < VICTIMS; i++) {
        while (sem_wait(&attack->over) != 0) {
        }
    }
    attack->sent += VICTIMS;
}

/* How many a second it came to. */
static double run(struct attack *attack, unsigned long rate)
{
    struct timespec began;
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &began);
    next = began;
    do {
        if (attack->info != NULL) {
            try_to_register(attack);
        } else {
            beat(attack);
        }
        advance(&next, 1000000000ul * VICTIMS / rate);
    } while (!input_ended(&next));
    clock_gettime(CLOCK_MONOTONIC, &next);
    return (double)attack->sent /
           ((double)(next.tv_sec - began.tv_sec) + (double)(next.tv_nsec - began.tv_nsec) / 1e9);
}

int main(int argc, char **argv)
{
    static struct attack attack;
    const unsigned long rate = argc == 6 ? strtoul(argv[2], NULL, 10) : 0;
    const unsigned long connections = argc == 6 ? strtoul(argv[4], NULL, 10) : 0;
    if (rate < VICTIMS || connections == 0 || connections > CONNECTIONS_MAX ||
        VICTIMS % connections != 0) {
        fputs("usage: torture_wrong URL RATE CODEC CONNECTIONS beats|registrations\n"
              "RATE is 100 at least, CONNECTIONS 1, 2, 4, 5, 10 or 20\n",
              stderr);
        return 2;
    }
    attack.connections = (unsigned)connections;
    attack.each = VICTIMS / attack.connections;
    open_clients(&attack, argv[1], argv[3]);
    if (strcmp(argv[5], "registrations") == 0) {
        prepare_registrations(&attack);
    } else {
        prepare_beats(&attack);
    }
    const double came_to = run(&attack, rate);
    printf("{\"sent\": %" PRIu64 ", \"refused\": %" PRIuFAST64 ", \"rate\": %.1f}\n", attack.sent,
           atomic_load(&attack.refused), came_to);
    return 0;
}
