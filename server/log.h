/* SPDX-License-Identifier: MIT */
/*
 * The log of a server: events with fields, as text or JSON, one line and one write each. Lines of
 * several threads never mix. A log that cannot be written is counted, and never waited for.
 */
#ifndef SERVER_LOG_H
#define SERVER_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR = 0, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_TEXT = 0, LOG_FORMAT_JSON };

/* One log a process: it is where standard error is. */
struct log_options {
    int fd; /* 2, or a file's */
    enum log_level level;
    enum log_format format;
};

void log_open(const struct log_options *options);
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

#endif
