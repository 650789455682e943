/* SPDX-License-Identifier: MIT */
/*
 * Which method is the best for a pair of media, by measurement.
 */
#include "alignment.h"
#include "plan_pair.h"

#define ORDER_LENGTH 7

static bool bypasses_cache(const struct pair *pair)
{
    return pair->options->cache == SLUICE_CACHE_BYPASS;
}

static bool wants_private_pages(const struct pair *pair)
{
    return pair_must_not_refer(pair) && alignment_matters(pair->source);
}

/* Writing a file begins by itself, and what was written leaves by itself: nobody waits for a window. */
static bool drops_by_itself(const struct pair *pair)
{
    return pair->options->cache == SLUICE_CACHE_DROP && pair_sink_uncached(pair);
}

/* By measurement (docs/benchmarks.md): CPU per byte, then throughput. The first row that has the
 * pair, whose bound is not exceeded and whose test is true, is taken. */
/* clang-format off */
#define DIRECT SLUICE_METHOD_DIRECT
#define REFLINK SLUICE_METHOD_REFLINK
#define COPY_RANGE SLUICE_METHOD_COPY_RANGE
#define SENDFILE SLUICE_METHOD_SENDFILE
#define SPLICE SLUICE_METHOD_SPLICE
#define MMAP_WRITE SLUICE_METHOD_MMAP_WRITE
#define READ_WRITE SLUICE_METHOD_READ_WRITE
static const struct order {
    int source, sink;
    uint64_t at_most; /* bytes to be moved, where known; 0: any number */
    bool (*test)(const struct pair *);
    enum sluice_method method[ORDER_LENGTH];
    const char *why;
} orders[] = {
    {MEDIA_ALL, MEDIA_ALL, 0, bypasses_cache,
     {DIRECT, REFLINK, SPLICE, SENDFILE, COPY_RANGE, READ_WRITE, MMAP_WRITE},
     "the page cache is to be bypassed"},
    {MEDIA_FILES, ~MEDIA_SEEKABLE, 0, wants_private_pages,
     {DIRECT, MMAP_WRITE, READ_WRITE},
     "it takes bytes from the device into pages of its own, as a snapshot must"},
    /* One call, no pipe to be made, and no fresh memory that page faults make dear. */
    {MEDIA_FILES, MEDIUM_PIPE | MEDIUM_NULL | MEDIUM_ZERO, 65536, NULL,
     {SENDFILE, SPLICE, READ_WRITE, MMAP_WRITE},
     "so little is moved soonest by one call"},
    {MEDIA_ALL, MEDIA_ALL, 4096, NULL,
     {READ_WRITE, SENDFILE, SPLICE, COPY_RANGE, MMAP_WRITE},
     "so little is moved soonest by one read and one write"},
    {MEDIA_FILES, MEDIA_FILES, 0, drops_by_itself,
     {REFLINK, READ_WRITE, SPLICE, MMAP_WRITE, SENDFILE, COPY_RANGE},
     "by RWF_DONTCACHE what it brings into the page cache leaves by itself: nothing is waited for"},
    {MEDIA_FILES, MEDIA_FILES, 0, pair_may_share,
     {REFLINK, COPY_RANGE, SPLICE, MMAP_WRITE, SENDFILE, READ_WRITE},
     "this file system can share extents, or copy at the server"},
    {MEDIA_FILES, MEDIA_FILES, 131072, NULL,
     {SENDFILE, SPLICE, COPY_RANGE, READ_WRITE, MMAP_WRITE},
     "so little is moved soonest by one call"},
    {MEDIA_FILES, MEDIUM_STREAM | MEDIUM_SOCKET, 131072, NULL,
     {SENDFILE, SPLICE, MMAP_WRITE, READ_WRITE},
     "so little is moved soonest by one call"},
    {MEDIA_FILES, MEDIUM_STREAM | MEDIUM_SOCKET, 0, NULL,
     {SPLICE, SENDFILE, MMAP_WRITE, READ_WRITE},
     "fewest copies; sendfile goes by 64 KiB inside, which costs more CPU"},
    {MEDIA_FILES, MEDIUM_PIPE, 0, NULL,
     {SPLICE, SENDFILE, READ_WRITE, MMAP_WRITE},
     "fewest copies; and it never waits holding the sink's pipe"},
    {MEDIA_FILES, MEDIA_FILES, 0, NULL,
     {SPLICE, MMAP_WRITE, SENDFILE, COPY_RANGE, READ_WRITE},
     "one copy, in the largest pieces: copy_file_range and sendfile go by 64 KiB inside"},
    {MEDIUM_PIPE | MEDIUM_STREAM, MEDIA_ALL, 0, NULL,
     {SPLICE, READ_WRITE},
     "fewest copies"},
    {MEDIA_FILES, MEDIUM_NULL | MEDIUM_ZERO, 0, NULL,
     {MMAP_WRITE, SPLICE, SENDFILE, READ_WRITE},
     "the sink looks at no byte, so none is even mapped"},
    {MEDIA_FILES, MEDIA_ALL, 0, NULL,
     {SENDFILE, SPLICE, MMAP_WRITE, READ_WRITE},
     "fewest copies"},
    {MEDIA_ALL, MEDIA_ALL, 0, NULL,
     {READ_WRITE, SENDFILE, SPLICE, MMAP_WRITE, COPY_RANGE},
     "no method has fewer copies and fewer calls"},
};
#undef DIRECT
#undef REFLINK
#undef COPY_RANGE
#undef SENDFILE
#undef SPLICE
#undef MMAP_WRITE
#undef READ_WRITE
/* clang-format on */

static const struct order *order_of(const struct pair *pair, uint64_t expected)
{
    const struct order *order = orders;
    while (!(
        (order->source & (int)pair->source->medium) && (order->sink & (int)pair->sink->medium) &&
        (order->at_most == 0 || expected <= order->at_most) && (!order->test || order->test(pair))))
        order++; /* the last row serves all */
    return order;
}

/* The methods that the order names, then the others. */
unsigned plan_order(const struct pair *pair, uint64_t expected,
                    enum sluice_method ret[SLUICE_METHOD_COUNT], const char **why)
{
    const struct order *order = order_of(pair, expected);
    unsigned count = 0;
    int seen = METHOD(AUTO);

    *why = order->why;
    for (unsigned i = 0; i < ORDER_LENGTH && order->method[i] != SLUICE_METHOD_AUTO; i++) {
        ret[count++] = order->method[i];
        seen |= 1 << order->method[i];
    }
    for (int method = SLUICE_METHOD_COUNT - 1; method > SLUICE_METHOD_AUTO; method--)
        if (!(seen & (1 << method)))
            ret[count++] = (enum sluice_method)method;
    return count;
}
