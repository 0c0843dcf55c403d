/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fake_orchestrator.c - see the header. One thread serves; `lock` guards everything that others set
 * or read, and is not held while a handler runs. Orders that must have happened when they return
 * (disconnect, go away, come back) are carried out by the thread between two polls.
 */
#include "fake_orchestrator.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/sync.h"
#include "codec/codec.h"
#include "model/registration.h"
#include "pw_test.h"
#include "transport/frame.h"
#include "transport/transport.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    MAX_CONNECTIONS = 64,
    MAX_FRAME = 1 << 20,
    PATIENCE_MS = 10000
};

/* In programs that make allocations fail, ours do not count. */
__attribute__((weak)) void pw_malloc_fail_pause(void);

struct connection {
    struct pw_conn *conn;
    struct pw_buffer in;
    struct pw_buffer out;
    struct pw_buffer held;
};

struct known_module {
    struct pw_list link;
    struct pw_fake_module is;
};

struct rule {
    pw_fake_handler handler;
    void *user;
    enum pywatt_status refuse_status;
    const char *refuse_text;
    bool hold;
    bool drop;
};

enum order {
    ORDER_NONE,
    ORDER_DISCONNECT,
    ORDER_GO_AWAY,
    ORDER_COME_BACK,
    ORDER_RELEASE,
    ORDER_END
};

struct pw_fake {
    char url[64];
    pthread_t thread;
    int wake_fd;

    /* The thread's own. */
    struct pw_endpoint endpoint;
    struct pw_listener *listener;
    struct connection connections[MAX_CONNECTIONS];
    struct pw_arena arena;
    struct pw_request request;

    struct pw_mutex lock;
    struct pw_cond changed;
    /* Guarded by lock. */
    enum order order;
    struct rule rules[PW_OPERATION_COUNT];
    bool omit_request_ids;
    bool allow_takeover;
    int verdict;
    uint64_t interval_ms;
    uint64_t counts[PW_OPERATION_COUNT];
    uint64_t connected;
    uint64_t tokens; /* made so far */
    struct pw_list modules;
};

static void must(bool what, const char *text)
{
    if (!what) {
        fprintf(stderr, "fake orchestrator: %s\n", text);
        abort();
    }
}

/* ---- Modules --------------------------------------------------------------------------------- */

static struct pw_fake_module *find_locked(struct pw_fake *fake, const struct pywatt_uuid *id)
{
    for (struct pw_list *at = fake->modules.next; at != &fake->modules; at = at->next) {
        struct known_module *module = PW_CONTAINER_OF(at, struct known_module, link);
        if (pywatt_uuid_equal(&module->is.id, id)) {
            return &module->is;
        }
    }
    return NULL;
}

static void forget_locked(struct pw_fake_module *module)
{
    struct known_module *known = PW_CONTAINER_OF(module, struct known_module, is);
    pw_list_remove(&known->link);
    free(known);
}

static void new_token_locked(struct pw_fake *fake, struct pw_fake_module *module)
{
    fake->tokens++;
    snprintf(module->token, sizeof(module->token), "token-%llu", (unsigned long long)fake->tokens);
}

static struct pw_fake_module *add_locked(struct pw_fake *fake,
                                         const struct pywatt_module_info *info)
{
    struct known_module *known = calloc(1, sizeof(*known));
    must(known != NULL, "no memory");
    if (pywatt_module_info_id(info) != NULL) {
        known->is.id = *pywatt_module_info_id(info);
    } else {
        pywatt_uuid_generate(&known->is.id);
    }
    new_token_locked(fake, &known->is);
    pw_list_append(&fake->modules, &known->link);
    return &known->is;
}

static struct pywatt_registration *make_registration(const struct pw_fake *fake,
                                                     const struct pw_fake_module *module,
                                                     const struct pywatt_module_info *info)
{
    struct pywatt_registration *made = pw_registration_new();
    must(made != NULL, "no memory");
    made->id = module->id;
    made->port = 7900;
    bool good =
        pw_registration_set_token(made, pw_str_from(module->token)) == PYWATT_OK &&
        pw_registration_set_host(made, pw_str_from("127.0.0.1")) == PYWATT_OK &&
        pywatt_module_info_copy(info, &made->info) == PYWATT_OK &&
        pw_registration_set_number(made, PW_DATA_GENERATION, module->generation) == PYWATT_OK;
    if (fake->interval_ms != 0) {
        good = good && pw_registration_set_number(made, PW_DATA_HEARTBEAT_INTERVAL_MS,
                                                  fake->interval_ms) == PYWATT_OK;
    }
    must(good, "a registration cannot be made");
    pw_registration_seal(made);
    return made;
}

static void refuse(struct pw_response *response, enum pywatt_status status, const char *text)
{
    response->success = false;
    response->status = status;
    response->error = pw_str_from(text);
}

static void append_pair(char *out, size_t size, const char *key, const char *value)
{
    const size_t used = strlen(out);
    snprintf(out + used, size - used, "%s%s%s,", key, value == NULL ? "" : "=",
             value == NULL ? "" : value);
}

static void append_map(char *out, size_t size, const struct pywatt_string_map *map)
{
    const char *key;
    const char *value;
    for (size_t i = 0; pywatt_string_map_at(map, i, &key, &value); i++) {
        append_pair(out, size, key, value);
    }
}

static void note_capabilities(struct pw_fake_module *module,
                              const struct pywatt_capabilities *capabilities)
{
    char *out = module->capabilities;
    const size_t size = sizeof(module->capabilities);
    module->advertised++;
    module->capabilities[0] = '\0';
    for (size_t i = 0; i < pywatt_capabilities_endpoint_count(capabilities); i++) {
        append_pair(out, size, pywatt_endpoint_path(pywatt_capabilities_endpoint(capabilities, i)),
                    NULL);
    }
    for (size_t i = 0; i < pywatt_capabilities_message_type_count(capabilities); i++) {
        append_pair(out, size, pywatt_capabilities_message_type(capabilities, i), NULL);
    }
    append_map(out, size, pywatt_capabilities_additional(capabilities));
}

/* ---- What is answered ------------------------------------------------------------------------ */

static void answer_register_locked(struct pw_fake *fake, const struct pw_request *request,
                                   struct pw_response *response)
{
    const struct pywatt_uuid *id = pywatt_module_info_id(request->info);
    struct pw_fake_module *module = id == NULL ? NULL : find_locked(fake, id);
    if (module != NULL && !pw_str_equal(request->token, pw_str_from(module->token))) {
        if (!fake->allow_takeover) {
            refuse(response, PYWATT_INVALID_TOKEN, "Invalid token");
            return;
        }
        new_token_locked(fake, module);
    }
    if (module == NULL) {
        module = add_locked(fake, request->info);
    }
    module->generation++;
    module->registered++;
    snprintf(module->name, sizeof(module->name), "%s", pywatt_module_info_name(request->info));
    response->registration = make_registration(fake, module, request->info);
}

static void answer_beat(struct pw_fake *fake, const struct pw_request *request,
                        struct pw_fake_module *module, struct pw_response *response)
{
    module->beats++;
    module->health = request->health;
    module->details[0] = '\0';
    append_map(module->details, sizeof(module->details), request->details);
    response->health = fake->verdict < 0 ? request->health : (enum pywatt_health)fake->verdict;
}

static void answer_locked(struct pw_fake *fake, const struct pw_request *request,
                          struct pw_response *response)
{
    if (request->operation == PW_OP_REGISTER) {
        answer_register_locked(fake, request, response);
        return;
    }
    response->health = request->health;
    struct pw_fake_module *module = find_locked(fake, &request->module_id);
    if (module == NULL) {
        refuse(response, PYWATT_MODULE_NOT_FOUND, "Module not found: it is not here");
    } else if (!pw_str_equal(request->token, pw_str_from(module->token))) {
        refuse(response, PYWATT_INVALID_TOKEN, "Invalid token");
    } else if (request->operation == PW_OP_HEARTBEAT && request->generation != 0 &&
               request->generation != module->generation) {
        refuse(response, PYWATT_STALE_GENERATION, "a newer registration exists");
    } else if (request->operation == PW_OP_HEARTBEAT) {
        answer_beat(fake, request, module, response);
    } else if (request->operation == PW_OP_CAPABILITIES) {
        note_capabilities(module, request->capabilities);
    } else {
        forget_locked(module);
    }
}

/* Decides what becomes of a request, and fills the answer. */
static enum pw_fake_action decide(struct pw_fake *fake, const struct pw_request *request,
                                  struct pw_response *response)
{
    pw_mutex_lock(&fake->lock);
    const struct rule rule = fake->rules[request->operation];
    *response = (struct pw_response){
        .operation = request->operation,
        .has_request_id = request->has_request_id && !fake->omit_request_ids,
        .request_id = request->request_id,
        .success = true,
    };
    enum pw_fake_action action = rule.drop   ? PW_FAKE_DROP
                                 : rule.hold ? PW_FAKE_HOLD
                                             : PW_FAKE_ANSWER;
    if (rule.refuse_status != PYWATT_OK) {
        response->health = request->health;
        refuse(response, rule.refuse_status, rule.refuse_text);
    } else if (!rule.drop) {
        answer_locked(fake, request, response);
    }
    pw_mutex_unlock(&fake->lock);
    if (rule.handler != NULL) {
        action = rule.handler(rule.user, request, response);
    }
    pw_mutex_lock(&fake->lock);
    fake->counts[request->operation]++;
    pw_cond_broadcast(&fake->changed);
    pw_mutex_unlock(&fake->lock);
    return action;
}

static void append_reply(struct pw_buffer *out, const struct pw_codec_ops *codec,
                         const struct pw_response *response)
{
    struct pw_buffer payload;
    struct pywatt_error error;
    uint8_t header[PW_FRAME_HEADER_SIZE];
    pw_buffer_init(&payload, MAX_FRAME);
    const enum pywatt_status status = pw_codec_encode_response(codec, response, &payload, &error);
    must(status == PYWATT_OK, "a reply cannot be encoded");
    pw_frame_write_header(header, (uint32_t)pw_buffer_len(&payload), codec->format_code);
    must(pw_buffer_append(out, header, sizeof(header)) == PYWATT_OK &&
             pw_buffer_append(out, pw_buffer_bytes(&payload), pw_buffer_len(&payload)) == PYWATT_OK,
         "no memory for a reply");
    pw_buffer_destroy(&payload);
}

/* False if the connection is to be ended. */
static bool serve(struct pw_fake *fake, struct connection *connection, struct pw_frame *frame)
{
    struct pywatt_error error;
    bool recognised;
    const struct pw_codec_ops *codec = pw_codec_by_frame(frame->format_code, frame->payload);
    if (codec == NULL ||
        pw_codec_decode_request(codec, frame->payload, &pw_codec_default_limits, &fake->arena,
                                &fake->request, &recognised, &error) != PYWATT_OK) {
        return false;
    }
    struct pw_response response;
    const enum pw_fake_action action = decide(fake, &fake->request, &response);
    if (action == PW_FAKE_ANSWER || action == PW_FAKE_HOLD) {
        append_reply(action == PW_FAKE_HOLD ? &connection->held : &connection->out, codec,
                     &response);
    }
    pywatt_registration_release(response.registration);
    pw_request_reset(&fake->request);
    pw_arena_reset(&fake->arena);
    return action != PW_FAKE_DISCONNECT;
}

/* ---- Connections ----------------------------------------------------------------------------- */

static void end_connection(struct connection *connection)
{
    if (connection->conn != NULL) {
        pw_conn_destroy(connection->conn);
        pw_buffer_destroy(&connection->in);
        pw_buffer_destroy(&connection->out);
        pw_buffer_destroy(&connection->held);
        connection->conn = NULL;
    }
}

static void end_connections(struct pw_fake *fake)
{
    for (size_t i = 0; i < MAX_CONNECTIONS; i++) {
        end_connection(&fake->connections[i]);
    }
}

static bool serve_frames(struct pw_fake *fake, struct connection *connection)
{
    for (;;) {
        struct pw_frame frame;
        size_t size;
        const enum pw_frame_result result =
            pw_frame_parse(pw_buffer_span(&connection->in), MAX_FRAME, &frame, &size);
        if (result != PW_FRAME_WHOLE) {
            return result == PW_FRAME_MORE;
        }
        if (!serve(fake, connection, &frame)) {
            return false;
        }
        pw_buffer_consume(&connection->in, size);
    }
}

static bool receive(struct pw_fake *fake, struct connection *connection)
{
    for (;;) {
        uint8_t *room;
        size_t got;
        must(pw_buffer_reserve(&connection->in, 4096, &room) == PYWATT_OK, "no memory to receive");
        const enum pw_io result = pw_conn_receive(connection->conn, room, 4096, &got, NULL);
        if (result != PW_IO_OK) {
            return result == PW_IO_AGAIN;
        }
        pw_buffer_commit(&connection->in, got);
        if (!serve_frames(fake, connection)) {
            return false;
        }
    }
}

static bool send_out(struct connection *connection)
{
    while (pw_buffer_len(&connection->out) > 0) {
        const struct pw_span bytes = pw_buffer_span(&connection->out);
        const struct iovec piece = {(void *)(uintptr_t)bytes.data, bytes.len};
        size_t sent;
        const enum pw_io result = pw_conn_send(connection->conn, &piece, 1, &sent, NULL);
        if (result != PW_IO_OK) {
            return result == PW_IO_AGAIN;
        }
        pw_buffer_consume(&connection->out, sent);
    }
    return true;
}

static void accept_all(struct pw_fake *fake)
{
    struct pw_conn *conn;
    while (fake->listener != NULL && pw_listener_accept(fake->listener, &conn, NULL) == PW_IO_OK) {
        size_t i = 0;
        while (i < MAX_CONNECTIONS && fake->connections[i].conn != NULL) {
            i++;
        }
        must(i < MAX_CONNECTIONS, "too many connections");
        struct connection *connection = &fake->connections[i];
        connection->conn = conn;
        pw_buffer_init(&connection->in, 4 * MAX_FRAME);
        pw_buffer_init(&connection->out, 64 * MAX_FRAME);
        pw_buffer_init(&connection->held, 64 * MAX_FRAME);
        pw_mutex_lock(&fake->lock);
        fake->connected++;
        pw_mutex_unlock(&fake->lock);
    }
}

/* ---- The thread ------------------------------------------------------------------------------ */

static void open_listener(struct pw_fake *fake)
{
    struct pywatt_error error;
    if (pw_transport_listen(&fake->endpoint, &fake->listener, &error) != PYWATT_OK) {
        must(false, error.text);
    }
}

static void close_listener(struct pw_fake *fake)
{
    if (fake->listener != NULL) {
        pw_listener_destroy(fake->listener);
        fake->listener = NULL;
    }
}

static void release_held(struct pw_fake *fake)
{
    for (size_t i = 0; i < MAX_CONNECTIONS; i++) {
        struct connection *connection = &fake->connections[i];
        if (connection->conn != NULL && pw_buffer_len(&connection->held) > 0) {
            must(pw_buffer_append(&connection->out, pw_buffer_bytes(&connection->held),
                                  pw_buffer_len(&connection->held)) == PYWATT_OK,
                 "no memory for held replies");
            pw_buffer_clear(&connection->held);
        }
    }
}

/* False if that was the last one. */
static bool carry_out(struct pw_fake *fake)
{
    pw_mutex_lock(&fake->lock);
    const enum order order = fake->order;
    pw_mutex_unlock(&fake->lock);
    switch (order) {
    case ORDER_NONE: return true;
    case ORDER_DISCONNECT: end_connections(fake); break;
    case ORDER_COME_BACK: open_listener(fake); break;
    case ORDER_RELEASE: release_held(fake); break;
    case ORDER_GO_AWAY:
    case ORDER_END:
        close_listener(fake);
        end_connections(fake);
        break;
    }
    pw_mutex_lock(&fake->lock);
    fake->order = ORDER_NONE;
    pw_cond_broadcast(&fake->changed);
    pw_mutex_unlock(&fake->lock);
    return order != ORDER_END;
}

static nfds_t fill_polls(struct pw_fake *fake, struct pollfd *polls)
{
    polls[0] = (struct pollfd){.fd = fake->wake_fd, .events = POLLIN};
    polls[1] = (struct pollfd){.fd = -1};
    if (fake->listener != NULL) {
        polls[1] = (struct pollfd){.fd = pw_listener_fd(fake->listener), .events = POLLIN};
    }
    for (size_t i = 0; i < MAX_CONNECTIONS; i++) {
        struct connection *connection = &fake->connections[i];
        polls[2 + i] = (struct pollfd){.fd = -1};
        if (connection->conn != NULL) {
            polls[2 + i].fd = pw_conn_fd(connection->conn);
            polls[2 + i].events =
                (short)(POLLIN | (pw_buffer_len(&connection->out) > 0 ? POLLOUT : 0));
        }
    }
    return 2 + MAX_CONNECTIONS;
}

static void *run(void *arg)
{
    struct pw_fake *fake = arg;
    if (pw_malloc_fail_pause != NULL) {
        pw_malloc_fail_pause();
    }
    while (carry_out(fake)) {
        accept_all(fake);
        for (size_t i = 0; i < MAX_CONNECTIONS; i++) {
            struct connection *connection = &fake->connections[i];
            if (connection->conn != NULL && !(receive(fake, connection) && send_out(connection))) {
                end_connection(connection);
            }
        }
        struct pollfd polls[2 + MAX_CONNECTIONS];
        poll(polls, fill_polls(fake, polls), -1);
        if (polls[0].revents != 0) {
            uint64_t count;
            (void)!read(fake->wake_fd, &count, sizeof(count));
        }
    }
    return NULL;
}

/* Gives an order, and waits until it has been carried out. */
static void give_order(struct pw_fake *fake, enum order order)
{
    const uint64_t one = 1;
    pw_mutex_lock(&fake->lock);
    while (fake->order != ORDER_NONE) { /* somebody else's */
        pw_cond_wait(&fake->changed, &fake->lock);
    }
    fake->order = order;
    (void)!write(fake->wake_fd, &one, sizeof(one));
    while (fake->order != ORDER_NONE) {
        pw_cond_wait(&fake->changed, &fake->lock);
    }
    pw_mutex_unlock(&fake->lock);
}

/* ---- The outside ----------------------------------------------------------------------------- */

struct pw_fake *pw_fake_start(void)
{
    static atomic_uint number;
    struct pw_fake *fake = calloc(1, sizeof(*fake));
    must(fake != NULL, "no memory");
    snprintf(fake->url, sizeof(fake->url), "memory:fake-%u", atomic_fetch_add(&number, 1));
    must(pw_endpoint_parse(fake->url, true, &fake->endpoint, NULL) == PYWATT_OK, "bad URL");
    must(pw_mutex_init(&fake->lock) == PYWATT_OK && pw_cond_init(&fake->changed) == PYWATT_OK,
         "no memory");
    fake->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    must(fake->wake_fd >= 0, "no descriptor");
    fake->verdict = -1;
    pw_list_init(&fake->modules);
    pw_arena_init(&fake->arena, PW_CODEC_ARENA_BUDGET);
    pw_request_init(&fake->request);
    open_listener(fake);
    must(pw_thread_start(&fake->thread, "fake", run, fake) == PYWATT_OK, "no thread");
    return fake;
}

void pw_fake_free(struct pw_fake *fake)
{
    give_order(fake, ORDER_END);
    pthread_join(fake->thread, NULL);
    pw_fake_forget(fake);
    pw_request_clear(&fake->request);
    pw_arena_destroy(&fake->arena);
    pw_cond_destroy(&fake->changed);
    pw_mutex_destroy(&fake->lock);
    close(fake->wake_fd);
    free(fake);
}

const char *pw_fake_url(const struct pw_fake *fake)
{
    return fake->url;
}

void pw_fake_handle(struct pw_fake *fake, enum pw_operation operation, pw_fake_handler handler,
                    void *user)
{
    pw_mutex_lock(&fake->lock);
    fake->rules[operation].handler = handler;
    fake->rules[operation].user = user;
    pw_mutex_unlock(&fake->lock);
}

void pw_fake_refuse(struct pw_fake *fake, enum pw_operation operation, enum pywatt_status status,
                    const char *text)
{
    pw_mutex_lock(&fake->lock);
    fake->rules[operation].refuse_status = status;
    fake->rules[operation].refuse_text = text;
    pw_mutex_unlock(&fake->lock);
}

void pw_fake_hold(struct pw_fake *fake, enum pw_operation operation)
{
    pw_mutex_lock(&fake->lock);
    fake->rules[operation].hold = true;
    pw_mutex_unlock(&fake->lock);
}

void pw_fake_release(struct pw_fake *fake)
{
    pw_mutex_lock(&fake->lock);
    for (size_t i = 0; i < PW_OPERATION_COUNT; i++) {
        fake->rules[i].hold = false;
    }
    pw_mutex_unlock(&fake->lock);
    give_order(fake, ORDER_RELEASE);
}

void pw_fake_drop(struct pw_fake *fake, enum pw_operation operation, bool drop)
{
    pw_mutex_lock(&fake->lock);
    fake->rules[operation].drop = drop;
    pw_mutex_unlock(&fake->lock);
}

void pw_fake_omit_request_ids(struct pw_fake *fake)
{
    pw_mutex_lock(&fake->lock);
    fake->omit_request_ids = true;
    pw_mutex_unlock(&fake->lock);
}

void pw_fake_allow_takeover(struct pw_fake *fake)
{
    pw_mutex_lock(&fake->lock);
    fake->allow_takeover = true;
    pw_mutex_unlock(&fake->lock);
}

void pw_fake_set_verdict(struct pw_fake *fake, int verdict)
{
    pw_mutex_lock(&fake->lock);
    fake->verdict = verdict;
    pw_mutex_unlock(&fake->lock);
}

void pw_fake_set_interval_ms(struct pw_fake *fake, uint64_t interval_ms)
{
    pw_mutex_lock(&fake->lock);
    fake->interval_ms = interval_ms;
    pw_mutex_unlock(&fake->lock);
}

void pw_fake_disconnect(struct pw_fake *fake)
{
    give_order(fake, ORDER_DISCONNECT);
}

void pw_fake_go_away(struct pw_fake *fake)
{
    give_order(fake, ORDER_GO_AWAY);
}

void pw_fake_come_back(struct pw_fake *fake)
{
    give_order(fake, ORDER_COME_BACK);
}

void pw_fake_forget(struct pw_fake *fake)
{
    pw_mutex_lock(&fake->lock);
    while (!pw_list_empty(&fake->modules)) {
        forget_locked(&PW_CONTAINER_OF(fake->modules.next, struct known_module, link)->is);
    }
    pw_mutex_unlock(&fake->lock);
}

void pw_fake_take_over(struct pw_fake *fake, const struct pywatt_uuid *id)
{
    pw_mutex_lock(&fake->lock);
    struct pw_fake_module *module = find_locked(fake, id);
    if (module != NULL) {
        new_token_locked(fake, module);
        module->generation++;
    }
    pw_mutex_unlock(&fake->lock);
}

void pw_fake_fence_off(struct pw_fake *fake, const struct pywatt_uuid *id)
{
    pw_mutex_lock(&fake->lock);
    struct pw_fake_module *module = find_locked(fake, id);
    if (module != NULL) {
        module->generation++;
    }
    pw_mutex_unlock(&fake->lock);
}

uint64_t pw_fake_count(struct pw_fake *fake, enum pw_operation operation)
{
    pw_mutex_lock(&fake->lock);
    const uint64_t count = fake->counts[operation];
    pw_mutex_unlock(&fake->lock);
    return count;
}

bool pw_fake_wait(struct pw_fake *fake, enum pw_operation operation, uint64_t count)
{
    const uint64_t deadline_ns = (uint64_t)pw_test_deadline_ns(PATIENCE_MS);
    bool in_time = true;
    pw_mutex_lock(&fake->lock);
    while (fake->counts[operation] < count && in_time) {
        in_time = pw_cond_wait_until(&fake->changed, &fake->lock, deadline_ns);
    }
    const bool reached = fake->counts[operation] >= count;
    pw_mutex_unlock(&fake->lock);
    return reached;
}

uint64_t pw_fake_connections(struct pw_fake *fake)
{
    pw_mutex_lock(&fake->lock);
    const uint64_t count = fake->connected;
    pw_mutex_unlock(&fake->lock);
    return count;
}

bool pw_fake_find(struct pw_fake *fake, const struct pywatt_uuid *id, struct pw_fake_module *out)
{
    pw_mutex_lock(&fake->lock);
    const struct pw_fake_module *module = find_locked(fake, id);
    if (module != NULL) {
        *out = *module;
    }
    pw_mutex_unlock(&fake->lock);
    return module != NULL;
}

bool pw_fake_wait_health(struct pw_fake *fake, const struct pywatt_uuid *id,
                         enum pywatt_health health)
{
    const uint64_t deadline_ns = (uint64_t)pw_test_deadline_ns(PATIENCE_MS);
    bool in_time = true;
    bool reached = false;
    pw_mutex_lock(&fake->lock);
    while (!reached && in_time) {
        const struct pw_fake_module *module = find_locked(fake, id);
        reached = module != NULL && module->beats > 0 && module->health == health;
        if (!reached) {
            in_time = pw_cond_wait_until(&fake->changed, &fake->lock, deadline_ns);
        }
    }
    pw_mutex_unlock(&fake->lock);
    return reached;
}
