/* SPDX-License-Identifier: MIT */
/*
 * The footprint: what a transfer leaves in the page cache. With cache=drop it leaves what it found:
 * the ranges that were there before stay, everything else that came with the transfer goes, window
 * by window behind the cursor, and what a pipe or a socket still held then, at the end.
 */
#ifndef SLUICE_FOOTPRINT_H
#define SLUICE_FOOTPRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sluice_endpoint;
struct sluice_transfer;

struct range {
    uint64_t begin, end;
};

/* Of one file. */
struct trail {
    bool on;
    bool known;           /* what was there before; else nothing is dropped */
    uint64_t begin, end;  /* what the transfer may touch, by whole pages */
    uint64_t cursor;      /* so far it has come: what lies before was dropped once */
    uint64_t written;     /* sink: writing of what lies before has begun */
    struct range *before; /* what was in the cache, in order */
    size_t count, room;
};

struct footprint {
    bool begun;
    int error; /* the sink's device could not write: told here, fsync(2) does not tell it again */
    struct trail source, sink;
};

/* Whether reads and writes of this file can leave no trace of themselves (RWF_DONTCACHE). Asked at run
 * time, by a read that gives nothing; what cannot be asked cannot. */
bool footprint_uncached(const struct sluice_endpoint *endpoint);

/* Looks at what is in the cache, once: when bytes are about to move, and a sink that was to be
 * emptied is empty. What cannot be known is no error. */
void footprint_begin(struct sluice_transfer *transfer);

/* Bytes were delivered. */
void footprint_follow(struct sluice_transfer *transfer);

/* The transfer is over, however it ended. */
void footprint_end(struct sluice_transfer *transfer);

void footprint_free(struct footprint *footprint);

#endif
