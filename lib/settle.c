/* SPDX-License-Identifier: MIT */
/*
 * What a call did to a transfer: bytes counted, an end believed or doubted, a side marked as
 * blocked, a fallback, a failure. An errno is looked up in the table of error.c and nowhere else.
 */
#include <errno.h>

#include "alignment.h"
#include "sys.h"
#include "transfer.h"

/* ---- what is parked ---- */

/* Puts parked bytes back where they came from, if the source can be read again. */
static void untake_parked(struct sluice_transfer *transfer)
{
    const uint64_t parked = transfer_parked(transfer);

    if (parked == 0 || side_untake(&transfer->in, parked) < 0)
        return;
    transfer->taken = transfer->delivered;
    transfer->ended = false; /* they are to be taken again */
    transfer->buffer.start = transfer->buffer.end = 0;
    if (transfer->pipe)
        pipe_kill(&transfer->context->pool, transfer->pipe);
    transfer->pipe = NULL;
}

void transfer_return_pipe(struct sluice_transfer *transfer)
{
    if (transfer->pipe)
        pipe_put(&transfer->context->pool, transfer->pipe);
    transfer->pipe = NULL;
}

static void leave_method(struct sluice_transfer *transfer)
{
    if (transfer->method->leave)
        transfer->method->leave(transfer);
}

/* ---- ends ---- */

/* A regular file that is shorter now than where it was expected to end. */
static bool source_truncated(const struct sluice_transfer *transfer)
{
    const struct sluice_endpoint *source = transfer->in.endpoint;
    uint64_t size;

    if (source->kind != SLUICE_KIND_REGULAR || source->medium == MEDIUM_PSEUDO)
        return false;
    if (transfer->truncated)
        return true;
    return transfer->taken < transfer->expected && endpoint_size(source, &size) >= 0 &&
           size < source->bytes;
}

int transfer_stop(struct sluice_transfer *transfer, enum sluice_side side, const char *operation,
                  int error, const char *reason)
{
    struct side *at = side == SLUICE_SIDE_SINK ? &transfer->out : &transfer->in;

    if (side == SLUICE_SIDE_SOURCE && source_truncated(transfer)) {
        error = -ENODATA;
        reason = "the source was truncated while it was read";
    }
    leave_method(transfer);
    untake_parked(transfer);
    readahead_end(transfer);
    if (!transfer_in_pipe(transfer))
        transfer_return_pipe(transfer);
    footprint_end(transfer);
    transfer->error = (struct sluice_error){
        .size = sizeof transfer->error,
        .error = error,
        .side = side,
        .operation = operation,
        .reason = reason,
        .offset = at->endpoint->medium & MEDIA_SEEKABLE ? side_position(at) : transfer->delivered,
        .delivered = transfer->delivered,
        .parked = transfer_parked(transfer),
    };
    side_finish(&transfer->in);
    side_finish(&transfer->out);
    transfer->state = STATE_FAILED;
    return error;
}

int transfer_finish(struct sluice_transfer *transfer)
{
    const struct sluice_options *options = &transfer->options;

    if (transfer->truncated || (transfer->ended && source_truncated(transfer)))
        return transfer_stop(transfer, SLUICE_SIDE_SOURCE, "read", -ENODATA, NULL);
    if ((options->flags & SLUICE_EXACT) && (options->flags & SLUICE_LENGTH) &&
        transfer->taken < options->length)
        return transfer_stop(transfer, SLUICE_SIDE_SOURCE, "read", -ENODATA,
                             "the source ended before the length asked for");
    if (transfer->late.error < 0)
        return transfer_stop(transfer, SLUICE_SIDE_SOURCE, transfer->late.operation,
                             transfer->late.error, transfer->late.reason);
    leave_method(transfer);
    transfer_return_pipe(transfer);
    readahead_end(transfer);
    footprint_end(transfer);
    if (transfer->footprint.error < 0)
        return transfer_stop(transfer, SLUICE_SIDE_SINK, "sync_file_range",
                             transfer->footprint.error, NULL);
    side_finish(&transfer->in);
    side_finish(&transfer->out);
    transfer->state = STATE_DONE;
    return SLUICE_DONE;
}

/* ---- methods ---- */

const struct method *transfer_method(const struct sluice_transfer *transfer)
{
    const struct sluice_endpoint *source = transfer->in.endpoint, *sink = transfer->out.endpoint;

    switch (transfer->plan.candidate[transfer->current].method) {
    case SLUICE_METHOD_REFLINK:
        return &method_reflink;
    case SLUICE_METHOD_COPY_RANGE:
        return &method_copy_range;
    case SLUICE_METHOD_SENDFILE:
        return &method_sendfile;
    case SLUICE_METHOD_SPLICE:
        return plan_splice_route(source, sink) == SPLICE_STRAIGHT ? &method_splice_straight
                                                                  : &method_splice;
    case SLUICE_METHOD_MMAP_WRITE:
        return &method_mmap_write;
    case SLUICE_METHOD_DIRECT:
        return alignment_matters(sink) ? &method_direct_store : &method_direct_give;
    default:
        return &method_read_write;
    }
}

/* Whose error it is where one call touches both ends and the errno is none of a sink's own. A pipe
 * or /dev/null as sink has no other. A source that is a file is asked again for a byte: if it
 * gives one, it was the sink. */
static enum sluice_side whose(const struct sluice_transfer *transfer)
{
    const struct side *in = &transfer->in;
    char byte;

    if (!(in->endpoint->medium & MEDIA_SEEKABLE) ||
        (transfer->out.endpoint->medium & (MEDIUM_PIPE | MEDIUM_NULL | MEDIUM_ZERO)))
        return SLUICE_SIDE_SOURCE;
    const ssize_t value = sys_pread(in->fd, &byte, 1, (int64_t)side_position(in));
    const bool gives = value >= 0 || (value == -EINVAL && in->endpoint->medium == MEDIUM_DIRECT);
    return gives ? SLUICE_SIDE_SINK : SLUICE_SIDE_SOURCE;
}

/* Fails with the error of a call. */
static int fail_call(struct sluice_transfer *transfer, enum call call, int error,
                     const char *reason)
{
    enum sluice_side side;

    if (!error_side(call, error, &side))
        side = whose(transfer);
    /* What a peer sent before it failed is still the sink's. (Where the source can be read again, it
     * goes back there.) */
    if (side == SLUICE_SIDE_SOURCE && transfer_holds_bytes(transfer) &&
        !(transfer->in.endpoint->medium & MEDIA_SEEKABLE)) {
        transfer->late = (struct late){error, call_name(call), reason};
        transfer->ended = true;
        return 0;
    }
    return transfer_stop(transfer, side, call_name(call), error, reason);
}

int transfer_fall_back(struct sluice_transfer *transfer, enum call call, int error,
                       const char *reason)
{
    struct sluice_fallback record = {
        .size = sizeof record,
        .from = transfer->method->id,
        .error = error,
        .call = call_name(call),
        .reason = reason,
    };

    if (transfer->current + 1 >= transfer->plan.usable) {
        const int last = error ? error : -EIO;
        if (transfer->options.method != SLUICE_METHOD_AUTO)
            return fail_call(transfer, call, last,
                             reason ? reason : "the method was asked for by name");
        if (transfer->options.require == SLUICE_REQUIRE_ANY)
            return fail_call(transfer, call, last, reason);
        return transfer_stop(transfer, SLUICE_SIDE_SETUP, "require", -EOPNOTSUPP,
                             "no other method meets the requirement");
    }
    if (!error_side(call, error, &record.side))
        record.side = SLUICE_SIDE_SETUP;
    leave_method(transfer);
    record.at = transfer->delivered;
    untake_parked(transfer);
    if (transfer->direct) /* what is parked cannot be had, as it seems: not to go on beyond it */
        return transfer_stop(transfer, SLUICE_SIDE_PIPE, "read", error ? error : -EIO, NULL);
    transfer->current++;
    transfer->method = transfer_method(transfer);
    record.to = transfer->method->id;
    ledger_fell_back(&transfer->ledger, &record);
    return 0;
}

/* The same method goes on, in another way on that side. */
static int go_on_otherwise(struct sluice_transfer *transfer, const struct side *side,
                           enum call call, int error, const char *reason)
{
    const struct sluice_fallback record = {
        .size = sizeof record,
        .from = transfer->method->id,
        .to = transfer->method->id,
        .error = error,
        .side = side->which,
        .call = call_name(call),
        .reason = reason,
        .at = transfer->delivered,
    };
    ledger_fell_back(&transfer->ledger, &record);
    return 0;
}

/* O_DIRECT cannot take this piece. */
static int go_buffered(struct sluice_transfer *transfer, enum call call, int error)
{
    struct side *side = call == CALL_READ ? &transfer->in : &transfer->out;

    if (side_leave_direct(side) < 0)
        return fail_call(transfer, call, error, NULL);
    return go_on_otherwise(
        transfer, side, call, error,
        "O_DIRECT takes aligned pieces only: the rest goes through the page cache");
}

/* RWF_DONTCACHE is not to be had after all: what the method brings into the page cache is dropped window
 * by window. */
static int go_cached(struct sluice_transfer *transfer, enum call call, int error)
{
    struct side *side = call == CALL_READ_UNCACHED ? &transfer->in : &transfer->out;

    side->uncached = false;
    return go_on_otherwise(transfer, side, call, error,
                           "no RWF_DONTCACHE here: the page cache is dropped window by window");
}

/* ---- what a call did ---- */

#define CALL(name) CALL_BIT(name)
#define CALLS_BOTH                                                                                 \
    (CALL(REFLINK) | CALL(REFLINK_EDGE) | CALL(SENDFILE) | CALL(COPY_RANGE) | CALL(SPLICE) |       \
     CALL(WRITE_MAPPED) | CALL(HOLE))
#define CALLS_TAKING                                                                               \
    (CALLS_BOTH | CALL(READ) | CALL(READ_UNCACHED) | CALL(SPLICE_IN) | CALL(DIRECT_READ) |         \
     CALL(DIRECT_IN) | CALL(DIRECT_EDGE_IN) | CALL(DIRECT_TAKE) | CALL(DIRECT_COPY_IN))
#define CALLS_DELIVERING                                                                           \
    (CALLS_BOTH | CALL(WRITE) | CALL(WRITE_UNCACHED) | CALL(SPLICE_OUT) | CALL(ZEROS) |            \
     CALL(DIRECT_WRITE) | CALL(DIRECT_OUT) | CALL(DIRECT_EDGE_OUT) | CALL(DIRECT_GIVE))
/* Of the source, though it is mmap that says so. */
#define CALLS_ENDING (CALLS_TAKING | CALL(MAP))

/* What was to be DMA, after O_DIRECT was left. */
static struct sluice_leg through_the_cache(struct sluice_leg leg)
{
    leg.class_ = SLUICE_CLASS_USER_COPY;
    leg.copies = 1;
    return leg;
}

static struct sluice_leg leg_of(const struct sluice_transfer *transfer, enum call call)
{
    struct sluice_endpoint *source = transfer->in.endpoint, *sink = transfer->out.endpoint;
    const struct sluice_candidate *candidate = &transfer->plan.candidate[transfer->current];

    switch (call) {
    case CALL_SPLICE_IN:
        return plan_leg_splice(source, NULL);
    case CALL_SPLICE_OUT:
        return plan_leg_splice(NULL, sink);
    case CALL_READ:
        return plan_leg_read(source);
    case CALL_WRITE:
        return plan_leg_write(sink);
    case CALL_WRITE_MAPPED:
        return candidate->leg[1];
    case CALL_HOLE:
        return plan_leg_hole(source->name, sink->name, call_name(call));
    case CALL_ZEROS:
        return plan_leg_hole("user", sink->name, call_name(call));
    case CALL_CLONE:
        return plan_leg_clone(source->name);
    case CALL_REFLINK_EDGE:
        return plan_leg_edge(source, sink);
    case CALL_READ_CACHED:
        return through_the_cache(plan_leg_read(source));
    case CALL_WRITE_CACHED:
        return through_the_cache(plan_leg_write(sink));
    case CALL_READ_UNCACHED:
        return plan_leg_uncached(plan_leg_read(source));
    case CALL_WRITE_UNCACHED:
        return plan_leg_uncached(plan_leg_write(sink));
    case CALL_DIRECT_READ:
        return plan_leg_direct_read(source);
    case CALL_DIRECT_IN:
        return plan_leg_direct_in(source);
    case CALL_DIRECT_WRITE:
        return plan_leg_direct_write(sink);
    case CALL_DIRECT_OUT:
        return plan_leg_direct_out(sink);
    case CALL_DIRECT_TAKE:
        return plan_leg_splice(source, NULL);
    case CALL_DIRECT_GIVE:
        return plan_leg_splice(NULL, sink);
    case CALL_DIRECT_COPY_IN:
        return plan_leg_read(source);
    case CALL_DIRECT_EDGE_IN:
        return plan_leg_copied(source->name, "pipe", "read", "anon_pipe_write");
    case CALL_DIRECT_EDGE_OUT:
        return plan_leg_copied("user", sink->name, "write", "generic_perform_write");
    case CALL_DIRECT_SHIFT:
        return plan_leg_copied("user", "user", "memmove", "memmove");
    case CALL_DIRECT_BOUNCE:
    case CALL_READ_BACK:
        return plan_leg_copied("pipe", "user", "read", "anon_pipe_read");
    default:
        return candidate->leg[0];
    }
}

struct sluice_row *transfer_row(struct sluice_transfer *transfer, enum call call)
{
    if (call == CALL_READ && transfer->in.left_direct)
        call = CALL_READ_CACHED;
    if (call == CALL_WRITE && transfer->out.left_direct)
        call = CALL_WRITE_CACHED;
    struct sluice_row *row = &transfer->ledger.row[call];
    if (!row->size) {
        row->size = sizeof *row;
        row->method = call == CALL_HOLE ? transfer->method->id : call_method(call);
        row->leg = leg_of(transfer, call);
        if (row->leg.known == SLUICE_EXPECTED)
            plan_prove(&transfer->plan, transfer->context->probe, &row->leg);
    }
    return row;
}

int transfer_report(struct sluice_transfer *transfer)
{
    if (!transfer->options.progress)
        return 0;
    const struct sluice_progress progress = {
        .size = sizeof progress,
        .delivered = transfer->delivered,
        .parked = transfer_parked(transfer),
        .expected = transfer->expected,
        .method = transfer->method->id,
    };
    if (transfer->options.progress(&progress, transfer->options.progress_data) == 0)
        return 0;
    return transfer_stop(transfer, SLUICE_SIDE_SETUP, "cancel", -ECANCELED, NULL);
}

static int moved(struct sluice_transfer *transfer, const struct move *move)
{
    const uint64_t bytes = (uint64_t)move->value;
    const uint64_t call = (uint64_t)1 << move->call;
    struct sluice_row *row = transfer_row(transfer, move->call);

    row->bytes += bytes;
    row->calls++;
    if (move->dry)
        transfer->in.blocked = true;
    transfer->watched_hup = false;
    transfer->fruitless = 0;
    transfer->in_vain = false;
    if (transfer->options.idle_timeout)
        transfer->last_moved = sys_now();
    if (call & CALLS_TAKING) {
        transfer->taken += bytes;
        if (move->call != CALL_HOLE)
            rate_spend(&transfer->rate, bytes);
    }
    if (!(call & CALLS_DELIVERING))
        return 0;
    transfer->delivered += bytes;
    footprint_follow(transfer);
    return transfer_report(transfer);
}

/* EAGAIN: whose? Where one call touches both ends, they are asked. */
static void settle_eagain(struct sluice_transfer *transfer, enum call call)
{
    struct side *in = &transfer->in, *out = &transfer->out;
    enum sluice_side side;

    const bool source_was = in->blocked, sink_was = out->blocked;

    transfer_row(transfer, call)->eagain++;
    if (!error_side(call, -EAGAIN, &side)) {
        const bool asks_source = !(in->endpoint->medium & MEDIA_ALWAYS_READY);
        const bool asks_sink = !(out->endpoint->medium & MEDIA_ALWAYS_READY);
        /* If both are ready by now, the call is made again. */
        if (asks_source && asks_sink) {
            side_poll(in, &transfer->ledger.polls);
            side_poll(out, &transfer->ledger.polls);
        } else {
            in->blocked = !asks_sink;
            out->blocked = asks_sink;
        }
    } else if (side == SLUICE_SIDE_SOURCE) {
        in->blocked = true;
    } else {
        out->blocked = true;
    }
    const int blocked = (in->blocked ? (int)in->endpoint->medium : 0) |
                        (out->blocked ? (int)out->endpoint->medium : 0);
    transfer->fruitless += (blocked & MEDIA_ALWAYS_READY) != 0;
    transfer->ledger.source_eagain += in->blocked && !source_was;
    transfer->ledger.sink_eagain += out->blocked && !sink_was;
}

static const char no_end[] = "it said end where there was none";

/* splice(2) says so before TCP's urgent data, which only recv passes by (bytes-after-urgent-data-
 * are-not-lost). */
static int doubt_end_of_stream(struct sluice_transfer *transfer, enum call call)
{
    char byte;
    const ssize_t value = sys_recv(transfer->in.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    if (value == 0)
        transfer->ended = true;
    if (value == 0 || value == -EINTR)
        return 0;
    if (value > 0)
        return transfer_fall_back(transfer, call, 0, no_end);
    if (value != -EAGAIN)
        return fail_call(transfer, CALL_READ, (int)value, NULL);
    settle_eagain(transfer, call); /* nothing has come after it yet */
    return 0;
}

/* While the connection lasts it says EAGAIN instead, again and again, although poll(2) tells of bytes. It is
 * looked into when that was said twice with nothing between. */
static bool halts_before_urgent(struct sluice_transfer *transfer, enum call call)
{
    if (call != CALL_SPLICE_IN)
        return false;
    const bool again = transfer->in_vain;
    transfer->in_vain = true;
    return again && side_halts_at_urgent(&transfer->in);
}

/* A call inside the kernel said "end" (0). Such calls say so too where there is none: on procfs,
 * on files whose size is wrong. So a byte is asked for, and not taken. */
static int doubt_end(struct sluice_transfer *transfer, enum call call)
{
    struct side *in = &transfer->in;
    char byte;

    if (in->endpoint->kind == SLUICE_KIND_STREAM)
        return doubt_end_of_stream(transfer, call);
    if (!(in->endpoint->medium & MEDIA_SEEKABLE)) {
        transfer->ended = true;
        return 0;
    }
    if (in->endpoint->medium == MEDIUM_DIRECT) { /* gives no single byte; its size is true */
        uint64_t size;
        const bool more = endpoint_size(in->endpoint, &size) >= 0 && side_position(in) < size;
        transfer->ended = !more;
        return more ? transfer_fall_back(transfer, call, 0, no_end) : 0;
    }
    const ssize_t value =
        in->has_offset ? sys_pread(in->fd, &byte, 1, in->offset) : sys_read(in->fd, &byte, 1);
    if (value == 0)
        transfer->ended = true;
    if (value == 0 || value == -EINTR)
        return 0;
    if (value < 0)
        return fail_call(transfer, CALL_READ, (int)value, NULL);
    /* It has grown since then. */
    uint64_t size;
    if (transfer->direct && endpoint_size(in->endpoint, &size) >= 0 && size > in->endpoint->bytes)
        return 0;
    if (!in->has_offset && side_untake(in, 1) < 0)
        return transfer_stop(transfer, SLUICE_SIDE_SOURCE, call_name(call), -EIO, no_end);
    return transfer_fall_back(transfer, call, 0, no_end);
}

static int settle_zero(struct sluice_transfer *transfer, const struct move *move)
{
    if (move->message)
        return moved(transfer, move);
    if (!(CALLS_ENDING >> move->call & 1))
        return fail_call(transfer, move->call, -EIO, "it took nothing and gave no reason");
    if (move->call != CALL_MAP)
        transfer_row(transfer, move->call)->calls++;
    if (move->call != CALL_READ && move->call != CALL_READ_UNCACHED)
        return doubt_end(transfer, move->call);
    transfer->ended = true;
    return 0;
}

int transfer_settle(struct sluice_transfer *transfer, const struct move *move)
{
    const int error = (int)move->value;

    if (move->value > 0)
        return moved(transfer, move);
    if (move->value == 0)
        return settle_zero(transfer, move);
    switch (error_action(move->call, error)) {
    case ACTION_AGAIN:
        return transfer_report(transfer);
    case ACTION_WAIT:
        settle_eagain(transfer, move->call);
        return halts_before_urgent(transfer, move->call)
                   ? transfer_fall_back(transfer, move->call, 0, SIDE_HALTS_AT_URGENT)
                   : 0;
    case ACTION_FALLBACK:
        return transfer_fall_back(transfer, move->call, error, NULL);
    case ACTION_CACHED:
        return go_cached(transfer, move->call, error);
    case ACTION_BUFFERED:
        return go_buffered(transfer, move->call, error);
    default:
        return fail_call(transfer, move->call, error, NULL);
    }
}
