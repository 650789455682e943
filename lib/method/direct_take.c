/* SPDX-License-Identifier: MIT */
/*
 * direct, into a file: where the slots' bytes come from. Of a file they are read ahead, several slots
 * at once; of a stream one slot after the other is filled, and written when it is full, or when
 * nothing more comes.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "../sys.h"
#include "direct.h"

static struct slot *last_slot(struct direct *direct)
{
    return direct_slot(direct, direct->tail - 1);
}

static bool is_filling(const struct direct *direct)
{
    return direct->tail > direct->taken;
}

/* ---- taking from a file ---- */

static int read_slot(struct sluice_transfer *transfer, struct slot *slot, size_t length)
{
    struct direct *direct = transfer->direct;

    const int error = direct_memory(direct, slot);
    if (error < 0)
        return error;
    const size_t before = (size_t)(direct->ahead - direct_floor(direct, direct->ahead));
    *slot = (struct slot){.phase = SLOT_READING,
                          .memory = slot->memory,
                          .in_memory = true,
                          .at = direct->ahead,
                          .asked = length};
    direct->ahead += (int64_t)length;
    slot->request = (struct request){
        .operation = FLIGHT_READ,
        .file = direct->source,
        .memory = slot->memory,
        .length = (before + length + direct->align - 1) / direct->align * direct->align,
        .offset = direct_floor(direct, slot->at),
    };
    direct_submit(direct, slot);
    return 0;
}

/* Where in the sink a slot will be that is read next: it is to begin at a whole block. */
static size_t fitting(const struct sluice_transfer *transfer, size_t length)
{
    const struct direct *direct = transfer->direct;
    const int64_t at = transfer->out.offset + (int64_t)transfer_parked(transfer) +
                       (direct->ahead - transfer->in.offset);
    const size_t odd = (size_t)(at % (int64_t)direct->align);

    if (odd > 0 && length > direct->align - odd)
        return direct->align - odd;
    return length;
}

static int read_ahead(struct sluice_transfer *transfer)
{
    struct direct *direct = transfer->direct;

    if (direct->tail == direct->taken)
        direct->ahead = transfer->in.offset;
    if (direct->tail - direct->head == direct->depth)
        return 0;
    const int64_t limit = direct_limit(transfer);
    while (direct->tail - direct->head < direct->depth && direct->ahead < limit) {
        const int64_t left = limit - direct->ahead;
        const size_t most = left < (int64_t)direct->size ? (size_t)left : direct->size;
        const int error =
            read_slot(transfer, direct_slot(direct, direct->tail), fitting(transfer, most));
        if (error < 0)
            return direct->tail > direct->head ? 0 : error;
        direct->tail++;
    }
    return 0;
}

/* Reads beyond what has just been taken are not where the source goes on. */
static void forget_reads(struct direct *direct)
{
    for (uint64_t number = direct->taken; number < direct->tail; number++)
        while (direct_slot(direct, number)->phase == SLOT_READING)
            direct_collect(direct, true);
    for (uint64_t number = direct->taken; number < direct->tail; number++)
        direct_slot(direct, number)->phase = SLOT_FREE;
    direct->tail = direct->taken;
}

static void shift(struct sluice_transfer *transfer, struct slot *slot, size_t before)
{
    struct sluice_row *row = transfer_row(transfer, CALL_DIRECT_SHIFT);

    memmove(slot->memory, slot->memory + before, slot->length);
    row->bytes += slot->length;
    row->calls++;
}

static bool take_read(struct sluice_transfer *transfer, struct move *ret)
{
    struct direct *direct = transfer->direct;

    *ret = (struct move){.call = CALL_BUFFER, .value = read_ahead(transfer)};
    if (ret->value < 0)
        return true;
    ret->call = CALL_DIRECT_READ;
    struct slot *slot = direct_slot(direct, direct->taken);
    const bool none = direct->tail == direct->taken;
    if (!none && slot->phase != SLOT_FILLED)
        return false;
    if (none || slot->error < 0 || slot->length == 0) { /* told when all before it is delivered */
        if (direct->head < direct->taken)
            return false;
        ret->value = none ? 0 : slot->error;
        if (ret->value == 0)
            forget_reads(direct);
        return true;
    }
    const size_t before = (size_t)(slot->at - direct_floor(direct, slot->at));
    if (before > 0 && !direct_may_copy(transfer)) {
        ret->value = -EINVAL;
        return direct->head == direct->taken;
    }
    if (before > 0)
        shift(transfer, slot, before);
    ret->value = (ssize_t)slot->length;
    const bool cut = slot->length < slot->asked;
    slot->at = transfer->out.offset + (int64_t)transfer_parked(transfer);
    transfer->in.offset += ret->value;
    direct->taken++;
    direct_write_slot(transfer, slot);
    if (cut)
        forget_reads(direct);
    return true;
}

/* ---- taking from others ---- */

/* A free slot, to be filled from `at` on in the sink. 0 or a negative errno. */
static int open_slot(struct sluice_transfer *transfer, struct slot *slot)
{
    struct direct *direct = transfer->direct;
    const size_t odd = (size_t)(direct->ahead % (int64_t)direct->align);
    const bool in_pipe = direct->in_pipes && odd == 0 && direct->unaligned == 0;
    int error = in_pipe ? direct_get_pipes(transfer, slot) : 0;

    if (error < 0 && direct_may_copy(transfer)) {
        direct->in_pipes = false; /* there are no pipes to be had: memory does instead */
        error = 0;
    }
    if (error >= 0 && !(in_pipe && direct->in_pipes))
        error = direct_memory(direct, slot);
    if (error < 0)
        return error;
    direct->unaligned -= direct->unaligned > 0;
    slot->in_memory = !(in_pipe && direct->in_pipes);
    slot->phase = SLOT_FILLED;
    slot->at = direct->ahead;
    slot->length = slot->done = slot->given = slot->body = slot->moved = 0;
    slot->error = 0;
    slot->pipe_failed = false;
    slot->padded = false;
    slot->capacity = odd ? direct->align - odd : direct->size;
    if (!slot->in_memory && slot->capacity > slot->pipe->capacity)
        slot->capacity = slot->pipe->capacity;
    direct->tail++;
    return 0;
}

/* Pieces that are no whole block together go on in memory, where there is room for more. */
static void join_pieces(struct sluice_transfer *transfer, struct slot *slot)
{
    const struct direct *direct = transfer->direct;

    if (slot->in_memory || slot->length % direct->align == 0 || !direct_may_copy(transfer))
        return;
    slot->error = direct_bounce(transfer, slot);
    if (slot->error >= 0)
        slot->capacity = direct->size;
}

/* It is to be written, its whole blocks at least; the rest begins the next slot. */
static void close_slot(struct sluice_transfer *transfer, bool last)
{
    struct direct *direct = transfer->direct;
    struct slot *slot = last_slot(direct);
    size_t rest = 0;

    join_pieces(transfer, slot);
    if (!last && slot->in_memory && !direct_outside_blocks(direct, slot->at))
        rest = slot->length % direct->align;
    slot->length -= rest;
    direct->taken = direct->tail;
    direct->ahead = slot->at + (int64_t)slot->length;
    if (rest > 0) {
        struct slot *next = direct_slot(direct, direct->tail);
        direct->unaligned += direct->unaligned == 0; /* it goes on in memory, which is there */
        open_slot(transfer, next);
        memcpy(next->memory, slot->memory + slot->length, rest);
        next->length = rest;
    }
    if (slot->error < 0)
        direct_finish(slot, slot->error);
    else
        direct_write_slot(transfer, slot);
}

/* What is there now is taken now; for more nobody waits while something is parked. */
static bool source_gives(struct sluice_transfer *transfer, const struct slot *slot)
{
    struct side *in = &transfer->in;

    if (in->blocked)
        return false;
    /* splice of two pipes can be told not to wait. */
    if (!slot->in_memory || in->never_waits ||
        (transfer->may_wait && transfer_parked(transfer) == 0))
        return true;
    return side_poll(in, &transfer->ledger.polls);
}

static struct move fill_slot(struct sluice_transfer *transfer, struct slot *slot, size_t want)
{
    struct side *in = &transfer->in;
    struct move move = {.call = slot->in_memory ? CALL_DIRECT_COPY_IN : CALL_DIRECT_TAKE};

    if (want > slot->capacity - slot->length)
        want = slot->capacity - slot->length;
    if (slot->in_memory)
        move.value = memory_read(transfer, slot->memory + slot->length, want);
    else
        move.value = sys_splice(
            in->fd, NULL, slot->pipe->write_end, NULL, want,
            transfer->may_wait && transfer_parked(transfer) == 0 ? 0 : SPLICE_F_NONBLOCK);
    if (move.value > 0)
        slot->length += (size_t)move.value;
    if (!slot->in_memory)
        slot->pipe->parked = slot->length;
    return move;
}

/* Many small pieces fill a pipe before its bytes do: it said EAGAIN, and not the source. Then it is
 * written, or goes on in memory. */
static bool pipe_was_full(struct sluice_transfer *transfer, struct slot *slot)
{
    if (slot->in_memory || slot->length == 0 || pipe_has_room(slot->pipe))
        return false;
    join_pieces(transfer, slot);
    if (!slot->in_memory || slot->length == slot->capacity)
        close_slot(transfer, false);
    return true;
}

/* A slot to fill; NULL if all are in use, or with an error in *ret. */
static struct slot *filling_slot(struct sluice_transfer *transfer, struct move *ret)
{
    struct direct *direct = transfer->direct;

    *ret = (struct move){.call = CALL_PIPE};
    if (is_filling(direct))
        return last_slot(direct);
    /* One is kept for what a slot that is written leaves over. */
    if (direct->tail - direct->head >= direct->depth - 1)
        return NULL;
    if (direct->head == direct->tail)
        direct->ahead = transfer->out.offset; /* a hole may have been skipped since the last one */
    ret->value = open_slot(transfer, direct_slot(direct, direct->tail));
    return ret->value < 0 ? NULL : last_slot(direct);
}

static bool take_stream(struct sluice_transfer *transfer, size_t want, struct move *ret)
{
    struct slot *slot;

    do {
        slot = filling_slot(transfer, ret);
        if (!slot || !source_gives(transfer, slot))
            return ret->value < 0;
        *ret = fill_slot(transfer, slot, want);
    } while (ret->value == -EAGAIN && pipe_was_full(transfer, slot));
    if (ret->value > 0 && slot->length == slot->capacity)
        close_slot(transfer, false);
    if (ret->value >= 0 || ret->value == -EINTR || ret->value == -EAGAIN ||
        transfer_parked(transfer) == 0)
        return true;
    transfer->direct->failed = *ret;
    return false;
}

bool direct_flush(struct sluice_transfer *transfer, size_t want)
{
    struct direct *direct = transfer->direct;
    const bool last =
        transfer_left(transfer) == 0 || direct->failed.value < 0 || holes_next(transfer);

    if (direct_from_file(direct) || !is_filling(direct) || last_slot(direct)->length == 0)
        return false;
    const struct slot *slot = last_slot(direct);
    const bool whole = !direct_outside_blocks(direct, slot->at) && slot->length >= direct->align;
    const bool idle = direct->head == direct->taken && whole && (transfer->in.blocked || want == 0);
    if (!last && !idle)
        return false;
    close_slot(transfer, last);
    return true;
}

bool direct_take(struct sluice_transfer *transfer, size_t want, struct move *ret)
{
    return direct_from_file(transfer->direct) ? take_read(transfer, ret)
                                              : take_stream(transfer, want, ret);
}
