/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * correlator.c - operations on a connection and its requests, some while another one is inside of
 * receiving or sending, as other threads would do them, against a list of the requests:
 *
 *   each that was taken ends once, and those that were refused never;
 *   with its own reply, if the peer sent that and it was read before anything else ended the request;
 *   with a timeout not before its deadline, and at the first look after it;
 *   with CONNECTION only if the peer never got it; else with what ended the connection;
 *   none waits for a pump that nobody has woken.
 *
 * The input: which codec, how many requests at once, how much may wait to be sent; then a row of
 * operations, a byte each with its numbers. Calls that block run their reading here: one at a time.
 */
#include "requests.h"

#include <string.h>

static uint64_t now(const struct pw_clock *clock)
{
    return ((const struct world *)(const void *)clock)->now_ns;
}

static void operate(void);

/* ---- The peer ---- */

static void peer_reads(void)
{
    struct pw_span payload;
    struct pw_arena arena;
    struct pw_request beat;
    pw_arena_init(&arena, PW_CODEC_ARENA_BUDGET);
    pw_request_init(&beat);
    while (line_take(&world.line, &payload)) {
        bool recognised;
        struct pywatt_error error;
        FUZZ_CHECK(pw_codec_decode_request(world.codec, payload, &pw_codec_default_limits, &arena,
                                           &beat, &recognised, &error) == PYWATT_OK,
                   "%s", error.text);
        const unsigned n = beat.module_id.bytes[0];
        FUZZ_CHECK(n < world.count && !world.requests[n].seen, "request %u came twice", n);
        FUZZ_CHECK(world.requests[n].state != REFUSED, "request %u was refused, and came", n);
        FUZZ_CHECK(!world.requests[n].unsent, "request %u can be sent again, and came", n);
        world.requests[n].seen = true;
        world.requests[n].id = beat.request_id;
        line_taken(&world.line, payload);
        pw_arena_reset(&arena);
    }
    pw_request_clear(&beat);
    pw_arena_destroy(&arena);
}

/* The request that the peer has had for longest without an answer, but for `skipped` of them. */
static struct request *unanswered(unsigned skipped)
{
    struct request *found = NULL;
    for (unsigned i = 0; i < world.count; i++) {
        struct request *const request = &world.requests[i];
        if (request->seen && !request->answered && !request->garbled) {
            found = request;
            if (skipped-- == 0) {
                break;
            }
        }
    }
    return found;
}

static void reply(struct request *request, unsigned n, bool with_id, enum pw_operation operation)
{
    char words[32];
    struct pw_response response;
    pw_response_init(&response);
    response.operation = operation;
    response.status = PYWATT_REJECTED;
    response.has_request_id = with_id;
    if (request != NULL) {
        response.request_id = request->id;
    } else {
        response.request_id.bytes[0] = (uint8_t)n;
    }
    snprintf(words, sizeof(words), "number %u.", n);
    response.error = pw_str_from(words);
    const uint64_t ends = line_put_reply(&world.line, world.codec, &response);
    if (request != NULL && operation == PW_OP_HEARTBEAT) {
        request->answered = true;
        request->answer_end = with_id && request->answer_end == 0 ? ends : request->answer_end;
    } else if (request != NULL) {
        request->garbled = true;
    }
}

static void peer_replies(unsigned how, unsigned skipped)
{
    peer_reads();
    struct request *const request = unanswered(how == 1 ? 0 : skipped);
    switch (how) {
    case 0:
        if (request != NULL) {
            reply(request, number_of(request), true, PW_OP_HEARTBEAT);
        }
        break;
    case 1: /* in its turn */
        world.lied = world.lied || request == NULL;
        reply(request, request == NULL ? 0 : number_of(request), false, PW_OP_HEARTBEAT);
        break;
    case 2: reply(NULL, skipped, true, PW_OP_HEARTBEAT); break; /* to nobody's request */
    case 3: /* to something else than what was asked */
        if (request != NULL) {
            reply(request, number_of(request), true, PW_OP_UNREGISTER);
        }
        break;
    case 4: /* once more */
        for (unsigned i = 0; i < world.count; i++) {
            struct request *const old = &world.requests[(i + skipped) % world.count];
            if (old->answered) {
                reply(old, number_of(old), true, PW_OP_HEARTBEAT);
                break;
            }
        }
        break;
    case 5: line_put_frame(&world.line, (uint8_t)(skipped * 8), "no reply", 8); break;
    default: line_put_frame(&world.line, 1, world.requests, FRAME_MAX + 1); break; /* too long */
    }
}

/* ---- Whoever reads and waits ---- */

/* Who was overdue before is gone afterwards; others may come meanwhile. */
static void expire(void)
{
    const uint64_t before_ns = world.now_ns;
    const unsigned count = world.count;
    pw_correlator_pump_expire(world.correlator);
    for (unsigned i = 0; i < count; i++) {
        const struct request *const request = &world.requests[i];
        FUZZ_CHECK(!request->posted || request->state != PENDING ||
                       request->deadline_ns > before_ns,
                   "request %u is overdue", i);
    }
}

static void pump(uint8_t code)
{
    struct pollfd poll_fd;
    if (world.pump_inside) {
        return;
    }
    world.pump_inside = true;
    expire();
    world.pump_idle = true; /* until it is woken */
    if (pw_correlator_pump_begin(world.correlator, &poll_fd)) {
        world.pump_idle = false;
        if (code & 1) {
            operate();
        }
        pw_correlator_pump_end(world.correlator, code & 2 ? POLLIN : 0);
    } else if ((code & 4) && pw_correlator_watch_begin(world.correlator, &poll_fd)) {
        pw_correlator_watch_end(world.correlator, true, code & 2 ? POLLIN : 0);
    }
    world.pump_inside = false;
}

/* Where nothing is under way, and nothing waits to be sent, a post is not refused for want of room. */
static void post_where_there_is_room(unsigned timeout_ms)
{
    struct pw_correlator_info info;
    pw_correlator_flush(world.correlator);
    pw_correlator_get_info(world.correlator, &info);
    const unsigned count = world.count;
    const bool has_room = info.in_flight == 0 && !info.blocked && world.line.room == SIZE_MAX;
    post(timeout_ms, false);
    FUZZ_CHECK(!has_room || world.count != count + 1 || world.requests[count].state != REFUSED ||
                   pw_correlator_failed(world.correlator),
               "a post is refused where there is room");
}

static void burst(unsigned timeout_ms)
{
    atomic_fetch_add(&world.bursts, 1);
    pw_correlator_burst_begun(world.correlator);
    post(timeout_ms, false);
    pw_correlator_burst_read(world.correlator, world.now_ns + timeout_ms * MS);
    atomic_fetch_sub(&world.bursts, 1);
    pw_correlator_burst_ended(world.correlator);
}

static void wake_pump(void *user)
{
    (void)user;
    world.pump_idle = false;
}

/* Somebody receives or sends: others go on meanwhile, and time passes. */
static void inside(void *user)
{
    (void)user;
    if (fuzz_left(&world.input) && world.depth < 4) {
        operate();
    } else {
        world.now_ns += MS;
    }
}

/* ---- Operations ---- */

static void change_line(uint8_t code)
{
    switch (code % 8) {
    case 0: world.line.piece = 1 + code / 8u; break;
    case 1: world.line.piece = 0; break;
    case 2: world.line.room = code / 8u * 16; break;
    case 3: world.line.room = SIZE_MAX; break;
    case 4: world.line.ends = code > 128; break;
    case 5: world.line.send_fails = code > 128; break;
    case 6: pw_correlator_flush(world.correlator); break;
    default:
        if (code > 192) {
            pw_correlator_fail(world.correlator, PYWATT_CLOSED, "closed");
        }
        break;
    }
}

static void operate(void)
{
    const uint8_t code = fuzz_byte(&world.input);
    const unsigned rest = code / 8;
    world.depth++;
    switch (code % 8) {
    case 0:
        if (world.depth == 1) {
            post_where_there_is_room(rest);
        } else {
            post(rest, false);
        }
        break;
    case 1: pump((uint8_t)rest); break;
    case 2: peer_replies(0, rest % 8); break;
    case 3: peer_replies(rest % 7, rest / 7); break;
    case 4: world.now_ns += rest * MS; break;
    case 5: change_line(fuzz_byte(&world.input)); break;
    case 6: /* whoever blocks must be able to read; who is late already may ask at any time */
        if (world.depth == 1) {
            call(rest);
        } else {
            call(0);
        }
        break;
    default:
        if (rest % 2 == 0) {
            post(rest, true);
        } else if (world.depth == 1) {
            burst(rest);
        }
        break;
    }
    world.depth--;
}

/* ---- Between operations, when nobody is inside ---- */

static uint64_t earliest(void)
{
    uint64_t deadline_ns = PW_DEADLINE_NEVER;
    for (unsigned i = 0; i < world.count; i++) {
        const struct request *const request = &world.requests[i];
        if (request->state == PENDING && request->deadline_ns < deadline_ns) {
            deadline_ns = request->deadline_ns;
        }
    }
    return deadline_ns;
}

static void look(void)
{
    struct pw_correlator_info info;
    pw_correlator_get_info(world.correlator, &info);
    const bool failed = pw_correlator_failed(world.correlator);
    FUZZ_CHECK(info.in_flight == pending(true), "%u and not %u are under way", info.in_flight,
               pending(true));
    FUZZ_CHECK(info.readers_max <= 1 && !info.reading && info.parked == 0 && info.waiting == 0,
               "somebody is left inside");
    FUZZ_CHECK(!failed || info.in_flight == 0, "requests outlive their connection");
    FUZZ_CHECK(world.losses == (failed ? 1 : 0), "told %u times", world.losses);
    FUZZ_CHECK(pw_correlator_pump_deadline(world.correlator) == earliest(), "another deadline");
    FUZZ_CHECK(failed || info.in_flight == 0 || !world.pump_idle, "nobody reads, nor is woken");
    for (unsigned i = 0; i < world.count; i++) {
        const struct request *const request = &world.requests[i];
        FUZZ_CHECK(!request->seen || !request->unsent,
                   "request %u can be sent again, and the peer has it", i);
        FUZZ_CHECK(request->state != PENDING || request->answer_end == 0 ||
                       request->answer_end > world.line.received_in_all,
                   "the reply to request %u was read and is lost", i);
    }
}

static void count_loss(void *user)
{
    (void)user;
    world.losses++;
}

static void count_gone(void *user)
{
    (void)user;
    world.gone++;
}

static void connect_line(void)
{
    static const uint16_t windows[] = {1, 2, 3, 8};
    const uint8_t how = fuzz_byte(&world.input);
    world.codec = pw_codec_by_name(how % 2 == 0 ? "json" : "protobuf");
    line_init(&world.line, inside, NULL);
    const struct pw_correlator_options options = {
        .url = "memory:fuzz",
        .codec = world.codec,
        .clock = &world.clock,
        .max_frame_bytes = FRAME_MAX,
        .max_in_flight = windows[how / 2 % 4],
        .epoch = 1,
        .tx_limit_bytes = how / 8 % 4 * 500u,
        .counters = &world.counters,
        .bursts = &world.bursts,
        .wake_pump = wake_pump,
        .lost = count_loss,
        .gone = count_gone,
    };
    FUZZ_CHECK(pw_correlator_new(&options, &world.line.conn, &world.correlator, NULL) == PYWATT_OK,
               "no correlator");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    memset(&world, 0, sizeof(world));
    world.clock.now_ns = now;
    world.now_ns = 1000 * MS;
    world.input = (struct fuzz_input){data, data + size};
    connect_line();
    while (fuzz_left(&world.input)) {
        operate();
        look();
    }
    pw_correlator_fail(world.correlator, PYWATT_CLOSED, "the input is over");
    look();
    peer_reads();
    FUZZ_CHECK(pending(false) == 0, "%u requests never end", pending(false));
    pw_correlator_release(world.correlator);
    FUZZ_CHECK(world.gone == 1 && world.line.destroyed, "%u times gone", world.gone);
    line_destroy(&world.line);
    return 0;
}
