/* SPDX-License-Identifier: MIT */
/* What the moving process is given. */
#ifndef MEASURE_JOB_H
#define MEASURE_JOB_H

#include "cell.h"

struct job {
    const struct cell *cell;
    int in;  /* open for reading; a file that `way->direct` reads is O_DIRECT; a memfd for memory */
    int out; /* open for writing, and waits; -1: the sink is memory */
    const char *memory; /* the memfd's pages, as many as the run has bytes; NULL without one */
    uint64_t bytes;
    uint32_t chunk;
    const sluice_probe *probe; /* may be NULL */
    /* What comes back, from the library's ledger: */
    double copies;
    bool proven;
    char reason[96];
};

/* How many reads are under way at once, where a way has several. */
enum { DEPTH = 8 };

#endif
