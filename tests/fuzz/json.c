/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * json.c - any bytes as a JSON text, a request and a reply. The scanner and cJSON read the same out
 * of it (against_cjson.h). Messages are read in the same way with a blank in front (those that look
 * as usual are read by another way than others), and what is read is the same message when any codec
 * has carried it. The input is the text.
 */
#include "against_cjson.h"
#include "fuzz.h"
#include "messages.h"

#include <string.h>

static void read_messages(const struct pw_codec_ops *codec, struct pw_span text,
                          struct pw_span with_blank)
{
    struct fuzz_reader reader;
    struct fuzz_reader other;
    fuzz_reader_init(&reader);
    fuzz_reader_init(&other);
    const bool is_request = fuzz_read_request(&reader, codec, text);
    fuzz_read_request(&other, codec, with_blank);
    fuzz_expect_same_request(&reader, &other, "with a blank in front");
    if (is_request) {
        fuzz_carry_request(&reader.request);
    }
    fuzz_reader_init(&other);
    const bool is_response = fuzz_read_response(&reader, codec, text);
    fuzz_read_response(&other, codec, with_blank);
    fuzz_expect_same_response(&reader, &other, "with a blank in front");
    if (is_response) {
        fuzz_carry_response(&reader.response);
    }
    fuzz_reader_destroy(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *const longer = malloc(size + 2);
    if (longer == NULL || size == 0) {
        free(longer);
        return 0;
    }
    longer[0] = ' ';
    memcpy(longer + 1, data, size);
    longer[size + 1] = '\0';
    const struct pw_span text = {data, size};
    fuzz_against_cjson(text, longer + 1);
    for (const struct pw_codec_ops *const *codec = pw_codec_all(); *codec != NULL; codec++) {
        if (!(*codec)->batches) {
            read_messages(*codec, text, (struct pw_span){(const uint8_t *)longer, size + 1});
        }
    }
    free(longer);
    return 0;
}
