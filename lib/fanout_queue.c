/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "fanout.h"
#include "sys.h"

enum {
    /* A pipe of fewer slots is beyond the user's budget (it gets 2): rounds through it would cost
     * more calls than bytes through memory cost copies. */
    SIZE_LEAST = 16 * 4096,
    SIZE_MOST = 1 << 20,
    BUDGET = 48 << 20,
    /* Pipes that may wait for one sink, unless it was told: so many divided by the sinks. */
    SHARED_OUT = 32,
    SHARE_LEAST = 2,
    SHARE_MOST = 16,
    DROP_AT_ONCE = 16384,
};

/* ---- idle pipes ---- */

/* The smallest first: a master taken from the front fits into any other. */
static void shelve(struct stash *stash, struct parcel *parcel)
{
    struct parcel **link = &stash->idle;

    parcel->used = 0;
    while (*link && (*link)->pipe->capacity < parcel->pipe->capacity)
        link = &(*link)->next;
    parcel->next = *link;
    *link = parcel;
    stash->idle_count++;
}

unsigned stash_share(const struct sluice_fanout *fanout)
{
    const unsigned share = fanout->running ? SHARED_OUT / fanout->running : SHARE_MOST;

    return share < SHARE_LEAST ? SHARE_LEAST : share > SHARE_MOST ? SHARE_MOST : share;
}

/* All pipes together stay below what an ordinary user has (64 MiB, his other pipes included). */
static uint32_t size_for(const struct sluice_fanout *fanout)
{
    uint64_t pipes = (uint64_t)fanout->running * (1 + stash_share(fanout));
    uint32_t size = SIZE_MOST;

    for (unsigned i = 0; i < fanout->sinks; i++) /* as many wait for a file */
        if (fanout->sink[i] && fanout->sink[i]->spill.file)
            pipes += stash_share(fanout);
    while (size > SIZE_LEAST && size * pipes > BUDGET)
        size /= 2;
    return size;
}

static int make_pipe(struct sluice_fanout *fanout)
{
    struct stash *stash = &fanout->stash;
    struct parcel *parcel = calloc(1, sizeof *parcel);

    if (!parcel)
        return -ENOMEM;
    if (!stash->size)
        stash->size = size_for(fanout);
    int error = pipe_get(&fanout->context->pool, stash->size, &parcel->pipe);
    if (error >= 0 && parcel->pipe->capacity < SIZE_LEAST)
        error = -EPERM; /* as F_SETPIPE_SZ says beyond the budget */
    else if (error >= 0)
        error = sys_fcntl(parcel->pipe->write_end, F_SETFL, O_WRONLY | O_NONBLOCK);
    if (error < 0) {
        if (parcel->pipe)
            pipe_kill(&fanout->context->pool, parcel->pipe);
        free(parcel);
        return error;
    }
    stash->made++;
    shelve(stash, parcel);
    return 0;
}

int stash_reserve(struct sluice_fanout *fanout, unsigned count)
{
    struct stash *stash = &fanout->stash;

    while (stash->idle_count < count && !stash->refused)
        stash->refused = make_pipe(fanout);
    return stash->idle_count < count ? stash->refused : 0;
}

struct parcel *stash_take(struct stash *stash)
{
    struct parcel *parcel = stash->idle;

    if (parcel) {
        stash->idle = parcel->next;
        stash->idle_count--;
        parcel->next = NULL;
    }
    return parcel;
}

struct parcel *stash_get(struct sluice_fanout *fanout)
{
    return stash_reserve(fanout, 1) < 0 ? NULL : stash_take(&fanout->stash);
}

static void kill_parcel(struct sluice_fanout *fanout, struct parcel *parcel)
{
    pipe_kill(&fanout->context->pool, parcel->pipe);
    free(parcel);
    fanout->stash.made--;
    fanout->stash.refused = 0; /* there is room for one again */
}

void stash_put(struct sluice_fanout *fanout, struct parcel *parcel)
{
    if (parcel->pipe->parked > 0)
        kill_parcel(fanout, parcel);
    else
        shelve(&fanout->stash, parcel);
}

void stash_close(struct sluice_fanout *fanout)
{
    struct parcel *parcel;

    while ((parcel = stash_take(&fanout->stash)))
        kill_parcel(fanout, parcel);
    if (fanout->stash.null >= 0)
        sys_close(fanout->stash.null);
    fanout->stash.null = -1;
}

void stash_rest(struct sluice_fanout *fanout)
{
    struct stash *stash = &fanout->stash;
    struct parcel *parcel;

    while ((parcel = stash_take(stash))) {
        struct pipe *pipe = parcel->pipe;
        if (sys_fcntl(pipe->write_end, F_SETFL, O_WRONLY) < 0) { /* as the pool's pipes are */
            kill_parcel(fanout, parcel);
            continue;
        }
        pipe_put(&fanout->context->pool, pipe);
        free(parcel);
        stash->made--;
        stash->refused = 0;
    }
    if (stash->null >= 0)
        sys_close(stash->null);
    stash->null = -1;
}

/* ---- throwing away ---- */

static ssize_t drop_by_reading(struct pipe *pipe, size_t length)
{
    char nowhere[DROP_AT_ONCE];
    return sys_read(pipe->read_end, nowhere, length < sizeof nowhere ? length : sizeof nowhere);
}

int stash_drop(struct sluice_fanout *fanout, struct pipe *pipe, size_t length)
{
    struct stash *stash = &fanout->stash;
    bool splices = true;

    if (stash->null < 0)
        stash->null = fd_above_standard(sys_open("/dev/null", O_WRONLY | O_CLOEXEC));
    while (length > 0) {
        splices = splices && stash->null >= 0;
        const ssize_t value =
            splices ? sys_splice(pipe->read_end, NULL, stash->null, NULL, length, SPLICE_F_NONBLOCK)
                    : drop_by_reading(pipe, length);
        if (value == -EINTR)
            continue;
        if (value <= 0 && !splices)
            return value < 0 ? (int)value : -EIO;
        if (value <= 0) {
            splices = false;
            continue;
        }
        pipe->parked -= (uint64_t)value;
        length -= (size_t)value;
    }
    return 0;
}

/* ---- a sink's backlog ---- */

void queue_push(struct fanout_sink *sink, struct queue *queue, struct parcel *parcel,
                uint64_t bytes)
{
    parcel->next = NULL;
    if (queue->tail)
        queue->tail->next = parcel;
    else
        queue->head = parcel;
    queue->tail = parcel;
    queue->bytes += bytes;
    queue->pipes += parcel->pipe != NULL;
    const unsigned pipes = sink->queue.pipes + spill_pipes(sink);
    if (pipes > sink->pipes_most)
        sink->pipes_most = pipes;
}

struct parcel *queue_shift(struct queue *queue)
{
    struct parcel *parcel = queue->head;

    if (!parcel)
        return NULL;
    queue->head = parcel->next;
    if (!queue->head)
        queue->tail = NULL;
    queue->pipes -= parcel->pipe != NULL;
    return parcel;
}

void queue_pop(struct sluice_fanout *fanout, struct fanout_sink *sink)
{
    struct parcel *parcel = queue_shift(&sink->queue);

    if (parcel->pipe) {
        stash_put(fanout, parcel);
    } else {
        parcel->start = parcel->end = 0;
        fanout->buffer_users--;
    }
}

uint64_t queue_discard(struct sluice_fanout *fanout, struct fanout_sink *sink)
{
    const uint64_t bytes = sink->queue.bytes;

    while (sink->queue.head) {
        struct pipe *pipe = sink->queue.head->pipe;
        if (pipe) /* what cannot be emptied is closed */
            stash_drop(fanout, pipe, (size_t)pipe->parked);
        queue_pop(fanout, sink);
    }
    sink->scratch.start = sink->scratch.end = 0;
    sink->queue.bytes = 0;
    return bytes;
}
