/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "fanout.h"
#include "method/method.h"
#include "sys.h"

enum {
    /* What a byte stream is cut into for a datagram sink, as for a transfer. */
    UDP_MESSAGE = 1400,
    UNIX_MESSAGE = 65536,
};

/* ---- counting ---- */

void sink_delivered(struct fanout_sink *sink, uint64_t bytes, enum way way)
{
    sink->delivered += bytes;
    sink->by_way[way] += bytes;
    sink->last_way = way;
    sink->calls++;
    rate_spend(&sink->rate, bytes);
}

uint64_t sink_accepted(const struct fanout_sink *sink)
{
    return sink->drainer ? drainer_delivered(sink->drainer) : sink->delivered;
}

uint64_t sink_lag(const struct fanout_sink *sink)
{
    if (sink->state != SLUICE_SINK_RUNNING)
        return 0;
    return sink->given - sink->dropped - sink_accepted(sink);
}

void sink_given(struct fanout_sink *sink, uint64_t bytes)
{
    sink->given += bytes;
}

static void note_lag(struct fanout_sink *sink)
{
    const uint64_t lag = sink_lag(sink);

    if (lag > sink->lag_most)
        sink->lag_most = lag;
}

bool sink_takes_references(const struct fanout_sink *sink)
{
    return sink->way <= WAY_SPLICE;
}

/* ---- the end of a sink ---- */

static void leave(struct sluice_fanout *fanout, struct fanout_sink *sink,
                  enum sluice_sink_state state)
{
    note_lag(sink);
    queue_discard(fanout, sink);
    spill_stop(fanout, sink);
    sink_finish(sink);
    if (sink->drainer && state != SLUICE_SINK_DONE)
        drainer_stop(sink->drainer);
    sink->state = state;
    sink->blocked = sink->stalled = sink->watched = false;
    fanout->running--;
}

static void tell(struct sluice_fanout *fanout, const struct fanout_sink *sink)
{
    if (fanout->options.event &&
        fanout->options.event(fanout, sink->id, fanout->options.event_data) != 0)
        fanout->stopped = true;
}

void sink_fail(struct sluice_fanout *fanout, struct fanout_sink *sink, const char *operation,
               int error, const char *reason)
{
    /* What a drainer met is the sink's own error; a broken pipe to it is ours. */
    if (sink->drainer && drainer_is_over(sink->drainer) &&
        drainer_error(sink->drainer, &operation) < 0)
        error = drainer_error(sink->drainer, &operation);
    sink->error = error;
    sink->operation = operation;
    sink->reason = reason;
    leave(fanout, sink, SLUICE_SINK_FAILED);
    tell(fanout, sink);
}

void sink_detach(struct sluice_fanout *fanout, struct fanout_sink *sink, const char *reason)
{
    sink->reason = reason;
    leave(fanout, sink, SLUICE_SINK_DETACHED);
    tell(fanout, sink);
}

void sink_finish(struct fanout_sink *sink)
{
    if (!sink->feed)
        return;
    side_finish(&sink->out);
    sluice_endpoint_free(sink->feed); /* the drainer sees the end of its pipe */
    sink->feed = NULL;
}

void sink_done(struct sluice_fanout *fanout, struct fanout_sink *sink)
{
    leave(fanout, sink, SLUICE_SINK_DONE);
}

bool sink_is_drained(struct fanout_sink *sink)
{
    return sink->queue.bytes == 0 && !spill_holds(sink) &&
           (!sink->drainer || drainer_is_over(sink->drainer));
}

void sink_free(struct sluice_fanout *fanout, struct fanout_sink *sink)
{
    queue_discard(fanout, sink);
    spill_free(fanout, sink);
    if (sink->endpoint && (!sink->drainer || sink->feed))
        side_finish(&sink->out);
    if (sink->feed)
        sluice_endpoint_free(sink->feed);
    if (sink->drainer)
        drainer_release(sink->drainer);
    free(sink->scratch.bytes);
    free(sink);
}

/* ---- calls ---- */

/* Most bytes of one write; 0: none now, it would wait. Only what could not be isolated, or opened
 * again without waiting, is asked and given less. */
static size_t admitted(struct sluice_fanout *fanout, struct fanout_sink *sink, size_t length)
{
    struct side *out = &sink->out;
    const enum medium medium = sink->way == WAY_FUNCTION ? MEDIUM_NULL : out->endpoint->medium;

    if (medium == MEDIUM_MESSAGE) {
        const size_t most = out->endpoint->family == AF_UNIX ? UNIX_MESSAGE : UDP_MESSAGE;
        return length < most ? length : most;
    }
    if (sink->way == WAY_FUNCTION || out->never_waits || (medium & MEDIA_SOCKETS))
        return length;
    if (!side_ready(out, &fanout->polls)) {
        sink->blocked = true;
        sink->eagain++;
        return 0;
    }
    const size_t most = side_bound(out);
    return length < most ? length : most;
}

/* Memory to the sink. */
static struct move put(struct sluice_fanout *fanout, struct fanout_sink *sink, const char *bytes,
                       size_t length)
{
    struct move move = {.call = CALL_WRITE, .value = -EAGAIN};

    length = admitted(fanout, sink, length);
    if (length == 0)
        return move;
    if (sink->way == WAY_FUNCTION) {
        const int error = sink->function(bytes, length, sink->function_data);
        move.value = error < 0 ? error : (ssize_t)length;
        return move;
    }
    if (sink->out.endpoint->medium & MEDIA_SOCKETS)
        move.value = sys_send(sink->out.fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    else
        move.value = sys_write(sink->out.fd, bytes, length);
    return move;
}

static struct move splice_out(struct sluice_fanout *fanout, struct fanout_sink *sink,
                              struct pipe *pipe, size_t length)
{
    struct move move = {.call = CALL_SPLICE_OUT, .value = -EAGAIN};
    struct side *out = &sink->out;

    /* SPLICE_F_NONBLOCK speaks of pipes alone. */
    if (out->endpoint->medium != MEDIUM_PIPE)
        length = admitted(fanout, sink, length);
    if (length > 0)
        move.value = sys_splice(pipe->read_end, NULL, out->fd, NULL, length, SPLICE_F_NONBLOCK);
    return move;
}

int scratch_get(struct fanout_sink *sink)
{
    if (!sink->scratch.bytes &&
        posix_memalign((void **)&sink->scratch.bytes, 4096, SCRATCH_SIZE) != 0)
        return -ENOMEM;
    return 0;
}

static struct move read_back(struct fanout_sink *sink, struct pipe *pipe)
{
    struct scratch *scratch = &sink->scratch;
    struct move move = {.call = CALL_READ_BACK, .value = scratch_get(sink)};

    if (move.value < 0)
        return move;
    const size_t length = pipe->parked < SCRATCH_SIZE ? (size_t)pipe->parked : SCRATCH_SIZE;
    move.value = sys_read(pipe->read_end, scratch->bytes, length);
    return move;
}

/* ---- what a call did ---- */

static const char *operation_of(const struct fanout_sink *sink, enum call call)
{
    if (sink->way == WAY_FUNCTION && call == CALL_WRITE)
        return "function";
    if (call == CALL_WRITE && (sink->out.endpoint->medium & MEDIA_SOCKETS))
        return "send";
    return call_name(call);
}

/* What splice(2) cannot do here, write(2) can. */
static void go_on_by_writing(struct sluice_fanout *fanout, struct fanout_sink *sink,
                             const char *operation, int error)
{
    fanout_fell_back(fanout, SLUICE_SIDE_SINK, operation, error,
                     "a sink cannot be spliced to: bytes for it are read back and written");
    sink->way = WAY_WRITE;
    if (fanout->options.require != SLUICE_REQUIRE_ANY)
        sink_fail(fanout, sink, "require", -EOPNOTSUPP,
                  "it cannot be spliced to, and the requirement forbids to write to it");
}

void sink_settle_error(struct sluice_fanout *fanout, struct fanout_sink *sink, enum call call,
                       const char *operation, int error)
{
    switch (error == -EAGAIN ? ACTION_WAIT : error_action(call, error)) {
    case ACTION_AGAIN:
        return;
    case ACTION_WAIT:
        sink->blocked = true;
        sink->eagain++;
        return;
    case ACTION_FALLBACK:
        if (sink->way <= WAY_SPLICE) {
            go_on_by_writing(fanout, sink, operation, error);
            return;
        }
        break;
    case ACTION_BUFFERED:
        if (sink->way == WAY_WRITE && side_leave_direct(&sink->out) >= 0)
            return;
        break;
    default:
        break;
    }
    sink_fail(fanout, sink, operation, error, NULL);
}

/* The oldest bytes of the backlog left for the sink. */
static void took(struct sluice_fanout *fanout, struct fanout_sink *sink, const struct move *move)
{
    struct parcel *head = sink->queue.head;
    const size_t bytes = (size_t)move->value;

    sink_delivered(sink, bytes,
                   move->call == CALL_SPLICE_OUT ? WAY_SPLICE
                   : sink->way == WAY_FUNCTION   ? WAY_FUNCTION
                                                 : WAY_WRITE);
    sink->queue.bytes -= bytes;
    if (sink->scratch.start < sink->scratch.end) {
        sink->scratch.start += bytes;
        return;
    }
    if (head->pipe)
        head->pipe->parked -= bytes;
    else
        head->start += bytes;
    if (head->pipe ? head->pipe->parked == 0 : head->start == head->end)
        queue_pop(fanout, sink);
}

static void into_scratch(struct sluice_fanout *fanout, struct fanout_sink *sink,
                         const struct move *move)
{
    struct pipe *pipe = sink->queue.head->pipe;

    sink->scratch.start = 0;
    sink->scratch.end = (size_t)move->value;
    pipe->parked -= (uint64_t)move->value;
    if (pipe->parked == 0)
        queue_pop(fanout, sink);
}

static size_t next_length(struct fanout_sink *sink)
{
    const struct scratch *scratch = &sink->scratch;
    const struct parcel *head = sink->queue.head;
    size_t length = scratch->end - scratch->start;

    if (length == 0)
        length = head->pipe ? (size_t)head->pipe->parked : head->end - head->start;
    if (sink->rate.limit) {
        const uint64_t allowed = rate_allow(&sink->rate, length, sys_now(), &sink->not_before);
        if (length > allowed)
            length = (size_t)allowed;
    }
    return length;
}

static struct move deliver(struct sluice_fanout *fanout, struct fanout_sink *sink, size_t length)
{
    const struct scratch *scratch = &sink->scratch;
    struct parcel *head = sink->queue.head;

    if (scratch->start < scratch->end)
        return put(fanout, sink, scratch->bytes + scratch->start, length);
    if (!head->pipe)
        return put(fanout, sink, fanout->buffer + head->start, length);
    if (sink_takes_references(sink))
        return splice_out(fanout, sink, head->pipe, length);
    return read_back(sink, head->pipe);
}

bool sink_drain(struct sluice_fanout *fanout, struct fanout_sink *sink)
{
    bool moved = false;

    sink->not_before = 0;
    note_lag(sink);
    spill_turn(fanout, sink);
    while (sink->state == SLUICE_SINK_RUNNING && !sink->blocked) {
        if (sink->queue.bytes == 0 && !spill_refill(fanout, sink))
            break;
        const size_t length = next_length(sink);
        if (length == 0)
            break;
        const struct move move = deliver(fanout, sink, length);
        if (move.value > 0 && move.call == CALL_READ_BACK)
            into_scratch(fanout, sink, &move);
        else if (move.value > 0)
            took(fanout, sink, &move);
        else if (!sink->blocked)
            sink_settle_error(fanout, sink, move.call, operation_of(sink, move.call),
                              move.value ? (int)move.value : -EIO);
        moved |= move.value > 0;
    }
    return moved;
}

size_t sink_give(struct sluice_fanout *fanout, struct fanout_sink *sink, const char *bytes,
                 size_t length)
{
    size_t done = 0;

    /* A pipe that is not ours to change could fill up between a poll and the write: such bytes go by
     * splice, which can be told not to wait. */
    if (sink->rate.limit || sink->blocked || sink->queue.bytes > 0 ||
        (sink->way <= WAY_SPLICE && sink->out.endpoint->medium == MEDIUM_PIPE &&
         !sink->out.never_waits))
        return 0;
    while (done < length && sink->state == SLUICE_SINK_RUNNING && !sink->blocked) {
        const struct move move = put(fanout, sink, bytes + done, length - done);
        if (move.value > 0) {
            done += (size_t)move.value;
            sink_delivered(sink, (uint64_t)move.value,
                           sink->way == WAY_FUNCTION ? WAY_FUNCTION : WAY_WRITE);
        } else if (!sink->blocked) {
            sink_settle_error(fanout, sink, move.call, operation_of(sink, move.call),
                              move.value ? (int)move.value : -EIO);
        }
    }
    return done;
}
