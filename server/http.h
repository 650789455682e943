/* SPDX-License-Identifier: MIT */
/*
 * As much of HTTP/1.1 as it takes to be asked for a page: the head of a request with GET or HEAD, and
 * one answer, after which the connection ends. Pure functions over bytes.
 */
#ifndef SERVER_HTTP_H
#define SERVER_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define HTTP_HEAD_MAX 8192

struct http_request {
    bool head;        /* HEAD: the answer's body is not sent */
    const char *path; /* inside the bytes that were parsed, without what follows a '?' */
    size_t path_length;
};

/* Looks for the head of a request at the beginning of `data`. Returns its length when it is whole; 0
 * when more is needed; or -STATUS, the status that refuses it, as soon as these bytes show it: -400,
 * -405 (not GET or HEAD), -413 (a body would follow), -431 (longer than HTTP_HEAD_MAX), -505. `ret`
 * is untouched unless the head is whole. */
ssize_t http_parse(const char *data, size_t length, struct http_request *ret);

/* Makes an answer: its head and, unless `head_only`, its body. To be freed; NULL: no memory. */
char *http_answer(unsigned status, const char *type, const char *body, size_t length,
                  bool head_only, size_t *ret_length);

/* "OK", "Not Found" …: for the statuses that are answered here. */
const char *http_reason(unsigned status);

#endif
