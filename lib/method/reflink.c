/* SPDX-License-Identifier: MIT */
/*
 * reflink: FICLONERANGE, by which the sink shares the source's extents: no byte moves, whatever the
 * size. Extents begin and end at blocks; what lies before the first whole block of the range and
 * after the last is copied, by copy_file_range. The last block of the source may be shared though
 * it is not whole.
 */
#include <errno.h>

#include "../sys.h"
#include "../transfer.h"

/* What is shared by whole blocks only: both offsets must lie alike in their blocks. */
static uint64_t block_of(const struct sluice_transfer *transfer)
{
    const uint32_t in = transfer->in.endpoint->block, out = transfer->out.endpoint->block;
    return in > out ? in : out;
}

static struct move copy_edge(struct side *in, struct side *out, uint64_t length)
{
    const ssize_t value =
        sys_copy_file_range(in->fd, &in->offset, out->fd, &out->offset, (size_t)length);
    return (struct move){.call = CALL_REFLINK_EDGE, .value = value};
}

static struct move share(struct side *in, struct side *out, uint64_t length)
{
    const int error =
        sys_clone_range(in->fd, (uint64_t)in->offset, length, out->fd, (uint64_t)out->offset);
    if (error < 0)
        return (struct move){.call = CALL_REFLINK, .value = error};
    in->offset += (int64_t)length;
    out->offset += (int64_t)length;
    return (struct move){.call = CALL_REFLINK, .value = (ssize_t)length};
}

static struct move reflink_pump(struct sluice_transfer *transfer, size_t want)
{
    struct side *in = &transfer->in, *out = &transfer->out;
    const uint64_t block = block_of(transfer);
    uint64_t size, sink_size, length = want;
    struct move move = {.call = CALL_REFLINK};

    move.value = side_take_offset(in);
    if (move.value == 0)
        move.value = side_take_offset(out);
    if (move.value == 0)
        move.value = endpoint_size(in->endpoint, &size);
    if (move.value == 0)
        move.value = endpoint_size(out->endpoint, &sink_size);
    if (move.value < 0 || (uint64_t)in->offset >= size)
        return move; /* 0: the end */
    const uint64_t left = size - (uint64_t)in->offset, begun = (uint64_t)in->offset % block;
    if (begun != (uint64_t)out->offset % block) {
        move.value = -EINVAL; /* no block of the one is a block of the other */
        return move;
    }
    if (length > left)
        length = left;
    if (begun != 0)
        return copy_edge(in, out, length < block - begun ? length : block - begun);
    /* The source's last block, and after it nothing of the sink's own. */
    const bool to_the_end = length == left && (uint64_t)out->offset + length >= sink_size;
    if (!to_the_end && length % block != 0) {
        if (length < block)
            return copy_edge(in, out, length);
        length -= length % block;
    }
    return share(in, out, length);
}

const struct method method_reflink = {
    .id = SLUICE_METHOD_REFLINK,
    .chunk = 1 << 30,
    .pump = reflink_pump,
};
