/* SPDX-License-Identifier: MIT */
/* What becomes of a sink whose backlog is at its bound, and the file behind the queue of one that
 * spills. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "fanout.h"
#include "sys.h"

/* ---- the bound ---- */

static bool has_spilled(const struct fanout_sink *sink)
{
    return sink->spill.begin < sink->spill.end;
}

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

/* Whether a round of so many bytes would go beyond it. A part of the one shared buffer is a backlog at
 * its bound, whoever holds it: until it is gone no round can go through memory. */
static bool at_bound(const struct sluice_fanout *fanout, const struct fanout_sink *sink,
                     uint64_t want)
{
    const struct queue *queue = &sink->queue;

    if (sink->held.start < sink->held.end)
        return true;
    if (queue->bytes == 0)
        return false;
    const unsigned pipes = sink->lag_pipes ? sink->lag_pipes : stash_share(fanout);
    if (queue->pipes >= pipes)
        return true;
    return sink->few_fills ? queue->bytes >= FILLS * fill_of(fanout)
                           : queue->bytes + want > sink->lag;
}

/* Its part of the shared buffer is wanted for the next round. */
static void free_the_buffer(struct sluice_fanout *fanout, struct fanout_sink *sink)
{
    const uint64_t bytes = sink->queue.bytes;

    if (sink->held.start == sink->held.end)
        return;
    if (sink->slow == SLUICE_SLOW_SPILL) {
        /* The order is kept: what is older, in the queue before it, has to go to the file first. */
        struct parcel *parcel = sink->queue.head;
        spill_memory(fanout, sink, sink->scratch.bytes + sink->scratch.start,
                     sink->scratch.end - sink->scratch.start);
        for (; parcel && parcel->pipe; parcel = parcel->next)
            spill_pipe(fanout, sink, parcel->pipe);
        spill_memory(fanout, sink, fanout->buffer + sink->held.start,
                     sink->held.end - sink->held.start);
    } else {
        sink->dropped += bytes;
    }
    queue_discard(fanout, sink);
}

static bool admit_sink(struct sluice_fanout *fanout, struct fanout_sink *sink, uint64_t want)
{
    const bool full = at_bound(fanout, sink, want);

    sink->stalled = sink->skips = false;
    if (has_spilled(sink)) { /* newer bytes do not overtake older ones */
        sink->skips = true;
        return true;
    }
    if (!full)
        return true;
    switch (sink->slow) {
    case SLUICE_SLOW_DROP:
    case SLUICE_SLOW_SPILL:
        sink->skips = true;
        free_the_buffer(fanout, sink);
        return true;
    case SLUICE_SLOW_DETACH:
        sink_detach(fanout, sink, "its backlog has reached its bound");
        return true;
    default:
        sink->stalled = true;
        return false;
    }
}

bool policy_admits(struct sluice_fanout *fanout, uint64_t want)
{
    bool admitted = true;

    /* All are asked, also after one that waits: those who are to drop nothing in vain come first. */
    for (unsigned i = 0; i < fanout->sinks && admitted; i++) {
        const struct fanout_sink *sink = fanout->sink[i];
        if (sink && sink->state == SLUICE_SINK_RUNNING && sink->slow == SLUICE_SLOW_WAIT)
            admitted = admit_sink(fanout, fanout->sink[i], want);
    }
    for (unsigned i = 0; i < fanout->sinks && admitted; i++) {
        const struct fanout_sink *sink = fanout->sink[i];
        if (sink && sink->state == SLUICE_SINK_RUNNING && sink->slow != SLUICE_SLOW_WAIT)
            admitted = admit_sink(fanout, fanout->sink[i], want);
    }
    return admitted;
}

/* ---- the file ---- */

/* Without the file the sink's bytes are not complete: it fails with the file's error. */
static void spill_failed(struct sluice_fanout *fanout, struct fanout_sink *sink, int error)
{
    sink_fail(fanout, sink, "spill", error, "its spill file cannot be used");
}

static void spilled(struct fanout_sink *sink, uint64_t bytes)
{
    sink->spill.end += bytes;
    sink->spilled += bytes;
    if (sink->spill.end - sink->spill.begin > sink->spill.most)
        sink->spill.most = sink->spill.end - sink->spill.begin;
}

void spill_memory(struct sluice_fanout *fanout, struct fanout_sink *sink, const char *bytes,
                  size_t length)
{
    while (length > 0 && sink->state == SLUICE_SINK_RUNNING) {
        const ssize_t value =
            sys_pwrite(sink->spill.file->fd, bytes, length, (int64_t)sink->spill.end);
        if (value == -EINTR)
            continue;
        if (value <= 0) {
            spill_failed(fanout, sink, value ? (int)value : -EIO);
            return;
        }
        spilled(sink, (uint64_t)value);
        bytes += value;
        length -= (size_t)value;
    }
}

/* Where splice(2) cannot write to the file. */
static ssize_t spill_by_writing(struct fanout_sink *sink, struct pipe *pipe)
{
    char bytes[16384];
    const ssize_t length =
        sys_read(pipe->read_end, bytes, pipe->parked < sizeof bytes ? pipe->parked : sizeof bytes);
    ssize_t done = 0;

    while (done < length) {
        const ssize_t value = sys_pwrite(sink->spill.file->fd, bytes + done,
                                         (size_t)(length - done), (int64_t)sink->spill.end + done);
        if (value <= 0 && value != -EINTR)
            return value ? value : -EIO;
        done += value > 0 ? value : 0;
    }
    return length;
}

void spill_pipe(struct sluice_fanout *fanout, struct fanout_sink *sink, struct pipe *pipe)
{
    bool splices = true;

    while (pipe->parked > 0 && sink->state == SLUICE_SINK_RUNNING) {
        int64_t at = (int64_t)sink->spill.end;
        const ssize_t value = splices ? sys_splice(pipe->read_end, NULL, sink->spill.file->fd, &at,
                                                   pipe->parked, SPLICE_F_NONBLOCK)
                                      : spill_by_writing(sink, pipe);
        if (value == -EINTR)
            continue;
        if (value <= 0 && splices && error_action(CALL_SPLICE_OUT, (int)value) == ACTION_FALLBACK) {
            splices = false;
            continue;
        }
        if (value <= 0) {
            spill_failed(fanout, sink, value ? (int)value : -EIO);
            break;
        }
        pipe->parked -= (uint64_t)value;
        spilled(sink, (uint64_t)value);
    }
    if (pipe->parked > 0)
        stash_drop(fanout, pipe, pipe->parked);
}

/* All of it was fed to the sink: it begins anew, and takes no space meanwhile. */
static void spill_empty(struct fanout_sink *sink)
{
    if (sys_ftruncate(sink->spill.file->fd, 0) >= 0)
        sink->spill.begin = sink->spill.end = 0;
}

/* Without an idle pipe: through memory. */
static ssize_t read_spill(struct fanout_sink *sink)
{
    const uint64_t left = sink->spill.end - sink->spill.begin;

    const int error = scratch_get(sink);
    if (error < 0)
        return error;
    const ssize_t value =
        sys_pread(sink->spill.file->fd, sink->scratch.bytes,
                  left < SCRATCH_SIZE ? (size_t)left : SCRATCH_SIZE, (int64_t)sink->spill.begin);
    if (value > 0) {
        sink->scratch.start = 0;
        sink->scratch.end = (size_t)value;
        sink->queue.bytes += (uint64_t)value;
    }
    return value;
}

static ssize_t fill_from_spill(struct fanout_sink *sink, struct pipe *pipe)
{
    uint64_t left = sink->spill.end - sink->spill.begin;
    int64_t at = (int64_t)sink->spill.begin;
    ssize_t value;

    if (left > pipe->capacity)
        left = pipe->capacity;
    do
        value = sys_splice(sink->spill.file->fd, &at, pipe->write_end, NULL, (size_t)left,
                           SPLICE_F_NONBLOCK);
    while (value == -EINTR);
    if (value < 0 && error_action(CALL_SPLICE_IN, (int)value) == ACTION_FALLBACK) {
        char bytes[16384]; /* less than any pipe of the stash holds */
        value = sys_pread(sink->spill.file->fd, bytes, left < sizeof bytes ? left : sizeof bytes,
                          (int64_t)sink->spill.begin);
        if (value > 0)
            value = sys_write(pipe->write_end, bytes, (size_t)value);
    }
    return value;
}

bool spill_refill(struct sluice_fanout *fanout, struct fanout_sink *sink)
{
    if (!has_spilled(sink))
        return false;
    struct parcel *parcel = stash_get(fanout);
    const ssize_t value = parcel ? fill_from_spill(sink, parcel->pipe) : read_spill(sink);
    if (parcel && value > 0) {
        parcel->pipe->parked = (uint64_t)value;
        queue_push(sink, parcel, (uint64_t)value);
    } else if (parcel) {
        stash_put(fanout, parcel);
    }
    if (value <= 0) {
        spill_failed(fanout, sink, value ? (int)value : -ENODATA);
        return false;
    }
    sink->spill.begin += (uint64_t)value;
    if (!has_spilled(sink))
        spill_empty(sink);
    return true;
}
