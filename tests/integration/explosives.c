/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * explosives.c - see the header. JSON bombs come in both codes that carry JSON; protobuf bombs stand
 * in the operation whose field numbers they name.
 */
#include "explosives.h"

#include "pw_test.h"
#include "transport/frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MILLION ((size_t)1000000)
#define DEEP ((size_t)100000)

#define BEAT                                                      \
    "{\"content\":{\"request_type\":\"heartbeat\",\"module_id\":" \
    "\"a3b8f042-1e16-4f0d-8f1c-7d2f6c5b4a90\",\"token\":\"t\",\"status\":\"Healthy\",\"details\":"
#define CAPABILITIES                                                 \
    "{\"content\":{\"request_type\":\"capabilities\",\"module_id\":" \
    "\"a3b8f042-1e16-4f0d-8f1c-7d2f6c5b4a90\",\"token\":\"t\",\"capabilities\":{\"endpoints\":["
#define REPLY \
    "{\"response_type\":\"heartbeat\",\"success\":true,\"status\":\"Healthy\",\"context\":"

/* before, then unit `times` times, then behind. `reply` stands in for `before` in a reply. */
struct recipe {
    const char *name;
    int code; /* 1: codes 0 and 1 alike */
    const char *before;
    size_t before_len;
    const char *reply;
    size_t reply_len;
    const char *unit;
    size_t unit_len;
    size_t times;
    const char *behind;
};

#define TEXT(text) (text), sizeof(text) - 1

/* A beat with its ids, the length of the whole of it to be filled in; a beat's reply. */
#define PROTO_BEAT                 \
    "\x12\x80\x80\x80\x00\x0a\x10" \
    "0123456789abcdef"             \
    "\x12\x01t"
#define PROTO_CAPABILITIES         \
    "\x2a\x80\x80\x80\x00\x0a\x10" \
    "0123456789abcdef"             \
    "\x12\x01t"
#define PROTO_REPLY "\x22\x80\x80\x80\x00"

static const struct recipe recipes[] = {
    {"a length of 4 GiB", -1, TEXT("\xff\xff\xff\xff\x01{\"id\":"),
     TEXT("\xff\xff\xff\xff\x01{\"id\":"), TEXT("x"), 1000, ""},
    {"nested arrays", 1, TEXT(""), TEXT(""), TEXT("["), DEEP, ""},
    {"nested objects", 1, TEXT(BEAT), TEXT(REPLY), TEXT("{\"a\":"), DEEP, "1"},
    {"nested arrays in a beat", 1, TEXT(BEAT), TEXT(REPLY), TEXT("["), DEEP, ""},
    {"a million empty arrays", 1, TEXT("{\"x\":[[]"), TEXT("{\"x\":[[]"), TEXT(",[]"), MILLION,
     "]}"},
    {"a million empty objects", 1, TEXT(CAPABILITIES "{}"), TEXT(REPLY "[{}"), TEXT(",{}"), MILLION,
     "]}}}"},
    {"a million empty texts", 1, TEXT("{\"x\":[\"\""), TEXT("{\"x\":[\"\""), TEXT(",\"\""), MILLION,
     "]}"},
    {"a million zeros", 1, TEXT("{\"x\":[0"), TEXT("{\"x\":[0"), TEXT(",0"), MILLION, "]}"},
    {"half a million zeros", 1, TEXT(CAPABILITIES "0"), TEXT(REPLY "[0"), TEXT(",0"),
     MILLION / 2 - 1000, "]}"},
    {"a million blanks", 1, TEXT(BEAT), TEXT(REPLY), TEXT(" "), MILLION, "{}}}"},
    {"a long text", 1, TEXT(BEAT "{\"a\":\""), TEXT(REPLY "{\"a\":\""), TEXT("\\u0041"), 150000,
     "\"}}}"},
    {"a million empty entries of a map", 16, TEXT(PROTO_BEAT), TEXT(PROTO_REPLY), TEXT("\x2a\x00"),
     MILLION, ""},
    {"a million empty messages", 16, TEXT(PROTO_CAPABILITIES), TEXT(PROTO_REPLY), TEXT("\x1a\x00"),
     MILLION, ""},
    {"a million empty texts in protobuf", 16, TEXT(PROTO_CAPABILITIES), TEXT(PROTO_REPLY),
     TEXT("\x22\x00"), MILLION, ""},
    {"a million unknown fields", 16, TEXT(PROTO_BEAT), TEXT(PROTO_REPLY), TEXT("\x78\x00"), MILLION,
     ""},
    {"a million unknown fields outside", 16, TEXT(""), TEXT(""), TEXT("\x78\x00"), MILLION, ""},
    {"half a million entries of a map", 16, TEXT(PROTO_BEAT), TEXT(PROTO_REPLY), TEXT("\x2a\x00"),
     MILLION / 2, ""},
    {"half a million empty messages", 16, TEXT(PROTO_CAPABILITIES), TEXT(PROTO_REPLY),
     TEXT("\x1a\x00"), MILLION / 2, ""},
    {"half a million unknown fields", 16, TEXT(PROTO_BEAT), TEXT(PROTO_REPLY), TEXT("\x78\x00"),
     MILLION / 2, ""},
};

/* JSON ones stand for two: as the Rust and as the Python SDK frame them. */
static const struct recipe *find_recipe(size_t index, bool *python)
{
    for (size_t i = 0; i < sizeof(recipes) / sizeof(recipes[0]); i++) {
        const size_t variants = recipes[i].code == 1 ? 2 : 1;
        if (index < variants) {
            *python = index == 1;
            return &recipes[i];
        }
        index -= variants;
    }
    return NULL;
}

size_t bomb_count(void)
{
    bool python;
    size_t count = 0;
    while (find_recipe(count, &python) != NULL) {
        count++;
    }
    return count;
}

/* The length that the operation's field says it has, in the four bytes that stand ready for it. */
static void put_length(uint8_t *payload, size_t before_len, size_t len)
{
    const size_t inner = len - 5;
    if (before_len < 5 || payload[1] != 0x80) {
        return;
    }
    for (size_t i = 0; i < 4; i++) {
        payload[1 + i] = (uint8_t)((inner >> (7 * i) & 0x7f) | (i < 3 ? 0x80 : 0));
    }
}

/* A copy each time would be most of what the tests do. */
static void repeat(uint8_t *at, const char *unit, size_t unit_len, size_t times)
{
    const size_t len = unit_len * times;
    memcpy(at, unit, unit_len);
    for (size_t done = unit_len; done < len;) {
        const size_t more = done < len - done ? done : len - done;
        memcpy(at + done, at, more);
        done += more;
    }
}

struct bomb bomb_make(size_t index, bool as_reply)
{
    bool python = false;
    const struct recipe *recipe = find_recipe(index, &python);
    const char *before = as_reply ? recipe->reply : recipe->before;
    const size_t before_len = as_reply ? recipe->reply_len : recipe->before_len;
    const size_t behind_len = strlen(recipe->behind);
    const size_t header = recipe->code < 0 ? 0 : PW_FRAME_HEADER_SIZE;
    const size_t len = before_len + recipe->unit_len * recipe->times + behind_len;
    struct bomb bomb = {.name = recipe->name, .bytes = malloc(header + len), .len = header + len};
    assert_non_null(bomb.bytes);
    uint8_t *at = bomb.bytes + header;
    memcpy(at, before, before_len);
    at += before_len;
    repeat(at, recipe->unit, recipe->unit_len, recipe->times);
    at += recipe->unit_len * recipe->times;
    memcpy(at, recipe->behind, behind_len);
    if (header > 0) {
        pw_frame_write_header(bomb.bytes, (uint32_t)len, python ? 0 : (uint8_t)recipe->code);
    }
    if (recipe->code == 16) {
        put_length(bomb.bytes + header, before_len, len);
    }
    return bomb;
}

void bomb_free(struct bomb *bomb)
{
    free(bomb->bytes);
    bomb->bytes = NULL;
}
