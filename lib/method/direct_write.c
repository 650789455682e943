/* SPDX-License-Identifier: MIT */
/*
 * direct, what becomes of a slot that is to be written: whole blocks go by requests, several in
 * flight; odd pieces of a pipe go through memory first; and what is no whole block at the sink's
 * beginning or end waits for its turn.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "../sys.h"
#include "direct.h"

enum { MOST_PENALTY = 64 }; /* slots through memory, after pieces that were odd again and again */

/* ---- writing ---- */

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

static void write_rest(struct direct *direct, struct slot *slot)
{
    if (slot->done >= slot->body)
        direct_finish(slot, 0);
    else if (slot->in_memory)
        write_memory(direct, slot);
    else
        write_pipe(direct, slot);
}

/* A file may grow up to a byte (RLIMIT_FSIZE), and the kernel cuts a piece there, which then is
 * no whole block: it is refused, or its odd end comes back again and again. So the slot ends at
 * the last whole block, and what is behind goes as an edge does. False if that is not it. */
static bool cut_to_limit(const struct direct *direct, struct slot *slot)
{
    const uint64_t limit = sys_file_limit(direct->sink), at = (uint64_t)slot->at;
    uint64_t body = limit > at ? (limit - at) / direct->align * direct->align : 0;

    if (limit >= at + slot->body)
        return false;
    if (body < slot->done)
        body = slot->done;
    slot->body = (size_t)body;
    slot->padded = false;
    return true;
}

void direct_write_done(struct direct *direct, struct slot *slot)
{
    const ssize_t value = slot->request.value;

    if (value <= 0) {
        if (value == -EINVAL && cut_to_limit(direct, slot))
            write_rest(direct, slot);
        else
            direct_finish(slot, value < 0 ? (int)value : -EIO);
        return;
    }
    slot->done += (size_t)value;
    if (slot->in_memory && slot->done < slot->body) { /* goes on at a whole block */
        const size_t odd = slot->done % direct->align;
        if (odd == (size_t)value && !cut_to_limit(direct, slot)) {
            direct_finish(slot, -EIO);
            return;
        }
        slot->done -= slot->done < slot->body ? odd : 0;
    }
    write_rest(direct, slot);
}

/* ---- what a pipe holds ---- */

int direct_get_pipes(struct sluice_transfer *transfer, struct slot *slot)
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
int direct_bounce(struct sluice_transfer *transfer, struct slot *slot)
{
    struct direct *direct = transfer->direct;
    int error = direct_memory(direct, slot);

    let_pipe_go(transfer, &slot->shadow);
    while (error >= 0 && slot->moved < slot->length) {
        const ssize_t value =
            sys_read(slot->pipe->read_end, slot->memory + slot->moved, slot->length - slot->moved);
        if (value == -EINTR)
            continue;
        if (value <= 0) {
            error = value < 0 ? (int)value : -EIO;
            slot->pipe_failed = true;
            break;
        }
        slot->moved += (size_t)value;
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

bool direct_may_copy(const struct sluice_transfer *transfer)
{
    return transfer->options.require == SLUICE_REQUIRE_ANY;
}

void direct_retry_in_memory(struct sluice_transfer *transfer)
{
    struct direct *direct = transfer->direct;

    for (uint64_t number = direct->head; number < direct->taken; number++) {
        struct slot *slot = direct_slot(direct, number);
        if (slot->phase != SLOT_WRITTEN || slot->error != -EINVAL || slot->in_memory ||
            slot->pipe_failed || !slot->pipe || !direct_may_copy(transfer))
            continue;
        slot->error = direct_bounce(transfer, slot);
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

void direct_write_slot(struct sluice_transfer *transfer, struct slot *slot)
{
    struct direct *direct = transfer->direct;
    const size_t odd = slot->length % direct->align;

    slot->phase = SLOT_READY;
    slot->done = slot->given = slot->body = 0;
    slot->padded = false;
    if (direct_outside_blocks(direct, slot->at))
        return;
    if (!slot->in_memory && odd > 0) {
        const int error = direct_may_copy(transfer) ? direct_bounce(transfer, slot) : -EINVAL;
        if (error < 0) {
            direct_finish(slot, error);
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
    const int error = direct_may_copy(transfer) ? direct_bounce(transfer, slot) : -EINVAL;
    if (error < 0)
        direct_finish(slot, error);
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
    if (!direct_may_copy(transfer)) {
        move.value = -EINVAL;
        return move;
    }
    if (!slot->in_memory && (move.value = direct_bounce(transfer, slot)) < 0) {
        move.call = slot->pipe_failed ? CALL_DIRECT_BOUNCE : CALL_BUFFER;
        return move;
    }
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

bool direct_deliver(struct sluice_transfer *transfer, struct move *ret)
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
        if (slot->pipe_failed)
            ret->call = CALL_DIRECT_BOUNCE;
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
        size_t done = slot->done < slot->length ? slot->done : slot->length;
        struct sluice_row *row =
            transfer_row(transfer, slot->in_memory ? CALL_DIRECT_WRITE : CALL_DIRECT_OUT);
        if (slot->padded && done == slot->length &&
            sys_ftruncate(direct->sink, slot->at + (int64_t)slot->length) < 0)
            break;
        if (done < slot->given) /* a part of it went through the page cache */
            done = slot->given;
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
