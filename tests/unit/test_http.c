/* SPDX-License-Identifier: MIT */
/* Heads of requests: which are taken, and with which status others are refused, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/http.h"

#define BYTES(text) (text), sizeof(text) - 1

static const struct {
    const char *data;
    size_t length;
    ssize_t result; /* 0: it is whole */
    const char *path;
    size_t at; /* of what is refused: how many bytes could still be a request */
    bool head;
} requests[] = {
    {BYTES("GET / HTTP/1.1\r\n\r\n"), 0, "/"},
    {BYTES("GET /metrics HTTP/1.0\r\n\r\n"), 0, "/metrics"},
    {BYTES(
         "GET /metrics?name[]=x&y HTTP/1.1\r\nHost: a\r\nAccept:\ttext/plain;q=0.5 , */*\r\n\r\n"),
     0, "/metrics"},
    {BYTES("HEAD /healthz HTTP/1.1\r\nHost:\r\n\r\n"), 0, "/healthz", .head = true},
    {BYTES("GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"), 0, "/"},
    {BYTES("GET /caf\xc3\xa9 HTTP/1.1\r\nX: \xff\r\n\r\n"), 0, "/caf\xc3\xa9"},
    {BYTES("POST / HTTP/1.1\r\n\r\n"), -405, NULL, 16},
    {BYTES("get / HTTP/1.1\r\n\r\n"), -405, NULL, 15},
    {BYTES("GETS / HTTP/1.1\r\n\r\n"), -405, NULL, 16},
    {BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), -505, NULL, 15},
    {BYTES("GET / HTTP/0.9\r\n\r\n"), -505, NULL, 15},
    {BYTES("GET /\r\n"), -400, NULL, 6},
    {BYTES("GET  / HTTP/1.1\r\n"), -400, NULL, 16},
    {BYTES("GET / HTTP/1.1 \r\n"), -400, NULL, 16},
    {BYTES("GET / x HTTP/1.1\r\n"), -400, NULL, 17},
    {BYTES("GET / HTTP/11\r\n"), -400, NULL, 14},
    {BYTES("GET / http/1.1\r\n"), -400, NULL, 15},
    {BYTES("GET http://a/ HTTP/1.1\r\n"), -400, NULL, 23},
    {BYTES("GET * HTTP/1.1\r\n"), -400, NULL, 15},
    {BYTES("GET / HTTP/1.1\n"), -400, NULL, 14},
    {BYTES("GET / HTTP/1.1\r\r\n"), -400, NULL, 15},
    {BYTES("GET /\0 HTTP/1.1\r\n"), -400, NULL, 5},
    {BYTES("\r\nGET / HTTP/1.1\r\n"), -400, NULL, 0},
    {BYTES(" GET / HTTP/1.1\r\n"), -400, NULL, 0},
    {BYTES("\x16\x03\x01\x02"), -400, NULL, 0},
    {BYTES("SSH-2.0-x\r\n"), -400, NULL, 9},
    {BYTES("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), -400, NULL, 32},
    {BYTES("GET / HTTP/1.1\r\nHost: a\n"), -400, NULL, 23},
    {BYTES("GET / HTTP/1.1\r\nHost : a\r\n"), -400, NULL, 25},
    {BYTES("GET / HTTP/1.1\r\n folded\r\n"), -400, NULL, 24},
    {BYTES("GET / HTTP/1.1\r\nnothing\r\n"), -400, NULL, 24},
    {BYTES("GET / HTTP/1.1\r\n: a\r\n"), -400, NULL, 20},
    {BYTES("GET / HTTP/1.1\r\nX: a\0b\r\n"), -400, NULL, 20},
    {BYTES("GET / HTTP/1.1\r\ncontent-length: 5\r\n"), -413, NULL, 34},
    {BYTES("GET / HTTP/1.1\r\nContent-Length: +0\r\n"), -413, NULL, 35},
    {BYTES("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"), -413, NULL, 43},
};

static void requests_are_taken_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        const size_t length = requests[i].length;
        struct http_request request = {0};
        for (size_t some = 0; some <= length; some++) {
            char *copy = malloc(some + 1); /* a byte beyond its end would be seen */
            memcpy(copy, requests[i].data, some);
            struct http_request unused;
            const ssize_t result = http_parse(copy, some, &unused);
            free(copy);
            const bool early = requests[i].result == 0 ? some < length : some <= requests[i].at;
            const ssize_t wanted = early                ? 0
                                   : requests[i].result ? requests[i].result
                                                        : (ssize_t)length;
            if (result != wanted)
                fail_msg("request %zu: %zd at %zu bytes, not %zd", i, result, some, wanted);
        }
        if (requests[i].result < 0)
            continue;
        char data[1024];
        memset(data, 'x', sizeof data); /* what is sent behind it does not matter */
        memcpy(data, requests[i].data, length);
        assert_int_equal(http_parse(data, sizeof data, &request), length);
        assert_int_equal(request.head, requests[i].head);
        assert_int_equal(request.path_length, strlen(requests[i].path));
        assert_memory_equal(request.path, requests[i].path, request.path_length);
    }
}

static void too_long_a_head_is_refused(void **state)
{
    static char data[2 * HTTP_HEAD_MAX];
    struct http_request request;

    (void)state;
    /* one endless line; then one endless list of fields */
    memset(data, 'x', sizeof data);
    memcpy(data, "GET /", 5);
    assert_int_equal(http_parse(data, HTTP_HEAD_MAX - 1, &request), 0);
    assert_int_equal(http_parse(data, HTTP_HEAD_MAX, &request), -431);
    assert_int_equal(http_parse(data, sizeof data, &request), -431);
    size_t at = (size_t)sprintf(data, "GET / HTTP/1.1\r\n");
    while (at < sizeof data - 8)
        at += (size_t)sprintf(data + at, "a: b\r\n");
    assert_int_equal(http_parse(data, HTTP_HEAD_MAX - 1, &request), 0);
    assert_int_equal(http_parse(data, HTTP_HEAD_MAX, &request), -431);
    /* the longest that there may be */
    at = (size_t)sprintf(data, "GET / HTTP/1.1\r\nx: ");
    memset(data + at, 'y', sizeof data - at);
    memcpy(data + HTTP_HEAD_MAX - 4, "\r\n\r\n", 4);
    assert_int_equal(http_parse(data, HTTP_HEAD_MAX, &request), HTTP_HEAD_MAX);
}

static void answers_have_their_length(void **state)
{
    size_t length;

    (void)state;
    char *answer = http_answer(200, "text/plain", "hello", 5, false, &length);
    const char *body = memmem(answer, length, "\r\n\r\n", 4);
    assert_memory_equal(answer, "HTTP/1.1 200 OK\r\n", 17);
    assert_non_null(memmem(answer, length, "Content-Length: 5\r\n", 19));
    assert_non_null(memmem(answer, length, "Connection: close\r\n", 19));
    assert_int_equal(answer + length - (body + 4), 5);
    assert_memory_equal(body + 4, "hello", 5);
    free(answer);
    answer = http_answer(405, "text/plain", "hello", 5, true, &length);
    assert_memory_equal(answer, "HTTP/1.1 405 Method Not Allowed\r\n", 33);
    assert_non_null(memmem(answer, length, "Allow: GET, HEAD\r\n", 18));
    assert_non_null(memmem(answer, length, "Content-Length: 5\r\n", 19));
    assert_memory_equal(answer + length - 4, "\r\n\r\n", 4);
    free(answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_taken_or_refused),
        cmocka_unit_test(too_long_a_head_is_refused),
        cmocka_unit_test(answers_have_their_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
