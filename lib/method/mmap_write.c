/* SPDX-License-Identifier: MIT */
/*
 * mmap-write: the source is mapped, a window at a time, and written from the mapping.
 *
 * The mapping is never touched in user space, so a file that is truncated meanwhile raises no
 * SIGBUS: write() says EFAULT, or stops short. But the rest of the page in which the file now ends
 * goes out as zeros, so the size is looked at before each write: it says how far this one may go, and
 * whether the one before it went too far. The last write has none after it, and is looked after at once.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../sys.h"
#include "../transfer.h"

enum { WINDOW = 2 << 20 };

static void window_close(struct sluice_transfer *transfer)
{
    struct window *window = &transfer->window;
    if (window->address)
        sys_munmap(window->address, window->mapped);
    *window = (struct window){0};
}

/* The size of the source now. If it ends before what was written, the bytes beyond were zeros, not the
 * file's. Returns 0 or a negative errno. */
static int look(struct sluice_transfer *transfer, uint64_t *ret_size)
{
    const int error = endpoint_size(transfer->in.endpoint, ret_size);

    if (error < 0)
        return error;
    if (transfer->window.unseen && *ret_size < (uint64_t)transfer->in.offset)
        transfer->truncated = true;
    transfer->window.unseen = false;
    return 0;
}

/* Opens a window at the position, which is before the end. Returns 0 or a negative errno. */
static int window_open(struct sluice_transfer *transfer, uint64_t size)
{
    struct window *window = &transfer->window;
    const int64_t page = sysconf(_SC_PAGESIZE), position = transfer->in.offset;

    if (window->address && position >= window->begin && position < window->end)
        return 0;
    window_close(transfer);
    const int64_t begin = position - position % page;
    const int64_t end = (int64_t)size - begin > WINDOW ? begin + WINDOW : (int64_t)size;
    const size_t length = (size_t)(end - begin);
    const int error =
        sys_mmap(length, PROT_READ, MAP_SHARED, transfer->in.fd, begin, &window->address);
    if (error < 0)
        return error;
    sys_madvise(window->address, length, MADV_SEQUENTIAL);
    *window =
        (struct window){.address = window->address, .mapped = length, .begin = begin, .end = end};
    transfer_row(transfer, CALL_MAP)->calls++;
    return 0;
}

static struct move mmap_pump(struct sluice_transfer *transfer, size_t want)
{
    struct side *in = &transfer->in;
    struct window *window = &transfer->window;
    struct move move = {.call = CALL_SEEK};
    uint64_t size;

    move.value = side_take_offset(in);
    if (move.value < 0)
        return move;
    move.call = CALL_MAP;
    move.value = look(transfer, &size);
    if (move.value < 0 || (uint64_t)in->offset >= size)
        return move; /* 0: the end */
    move.value = window_open(transfer, size);
    if (move.value < 0)
        return move;
    uint64_t length = (uint64_t)(window->end < (int64_t)size ? window->end : (int64_t)size);
    length -= (uint64_t)in->offset;
    if (length > want)
        length = want;
    move.call = CALL_WRITE_MAPPED;
    move.value = memory_write(transfer, (char *)window->address + (in->offset - window->begin),
                              (size_t)length);
    if (move.value > 0) {
        in->offset += move.value;
        window->unseen = true;
        transfer_row(transfer, CALL_MAP)->bytes += (uint64_t)move.value;
        if ((uint64_t)move.value >= transfer_left(transfer))
            look(transfer, &size);
    }
    return move;
}

/* Another method may go on from here: it would not know. */
static void mmap_leave(struct sluice_transfer *transfer)
{
    uint64_t size;

    if (transfer->window.unseen)
        look(transfer, &size);
    window_close(transfer);
}

const struct method method_mmap_write = {
    .id = SLUICE_METHOD_MMAP_WRITE,
    .chunk = WINDOW,
    .pump = mmap_pump,
    .leave = mmap_leave,
};
