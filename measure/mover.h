/* SPDX-License-Identifier: MIT */
/*
 * One run of a cell: a process that moves the bytes, whose resources getrusage(2) tells, and those at
 * the other ends of its pipe or socket. All of them end with the one who started them, however it ends.
 */
#ifndef MEASURE_MOVER_H
#define MEASURE_MOVER_H

#include "stage.h"

enum mover_run {
    MOVER_TIMED,
    MOVER_COUNTED, /* its system calls are counted, which takes time: it is no sample */
};

/* Moves cell->bytes. Returns 0 and a sample, or a negative errno: -EINTR (stopped), or why this cannot
 * be done here, with cell->reason. Fills in what the cell has of the run: copies, calls. */
int mover_run(struct stage *stage, struct cell *cell, enum mover_run how, struct sample *ret);

#endif
