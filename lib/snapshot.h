/* SPDX-License-Identifier: MIT */
/*
 * A snapshot by a clone: where the file system shares extents, the source's are shared with a file
 * that has no name and nobody else has open. Its pages can be handed on by reference, since nobody
 * can write to them. It is gone with the transfer.
 *
 * The clone has a page cache of its own, which is empty: it pays for a source that would have to be
 * read from its device anyway. What is in the page cache is copied from there.
 */
#ifndef SLUICE_SNAPSHOT_H
#define SLUICE_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "endpoint.h"

struct sluice_transfer;

struct snapshot {
    bool taken;
    int error; /* why it could not be taken, where it was wanted */
    struct sluice_endpoint clone;
};

/* Whether a clone would be the cheapest way for this pair. expected: bytes to be moved. */
bool snapshot_wanted(const struct sluice_endpoint *source, const struct sluice_endpoint *sink,
                     const struct sluice_options *options, uint64_t expected);

/* Takes one, of the range that is to be moved, if it is wanted. */
void snapshot_take(struct snapshot *snapshot, const struct sluice_endpoint *source,
                   const struct sluice_endpoint *sink, const struct sluice_options *options,
                   uint64_t expected);

/* What became of it goes into the ledger of the transfer that reads it. */
void snapshot_record(struct sluice_transfer *transfer, const struct sluice_endpoint *source);

void snapshot_free(struct snapshot *snapshot);

#endif
