/* SPDX-License-Identifier: MIT */
/* Those at the other ends of the mover's pipe or socket, each a process of its own. */
#ifndef MEASURE_NEIGHBOUR_H
#define MEASURE_NEIGHBOUR_H

#include "board.h"

/* Writes so many bytes, 128 KiB at a time, as most producers do. 0 or a negative errno. */
int neighbour_feed(int fd, uint64_t bytes);

/* Reads all there is, 128 KiB at a time, as most consumers do. Returns 0 or a negative errno;
 * *ret_taken also then. */
int neighbour_drain(int fd, uint64_t *ret_taken);

/* Waits for the word of a peer on the other machine: that it has taken so many bytes. */
int neighbour_hear(int fd, uint64_t *ret_taken);

/* Two connected sockets or a pipe: [0] is read from, [1] written to. 0 or a negative errno. */
int neighbour_pair(enum end kind, int fds[2]);

#endif
