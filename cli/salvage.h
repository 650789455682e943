/* SPDX-License-Identifier: MIT */
/* --salvage: a file for the bytes that were taken from the source and not delivered. Its space is
 * allocated before the transfer: when the sink's disk is full, it is too late. */
#ifndef CLI_SALVAGE_H
#define CLI_SALVAGE_H

#include "sluice.h"

struct salvage {
    int fd; /* -1: none */
    const char *path;
};

/* Creates it; it must not exist. Returns 0 or a negative errno. */
int salvage_open(struct salvage *salvage, const char *path);

/* Writes what is parked, and returns how many bytes that were. */
uint64_t salvage_write(struct salvage *salvage, sluice_transfer *transfer);

/* Shortens it to what was written; without any it is removed. */
void salvage_close(struct salvage *salvage);

#endif
