/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * bench_orchestrator: an orchestrator for the measurements that want it in a process of its own
 * (support/far.h starts it). Says its URL, answers each line on its input with its counts, or, if the
 * line is "digest", with one of all that it knows of its modules, and ends when its input does.
 *
 * Usage: bench_orchestrator SCHEME WORKERS LEASE_MS MODULES STORE, where 0 and "" take the default
 */
#include "support/check.h"
#include "support/sides.h"

#include <string.h>

static uint32_t number(const char *text)
{
    return (uint32_t)strtoul(text, NULL, 10);
}

/* ---- A digest ---- */

static uint64_t with_bytes(uint64_t sum, const void *data, size_t len)
{
    const unsigned char *bytes = data;

    for (size_t i = 0; i < len; i++) {
        sum = (sum ^ bytes[i]) * 0x100000001b3u; /* FNV-1a */
    }
    return sum;
}

static uint64_t with_text(uint64_t sum, const char *text)
{
    return text == NULL ? with_bytes(sum, "", 1) : with_bytes(sum, text, strlen(text) + 1);
}

static uint64_t with_number(uint64_t sum, uint64_t value)
{
    return with_bytes(sum, &value, sizeof(value));
}

/* Of what bench_driver_advertise tells, not of all that capabilities may be. */
static uint64_t with_capabilities(uint64_t sum, const struct pywatt_capabilities *capabilities)
{
    if (capabilities == NULL) {
        return sum;
    }
    for (size_t i = 0; i < pywatt_capabilities_endpoint_count(capabilities); i++) {
        const struct pywatt_endpoint *endpoint = pywatt_capabilities_endpoint(capabilities, i);
        sum = with_text(sum, pywatt_endpoint_path(endpoint));
        for (size_t j = 0; j < pywatt_endpoint_method_count(endpoint); j++) {
            sum = with_text(sum, pywatt_endpoint_method(endpoint, j));
        }
    }
    for (size_t i = 0; i < pywatt_capabilities_message_type_count(capabilities); i++) {
        sum = with_text(sum, pywatt_capabilities_message_type(capabilities, i));
    }
    return with_text(sum, pywatt_capabilities_capability(capabilities, "limits"));
}

/* In whatever order they come. */
static bool add_module(void *user, const struct pywatt_module_view *view)
{
    uint64_t *digest = user;
    uint64_t sum =
        with_bytes(0xcbf29ce484222325u, pywatt_module_view_id(view), sizeof(struct pywatt_uuid));

    sum = with_text(sum, pywatt_module_info_name(pywatt_module_view_info(view)));
    sum = with_number(sum, pywatt_module_view_generation(view));
    sum = with_number(sum, pywatt_module_view_lease_ms(view));
    *digest += with_capabilities(sum, pywatt_module_view_capabilities(view));
    return true;
}

static uint64_t digest_of(struct pywatt_orchestrator *orchestrator)
{
    uint64_t digest = 0;

    bench_check(pywatt_orchestrator_for_each(orchestrator, add_module, &digest) == PYWATT_OK,
                "out of memory");
    return digest;
}

/* ---- The program ---- */

static void answer(struct pywatt_orchestrator *orchestrator, const char *line)
{
    const struct pywatt_orchestrator_stats stats = bench_orchestrator_stats(orchestrator);
    const bool digest_wanted = strcmp(line, "digest\n") == 0;
    const uint64_t digest = digest_wanted ? digest_of(orchestrator) : 0;
    const size_t written = digest_wanted ? fwrite(&digest, sizeof(digest), 1, stdout)
                                         : fwrite(&stats, sizeof(stats), 1, stdout);

    bench_check(written == 1 && fflush(stdout) == 0, "nobody listens");
}

int main(int argc, char **argv)
{
    struct bench_orchestrator_options options = {.lease_ms = 0};
    char url[BENCH_URL_SIZE];
    char line[64];

    if (argc != 6) {
        fprintf(stderr, "Usage: bench_orchestrator SCHEME WORKERS LEASE_MS MODULES STORE\n");
        return 2;
    }
    options.workers = number(argv[2]);
    options.lease_ms = number(argv[3]);
    options.max_modules = number(argv[4]);
    options.store = argv[5][0] != '\0' ? argv[5] : NULL;
    struct pywatt_orchestrator *orchestrator =
        bench_start_orchestrator_with(argv[1], &options, url);
    printf("url %s\n", url);
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        answer(orchestrator, line);
    }
    bench_stop_orchestrator(orchestrator);
    return 0;
}
