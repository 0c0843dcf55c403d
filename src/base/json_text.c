/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * json_text.c - what readers of a scanned tape need: the value of a string, the text of a value
 * without white space. No state; any thread. The text was checked by the scanner, so nothing is
 * checked again.
 */
#include "base/json_private.h"

int pw_json_hex4(const uint8_t *at, const uint8_t *end)
{
    if (end - at < 4) {
        return -1;
    }
    int value = 0;
    for (int i = 0; i < 4; i++) {
        const uint8_t c = at[i];
        int digit;
        if (c >= '0' && c <= '9') {
            digit = c - '0';
        } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
            digit = (c | 0x20) - 'a' + 10;
        } else {
            return -1;
        }
        value = value << 4 | digit;
    }
    return value;
}

static unsigned put_utf8(uint32_t point, uint8_t *out)
{
    if (point < 0x80) {
        out[0] = (uint8_t)point;
        return 1;
    }
    if (point < 0x800) {
        out[0] = (uint8_t)(0xC0 | point >> 6);
        out[1] = (uint8_t)(0x80 | (point & 0x3F));
        return 2;
    }
    if (point < 0x10000) {
        out[0] = (uint8_t)(0xE0 | point >> 12);
        out[1] = (uint8_t)(0x80 | (point >> 6 & 0x3F));
        out[2] = (uint8_t)(0x80 | (point & 0x3F));
        return 3;
    }
    out[0] = (uint8_t)(0xF0 | point >> 18);
    out[1] = (uint8_t)(0x80 | (point >> 12 & 0x3F));
    out[2] = (uint8_t)(0x80 | (point >> 6 & 0x3F));
    out[3] = (uint8_t)(0x80 | (point & 0x3F));
    return 4;
}

/* Reads the escape at *at, puts its bytes to `out`, moves *at behind it; returns how many. */
static unsigned unescape_one(const uint8_t **at, const uint8_t *end, uint8_t *out)
{
    static const char from[] = "bfnrt";
    static const char to[] = "\b\f\n\r\t";
    const uint8_t c = (*at)[1];
    if (c != 'u') {
        const char *found = memchr(from, c, sizeof(from) - 1);
        out[0] = found == NULL ? c : (uint8_t)to[found - from];
        *at += 2;
        return 1;
    }
    uint32_t point = (uint32_t)pw_json_hex4(*at + 2, end);
    *at += 6;
    if (pw_json_is_high_surrogate((int)point)) {
        const uint32_t low = (uint32_t)pw_json_hex4(*at + 2, end);
        point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
        *at += 6;
    }
    return put_utf8(point, out);
}

/* The characters behind `raw` without their escapes, in `out`; returns how many bytes they are. */
static size_t unescape(struct pw_str raw, uint8_t *out)
{
    const uint8_t *at = (const uint8_t *)raw.data;
    const uint8_t *const end = at + raw.len;
    size_t len = 0;
    while (at < end) {
        if (*at == '\\') {
            len += unescape_one(&at, end, out + len);
        } else {
            out[len++] = *at++;
        }
    }
    return len;
}

struct pw_str pw_json_raw(struct pw_span text, const struct pw_json_token *token)
{
    return (struct pw_str){(const char *)text.data + token->offset + 1, token->len - 2};
}

bool pw_json_string(struct pw_span text, const struct pw_json_token *token, struct pw_arena *arena,
                    struct pw_str *out)
{
    const struct pw_str raw = pw_json_raw(text, token);
    if (!token->escaped) {
        *out = raw;
        return true;
    }
    /* An escape is never shorter than what it stands for. */
    char *value = pw_arena_alloc(arena, raw.len);
    if (value == NULL) {
        return false;
    }
    *out = (struct pw_str){value, unescape(raw, (uint8_t *)value)};
    return true;
}

int pw_json_plain_char(const uint8_t **at, const uint8_t *end)
{
    if (**at != '\\') {
        return *(*at)++;
    }
    if (end - *at < 6 || (*at)[1] != 'u') {
        return -1;
    }
    const int unit = pw_json_hex4(*at + 2, end);
    *at += 6;
    return unit < 0x80 ? unit : -1;
}

size_t pw_json_compact(struct pw_span text, const struct pw_json_token *tokens, uint32_t index,
                       char *out)
{
    const struct pw_json_token *token = &tokens[index];
    const char *at = (const char *)text.data + token->offset;
    const char *const end = at + token->len;
    size_t len = 0;
    bool in_string = false;
    while (at < end) {
        const char c = *at++;
        if (!in_string && (c == ' ' || c == '\t' || c == '\n' || c == '\r')) {
            continue;
        }
        out[len++] = c;
        if (c == '"') {
            in_string = !in_string;
        } else if (c == '\\') {
            out[len++] = *at++;
        }
    }
    return len;
}

/* One past the closing quote of a string whose opening one is at `at`. */
static const char *skip_string(const char *at, const char *end)
{
    for (at++; at < end && *at != '"'; at++) {
        at += *at == '\\' ? 1 : 0;
    }
    return at < end ? at + 1 : end;
}

static bool ends_scalar(char c)
{
    return c == ',' || c == ']' || c == '}' || c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

size_t pw_json_count(struct pw_str text)
{
    const char *at = text.data;
    const char *const end = at + text.len;
    size_t count = 0;
    while (at < end) {
        if (*at == '"') {
            at = skip_string(at, end);
            count++;
        } else if (*at == '{' || *at == '[') {
            at++;
            count++;
        } else if (ends_scalar(*at) || *at == ':') {
            at++;
        } else {
            while (at < end && !ends_scalar(*at)) {
                at++;
            }
            count++;
        }
    }
    return count;
}
