/* SPDX-License-Identifier: MIT */
/* CPU time of a leg, against a memcpy() and a write() and read() of the same bytes, in turn. */
#ifndef SLUICE_COST_H
#define SLUICE_COST_H

#include "scene.h"

/* Seconds of CPU time for a GiB: the median of the rounds, and an interval that holds the true
 * median in 19 of 20 cases. */
struct cost {
    double median, low, high;
};

struct costs {
    struct cost leg, memcpy, read_write;
};

/* Returns 0, or a negative errno of the leg's calls. */
int cost_measure(struct scene *scene, struct costs *ret);

/* 1: the leg costs a copy; -1: it costs less than one; 0: that cannot be said. cold: the bytes could
 * be flushed from the CPU's cache before, without which a copy costs next to nothing. */
int cost_says(const struct costs *costs, bool cold);

#endif
