/* SPDX-License-Identifier: MIT */
/*
 * The file behind the queue of a sink that spills. Bytes for it wait in pipes, as those of the queue do,
 * and a thread writes these into the file; what has arrived there is fed to the sink in its turn. When
 * as much waits for the file as may wait for a sink, the file is too slow, and everybody waits for it:
 * nothing is lost.
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

/* A pipe that the thread has given back: its bytes are in the file, or it could not write them. */
static void returned(struct sluice_fanout *fanout, struct fanout_sink *sink, struct parcel *parcel)
{
    struct spill *spill = &sink->spill;
    const uint64_t written = parcel->bytes - parcel->pipe->parked;

    spill->in_hand--;
    spill->in_hand_bytes -= parcel->bytes;
    grew(sink, written);
    stash_put(fanout, parcel);
}

/* Takes back what is written; with `wait`, all that the thread has. 0, or the thread's error. */
static int take_back(struct sluice_fanout *fanout, struct fanout_sink *sink, bool wait)
{
    struct spill *spill = &sink->spill;
    struct parcel *parcel;
    int error = 0;

    while (spill->in_hand > 0 && (parcel = spiller_reap(spill->spiller, wait, &error)))
        returned(fanout, sink, parcel);
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

/* All of it was fed to the sink: it begins anew, and takes no space meanwhile. */
static void empty_file(struct fanout_sink *sink)
{
    struct spill *spill = &sink->spill;

    if (spill->end > 0 && sys_ftruncate(spill->file->fd, 0) >= 0)
        spill->begin = spill->end = 0;
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

void spill_turn(struct sluice_fanout *fanout, struct fanout_sink *sink)
{
    struct spill *spill = &sink->spill;

    if (pending(spill) == 0)
        return;
    const int error = take_back(fanout, sink, false);
    if (error < 0) {
        failed(fanout, sink, error);
        return;
    }
    if (spill->in_hand == 0 && !has_content(spill) && sink->queue.bytes == 0) {
        pass_by(sink);
        return;
    }
    /* A sink that has caught up with the file is to leave it behind, not to follow it for ever. */
    if (spill->runs_out && !policy_file_is_slow(fanout, sink))
        return;
    spill->runs_out = false;
    while (spill->in_hand < IN_HAND && spill->waiting.head)
        submit(sink);
}

int spill_settle(struct sluice_fanout *fanout, struct fanout_sink *sink)
{
    struct spill *spill = &sink->spill;
    int error = 0;

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

static ssize_t fill_from_file(struct fanout_sink *sink, struct pipe *pipe)
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
        char bytes[PIECE];
        value = sys_pread(sink->spill.file->fd, bytes,
                          left < sizeof bytes ? (size_t)left : sizeof bytes,
                          (int64_t)sink->spill.begin);
        if (value > 0)
            value = sys_write(pipe->write_end, bytes, (size_t)value);
    }
    return value;
}

bool spill_refill(struct sluice_fanout *fanout, struct fanout_sink *sink)
{
    struct spill *spill = &sink->spill;

    if (!has_content(spill))
        return false;
    struct parcel *parcel = stash_get(fanout);
    const ssize_t value = parcel ? fill_from_file(sink, parcel->pipe) : read_file(sink);
    if (parcel && value > 0) {
        parcel->pipe->parked = (uint64_t)value;
        queue_push(sink, &sink->queue, parcel, (uint64_t)value);
    } else if (parcel) {
        stash_put(fanout, parcel);
    }
    if (value <= 0) {
        failed(fanout, sink, value ? (int)value : -ENODATA);
        return false;
    }
    spill->begin += (uint64_t)value;
    spill->runs_out = !has_content(spill);
    if (spill->runs_out && pending(spill) == 0)
        empty_file(sink);
    return true;
}
