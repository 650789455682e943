/* SPDX-License-Identifier: MIT */
/* Exact counts of the system calls of one process and its threads. */
#ifndef MEASURE_COUNTS_H
#define MEASURE_COUNTS_H

#include <sys/types.h>

#include "board.h"

/* Whether the tracepoint of all system calls can be counted here. 0 or a negative errno. */
int counts_permitted(void);

struct counting;

/* In the mover: from counts_begin() to counts_end(). Without permission they do nothing. */
void counts_begin(struct counting **ret);
void counts_end(struct counting *counting, struct board *board);

/* In the parent, instead: follows a child that called counts_be_traced(), until it has ended, and counts
 * while board->moving. Returns its wait status, or a negative errno. */
void counts_be_traced(void);
int counts_follow(pid_t child, struct board *board, bool (*stopped)(void));

#endif
