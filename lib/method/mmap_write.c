/* SPDX-License-Identifier: MIT */
/*
 * mmap-write: the source is mapped, a window at a time, and written from the mapping.
 *
 * The mapping is never touched in user space, so a file that is truncated meanwhile raises no
 * SIGBUS: write() says EFAULT, or stops short. But the rest of the page in which the file now ends
 * goes out as zeros, so the size is looked at again after each window.
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

/* Returns 1 if a window is open at the position, 0 at the end of the file, or a negative errno. */
static int window_open(struct sluice_transfer *transfer, struct move *move)
{
    struct window *window = &transfer->window;
    const int64_t page = sysconf(_SC_PAGESIZE), position = transfer->in.offset;
    uint64_t size;

    if (window->address && position >= window->begin && position < window->end)
        return 1;
    window_close(transfer);
    move->call = CALL_MAP;
    int error = endpoint_size(transfer->in.endpoint, &size);
    if (error < 0 || (uint64_t)position >= size)
        return error;
    const int64_t begin = position - position % page;
    const int64_t end = (int64_t)size - begin > WINDOW ? begin + WINDOW : (int64_t)size;
    const size_t length = (size_t)(end - begin);
    error = sys_mmap(length, PROT_READ, MAP_SHARED, transfer->in.fd, begin, &window->address);
    if (error < 0)
        return error;
    sys_madvise(window->address, length, MADV_SEQUENTIAL);
    *window = (struct window){window->address, length, begin, end};
    transfer_row(transfer, CALL_MAP)->calls++;
    return 1;
}

/* A file that now ends inside what was just written: the bytes beyond were zeros, not the file's. */
static bool truncated(const struct sluice_transfer *transfer, int64_t written_to)
{
    uint64_t size;
    return endpoint_size(transfer->in.endpoint, &size) >= 0 && size < (uint64_t)written_to;
}

/* A file that was truncated since the window was mapped is written only as far as it goes. Returns
 * true if nothing is left of it here. */
static bool shortened(const struct sluice_transfer *transfer, size_t *length)
{
    const int64_t position = transfer->in.offset;
    uint64_t size;

    if (endpoint_size(transfer->in.endpoint, &size) < 0 || size >= (uint64_t)position + *length)
        return false;
    *length = size > (uint64_t)position ? (size_t)(size - (uint64_t)position) : 0;
    return *length == 0;
}

static struct move mmap_pump(struct sluice_transfer *transfer, size_t want)
{
    struct side *in = &transfer->in;
    struct window *window = &transfer->window;
    struct move move = {.call = CALL_WRITE_MAPPED};

    move.value = side_take_offset(in);
    if (move.value < 0) {
        move.call = CALL_SEEK;
        return move;
    }
    move.value = window_open(transfer, &move);
    if (move.value <= 0)
        return move;
    move = (struct move){.call = CALL_MAP};
    size_t length = (size_t)(window->end - in->offset);
    if (length > want)
        length = want;
    if (shortened(transfer, &length))
        return move; /* the end, says CALL_MAP */
    move.call = CALL_WRITE_MAPPED;
    move.value =
        memory_write(transfer, (char *)window->address + (in->offset - window->begin), length);
    if (move.value > 0) {
        in->offset += move.value;
        transfer_row(transfer, CALL_MAP)->bytes += (uint64_t)move.value;
        transfer->truncated |= truncated(transfer, in->offset);
    }
    return move;
}

const struct method method_mmap_write = {
    .id = SLUICE_METHOD_MMAP_WRITE,
    .chunk = WINDOW,
    .pump = mmap_pump,
    .leave = window_close,
};
