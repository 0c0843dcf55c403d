/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See driver.h. */
#include "support/driver.h"

#include "codec/codec.h"
#include "model/registration.h"
#include "support/check.h"
#include "support/clock.h"
#include "support/peer_private.h"
#include "support/process.h"
#include "transport/frame.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TOKEN_SIZE 64

struct module {
    struct pywatt_uuid id;
    char token[TOKEN_SIZE];
};

struct bench_driver {
    int fd;
    const struct pw_codec_ops *codec;
    struct module *modules;
    size_t capacity;
    size_t count;
    size_t first_name;
    struct pw_buffer out;
    struct pw_buffer in;
    struct pw_arena arena;
    struct pw_response response;
    uint64_t requested; /* requests, which are numbered */
    uint64_t answered;
};

static int connect_to(const char *url)
{
    const char *port = strrchr(url, ':');

    bench_check(port != NULL, "no driver for %s", url);
    int fd = bench_connect_loopback((uint16_t)strtoul(port + 1, NULL, 10));
    bench_check(fd >= 0, "%s: %s", url, strerror(errno));
    return fd;
}

struct bench_driver *bench_driver_open(const char *url, const char *codec, size_t capacity,
                                       size_t first_name)
{
    struct bench_driver *driver = calloc(1, sizeof(*driver));

    bench_check(driver != NULL, "no driver for %s", url);
    driver->modules = calloc(capacity, sizeof(*driver->modules));
    driver->codec = pw_codec_by_name(codec);
    bench_check(driver->modules != NULL && driver->codec != NULL, "no driver for %s", codec);
    driver->capacity = capacity;
    driver->first_name = first_name;
    driver->fd = connect_to(url);
    pw_buffer_init(&driver->out, SIZE_MAX / 2);
    pw_buffer_init(&driver->in, SIZE_MAX / 2);
    pw_arena_init(&driver->arena, PW_CODEC_ARENA_BUDGET);
    pw_response_init(&driver->response);
    return driver;
}

void bench_driver_move(struct bench_driver *driver, const char *url)
{
    close(driver->fd);
    driver->fd = connect_to(url);
}

void bench_driver_close(struct bench_driver *driver)
{
    pw_response_clear(&driver->response);
    pw_arena_destroy(&driver->arena);
    pw_buffer_destroy(&driver->in);
    pw_buffer_destroy(&driver->out);
    close(driver->fd);
    free(driver->modules);
    free(driver);
}

size_t bench_driver_count(const struct bench_driver *driver)
{
    return driver->count;
}

/* ---- Requests ------------------------------------------------------------------------------- */

/* Puts a request behind the others. Its id is its number. */
static void add_request(struct bench_driver *driver, struct pw_request *request)
{
    struct pywatt_error error = {PYWATT_OK, ""};
    size_t before = pw_buffer_len(&driver->out);
    uint8_t *header = NULL;

    request->has_request_id = true;
    memset(&request->request_id, 0, sizeof(request->request_id));
    driver->requested++;
    memcpy(&request->request_id, &driver->requested, sizeof(driver->requested));
    bench_check(pw_buffer_reserve(&driver->out, PW_FRAME_HEADER_SIZE, &header) == PYWATT_OK,
                "out of memory");
    pw_buffer_commit(&driver->out, PW_FRAME_HEADER_SIZE);
    bench_check_ok(pw_codec_encode_request(driver->codec, request, &driver->out, &error), &error);
    size_t payload = pw_buffer_len(&driver->out) - before - PW_FRAME_HEADER_SIZE;
    /* Only read through a const pointer in general; these bytes were reserved above. */
    uint8_t *frame = (uint8_t *)(uintptr_t)pw_buffer_bytes(&driver->out) + before;
    pw_frame_write_header(frame, (uint32_t)payload, driver->codec->format_code);
}

static void send_requests(struct bench_driver *driver)
{
    bench_send_all(driver->fd, pw_buffer_bytes(&driver->out), pw_buffer_len(&driver->out));
    pw_buffer_clear(&driver->out);
}

/* ---- Replies -------------------------------------------------------------------------------- */

static void receive(struct bench_driver *driver)
{
    const size_t room = 65536;
    uint8_t *into = NULL;
    ssize_t n;

    bench_check(pw_buffer_reserve(&driver->in, room, &into) == PYWATT_OK, "out of memory");
    do {
        n = recv(driver->fd, into, room, 0);
    } while (n < 0 && errno == EINTR);
    bench_check(n > 0, "the orchestrator closed the connection");
    pw_buffer_commit(&driver->in, (size_t)n);
}

/* The next reply, which must be to the next request, and good. Valid until the next call. */
static const struct pw_response *next_reply(struct bench_driver *driver)
{
    struct pywatt_error error = {PYWATT_OK, ""};
    struct pw_frame frame;
    size_t size = 0;
    uint64_t number = 0;

    while (pw_frame_parse(pw_buffer_span(&driver->in), pw_codec_default_limits.max_bytes, &frame,
                          &size) != PW_FRAME_WHOLE) {
        receive(driver);
    }
    pw_arena_reset(&driver->arena);
    bench_check_ok(pw_codec_decode_response(driver->codec, frame.payload, &pw_codec_default_limits,
                                            &driver->arena, &driver->response, &error),
                   &error);
    const struct pw_response *response = &driver->response;
    memcpy(&number, &response->request_id, sizeof(number));
    driver->answered++;
    bench_check(response->has_request_id && number == driver->answered,
                "reply %llu came for request %llu", (unsigned long long)driver->answered,
                (unsigned long long)number);
    bench_check(response->success, "refused: %.*s", (int)response->error.len, response->error.data);
    pw_buffer_consume(&driver->in, size);
    return response;
}

/* ---- What is asked -------------------------------------------------------------------------- */

static void ask_to_register(struct bench_driver *driver, size_t number)
{
    struct pw_request request;
    struct pywatt_error error = {PYWATT_OK, "out of memory"};
    struct pywatt_module_info *info = NULL;
    char name[32];

    snprintf(name, sizeof(name), "m-%zu", driver->first_name + number);
    bench_check_ok(pywatt_module_info_new(name, "1", "", &info), &error);
    pw_request_init(&request);
    request.operation = PW_OP_REGISTER;
    request.info = info;
    add_request(driver, &request);
    pywatt_module_info_free(info);
}

static void take_registration(struct bench_driver *driver, size_t number)
{
    const struct pw_response *response = next_reply(driver);
    struct module *module = &driver->modules[number];

    bench_check(response->operation == PW_OP_REGISTER && response->registration != NULL,
                "a registration was answered with something else");
    module->id = response->registration->id;
    int len = snprintf(module->token, TOKEN_SIZE, "%s", response->registration->token);
    bench_check(len > 0 && len < TOKEN_SIZE, "a token of %d bytes", len);
}

void bench_driver_register(struct bench_driver *driver, size_t count)
{
    size_t asked = driver->count;
    size_t end = driver->count + count;

    bench_check(end <= driver->capacity, "too many modules");
    while (driver->count < end) {
        while (asked < end && asked < driver->count + 2 * (size_t)BENCH_DRIVER_BATCH) {
            ask_to_register(driver, asked++);
        }
        send_requests(driver);
        for (size_t i = 0; i < BENCH_DRIVER_BATCH && driver->count < asked; i++) {
            take_registration(driver, driver->count);
            driver->count++;
        }
    }
}

static struct pywatt_capabilities *some_capabilities(void)
{
    static const char *const methods[] = {"GET", "POST"};
    struct pywatt_capabilities *capabilities = pywatt_capabilities_new();

    bench_check(
        capabilities != NULL &&
            pywatt_capabilities_add_http_endpoint(capabilities, "/api/v1/data", methods, 2) ==
                PYWATT_OK &&
            pywatt_capabilities_add_message_type(capabilities, "temperature") == PYWATT_OK &&
            pywatt_capabilities_set_capability(capabilities, "limits",
                                               "{\"min\":-40,\"max\":85}") == PYWATT_OK,
        "out of memory");
    return capabilities;
}

void bench_driver_advertise(struct bench_driver *driver)
{
    struct pywatt_capabilities *capabilities = some_capabilities();
    size_t asked = 0;
    size_t done = 0;

    while (done < driver->count) {
        for (; asked < driver->count && asked < done + 2 * (size_t)BENCH_DRIVER_BATCH; asked++) {
            const struct module *module = &driver->modules[asked];
            struct pw_request request;

            pw_request_init(&request);
            request.operation = PW_OP_CAPABILITIES;
            request.module_id = module->id;
            request.token = (struct pw_str){module->token, strlen(module->token)};
            request.capabilities = capabilities;
            add_request(driver, &request);
        }
        send_requests(driver);
        for (size_t i = 0; i < BENCH_DRIVER_BATCH && done < asked; i++, done++) {
            bench_check(next_reply(driver)->operation == PW_OP_CAPABILITIES,
                        "capabilities were answered with something else");
        }
    }
    pywatt_capabilities_free(capabilities);
}

void bench_driver_shuffle(struct bench_driver *driver, uint64_t seed)
{
    uint32_t *order = bench_shuffled(driver->count, seed);
    struct module *modules = calloc(driver->capacity, sizeof(*modules));

    bench_check(modules != NULL, "out of memory");
    for (size_t i = 0; i < driver->count; i++) {
        modules[i] = driver->modules[order[i]];
    }
    free(driver->modules);
    free(order);
    driver->modules = modules;
}

static enum pywatt_health health_of(uint64_t number)
{
    return (enum pywatt_health)(number % 3);
}

static void ask_beat(struct bench_driver *driver, uint32_t number)
{
    const struct module *module = &driver->modules[number];
    struct pw_request request;

    pw_request_init(&request);
    request.operation = PW_OP_HEARTBEAT;
    request.module_id = module->id;
    request.token = (struct pw_str){module->token, strlen(module->token)};
    request.generation = 1;
    request.health = health_of(driver->requested + 1);
    add_request(driver, &request);
}

static void take_beat(struct bench_driver *driver)
{
    const struct pw_response *response = next_reply(driver);

    bench_check(response->operation == PW_OP_HEARTBEAT &&
                    response->health == health_of(driver->answered),
                "a beat was answered with something else");
}

void bench_driver_beat(struct bench_driver *driver, const uint32_t *order, size_t count,
                       unsigned batch, uint64_t *sent_ns)
{
    size_t asked = 0;
    size_t done = 0;

    while (done < count) {
        const size_t from = asked;
        const size_t until = done + 2 * (size_t)batch < count ? done + 2 * (size_t)batch : count;
        while (asked < until) {
            ask_beat(driver, order[asked++]);
        }
        const uint64_t now_ns = sent_ns != NULL ? bench_now_ns() : 0;
        for (size_t i = from; sent_ns != NULL && i < asked; i++) {
            sent_ns[order[i]] = now_ns;
        }
        send_requests(driver);
        for (unsigned i = 0; i < batch && done < asked; i++, done++) {
            take_beat(driver);
        }
    }
}

void bench_driver_ask_beat(struct bench_driver *driver, uint32_t number)
{
    ask_beat(driver, number);
    send_requests(driver);
}

void bench_driver_take_beat(struct bench_driver *driver)
{
    take_beat(driver);
}
