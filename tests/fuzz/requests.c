/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See requests.h. */
#include "requests.h"

#include <string.h>

struct world world;

/* ---- How requests end ---- */

unsigned number_of(const struct request *request)
{
    return (unsigned)(request - world.requests);
}

static void check_reply(const struct request *request, const struct pw_response *response)
{
    char words[32];
    const int len = snprintf(words, sizeof(words), "number %u.", number_of(request));
    FUZZ_CHECK(request->answered || world.lied, "request %u has a reply that nobody sent",
               number_of(request));
    FUZZ_CHECK(world.lied || (response->error.len == (size_t)len &&
                              memcmp(response->error.data, words, (size_t)len) == 0),
               "request %u has the reply of another one", number_of(request));
}

static void end(struct request *request, enum pywatt_status status)
{
    FUZZ_CHECK(request->state == PENDING, "request %u ends, and was %d", number_of(request),
               request->state);
    request->state = ENDED;
    const bool failed = pw_correlator_failed(world.correlator);
    switch (status) {
    case PYWATT_OK: return;
    case PYWATT_TIMEOUT:
        FUZZ_CHECK(world.now_ns >= request->deadline_ns, "request %u timed out too early",
                   number_of(request));
        return;
    case PYWATT_CONNECTION:
        FUZZ_CHECK(failed, "request %u ends, and the connection has not", number_of(request));
        request->unsent = true; /* the peer looks whether it has it */
        return;
    case PYWATT_SERIALIZATION:
        if (request->garbled || world.lied) {
            return;
        }
        break;
    default: break;
    }
    FUZZ_CHECK(failed && pw_correlator_error(world.correlator)->status == status,
               "request %u ends with %s", number_of(request), pywatt_status_name(status));
}

/* A peer that echoes no ids gets nothing new before its reply was judged. */
static void post_from_done(void)
{
    struct pw_correlator_info info;
    const unsigned count = world.count;
    post(5, false);
    pw_correlator_get_info(world.correlator, &info);
    FUZZ_CHECK(info.pipelined || world.count == count || world.requests[count].state == REFUSED,
               "request %u is sent too early", count);
}

static void done(struct pw_post *entry, enum pywatt_status status,
                 const struct pw_response *response, const struct pywatt_error *error)
{
    struct request *const request = (struct request *)(void *)entry;
    /* CONNECTION comes with the words of whatever ended the connection. */
    FUZZ_CHECK(error->status == status || status == PYWATT_CONNECTION, "%s and %s",
               pywatt_status_name(status), pywatt_status_name(error->status));
    FUZZ_CHECK((response != NULL) == (status == PYWATT_OK), "%s", pywatt_status_name(status));
    end(request, status);
    if (response != NULL) {
        check_reply(request, response);
    }
    if (request->posts_again) {
        post_from_done();
    }
}

/* ---- Requests ---- */

unsigned pending(bool posts_only)
{
    unsigned count = 0;
    for (unsigned i = 0; i < world.count; i++) {
        const struct request *const request = &world.requests[i];
        count += request->state == PENDING && !(posts_only && request->is_call);
    }
    return count;
}

static struct request *new_request(struct pw_request *beat, unsigned timeout_ms)
{
    if (world.count == REQUESTS_MAX) {
        return NULL;
    }
    struct request *const request = &world.requests[world.count++];
    *request = (struct request){.state = PENDING, .post = {.done = done}};
    request->deadline_ns = world.now_ns + timeout_ms * MS;
    pw_request_init(beat);
    beat->operation = PW_OP_HEARTBEAT;
    beat->module_id.bytes[0] = (uint8_t)number_of(request);
    beat->module_id.bytes[15] = 1;
    beat->token = PW_STR_LITERAL("a token");
    return request;
}

void post(unsigned timeout_ms, bool posts_again)
{
    struct pw_request beat;
    struct request *const request = new_request(&beat, timeout_ms);
    if (request == NULL) {
        return;
    }
    request->posts_again = posts_again;
    struct pywatt_error error = {.status = PYWATT_OK};
    const enum pywatt_status status =
        pw_correlator_post(world.correlator, &beat, request->deadline_ns, &request->post, &error);
    if (status != PYWATT_OK) {
        FUZZ_CHECK(request->state == PENDING, "request %u was refused, and ended",
                   number_of(request));
        FUZZ_CHECK(error.status == status &&
                       (status == PYWATT_UNAVAILABLE || pw_correlator_failed(world.correlator)),
                   "%s", pywatt_status_name(status));
        request->state = REFUSED;
        return;
    }
    request->posted = true;
}

void call(unsigned timeout_ms)
{
    struct pw_request beat;
    struct request *const request = new_request(&beat, timeout_ms);
    if (request == NULL) {
        return;
    }
    struct pw_arena arena;
    struct pw_response response;
    struct pywatt_error error;
    bool unsent = false;
    request->is_call = true;
    pw_arena_init(&arena, PW_CODEC_ARENA_BUDGET);
    pw_response_init(&response);
    const bool was_calling = world.calling;
    world.calling = true;
    const enum pywatt_status status = pw_correlator_call(
        world.correlator, &beat, request->deadline_ns, &arena, &response, &unsent, &error);
    world.calling = was_calling;
    end(request, status);
    request->unsent = unsent;
    if (status == PYWATT_OK) {
        check_reply(request, &response);
    }
    pw_response_clear(&response);
    pw_arena_destroy(&arena);
}
