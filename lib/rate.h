/* SPDX-License-Identifier: MIT */
/* A token bucket: bytes that may be taken now, earned with time. */
#ifndef SLUICE_RATE_H
#define SLUICE_RATE_H

#include <stdint.h>

struct rate {
    uint64_t limit; /* bytes a second, 0: none */
    uint64_t since; /* nanoseconds: when `spent` was 0 */
    uint64_t spent; /* bytes since then */
};

void rate_init(struct rate *rate, uint64_t limit, uint64_t now);

/* Bytes that may be moved now, UINT64_MAX without a limit. If too few for a worthwhile call: 0, and
 * *deadline is when there will be enough. `want` is how many are wanted at most. */
uint64_t rate_allow(struct rate *rate, uint64_t want, uint64_t now, uint64_t *deadline);

static inline void rate_spend(struct rate *rate, uint64_t bytes)
{
    rate->spent += bytes;
}

#endif
