/* SPDX-License-Identifier: MIT */
/* What the figures of a group say: the way that costs the least, those of which it cannot be told, and
 * whether the control let anything be said at all. */
#ifndef MEASURE_JUDGEMENT_H
#define MEASURE_JUDGEMENT_H

#include "measure.h"
#include "statistics.h"

enum { MOST_WAYS = 16 };

struct judgement {
    const struct cell *ranked[MOST_WAYS]; /* best first: by the median */
    enum difference
        worse[MOST_WAYS]; /* than the first: MORE CPU, LESS throughput; NONE: not seen */
    struct interval ratio[MOST_WAYS]; /* to the first */
    unsigned count;
    const struct cell *control; /* NULL: there is none */
    struct interval same;       /* the ratio of the same thing twice */
    double floor;
    bool disturbed; /* the same thing twice seemed to differ: nothing can be said */
};

/* The cells of one group, its control the last; those with an error are passed over. figure: CPU or
 * THROUGHPUT. */
void judgement_make(const struct cell *cells, unsigned count, enum figure figure,
                    struct judgement *ret);

#endif
