/* SPDX-License-Identifier: MIT */
#include "judgement.h"

static double median_of(const struct cell *cell, enum figure figure)
{
    double values[MOST_RUNS];
    return statistics_median(values, measure_figures(cell, figure, values));
}

static void rank(struct judgement *ret, const struct cell *cell, enum figure figure)
{
    const double sign = figure == FIGURE_THROUGHPUT ? -1 : 1;
    unsigned at = ret->count++;

    while (at > 0 &&
           sign * median_of(cell, figure) < sign * median_of(ret->ranked[at - 1], figure)) {
        ret->ranked[at] = ret->ranked[at - 1];
        at--;
    }
    ret->ranked[at] = cell;
}

/* The control is the first cell once more. */
static void judge_control(struct judgement *ret, const struct cell *first, enum figure figure)
{
    const double least = 1.02;
    double once[MOST_RUNS], again[MOST_RUNS];
    const unsigned runs = measure_figures(first, figure, once);

    if (measure_figures(ret->control, figure, again) != runs)
        return;
    ret->same = statistics_ratio(again, once, runs, 0.95);
    ret->floor = statistics_floor(once, again, runs);
    ret->disturbed = statistics_compare(again, once, runs, least) != DIFFERENCE_NONE;
}

void judgement_make(const struct cell *cells, unsigned count, enum figure figure,
                    struct judgement *ret)
{
    *ret = (struct judgement){.floor = 1.02};
    for (unsigned i = 0; i < count && ret->count < MOST_WAYS; i++)
        if (cells[i].error == 0 && cells[i].runs > 0) {
            if (cells[i].control)
                ret->control = &cells[i];
            else
                rank(ret, &cells[i], figure);
        }
    if (ret->control && cells[0].error == 0)
        judge_control(ret, &cells[0], figure);
    double best[MOST_RUNS], other[MOST_RUNS];
    const unsigned runs = ret->count ? measure_figures(ret->ranked[0], figure, best) : 0;
    for (unsigned i = 0; i < ret->count; i++) {
        const unsigned others = measure_figures(ret->ranked[i], figure, other);
        if (others != runs)
            continue; /* it fell out on the way: nothing is said */
        ret->ratio[i] = statistics_ratio(other, best, runs, 0.95);
        if (i > 0 && !ret->disturbed)
            ret->worse[i] = statistics_compare(other, best, runs, ret->floor);
    }
}
