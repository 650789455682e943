/* SPDX-License-Identifier: MIT */
/*
 * Sizes, rates and times as people write and read them. Independent of the locale.
 *
 * The parsers take the whole text: a number of decimal digits, perhaps with a fraction, then
 * perhaps a suffix. No blanks, no sign, no exponent. They return 0; -EINVAL for anything else,
 * negative numbers among it; or -ERANGE for a number too large for 64 bits. *ret is untouched on
 * failure.
 */
#ifndef SLUICE_CLI_UNITS_H
#define SLUICE_CLI_UNITS_H

#include <stdint.h>

#define UNITS_BUFFER 32

/* "10", "512B", "1.5G", "64KiB" (powers of 1024), "10MB" (powers of 1000): bytes, rounded down. A
 * fraction needs a suffix to be a fraction of: "1.5" bytes are refused. */
int units_parse_size(const char *text, uint64_t *ret);

/* "10", "0.5", "200ms", "2m", "1h": nanoseconds, rounded down. */
int units_parse_seconds(const char *text, uint64_t *ret_nanoseconds);

/* The writers fill the buffer and return it. They never fail: what is no number (a division by
 * zero, a negative time) is written as such. */

/* "512 B", "4.00 GiB". */
const char *units_format_bytes(uint64_t bytes, char buffer[static UNITS_BUFFER]);

/* "0 B/s", "1.73 GiB/s"; 0 for what is no rate: negative, infinite or not a number. */
const char *units_format_rate(double bytes_per_second, char buffer[static UNITS_BUFFER]);

/* "10,408". */
const char *units_format_count(uint64_t count, char buffer[static UNITS_BUFFER]);

/* Whole seconds as "0:02:31", hours without bound; "-:--:--" for what is no time. */
const char *units_format_time(double seconds, char buffer[static UNITS_BUFFER]);

#endif
