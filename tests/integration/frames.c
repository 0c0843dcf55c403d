/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * frames.c - see the header.
 */
#include "frames.h"

#include "codec/codec.h"
#include "pw_test.h"
#include "transport/frame.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int is_request(const struct dirent *entry)
{
    return strncmp(entry->d_name, "request-", 8) == 0;
}

static void read_golden(struct request_frame *frame, const struct pw_codec_ops *codec,
                        const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/corpus/golden/%s/%s", PW_TESTS_DIR, codec->name, name);
    snprintf(frame->name, sizeof(frame->name), "%s/%.60s", codec->name, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    const size_t len = fread(frame->bytes + PW_FRAME_HEADER_SIZE, 1,
                             sizeof(frame->bytes) - PW_FRAME_HEADER_SIZE, file);
    fclose(file);
    assert_in_range(len, 1, sizeof(frame->bytes) - PW_FRAME_HEADER_SIZE - 1);
    pw_frame_write_header(frame->bytes, (uint32_t)len, codec->format_code);
    frame->len = len + PW_FRAME_HEADER_SIZE;
}

size_t frames_golden(struct request_frame frames[FRAMES_MAX])
{
    size_t count = 0;
    for (const struct pw_codec_ops *const *codec = pw_codec_all(); *codec != NULL; codec++) {
        char folder[512];
        struct dirent **entries = NULL;
        snprintf(folder, sizeof(folder), "%s/corpus/golden/%s", PW_TESTS_DIR, (*codec)->name);
        const int found = scandir(folder, &entries, is_request, alphasort);
        assert_in_range(found, 5, FRAMES_MAX - count);
        for (int i = 0; i < found; i++) {
            read_golden(&frames[count++], *codec, entries[i]->d_name);
            free(entries[i]);
        }
        free(entries);
    }
    return count;
}

static void encode(struct request_frame *frame, const struct pw_codec_ops *codec,
                   const struct pw_request *request)
{
    struct pw_buffer payload;
    pw_buffer_init(&payload, sizeof(frame->bytes) - PW_FRAME_HEADER_SIZE);
    assert_int_equal(pw_codec_encode_request(codec, request, &payload, NULL), PYWATT_OK);
    frame->len = PW_FRAME_HEADER_SIZE + pw_buffer_len(&payload);
    memcpy(frame->bytes + PW_FRAME_HEADER_SIZE, pw_buffer_bytes(&payload), pw_buffer_len(&payload));
    pw_frame_write_header(frame->bytes, (uint32_t)pw_buffer_len(&payload), codec->format_code);
    pw_buffer_destroy(&payload);
}

size_t frames_beats(struct request_frame frames[FRAMES_MAX], const struct pywatt_uuid *id,
                    const char *token)
{
    size_t count = 0;
    struct pywatt_string_map *details = pywatt_string_map_new();
    assert_int_equal(pywatt_string_map_set(details, "load", "0.5 \"\xc3\xa9\""), PYWATT_OK);
    struct pw_request request = {.operation = PW_OP_HEARTBEAT,
                                 .has_request_id = true,
                                 .module_id = *id,
                                 .token = pw_str_from(token),
                                 .health = PYWATT_DEGRADED};
    memset(request.request_id.bytes, 0x5a, sizeof(request.request_id.bytes));
    for (const struct pw_codec_ops *const *codec = pw_codec_all(); *codec != NULL; codec++) {
        for (int with_details = 0; with_details < 2; with_details++) {
            request.details = with_details ? details : NULL;
            encode(&frames[count], *codec, &request);
            snprintf(frames[count].name, sizeof(frames[count].name), "%s beat", (*codec)->name);
            count++;
        }
    }
    pywatt_string_map_free(details);
    return count;
}
