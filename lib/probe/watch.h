/* SPDX-License-Identifier: MIT */
/*
 * Looking into the kernel while this thread makes calls, where this user may: kernel samples of the
 * CPU clock with their stacks, and two tracepoints. Everything is of this thread alone.
 */
#ifndef SLUICE_WATCH_H
#define SLUICE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "sluice.h"

#define WATCH_FUNCTIONS 16

struct watch;

struct watched {
    uint64_t samples; /* taken in the kernel, 0 also if that is not permitted */
    uint64_t in_copy; /* of these, in routines that copy memory */
    int64_t
        socket_copied;  /* bytes copied out of sockets (skb:skb_copy_datagram_iovec), -1: unseen */
    int64_t pages;      /* pages allocated (kmem:mm_page_alloc), -1: unseen */
    unsigned functions; /* of the wanted ones, those that were seen in stacks: */
    const char *function[WATCH_FUNCTIONS];
};

/* wanted: names of kernel functions to look for in the stacks, ended by NULL; borrowed.
 * Returns 0 if at least one of them can be seen, else a negative errno (-EACCES, -EPERM, -ENOSYS,
 * -ENOENT: no tracefs). */
int watch_open(const char *const *wanted, struct watch **ret);

/* Whether that witness (SLUICE_WITNESS_TRACE, SLUICE_WITNESS_SAMPLES) can be called, and if not,
 * why: a negative errno. */
int watch_sees(const struct watch *watch, enum sluice_witness witness);

/* Between these two, what this thread does is watched. `ret` adds up over calls: zero it first. */
void watch_begin(struct watch *watch);
void watch_end(struct watch *watch, struct watched *ret);

void watch_close(struct watch *watch);

#endif
