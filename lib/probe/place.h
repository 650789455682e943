/* SPDX-License-Identifier: MIT */
/* What a verdict holds for: a file system with its mount options, or where a socket leads. */
#ifndef SLUICE_PLACE_H
#define SLUICE_PLACE_H

#include <stdbool.h>
#include <sys/types.h>

#include "../endpoint.h"

#define PLACE_TEXT     256
#define PLACE_LOOPBACK "loopback"
#define PLACE_IPV6     "loopback, IPv6"
#define PLACE_MEMFD    "memfd" /* a file of no mount that anybody sees: its legs are a memfd's */

/* A directory in which scratch files are made. */
struct place {
    int directory;    /* -1: it is a block device itself, and every scratch file is that device */
    const char *path; /* as it was given; borrowed */
    const char *name; /* the file system's, as endpoints call it */
    char text[PLACE_TEXT]; /* the same with the mount's options */
    dev_t device;          /* the block device behind it, 0: none */
    bool loop;             /* a loop device is among those behind it */
};

/* Returns 0 or a negative errno; place_close() after success. */
int place_open(const char *directory, struct place *ret);
int place_open_device(const char *path, struct place *ret);
void place_close(struct place *place);

/* A file without a name in it, empty, open for reading and writing. Never 0, 1 or 2. Returns the
 * descriptor or a negative errno. */
int place_scratch(const struct place *place);

/* What an endpoint stands on, as the legs of a probe name it: "" if it makes no difference, "?" if
 * that cannot be told, and no verdict holds. */
void place_of(const struct sluice_endpoint *endpoint, char text[PLACE_TEXT]);

/* The place of a leg from one to another, either of which may be "". */
void place_join(const char *from, const char *to, char text[PLACE_TEXT]);

/* Sectors of 512 bytes that the device has read and written since it exists. 0 or a negative
 * errno. */
int place_sectors(const struct place *place, unsigned long long ret[2]);

#endif
