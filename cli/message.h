/* SPDX-License-Identifier: MIT */
/* What the command says on standard error, and what it ends with. Errors travel as values up to
 * here; nothing below prints. */
#ifndef CLI_MESSAGE_H
#define CLI_MESSAGE_H

#include <stdbool.h>

enum status {
    STATUS_DONE = 0,
    STATUS_FAILED = 1,   /* input or output */
    STATUS_USAGE = 2,    /* nothing was opened for writing */
    STATUS_REQUIRED = 3, /* a requirement was not met */
    STATUS_VERIFY = 4,   /* verification failed */
};

/* "sluice: …" and a newline, in one write. Names in it may be any bytes: they are made printable. */
void message(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A message, and where help is; returns STATUS_USAGE. */
enum status usage_error(const char *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* -q: notices are not printed, errors are. */
extern bool message_quiet;
void notice(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The name in the list that is the nearest to `word`, or NULL if none is near. The list ends with
 * NULL. */
const char *nearest_name(const char *word, const char *const *names);

/* The same for an option as it was given, "--NAME" or "--NAME=…"; NULL for a letter. */
const char *nearest_option(const char *given, const char *const *names);

/* Says that the command has no such option, and the name that was meant, as it seems. */
enum status unknown_option(const char *command, const char *given, const char *const *names);

#endif
