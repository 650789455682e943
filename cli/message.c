/* SPDX-License-Identifier: MIT */
#include "message.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "printable.h"

bool message_quiet;

__attribute__((format(printf, 2, 0))) static void say(const char *prefix, const char *format,
                                                      va_list arguments)
{
    char text[2 * PATH_MAX + 1024], line[PRINTABLE_SIZE(sizeof text) + 1]; /* of two names */
    const int length = snprintf(text, sizeof text, "%s", prefix);

    vsnprintf(text + length, sizeof text - (size_t)length, format, arguments);
    printable(text, line, sizeof line - 1);
    const size_t end = strlen(line);
    line[end] = '\n';
    if (write(STDERR_FILENO, line, end + 1) < 0)
        return; /* there is nobody to tell */
}

void message(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say("sluice: ", format, arguments);
    va_end(arguments);
}

enum status usage_error(const char *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say("sluice: ", format, arguments);
    va_end(arguments);
    message("see 'sluice %s%s--help'", command, *command ? " " : "");
    return STATUS_USAGE;
}

void notice(const char *format, ...)
{
    va_list arguments;
    if (message_quiet)
        return;
    va_start(arguments, format);
    say("", format, arguments);
    va_end(arguments);
}

/* Levenshtein's distance, for words of the length that options have. */
static unsigned distance(const char *a, const char *b)
{
    enum { MOST = 32 };
    unsigned row[MOST + 1];
    const size_t width = strnlen(b, MOST);

    for (unsigned i = 0; i <= width; i++)
        row[i] = i;
    for (unsigned i = 1; i <= strnlen(a, MOST); i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= width; j++) {
            const unsigned above = row[j];
            unsigned least = diagonal + (a[i - 1] != b[j - 1]);
            if (above + 1 < least)
                least = above + 1;
            if (row[j - 1] + 1 < least)
                least = row[j - 1] + 1;
            diagonal = above;
            row[j] = least;
        }
    }
    return row[width];
}

const char *nearest_name(const char *word, const char *const *names)
{
    const char *nearest = NULL;
    unsigned least = 3;

    for (; *names; names++) {
        const unsigned far = distance(word, *names);
        if (far < least && far < strlen(*names)) {
            least = far;
            nearest = *names;
        }
    }
    return nearest;
}

const char *nearest_option(const char *given, const char *const *names)
{
    char name[64];

    if (strncmp(given, "--", 2) != 0)
        return NULL;
    given += strspn(given, "-");
    snprintf(name, sizeof name, "%.*s", (int)strcspn(given, "="), given);
    return nearest_name(name, names);
}

enum status unknown_option(const char *command, const char *given, const char *const *names)
{
    const char *near = nearest_option(given, names);

    return near ? usage_error(command, "unknown option '%s'; did you mean '--%s'?", given, near)
                : usage_error(command, "unknown option '%s'", given);
}
