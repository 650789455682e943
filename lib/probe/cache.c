/* SPDX-License-Identifier: MIT */
#include "cache.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../sys.h"

#if defined(__x86_64__)
#include <x86intrin.h>

enum { LINE = 64, ROUNDS = 8, PAGES = 16, MOST_PAGES = 64, ATTEMPTS = 5 };

/* Sanitizers would look at shadow memory within the time. */
#define UNWATCHED __attribute__((no_sanitize("address", "thread")))

UNWATCHED static unsigned time_load(const char *line)
{
    unsigned processor;

    _mm_mfence();
    _mm_lfence();
    const uint64_t begun = __rdtsc();
    _mm_lfence();
    (void)*(const volatile char *)line;
    _mm_lfence();
    const uint64_t ended = __rdtscp(&processor);
    return ended - begun < UINT32_MAX ? (unsigned)(ended - begun) : UINT32_MAX;
}

void cache_flush(const char *pages, size_t length)
{
    for (size_t at = 0; at < length; at += LINE)
        _mm_clflush(pages + at);
    _mm_mfence();
}

/* A line in the middle of each page, no page beside the one before, and elsewhere in each: so that
 * nothing fetches them ahead. The first line is loaded before, for the translation's sake. Where
 * another byte is found, it is not the page that was flushed any more: 0. */
UNWATCHED static unsigned load_pages(const char *pages, size_t length, char byte,
                                     unsigned ret[MOST_PAGES])
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned count = (unsigned)(length / page);

    count = count > MOST_PAGES ? MOST_PAGES : count;
    for (unsigned i = 0; i < count; i++) {
        const unsigned which = count % 7 ? i * 7 % count : i;
        const char *start = pages + which * page;
        (void)*(const volatile char *)start;
        ret[i] = time_load(start + (8 + (which * 13) % 48) * LINE);
        if (*start != byte)
            return 0;
    }
    return count;
}

static int ascending(const void *a, const void *b)
{
    const unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
    return (x > y) - (x < y);
}

static unsigned quantile(unsigned *times, unsigned count, unsigned of_ten)
{
    qsort(times, count, sizeof *times, ascending);
    return times[count * of_ten / 10];
}

/* Loads memory that was flushed, and flushed memory that was copied since. */
static void calibrate_once(struct cache *cache, char *memory, char *copy, size_t length)
{
    unsigned cold[ROUNDS * MOST_PAGES], hot[ROUNDS * MOST_PAGES], colds = 0, hots = 0;

    for (int round = 0; round < ROUNDS; round++) {
        cache_flush(memory, length);
        colds += load_pages(memory, length, 1, cold + colds);
        cache_flush(memory, length);
        memcpy(copy, memory, length);
        hots += load_pages(memory, length, 1, hot + hots);
    }
    cache->cold = quantile(cold, colds, 5);
    cache->hot = quantile(hot, hots, 5);
    /* Nine of ten of each are on their side, far from the other's. Between them, and not half-way between
     * the medians: with several memory controllers flushed loads have more than one usual time. */
    const unsigned most_hot = quantile(hot, hots, 9), least_cold = quantile(cold, colds, 1);
    cache->threshold = most_hot + (least_cold - most_hot) / 2;
    cache->works = colds && hots && most_hot * 3 < least_cold * 2;
}

/* A neighbour on the machine may spoil one attempt, and the whole run would be without it. */
void cache_calibrate(struct cache *cache)
{
    const size_t length = PAGES * (size_t)sysconf(_SC_PAGESIZE);
    void *memory, *copy;

    *cache = (struct cache){0};
    if (sys_mmap(length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &memory) < 0)
        return;
    if (sys_mmap(length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &copy) == 0) {
        memset(memory, 1, length);
        for (int attempt = 0; attempt < ATTEMPTS && !cache->works; attempt++)
            calibrate_once(cache, memory, copy, length);
        sys_munmap(copy, length);
    }
    sys_munmap(memory, length);
}

unsigned cache_look(const struct cache *cache, const char *pages, size_t length, char byte,
                    unsigned *ret_hot)
{
    unsigned times[MOST_PAGES];
    const unsigned count = load_pages(pages, length, byte, times);

    for (unsigned i = 0; i < count; i++)
        *ret_hot += times[i] < cache->threshold;
    return count;
}

#else

void cache_calibrate(struct cache *cache)
{
    *cache = (struct cache){0};
}

void cache_flush(const char *pages, size_t length)
{
    (void)pages, (void)length;
}

unsigned cache_look(const struct cache *cache, const char *pages, size_t length, char byte,
                    unsigned *ret_hot)
{
    (void)cache, (void)pages, (void)length, (void)byte, (void)ret_hot;
    return 0;
}

#endif
