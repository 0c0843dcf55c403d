/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * client_script.c - see the header. One call at a time: its fields belong to its thread from its
 * start to the join.
 */
#include "client_script.h"

#include "base/clock.h"
#include "pw_test.h"

#include <pywatt/pywatt.h>

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PATIENCE_MS = 20000,
    WORDS_MAX = 16
};

struct call {
    pthread_t thread;
    bool under_way;
    char words[1024];
    char *word[WORDS_MAX];
    size_t word_count;
    enum pywatt_status status;
    enum pywatt_health verdict;
    struct pywatt_error error;
};

struct client_script {
    struct pw_listener *listener;
    struct pywatt_client *client;
    struct pywatt_module *module;
    struct call call;
};

struct client_script *client_script_new(const char *codec)
{
    static unsigned number;
    char url[64];
    struct pw_endpoint endpoint;
    struct pywatt_client_options options;
    struct client_script *script = calloc(1, sizeof(*script));
    assert_non_null(script);
    snprintf(url, sizeof(url), "memory:conversation-%u", ++number);
    assert_int_equal(pw_endpoint_parse(url, true, &endpoint, NULL), PYWATT_OK);
    assert_int_equal(pw_transport_listen(&endpoint, &script->listener, NULL), PYWATT_OK);
    pywatt_client_options_init(&options);
    options.endpoints = url;
    options.codec = codec;
    options.timeout_ms = pw_test_timeout_ms(PATIENCE_MS);
    assert_int_equal(pywatt_client_open(&options, &script->client, NULL), PYWATT_OK);
    return script;
}

void client_script_free(struct client_script *script)
{
    if (script == NULL) {
        return;
    }
    pywatt_client_close(script->client);
    if (script->call.under_way) {
        pthread_join(script->call.thread, NULL);
    }
    pywatt_module_free(script->module);
    pywatt_client_free(script->client);
    pw_listener_destroy(script->listener);
    free(script);
}

struct pw_conn *client_script_accept(struct client_script *script)
{
    struct pollfd item = {.fd = pw_listener_fd(script->listener), .events = POLLIN};
    const uint64_t deadline_ns = (uint64_t)pw_test_deadline_ns(PATIENCE_MS);
    struct pw_conn *conn = NULL;
    poll(&item, 1, pw_deadline_poll_ms((uint64_t)pw_test_now_ns(), deadline_ns));
    return pw_listener_accept(script->listener, &conn, NULL) == PW_IO_OK ? conn : NULL;
}

/* ---- What a call does: in its thread ---------------------------------------------------------- */

/* Cuts "key=value" in two; NULL if it is no such word. */
static char *cut(char *word)
{
    char *equals = strchr(word, '=');
    if (equals != NULL) {
        *equals++ = '\0';
    }
    return equals;
}

static enum pywatt_status set_info(struct pywatt_module_info *info, char *word)
{
    const char *value = cut(word);
    struct pywatt_uuid id;
    if (value == NULL) {
        return PYWATT_INVALID_ARGUMENT;
    }
    if (strcmp(word, "id") != 0) {
        return pywatt_module_info_set_metadata(info, word, value);
    }
    const enum pywatt_status status = pywatt_uuid_parse(value, &id);
    return status == PYWATT_OK ? pywatt_module_info_set_id(info, &id) : status;
}

static void do_register(struct client_script *script, struct call *call)
{
    struct pywatt_module_info *info = NULL;
    struct pywatt_module *module = NULL;
    call->status = call->word_count < 4
                       ? PYWATT_INVALID_ARGUMENT
                       : pywatt_module_info_new(call->word[1], call->word[2], call->word[3], &info);
    for (size_t i = 4; i < call->word_count && call->status == PYWATT_OK; i++) {
        call->status = set_info(info, call->word[i]);
    }
    if (call->status == PYWATT_OK) {
        call->status = pywatt_register_module(script->client, info, &module, &call->error);
    }
    if (call->status == PYWATT_OK) {
        pywatt_module_free(script->module);
        script->module = module;
    }
    pywatt_module_info_free(info);
}

static void do_heartbeat(struct client_script *script, struct call *call)
{
    enum pywatt_health health = PYWATT_HEALTHY;
    struct pywatt_string_map *details = pywatt_string_map_new();
    call->status = call->word_count < 2 ? PYWATT_INVALID_ARGUMENT
                                        : pywatt_health_parse(call->word[1], &health);
    for (size_t i = 2; i < call->word_count && call->status == PYWATT_OK; i++) {
        const char *value = cut(call->word[i]);
        call->status = pywatt_string_map_set(details, call->word[i], value);
    }
    if (call->status == PYWATT_OK) {
        call->status =
            pywatt_heartbeat(script->module, health, details, &call->verdict, &call->error);
    }
    pywatt_string_map_free(details);
}

static enum pywatt_status add_endpoint(struct pywatt_capabilities *capabilities, const char *path,
                                       char *methods, const char *scheme)
{
    const char *list[8];
    size_t count = 0;
    char *rest = NULL;
    struct pywatt_endpoint *endpoint = NULL;
    for (char *at = strtok_r(methods, ",", &rest); at != NULL && count < 8;
         at = strtok_r(NULL, ",", &rest)) {
        list[count++] = at;
    }
    enum pywatt_status status = pywatt_endpoint_new(path, list, count, &endpoint);
    if (status == PYWATT_OK && scheme != NULL) {
        status = pywatt_endpoint_set_auth(endpoint, scheme);
    }
    if (status == PYWATT_OK) {
        status = pywatt_capabilities_add_endpoint(capabilities, endpoint);
    }
    pywatt_endpoint_free(endpoint);
    return status;
}

static void do_advertise(struct client_script *script, struct call *call)
{
    struct pywatt_capabilities *capabilities = pywatt_capabilities_new();
    const char *scheme = NULL;
    call->status = call->word_count < 3 ? PYWATT_INVALID_ARGUMENT : PYWATT_OK;
    for (size_t i = 3; i < call->word_count && call->status == PYWATT_OK; i++) {
        char *word = call->word[i];
        const char *value = cut(word);
        if (strcmp(word, "auth") == 0) {
            scheme = value;
        } else if (strcmp(word, "type") == 0) {
            call->status = pywatt_capabilities_add_message_type(capabilities, value);
        } else {
            call->status = pywatt_capabilities_set_capability(capabilities, word, value);
        }
    }
    if (call->status == PYWATT_OK) {
        call->status = add_endpoint(capabilities, call->word[1], call->word[2], scheme);
    }
    if (call->status == PYWATT_OK) {
        call->status = pywatt_advertise_capabilities(script->module, capabilities, &call->error);
    }
    pywatt_capabilities_free(capabilities);
}

static void *run(void *arg)
{
    struct client_script *script = arg;
    struct call *call = &script->call;
    if (strcmp(call->word[0], "register") == 0) {
        do_register(script, call);
    } else if (strcmp(call->word[0], "heartbeat") == 0) {
        do_heartbeat(script, call);
    } else if (strcmp(call->word[0], "advertise") == 0) {
        do_advertise(script, call);
    } else if (strcmp(call->word[0], "unregister") == 0) {
        call->status = pywatt_unregister_module(script->module, &call->error);
    } else {
        call->status = PYWATT_UNSUPPORTED;
    }
    return NULL;
}

/* ---- Lines: on the main thread ---------------------------------------------------------------- */

bool client_script_do(struct client_script *script, const char *words, char *why, size_t size)
{
    struct call *call = &script->call;
    char *rest = NULL;
    if (call->under_way) {
        snprintf(why, size, "the last call is not done yet");
        return false;
    }
    *call = (struct call){.under_way = true};
    snprintf(call->words, sizeof(call->words), "%s", words);
    for (char *word = strtok_r(call->words, " ", &rest);
         word != NULL && call->word_count < WORDS_MAX; word = strtok_r(NULL, " ", &rest)) {
        call->word[call->word_count++] = word;
    }
    if (call->word_count == 0 || pthread_create(&call->thread, NULL, run, script) != 0) {
        snprintf(why, size, "nothing to do, or no thread");
        call->under_way = false;
        return false;
    }
    return true;
}

bool client_script_done(struct client_script *script, const char *words, char *why, size_t size)
{
    struct call *call = &script->call;
    if (!call->under_way) {
        snprintf(why, size, "there is nothing under way");
        return false;
    }
    pthread_join(call->thread, NULL);
    call->under_way = false;
    const char *text = strchr(words, ' ');
    const size_t len = text == NULL ? strlen(words) : (size_t)(text - words);
    const char *status = pywatt_status_name(call->status);
    const char *said =
        call->status == PYWATT_OK ? pywatt_health_name(call->verdict) : call->error.text;
    if (strlen(status) != len || strncmp(status, words, len) != 0 ||
        (text != NULL && strcmp(text + 1, said) != 0)) {
        snprintf(why, size, "it ended so: %s %s", status, said);
        return false;
    }
    return true;
}
