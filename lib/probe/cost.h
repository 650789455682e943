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

/* cold: the source's bytes are scene->pages, and are flushed from the CPU's cache before each call, and
 * those of the controls too. Returns 0, or a negative errno of the leg's calls. */
int cost_measure(struct scene *scene, bool cold, struct costs *ret);

/* 1: the leg costs a copy; -1: it costs far less than one; 0: that cannot be said. cold: as measured. */
int cost_says(const struct costs *costs, bool cold);

#endif
