/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Run at configure time: does cJSON_ParseWithLength stay within the length it is told? Before the
 * fix of CVE-2023-53154 (in 1.7.18, and in Debian's 1.7.15-1+deb12u4) a text that ends behind a
 * comma made it read on. The seven bytes below stand at the very end of a page that is followed by
 * one without access, so that the first byte too many is a SIGSEGV and not a matter of luck.
 */
#include <cJSON.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int main(void)
{
    static const char text[7] = {'{', '"', '1', '"', ':', '1', ','};
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || mprotect(pages + page, page, PROT_NONE) != 0) {
        return 2;
    }
    char *at_the_end = pages + page - sizeof(text);
    memcpy(at_the_end, text, sizeof(text));
    cJSON *tree = cJSON_ParseWithLength(at_the_end, sizeof(text));
    return tree == NULL ? 0 : 1;
}
