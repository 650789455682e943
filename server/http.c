/* SPDX-License-Identifier: MIT */
#include "http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
    unsigned status;
    const char *reason;
} reasons[] = {
    {200, "OK"},
    {400, "Bad Request"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {413, "Content Too Large"},
    {431, "Request Header Fields Too Large"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
};

const char *http_reason(unsigned status)
{
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Error";
}

/* ---- the request ---- */

/* What a method's name and a field's name are made of (RFC 9110, token). */
static bool is_token(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

/* The line that begins at `at` without its end, which is CR LF and nothing else. Returns where the next
 * one begins; 0: it is not all there; -400. */
static ssize_t take_line(const char *data, size_t length, size_t at, size_t *ret_length)
{
    const char *end = memchr(data + at, '\n', length - at);
    const size_t stop = end ? (size_t)(end - data) : length;
    /* The line's own end, or one that may be beginning. */
    const size_t line_end = stop > at && data[stop - 1] == '\r' ? stop - 1 : stop;

    for (size_t i = at; i < line_end; i++)
        if ((unsigned char)data[i] < ' ' ? data[i] != '\t' : data[i] == 0x7f)
            return -400;
    if (!end)
        return 0;
    if (line_end == stop)
        return -400; /* a line feed alone */
    *ret_length = line_end - at;
    return (ssize_t)stop + 1;
}

/* What is already known of a line that is not all there: a method is short. */
static ssize_t look_at_begun_line(const char *line, size_t length)
{
    size_t word = 0;

    while (word < length && is_token(line[word]))
        word++;
    if (word > 32 || (word < length && (word == 0 || line[word] != ' ')))
        return -400;
    return 0;
}

static bool is_version(const char *text, size_t length)
{
    return length == 8 && memcmp(text, "HTTP/", 5) == 0 && text[5] >= '0' && text[5] <= '9' &&
           text[6] == '.' && text[7] >= '0' && text[7] <= '9';
}

/* METHOD SP TARGET SP VERSION */
static ssize_t parse_request_line(const char *line, size_t length, struct http_request *request)
{
    const char *blank = memchr(line, ' ', length);
    const char *last = memrchr(line, ' ', length);

    if (!blank || last == blank)
        return -400;
    const size_t method = (size_t)(blank - line);
    const char *target = blank + 1, *version = last + 1;
    const size_t target_length = (size_t)(last - target);
    for (size_t i = 0; i < method; i++)
        if (!is_token(line[i]))
            return -400;
    if (method == 0 || target_length == 0 || memchr(target, ' ', target_length) ||
        memchr(target, '\t', target_length) ||
        !is_version(version, length - (size_t)(version - line)))
        return -400;
    if (version[5] != '1')
        return -505;
    request->head = method == 4 && memcmp(line, "HEAD", 4) == 0;
    if (!request->head && !(method == 3 && memcmp(line, "GET", 3) == 0))
        return -405;
    if (*target != '/')
        return -400;
    const char *query = memchr(target, '?', target_length);
    request->path = target;
    request->path_length = query ? (size_t)(query - target) : target_length;
    return 0;
}

static bool names(const char *line, size_t name, const char *wanted)
{
    return name == strlen(wanted) && strncasecmp(line, wanted, name) == 0;
}

static ssize_t parse_field(const char *line, size_t length)
{
    size_t name = 0;

    while (name < length && is_token(line[name]))
        name++;
    if (name == 0 || name == length || line[name] != ':')
        return -400;
    /* A body, but for one of no bytes: it would be taken for another request. */
    if (names(line, name, "Transfer-Encoding"))
        return -413;
    if (names(line, name, "Content-Length"))
        for (size_t i = name + 1; i < length; i++)
            if (!strchr(" \t0", line[i]))
                return -413;
    return 0;
}

ssize_t http_parse(const char *data, size_t length, struct http_request *ret)
{
    const size_t looked_at = length < HTTP_HEAD_MAX ? length : HTTP_HEAD_MAX;
    struct http_request request = {0};
    size_t at = 0, line = 0;

    for (bool first = true; at < looked_at; first = false) {
        const ssize_t next = take_line(data, looked_at, at, &line);
        ssize_t error = next < 0 ? next : 0;
        if (next == 0 && first)
            error = look_at_begun_line(data, looked_at);
        else if (next > 0 && first)
            error = parse_request_line(data, line, &request);
        else if (next > 0 && line > 0)
            error = parse_field(data + at, line);
        if (error < 0)
            return error;
        if (next > 0 && line == 0) {
            *ret = request;
            return next;
        }
        if (next == 0)
            break;
        at = (size_t)next;
    }
    return looked_at == HTTP_HEAD_MAX ? -431 : 0;
}

/* ---- the answer ---- */

char *http_answer(unsigned status, const char *type, const char *body, size_t length,
                  bool head_only, size_t *ret_length)
{
    char head[512];
    const int head_length = snprintf(
        head, sizeof head,
        "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s"
        "Cache-Control: no-store\r\nConnection: close\r\n\r\n",
        status, http_reason(status), type, length, status == 405 ? "Allow: GET, HEAD\r\n" : "");
    const size_t sent = head_only ? 0 : length;
    char *answer = malloc((size_t)head_length + sent);

    if (!answer)
        return NULL;
    memcpy(answer, head, (size_t)head_length);
    if (sent)
        memcpy(answer + head_length, body, sent);
    *ret_length = (size_t)head_length + sent;
    return answer;
}
