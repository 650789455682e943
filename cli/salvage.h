/* SPDX-License-Identifier: MIT */
/* --salvage: a file for the bytes that were taken from the source and not delivered. Its space is
 * allocated before the transfer: when the sink's disk is full, it is too late. */
#ifndef CLI_SALVAGE_H
#define CLI_SALVAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "sluice.h"

struct salvage {
    int fd; /* -1: none */
    const char *path;
    uint64_t kept, lost; /* bytes that were parked: written to it, not written */
};

/* Creates it, with room for what a private pipe of that size (0: the usual) and a buffer can hold; it
 * must not exist. Returns 0 or a negative errno. */
int salvage_open(struct salvage *salvage, const char *path, uint64_t pipe_size);

/* Writes what is parked, and counts it. Says what goes wrong. */
void salvage_write(struct salvage *salvage, sluice_transfer *transfer);

/* Whether the file is the one of that name: a sink must not be. */
bool salvage_is(const struct salvage *salvage, const char *path);

/* Shortens it to what was kept; without any it is removed. Says what goes wrong. */
void salvage_close(struct salvage *salvage);

#endif
