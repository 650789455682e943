/* SPDX-License-Identifier: MIT */
/*
 * The file behind the queue of a sink that spills. Bytes for it wait in pipes, as those of the queue do,
 * and a thread writes these into the file; what has arrived there it reads back, a pipe ahead of the
 * sink. When as much waits for the file as may wait for a sink, the file is too slow, and everybody waits
 * for it: nothing is lost.
 */
#include <errno.h>
#include <fcntl.h>

#include "fanout.h"
#include "sys.h"

enum { IN_HAND = 4, PIECE = 16384 /* less than any pipe of the stash holds */ };

static bool has_content(const struct spill *spill)
{
    return spill->begin < spill->end;
}

static uint64_t pending(const struct spill *spill)
{
    return spill->waiting.bytes + spill->in_hand_bytes;
}

bool spill_holds(const struct fanout_sink *sink)
{
    return has_content(&sink->spill) || pending(&sink->spill) > 0;
}

uint64_t spill_pending(const struct fanout_sink *sink)
{
    return pending(&sink->spill);
}

unsigned spill_pipes(const struct fanout_sink *sink)
{
    return sink->spill.waiting.pipes + sink->spill.in_hand;
}

/* Without the file the sink's bytes are not complete: it fails with the file's error. */
static void failed(struct sluice_fanout *fanout, struct fanout_sink *sink, int error)
{
    sink_fail(fanout, sink, "spill", error, "its spill file cannot be used");
}

bool spill_is_at_work(const struct fanout_sink *sink)
{
    return sink->spill.in_hand > 0 || sink->spill.reading || sink->spill.emptying.bytes > 0;
}

static void grew(struct fanout_sink *sink, uint64_t bytes)
{
    sink->spill.end += bytes;
    sink->spilled += bytes;
}

/* ---- writing ---- */

/* Where splice(2) cannot write to the file. */
static ssize_t write_some(int fd, struct pipe *pipe, int64_t at)
{
    char bytes[PIECE];
    const ssize_t length = sys_read(
        pipe->read_end, bytes, pipe->parked < sizeof bytes ? (size_t)pipe->parked : sizeof bytes);
    ssize_t done = 0;

    while (done < length) {
        const ssize_t value = sys_pwrite(fd, bytes + done, (size_t)(length - done), at + done);
        if (value <= 0 && value != -EINTR)
            return value ? value : -EIO;
        done += value > 0 ? value : 0;
    }
    return length;
}

int spill_write(int fd, struct pipe *pipe, uint64_t at)
{
    bool splices = true;

    while (pipe->parked > 0) {
        int64_t offset = (int64_t)at;
        const ssize_t value = splices ? sys_splice(pipe->read_end, NULL, fd, &offset,
                                                   (size_t)pipe->parked, SPLICE_F_NONBLOCK)
                                      : write_some(fd, pipe, (int64_t)at);
        if (value == -EINTR)
            continue;
        if (value <= 0 && splices && error_action(CALL_SPLICE_OUT, (int)value) == ACTION_FALLBACK) {
            splices = false;
            continue;
        }
        if (value <= 0)
            return value ? (int)value : -EIO;
        pipe->parked -= (uint64_t)value;
        at += (uint64_t)value;
    }
    return 0;
}

/* ---- to the thread, and back ---- */

/* The thread, made when it is first needed. Where none can be had, the file is written inline. */
bool spill_has_thread(struct fanout_sink *sink)
{
    struct spill *spill = &sink->spill;

    if (!spill->spiller && !spill->inline_ && spiller_start(spill->file, &spill->spiller) < 0) {
        spill->inline_ = true;
        sink->not_isolated = "no thread could be had for its spill file";
    }
    return spill->spiller != NULL;
}

/* All of it was fed to the sink: it begins anew, and takes no space meanwhile. */
static void empty_file(struct fanout_sink *sink)
{
    struct spill *spill = &sink->spill;

    if (spill->end == 0 || spill->emptying.bytes > 0)
        return;
    if (spill->spiller) {
        spill->emptying = (struct parcel){.errand = ERRAND_EMPTY, .bytes = spill->end};
        spiller_submit(spill->spiller, &spill->emptying);
    } else if (sys_ftruncate(spill->file->fd, 0) >= 0) {
        spill->begin = spill->end = 0;
    }
}

/* Pages of it may still be on their way to the sink: if they are in the file all the same, nothing is
 * written over them. */
static void emptied(struct spill *spill)
{
    if (spill->emptying.at == 0)
        spill->begin = spill->end = 0;
    spill->emptying.bytes = 0;
}

static void was_read(struct fanout_sink *sink, uint64_t bytes)
{
    struct spill *spill = &sink->spill;

    spill->begin += bytes;
    spill->runs_out = !has_content(spill);
    if (spill->runs_out && pending(spill) == 0)
        empty_file(sink);
}

/* A pipe for the file: its bytes are there, or it could not write them. */
static void written(struct sluice_fanout *fanout, struct fanout_sink *sink, struct parcel *parcel)
{
    struct spill *spill = &sink->spill;

    spill->in_hand--;
    spill->in_hand_bytes -= parcel->bytes;
    grew(sink, parcel->bytes - parcel->pipe->parked);
    stash_put(fanout, parcel);
}

/* A pipe from the file: for the sink, if it is still there. */
static void came_back(struct sluice_fanout *fanout, struct fanout_sink *sink, struct parcel *parcel)
{
    const uint64_t bytes = parcel->pipe->parked;

    sink->spill.reading = false;
    parcel->errand = ERRAND_WRITE;
    parcel->used = parcel->pipe->capacity;
    if (bytes == 0 || sink->spill.stops || sink->state != SLUICE_SINK_RUNNING) {
        stash_put(fanout, parcel);
        return;
    }
    queue_push(sink, &sink->queue, parcel, bytes);
    was_read(sink, bytes);
}

/* Takes back what the thread has finished; with `wait`, all that it has. 0, or its error. */
static int take_back(struct sluice_fanout *fanout, struct fanout_sink *sink, bool wait)
{
    struct spill *spill = &sink->spill;
    struct parcel *parcel;
    int error = 0;

    while (spill_is_at_work(sink) && (parcel = spiller_reap(spill->spiller, wait, &error)))
        if (parcel == &spill->emptying)
            emptied(spill);
        else if (parcel->errand == ERRAND_READ)
            came_back(fanout, sink, parcel);
        else
            written(fanout, sink, parcel);
    return error;
}

static void submit(struct fanout_sink *sink)
{
    struct spill *spill = &sink->spill;
    struct parcel *parcel = queue_shift(&spill->waiting);

    parcel->bytes = parcel->pipe->parked;
    parcel->at = spill->end + spill->in_hand_bytes;
    spill->waiting.bytes -= parcel->bytes;
    spill->in_hand++;
    spill->in_hand_bytes += parcel->bytes;
    spiller_submit(spill->spiller, parcel);
}

/* The file is used up and the queue empty: what still waits for the file need not go there. */
static void pass_by(struct fanout_sink *sink)
{
    struct spill *spill = &sink->spill;
    struct parcel *parcel;

    empty_file(sink);
    spill->runs_out = false;
    while ((parcel = queue_shift(&spill->waiting)))
        queue_push(sink, &sink->queue, parcel, parcel->pipe->parked);
    spill->waiting.bytes = 0;
}

/* A pipe ahead of the sink, within its bounds. */
static bool may_read_ahead(const struct fanout_sink *sink)
{
    const struct spill *spill = &sink->spill;
    const struct queue *queue = &sink->queue;

    if (!has_content(spill) || spill->reading || !spill->spiller)
        return false;
    return queue->bytes == 0 || (queue->pipes == 1 && sink->lag_pipes != 1 &&
                                 queue->bytes + queue->head->pipe->capacity <= sink->lag);
}

static void read_ahead(struct sluice_fanout *fanout, struct fanout_sink *sink)
{
    struct spill *spill = &sink->spill;
    struct parcel *parcel = may_read_ahead(sink) ? stash_get(fanout) : NULL;

    if (!parcel)
        return;
    const uint64_t left = spill->end - spill->begin;
    parcel->errand = ERRAND_READ;
    parcel->at = spill->begin;
    parcel->bytes = left < parcel->pipe->capacity ? left : parcel->pipe->capacity;
    spill->reading = true;
    spiller_submit(spill->spiller, parcel);
}

void spill_turn(struct sluice_fanout *fanout, struct fanout_sink *sink)
{
    struct spill *spill = &sink->spill;

    if (!spill_holds(sink) && !spill_is_at_work(sink))
        return;
    const int error = take_back(fanout, sink, false);
    if (error < 0) {
        failed(fanout, sink, error);
        return;
    }
    read_ahead(fanout, sink);
    if (pending(spill) == 0)
        return;
    if (spill->in_hand == 0 && !has_content(spill) && sink->queue.bytes == 0) {
        pass_by(sink);
        return;
    }
    /* A sink that has caught up with the file is to leave it behind, not to follow it for ever; and one
     * that is being emptied has no place yet where the next bytes go. */
    if (spill->emptying.bytes > 0 || (spill->runs_out && !policy_file_is_slow(fanout, sink)))
        return;
    spill->runs_out = false;
    while (spill->in_hand < IN_HAND && spill->waiting.head)
        submit(sink);
}

int spill_settle(struct sluice_fanout *fanout, struct fanout_sink *sink)
{
    struct spill *spill = &sink->spill;
    int error = 0;

    if (spill_is_at_work(sink))
        error = take_back(fanout, sink, true);
    while (pending(spill) > 0 && error >= 0) {
        while (spill->in_hand < IN_HAND && spill->waiting.head)
            submit(sink);
        error = take_back(fanout, sink, true);
    }
    return error;
}

void spill_stop(struct sluice_fanout *fanout, struct fanout_sink *sink)
{
    struct spill *spill = &sink->spill;
    struct parcel *parcel;

    while ((parcel = queue_shift(&spill->waiting))) {
        stash_drop(fanout, parcel->pipe, (size_t)parcel->pipe->parked);
        stash_put(fanout, parcel);
    }
    spill->waiting.bytes = 0;
    spill->stops = true;
    if (spill->spiller)
        spiller_stop(spill->spiller);
}

void spill_free(struct sluice_fanout *fanout, struct fanout_sink *sink)
{
    spill_stop(fanout, sink);
    if (!sink->spill.spiller)
        return;
    take_back(fanout, sink, true);
    spiller_release(sink->spill.spiller);
    sink->spill.spiller = NULL;
}

/* ---- from a round ---- */

void spill_pipe(struct sluice_fanout *fanout, struct fanout_sink *sink, struct parcel *parcel)
{
    const uint64_t bytes = parcel->pipe->parked;

    if (spill_has_thread(sink)) {
        queue_push(sink, &sink->spill.waiting, parcel, bytes);
        return;
    }
    const int error = spill_write(sink->spill.file->fd, parcel->pipe, sink->spill.end);
    grew(sink, bytes - parcel->pipe->parked);
    stash_put(fanout, parcel);
    if (error < 0)
        failed(fanout, sink, error);
}

void spill_memory(struct sluice_fanout *fanout, struct fanout_sink *sink, const char *bytes,
                  size_t length)
{
    const int error = spill_settle(fanout, sink); /* the order is kept */

    if (error < 0)
        failed(fanout, sink, error);
    while (length > 0 && sink->state == SLUICE_SINK_RUNNING) {
        const ssize_t value =
            sys_pwrite(sink->spill.file->fd, bytes, length, (int64_t)sink->spill.end);
        if (value == -EINTR)
            continue;
        if (value <= 0) {
            failed(fanout, sink, value ? (int)value : -EIO);
            return;
        }
        grew(sink, (uint64_t)value);
        bytes += value;
        length -= (size_t)value;
    }
}

void spill_queue(struct sluice_fanout *fanout, struct fanout_sink *sink)
{
    struct scratch *scratch = &sink->scratch;
    int error = 0;

    spill_memory(fanout, sink, scratch->bytes + scratch->start, scratch->end - scratch->start);
    if (sink->state != SLUICE_SINK_RUNNING)
        return;
    for (struct parcel *parcel = sink->queue.head; parcel && parcel->pipe && error >= 0;
         parcel = parcel->next) {
        const uint64_t bytes = parcel->pipe->parked;
        error = spill_write(sink->spill.file->fd, parcel->pipe, sink->spill.end);
        grew(sink, bytes - parcel->pipe->parked);
    }
    if (error < 0)
        failed(fanout, sink, error);
    else
        spill_memory(fanout, sink, fanout->buffer + sink->held.start,
                     sink->held.end - sink->held.start);
}

/* ---- back to the sink ---- */

/* Without an idle pipe: through memory. */
static ssize_t read_file(struct fanout_sink *sink)
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

int spill_read(int fd, struct pipe *pipe, uint64_t at, uint64_t length)
{
    char bytes[PIECE];
    int64_t offset = (int64_t)at;
    ssize_t value;

    do
        value = sys_splice(fd, &offset, pipe->write_end, NULL, (size_t)length, SPLICE_F_NONBLOCK);
    while (value == -EINTR);
    if (value < 0 && error_action(CALL_SPLICE_IN, (int)value) == ACTION_FALLBACK) {
        value = sys_pread(fd, bytes, length < sizeof bytes ? (size_t)length : sizeof bytes,
                          (int64_t)at);
        if (value > 0)
            value = sys_write(pipe->write_end, bytes, (size_t)value);
    }
    if (value > 0)
        pipe->parked = (uint64_t)value;
    return value > 0 ? 0 : value < 0 ? (int)value : -ENODATA;
}

/* Where there is no thread. */
static int read_inline(struct sluice_fanout *fanout, struct fanout_sink *sink)
{
    const struct spill *spill = &sink->spill;
    const uint64_t left = spill->end - spill->begin;
    struct parcel *parcel = stash_get(fanout);

    if (!parcel) {
        const ssize_t value = read_file(sink);
        if (value > 0)
            was_read(sink, (uint64_t)value);
        return value > 0 ? 0 : value < 0 ? (int)value : -ENODATA;
    }
    const int error = spill_read(spill->file->fd, parcel->pipe, spill->begin,
                                 left < parcel->pipe->capacity ? left : parcel->pipe->capacity);
    came_back(fanout, sink, parcel);
    return error;
}

bool spill_refill(struct sluice_fanout *fanout, struct fanout_sink *sink)
{
    struct spill *spill = &sink->spill;

    if (!has_content(spill) || spill->reading)
        return false;
    if (spill_has_thread(sink))
        read_ahead(fanout, sink);
    if (spill->reading)
        return false;
    const int error = read_inline(fanout, sink);
    if (error < 0)
        failed(fanout, sink, error);
    return error >= 0;
}
