/* SPDX-License-Identifier: MIT */
/*
 * The engine: which call is made next, and when to wait. It never looks at a kind of endpoint but
 * through the plan and the sides. What a call's result means is in settle.c.
 */
#include "transfer.h"

#include <errno.h>

#include "cancel.h"
#include "sys.h"

/* ---- which call is next ---- */

static struct move drain(struct sluice_transfer *transfer)
{
    if (transfer_in_memory(transfer))
        return memory_drain(transfer);
    if (transfer->method->drain)
        return transfer->method->drain(transfer);
    return memory_read_back(transfer);
}

uint64_t transfer_left(const struct sluice_transfer *transfer)
{
    if (transfer->ended)
        return 0;
    if (!(transfer->options.flags & SLUICE_LENGTH))
        return UINT64_MAX;
    /* A message is taken whole, also if it reaches beyond. */
    return transfer->taken < transfer->options.length ? transfer->options.length - transfer->taken
                                                      : 0;
}

/* After a fallback older bytes may still be in the pipe while the method now fills memory: newer
 * ones must not overtake them. */
static bool parked_in_its_place(const struct sluice_transfer *transfer)
{
    return transfer->method->drain ? !transfer_in_memory(transfer) : !transfer_in_pipe(transfer);
}

/* Whether there is a point in asking the source now. */
static bool can_take(struct sluice_transfer *transfer)
{
    if (transfer->in.blocked || transfer_left(transfer) == 0)
        return false;
    if (!transfer_holds_bytes(transfer))
        return transfer->method->fill || !transfer->out.blocked;
    /* Step by step, filling goes on while draining waits; but never does what is parked wait for the
     * source. A server's sources can wait in the kernel: a pipe that is filled up to the brim takes a
     * call a few slots, and all of them again at the next edge. So can they where we wait ourselves:
     * fewer and larger calls (measured from TCP to TCP: 0.9 of the CPU time). */
    return transfer->out.blocked && !(transfer->options.flags & SLUICE_EDGE_TRIGGERED) &&
           transfer->method->fill && parked_in_its_place(transfer) && !transfer->may_wait &&
           transfer->method->has_room(transfer);
}

/* A call is to take a moment that nobody minds: long enough to cost little, short enough for a
 * progress display and a cancel. Bytes do not say how long: 4 MiB are a millisecond for page
 * references on loopback and a minute for a slow peer. */
static void stretch_chunk(struct sluice_transfer *transfer, uint64_t nanoseconds)
{
    enum { SHORT = 20000000, LONG = 80000000, LEAST = 1 << 16, MOST = 64 << 20 };

    if (nanoseconds < SHORT && transfer->chunk < MOST)
        transfer->chunk *= 2;
    else if (nanoseconds > LONG && transfer->chunk > LEAST)
        transfer->chunk /= 2;
}

static bool is_elastic(const struct sluice_transfer *transfer)
{
    return transfer->method->elastic && transfer->may_wait && !transfer->options.chunk;
}

static uint64_t chunk_now(struct sluice_transfer *transfer)
{
    if (transfer->options.chunk)
        return transfer->options.chunk;
    if (!is_elastic(transfer))
        return transfer->method->chunk;
    if (!transfer->chunk)
        transfer->chunk = transfer->method->chunk;
    return transfer->chunk;
}

/* How many bytes the next call is asked for; 0: none before the deadline, by the rate limit. */
static size_t next_want(struct sluice_transfer *transfer, uint64_t *deadline)
{
    uint64_t want = chunk_now(transfer);
    const uint64_t left = transfer_left(transfer);

    if (want > left)
        want = left;
    /* No more than there is: before Linux 6.5 sendfile took that for more to come, and held the last
     * piece back (MSG_MORE). */
    if (transfer->expected != UINT64_MAX && transfer->taken < transfer->expected &&
        want > transfer->expected - transfer->taken)
        want = transfer->expected - transfer->taken;
    if (want > transfer->allowance)
        want = transfer->allowance;
    if (transfer->holes.kept && want > holes_data(transfer))
        want = holes_data(transfer);
    if (want > readahead_bound(&transfer->readahead))
        want = readahead_bound(&transfer->readahead);
    if (transfer->rate.limit) {
        const uint64_t allowed = rate_allow(&transfer->rate, want, sys_now(), deadline);
        if (want > allowed)
            want = allowed;
        if (allowed > 0 && transfer->held_back)
            transfer->last_moved = sys_now(); /* we waited by our own choice: nobody was idle */
        transfer->held_back = allowed == 0;
    }
    if (transfer->method->bounded && !transfer->may_wait && want > side_bound(&transfer->out))
        want = side_bound(&transfer->out);
    return (size_t)want;
}

/* Where extents are shared, holes are, too. */
static bool skip_hole(struct sluice_transfer *transfer, struct move *ret)
{
    const uint64_t left = transfer_left(transfer);

    return transfer->holes.kept && transfer->method->id != SLUICE_METHOD_REFLINK &&
           !transfer_holds_bytes(transfer) &&
           holes_skip(transfer, left < transfer->allowance ? left : transfer->allowance, ret);
}

static struct move take(struct sluice_transfer *transfer, size_t want)
{
    return transfer->method->fill ? transfer->method->fill(transfer, want)
                                  : transfer->method->pump(transfer, want);
}

/* ---- waiting ---- */

/* Why the sink will never take anything again: a negative errno, or 0. A pipe says POLLERR when its
 * last reader leaves; a socket also for notifications, so it is asked for its error. */
static int sink_has_left(struct sluice_transfer *transfer)
{
    struct pollfd poll = {.fd = transfer->out.fd};
    const struct timespec now = {0};
    int error = 0;

    if (!transfer->watched_hup)
        return 0;
    transfer->ledger.polls++;
    if (sys_poll(&poll, 1, &now) <= 0)
        return 0;
    if (transfer->out.endpoint->medium == MEDIUM_PIPE)
        return poll.revents & (POLLERR | POLLHUP) ? -EPIPE : 0;
    if ((poll.revents & POLLERR) &&
        sys_getsockopt(transfer->out.fd, SOL_SOCKET, SO_ERROR, &error) >= 0 && error != 0)
        return -error;
    transfer->never_hup = poll.revents == POLLERR; /* or the wait would end at once, for ever */
    return poll.revents & POLLHUP ? -EPIPE : 0;
}

/* A file that says EAGAIN again and again (its file system is a process) is asked again after a while:
 * to poll(2) it is always ready. Returns whether the side can be waited for. */
static bool wait_by_poll(const struct sluice_transfer *transfer, const struct side *side,
                         uint64_t *deadline)
{
    if (side->event >= 0 || !(side->endpoint->medium & MEDIA_ALWAYS_READY) ||
        transfer->fruitless < TRANSFER_FRUITLESS)
        return true;
    const uint64_t soon = sys_now() + TRANSFER_NAP;
    if (!*deadline || soon < *deadline)
        *deadline = soon;
    return false;
}

/* Fills in what is waited for; or finds that there is nothing more to wait for. */
static int wait_for(struct sluice_transfer *transfer, uint64_t deadline, struct sluice_wait *ret)
{
    struct side *in = &transfer->in, *out = &transfer->out;
    const bool source = in->blocked && transfer_left(transfer) > 0;
    const bool may_hup = !transfer->never_hup && (source || transfer->held_back) && !out->blocked &&
                         (out->endpoint->medium & (MEDIUM_PIPE | MEDIA_SOCKETS));
    struct sluice_wait wait = {.source_fd = -1, .sink_fd = -1, .deadline = deadline};

    const int left = may_hup ? sink_has_left(transfer) : 0;
    if (left < 0)
        return transfer_stop(transfer, SLUICE_SIDE_SINK, "poll", left, "its reader has left");
    const bool hup = may_hup && !transfer->never_hup;
    transfer->watched_hup = hup;
    if (source && wait_by_poll(transfer, in, &wait.deadline)) {
        wait.mask |= SLUICE_WAIT_SOURCE_IN;
        wait.source_fd = in->event >= 0 ? in->event : in->fd;
        wait.source_events = POLLIN;
    }
    if (out->blocked && wait_by_poll(transfer, out, &wait.deadline)) {
        wait.mask |= SLUICE_WAIT_SINK_OUT;
        wait.sink_fd = out->event >= 0 ? out->event : out->fd;
        wait.sink_events = out->event >= 0 ? POLLIN : POLLOUT;
    } else if (hup) {
        wait.mask |= SLUICE_WAIT_SINK_HUP;
        wait.sink_fd = out->fd;
    }
    if (transfer->options.idle_timeout && (source || out->blocked)) {
        uint64_t idle;
        if (__builtin_add_overflow(transfer->last_moved, transfer->options.idle_timeout, &idle))
            idle = UINT64_MAX;
        if (sys_now() >= idle)
            return transfer_stop(transfer, out->blocked ? SLUICE_SIDE_SINK : SLUICE_SIDE_SOURCE,
                                 "wait", -ETIMEDOUT, "no byte has moved for the idle timeout");
        if (!wait.deadline || idle < wait.deadline)
            wait.deadline = idle;
    }
    if (wait.deadline)
        wait.mask |= SLUICE_WAIT_TIMER;
    if (!transfer_holds_bytes(transfer) && !transfer->may_wait)
        transfer_return_pipe(transfer); /* an idle transfer holds none */
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
        const int error =
            transfer_fall_back(transfer, transfer->method->pump ? CALL_SENDFILE : CALL_SPLICE_OUT,
                               0, "it would wait on a blocking socket that is not ours");
        if (error < 0)
            return error;
    }
    return 0;
}

static struct move timed(struct sluice_transfer *transfer,
                         struct move (*call)(struct sluice_transfer *, size_t), size_t want)
{
    const bool elastic = is_elastic(transfer);
    if (!elastic && !(transfer->options.flags & SLUICE_TIME_CALLS))
        return call(transfer, want);
    const uint64_t before = sys_now();
    const struct move move = call(transfer, want);
    const uint64_t took = sys_now() - before;
    if (transfer->options.flags & SLUICE_TIME_CALLS)
        transfer_row(transfer, move.call)->nanoseconds += took;
    if (elastic && move.value == (ssize_t)want) /* a short one says nothing about the chunk */
        stretch_chunk(transfer, took);
    return move;
}

/* A method's own turn. What it keeps was taken before a hole that begins here. Returns SLUICE_DONE to
 * go on, SLUICE_WAIT, or a negative errno. */
static int take_turn(struct sluice_transfer *transfer, struct sluice_wait *ret)
{
    const bool parked = transfer_holds_bytes(transfer);
    const bool at_hole = parked && holes_next(transfer);
    uint64_t deadline = 0;
    struct move move = {.call = CALL_HOLE};

    if (parked || transfer->in.blocked || !skip_hole(transfer, &move)) {
        const size_t want =
            transfer_left(transfer) > 0 && !at_hole ? next_want(transfer, &deadline) : 0;
        const uint64_t before = transfer->options.flags & SLUICE_TIME_CALLS ? sys_now() : 0;
        if ((want == 0 && !parked) || !transfer->method->turn(transfer, want, &move))
            return wait_for(transfer, deadline, ret);
        if (before)
            transfer_row(transfer, move.call)->nanoseconds += sys_now() - before;
    }
    return transfer_settle(transfer, &move);
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
    footprint_begin(transfer);
    in->blocked = out->blocked = false;
    for (;;) {
        uint64_t deadline = 0;
        const uint64_t used = transfer->delivered - before;
        struct move move;

        if (transfer->options.cancel && sluice_cancel_fired(transfer->options.cancel))
            return transfer_stop(transfer, SLUICE_SIDE_SETUP, "cancel", -ECANCELED, NULL);
        if (!transfer_holds_bytes(transfer) && transfer_left(transfer) == 0)
            return transfer_finish(transfer);
        if (budget && used >= budget)
            return SLUICE_MORE;
        transfer->allowance = budget ? budget - used : UINT64_MAX;
        const bool in_place = transfer_in_memory(transfer) || transfer_in_pipe(transfer);
        if (in_place && !out->blocked) {
            if (!transfer->may_wait && !side_ready(out, &transfer->ledger.polls))
                continue;
            move = timed(transfer, drain_any, 0);
        } else if (transfer->method->turn && !in_place) {
            const int turn = take_turn(transfer, ret);
            if (turn != SLUICE_DONE)
                return turn;
            continue;
        } else if (can_take(transfer)) {
            if (skip_hole(transfer, &move)) {
                const int error = transfer_settle(transfer, &move);
                if (error < 0)
                    return error;
                continue;
            }
            readahead_follow(transfer);
            const size_t want = next_want(transfer, &deadline);
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
        const int error = transfer_settle(transfer, &move);
        if (error < 0)
            return error;
    }
}
