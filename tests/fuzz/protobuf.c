/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * protobuf.c - any bytes as a protobuf request and as a reply. What is read is read in the same way
 * with a field in front that nobody knows (messages that look as usual are read by another way than
 * others), and is the same message when any codec has carried it. The input is the message.
 */
#include "fuzz.h"
#include "messages.h"

#include <string.h>

/* Field 2047, a number: 0. */
static const uint8_t unknown_field[] = {0xf8, 0x7f, 0x00};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct pw_codec_ops *const codec = pw_codec_by_name("protobuf");
    uint8_t *const longer = malloc(size + sizeof(unknown_field));
    if (longer == NULL) {
        return 0;
    }
    memcpy(longer, unknown_field, sizeof(unknown_field));
    memcpy(longer + sizeof(unknown_field), data, size);
    const struct pw_span with_field = {longer, size + sizeof(unknown_field)};

    struct fuzz_reader reader;
    struct fuzz_reader other;
    fuzz_reader_init(&reader);
    if (fuzz_read_request(&reader, codec, (struct pw_span){data, size})) {
        fuzz_reader_init(&other);
        fuzz_read_request(&other, codec, with_field);
        fuzz_expect_same_request(&reader, &other, "with an unknown field");
        fuzz_carry_request(&reader.request);
    }
    if (fuzz_read_response(&reader, codec, (struct pw_span){data, size})) {
        fuzz_reader_init(&other);
        fuzz_read_response(&other, codec, with_field);
        fuzz_expect_same_response(&reader, &other, "with an unknown field");
        fuzz_carry_response(&reader.response);
    }
    fuzz_reader_destroy(&reader);
    free(longer);
    return 0;
}
