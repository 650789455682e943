/* SPDX-License-Identifier: MIT */
/*
 * Measures cells: each once to see how fast it is, each once to count its system calls, and then all of
 * them in turns, round after round, in another order each time, until the time is used.
 */
#ifndef MEASURE_MEASURE_H
#define MEASURE_MEASURE_H

#include "stage.h"

struct measuring {
    struct stage *stage;
    struct cell *cells;
    unsigned count;
    double budget;   /* seconds that all of it may take */
    double aim;      /* seconds that a run is to take */
    unsigned rounds; /* at most, and no more than MOST_RUNS */
    /* Called before each run. May be NULL. */
    void (*progress)(void *data, const struct cell *cell, double part);
    void *progress_data;
    /* What came out: */
    unsigned done;     /* rounds */
    unsigned left_out; /* groups for which there was no time: the last ones */
};

/* A cell that cannot be measured here has its `error`. Returns 0, -EINTR (stopped), or why nothing could
 * be measured at all. */
int measure_run(struct measuring *measuring);

/* Copies per byte of a way that the library does not have: of its legs, as the probe found them, else as
 * they are expected. */
void measure_copies(const struct stage *stage, struct cell *cell);

/* Figures of a sample, per GiB or per second. */
enum figure {
    FIGURE_CPU, /* seconds per GiB */
    FIGURE_USER,
    FIGURE_SYSTEM,
    FIGURE_THROUGHPUT, /* bytes per second */
    FIGURE_VOLUNTARY,  /* switches per GiB */
    FIGURE_INVOLUNTARY,
    FIGURE_MINOR, /* page faults per GiB */
    FIGURE_MAJOR,
    FIGURE_CACHED, /* bytes left in the page cache, per byte; -1: unknown */
    FIGURE_COUNT,
};
double measure_figure(const struct cell *cell, unsigned run, enum figure figure);
/* Of all runs, in their order; how many. */
unsigned measure_figures(const struct cell *cell, enum figure figure, double ret[MOST_RUNS]);
/* System calls per GiB; -1: not counted. */
double measure_calls(const struct cell *cell);

#endif
