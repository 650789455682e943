/* SPDX-License-Identifier: MIT */
/*
 * What both ways of `direct` stand on: descriptors with O_DIRECT (the caller's keep their flags),
 * the alignment, the queue of requests, and the slots. And what becomes of it all when the method
 * is left, with requests in flight or bytes parked.
 */
#include "direct.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "../alignment.h"
#include "../sys.h"

enum {
    SLOT_SIZE = 1 << 20, /* measured: larger ones save nothing, smaller ones cost calls */
    SLOT_LEAST = 1 << 16,
    DEPTH = 4, /* measured: the disk is busy with it; each way, where both ends are files */
    HUGE_PAGE = 2 << 20,
};

/* ---- beginning ---- */

static int open_ends(struct sluice_transfer *transfer, enum call *ret_call)
{
    struct direct *direct = transfer->direct;
    const struct sluice_endpoint *source = transfer->in.endpoint, *sink = transfer->out.endpoint;
    int error = 0;

    if (alignment_matters(source)) {
        *ret_call = CALL_DIRECT_OPEN_IN;
        direct->source = alignment_open(source);
        direct->own_source = direct->source >= 0 && direct->source != source->fd;
        error = direct->source < 0 ? direct->source
                                   : alignment_find(source, direct->source, &direct->align);
    }
    if (error >= 0 && alignment_matters(sink)) {
        size_t align = 0;
        *ret_call = CALL_DIRECT_OPEN_OUT;
        direct->sink = alignment_open(sink);
        direct->own_sink = direct->sink >= 0 && direct->sink != sink->fd;
        error = direct->sink < 0 ? direct->sink : alignment_find(sink, direct->sink, &align);
        if (align > direct->align)
            direct->align = align;
        if (endpoint_size(sink, &direct->sink_size) < 0)
            direct->sink_size = UINT64_MAX; /* then nothing is cut off */
    }
    return error;
}

/* A pipe's pages lie anywhere in memory, and a device takes so many of them in one request. A slot is
 * as many whole requests as fit: one of 256 pages would be one of 254 and one of 2 (measured: half the
 * requests, a tenth of the CPU). */
static size_t whole_requests(const struct sluice_transfer *transfer, const struct direct *direct,
                             size_t size)
{
    const size_t one =
        alignment_request(direct->source >= 0 ? transfer->in.endpoint : transfer->out.endpoint);

    return one == 0 || one > size ? size : size - size % one;
}

/* Slots no larger than is of use: for little to move, a rate that one would use up at once, or the
 * piece that was asked for. */
static void choose_size(const struct sluice_transfer *transfer, struct direct *direct)
{
    const struct sluice_options *options = &transfer->options;
    size_t size = options->chunk ? options->chunk : SLOT_SIZE;
    const bool both = direct->source >= 0 && direct->sink >= 0;

    if (direct->in_pipes && !options->chunk)
        size = whole_requests(transfer, direct, size);
    if (direct->in_pipes && options->pipe_size && size > options->pipe_size)
        size = options->pipe_size;
    if (options->rate && size > options->rate / 8)
        size = (size_t)(options->rate / 8);
    while (!options->chunk && size > SLOT_LEAST && size / 2 >= transfer->expected)
        size /= 2;
    size -= size % direct->align;
    direct->size = size ? size : direct->align;
    direct->depth = both ? 2 * DEPTH : DEPTH;
}

static int open_queue(struct sluice_transfer *transfer)
{
    struct direct *direct = transfer->direct;
    struct ledger *ledger = &transfer->ledger;

    direct->refused = sys_flight_open(FLIGHT_RING, DIRECT_MOST_SLOTS, &direct->flight);
    const int error =
        direct->refused < 0 ? sys_flight_open(FLIGHT_THREADS, direct->depth, &direct->flight) : 0;
    if (error < 0) {
        direct->flight = NULL;
        return error;
    }
    ledger->engine = direct->flight->driver->name;
    ledger->engine_refused = direct->refused < 0 ? direct->refused : 0;
    return 0;
}

/* Pipes hand their pages to the device, and take them from it. */
static bool works_in_pipes(const struct sluice_transfer *transfer, const struct direct *direct)
{
    return direct->sink < 0 || transfer->in.endpoint->medium == MEDIUM_PIPE;
}

static int begin(struct sluice_transfer *transfer, enum call *ret_call)
{
    struct direct *direct = transfer->direct;
    struct side *in = &transfer->in, *out = &transfer->out;

    int error = open_ends(transfer, ret_call);
    if (error < 0)
        return error;
    *ret_call = CALL_SEEK;
    error = side_take_offset(in);
    if (error < 0)
        return error;
    *ret_call = CALL_DIRECT_OPEN_OUT;
    error = side_take_offset(out);
    if (error < 0)
        return error;
    direct->in_pipes = works_in_pipes(transfer, direct);
    choose_size(transfer, direct);
    *ret_call = CALL_DIRECT_QUEUE;
    error = open_queue(transfer);
    if (error < 0)
        return error;
    direct->ahead = direct->source >= 0 ? in->offset : out->offset;
    if (direct->source >= 0)
        in->event = direct->flight->event;
    if (direct->sink >= 0)
        out->event = direct->flight->event;
    return 0;
}

int direct_begin(struct sluice_transfer *transfer, enum call *ret_call)
{
    if (transfer->direct)
        return 0;
    *ret_call = CALL_BUFFER;
    transfer->direct = calloc(1, sizeof *transfer->direct);
    if (!transfer->direct)
        return -ENOMEM;
    transfer->direct->source = transfer->direct->sink = transfer->direct->edge = -1;
    const int error = begin(transfer, ret_call);
    if (error < 0)
        direct_leave(transfer);
    return error;
}

/* One block of memory for all slots, each with a block beyond its size: what is read begins and ends
 * by whole blocks. */
int direct_memory(struct direct *direct, struct slot *slot)
{
    const size_t one = direct->size + 2 * direct->align;
    const size_t unit = direct->align < 4096 ? 4096 : direct->align;
    const size_t each = (one + unit - 1) / unit * unit;
    void *arena;

    if (!direct->arena) {
        const bool huge = direct->depth * each >= 2 * HUGE_PAGE;
        if (posix_memalign(&arena, huge ? HUGE_PAGE : unit, direct->depth * each) != 0)
            return -ENOMEM;
        if (huge)
            sys_madvise(arena, direct->depth * each, MADV_HUGEPAGE); /* or not */
        direct->arena = arena;
    }
    slot->memory = direct->arena + (size_t)(slot - direct->slot) * each;
    return 0;
}

/* ---- requests ---- */

static void done(struct direct *direct, struct slot *slot)
{
    /* What was interrupted, or refused for the moment, is asked again. */
    if (slot->request.value == -EINTR || slot->request.value == -EAGAIN) {
        direct_submit(direct, slot);
        return;
    }
    if (slot->phase == SLOT_READING)
        direct_read_done(direct, slot);
    else
        direct_write_done(direct, slot);
}

void direct_submit(struct direct *direct, struct slot *slot)
{
    while (sys_flight_submit(direct->flight, &slot->request) < 0) {
        slot->request.value = flight_perform(&slot->request);
        if (slot->request.value != -EINTR && slot->request.value != -EAGAIN) {
            done(direct, slot);
            return;
        }
    }
}

bool direct_collect(struct direct *direct, bool wait)
{
    struct request *request;
    bool any = !wait;

    while ((request = sys_flight_reap(direct->flight, !any))) {
        any = true;
        done(direct, (struct slot *)request);
    }
    return any;
}

/* ---- reading ahead ---- */

int64_t direct_limit(struct sluice_transfer *transfer)
{
    const struct side *in = &transfer->in;
    uint64_t left = transfer_left(transfer), size;

    if (transfer->holes.kept && left > holes_data(transfer))
        left = holes_data(transfer);
    const int64_t wanted =
        left > (uint64_t)(INT64_MAX - in->offset) ? INT64_MAX : in->offset + (int64_t)left;
    if (endpoint_size(in->endpoint, &size) < 0)
        return wanted; /* reads say where it ends */
    return (int64_t)size < wanted ? (int64_t)size : wanted;
}

/* ---- the end ---- */

static void quiesce(struct direct *direct)
{
    while (direct->flight->in_flight > 0)
        direct_collect(direct, true);
}

/* The next bytes of a slot that the sink did not get. What was read out of its pipe is in memory, and
 * comes before what the pipe still holds. */
static ssize_t take_from_slot(struct slot *slot, char *into, size_t most)
{
    char dropped[4096];
    const size_t in_memory = slot->in_memory ? slot->length : slot->moved;
    size_t length = slot->length - slot->given;

    if (length > most)
        length = most;
    if (slot->given < in_memory) {
        if (length > in_memory - slot->given)
            length = in_memory - slot->given;
        memcpy(into, slot->memory + slot->given, length);
        slot->given += length;
        return (ssize_t)length;
    }
    for (;;) {
        const size_t behind =
            slot->given - slot->moved; /* delivered, and in the pipe all the same */
        const size_t want = behind > sizeof dropped ? sizeof dropped : behind;
        const ssize_t value =
            sys_read(slot->pipe->read_end, behind ? dropped : into, behind ? want : length);
        if (value == -EINTR)
            continue;
        if (value <= 0)
            return value < 0 ? value : -EIO;
        slot->moved += (size_t)value;
        if (behind)
            continue;
        slot->given += (size_t)value;
        return value;
    }
}

ssize_t direct_take_parked(struct sluice_transfer *transfer, char *into, size_t length)
{
    struct direct *direct = transfer->direct;
    size_t done = 0;

    while (done < length && direct->head < direct->tail) {
        struct slot *slot = direct_slot(direct, direct->head);
        if (slot->given == slot->length) {
            direct->head++;
            continue;
        }
        const ssize_t value = take_from_slot(slot, into + done, length - done);
        if (value < 0)
            return done ? (ssize_t)done : value;
        done += (size_t)value;
    }
    return (ssize_t)done;
}

/* What a source that cannot be read again gave, and the sink did not get, goes to the transfer's
 * buffer. False if something stays here. */
static bool keep_parked(struct sluice_transfer *transfer)
{
    struct buffer *buffer = &transfer->buffer;
    const size_t parked = (size_t)transfer_parked(transfer);
    void *bytes;

    if (parked == 0 || (transfer->in.endpoint->medium & MEDIA_SEEKABLE))
        return true;
    if (posix_memalign(&bytes, 4096, parked) != 0)
        return false;
    const ssize_t value = direct_take_parked(transfer, bytes, parked);
    free(buffer->bytes);
    *buffer = (struct buffer){.bytes = bytes, .capacity = parked};
    buffer->end = value > 0 ? (size_t)value : 0;
    return value == (ssize_t)parked;
}

/* What was written beyond the last delivered byte is taken back, where the sink has grown by it. */
static void cut_sink(struct sluice_transfer *transfer)
{
    const struct direct *direct = transfer->direct;
    const struct side *out = &transfer->out;
    const uint64_t at = (uint64_t)out->offset;
    const uint64_t end = at > direct->sink_size ? at : direct->sink_size;
    uint64_t size;

    if (direct->sink >= 0 && direct->sink_size != UINT64_MAX && direct->head < direct->tail &&
        out->endpoint->kind == SLUICE_KIND_REGULAR && endpoint_size(out->endpoint, &size) >= 0 &&
        size > end)
        sys_ftruncate(direct->sink, (int64_t)end);
}

/* A pipe that the transfer holds now is its own. */
static void free_slots(struct sluice_transfer *transfer)
{
    struct direct *direct = transfer->direct;
    struct pipe_pool *pool = &transfer->context->pool;

    for (unsigned i = 0; i < DIRECT_MOST_SLOTS; i++) {
        struct slot *slot = &direct->slot[i];
        if (slot->pipe && slot->pipe != transfer->pipe)
            pipe_put(pool, slot->pipe);
        if (slot->shadow)
            pipe_put(pool, slot->shadow);
    }
    free(direct->arena);
}

void direct_free(struct sluice_transfer *transfer)
{
    if (!transfer->direct)
        return;
    free_slots(transfer);
    free(transfer->direct);
    transfer->direct = NULL;
}

void direct_leave(struct sluice_transfer *transfer)
{
    struct direct *direct = transfer->direct;
    bool kept = true;

    if (!direct || direct->stopped)
        return;
    transfer->in.event = transfer->out.event = -1;
    if (direct->flight) {
        quiesce(direct);
        if (direct->sink >= 0)
            direct_count_written(transfer);
        cut_sink(transfer);
        kept = keep_parked(transfer);
        transfer->ledger.depth = direct->flight->most;
        sys_flight_close(direct->flight);
    }
    if (direct->own_source)
        sys_close(direct->source);
    if (direct->own_sink)
        sys_close(direct->sink);
    if (direct->own_edge)
        sys_close(direct->edge);
    direct->stopped = !kept;
    if (kept)
        direct_free(transfer);
}
