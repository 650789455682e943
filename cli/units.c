/* SPDX-License-Identifier: MIT */
#include "units.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* ---- reading ---- */

/* "K" is taken in lower case too; what follows the letter tells powers of 1024 from those of
 * 1000. */
static const char letters[] = "kmgtp";

static const struct {
    const char *after_letter;
    unsigned base;
} powers_of[] = {{"", 1024}, {"i", 1024}, {"iB", 1024}, {"B", 1000}};

/* How many bytes one unit is; 0 if there is no such unit. */
static uint64_t size_unit(const char *suffix)
{
    const char *letter = strchr(letters, suffix[0] | 0x20);
    uint64_t worth = 1;

    if (suffix[0] == '\0' || strcmp(suffix, "B") == 0)
        return 1;
    for (size_t i = 0; letter && *letter && i < sizeof powers_of / sizeof *powers_of; i++)
        if (strcmp(suffix + 1, powers_of[i].after_letter) == 0) {
            for (const char *at = letters; at <= letter; at++)
                worth *= powers_of[i].base;
            return worth;
        }
    return 0;
}

#define SECOND UINT64_C(1000000000)

static const struct {
    const char *suffix;
    uint64_t worth;
} times[] = {
    {"", SECOND}, {"s", SECOND}, {"ms", SECOND / 1000}, {"m", 60 * SECOND}, {"h", 3600 * SECOND},
};

static uint64_t time_unit(const char *suffix)
{
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        if (strcmp(suffix, times[i].suffix) == 0)
            return times[i].worth;
    return 0;
}

/* strtod() would take the locale's decimal point, blanks, signs, "inf" and "0x"; and a double has
 * not enough digits for 64 bits. */
struct number {
    uint64_t whole;
    bool too_large;
    const char *fraction; /* its digits after the point; NULL: there is no point */
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads the number and returns where it ends, or NULL if there is none. */
static const char *read_number(const char *text, struct number *ret)
{
    *ret = (struct number){0};
    if (!is_digit(*text))
        return NULL;
    for (; is_digit(*text); text++)
        ret->too_large |= __builtin_mul_overflow(ret->whole, 10U, &ret->whole) ||
                          __builtin_add_overflow(ret->whole, (unsigned)(*text - '0'), &ret->whole);
    if (*text != '.')
        return text;
    if (!is_digit(*++text))
        return NULL;
    ret->fraction = text;
    while (is_digit(*text))
        text++;
    return text;
}

/* What the digits after the point are of a unit, in whole bytes: from the last digit on, since a
 * product of all of them would not fit. */
static uint64_t fraction_of(uint64_t worth, const char *digits, const char *end)
{
    uint64_t part = 0;

    while (end-- > digits)
        part = (part + (unsigned)(*end - '0') * worth) / 10;
    return part;
}

static int parse(const char *text, uint64_t (*unit)(const char *), uint64_t *ret)
{
    struct number number;
    uint64_t value;

    text = read_number(text, &number);
    const uint64_t worth = text ? unit(text) : 0;
    if (worth == 0 || (number.fraction && worth == 1))
        return -EINVAL;
    const uint64_t part = number.fraction ? fraction_of(worth, number.fraction, text) : 0;
    if (number.too_large || __builtin_mul_overflow(number.whole, worth, &value) ||
        __builtin_add_overflow(value, part, &value))
        return -ERANGE;
    *ret = value;
    return 0;
}

int units_parse_size(const char *text, uint64_t *ret)
{
    return parse(text, size_unit, ret);
}

int units_parse_seconds(const char *text, uint64_t *ret_nanoseconds)
{
    return parse(text, time_unit, ret_nanoseconds);
}

/* ---- writing ---- */

static const char *const powers[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
#define LAST_POWER (sizeof powers / sizeof *powers - 1)

/* What would be rounded to "1024.00" belongs to the next power. */
#define ROUNDS_TO_NEXT 1023.995

static const char *format_scaled(double value, const char *per, char *buffer)
{
    size_t power = 0;

    while (power < LAST_POWER && value >= (power == 0 ? 1023.5 : ROUNDS_TO_NEXT)) {
        value /= 1024;
        power++;
    }
    snprintf(buffer, UNITS_BUFFER, "%.*f %s%s", power == 0 ? 0 : 2, value, powers[power], per);
    return buffer;
}

const char *units_format_bytes(uint64_t bytes, char buffer[static UNITS_BUFFER])
{
    return format_scaled((double)bytes, "", buffer);
}

const char *units_format_rate(double bytes_per_second, char buffer[static UNITS_BUFFER])
{
    if (!isfinite(bytes_per_second) || bytes_per_second < 0)
        bytes_per_second = 0;
    if (bytes_per_second > 1e21) /* the digits would not fit; no machine comes near */
        bytes_per_second = 1e21;
    return format_scaled(bytes_per_second, "/s", buffer);
}

const char *units_format_count(uint64_t count, char buffer[static UNITS_BUFFER])
{
    char digits[UNITS_BUFFER];
    const int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)count);
    char *at = buffer;

    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            *at++ = ',';
        *at++ = digits[i];
    }
    *at = '\0';
    return buffer;
}

const char *units_format_time(double seconds, char buffer[static UNITS_BUFFER])
{
    if (!isfinite(seconds) || seconds < 0 || seconds > 1e15) {
        memcpy(buffer, "-:--:--", sizeof "-:--:--");
        return buffer;
    }
    const uint64_t whole = (uint64_t)seconds;
    snprintf(buffer, UNITS_BUFFER, "%llu:%02u:%02u", (unsigned long long)(whole / 3600),
             (unsigned)(whole / 60 % 60), (unsigned)(whole % 60));
    return buffer;
}
