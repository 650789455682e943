/* SPDX-License-Identifier: MIT */
/*
 * Holes: what of a source file is none is not moved, and becomes a hole of the sink; and so do
 * blocks of zeros, where that is wanted. A hole counts as taken and delivered, and no method sees
 * it.
 */
#ifndef SLUICE_HOLES_H
#define SLUICE_HOLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct move;
struct sluice_transfer;

struct holes {
    bool kept;                      /* the source's are the sink's */
    bool made;                      /* so are whole blocks of zeros */
    int64_t data_end;               /* of the source: what lies before it is data */
    uint64_t skipped_to, unpunched; /* in the sink: where the last hole ends, and its rest begins */
};

/* What the options say, and the ends allow. */
void holes_begin(struct sluice_transfer *transfer);

/* Skips a hole at the source's position, `most` bytes of it at most. Returns false if there is data,
 * or it cannot be told: then the method moves on. */
bool holes_skip(struct sluice_transfer *transfer, uint64_t most, struct move *ret);

/* How many bytes from the position on are data, as far as is known. Only with `kept`. */
uint64_t holes_data(const struct sluice_transfer *transfer);

/* Whether the data ends at the source's position, as far as is known. Only what is parked stands
 * between it and a hole then. */
bool holes_next(const struct sluice_transfer *transfer);

/* The first run of `length` bytes on their way to the sink that is zeros or is not, cut where the
 * sink's blocks end. Zeros are skipped in the sink: then it returns true. */
bool holes_zeros(struct sluice_transfer *transfer, const char *bytes, size_t *length);

#endif
