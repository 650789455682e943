/* SPDX-License-Identifier: MIT */
/* links: server/proxy_protocol.c */
/* Any bytes as a PROXY header. What a prefix was found to be stays so with more bytes, and what was
 * taken is written and read again as it was. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/proxy_protocol.h"
#include "tests/fuzz/must.h"

/* The families that a stream can be told of, and what becomes of mapped addresses, may differ from
 * what was read in form, but no more on the second way round. */
static void check_round_trip(const struct proxy_header *header, enum proxy_version version)
{
    uint8_t first[PROXY_WRITE_MAX], second[PROXY_WRITE_MAX];
    struct proxy_header again;
    const char *why;

    const ssize_t length = proxy_write(version, header, first, sizeof first);
    MUST(length > 0);
    MUST(proxy_parse(first, (size_t)length, &again, &why) == length);
    MUST(proxy_write(version, &again, second, sizeof second) == length);
    MUST(memcmp(first, second, (size_t)length) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    struct proxy_header header;
    const char *why = NULL;
    const ssize_t result = proxy_parse(data, length, &header, &why);
    ssize_t last = 0;

    MUST(result >= 0 || why);
    MUST(result <= PROXY_HEADER_MAX && result <= (ssize_t)length);
    if (length <= 512)
        for (size_t some = 0; some <= length; some++) {
            /* a copy of its own, so that a byte read beyond its end is seen */
            struct proxy_header unused;
            uint8_t *copy = malloc(some);
            memcpy(copy, data, some);
            const ssize_t now = proxy_parse(copy, some, &unused, &why);
            free(copy);
            MUST(last == 0 || now == last);
            last = now;
        }
    if (result > 0) {
        check_round_trip(&header, PROXY_V1);
        check_round_trip(&header, PROXY_V2);
    }
    return 0;
}
