/* SPDX-License-Identifier: MIT */
/*
 * The log of a server: events with fields, as text or JSON, one line and one write each. Lines of
 * several threads never mix.
 *
 *     2026-11-25T07:39:08.123456Z info closed client=127.0.0.1:51514 bytes=4096
 *     {"time":"2026-11-25T07:39:08.123456Z","level":"info","event":"closed",…}
 *
 * What comes from strangers cannot forge a line or break its form: it is quoted, and escaped where
 * it has to be. Nobody waits for who reads the log: a line for which there is no room is lost, and
 * counted, and the next one that is written tells how many were.
 */
#ifndef SERVER_LOG_H
#define SERVER_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR = 0, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_TEXT = 0, LOG_FORMAT_JSON };

/* One log a process: it is where standard error is. */
struct log_options {
    int fd; /* 2, or a file's */
    enum log_level level;
    enum log_format format;
};

/* The descriptor stays the caller's and keeps its flags: a pipe or a terminal is opened once more,
 * without blocking, where it may be. Never fails. SIGPIPE is to be ignored. Before there are threads;
 * until then the log is text on standard error. */
void log_open(const struct log_options *options);
/* Back to that. */
void log_close(void);
bool log_wants(enum log_level level);
uint64_t log_lost(void);

struct log_field {
    const char *name;
    const char *text; /* NULL: it is a number */
    uint64_t number;
};

#define LOG_TEXT(name, text)     ((struct log_field){(name), (text), 0})
#define LOG_NUMBER(name, number) ((struct log_field){(name), 0, (number)})

/* event: "connected", "refused" …: a word or two, static. Text of strangers is escaped. */
void log_fields(enum log_level level, const char *event, const struct log_field *fields,
                unsigned count);

#define log_event(level, event, ...)                                                               \
    log_fields((level), (event), (const struct log_field[]){__VA_ARGS__},                          \
               sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

/* A line is at most so long: what a pipe takes whole or not at all (PIPE_BUF). */
#define LOG_LINE_MAX 4096

/* The line of an event at a time in nanoseconds since 1970; returns its length, with its end. Fields
 * for which there is no room are left out, and the field "truncated" says so. */
size_t log_format_line(enum log_format format, uint64_t time, enum log_level level,
                       const char *event, const struct log_field *fields, unsigned count,
                       char line[static LOG_LINE_MAX]);

#endif
