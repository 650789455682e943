/* SPDX-License-Identifier: MIT */
#include "rate.h"

#define SECOND 1000000000.0

/* Earned but unspent bytes are kept for so long: a hiccup is caught up, a long pause is not. */
#define KEEP 0.25
/* Bytes are let go in portions of so much time, so that a limit costs few calls. */
#define PORTION 0.02

void rate_init(struct rate *rate, uint64_t limit, uint64_t now)
{
    *rate = (struct rate){.limit = limit, .since = now};
}

uint64_t rate_allow(struct rate *rate, uint64_t want, uint64_t now, uint64_t *deadline)
{
    if (rate->limit == 0)
        return UINT64_MAX;
    const double limit = (double)rate->limit;
    double earned = (double)(now - rate->since) / SECOND * limit - (double)rate->spent;

    if (earned > limit * KEEP + 1) {
        earned = limit * KEEP + 1;
        rate->since = now - (uint64_t)(earned / limit * SECOND);
        rate->spent = 0;
    }
    double portion = limit * PORTION;
    if (portion > (double)want)
        portion = (double)want;
    if (portion < 1)
        portion = 1;
    if (earned >= portion)
        return (uint64_t)earned;
    *deadline = now + (uint64_t)((portion - earned) / limit * SECOND) + 1;
    return 0;
}
