/* SPDX-License-Identifier: MIT */
#include "tap_name.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { WORD = 192 };

/* ---- what it is filled with ---- */

static void put_number(const struct tap_facts *facts, char word[static WORD])
{
    snprintf(word, WORD, "%" PRIu64, facts->number);
}

static void put_client(const struct tap_facts *facts, char word[static WORD])
{
    snprintf(word, WORD, "%s", facts->client);
}

static void put_target(const struct tap_facts *facts, char word[static WORD])
{
    snprintf(word, WORD, "%s", facts->target);
}

static void put_sender(const struct tap_facts *facts, char word[static WORD])
{
    snprintf(word, WORD, "%s", facts->sender);
}

static void put_time(const struct tap_facts *facts, char word[static WORD])
{
    const time_t seconds = (time_t)(facts->time / 1000000000U);
    struct tm tm = {0};

    gmtime_r(&seconds, &tm);
    snprintf(word, WORD, "%04d%02d%02dT%02d%02d%02d.%06uZ", tm.tm_year + 1900, tm.tm_mon + 1,
             tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
             (unsigned)(facts->time % 1000000000U / 1000));
}

static void put_percent(const struct tap_facts *facts, char word[static WORD])
{
    (void)facts;
    strcpy(word, "%");
}

static const struct {
    char letter;
    void (*put)(const struct tap_facts *facts, char word[static WORD]);
} fields[] = {
    {'n', put_number}, {'c', put_client}, {'t', put_target},
    {'d', put_sender}, {'T', put_time},   {'%', put_percent},
};

enum { FIELDS = sizeof fields / sizeof *fields };

static int field_of(char letter)
{
    for (int i = 0; i < FIELDS; i++)
        if (letter && fields[i].letter == letter)
            return i;
    return -1;
}

/* No slash, nothing that a shell or a terminal would take for more than a name, and no leading dot: no
 * word is "..", nor makes one of what stands before it. */
static void make_harmless(char *word)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                               ".:_-@+=,[]%";

    if (*word == '.')
        *word = '_';
    for (; *word; word++)
        if (!strchr(good, *word))
            *word = '_';
}

/* ---- patterns ---- */

const char *tap_name_check(const char *pattern)
{
    if (!*pattern)
        return "a name is wanted";
    for (; *pattern; pattern++)
        if (*pattern == '%' && field_of(*++pattern) < 0)
            return "after a % stands n, c, t, d, T or %";
    return NULL;
}

bool tap_name_has(const char *pattern, char letter)
{
    for (; *pattern; pattern++)
        if (*pattern == '%' && *++pattern == letter)
            return true;
    return false;
}

bool tap_name_varies(const char *pattern)
{
    for (int i = 0; i < FIELDS; i++)
        if (fields[i].letter != '%' && tap_name_has(pattern, fields[i].letter))
            return true;
    return false;
}

int tap_name_fill(const char *pattern, const struct tap_facts *facts, char *ret, size_t size)
{
    char word[WORD];
    size_t length = 0;

    for (; *pattern; pattern++) {
        const int field = *pattern == '%' ? field_of(pattern[1]) : -1;
        word[0] = *pattern;
        word[1] = '\0';
        if (field >= 0) {
            fields[field].put(facts, word);
            make_harmless(word);
            pattern++;
        }
        const size_t more = strlen(word);
        if (length + more >= size)
            return -ENAMETOOLONG;
        memcpy(ret + length, word, more);
        length += more;
    }
    ret[length] = '\0';
    return 0;
}

int tap_name_directory(const char *pattern, char *ret, size_t size)
{
    size_t end = strcspn(pattern, "%");

    while (end > 0 && pattern[end - 1] != '/')
        end--;
    if (end == 0) {
        pattern = ".";
        end = 1;
    }
    if (end >= size)
        return -ENAMETOOLONG;
    memcpy(ret, pattern, end);
    ret[end] = '\0';
    return 0;
}
