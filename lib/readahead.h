/* SPDX-License-Identifier: MIT */
/*
 * Readahead: a cold source file is asked for ahead of the cursor, so that its disk and the sink work
 * at once. The kernel reads ahead by itself, but no further than the device says (128 KiB is usual),
 * and not while a call waits on the sink. Where it says much more, the kernel is left alone.
 *
 * Only what is not in the page cache is asked for, never beyond the transfer's end or into a hole, and
 * never by a call that waits for the disk. What is asked for counts as brought in by the transfer
 * (footprint.h).
 */
#ifndef SLUICE_READAHEAD_H
#define SLUICE_READAHEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sluice_transfer;

struct readahead {
    bool begun, on;
    bool cold;           /* what comes next was not there when it was last looked at */
    bool by_reading;     /* cachestat(2) is refused: `fd` tells what is there */
    int fd;              /* private, reads nothing ahead by itself; only with `by_reading` */
    uint64_t begin, end; /* of the source, as far as the transfer goes */
    uint64_t asked;      /* up to here it was there, or was asked for */
    uint64_t piece;      /* that one call asks for */
    uint64_t bytes;      /* asked for, in all */
};

/* Bytes are about to be taken: asks for those that come after them. */
void readahead_follow(struct sluice_transfer *transfer);

/* How many bytes one call may take, so that those behind it are asked for in time. */
uint64_t readahead_bound(const struct readahead *readahead);

/* The transfer is over, and may have been stopped: what was asked for has come, or a moment has
 * passed. Until then it could not be dropped. */
void readahead_end(struct sluice_transfer *transfer);

#endif
