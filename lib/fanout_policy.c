/* SPDX-License-Identifier: MIT */
/* What becomes of a sink whose backlog is at its bound. */
#include "fanout.h"

/* ---- the bound ---- */

/* What the source's pipe holds when it is full, or one of ours. A sink that is waited for need not be far
 * behind: more in flight is more pages that nobody's cache holds any longer when they are read (measured
 * with pipes of 64 KiB: half the throughput). */
enum { FILLS = 3 };

static uint64_t fill_of(const struct sluice_fanout *fanout)
{
    const struct sluice_endpoint *source = fanout->in.endpoint;

    return source->medium == MEDIUM_PIPE && source->capacity > 0 ? source->capacity
                                                                 : round_size(fanout);
}

/* Whether a round of `want` bytes would go beyond it, where so much waits already. */
static bool is_beyond(const struct sluice_fanout *fanout, const struct fanout_sink *sink,
                      uint64_t bytes, unsigned pipes, uint64_t want)
{
    if (bytes == 0)
        return false;
    if (pipes >= (sink->lag_pipes ? sink->lag_pipes : stash_share(fanout)))
        return true;
    return sink->few_fills ? bytes >= FILLS * fill_of(fanout) : bytes + want > sink->lag;
}

/* A part of the one shared buffer is a backlog at its bound, whoever holds it: until it is gone no round
 * can go through memory. */
static bool at_bound(const struct sluice_fanout *fanout, const struct fanout_sink *sink,
                     uint64_t want)
{
    return sink->held.start < sink->held.end ||
           is_beyond(fanout, sink, sink->queue.bytes, sink->queue.pipes, want);
}

bool policy_file_is_slow(const struct sluice_fanout *fanout, const struct fanout_sink *sink)
{
    return is_beyond(fanout, sink, spill_pending(sink), spill_pipes(sink), round_size(fanout));
}

/* Its part of the shared buffer is wanted for the next round. */
static void free_the_buffer(struct sluice_fanout *fanout, struct fanout_sink *sink)
{
    const uint64_t bytes = sink->queue.bytes;

    if (sink->held.start == sink->held.end)
        return;
    if (sink->slow == SLUICE_SLOW_SPILL)
        spill_queue(fanout, sink);
    else
        sink->dropped += bytes;
    queue_discard(fanout, sink);
}

static bool file_is_behind(const struct sluice_fanout *fanout, const struct fanout_sink *sink)
{
    return policy_file_is_slow(fanout, sink) ||
           (sink->spill_most && sink->spill.end + spill_pending(sink) >= sink->spill_most);
}

/* It is at its bound. Returns false if it is waited for. */
static bool apply(struct sluice_fanout *fanout, struct fanout_sink *sink, enum sluice_slow slow,
                  const char *why)
{
    switch (slow) {
    case SLUICE_SLOW_SPILL:
        sink->spills = true;
        free_the_buffer(fanout, sink);
        return true;
    case SLUICE_SLOW_DROP:
        sink->drops = true;
        free_the_buffer(fanout, sink);
        return true;
    case SLUICE_SLOW_DETACH:
        sink_detach(fanout, sink, why);
        return true;
    default:
        sink->stalled = true;
        return false;
    }
}

static bool admit_sink(struct sluice_fanout *fanout, struct fanout_sink *sink, uint64_t want)
{
    sink->stalled = sink->drops = sink->spills = false;
    if (!spill_holds(sink))
        return !at_bound(fanout, sink, want) ||
               apply(fanout, sink, sink->slow, "its backlog has reached its bound");
    if (file_is_behind(fanout, sink))
        return apply(fanout, sink, sink->spill_slow, "its spill file has reached its bound, too");
    sink->spills = true; /* newer bytes do not overtake older ones */
    return true;
}

static bool may_wait(const struct fanout_sink *sink)
{
    return sink->slow == SLUICE_SLOW_WAIT ||
           (sink->slow == SLUICE_SLOW_SPILL && sink->spill_slow == SLUICE_SLOW_WAIT);
}

bool policy_admits(struct sluice_fanout *fanout, uint64_t want)
{
    bool admitted = true;

    /* All are asked, also after one that waits: those who are to drop nothing in vain come first. */
    for (unsigned i = 0; i < fanout->sinks && admitted; i++) {
        const struct fanout_sink *sink = fanout->sink[i];
        if (sink && sink->state == SLUICE_SINK_RUNNING && may_wait(sink))
            admitted = admit_sink(fanout, fanout->sink[i], want);
    }
    for (unsigned i = 0; i < fanout->sinks && admitted; i++) {
        const struct fanout_sink *sink = fanout->sink[i];
        if (sink && sink->state == SLUICE_SINK_RUNNING && !may_wait(sink))
            admitted = admit_sink(fanout, fanout->sink[i], want);
    }
    return admitted;
}
