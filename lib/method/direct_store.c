/* SPDX-License-Identifier: MIT */
/*
 * direct, into a file. Slots are filled one after the other and written several at once:
 *   from a file   read into aligned memory, several at once as well, and written from there
 *   from a pipe   its pages move to a private pipe, and the device takes them from a second one that
 *                 shares them: so the bytes are still here when a write fails in the middle
 *   from others   read into aligned memory
 * A slot begins where the sink's blocks begin. What a pipe holds in odd pieces goes through memory;
 * what is no whole block at the sink's beginning or end is written when everything before it was,
 * and nothing is in flight: at the end by a whole block that is cut off again, else through the page
 * cache.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "../sys.h"
#include "direct.h"

enum { MOST_PENALTY = 64 }; /* slots through memory, after pieces that were odd again and again */

static bool outside_blocks(const struct direct *direct, int64_t at)
{
    return at % (int64_t)direct->align != 0;
}

static bool from_file(const struct direct *direct)
{
    return direct->source >= 0;
}

static struct slot *last_slot(struct direct *direct)
{
    return direct_slot(direct, direct->tail - 1);
}

/* ---- writing ---- */

static void finish(struct slot *slot, int error)
{
    slot->phase = SLOT_WRITTEN;
    slot->error = error;
}

static void write_memory(struct direct *direct, struct slot *slot)
{
    slot->phase = SLOT_WRITING;
    slot->request = (struct request){
        .operation = FLIGHT_WRITE,
        .file = direct->sink,
        .memory = slot->memory + slot->done,
        .length = slot->body - slot->done,
        .offset = slot->at + (int64_t)slot->done,
    };
    direct_submit(direct, slot);
}

static void write_pipe(struct direct *direct, struct slot *slot)
{
    slot->phase = SLOT_WRITING;
    slot->request = (struct request){
        .operation = FLIGHT_SPLICE_OUT,
        .file = direct->sink,
        .pipe = slot->shadow->read_end,
        .length = slot->body - slot->done,
        .offset = slot->at + (int64_t)slot->done,
    };
    direct_submit(direct, slot);
}

void direct_write_done(struct direct *direct, struct slot *slot)
{
    const ssize_t value = slot->request.value;

    if (value <= 0) {
        finish(slot, value < 0 ? (int)value : -EIO);
        return;
    }
    slot->done += (size_t)value;
    if (slot->done >= slot->body) {
        finish(slot, 0);
        return;
    }
    if (slot->in_memory) { /* goes on at a whole block */
        const size_t odd = slot->done % direct->align;
        if (odd == (size_t)value) {
            finish(slot, -EIO);
            return;
        }
        slot->done -= odd;
        write_memory(direct, slot);
    } else {
        write_pipe(direct, slot);
    }
}

/* ---- what a pipe holds ---- */

static int get_pipes(struct sluice_transfer *transfer, struct slot *slot)
{
    struct pipe_pool *pool = &transfer->context->pool;
    const uint32_t size = (uint32_t)transfer->direct->size;
    int error = 0;

    if (!slot->pipe)
        error = pipe_get(pool, size, &slot->pipe);
    if (error >= 0 && !slot->shadow)
        error = pipe_get(pool, size, &slot->shadow);
    if (error < 0)
        return error;
    transfer->ledger.pipe_asked = slot->pipe->asked;
    transfer->ledger.pipe_got = slot->pipe->capacity;
    return slot->shadow->capacity < slot->pipe->capacity ? -EMFILE : 0;
}

static void let_pipe_go(struct sluice_transfer *transfer, struct pipe **pipe)
{
    if (*pipe)
        pipe_kill(&transfer->context->pool, *pipe);
    *pipe = NULL;
}

/* The pipe's bytes are read into memory, those of the slot that were not written yet and those that
 * were. 0 or a negative errno: then it holds the rest. */
static int bounce(struct sluice_transfer *transfer, struct slot *slot)
{
    struct direct *direct = transfer->direct;
    int error = direct_memory(direct, slot);

    let_pipe_go(transfer, &slot->shadow);
    for (size_t at = 0; error >= 0 && at < slot->length;) {
        const ssize_t value = sys_read(slot->pipe->read_end, slot->memory + at, slot->length - at);
        if (value == -EINTR)
            continue;
        if (value <= 0) {
            error = value < 0 ? (int)value : -EIO;
            break;
        }
        at += (size_t)value;
        struct sluice_row *row = transfer_row(transfer, CALL_DIRECT_BOUNCE);
        row->bytes += (uint64_t)value;
        row->calls++;
    }
    if (error >= 0) {
        slot->in_memory = true;
        let_pipe_go(transfer, &slot->pipe);
    }
    direct->penalty = direct->penalty < MOST_PENALTY ? 2 * direct->penalty + 1 : MOST_PENALTY;
    direct->unaligned = direct->penalty;
    return error;
}

/* Whether bytes may go through user memory. */
static bool may_copy(const struct sluice_transfer *transfer)
{
    return transfer->options.require == SLUICE_REQUIRE_ANY;
}

/* The kernel refused a pipe's pieces, and moved none of them. */
static void retry_in_memory(struct sluice_transfer *transfer)
{
    struct direct *direct = transfer->direct;

    for (uint64_t number = direct->head; number < direct->taken; number++) {
        struct slot *slot = direct_slot(direct, number);
        if (slot->phase != SLOT_WRITTEN || slot->error != -EINVAL || slot->in_memory ||
            !slot->pipe || !may_copy(transfer))
            continue;
        slot->error = bounce(transfer, slot);
        if (slot->error >= 0)
            write_memory(direct, slot);
    }
}

/* ---- a slot that is full, or the last ---- */

/* A whole block may be written where the file ends, and cut off again. */
static bool may_pad(const struct sluice_transfer *transfer, const struct slot *slot)
{
    return transfer->out.endpoint->kind == SLUICE_KIND_REGULAR &&
           (uint64_t)slot->at + slot->length >= transfer->direct->sink_size;
}

static void pad(struct direct *direct, struct slot *slot)
{
    slot->body = (slot->length + direct->align - 1) / direct->align * direct->align;
    memset(slot->memory + slot->length, 0, slot->body - slot->length);
    slot->padded = true;
}

/* Its whole blocks are on their way; what is none is for its turn. */
static void write_slot(struct sluice_transfer *transfer, struct slot *slot)
{
    struct direct *direct = transfer->direct;
    const size_t odd = slot->length % direct->align;

    slot->phase = SLOT_READY;
    slot->done = slot->given = slot->body = 0;
    slot->padded = false;
    if (outside_blocks(direct, slot->at))
        return;
    if (!slot->in_memory && odd > 0) {
        const int error = may_copy(transfer) ? bounce(transfer, slot) : -EINVAL;
        if (error < 0) {
            finish(slot, error);
            return;
        }
    }
    slot->body = slot->length - odd;
    if (odd > 0 && may_pad(transfer, slot))
        pad(direct, slot);
    if (slot->body == 0)
        return;
    if (slot->in_memory) {
        write_memory(direct, slot);
        return;
    }
    const ssize_t shared =
        sys_tee(slot->pipe->read_end, slot->shadow->write_end, slot->body, SPLICE_F_NONBLOCK);
    if (shared == (ssize_t)slot->body) {
        write_pipe(direct, slot);
        return;
    }
    const int error = may_copy(transfer) ? bounce(transfer, slot) : -EINVAL;
    if (error < 0)
        finish(slot, error);
    else
        write_memory(direct, slot);
}

/* ---- delivering ---- */

static int edge_descriptor(struct sluice_transfer *transfer)
{
    struct direct *direct = transfer->direct;
    const struct sluice_endpoint *sink = transfer->out.endpoint;

    if (direct->edge >= 0)
        return direct->edge;
    direct->own_edge = direct->sink == sink->fd;
    direct->edge = direct->own_edge ? endpoint_reopen(sink, sink->flags & O_ACCMODE) : sink->fd;
    if (direct->edge < 0)
        direct->own_edge = false;
    return direct->edge;
}

/* What is no whole block, through the page cache: its bytes are the first that are not delivered,
 * and nothing before them is in flight. */
static struct move write_edge(struct sluice_transfer *transfer, struct slot *slot, size_t most)
{
    struct move move = {.call = CALL_DIRECT_EDGE_OUT};
    size_t length = slot->length - slot->given;

    if (length > most)
        length = most;
    if (!may_copy(transfer)) {
        move.value = -EINVAL;
        return move;
    }
    if (!slot->in_memory && (move.value = bounce(transfer, slot)) < 0)
        return move;
    const int fd = edge_descriptor(transfer);
    move.value =
        fd < 0 ? fd : sys_pwrite(fd, slot->memory + slot->given, length, transfer->out.offset);
    return move;
}

static void retire(struct sluice_transfer *transfer, struct slot *slot)
{
    let_pipe_go(transfer, &slot->pipe);
    slot->phase = SLOT_FREE;
    transfer->direct->head++;
}

/* The oldest slot's next bytes, if they can be delivered, or its error. */
static bool deliver(struct sluice_transfer *transfer, struct move *ret)
{
    struct direct *direct = transfer->direct;
    struct slot *slot = direct_slot(direct, direct->head);

    if (direct->head == direct->taken)
        return false;
    const size_t done = slot->done < slot->length ? slot->done : slot->length;
    *ret = (struct move){.call = slot->in_memory ? CALL_DIRECT_WRITE : CALL_DIRECT_OUT};
    if (done > slot->given) {
        const size_t ready = done - slot->given;
        if (slot->padded && done == slot->length) {
            ret->value = sys_ftruncate(direct->sink, slot->at + (int64_t)slot->length);
            if (ret->value < 0)
                return true;
            slot->padded = false;
        }
        ret->value = (ssize_t)(ready < transfer->allowance ? ready : transfer->allowance);
    } else if (slot->phase == SLOT_WRITTEN && slot->error < 0) {
        ret->value = slot->error;
        return true;
    } else if (slot->phase == SLOT_READY || slot->phase == SLOT_WRITTEN) {
        *ret = write_edge(transfer, slot, transfer->allowance);
        if (ret->value <= 0)
            return true;
    } else {
        return false;
    }
    slot->given += (size_t)ret->value;
    transfer->out.offset += ret->value;
    if (slot->given == slot->length)
        retire(transfer, slot);
    return true;
}

void direct_count_written(struct sluice_transfer *transfer)
{
    struct direct *direct = transfer->direct;

    while (direct->head < direct->taken) {
        struct slot *slot = direct_slot(direct, direct->head);
        const size_t done = slot->done < slot->length ? slot->done : slot->length;
        struct sluice_row *row =
            transfer_row(transfer, slot->in_memory ? CALL_DIRECT_WRITE : CALL_DIRECT_OUT);
        if (slot->padded && done == slot->length &&
            sys_ftruncate(direct->sink, slot->at + (int64_t)slot->length) < 0)
            break;
        row->bytes += done - slot->given;
        row->calls += done > slot->given;
        transfer->delivered += done - slot->given;
        transfer->out.offset += (int64_t)(done - slot->given);
        slot->given = done;
        if (done < slot->length)
            break;
        direct->head++;
    }
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
    if (before > 0 && !may_copy(transfer)) {
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
    write_slot(transfer, slot);
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
    int error = in_pipe ? get_pipes(transfer, slot) : 0;

    if (error < 0 && may_copy(transfer)) {
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
    slot->length = slot->done = slot->given = slot->body = 0;
    slot->error = 0;
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

    if (slot->in_memory || slot->length % direct->align == 0 || !may_copy(transfer))
        return;
    slot->error = bounce(transfer, slot);
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
    if (!last && slot->in_memory && !outside_blocks(direct, slot->at))
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
        finish(slot, slot->error);
    else
        write_slot(transfer, slot);
}

static bool is_filling(struct direct *direct)
{
    return direct->tail > direct->taken;
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

/* The source has failed: what it gave before is delivered first. */
static bool tell_failure(const struct sluice_transfer *transfer, struct move *ret)
{
    *ret = transfer->direct->failed;
    return ret->value < 0 && transfer_parked(transfer) == 0;
}

/* ---- the turn ---- */

/* What is no whole block meets the page cache, or is cut off: nothing behind it is written before it
 * is delivered. */
static bool is_at_edge(struct direct *direct)
{
    for (uint64_t number = direct->head; number < direct->taken; number++) {
        const struct slot *slot = direct_slot(direct, number);
        if (outside_blocks(direct, slot->at) || slot->length % direct->align != 0)
            return true;
    }
    return false;
}

/* A slot that is not full is written when nothing more comes, or nothing more for now and the disk
 * has nothing to do. Returns whether there was one. */
static bool flush(struct sluice_transfer *transfer, size_t want)
{
    struct direct *direct = transfer->direct;
    const bool last =
        transfer_left(transfer) == 0 || direct->failed.value < 0 || holes_next(transfer);

    if (from_file(direct) || !is_filling(direct) || last_slot(direct)->length == 0)
        return false;
    const struct slot *slot = last_slot(direct);
    const bool whole = !outside_blocks(direct, slot->at) && slot->length >= direct->align;
    const bool idle = direct->head == direct->taken && whole && (transfer->in.blocked || want == 0);
    if (!last && !idle)
        return false;
    close_slot(transfer, last);
    return true;
}

static bool store_turn(struct sluice_transfer *transfer, size_t want, struct move *ret)
{
    *ret = (struct move){.call = CALL_DIRECT_OPEN_OUT};
    ret->value = direct_begin(transfer, &ret->call);
    if (ret->value < 0)
        return true;
    struct direct *direct = transfer->direct;
    for (;;) {
        direct_collect(direct, false);
        retry_in_memory(transfer);
        if (deliver(transfer, ret))
            return true;
        if (tell_failure(transfer, ret))
            return true;
        if (want > 0 && direct->failed.value == 0 && !is_at_edge(direct) &&
            (from_file(direct) ? take_read(transfer, ret) : take_stream(transfer, want, ret)))
            return true;
        if (flush(transfer, want))
            continue;
        if (direct->flight->in_flight == 0)
            return false;
        /* Where the source may give meanwhile, both are waited for. */
        const bool inside = transfer->may_wait && (from_file(direct) || !transfer->in.blocked);
        if (!inside) {
            transfer->out.blocked = direct->head < direct->taken;
            transfer->in.blocked = transfer->in.blocked || from_file(direct);
            return false;
        }
        if (!direct_collect(direct, true)) {
            *ret = (struct move){.call = CALL_DIRECT_WRITE, .value = -EINTR};
            return true;
        }
    }
}

const struct method method_direct_store = {
    .id = SLUICE_METHOD_DIRECT,
    .chunk = 1 << 30,
    .turn = store_turn,
    .leave = direct_leave,
};
