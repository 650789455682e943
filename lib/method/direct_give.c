/* SPDX-License-Identifier: MIT */
/*
 * direct, from a file to what is none: the device fills fresh pages of several private pipes at
 * once, and they leave by reference, one pipe after the other. Nothing is in the page cache
 * afterwards, and no page is anybody else's: what was taken does not change any more.
 */
#include <errno.h>

#include "../sys.h"
#include "direct.h"

void direct_read_done(struct direct *direct, struct slot *slot)
{
    const ssize_t value = slot->request.value;
    /* Of what was read by whole blocks, this many bytes come before the first that was asked for. */
    const ssize_t before = direct->sink >= 0 ? slot->at % (int64_t)direct->align : 0;

    slot->phase = SLOT_FILLED;
    slot->error = value < 0 ? (int)value : 0;
    slot->length = value > before ? (size_t)(value - before) : 0;
    if (slot->length > slot->asked)
        slot->length = slot->asked;
}

static int get_pipe(struct sluice_transfer *transfer, struct slot *slot)
{
    struct direct *direct = transfer->direct;

    if (slot->pipe)
        return 0;
    const int error = pipe_get(&transfer->context->pool, (uint32_t)direct->size, &slot->pipe);
    if (error < 0)
        return error;
    transfer->ledger.pipe_asked = slot->pipe->asked;
    transfer->ledger.pipe_got = slot->pipe->capacity;
    return 0;
}

/* What is no whole block is read whole, and its part written to the pipe. */
static void read_edge(struct direct *direct, struct slot *slot)
{
    const int64_t block = direct_floor(direct, slot->at);
    const size_t before = (size_t)(slot->at - block);
    ssize_t value = direct_memory(direct, slot);

    if (value >= 0)
        do
            value = sys_pread(direct->source, slot->memory, direct->align, block);
        while (value == -EINTR || value == -EAGAIN);
    slot->request.value = value > (ssize_t)before ? value - (ssize_t)before : value < 0 ? value : 0;
    if (slot->request.value > (ssize_t)slot->asked)
        slot->request.value = (ssize_t)slot->asked;
    slot->in_memory = true; /* it was; its row says so */
    if (slot->request.value > 0)
        do
            value = sys_write(slot->pipe->write_end, slot->memory + before,
                              (size_t)slot->request.value);
        while (value == -EINTR);
    if (value < 0)
        slot->request.value = value;
    direct_read_done(direct, slot);
}

/* 0, or a negative errno. */
static int read_slot(struct sluice_transfer *transfer, struct slot *slot, size_t length)
{
    struct direct *direct = transfer->direct;

    const int error = get_pipe(transfer, slot);
    if (error < 0)
        return error;
    if (length > slot->pipe->capacity)
        length = slot->pipe->capacity;
    slot->at = direct->ahead;
    slot->given = 0;
    slot->in_memory = false;
    slot->phase = SLOT_READING;
    const size_t before = (size_t)(slot->at - direct_floor(direct, slot->at));
    const bool edge = before > 0 || length < direct->align;
    const size_t most = edge ? direct->align - before : length - length % direct->align;
    slot->asked = length < most ? length : most;
    direct->ahead += (int64_t)slot->asked;
    if (edge && transfer->options.require != SLUICE_REQUIRE_ANY) {
        slot->request.value = -EINVAL; /* it cannot be had without a copy */
        direct_read_done(direct, slot);
        return 0;
    }
    if (edge) {
        read_edge(direct, slot);
        return 0;
    }
    slot->request = (struct request){
        .operation = FLIGHT_SPLICE_IN,
        .file = direct->source,
        .pipe = slot->pipe->write_end,
        .length = slot->asked,
        .offset = slot->at,
    };
    direct_submit(direct, slot);
    return 0;
}

/* Nobody wants what was read from here on: it is not where the source goes on. */
static void forget(struct sluice_transfer *transfer)
{
    struct direct *direct = transfer->direct;

    while (direct->flight->in_flight > 0)
        direct_collect(direct, true);
    for (; direct->head < direct->tail; direct->head++) {
        struct slot *slot = direct_slot(direct, direct->head);
        if (slot->pipe)
            pipe_kill(&transfer->context->pool, slot->pipe);
        *slot = (struct slot){0};
    }
    direct->ahead = transfer->in.offset;
}

/* Returns a negative errno only if there is no slot at all. */
static int read_ahead(struct sluice_transfer *transfer)
{
    struct direct *direct = transfer->direct;
    int64_t limit = 0;

    if (direct->tail - direct->head == direct->depth)
        return 0;
    limit = direct_limit(transfer);
    /* The file's own end is no edge: a read of a whole block stops there by itself. */
    while (direct->tail - direct->head < direct->depth && direct->ahead < limit) {
        uint64_t size;
        int64_t length = limit - direct->ahead;
        if (length % (int64_t)direct->align != 0 &&
            endpoint_size(transfer->in.endpoint, &size) >= 0 && limit == (int64_t)size)
            length = direct_floor(direct, length + (int64_t)direct->align - 1);
        if (length > (int64_t)direct->size)
            length = (int64_t)direct->size;
        const int error = read_slot(transfer, direct_slot(direct, direct->tail), (size_t)length);
        if (error < 0)
            return direct->tail > direct->head ? 0 : error;
        direct->tail++;
    }
    return 0;
}

static struct move hand_over(struct sluice_transfer *transfer, struct slot *slot, size_t want)
{
    const enum call call = slot->in_memory ? CALL_DIRECT_EDGE_IN : CALL_DIRECT_IN;
    size_t length = slot->length - slot->given;

    if (slot->error < 0)
        return (struct move){.call = call, .value = slot->error};
    if (length == 0) {
        forget(transfer);
        return (struct move){.call = call}; /* the end, or it will be looked at again */
    }
    if (length > want)
        length = want;
    slot->given += length;
    transfer->in.offset += (int64_t)length;
    transfer->pipe = slot->pipe;
    transfer->pipe->parked += length;
    return (struct move){.call = call, .value = (ssize_t)length};
}

/* The pipe handed over before is empty by now. */
static void next_slot(struct sluice_transfer *transfer)
{
    struct direct *direct = transfer->direct;
    struct slot *slot = direct_slot(direct, direct->head);

    if (direct->head == direct->tail || slot->phase != SLOT_FILLED || slot->given == 0 ||
        slot->given < slot->length)
        return;
    const bool cut = slot->length < slot->asked;
    slot->phase = SLOT_FREE;
    direct->head++;
    if (cut) /* the others begin beyond a gap, or beyond the end */
        forget(transfer);
}

static struct move give_fill(struct sluice_transfer *transfer, size_t want)
{
    struct move move = {.call = CALL_DIRECT_OPEN_IN};

    move.value = direct_begin(transfer, &move.call);
    if (move.value < 0)
        return move;
    struct direct *direct = transfer->direct;
    if (transfer->pipe) /* one from before this method, and empty */
        transfer_return_pipe(transfer);
    next_slot(transfer);
    if (direct->head < direct->tail) {
        const struct slot *slot = direct_slot(direct, direct->head);
        if (slot->at + (int64_t)slot->given != transfer->in.offset)
            forget(transfer); /* a hole was skipped */
    } else {
        direct->ahead = transfer->in.offset;
    }
    move = (struct move){.call = CALL_PIPE};
    move.value = read_ahead(transfer);
    if (move.value < 0)
        return move;
    move.call = CALL_DIRECT_IN;
    if (direct->head == direct->tail)
        return move; /* 0: the end */
    struct slot *slot = direct_slot(direct, direct->head);
    while (slot->phase == SLOT_READING)
        if (!direct_collect(direct, transfer->may_wait) || !transfer->may_wait)
            break;
    if (slot->phase == SLOT_READING) {
        move.value = transfer->may_wait ? -EINTR : -EAGAIN;
        return move;
    }
    return hand_over(transfer, slot, want);
}

static struct move give_drain(struct sluice_transfer *transfer)
{
    struct move move = splice_drain(transfer);

    if (!transfer->direct)
        return move;
    move.call = CALL_DIRECT_GIVE;
    if (transfer->pipe->parked == 0 && move.value > 0)
        transfer->pipe = NULL; /* the slot has it still */
    return move;
}

/* One pipe at a time is the transfer's. */
static bool give_has_room(struct sluice_transfer *transfer)
{
    return !transfer_in_pipe(transfer);
}

const struct method method_direct_give = {
    .id = SLUICE_METHOD_DIRECT,
    .chunk = 1 << 30,
    .fill = give_fill,
    .drain = give_drain,
    .has_room = give_has_room,
    .leave = direct_leave,
};
