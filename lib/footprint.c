/* SPDX-License-Identifier: MIT */
#include "footprint.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sys.h"
#include "transfer.h"

enum {
    WINDOW = 8 << 20,  /* dropped at a time: large enough to cost nothing, small beside memory */
    AHEAD = 16 << 20,  /* the kernel reads ahead of us, by less than this */
    COARSE = 64 << 10, /* what is in the cache in part, below this, counts as there ... */
    RANGES = 4096,     /* ... in a file that has more ranges there than these */
};

static uint64_t page_size(void)
{
    return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* ---- what is there ---- */

static int remember(struct trail *trail, uint64_t begin, uint64_t end)
{
    if (trail->count > 0 && trail->before[trail->count - 1].end == begin) {
        trail->before[trail->count - 1].end = end;
        return 0;
    }
    if (trail->count == trail->room) {
        const size_t room = trail->room ? 2 * trail->room : 16;
        struct range *grown = realloc(trail->before, room * sizeof *grown);
        if (!grown)
            return -ENOMEM;
        trail->before = grown;
        trail->room = room;
    }
    trail->before[trail->count++] = (struct range){begin, end};
    return 0;
}

/* Another user's file: cachestat(2) says EPERM. A read of one byte that may not wait tells whether a
 * window is there; through a descriptor of our own that reads nothing ahead. */
static int survey_by_reading(struct trail *trail, const struct sluice_endpoint *endpoint)
{
    int error = 0;

    const int fd = endpoint_reopen(endpoint, O_RDONLY);
    if (fd < 0)
        return fd;
    sys_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    for (uint64_t at = trail->begin; at < trail->end && error >= 0; at += COARSE) {
        const ssize_t value = sys_pread_nowait(fd, (int64_t)at);
        const uint64_t end = at + COARSE < trail->end ? at + COARSE : trail->end;
        if (value != -EAGAIN)
            error = value < 0 ? (int)value : remember(trail, at, end);
    }
    sys_close(fd);
    return error;
}

/* Halves the range until a part is in the cache whole or not at all. cachestat(2) tells the number
 * of pages of any range, so a cold or a hot file takes one call. */
static int survey(struct trail *trail, int fd, uint64_t begin, uint64_t end)
{
    uint64_t pages;

    const int error = sys_cachestat(fd, begin, end - begin, &pages);
    if (error < 0 || pages == 0)
        return error;
    const bool fine = trail->count < RANGES;
    if (pages >= (end - begin) / page_size() || (!fine && end - begin <= COARSE))
        return remember(trail, begin, end);
    const uint64_t half = (begin + (end - begin) / 2) / page_size() * page_size();
    const int below = survey(trail, fd, begin, half);
    return below < 0 ? below : survey(trail, fd, half, end);
}

/* The parts of [begin, end) that were not there before, one after the other: begins with *at ==
 * begin, returns false after the last. */
static bool next_own(const struct trail *trail, uint64_t *at, uint64_t end, struct range *ret)
{
    for (size_t i = 0; i < trail->count && *at < end; i++) {
        const struct range *before = &trail->before[i];
        if (before->end <= *at)
            continue;
        if (before->begin > *at) {
            *ret = (struct range){*at, before->begin < end ? before->begin : end};
            *at = ret->end;
            return true;
        }
        *at = before->end;
    }
    if (*at >= end)
        return false;
    *ret = (struct range){*at, end};
    *at = end;
    return true;
}

/* ---- letting go ---- */

static void drop(const struct trail *trail, int fd, uint64_t begin, uint64_t end)
{
    struct range own;

    if (!trail->known)
        return;
    for (uint64_t at = begin; next_own(trail, &at, end, &own);)
        sys_fadvise(fd, (int64_t)own.begin, (int64_t)(own.end - own.begin), POSIX_FADV_DONTNEED);
}

/* What a call says of the device. That it is not to be had here is no error. */
static void note_error(struct footprint *footprint, int error)
{
    if (error == -EIO || error == -ENOSPC || error == -EDQUOT)
        footprint->error = error;
}

/* Dirty pages do not go. Writing of a window begins as soon as it is full, and is waited for only
 * when the next one is: the disk and the source work at once. */
static void write_out(struct footprint *footprint, int fd, uint64_t to, bool wait)
{
    struct trail *trail = &footprint->sink;

    if (to > trail->written) {
        note_error(footprint,
                   sys_sync_file_range(fd, (int64_t)trail->written, (int64_t)(to - trail->written),
                                       SYNC_FILE_RANGE_WRITE));
        trail->written = to;
    }
    if (wait && to > trail->cursor)
        note_error(footprint,
                   sys_sync_file_range(fd, (int64_t)trail->cursor, (int64_t)(to - trail->cursor),
                                       SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                                           SYNC_FILE_RANGE_WAIT_AFTER));
}

static void follow_source(struct trail *trail, const struct side *in, uint64_t position)
{
    if (position < trail->cursor + WINDOW)
        return;
    position -= position % page_size();
    drop(trail, in->endpoint->fd, trail->cursor, position);
    trail->cursor = position;
}

static void follow_sink(struct footprint *footprint, const struct side *out, uint64_t position)
{
    struct trail *trail = &footprint->sink;
    const int fd = out->endpoint->fd;

    if (position < trail->written + WINDOW)
        return;
    const uint64_t begun = trail->written;
    write_out(footprint, fd, position - position % page_size(), false);
    if (begun > trail->cursor) {
        write_out(footprint, fd, begun, true);
        drop(trail, fd, trail->cursor, begun);
        trail->cursor = begun;
    }
}

void footprint_follow(struct sluice_transfer *transfer)
{
    struct footprint *footprint = &transfer->footprint;
    const uint64_t delivered = transfer->delivered;

    if (footprint->source.on)
        follow_source(&footprint->source, &transfer->in, transfer->source_begin + delivered);
    if (footprint->sink.on && !transfer_uncached(transfer, &transfer->out))
        follow_sink(footprint, &transfer->out, transfer->sink_begin + delivered);
}

static void drop_all(const struct sluice_transfer *transfer)
{
    const struct trail *source = &transfer->footprint.source, *sink = &transfer->footprint.sink;

    if (source->on)
        drop(source, transfer->in.endpoint->fd, source->begin, source->end);
    if (sink->on)
        drop(sink, transfer->out.endpoint->fd, sink->begin, sink->end);
}

void footprint_end(struct sluice_transfer *transfer)
{
    struct trail *sink = &transfer->footprint.sink;
    const uint64_t page = page_size(), end = transfer->sink_begin + transfer->delivered;

    if (sink->on) {
        sink->end = (end + page - 1) / page * page;
        write_out(&transfer->footprint, transfer->out.endpoint->fd, sink->end, true);
    }
    drop_all(transfer);
}

/* ---- beginning, and what is left ---- */

/* tmpfs has its files nowhere else. */
static bool leaves_a_trail(const struct sluice_endpoint *endpoint)
{
    return (endpoint->medium & (MEDIUM_FILE | MEDIUM_REMOTE | MEDIUM_BLOCK)) && endpoint->fd >= 0 &&
           strcmp(endpoint->name, "tmpfs") != 0;
}

bool footprint_uncached(const struct sluice_endpoint *endpoint)
{
    enum { NOWHERE = 62 }; /* 2 to the power of it: no file is as long */
    char byte;

    if (!leaves_a_trail(endpoint))
        return false;
    const bool readable = (endpoint->flags & O_ACCMODE) != O_WRONLY;
    const int fd = readable ? endpoint->fd : endpoint_reopen(endpoint, O_RDONLY);
    const ssize_t value = fd < 0 ? fd : sys_pread_uncached(fd, &byte, 1, (int64_t)1 << NOWHERE);
    if (fd >= 0 && !readable)
        sys_close(fd);
    return value >= 0;
}

static void begin_trail(struct trail *trail, const struct sluice_endpoint *endpoint, uint64_t begin,
                        uint64_t end)
{
    const uint64_t page = page_size();
    int error = 0;

    trail->begin = begin / page * page;
    trail->end = (end + page - 1) / page * page;
    trail->cursor = trail->written = trail->begin;
    trail->on = true;
    if (trail->end > trail->begin)
        error = survey(trail, endpoint->fd, trail->begin, trail->end);
    if (error == -EPERM || error == -ENOSYS)
        error = survey_by_reading(trail, endpoint);
    trail->known = error >= 0;
}

void footprint_begin(struct sluice_transfer *transfer)
{
    struct side *in = &transfer->in, *out = &transfer->out;
    uint64_t size;

    if (transfer->options.cache == SLUICE_CACHE_KEEP || transfer->footprint.begun)
        return;
    transfer->footprint.begun = true;
    transfer->source_begin = side_position(in);
    transfer->sink_begin = side_position(out);
    if (leaves_a_trail(in->endpoint) && endpoint_size(in->endpoint, &size) >= 0) {
        uint64_t end = transfer->source_begin + transfer->expected + AHEAD;
        if (end > size || end < transfer->source_begin)
            end = size;
        in->uncached = footprint_uncached(in->endpoint);
        begin_trail(&transfer->footprint.source, in->endpoint, transfer->source_begin, end);
    }
    if (leaves_a_trail(out->endpoint) && !(out->endpoint->flags & O_APPEND) &&
        endpoint_size(out->endpoint, &size) >= 0) {
        out->uncached = footprint_uncached(out->endpoint);
        begin_trail(&transfer->footprint.sink, out->endpoint, transfer->sink_begin, size);
    }
}

static uint64_t left_of(const struct trail *trail, int fd)
{
    uint64_t left = 0, pages;
    struct range own;

    if (!trail->on)
        return 0;
    if (!trail->known)
        return UINT64_MAX;
    for (uint64_t at = trail->begin; next_own(trail, &at, trail->end, &own);) {
        if (sys_cachestat(fd, own.begin, own.end - own.begin, &pages) < 0)
            return UINT64_MAX;
        left += pages * page_size();
    }
    return left;
}

uint64_t sluice_transfer_uncache(sluice_transfer *transfer)
{
    struct footprint *footprint = &transfer->footprint;

    if (transfer->state == STATE_RUNNING)
        return UINT64_MAX;
    drop_all(transfer);
    const uint64_t source = left_of(&footprint->source, transfer->in.endpoint->fd);
    const uint64_t sink = left_of(&footprint->sink, transfer->out.endpoint->fd);
    return source == UINT64_MAX || sink == UINT64_MAX ? UINT64_MAX : source + sink;
}

void footprint_free(struct footprint *footprint)
{
    free(footprint->source.before);
    free(footprint->sink.before);
}
