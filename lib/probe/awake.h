/* SPDX-License-Identifier: MIT */
/*
 * Keeps the other processors from falling asleep: one that idles, or that a hypervisor takes away as soon
 * as it does, loses what it had in its caches, and with that the trace of what it has read. By threads
 * that anything else displaces.
 */
#ifndef SLUICE_AWAKE_H
#define SLUICE_AWAKE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { AWAKE_MOST = 16 };

struct awake {
    pthread_t thread[AWAKE_MOST];
    unsigned count;
    atomic_bool end;
};

/* All that this thread may run on, but its own. With more than AWAKE_MOST of them, or where threads
 * cannot be had, some sleep on. */
void awake_begin(struct awake *awake);
void awake_end(struct awake *awake);

#endif
