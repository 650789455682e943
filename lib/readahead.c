/* SPDX-License-Identifier: MIT */
#include "readahead.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "sys.h"
#include "transfer.h"

/* By measurement (docs/files.md): less leaves the disk idle, more brings nothing. */
enum {
    AHEAD = 8 << 20, /* and what is there already is looked at by as much at a time */
    STEP = 2 << 20,  /* asked for at a time */
    LEAST = 128 << 10,
    ENOUGH = 512 << 10, /* the kernel reads so far ahead by itself: it is left alone */
};

/* Whether the page at this offset is there: the last of a step stands for all of it. */
static bool is_there(const struct readahead *readahead, int fd, uint64_t at)
{
    uint64_t pages = 0;

    if (readahead->by_reading)
        return sys_pread_nowait(readahead->fd, (int64_t)at) != -EAGAIN;
    return sys_cachestat(fd, at, 1, &pages) < 0 || pages > 0;
}

/* tmpfs has its files nowhere else; short ones the kernel reads in one piece. */
static bool may_be_cold(const struct sluice_transfer *transfer)
{
    const struct sluice_endpoint *source = transfer->in.endpoint;

    return !(transfer->options.flags & SLUICE_NO_READAHEAD) && transfer->expected > STEP &&
           transfer->expected != UINT64_MAX &&
           (source->medium & (MEDIUM_FILE | MEDIUM_REMOTE | MEDIUM_BLOCK)) &&
           strcmp(source->name, "tmpfs") != 0;
}

static void begin(struct sluice_transfer *transfer)
{
    struct readahead *readahead = &transfer->readahead;
    uint64_t pages;

    readahead->begun = true;
    readahead->fd = -1;
    if (!may_be_cold(transfer))
        return;
    readahead->begin = readahead->asked = side_position(&transfer->in);
    readahead->end = readahead->begin + transfer->expected;
    readahead->on = true;
    /* Of another user's file it is refused. A read of one byte that may not wait tells the same; through
     * the source's own descriptor it would upset what the kernel knows of its pattern. */
    const int error = sys_cachestat(transfer->in.fd, readahead->begin, 1, &pages);
    readahead->piece = STEP;
    if (error >= 0)
        return;
    readahead->by_reading = true;
    readahead->piece = STEP / 4;
    readahead->fd = endpoint_reopen(transfer->in.endpoint, O_RDONLY);
    readahead->on = readahead->fd >= 0;
    if (readahead->on)
        sys_fadvise(readahead->fd, 0, 0, POSIX_FADV_RANDOM);
}

/* Extents that are shared are not read, nor is anything past the page cache; and what /dev/null is given from a mapping is not even
 * mapped. */
static bool is_read(const struct sluice_transfer *transfer)
{
    const struct sluice_candidate *candidate = &transfer->plan.candidate[transfer->current];

    return candidate->leg[0].class_ != SLUICE_CLASS_OFFLOAD &&
           !transfer_uncached(transfer, &transfer->in) &&
           candidate->method != SLUICE_METHOD_DIRECT &&
           !(candidate->method == SLUICE_METHOD_MMAP_WRITE &&
             (transfer->out.endpoint->medium & (MEDIUM_NULL | MEDIUM_ZERO)));
}

/* The kernel cuts a call short, silently, at what the device takes at once: then pieces are smaller
 * from now on. */
static void ask_for(struct readahead *readahead, int fd, uint64_t begin, uint64_t end)
{
    for (;;) {
        for (uint64_t at = begin; at < end; at += readahead->piece) {
            const uint64_t length = end - at < readahead->piece ? end - at : readahead->piece;
            sys_fadvise(fd, (int64_t)at, (int64_t)length, POSIX_FADV_WILLNEED);
        }
        if (readahead->by_reading || readahead->piece == LEAST || is_there(readahead, fd, end - 1))
            return;
        readahead->piece /= 2;
    }
}

/* What the kernel reads ahead by itself it reads into large pages, and what it is asked for into small
 * ones, which cost as much CPU again where bytes go by reference. So it is asked only where it reads
 * little by itself. Of a mapping it reads small ones in any case. */
static bool kernel_does_it(const struct sluice_transfer *transfer)
{
    uint64_t bytes;

    return !(transfer->options.flags & SLUICE_READAHEAD) &&
           transfer->plan.candidate[transfer->current].method != SLUICE_METHOD_MMAP_WRITE &&
           sys_device_readahead(transfer->in.fd, &bytes) >= 0 && bytes >= ENOUGH;
}

/* Looks at, or asks for, what comes next. */
static void go_on(struct sluice_transfer *transfer, uint64_t end)
{
    struct readahead *readahead = &transfer->readahead;
    const int fd = transfer->in.fd;
    const uint64_t begin = readahead->asked, left = end - begin;
    const uint64_t look = begin + (left < AHEAD ? left : AHEAD);
    const uint64_t step = begin + (left < STEP ? left : STEP);

    if (!readahead->cold && is_there(readahead, fd, look - 1)) {
        readahead->asked = look;
        return;
    }
    readahead->asked = step;
    readahead->cold = !is_there(readahead, fd, step - 1);
    if (!readahead->cold)
        return;
    if (readahead->bytes == 0 && kernel_does_it(transfer)) {
        readahead->on = false;
        return;
    }
    ask_for(readahead, fd, begin, step);
    readahead->bytes += step - begin;
}

void readahead_follow(struct sluice_transfer *transfer)
{
    struct readahead *readahead = &transfer->readahead;

    if (!readahead->begun)
        begin(transfer);
    if (!readahead->on || !is_read(transfer))
        return;
    const uint64_t position = readahead->begin + transfer->taken;
    uint64_t end = readahead->end;
    if (transfer->holes.kept && holes_data(transfer) < end - position)
        end = position + holes_data(transfer);
    if (readahead->asked < position)
        readahead->asked = position;
    while (readahead->on && readahead->asked < end && readahead->asked < position + AHEAD)
        go_on(transfer, end);
}

uint64_t readahead_bound(const struct readahead *readahead)
{
    return readahead->on && readahead->cold ? AHEAD / 2 : UINT64_MAX;
}

void readahead_end(struct sluice_transfer *transfer)
{
    enum { MOMENT = 1000000, MOMENTS = 50 };
    struct readahead *readahead = &transfer->readahead;
    const uint64_t position = readahead->begin + transfer->taken;

    if (!readahead->begun)
        return;
    if (transfer->footprint.source.on && readahead->asked > position && readahead->bytes > 0) {
        /* Pages that are being read are locked, and locked ones are not dropped. */
        const int fd = readahead->fd >= 0 ? readahead->fd : transfer->in.fd;
        for (int i = 0; i < MOMENTS; i++)
            if (sys_pread_nowait(fd, (int64_t)readahead->asked - 1) != -EAGAIN ||
                sys_sleep_until(sys_now() + MOMENT) < 0)
                break;
    }
    if (readahead->fd >= 0)
        sys_close(readahead->fd);
    readahead->fd = -1;
    readahead->on = false;
}
