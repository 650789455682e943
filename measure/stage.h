/* SPDX-License-Identifier: MIT */
/* What all runs share: the disk, a source file, a sink file and memory, none of which has a name that
 * could be left behind. */
#ifndef MEASURE_STAGE_H
#define MEASURE_STAGE_H

#include "cell.h"
#include "lib/probe/place.h"

struct stage {
    struct place place; /* the disk */
    int source, sink;   /* files on it, or -1 */
    int cold_source;    /* a shorter one: it is read to its end, since what is read ahead beyond the
                           bytes of a run would count against it */
    int memory;         /* a memfd, of random bytes too */
    const char *mapped; /* its pages */
    uint64_t size;      /* bytes that the source and the memory have */
    uint64_t cold_size; /* and the shorter one */
    uint64_t wanted;    /* that they were to have */
    const sluice_probe *probe; /* may be NULL */
    bool cold;                 /* the source can be kept out of the page cache */
    char not_cold[128];        /* why it cannot */
    /* Connects to the peer on the other machine, which then takes bytes, or gives so many; NULL: TCP is
     * by loopback. A descriptor or a negative errno. */
    int (*connect)(void *data, uint64_t give);
    void *connect_data;
    bool card;             /* and by a network card */
    bool (*stopped)(void); /* somebody wants it to end */
};

/* Opens it on the disk of a directory. size: bytes; halved where the disk has no room for twice as many,
 * down to 1 MiB. Returns 0, or a negative errno; without room also for that, -ENOSPC, and everything
 * but the files is there. stage_close() in any case. */
int stage_open(struct stage *stage, const char *directory, uint64_t size);
void stage_close(struct stage *stage);

/* Brings the source of that state into it. 0 or a negative errno. */
int stage_warm(struct stage *stage, enum warmth warmth, uint64_t bytes);

/* The source that is read in that state. */
int stage_source(const struct stage *stage, enum warmth warmth);

/* Bytes of that source and of the sink in the page cache, -1: unknown. */
int64_t stage_cached(const struct stage *stage, enum warmth warmth);

#endif
