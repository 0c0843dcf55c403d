/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The file of the join token, of which the first line counts. One thread. */
#include "common/report.h"
#include "pywattctl/common.h"
#include "pywattctl/module_options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The longest token, the end of its line, and a byte that shows that it is longer. */
enum {
    TOKEN_MAX = 256,
    LINE_SIZE = TOKEN_MAX + 4
};

static int bad_file(const char *path, const char *fault)
{
    return tool_fail(TOOL_EXIT_USAGE, PYWATT_INVALID_ARGUMENT, "--join-token-file %s: %s", path,
                     fault);
}

/* `line` gets the first one, without its end; unbuffered, so that no copy of it stays behind. */
static int read_line(const char *path, char line[LINE_SIZE])
{
    FILE *file = fopen(path, "re");

    if (file == NULL) {
        return bad_file(path, strerror(errno));
    }
    setvbuf(file, NULL, _IONBF, 0);
    errno = 0;
    const bool got = fgets(line, LINE_SIZE, file) != NULL;
    const int number = ferror(file) != 0 ? errno : 0;
    fclose(file);
    if (number != 0) {
        return bad_file(path, strerror(number));
    }
    if (got) {
        line[strcspn(line, "\r\n")] = '\0';
    }
    if (!got || line[0] == '\0') {
        return bad_file(path, "no token stands on its first line");
    }
    return strlen(line) > TOKEN_MAX ? bad_file(path, "a token has at most 256 bytes") : 0;
}

int ctl_module_options_join(const struct ctl_module_options *options,
                            struct pywatt_module_info *info)
{
    char line[LINE_SIZE] = "";

    if (options->join_token_file == NULL) {
        return 0;
    }
    int code = read_line(options->join_token_file, line);
    if (code == 0) {
        enum pywatt_status status =
            pywatt_module_info_set_metadata(info, CTL_METADATA_JOIN_TOKEN, line);
        if (status == PYWATT_NO_MEMORY || status == PYWATT_LIMIT) {
            code = tool_fail(TOOL_EXIT_OTHER, status, "the join token: %s",
                             pywatt_status_text(status));
        } else if (status != PYWATT_OK) {
            code = bad_file(options->join_token_file, "it is not UTF-8");
        }
    }
    explicit_bzero(line, sizeof(line));
    return code;
}
