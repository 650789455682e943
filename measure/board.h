/* SPDX-License-Identifier: MIT */
/* What the processes of a run write for the one that started them: memory that they share. */
#ifndef MEASURE_BOARD_H
#define MEASURE_BOARD_H

#include <stdatomic.h>
#include <sys/resource.h>

#include "cell.h"

struct board {
    uint64_t begun;       /* the mover, CLOCK_MONOTONIC in nanoseconds */
    uint64_t ended;       /* the mover */
    uint64_t arrived;     /* the neighbour who takes the bytes; 0: there is none */
    uint64_t received;    /* by it */
    struct rusage before; /* the mover's, when it began, */
    struct rusage after;  /* and when all was moved: its own end is no part of that */
    int error;            /* the mover's, negative */
    int neighbour_error;
    double copies;
    bool proven;
    char reason[96];
    bool counted; /* `calls` is there */
    uint64_t calls;
    atomic_bool moving; /* the mover is at it: what a tracer is to count */
};

#endif
