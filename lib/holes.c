/* SPDX-License-Identifier: MIT */
#include "holes.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <string.h>
#include <unistd.h>

#include "sys.h"
#include "transfer.h"

#define MEDIA_SPARSE (MEDIUM_FILE | MEDIUM_REMOTE | MEDIUM_DIRECT)

static bool may_have_holes(const struct sluice_endpoint *endpoint)
{
    return endpoint->kind == SLUICE_KIND_REGULAR && (endpoint->medium & MEDIA_SPARSE) &&
           !(endpoint->flags & O_APPEND);
}

void holes_begin(struct sluice_transfer *transfer)
{
    const enum sluice_when sparse = transfer->options.sparse;
    const struct sluice_endpoint *source = transfer->in.endpoint, *sink = transfer->out.endpoint;

    if (sparse == SLUICE_NEVER || !may_have_holes(sink))
        return;
    transfer->holes.kept = source->has_holes && may_have_holes(source) &&
                           side_take_offset(&transfer->in) == 0 &&
                           side_guard_offset(&transfer->in) == 0;
    transfer->holes.made = sparse == SLUICE_ALWAYS;
    if (transfer->holes.kept)
        transfer->holes.data_end = transfer->in.offset;
}

/* ---- the sink ---- */

static int punch(int fd, uint64_t begin, uint64_t end)
{
    return begin < end ? sys_fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                       (int64_t)begin, (int64_t)(end - begin))
                       : 0;
}

/* Beyond the sink's old end there is nothing to be punched but what xfs has allocated there in
 * advance, which would stay for ever now that the end moves on. By whole blocks: of a part of one
 * btrfs would make a block of zeros. What is skipped in small pieces adds up to blocks. */
static void punch_ahead(struct holes *holes, const struct side *out, uint64_t begin, uint64_t end)
{
    const uint64_t block = out->endpoint->block;

    if (begin != holes->skipped_to)
        holes->unpunched = (begin + block - 1) / block * block;
    holes->skipped_to = end;
    end -= end % block;
    if (end > holes->unpunched) {
        punch(out->fd, holes->unpunched, end);
        holes->unpunched = end;
    }
}

/* The sink has a hole here, whatever it had before. */
static int sink_skip(struct sluice_transfer *transfer, uint64_t length)
{
    struct side *out = &transfer->out;
    const uint64_t begin = side_position(out), end = begin + length;
    uint64_t size;

    int error = endpoint_size(out->endpoint, &size);
    if (error == 0)
        error = punch(out->fd, begin, end < size ? end : size);
    if (error == 0 && end > size)
        error = sys_ftruncate(out->fd, (int64_t)end);
    if (error < 0)
        return error;
    if (begin >= size)
        punch_ahead(&transfer->holes, out, begin, end);
    return side_advance(out, (int64_t)length);
}

/* Then zeros are written, as if they were any bytes. */
static void give_up(struct sluice_transfer *transfer, int error)
{
    const struct sluice_fallback record = {
        .size = sizeof record,
        .from = transfer->method->id,
        .to = transfer->method->id,
        .error = error,
        .side = SLUICE_SIDE_SINK,
        .call = "fallocate",
        .reason = "the sink takes no hole: zeros are written",
        .at = transfer->delivered,
    };
    transfer->holes.kept = transfer->holes.made = false;
    ledger_fell_back(&transfer->ledger, &record);
}

/* ---- the source ---- */

/* Where the data at or after the position begins; `size` if there is none. */
static int64_t next_data(struct side *in, int64_t size)
{
    const int64_t begin = sys_lseek(in->fd, in->offset, SEEK_DATA);
    return begin == -ENXIO ? size : begin;
}

bool holes_skip(struct sluice_transfer *transfer, uint64_t most, struct move *ret)
{
    struct side *in = &transfer->in;
    struct holes *holes = &transfer->holes;
    uint64_t size;

    if (in->offset < holes->data_end || endpoint_size(in->endpoint, &size) < 0 ||
        (uint64_t)in->offset >= size)
        return false;
    const int64_t data = next_data(in, (int64_t)size);
    if (data < in->offset) { /* it cannot be told */
        holes->kept = false;
        return false;
    }
    if (data == in->offset) {
        const int64_t end = sys_lseek(in->fd, data, SEEK_HOLE);
        holes->data_end = end > data ? end : (int64_t)size;
        return false;
    }
    const uint64_t hole = (uint64_t)(data - in->offset);
    uint64_t length = hole < most ? hole : most;
    if (length > SSIZE_MAX)
        length = SSIZE_MAX;
    const int error = sink_skip(transfer, length);
    if (error < 0) {
        give_up(transfer, error);
        return false;
    }
    in->offset += (int64_t)length;
    *ret = (struct move){.call = CALL_HOLE, .value = (ssize_t)length};
    return true;
}

uint64_t holes_data(const struct sluice_transfer *transfer)
{
    const int64_t left = transfer->holes.data_end - transfer->in.offset;
    return left > 0 ? (uint64_t)left : UINT64_MAX;
}

bool holes_next(const struct sluice_transfer *transfer)
{
    return transfer->holes.kept && transfer->in.offset >= transfer->holes.data_end;
}

/* ---- zeros ---- */

static bool is_zero(const char *bytes, size_t length)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0;
}

/* What of a block comes in two pieces is looked at in two: a block of which both are zeros stays
 * unwritten all the same. */
bool holes_zeros(struct sluice_transfer *transfer, const char *bytes, size_t *length)
{
    struct side *out = &transfer->out;
    const uint64_t block = out->endpoint->block, begin = side_position(out);
    bool zeros = false;
    size_t at = 0;

    while (at < *length) {
        const uint64_t to_edge = block - (begin + at) % block;
        const size_t piece = *length - at < to_edge ? *length - at : (size_t)to_edge;
        const bool zero = is_zero(bytes + at, piece);
        if (at > 0 && zero != zeros)
            break;
        zeros = zero;
        at += piece;
    }
    *length = at;
    if (!zeros)
        return false;
    const int error = sink_skip(transfer, at);
    if (error < 0)
        give_up(transfer, error);
    return error == 0;
}
