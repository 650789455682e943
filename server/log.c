/* SPDX-License-Identifier: MIT */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/sys.h"

static const char *const level_names[] = {"error", "warning", "info", "debug"};

/* ---- the line ---- */

/* A line that is being written. What does not fit is taken back as a whole. */
struct line {
    char *text;
    size_t length, room;
    bool full;
};

/* Room that is kept for the field that says that others are missing, and for the end. */
#define TRUNCATED_JSON ",\"truncated\":true}\n"
#define TRUNCATED_TEXT " truncated=true\n"
enum { KEPT = sizeof TRUNCATED_JSON };

static void put(struct line *line, const char *bytes, size_t length)
{
    if (line->full || length > line->room - line->length) {
        line->full = true;
        return;
    }
    memcpy(line->text + line->length, bytes, length);
    line->length += length;
}

static void put_string(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

/* How many bytes of `text` are one whole character in UTF-8: 1 to 4; 0 if they are none, as with
 * overlong forms, surrogates and what is beyond U+10FFFF. */
static size_t utf8_length(const unsigned char *text)
{
    static const struct {
        unsigned char first, last, second_first, second_last, length;
    } forms[] = {
        {0x00, 0x7f, 0x00, 0xff, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };

    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (text[0] < forms[i].first || text[0] > forms[i].last)
            continue;
        if (forms[i].length > 1 &&
            (text[1] < forms[i].second_first || text[1] > forms[i].second_last))
            return 0;
        for (size_t k = 2; k < forms[i].length; k++)
            if (text[k] < 0x80 || text[k] > 0xbf)
                return 0;
        return forms[i].length;
    }
    return 0;
}

/* C1 controls and the characters that turn or end a line mean something to terminals and to
 * viewers; so they are escaped as the ASCII controls are. */
static bool is_harmless(const unsigned char *text, size_t length)
{
    if (length == 1)
        return text[0] >= ' ' && text[0] != 0x7f;
    if (length == 2)
        return !(text[0] == 0xc2 && text[1] < 0xa0);
    if (length == 3 && text[0] == 0xe2)
        return !(text[1] == 0x80 &&
                 ((text[2] >= 0xa8 && text[2] <= 0xae) || text[2] == 0x8e || text[2] == 0x8f)) &&
               !(text[1] == 0x81 && text[2] >= 0xa6 && text[2] <= 0xa9);
    return true;
}

static unsigned code_point(const unsigned char *text, size_t length)
{
    static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    unsigned value = text[0] & masks[length];

    for (size_t i = 1; i < length; i++)
        value = value << 6 | (text[i] & 0x3f);
    return value;
}

/* In quotes, as JSON has it. Text is quoted the same way where it needs to be. */
static void put_quoted(struct line *line, const char *string)
{
    const unsigned char *text = (const unsigned char *)string;
    char escape[8];

    put_string(line, "\"");
    while (*text) {
        const size_t length = utf8_length(text);
        if (length == 0) {
            put_string(line, "\\ufffd");
            text++;
            continue;
        }
        if (*text == '"' || *text == '\\') {
            put_string(line, "\\");
            put(line, (const char *)text, 1);
        } else if (is_harmless(text, length)) {
            put(line, (const char *)text, length);
        } else {
            snprintf(escape, sizeof escape, "\\u%04x", code_point(text, length));
            put_string(line, escape);
        }
        text += length;
    }
    put_string(line, "\"");
}

/* A word that a reader can tell the ends of. */
static bool is_plain(const char *string)
{
    if (!*string)
        return false;
    for (const char *at = string; *at; at++)
        if (*at <= ' ' || *at > '~' || *at == '"' || *at == '\\' || *at == '=')
            return false;
    return true;
}

static void put_value(struct line *line, enum log_format format, const struct log_field *field)
{
    char number[32];

    snprintf(number, sizeof number, "%" PRIu64, field->number);
    if (field->text && (format == LOG_FORMAT_JSON || !is_plain(field->text)))
        put_quoted(line, field->text);
    else
        put_string(line, field->text ? field->text : number);
}

static void put_field(struct line *line, enum log_format format, const struct log_field *field)
{
    const size_t before = line->length;

    put_string(line, format == LOG_FORMAT_JSON ? ",\"" : " ");
    put_string(line, field->name);
    put_string(line, format == LOG_FORMAT_JSON ? "\":" : "=");
    put_value(line, format, field);
    if (line->full)
        line->length = before;
}

static void put_time(struct line *line, uint64_t nanoseconds)
{
    const time_t seconds = (time_t)(nanoseconds / 1000000000);
    struct tm tm;
    char text[64];

    gmtime_r(&seconds, &tm);
    const size_t length = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + length, sizeof text - length, ".%06uZ",
             (unsigned)(nanoseconds % 1000000000 / 1000));
    put_string(line, text);
}

size_t log_format_line(enum log_format format, uint64_t time, enum log_level level,
                       const char *event, const struct log_field *fields, unsigned count,
                       char text[static LOG_LINE_MAX])
{
    struct line line = {.text = text, .room = LOG_LINE_MAX - KEPT};
    const bool json = format == LOG_FORMAT_JSON;
    bool truncated = false;

    put_string(&line, json ? "{\"time\":\"" : "");
    put_time(&line, time);
    put_string(&line, json ? "\",\"level\":\"" : " ");
    put_string(&line, level_names[level]);
    put_string(&line, json ? "\",\"event\":\"" : " ");
    put_string(&line, event);
    put_string(&line, json ? "\"" : "");
    for (unsigned i = 0; i < count; i++) {
        put_field(&line, format, &fields[i]);
        truncated |= line.full;
        line.full = false;
    }
    line.room = LOG_LINE_MAX;
    if (truncated)
        put_string(&line, json ? TRUNCATED_JSON : TRUNCATED_TEXT);
    else
        put_string(&line, json ? "}\n" : "\n");
    return line.length;
}

/* ---- where it goes ---- */

/* By which way a line is written without waiting for whoever reads the log. */
enum way {
    WAY_WRITE, /* a file or device, or a description of our own that is O_NONBLOCK */
    WAY_SEND,  /* a socket: MSG_DONTWAIT */
    WAY_POLL,  /* somebody else's pipe or terminal: only while it says that it has room */
};

/* What a terminal that says it has room takes without waiting. */
enum { TERMINAL_PIECE = 512 };

static struct {
    int fd;
    enum way way;
    bool owns_fd;
    enum log_level level;
    enum log_format format;
    pthread_mutex_t mutex; /* one line at a time; held for calls that do not wait */
    /* The end of a line of which a terminal or a socket took a part: it goes before the next. */
    char rest[LOG_LINE_MAX];
    size_t rest_length;
    uint64_t lost, lost_in_all;
} to = {.fd = STDERR_FILENO, .level = LOG_LEVEL_INFO, .mutex = PTHREAD_MUTEX_INITIALIZER};

void log_open(const struct log_options *options)
{
    char path[32];
    struct stat status;

    log_close();
    to.fd = options->fd;
    to.level = options->level;
    to.format = options->format;
    if (fstat(to.fd, &status) < 0)
        return; /* it is closed: each line will be lost, and counted */
    if (S_ISSOCK(status.st_mode)) {
        to.way = WAY_SEND;
    } else if (S_ISFIFO(status.st_mode) || isatty(to.fd)) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", to.fd);
        const int again = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        to.way = again < 0 ? WAY_POLL : WAY_WRITE;
        to.owns_fd = again >= 0;
        to.fd = again < 0 ? to.fd : again;
    }
}

void log_close(void)
{
    if (to.owns_fd)
        close(to.fd);
    to.owns_fd = false;
    to.fd = STDERR_FILENO;
    to.way = WAY_WRITE;
    to.rest_length = 0;
    to.lost = to.lost_in_all = 0;
}

bool log_wants(enum log_level level)
{
    return level <= to.level;
}

/* How many bytes were taken, without waiting; a negative errno. */
static ssize_t write_some(const char *bytes, size_t length)
{
    struct pollfd ready = {.fd = to.fd, .events = POLLOUT};
    const struct timespec now = {0};

    if (to.way == WAY_SEND)
        return sys_send(to.fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (to.way == WAY_POLL) {
        if (sys_poll(&ready, 1, &now) <= 0 || !(ready.revents & POLLOUT))
            return -EAGAIN;
        if (length > TERMINAL_PIECE && isatty(to.fd))
            length = TERMINAL_PIECE;
    }
    return sys_write(to.fd, bytes, length);
}

/* Writes what it can; returns how many bytes were taken. */
static size_t write_all(const char *bytes, size_t length)
{
    size_t done = 0;

    while (done < length) {
        const ssize_t some = write_some(bytes + done, length - done);
        if (some == -EINTR)
            continue;
        if (some <= 0)
            break;
        done += (size_t)some;
    }
    return done;
}

/* False: the line is lost. */
static bool write_line(const char *line, size_t length)
{
    size_t done = write_all(to.rest, to.rest_length);

    to.rest_length -= done;
    memmove(to.rest, to.rest + done, to.rest_length);
    if (to.rest_length)
        return false;
    done = write_all(line, length);
    if (done == 0)
        return false;
    to.rest_length = length - done;
    memcpy(to.rest, line + done, to.rest_length);
    return true;
}

static uint64_t wall_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* With the mutex held. */
static void tell_what_was_lost(void)
{
    const struct log_field field = LOG_NUMBER("lines", to.lost);
    char line[LOG_LINE_MAX];

    if (to.lost == 0)
        return;
    const size_t length = log_format_line(to.format, wall_clock(), LOG_LEVEL_WARNING,
                                          "log lines lost", &field, 1, line);
    if (write_line(line, length))
        to.lost = 0;
}

void log_fields(enum log_level level, const char *event, const struct log_field *fields,
                unsigned count)
{
    char line[LOG_LINE_MAX];

    if (!log_wants(level))
        return;
    const size_t length =
        log_format_line(to.format, wall_clock(), level, event, fields, count, line);
    pthread_mutex_lock(&to.mutex);
    tell_what_was_lost();
    if (to.lost || !write_line(line, length)) {
        to.lost++;
        to.lost_in_all++;
    }
    pthread_mutex_unlock(&to.mutex);
}

uint64_t log_lost(void)
{
    pthread_mutex_lock(&to.mutex);
    const uint64_t lost = to.lost_in_all;
    pthread_mutex_unlock(&to.mutex);
    return lost;
}
