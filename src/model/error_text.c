/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * error_text.c - finds a status in the words of peers that send no error code. No state; any thread.
 *
 * First the phrases with which such a text begins, as the protocol fixes them; then the words by
 * which the Python SDK tells its errors apart, in its order, for peers that put something in front.
 * Whatever is in doubt is PYWATT_REJECTED: the others may make a client act by itself.
 */
#include "model/message.h"
#include "model/text.h"

static bool begins_with(struct pw_str text, struct pw_str phrase)
{
    return text.len >= phrase.len &&
           pw_text_equal_nocase((struct pw_str){text.data, phrase.len}, phrase);
}

static bool contains(struct pw_str text, struct pw_str word)
{
    for (; text.len >= word.len; text.data++, text.len--) {
        if (begins_with(text, word)) {
            return true;
        }
    }
    return false;
}

enum pywatt_status pw_status_from_error_text(struct pw_str text)
{
    static const struct {
        struct pw_str first;
        struct pw_str second; /* empty if the first is enough */
        enum pywatt_status status;
    } words[] = {
        {{"name", 4}, {"taken", 5}, PYWATT_NAME_TAKEN},
        {{"rejected", 8}, {"", 0}, PYWATT_REJECTED},
        {{"module not found", 16}, {"", 0}, PYWATT_MODULE_NOT_FOUND},
        {{"invalid token", 13}, {"", 0}, PYWATT_INVALID_TOKEN},
        {{"auth", 4}, {"", 0}, PYWATT_AUTHENTICATION_FAILED},
    };

    if (begins_with(text, PW_STR_LITERAL("module not found"))) {
        return PYWATT_MODULE_NOT_FOUND;
    }
    if (begins_with(text, PW_STR_LITERAL("invalid token"))) {
        return PYWATT_INVALID_TOKEN;
    }
    if (begins_with(text, PW_STR_LITERAL("authentication failed"))) {
        return PYWATT_AUTHENTICATION_FAILED;
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (contains(text, words[i].first) && contains(text, words[i].second)) {
            return words[i].status;
        }
    }
    return PYWATT_REJECTED;
}
