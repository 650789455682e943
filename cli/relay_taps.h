/* SPDX-License-Identifier: MIT */
/* --tap: the words, and what they name. */
#ifndef CLI_RELAY_TAPS_H
#define CLI_RELAY_TAPS_H

#include <stddef.h>

#include "server/tap_sink.h"

/* Reads one --tap. Returns NULL, or what is wrong (static words); `ret` is then empty. */
const char *relay_tap_parse(const char *text, struct tap_sink *ret);
void relay_tap_free(struct tap_sink *sink); /* its descriptor, too, if it was prepared */

/* Opens inherited descriptors once more, so that writing to them never waits: before the sandbox, and once. 0, or
 * a negative errno with the reason in `why`. */
int relay_taps_prepare(struct tap_sink *sink, unsigned count, char *why, size_t size);
/* Looks names of hosts up. Returns the list of these `count` taps, or NULL with the reason in `why`. */
struct tap_list *relay_taps_open(const struct tap_sink *sink, unsigned count, char *why,
                                 size_t size);
/* Whether files could be made where they are to be, by who we are now. 0, or a negative errno with the reason in
 * `why`. */
int relay_taps_check(const struct tap_sink *sink, unsigned count, char *why, size_t size);

#endif
