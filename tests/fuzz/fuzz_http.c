/* SPDX-License-Identifier: MIT */
/* links: server/http.c */
/* Any bytes as a request. What a prefix was found to be stays so with more bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/http.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    ssize_t last = 0;

    for (size_t some = 0; some <= length && length <= 512; some++) {
        struct http_request request;
        char *copy = malloc(some); /* a byte read beyond its end is seen */
        memcpy(copy, data, some);
        const ssize_t now = http_parse(copy, some, &request);
        MUST(last == 0 || now == last);
        MUST(now <= 0 || now == (ssize_t)some || last);
        if (now > 0)
            MUST(request.path_length > 0 && request.path[0] == '/' && request.path >= copy &&
                 request.path + request.path_length < copy + some);
        MUST(now >= 0 || strcmp(http_reason((unsigned)-now), "Error") != 0);
        free(copy);
        last = now;
    }
    return 0;
}
