/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * conversation.c - see the header. Everything runs on the main thread, but for the calls of a client
 * under test (client_script.c).
 */
#include "conversation.h"

#include "client_script.h"
#include "placeholders.h"
#include "pw_test.h"
#include "sdk_rules.h"
#include "wire.h"

#include <pywatt/orchestrator.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LINE_MAX_BYTES = 8192,
    CONNECTIONS_MAX = 16
};

struct connection {
    char name[16];
    struct wire wire;
};

struct conversation {
    const char *path;
    unsigned line;
    struct bindings bindings;
    /* With an orchestrator under test. */
    struct pywatt_orchestrator *orchestrator;
    char url[128];
    /* With a client under test. */
    struct client_script *client;
    /* The one in use is the last of them. */
    struct connection connections[CONNECTIONS_MAX];
    size_t connection_count;
    struct wire *wire;
};

#define FAIL_AT(conversation, ...)                                          \
    do {                                                                    \
        print_error("%s:%u: ", (conversation)->path, (conversation)->line); \
        fail_msg(__VA_ARGS__);                                              \
    } while (0)

/* ---- The thing under test -------------------------------------------------------------------- */

static void begin_orchestrator(struct conversation *conversation)
{
    struct pywatt_orchestrator_options options;
    struct pywatt_error error = {.text = ""};
    pywatt_orchestrator_options_init(&options);
    options.workers = 1;
    if (pywatt_orchestrator_new(&options, &conversation->orchestrator, &error) != PYWATT_OK ||
        pywatt_orchestrator_listen(conversation->orchestrator, "tcp://127.0.0.1:0",
                                   conversation->url, sizeof(conversation->url),
                                   &error) != PYWATT_OK ||
        pywatt_orchestrator_start(conversation->orchestrator, &error) != PYWATT_OK) {
        FAIL_AT(conversation, "no orchestrator: %s", error.text);
    }
    bindings_set(&conversation->bindings, "port", strrchr(conversation->url, ':') + 1);
}

static void begin(struct conversation *conversation, const char *what)
{
    if (strcmp(what, "orchestrator") == 0) {
        begin_orchestrator(conversation);
    } else if (strncmp(what, "client ", 7) == 0) {
        conversation->client = client_script_new(what + 7);
    } else {
        FAIL_AT(conversation, "with %s?", what);
    }
}

/* ---- Connections ----------------------------------------------------------------------------- */

static struct connection *new_connection(struct conversation *conversation, const char *name)
{
    if (conversation->connection_count == CONNECTIONS_MAX) {
        FAIL_AT(conversation, "more connections than I have room for");
    }
    struct connection *made = &conversation->connections[conversation->connection_count++];
    snprintf(made->name, sizeof(made->name), "%s", name);
    conversation->wire = &made->wire;
    return made;
}

static void use_connection(struct conversation *conversation, const char *name)
{
    for (size_t i = 0; i < conversation->connection_count; i++) {
        if (strcmp(conversation->connections[i].name, name) == 0) {
            conversation->wire = &conversation->connections[i].wire;
            return;
        }
    }
    if (!wire_open(&new_connection(conversation, name)->wire, conversation->url)) {
        FAIL_AT(conversation, "cannot connect to %s", conversation->url);
    }
}

static void need_connection(struct conversation *conversation)
{
    if (conversation->wire != NULL) {
        return;
    }
    if (conversation->client == NULL) {
        use_connection(conversation, "the first");
        return;
    }
    struct pw_conn *conn = client_script_accept(conversation->client);
    if (conn == NULL) {
        FAIL_AT(conversation, "the client does not connect");
    }
    wire_take_over(&new_connection(conversation, "of the client")->wire, conn);
}

/* Before `wire` is forgotten. */
static void expect_end(struct conversation *conversation)
{
    if (!wire_is_ended(conversation->wire)) {
        FAIL_AT(conversation, "the connection is not ended, or more came: %.*s",
                (int)pw_buffer_len(&conversation->wire->in),
                (const char *)pw_buffer_bytes(&conversation->wire->in));
    }
    wire_close(conversation->wire);
}

static void hang_up(struct conversation *conversation)
{
    wire_close(conversation->wire);
    conversation->wire = NULL;
}

/* ---- Lines ----------------------------------------------------------------------------------- */

static void send_payload(struct conversation *conversation, uint8_t code, const char *pattern)
{
    static uint8_t payload[LINE_MAX_BYTES];
    size_t len;
    need_connection(conversation);
    if (!bindings_expand(&conversation->bindings, pattern, payload, sizeof(payload), &len)) {
        FAIL_AT(conversation, "a name that is not bound yet");
    }
    if (!wire_send_frame(conversation->wire, code, payload, len)) {
        FAIL_AT(conversation, "cannot send: the connection broke");
    }
}

static void receive_payload(struct conversation *conversation, uint8_t code, const char *pattern)
{
    struct pw_frame frame;
    size_t agreed;
    need_connection(conversation);
    const enum wire_got got = wire_receive(conversation->wire, &frame);
    if (got != WIRE_FRAME) {
        FAIL_AT(conversation, "%s", got == WIRE_NOTHING ? "nothing comes" : "the connection broke");
    }
    if (!bindings_match(&conversation->bindings, pattern, frame.payload.data, frame.payload.len,
                        &agreed)) {
        FAIL_AT(conversation, "another payload came, which differs from byte %zu on (%.20s):\n%.*s",
                agreed, (const char *)frame.payload.data + agreed, (int)frame.payload.len,
                (const char *)frame.payload.data);
    }
    if (frame.format_code != code) {
        FAIL_AT(conversation, "format code %u came", frame.format_code);
    }
    const char *fault = conversation->client != NULL ? NULL
                        : code == 0                  ? python_sdk_stumbles_over(frame.payload)
                                                     : rust_sdk_stumbles_over(frame.payload);
    if (fault != NULL) {
        FAIL_AT(conversation, "the SDK stumbles over %s", fault);
    }
}

static void play_frame(struct conversation *conversation, const char *line)
{
    char *payload;
    const unsigned long code = strtoul(line + 2, &payload, 10);
    if (payload == line + 2 || code > 255 || (*payload != ' ' && *payload != '\0')) {
        FAIL_AT(conversation, "a format code must stand there");
    }
    payload += *payload == ' ';
    (line[0] == '>' ? send_payload : receive_payload)(conversation, (uint8_t)code, payload);
}

static void play_client(struct conversation *conversation, const char *line)
{
    char why[512];
    char words[LINE_MAX_BYTES];
    size_t len;
    if (!bindings_expand(&conversation->bindings, line, (uint8_t *)words, sizeof(words) - 1,
                         &len)) {
        FAIL_AT(conversation, "a name that is not bound yet");
    }
    words[len] = '\0';
    const bool good = strncmp(words, "do ", 3) == 0
                          ? client_script_do(conversation->client, words + 3, why, sizeof(why))
                          : client_script_done(conversation->client, words + 5, why, sizeof(why));
    if (!good) {
        FAIL_AT(conversation, "%s", why);
    }
}

static void play_line(struct conversation *conversation, const char *line)
{
    if (strncmp(line, "with ", 5) == 0) {
        begin(conversation, line + 5);
    } else if (line[0] == '>' || line[0] == '<') {
        play_frame(conversation, line);
    } else if (strncmp(line, "on ", 3) == 0) {
        use_connection(conversation, line + 3);
    } else if (strcmp(line, "closed") == 0) {
        need_connection(conversation);
        expect_end(conversation);
        conversation->wire = NULL;
    } else if (strcmp(line, "hang up") == 0) {
        hang_up(conversation);
    } else if (strncmp(line, "do ", 3) == 0 || strncmp(line, "done ", 5) == 0) {
        play_client(conversation, line);
    } else {
        FAIL_AT(conversation, "what does this line mean?");
    }
}

/* ---- Files ----------------------------------------------------------------------------------- */

static void end(struct conversation *conversation)
{
    /* A client has nothing more to say when it is gone. */
    client_script_free(conversation->client);
    for (size_t i = 0; i < conversation->connection_count; i++) {
        conversation->wire = &conversation->connections[i].wire;
        if (conversation->wire->conn != NULL) {
            wire_end_output(conversation->wire);
            expect_end(conversation);
        }
    }
    pywatt_orchestrator_free(conversation->orchestrator);
}

/* The next line with those that go on with it; *number is the first one's. False at the end. */
static bool read_line(FILE *file, char *out, size_t size, unsigned *number, unsigned *lines)
{
    char line[LINE_MAX_BYTES];
    out[0] = '\0';
    for (;;) {
        const long at = ftell(file);
        if (fgets(line, sizeof(line), file) == NULL) {
            return out[0] != '\0';
        }
        line[strcspn(line, "\n")] = '\0';
        const bool more = strncmp(line, "+ ", 2) == 0;
        if (out[0] != '\0' && !more) {
            fseek(file, at, SEEK_SET);
            return true;
        }
        ++*lines;
        if (more) {
            strncat(out, line + 2, size - strlen(out) - 1);
        } else if (line[0] != '#' && line[0] != '\0') {
            snprintf(out, size, "%s", line);
            *number = *lines;
        }
    }
}

void conversation_play(const char *path)
{
    char line[LINE_MAX_BYTES];
    unsigned lines = 0;
    struct conversation *conversation = calloc(1, sizeof(*conversation));
    FILE *file = fopen(path, "r");
    assert_non_null(conversation);
    conversation->path = path;
    if (file == NULL) {
        fail_msg("cannot read %s: %s", path, strerror(errno));
        return;
    }
    while (read_line(file, line, sizeof(line), &conversation->line, &lines)) {
        play_line(conversation, line);
    }
    fclose(file);
    end(conversation);
    free(conversation);
}
