/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * wrong: beats with wrong tokens for modules that exist, at a steady rate.
 *
 *   torture_wrong URL RATE
 *
 * Reads ids from the first line of its input, and beats for them, each beat a JSON request of its own,
 * until the input ends; then prints one JSON object with how many were sent and how they ended. The
 * main thread's.
 */
#include <pywatt/pywatt.h>

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    VICTIMS = 100, /* beats of a round */
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

int main(int argc, char **argv)
{
    const unsigned long rate = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    struct pywatt_client_options options;
    struct pywatt_client *client = NULL;
    struct pywatt_error error = {PYWATT_OK, ""};
    struct pywatt_uuid ids[VICTIMS];
    struct pywatt_beat beats[VICTIMS];
    struct timespec began;
    struct timespec next;
    uint64_t sent = 0;
    uint64_t refused = 0;

    if (rate < VICTIMS) {
        fputs("usage: torture_wrong URL RATE, which is 100 at least\n", stderr);
        return 2;
    }
    read_ids(ids);
    pywatt_client_options_init(&options);
    options.endpoints = argv[1];
    options.codec = "json";
    if (pywatt_client_open(&options, &client, &error) != PYWATT_OK) {
        fail(error.text);
    }
    memset(beats, 0, sizeof(beats));
    for (unsigned i = 0; i < VICTIMS; i++) {
        beats[i].health = PYWATT_HEALTHY;
        if (pywatt_attach_module(client, NULL, &ids[i], "wrong-wrong-wrong-wron", &beats[i].module,
                                 &error) != PYWATT_OK) {
            fail(error.text);
        }
    }
    clock_gettime(CLOCK_MONOTONIC, &began);
    next = began;
    do {
        pywatt_heartbeat_batch(client, beats, VICTIMS, &error);
        for (unsigned i = 0; i < VICTIMS; i++) {
            sent++;
            refused += beats[i].status == PYWATT_INVALID_TOKEN;
        }
        advance(&next, 1000000000ul * VICTIMS / rate);
    } while (!input_ended(&next));
    clock_gettime(CLOCK_MONOTONIC, &next);
    const double took =
        (double)(next.tv_sec - began.tv_sec) + (double)(next.tv_nsec - began.tv_nsec) / 1e9;
    printf("{\"sent\": %" PRIu64 ", \"refused\": %" PRIu64 ", \"rate\": %.1f}\n", sent, refused,
           (double)sent / took);
    return 0;
}
