/* SPDX-License-Identifier: MIT */
/* What a handful of runs can say, and what it cannot. Nothing here is random: the resampling goes by a
 * fixed seed, so the same figures give the same words. */
#ifndef MEASURE_STATISTICS_H
#define MEASURE_STATISTICS_H

#include <stdbool.h>

struct interval {
    double low, middle, high;
};

/* Sorts nothing, keeps nothing. 0 for no values. */
double statistics_median(const double *values, unsigned count);

/* The median of the values, and between what bounds it lies at a confidence (0.95): bootstrap, and for
 * few values their whole range. */
struct interval statistics_interval(const double *values, unsigned count, double confidence);

/* The same of values[i] / others[i]: the two of a round, which the machine's moods touch alike. */
struct interval statistics_ratio(const double *values, const double *others, unsigned count,
                                 double confidence);

enum difference {
    DIFFERENCE_NONE, /* none was seen */
    DIFFERENCE_LESS, /* the values are lower than the others */
    DIFFERENCE_MORE,
};

/* Fewer runs than this say nothing. */
enum { STATISTICS_LEAST = 5 };

/*
 * A difference is seen only where all of these say so: the intervals of the two medians do not overlap;
 * the interval of their ratio, at 99 %, is wholly on one side; and by more than `floor` (1.05: five
 * per cent), which is what the same thing twice came to.
 */
enum difference statistics_compare(const double *values, const double *others, unsigned count,
                                   double floor);

/* The floor that a control gives: how far from 1 the ratio of the same thing twice may lie; 1.02 at
 * least. */
double statistics_floor(const double *values, const double *again, unsigned count);

#endif
