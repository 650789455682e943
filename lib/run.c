/* SPDX-License-Identifier: MIT */
/* Making a transfer, stepping it, running it to its end, and taking it apart. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cancel.h"
#include "options.h"
#include "refusal.h"
#include "sigpipe.h"
#include "sys.h"
#include "transfer.h"
#include "witness.h"

/* ---- making ---- */

static int check_offsets(const struct sluice_endpoint *endpoint, enum sluice_side side,
                         const struct sluice_options *options, struct sluice_error *ret)
{
    const bool source = side == SLUICE_SIDE_SOURCE;
    const uint64_t offset = source ? options->source_offset : options->sink_offset;
    const uint64_t length = options->flags & SLUICE_LENGTH ? options->length : 0;

    if (!(options->flags & (source ? SLUICE_SOURCE_OFFSET : SLUICE_SINK_OFFSET)))
        return 0;
    if (!(endpoint->medium & MEDIA_SEEKABLE))
        return refuse(ret, -ESPIPE, side, "seek", "it has no offset");
    if (offset > INT64_MAX || length > INT64_MAX - offset)
        return refuse(ret, -EOVERFLOW, side, "seek", "the offset and length are too large");
    if (!source && (endpoint->flags & O_APPEND))
        return refuse(ret, -EINVAL, side, "seek", "it is O_APPEND: it has no offset");
    return 0;
}

static int check_pair(struct sluice_endpoint *source, struct sluice_endpoint *sink,
                      const struct sluice_options *options, struct sluice_error *ret)
{
    int error = refuse_end(source, SLUICE_SIDE_SOURCE, O_WRONLY, ret);
    if (error >= 0)
        error = refuse_end(sink, SLUICE_SIDE_SINK, O_RDONLY, ret);
    if (error >= 0)
        error = check_offsets(source, SLUICE_SIDE_SOURCE, options, ret);
    if (error >= 0)
        error = check_offsets(sink, SLUICE_SIDE_SINK, options, ret);
    if (error >= 0 && endpoint_same(source, sink))
        return refuse(ret, -EINVAL, SLUICE_SIDE_SETUP, "compare",
                      "source and sink are the same file");
    if (error < 0)
        return error;
    error = endpoint_measure(source);
    return error < 0 ? refuse(ret, error, SLUICE_SIDE_SOURCE, "fstat", NULL) : 0;
}

/* No method is left: because one was named, because of the requirement, or because there is none. */
static int refuse_plan(const struct sluice_plan *plan, const struct sluice_options *options,
                       struct sluice_error *ret)
{
    const enum sluice_method named =
        options->method == SLUICE_METHOD_AUTO && options->reflink == SLUICE_ALWAYS
            ? SLUICE_METHOD_REFLINK
            : options->method;

    for (unsigned i = 0; i < plan->count; i++)
        if (plan->candidate[i].method == named)
            return refuse(ret, -EOPNOTSUPP, SLUICE_SIDE_SETUP,
                          plan->candidate[i].legs && options->require ? "require" : "plan",
                          plan->candidate[i].ruled_out);
    for (unsigned i = 0; i < plan->count; i++)
        if (plan->candidate[i].legs) /* only policy rules it out */
            return refuse(ret, -EOPNOTSUPP, SLUICE_SIDE_SETUP,
                          options->require ? "require" : "plan", plan->candidate[i].ruled_out);
    return refuse(ret, -EINVAL, SLUICE_SIDE_SETUP, "plan", plan->candidate[0].ruled_out);
}

int sluice_transfer_new(sluice_context *context, sluice_endpoint *source, sluice_endpoint *sink,
                        const struct sluice_options *options, sluice_transfer **ret,
                        struct sluice_error *ret_error)
{
    struct sluice_options own;
    int error = options_read(&own, options);

    if (error < 0)
        return refuse(ret_error, error, SLUICE_SIDE_SETUP, "options", "a value is out of range");
    error = check_pair(source, sink, &own, ret_error);
    if (error < 0)
        return error;
    struct sluice_transfer *transfer = calloc(1, sizeof *transfer);
    if (!transfer)
        return refuse(ret_error, -ENOMEM, SLUICE_SIDE_SETUP, "allocate", NULL);
    transfer->context = context;
    transfer->expected = options_expected(&own, source);
    if (!(own.flags & SLUICE_LENGTH) && source->bytes == INT64_MAX) {
        own.flags |= SLUICE_LENGTH; /* nothing can lie behind: asking there is an error (EINVAL) */
        own.length = transfer->expected;
    }
    transfer->options = own;
    snapshot_take(&transfer->snapshot, source, sink, &own, transfer->expected);
    struct sluice_endpoint *from = transfer->snapshot.taken ? &transfer->snapshot.clone : source;
    plan_make(&transfer->plan, from, sink, &own, transfer->expected, context->probe);
    if (transfer->plan.usable == 0) {
        error = refuse_plan(&transfer->plan, &own, ret_error);
        snapshot_free(&transfer->snapshot);
        free(transfer);
        return error;
    }
    side_init(&transfer->in, SLUICE_SIDE_SOURCE, from, own.flags & SLUICE_SOURCE_OFFSET,
              own.source_offset);
    side_init(&transfer->out, SLUICE_SIDE_SINK, sink, own.flags & SLUICE_SINK_OFFSET,
              own.sink_offset);
    transfer->method = transfer_method(transfer);
    snapshot_record(transfer, source);
    holes_begin(transfer);
    if (own.rate || own.idle_timeout) {
        transfer->last_moved = sys_now();
        rate_init(&transfer->rate, own.rate, transfer->last_moved);
    }
    *ret = transfer;
    return 0;
}

/* ---- stepping and running ---- */

static void guard(struct sluice_transfer *transfer, struct sigpipe_guard *guard)
{
    *guard = (struct sigpipe_guard){0};
    if (!(transfer->options.flags & SLUICE_NO_SIGPIPE) &&
        (transfer->out.endpoint->medium & (MEDIUM_PIPE | MEDIA_SOCKETS)))
        sigpipe_block(guard);
}

static int over(const struct sluice_transfer *transfer)
{
    return transfer->state == STATE_DONE ? SLUICE_DONE : transfer->error.error;
}

int sluice_transfer_step(sluice_transfer *transfer, uint64_t budget, struct sluice_wait *ret)
{
    struct sigpipe_guard sigpipe;

    if (transfer->state != STATE_RUNNING)
        return over(transfer);
    if (ret->size < sizeof ret->size)
        return -EINVAL;
    transfer->may_wait = false;
    guard(transfer, &sigpipe);
    const int step = transfer_advance(transfer, budget, ret);
    sigpipe_restore(&sigpipe);
    return step;
}

int sluice_transfer_reuse(sluice_transfer *transfer, int source_fd, int sink_fd)
{
    struct sluice_endpoint *source = transfer->in.endpoint, *sink = transfer->out.endpoint;
    const unsigned endless = MEDIA_SOCKETS | MEDIUM_PIPE;

    if (!(source->medium & endless) || !(sink->medium & endless) ||
        (transfer->options.flags & SLUICE_LENGTH) ||
        ((source->ownership | sink->ownership) & SLUICE_OWN))
        return -EINVAL;
    if (transfer_parked(transfer) > 0 || transfer_holds_bytes(transfer))
        return -EBUSY;
    if (transfer->state == STATE_RUNNING) {
        side_finish(&transfer->in);
        side_finish(&transfer->out);
    }
    source->fd = source_fd;
    sink->fd = sink_fd;
    side_init(&transfer->in, SLUICE_SIDE_SOURCE, source, false, 0);
    side_init(&transfer->out, SLUICE_SIDE_SINK, sink, false, 0);
    transfer->current = 0;
    transfer->method = transfer_method(transfer);
    transfer->ended = transfer->prepared = transfer->held_back = false;
    transfer->never_hup = transfer->watched_hup = transfer->in_vain = false;
    transfer->fruitless = 0;
    transfer->late.error = 0;
    transfer->error.error = 0;
    transfer->ledger.fallbacks = 0;
    transfer->state = STATE_RUNNING;
    if (transfer->options.rate || transfer->options.idle_timeout) {
        transfer->last_moved = sys_now();
        rate_init(&transfer->rate, transfer->options.rate, transfer->last_moved);
    }
    return 0;
}

/* A pipe or a socket's buffer is filled and emptied faster than a process can be put to sleep and woken:
 * first the other process is given the CPU for a moment (measured with 64 KiB pipes, and with TCP on
 * both sides: up to twice the throughput at less CPU, some ten sleeps instead of some ten thousand a
 * gigabyte). */
static bool ready_soon(struct sluice_transfer *transfer, struct pollfd *fds, nfds_t count)
{
    enum { MOMENT = 20000 };
    const struct timespec at_once = {0};
    if (count == 0 || !transfer->may_wait)
        return false;
    const uint64_t until = sys_now() + MOMENT;
    do {
        sys_yield();
        transfer->ledger.polls++;
        if (sys_poll(fds, count, &at_once) > 0)
            return true;
    } while (sys_now() < until);
    return false;
}

/* Waits for what `wait` says. Where an end says that it is ready, and is not when it is called, again
 * and again (POLLERR for notifications that are not ours to fetch), it is not asked at once for ever. An interruption is no error: the caller looks around and comes back. */
static int wait_now(struct sluice_transfer *transfer, const struct sluice_wait *wait)
{
    const struct sluice_cancel *cancel = transfer->options.cancel;
    struct pollfd fds[3];
    nfds_t count = 0;
    struct timespec left = {0};

    if (wait->source_fd >= 0)
        fds[count++] = (struct pollfd){.fd = wait->source_fd, .events = wait->source_events};
    if (wait->sink_fd >= 0)
        fds[count++] = (struct pollfd){.fd = wait->sink_fd, .events = wait->sink_events};
    if (cancel && cancel->event >= 0)
        fds[count++] = (struct pollfd){.fd = cancel->event, .events = POLLIN};
    if (wait->mask & SLUICE_WAIT_TIMER) {
        const uint64_t now = sys_now();
        const uint64_t nanoseconds = wait->deadline > now ? wait->deadline - now : 0;
        left.tv_sec = (time_t)(nanoseconds / 1000000000U);
        left.tv_nsec = (long)(nanoseconds % 1000000000U);
    }
    if (transfer->fruitless >= TRANSFER_FRUITLESS)
        sys_sleep_until(sys_now() + TRANSFER_NAP);
    else if (ready_soon(transfer, fds, count)) {
        transfer->fruitless++;
        return 0;
    }
    transfer->ledger.polls++;
    const int ready = sys_poll(fds, count, wait->mask & SLUICE_WAIT_TIMER ? &left : NULL);
    if (ready == -EINTR)
        return transfer_report(transfer);
    if (ready < 0)
        return transfer_stop(transfer, SLUICE_SIDE_SETUP, "poll", ready, NULL);
    transfer->fruitless += ready > 0;
    return 0;
}

int sluice_transfer_run(sluice_transfer *transfer)
{
    const struct sluice_options *options = &transfer->options;
    struct sluice_wait wait = {.size = sizeof wait};
    struct sigpipe_guard sigpipe;
    struct witness witness;
    int step;

    if (transfer->state != STATE_RUNNING)
        return over(transfer);
    /* Waiting inside the calls takes the fewest of them, and suits where nothing else has to be
     * watched meanwhile. */
    transfer->may_wait =
        !options->idle_timeout && !(options->cancel && options->cancel->event >= 0);
    guard(transfer, &sigpipe);
    if (options->flags & SLUICE_WITNESS)
        witness_begin(&witness);
    while ((step = transfer_advance(transfer, 0, &wait)) > SLUICE_DONE)
        if (step == SLUICE_WAIT && (step = wait_now(transfer, &wait)) < 0)
            break;
    if (options->flags & SLUICE_WITNESS)
        witness_end(&witness, &transfer->ledger);
    sigpipe_restore(&sigpipe);
    return step;
}

/* ---- taking apart ---- */

ssize_t sluice_transfer_salvage(sluice_transfer *transfer, void *buf, size_t length)
{
    struct buffer *buffer = &transfer->buffer;
    char *into = buf;
    size_t done = 0;

    if (transfer->state == STATE_RUNNING)
        return -EBUSY;
    /* What is in memory was taken before what is in the pipe. */
    if (buffer->start < buffer->end) {
        const size_t held = buffer->end - buffer->start;
        done = held < length ? held : length;
        memcpy(into, buffer->bytes + buffer->start, done);
        buffer->start += done;
        transfer->taken -= done;
    }
    if (done < length && transfer->direct) {
        const ssize_t value = direct_take_parked(transfer, into + done, length - done);
        if (value < 0)
            return done ? (ssize_t)done : value;
        done += (size_t)value;
        transfer->taken -= (size_t)value;
    }
    while (done < length && transfer->pipe && transfer->pipe->parked > 0) {
        const ssize_t value = sys_read(transfer->pipe->read_end, into + done, length - done);
        if (value == -EINTR)
            continue;
        if (value <= 0)
            return done ? (ssize_t)done : value ? value : -EIO;
        done += (size_t)value;
        transfer->pipe->parked -= (uint64_t)value;
        transfer->taken -= (uint64_t)value;
    }
    return (ssize_t)done;
}

uint64_t sluice_transfer_discard(sluice_transfer *transfer)
{
    if (!transfer)
        return 0;
    if (transfer->state == STATE_RUNNING)
        transfer_stop(transfer, SLUICE_SIDE_SETUP, "cancel", -ECANCELED, NULL);
    const uint64_t parked = transfer_parked(transfer); /* the rest went back to the source */
    if (transfer->pipe)
        pipe_put(&transfer->context->pool, transfer->pipe); /* closes it, unless it is empty */
    direct_free(transfer);
    free(transfer->buffer.bytes);
    footprint_free(&transfer->footprint);
    snapshot_free(&transfer->snapshot);
    free(transfer);
    return parked;
}

int sluice_transfer_free(sluice_transfer *transfer)
{
    if (transfer && transfer_parked(transfer) > 0)
        return -EBUSY;
    sluice_transfer_discard(transfer);
    return 0;
}

/* ---- looking at it ---- */

uint64_t sluice_transfer_delivered(const sluice_transfer *transfer)
{
    return transfer->delivered;
}

uint64_t sluice_transfer_parked(const sluice_transfer *transfer)
{
    return transfer_parked(transfer);
}

void sluice_transfer_error(const sluice_transfer *transfer, struct sluice_error *ret)
{
    SIZED_COPY(ret, transfer->error);
}

void sluice_transfer_ledger(const sluice_transfer *transfer, struct sluice_ledger *ret)
{
    const struct ledger *own = &transfer->ledger;
    const struct sluice_ledger ledger = {
        .taken = transfer->taken,
        .delivered = transfer->delivered,
        .parked = transfer_parked(transfer),
        .calls = ledger_calls(own),
        .polls = own->polls,
        .source_eagain = own->source_eagain,
        .sink_eagain = own->sink_eagain,
        .pipe_asked = own->pipe_asked,
        .pipe_got = own->pipe_got,
        .copied = ledger_copied(own),
        .rows = ledger_rows(own),
        .fallbacks = own->fallbacks,
        .method = transfer->method->id,
        .read_ahead = transfer->readahead.bytes,
        .depth = own->depth,
        .engine = own->engine,
        .engine_refused = own->engine_refused,
    };
    SIZED_COPY(ret, ledger);
}

int sluice_transfer_row(const sluice_transfer *transfer, unsigned index, struct sluice_row *ret)
{
    const struct sluice_row *row = ledger_row(&transfer->ledger, index);
    return row ? SIZED_COPY(ret, *row) : -ERANGE;
}

int sluice_transfer_fallback(const sluice_transfer *transfer, unsigned index,
                             struct sluice_fallback *ret)
{
    if (index >= transfer->ledger.fallbacks)
        return -ERANGE;
    return SIZED_COPY(ret, transfer->ledger.fallback[index]);
}

int sluice_copy(sluice_context *context, sluice_endpoint *source, sluice_endpoint *sink,
                const struct sluice_options *options, struct sluice_result *ret)
{
    struct sluice_result result = {
        .size = sizeof result,
        .ledger.size = sizeof result.ledger,
        .error.size = sizeof result.error,
    };
    struct sluice_transfer *transfer;

    int error = sluice_transfer_new(context, source, sink, options, &transfer, &result.error);
    if (error >= 0) {
        error = sluice_transfer_run(transfer);
        sluice_transfer_error(transfer, &result.error);
        sluice_transfer_ledger(transfer, &result.ledger);
        sluice_transfer_discard(transfer);
    }
    if (ret)
        SIZED_COPY(ret, result);
    return error;
}
