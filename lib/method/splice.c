/* SPDX-License-Identifier: MIT */
/*
 * splice: page references move through a pipe.
 *
 * Through a private pipe, two calls: the far side's waiting then holds a pipe that nobody else has,
 * the failing side is certain, and what the pipe holds is exactly what is parked. Straight, one
 * call, where an end is a pipe and the other cannot wait (plan_splice_route).
 *
 * No SPLICE_F_MORE: on the last piece it would hold it back for 200 ms, and which piece is the last
 * is known only afterwards. No SPLICE_F_MOVE: it has had no effect since 2.6.21.
 */
#include <fcntl.h>

#include "../sys.h"
#include "../transfer.h"

/* Asked for a private pipe unless the options say otherwise: the larger it is, the fewer calls. */
enum { PIPE_SIZE = 1 << 20, PIPE_LEAST = 1 << 16 };

/* SPLICE_F_NONBLOCK speaks of the pipes of a call only. The private pipe never makes us wait: it is
 * filled only if it has room, and drained only of what it holds. A user's pipe may make us wait where
 * it brings what goes into a file. Where others drain what we bring, they are given the CPU for a moment
 * before anybody sleeps (run.c), which was measured to be faster. */
static unsigned flags_for(const struct sluice_transfer *transfer)
{
    const struct sluice_endpoint *in = transfer->in.endpoint, *out = transfer->out.endpoint;
    const bool by_a_file = (in->medium | out->medium) & MEDIA_SEEKABLE;

    return transfer->may_wait && by_a_file && out->medium != MEDIUM_PIPE ? 0 : SPLICE_F_NONBLOCK;
}

static int borrow_pipe(struct sluice_transfer *transfer)
{
    uint64_t size = transfer->options.pipe_size;
    if (!size) {
        size = PIPE_SIZE;
        while (size > PIPE_LEAST && size / 2 >= transfer->expected)
            size /= 2;
    }
    int error = pipe_get(&transfer->context->pool, (uint32_t)size, &transfer->pipe);
    if (error >= 0) {
        transfer->ledger.pipe_asked = transfer->pipe->asked;
        transfer->ledger.pipe_got = transfer->pipe->capacity;
    }
    return error;
}

static struct move splice_fill(struct sluice_transfer *transfer, size_t want)
{
    struct side *in = &transfer->in;

    if (!transfer->pipe) {
        const int error = borrow_pipe(transfer);
        if (error < 0)
            return (struct move){.call = CALL_PIPE, .value = error};
    }
    const ssize_t value = sys_splice(in->fd, side_offset(in), transfer->pipe->write_end, NULL, want,
                                     flags_for(transfer));
    if (value > 0)
        transfer->pipe->parked += (uint64_t)value;
    return (struct move){.call = CALL_SPLICE_IN, .value = value};
}

struct move splice_drain(struct sluice_transfer *transfer)
{
    struct side *out = &transfer->out;
    uint64_t length = transfer->pipe->parked;

    if (length > transfer->allowance)
        length = transfer->allowance;
    if (!transfer->may_wait && length > side_bound(out))
        length = side_bound(out);
    const ssize_t value = sys_splice(transfer->pipe->read_end, NULL, out->fd, side_offset(out),
                                     (size_t)length, flags_for(transfer));
    if (value > 0)
        transfer->pipe->parked -= (uint64_t)value;
    return (struct move){.call = CALL_SPLICE_OUT, .value = value};
}

static bool splice_has_room(struct sluice_transfer *transfer)
{
    if (!transfer->pipe)
        return true;
    transfer->ledger.polls += transfer->pipe->parked > 0;
    return pipe_has_room(transfer->pipe);
}

static struct move splice_pump(struct sluice_transfer *transfer, size_t want)
{
    struct side *in = &transfer->in, *out = &transfer->out;
    /* Not waiting inside: a writer that sleeps on a full pipe is woken for each slot, and poll for
     * some (measured: up to twice the throughput). */
    const ssize_t value =
        sys_splice(in->fd, side_offset(in), out->fd, side_offset(out), want, SPLICE_F_NONBLOCK);
    return (struct move){.call = CALL_SPLICE, .value = value};
}

const struct method method_splice = {
    .id = SLUICE_METHOD_SPLICE,
    .chunk = 1 << 20,
    .fill = splice_fill,
    .drain = splice_drain,
    .has_room = splice_has_room,
};

const struct method method_splice_straight = {
    .id = SLUICE_METHOD_SPLICE,
    .chunk = 1 << 20,
    .bounded = true,
    .pump = splice_pump,
};
