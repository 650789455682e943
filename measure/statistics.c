/* SPDX-License-Identifier: MIT */
#include "statistics.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cell.h"

enum { RESAMPLES = 1000, FEW = 8 };

static int by_value(const void *a, const void *b)
{
    const double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

/* Of sorted values, between the two that are nearest. */
static double quantile(const double *sorted, unsigned count, double part)
{
    const double at = part * (count - 1);
    const unsigned below = (unsigned)at;

    if (below + 1 >= count)
        return sorted[count - 1];
    return sorted[below] + (at - below) * (sorted[below + 1] - sorted[below]);
}

static unsigned take(const double *values, unsigned count, double sorted[MOST_RUNS])
{
    const unsigned taken = count < MOST_RUNS ? count : MOST_RUNS;
    memcpy(sorted, values, taken * sizeof *sorted);
    qsort(sorted, taken, sizeof *sorted, by_value);
    return taken;
}

double statistics_median(const double *values, unsigned count)
{
    double sorted[MOST_RUNS];
    count = take(values, count, sorted);
    return count ? quantile(sorted, count, 0.5) : 0;
}

static uint32_t random_below(uint64_t *state, uint32_t bound)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*state >> 32) * bound >> 32);
}

/* The median of as many values drawn from these, with repetition: how often each was drawn says where it
 * stands, and nothing need be sorted a thousand times. */
static double resampled_median(const double *sorted, unsigned count, uint64_t *state)
{
    unsigned drawn[MOST_RUNS] = {0}, at = 0, passed = 0;

    for (unsigned i = 0; i < count; i++)
        drawn[random_below(state, count)]++;
    while (passed + drawn[at] <= (count - 1) / 2)
        passed += drawn[at++];
    const double low = sorted[at];
    while (passed + drawn[at] <= count / 2)
        passed += drawn[at++];
    return (low + sorted[at]) / 2;
}

struct interval statistics_interval(const double *values, unsigned count, double confidence)
{
    double sorted[MOST_RUNS], medians[RESAMPLES];
    uint64_t state = 20261125;

    count = take(values, count, sorted);
    if (count == 0)
        return (struct interval){0};
    struct interval ret = {
        .low = sorted[0], .middle = quantile(sorted, count, 0.5), .high = sorted[count - 1]};
    if (count < FEW) /* resampling them would promise too much */
        return ret;
    for (unsigned i = 0; i < RESAMPLES; i++)
        medians[i] = resampled_median(sorted, count, &state);
    qsort(medians, RESAMPLES, sizeof *medians, by_value);
    ret.low = quantile(medians, RESAMPLES, (1 - confidence) / 2);
    ret.high = quantile(medians, RESAMPLES, (1 + confidence) / 2);
    return ret;
}

struct interval statistics_ratio(const double *values, const double *others, unsigned count,
                                 double confidence)
{
    double ratios[MOST_RUNS];
    unsigned kept = 0;

    for (unsigned i = 0; i < count && i < MOST_RUNS; i++)
        if (others[i] > 0)
            ratios[kept++] = values[i] / others[i];
    return statistics_interval(ratios, kept, confidence);
}

enum difference statistics_compare(const double *values, const double *others, unsigned count,
                                   double floor)
{
    const struct interval ratio = statistics_ratio(values, others, count, 0.99);
    const struct interval own = statistics_interval(values, count, 0.95);
    const struct interval other = statistics_interval(others, count, 0.95);

    if (count < STATISTICS_LEAST)
        return DIFFERENCE_NONE;
    if (ratio.high < 1 / floor && own.high < other.low)
        return DIFFERENCE_LESS;
    if (ratio.low > floor && own.low > other.high)
        return DIFFERENCE_MORE;
    return DIFFERENCE_NONE;
}

double statistics_floor(const double *values, const double *again, unsigned count)
{
    const double least = 1.02;
    const double middle = statistics_ratio(again, values, count, 0.95).middle;
    const double away = middle > 1 ? middle : middle > 0 ? 1 / middle : least;

    return count < STATISTICS_LEAST ? INFINITY : away > least ? away : least;
}
