/* SPDX-License-Identifier: MIT */
/*
 * Has the CPU read these bytes? Their lines are flushed from its caches, the call is made, and then
 * a load from each page is timed: a line that is back was read by somebody, and nobody but the call
 * had a reason to. A copy cannot hide from this, and a reference that moves touches nothing.
 */
#ifndef SLUICE_CACHE_H
#define SLUICE_CACHE_H

#include <stdbool.h>
#include <stddef.h>

struct cache {
    bool works;         /* cold and hot loads are apart on this machine */
    unsigned cold, hot; /* medians of a load, in cycles */
    unsigned threshold; /* between them */
};

/* What loads took, in cycles: medians, the bound that one cold load in ten is below, and the one that
 * most hot loads are within. */
struct cache_times {
    unsigned cold, least_cold;
    unsigned hot, most_hot;
};

/* Lines that another processor has read are nearer to the cold. */
enum cache_reader { CACHE_HERE, CACHE_ELSEWHERE };

struct cache cache_judge(const struct cache_times *times, enum cache_reader reader);

/* Learns what a load takes, from lines that were flushed and from lines that were copied. */
void cache_calibrate(struct cache *cache);

/* The same where another processor reads, of these very pages, since all differ: byte is what they
 * hold. It works better while no processor sleeps (awake.h). */
void cache_calibrate_far(struct cache *cache, const char *pages, size_t length, char byte);

void cache_flush(const char *pages, size_t length);

/* Counts the pages of which a line is in the cache. byte: what all of them hold. Returns how many
 * pages were looked at, 0 if they hold something else: they are other pages. */
unsigned cache_look(const struct cache *cache, const char *pages, size_t length, char byte,
                    unsigned *ret_hot);

#endif
