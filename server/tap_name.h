/* SPDX-License-Identifier: MIT */
/*
 * The name of a tap's file, or of its UNIX socket, is a pattern. What it is filled with comes in part
 * from strangers: none of it can lead to another directory.
 *
 *     %n   the connection's number, as the log has it     %t   its target
 *     %c   its client                                     %T   when it began, UTC
 *     %d   who sent what is in it: client, target         %%   %
 */
#ifndef SERVER_TAP_NAME_H
#define SERVER_TAP_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tap_facts {
    uint64_t number, time; /* nanoseconds since 1970 */
    const char *client, *target, *sender;
};

/* Whether it is well-formed. Returns NULL, or what is wrong (static). */
const char *tap_name_check(const char *pattern);
bool tap_name_has(const char *pattern, char letter);
/* Whether it has any of them: then each connection may have a name of its own. */
bool tap_name_varies(const char *pattern);

/* Fills it in. 0, or -ENAMETOOLONG. */
int tap_name_fill(const char *pattern, const struct tap_facts *facts, char *ret, size_t size);

/* The directory in which all names lie: up to the last slash before what varies. 0, or -ENAMETOOLONG. */
int tap_name_directory(const char *pattern, char *ret, size_t size);

#endif
