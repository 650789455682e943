/* SPDX-License-Identifier: MIT */
/*
 * The engine: which call is made next, and what its result means. It never looks at a kind of
 * endpoint but through the plan and the sides, and at an errno only through the table of error.c.
 */
#include "transfer.h"

#include <errno.h>
#include <stdlib.h>

#include "cancel.h"
#include "sys.h"

/* ---- what is parked ---- */

static bool in_memory(const struct sluice_transfer *transfer)
{
    return transfer->buffer.start < transfer->buffer.end || transfer->buffer.message;
}

static bool in_pipe(const struct sluice_transfer *transfer)
{
    return transfer->pipe && transfer->pipe->parked > 0;
}

static bool anything_parked(const struct sluice_transfer *transfer)
{
    return in_memory(transfer) || in_pipe(transfer);
}

/* Puts parked bytes back where they came from, if the source can be read again. */
static void untake_parked(struct sluice_transfer *transfer)
{
    const uint64_t parked = transfer_parked(transfer);

    if (parked == 0 || side_untake(&transfer->in, parked) < 0)
        return;
    transfer->taken = transfer->delivered;
    transfer->buffer.start = transfer->buffer.end = 0;
    if (transfer->pipe)
        pipe_kill(&transfer->context->pool, transfer->pipe);
    transfer->pipe = NULL;
}

static void return_pipe(struct sluice_transfer *transfer)
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

static int fail(struct sluice_transfer *transfer, enum sluice_side side, const char *operation,
                int error, const char *reason)
{
    struct side *at = side == SLUICE_SIDE_SINK ? &transfer->out : &transfer->in;

    if (side == SLUICE_SIDE_SOURCE && source_truncated(transfer)) {
        error = -ENODATA;
        reason = "the source was truncated while it was read";
    }
    leave_method(transfer);
    untake_parked(transfer);
    if (error == -EPIPE)
        transfer->got_epipe = true;
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

int transfer_stop(struct sluice_transfer *transfer, enum sluice_side side, const char *operation,
                  int error, const char *reason)
{
    return fail(transfer, side, operation, error, reason);
}

static int finish(struct sluice_transfer *transfer)
{
    const struct sluice_options *options = &transfer->options;

    if (transfer->ended && source_truncated(transfer))
        return fail(transfer, SLUICE_SIDE_SOURCE, "read", -ENODATA, NULL);
    if ((options->flags & SLUICE_EXACT) && (options->flags & SLUICE_LENGTH) &&
        transfer->taken < options->length)
        return fail(transfer, SLUICE_SIDE_SOURCE, "read", -ENODATA,
                    "the source ended before the length asked for");
    leave_method(transfer);
    return_pipe(transfer);
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
    case SLUICE_METHOD_COPY_RANGE:
        return &method_copy_range;
    case SLUICE_METHOD_SENDFILE:
        return &method_sendfile;
    case SLUICE_METHOD_SPLICE:
        return plan_splice_route(source, sink) == SPLICE_STRAIGHT ? &method_splice_straight
                                                                  : &method_splice;
    case SLUICE_METHOD_MMAP_WRITE:
        return &method_mmap_write;
    default:
        return &method_read_write;
    }
}

/* Fails with the error of a call. Where one call touches both ends and the errno does not tell
 * which it was: a pipe has no errors but those that are its own in the table, and a source that is
 * a file is asked again for a byte: if it has one, it was the sink. */
static int fail_call(struct sluice_transfer *transfer, enum call call, int error,
                     const char *reason)
{
    enum sluice_side side;

    if (!error_side(call, error, &side)) {
        char byte;
        const bool sink_is_plain =
            transfer->out.endpoint->medium & (MEDIUM_PIPE | MEDIUM_NULL | MEDIUM_ZERO);
        const bool readable =
            !(transfer->in.endpoint->medium & MEDIA_SEEKABLE) ||
            sys_pread(transfer->in.fd, &byte, 1, (int64_t)side_position(&transfer->in)) >= 0;
        side = readable && !sink_is_plain ? SLUICE_SIDE_SINK : SLUICE_SIDE_SOURCE;
    }
    if (error == -EPIPE)
        transfer->got_epipe = true;
    return fail(transfer, side, call_name(call), error, reason);
}

/* The next method goes on at this byte; or the transfer fails, if there is none. error is 0 where
 * the call said something that is not true. */
static int fall_back(struct sluice_transfer *transfer, enum call call, int error,
                     const char *reason)
{
    struct sluice_fallback record = {
        .size = sizeof record,
        .from = transfer->method->id,
        .error = error,
        .call = call_name(call),
        .reason = reason,
        .at = transfer->delivered,
    };

    if (transfer->current + 1 >= transfer->plan.usable) {
        const int last = error ? error : -EIO;
        if (transfer->options.method != SLUICE_METHOD_AUTO)
            return fail_call(transfer, call, last,
                             reason ? reason : "the method was asked for by name");
        if (transfer->options.require == SLUICE_REQUIRE_ANY)
            return fail_call(transfer, call, last, reason);
        return fail(transfer, SLUICE_SIDE_SETUP, "require", -EOPNOTSUPP,
                    "no other method meets the requirement");
    }
    if (!error_side(call, error, &record.side))
        record.side = SLUICE_SIDE_SETUP;
    leave_method(transfer);
    untake_parked(transfer);
    transfer->current++;
    transfer->method = transfer_method(transfer);
    record.to = transfer->method->id;
    ledger_fell_back(&transfer->ledger, &record);
    return 0;
}

/* O_DIRECT cannot take this piece: the same method goes on through the page cache. */
static int go_buffered(struct sluice_transfer *transfer, enum call call, int error)
{
    struct side *side = call == CALL_READ ? &transfer->in : &transfer->out;

    if (side_leave_direct(side) < 0)
        return fail_call(transfer, call, error, NULL);
    const struct sluice_fallback record = {
        .size = sizeof record,
        .from = transfer->method->id,
        .to = transfer->method->id,
        .error = error,
        .side = side->which,
        .call = call_name(call),
        .reason = "O_DIRECT takes aligned pieces only: the rest goes through the page cache",
        .at = transfer->delivered,
    };
    ledger_fell_back(&transfer->ledger, &record);
    return 0;
}

/* ---- what a call did ---- */

#define CALL(name) (1 << CALL_##name)
#define CALLS_BOTH (CALL(SENDFILE) | CALL(COPY_RANGE) | CALL(SPLICE) | CALL(WRITE_MAPPED))
#define CALLS_TAKING (CALLS_BOTH | CALL(READ) | CALL(SPLICE_IN))
#define CALLS_DELIVERING (CALLS_BOTH | CALL(WRITE) | CALL(SPLICE_OUT))
/* Of the source, though it is mmap that says so. */
#define CALLS_ENDING (CALLS_TAKING | CALL(MAP))

static struct sluice_leg leg_of(const struct sluice_transfer *transfer, enum call call)
{
    struct sluice_endpoint *source = transfer->in.endpoint, *sink = transfer->out.endpoint;
    const struct sluice_candidate *candidate = &transfer->plan.candidate[transfer->current];
    struct sluice_leg leg;

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
    case CALL_READ_CACHED:
        leg = plan_leg_read(source);
        leg.class_ = SLUICE_CLASS_USER_COPY;
        return leg;
    case CALL_WRITE_CACHED:
        leg = plan_leg_write(sink);
        leg.class_ = SLUICE_CLASS_USER_COPY;
        return leg;
    case CALL_READ_BACK:
        return (struct sluice_leg){.from = "pipe", .to = "user", .call = "read",
                                   .path = "anon_pipe_read", .class_ = SLUICE_CLASS_USER_COPY};
    default:
        return candidate->leg[0];
    }
}

static struct sluice_row *row_of(struct sluice_transfer *transfer, enum call call)
{
    if (call == CALL_READ && transfer->in.left_direct)
        call = CALL_READ_CACHED;
    if (call == CALL_WRITE && transfer->out.left_direct)
        call = CALL_WRITE_CACHED;
    struct sluice_row *row = &transfer->ledger.row[call];
    if (!row->size) {
        row->size = sizeof *row;
        row->method = call_method(call);
        row->leg = leg_of(transfer, call);
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
    return fail(transfer, SLUICE_SIDE_SETUP, "cancel", -ECANCELED, NULL);
}

static int moved(struct sluice_transfer *transfer, const struct move *move)
{
    const uint64_t bytes = (uint64_t)move->value;
    const int call = 1 << move->call;
    struct sluice_row *row = row_of(transfer, move->call);

    row->bytes += bytes;
    row->calls++;
    transfer->watched_hup = false;
    if (transfer->options.idle_timeout)
        transfer->last_moved = sys_now();
    if (call & CALLS_TAKING) {
        transfer->taken += bytes;
        rate_spend(&transfer->rate, bytes);
    }
    if (!(call & CALLS_DELIVERING))
        return 0;
    transfer->delivered += bytes;
    return transfer_report(transfer);
}

/* A call inside the kernel said "end" (0). Such calls say so too where there is none: on procfs,
 * on files whose size is wrong. So a byte is asked for, and not taken. */
static int doubt_end(struct sluice_transfer *transfer, enum call call)
{
    struct side *in = &transfer->in;
    char byte;

    if (in->endpoint->medium & (MEDIUM_PIPE | MEDIUM_STREAM | MEDIUM_SOCKET)) {
        transfer->ended = true;
        return 0;
    }
    if (in->endpoint->medium == MEDIUM_DIRECT) { /* takes no single byte, and its size is true */
        transfer->ended = true;
        return 0;
    }
    const ssize_t value = in->has_offset ? sys_pread(in->fd, &byte, 1, in->offset)
                                         : sys_read(in->fd, &byte, 1);
    if (value == 0)
        transfer->ended = true;
    if (value == 0 || value == -EINTR)
        return 0;
    if (value < 0)
        return fail_call(transfer, CALL_READ, (int)value, NULL);
    if (!in->has_offset && side_untake(in, 1) < 0)
        return fail(transfer, SLUICE_SIDE_SOURCE, call_name(call), -EIO,
                    "it said end where there was none");
    return fall_back(transfer, call, 0, "it said end where there was none");
}

static int settle_zero(struct sluice_transfer *transfer, const struct move *move)
{
    if (move->message)
        return moved(transfer, move);
    if (!((1 << move->call) & CALLS_ENDING))
        return fail_call(transfer, move->call, -EIO, "it took nothing and gave no reason");
    if (move->call != CALL_MAP)
        row_of(transfer, move->call)->calls++;
    if (move->call != CALL_READ)
        return doubt_end(transfer, move->call);
    transfer->ended = true;
    return 0;
}

/* EAGAIN: whose? Where one call touches both ends, they are asked. */
static void settle_eagain(struct sluice_transfer *transfer, enum call call)
{
    struct side *in = &transfer->in, *out = &transfer->out;
    enum sluice_side side;

    row_of(transfer, call)->eagain++;
    if (!error_side(call, -EAGAIN, &side)) {
        const bool asks_source = !(in->endpoint->medium & MEDIA_ALWAYS_READY);
        const bool asks_sink = !(out->endpoint->medium & MEDIA_ALWAYS_READY);
        /* If both are ready by now, the call is made again. */
        if (asks_source && asks_sink) {
            side_poll(in, &transfer->ledger.polls);
            side_poll(out, &transfer->ledger.polls);
        } else {
            in->blocked = asks_source;
            out->blocked = asks_sink;
        }
    } else if (side == SLUICE_SIDE_SOURCE) {
        in->blocked = true;
    } else {
        out->blocked = true;
    }
    transfer->ledger.source_eagain += in->blocked;
    transfer->ledger.sink_eagain += out->blocked;
}

static int settle(struct sluice_transfer *transfer, const struct move *move)
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
        return 0;
    case ACTION_FALLBACK:
        return fall_back(transfer, move->call, error, NULL);
    case ACTION_BUFFERED:
        return go_buffered(transfer, move->call, error);
    default:
        return fail_call(transfer, move->call, error, NULL);
    }
}

/* ---- which call is next ---- */

static struct move drain(struct sluice_transfer *transfer)
{
    if (in_memory(transfer))
        return memory_drain(transfer);
    if (transfer->method->drain)
        return transfer->method->drain(transfer);
    return memory_read_back(transfer);
}

static uint64_t left_to_take(const struct sluice_transfer *transfer)
{
    if (transfer->ended)
        return 0;
    if (!(transfer->options.flags & SLUICE_LENGTH))
        return UINT64_MAX;
    return transfer->options.length - transfer->taken;
}

/* Whether there is a point in asking the source now. */
static bool can_take(struct sluice_transfer *transfer)
{
    if (transfer->in.blocked || left_to_take(transfer) == 0)
        return false;
    if (!anything_parked(transfer))
        return transfer->method->fill || !transfer->out.blocked;
    /* Filling goes on while draining waits; but never does what is parked wait for the source. */
    return transfer->out.blocked && transfer->method->fill &&
           (!transfer->may_wait || transfer->in.never_waits) &&
           transfer->method->has_room(transfer);
}

/* How many bytes the next call is asked for; 0: none before the deadline, by the rate limit. */
static size_t next_want(struct sluice_transfer *transfer, uint64_t budget, uint64_t *deadline)
{
    uint64_t want = transfer->options.chunk ? transfer->options.chunk : transfer->method->chunk;
    const uint64_t left = left_to_take(transfer);

    if (want > left)
        want = left;
    if (budget && want > budget)
        want = budget;
    if (transfer->rate.limit) {
        const uint64_t allowed = rate_allow(&transfer->rate, want, sys_now(), deadline);
        if (want > allowed)
            want = allowed;
    }
    if (!transfer->method->fill && !transfer->may_wait && want > side_bound(&transfer->out))
        want = side_bound(&transfer->out);
    return (size_t)want;
}

static struct move take(struct sluice_transfer *transfer, size_t want)
{
    return transfer->method->fill ? transfer->method->fill(transfer, want)
                                  : transfer->method->pump(transfer, want);
}

/* ---- waiting ---- */

static bool sink_has_left(struct sluice_transfer *transfer)
{
    struct pollfd poll = {.fd = transfer->out.fd};
    const struct timespec now = {0};

    if (!transfer->watched_hup)
        return false;
    transfer->ledger.polls++;
    return sys_poll(&poll, 1, &now) > 0 && (poll.revents & (POLLERR | POLLHUP));
}

/* Fills in what is waited for; or finds that there is nothing more to wait for. */
static int wait_for(struct sluice_transfer *transfer, uint64_t deadline, struct sluice_wait *ret)
{
    struct side *in = &transfer->in, *out = &transfer->out;
    const bool source = in->blocked && left_to_take(transfer) > 0;
    const bool hup = source && !out->blocked && (out->endpoint->medium &
                                                 (MEDIUM_PIPE | MEDIA_SOCKETS));
    struct sluice_wait wait = {.source_fd = -1, .sink_fd = -1, .deadline = deadline};

    if (hup && sink_has_left(transfer))
        return fail(transfer, SLUICE_SIDE_SINK, "poll", -EPIPE, "its reader has left");
    transfer->watched_hup = hup;
    if (source) {
        wait.mask |= SLUICE_WAIT_SOURCE_IN;
        wait.source_fd = in->fd;
        wait.source_events = POLLIN;
    }
    if (out->blocked) {
        wait.mask |= SLUICE_WAIT_SINK_OUT;
        wait.sink_fd = out->fd;
        wait.sink_events = POLLOUT;
    } else if (hup) {
        wait.mask |= SLUICE_WAIT_SINK_HUP;
        wait.sink_fd = out->fd;
    }
    if (transfer->options.idle_timeout && (source || out->blocked)) {
        const uint64_t idle = transfer->last_moved + transfer->options.idle_timeout;
        if (sys_now() >= idle)
            return fail(transfer, out->blocked ? SLUICE_SIDE_SINK : SLUICE_SIDE_SOURCE, "wait",
                        -ETIMEDOUT, "no byte has moved for the idle timeout");
        if (!wait.deadline || idle < wait.deadline)
            wait.deadline = idle;
    }
    if (wait.deadline)
        wait.mask |= SLUICE_WAIT_TIMER;
    if (!anything_parked(transfer) && !transfer->may_wait)
        return_pipe(transfer); /* an idle transfer holds none */
    SIZED_COPY(ret, wait);
    return SLUICE_WAIT;
}

/* ---- the loop ---- */

/* Steps never wait. Blocking descriptors that are not ours to change are opened again where that
 * is possible; a blocking socket is not spliced into, since only send() can be told not to wait. */
static int prepare_for_steps(struct sluice_transfer *transfer)
{
    struct side *out = &transfer->out;

    side_stop_waiting(&transfer->in);
    side_stop_waiting(out);
    transfer->prepared = true;
    while (!out->never_waits && (out->endpoint->medium & MEDIA_SOCKETS) &&
           transfer->options.method == SLUICE_METHOD_AUTO &&
           transfer->current + 1 < transfer->plan.usable &&
           (transfer->method->id == SLUICE_METHOD_SENDFILE ||
            transfer->method->id == SLUICE_METHOD_SPLICE)) {
        const int error = fall_back(transfer,
                                    transfer->method->pump ? CALL_SENDFILE : CALL_SPLICE_OUT, 0,
                                    "it would wait on a blocking socket that is not ours");
        if (error < 0)
            return error;
    }
    return 0;
}

static struct move timed(struct sluice_transfer *transfer, struct move (*call)(
                             struct sluice_transfer *, size_t), size_t want)
{
    if (!(transfer->options.flags & SLUICE_TIME_CALLS))
        return call(transfer, want);
    const uint64_t before = sys_now();
    const struct move move = call(transfer, want);
    row_of(transfer, move.call)->nanoseconds += sys_now() - before;
    return move;
}

static struct move drain_any(struct sluice_transfer *transfer, size_t want)
{
    (void)want;
    return drain(transfer);
}

int transfer_advance(struct sluice_transfer *transfer, uint64_t budget, struct sluice_wait *ret)
{
    const uint64_t before = transfer->delivered;
    struct side *in = &transfer->in, *out = &transfer->out;

    if (!transfer->may_wait && !transfer->prepared) {
        const int error = prepare_for_steps(transfer);
        if (error < 0)
            return error;
    }
    in->blocked = out->blocked = false;
    for (;;) {
        uint64_t deadline = 0;
        const uint64_t used = transfer->delivered - before;
        struct move move;

        if (transfer->options.cancel && sluice_cancel_fired(transfer->options.cancel))
            return fail(transfer, SLUICE_SIDE_SETUP, "cancel", -ECANCELED, NULL);
        if (!anything_parked(transfer) && left_to_take(transfer) == 0)
            return finish(transfer);
        if (budget && used >= budget)
            return SLUICE_MORE;
        if (anything_parked(transfer) && !out->blocked) {
            if (!transfer->may_wait && !side_ready(out, &transfer->ledger.polls))
                continue;
            move = timed(transfer, drain_any, 0);
        } else if (can_take(transfer)) {
            const size_t want = next_want(transfer, budget ? budget - used : 0, &deadline);
            if (want == 0)
                return wait_for(transfer, deadline, ret);
            if (!transfer->may_wait && !side_ready(in, &transfer->ledger.polls))
                continue;
            if (!transfer->method->fill && !transfer->may_wait &&
                !side_ready(out, &transfer->ledger.polls))
                continue;
            move = timed(transfer, take, want);
        } else {
            return wait_for(transfer, 0, ret);
        }
        const int error = settle(transfer, &move);
        if (error < 0)
            return error;
    }
}
