/* SPDX-License-Identifier: MIT */
/*
 * A kernel pipe as a buffer, and the pool that lends them out.
 *
 * A private pipe has both ends here and in no other process, so nobody can be held up by its mutex
 * and its content is what we put in. The pool owns every pipe; a transfer borrows one while bytes
 * are in flight. A pipe goes back only if it is provably empty, else it is closed: bytes of one
 * stream never meet another.
 */
#ifndef SLUICE_PIPE_H
#define SLUICE_PIPE_H

#include <stdbool.h>
#include <stdint.h>

struct pipe {
    int read_end, write_end;
    uint32_t capacity; /* as the kernel says, nominal: slots times the page size */
    uint32_t asked;
    uint64_t parked;   /* bytes in it, by our own count */
    struct pipe *next; /* in the pool */
};

struct pipe_pool {
    struct pipe *idle; /* the last one used first: its pages are warm */
    unsigned idle_count, count;
    unsigned max_idle, max_count;
    uint64_t refused, small; /* pipes that were not to be had; that got less than was asked for */
};

/* Lends a pipe of `size` bytes, or of what the kernel grants: a user beyond the pipe budget gets
 * less, never a failure. Returns 0; -EMFILE (the pool's bound, or the process's); -ENFILE; -ENOMEM;
 * what pipe2(2) returns. */
int pipe_get(struct pipe_pool *pool, uint32_t size, struct pipe **ret);

/* Takes a pipe back; closes it if it is not provably empty, or not needed. */
void pipe_put(struct pipe_pool *pool, struct pipe *pipe);

/* Takes a pipe back and closes it, with what it holds. */
void pipe_kill(struct pipe_pool *pool, struct pipe *pipe);

/* Whether the pipe has a free slot. An empty pipe always has; otherwise the kernel is asked, since
 * a pipe's size is slots and not bytes. */
bool pipe_has_room(const struct pipe *pipe);

/* Closes all idle pipes. */
void pipe_pool_close(struct pipe_pool *pool);

#endif
