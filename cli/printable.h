/* SPDX-License-Identifier: MIT */
/* Names as they can be shown. A file's name is any bytes, and so is an argument: what would move the
 * cursor, change colours, end the line or turn the direction of writing is shown as a number. */
#ifndef CLI_PRINTABLE_H
#define CLI_PRINTABLE_H

#include <stddef.h>

/* Bytes that the copy of a text so long can take, its end included. */
#define PRINTABLE_SIZE(length) (4 * (length) + 1)

/* Writes a copy of the text in which control characters and what is no UTF-8 stand as \n, \t, \r or
 * \xHH, a byte each. What does not fit is left away. Returns ret. */
const char *printable(const char *text, char *ret, size_t size);

#endif
