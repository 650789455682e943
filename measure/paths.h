/* SPDX-License-Identifier: MIT */
/* The paths and the ways that there are, and which cells are made of them. */
#ifndef MEASURE_PATHS_H
#define MEASURE_PATHS_H

#include "cell.h"

enum extent { EXTENT_QUICK, EXTENT_FULL };

struct choice {
    enum extent extent;
    const char *const *paths; /* names, ended by NULL; empty: those of the extent */
    const char *const *ways;  /* likewise: all that fit */
    const uint32_t *chunks;   /* sizes, ended by 0; empty: those of the extent */
    bool remote;              /* TCP leads to another machine: only such paths */
};

/* Paths and ways by index, NULL beyond the last. */
const struct path *path_at(unsigned index);
const struct way *way_at(unsigned index);
const struct path *path_named(const char *name);
const struct way *way_named(const char *name);

/* The cells in the order of their importance, group by group, each with its control at the end. They
 * are to be freed. Returns 0, or -ENOMEM. */
int cells_make(const struct choice *choice, struct cell **ret, unsigned *ret_count,
               unsigned *ret_groups);

#endif
