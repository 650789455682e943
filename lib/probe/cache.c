/* SPDX-License-Identifier: MIT */
#include "cache.h"

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../sys.h"

/* By who has read the lines. Hot loads are apart from cold ones if the most of them are so many times
 * shorter; the line between them is drawn near the hot ones, at most so far off: with several memory
 * controllers, or sockets, flushed loads have more than one usual time, and those that were seen while
 * calibrating need not be the shortest. */
static const struct {
    unsigned apart[2];
    unsigned farthest; /* in sixths of the most that a hot load took */
} readers[] = {
    [CACHE_HERE] = {{3, 2}, 18},
    [CACHE_ELSEWHERE] = {{8, 7}, 7},
};

struct cache cache_judge(const struct cache_times *times, enum cache_reader reader)
{
    const unsigned hot = times->most_hot, cold = times->least_cold;
    const unsigned middle = hot + (cold - hot) / 2, farthest = hot * readers[reader].farthest / 6;

    return (struct cache){
        .works = hot * readers[reader].apart[0] < cold * readers[reader].apart[1],
        .cold = times->cold,
        .hot = times->hot,
        .threshold = middle < farthest ? middle : farthest,
    };
}

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

/* ---- what a load takes ---- */

struct loads {
    unsigned time[ROUNDS * MOST_PAGES], count;
};

struct copy {
    char *to;
    const char *from;
    size_t length;
};

static void *copy_it(void *argument)
{
    const struct copy *copy = argument;
    memcpy(copy->to, copy->from, copy->length);
    return NULL;
}

/* On that processor, -1: right here. 0 or a negative errno. */
static int copy_on(int processor, struct copy *copy)
{
    pthread_t thread;

    if (processor < 0) {
        copy_it(copy);
        return 0;
    }
    const int error = sys_thread_on(processor, copy_it, copy, &thread);
    return error < 0 ? error : -pthread_join(thread, NULL);
}

/* The one that is farthest from ours, as processors are numbered; -1: there is none. */
static int far_processor(const cpu_set_t *allowed, int own)
{
    for (int processor = CPU_SETSIZE - 1; processor >= 0; processor--)
        if (processor != own && CPU_ISSET((size_t)processor, allowed))
            return processor;
    return -1;
}

static void time_loads(const struct copy *copy, char byte, struct loads *loads)
{
    loads->count += load_pages(copy->from, copy->length, byte, loads->time + loads->count);
}

/* Loads memory that was flushed, and flushed memory that was copied since, on that processor. */
static struct cache calibrate_once(struct copy *copy, char byte, int processor)
{
    const bool here = processor < 0;
    struct loads cold = {.count = 0}, hot = {.count = 0};

    for (int round = 0; round < ROUNDS; round++) {
        cache_flush(copy->from, copy->length);
        time_loads(copy, byte, &cold);
        cache_flush(copy->from, copy->length);
        if (copy_on(processor, copy) == 0)
            time_loads(copy, byte, &hot);
    }
    if (!cold.count || !hot.count)
        return (struct cache){0};
    const struct cache_times times = {
        .cold = quantile(cold.time, cold.count, 5),
        .least_cold = quantile(cold.time, cold.count, 1),
        .hot = quantile(hot.time, hot.count, 5),
        .most_hot = quantile(hot.time, hot.count, here ? 9 : 7), /* six of ten tell a copy */
    };
    return cache_judge(&times, here ? CACHE_HERE : CACHE_ELSEWHERE);
}

/* A neighbour on the machine may spoil one attempt, and the whole run would be without it. */
static struct cache calibrate(struct copy *copy, char byte, int processor)
{
    struct cache cache = {0};

    for (int attempt = 0; attempt < ATTEMPTS && !cache.works; attempt++)
        cache = calibrate_once(copy, byte, processor);
    return cache;
}

void cache_calibrate(struct cache *cache)
{
    const size_t length = PAGES * (size_t)sysconf(_SC_PAGESIZE);
    void *memory, *copy;

    *cache = (struct cache){0};
    if (sys_mmap(length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &memory) < 0)
        return;
    if (sys_mmap(length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &copy) == 0) {
        memset(memory, 1, length);
        *cache = calibrate(&(struct copy){.to = copy, .from = memory, .length = length}, 1, -1);
        sys_munmap(copy, length);
    }
    sys_munmap(memory, length);
}

/* Meanwhile this thread must not go to the other processor itself. */
void cache_calibrate_far(struct cache *cache, const char *pages, size_t length, char byte)
{
    struct copy copy = {.to = malloc(length), .from = pages, .length = length};
    const int own = sched_getcpu();
    cpu_set_t allowed, here;
    int other = -1;

    *cache = (struct cache){0};
    CPU_ZERO(&here);
    if (copy.to && own >= 0 && own < CPU_SETSIZE &&
        sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
        CPU_SET((size_t)own, &here);
        other = far_processor(&allowed, own);
    }
    if (other >= 0 && sched_setaffinity(0, sizeof here, &here) == 0) {
        *cache = calibrate(&copy, byte, other);
        sched_setaffinity(0, sizeof allowed, &allowed);
    }
    free(copy.to);
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

void cache_calibrate_far(struct cache *cache, const char *pages, size_t length, char byte)
{
    (void)pages, (void)length, (void)byte;
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
