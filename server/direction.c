/* SPDX-License-Identifier: MIT */
/*
 * Moving bytes: each direction is a transfer, stepped when an edge has said that there is something
 * to do. While there is not, it has no transfer: one is lent when bytes come (unit.h).
 *
 * A direction is small until a read fills its buffer: then it streams, and splices. It is small
 * again after some bursts that a read would have taken whole. Units are changed only when nothing is
 * parked, so no byte can overtake another.
 *
 * A direction that is tapped is stepped in the same way; its bytes go through the tap (tap.h).
 */
#include <errno.h>
#include <poll.h>

#include "connection.h"
#include "lib/sys.h"
#include "log.h"
#include "net.h"
#include "tap.h"

enum {
    TURN = 2 << 20, /* most bytes of a direction before others have their turn: docs/relay.md */
    THIN = 8,       /* small bursts in a row until a direction is small again */
};

static struct end *source_of(struct connection *connection, int which)
{
    return &connection->end[which == RELAY_TO_TARGET ? END_CLIENT : END_TARGET];
}

static struct end *sink_of(struct connection *connection, int which)
{
    return &connection->end[which == RELAY_TO_TARGET ? END_TARGET : END_CLIENT];
}

/* ---- units ---- */

static int borrow(struct connection *connection, int which)
{
    struct direction *direction = &connection->direction[which];
    const struct end *source = source_of(connection, which), *sink = sink_of(connection, which);
    int error = 0;

    direction->unit = unit_get(&connection->worker->units, which, direction->bulk, source->watch.fd,
                               sink->watch.fd, source->is_unix, sink->is_unix, &error);
    direction->wait = 0;
    return error;
}

static void give_back(struct connection *connection, struct direction *direction)
{
    unit_put(&connection->worker->units, direction->unit);
    direction->unit = NULL;
    direction->wait = 0;
}

uint64_t direction_drop(struct connection *connection, int which)
{
    struct direction *direction = &connection->direction[which];
    uint64_t lost = 0;

    if (direction->unit)
        lost = unit_discard(&connection->worker->units, direction->unit);
    direction->unit = NULL;
    struct tap *tap = direction->tap;
    direction->tap = NULL;
    return tap ? tap_leave(tap) : lost;
}

bool direction_is_parked(const struct connection *connection, int which)
{
    const struct direction *direction = &connection->direction[which];
    return direction->unit || (direction->tap && tap_parked(direction->tap) > 0);
}

/* A burst has ended: `moved` bytes in one turn until the source was dry. */
static void judge(struct direction *direction, uint64_t moved)
{
    if (!direction->bulk)
        return;
    direction->thin = (unsigned char)(moved < UNIT_SMALL / 2 ? direction->thin + 1 : 0);
    if (direction->thin >= THIN) {
        direction->bulk = false;
        direction->thin = 0;
    }
}

/* ---- limits ---- */

/* How many bytes may be moved now; 0: a timer was set. */
static uint64_t allowed(struct connection *connection, int which, uint64_t want)
{
    struct worker *worker = connection->worker;
    uint64_t deadline = 0, most;

    if (!connection->limits)
        return want;
    const uint64_t now = loop_now(worker->loop);
    most = rate_allow(&connection->limits->rate[which], want, now, &deadline);
    if (most > 0 && most < want)
        want = most;
    if (most > 0) {
        most = relay_rate_allow(worker->relay, which, want, now, &deadline);
        if (most < want)
            want = most;
    }
    if (most > 0)
        return want;
    const struct timer *timer = &connection->limits->timer;
    if (timer->place == 0 || deadline < timer->at)
        timer_set(worker->loop, &connection->limits->timer, deadline);
    return 0;
}

static void spend(struct connection *connection, int which, uint64_t bytes)
{
    if (!connection->limits)
        return;
    rate_spend(&connection->limits->rate[which], bytes);
    relay_rate_spend(connection->worker->relay, which, bytes);
}

/* ---- what a step said ---- */

static const char *end_name(const struct connection *connection, const struct end *end)
{
    return !end ? "sluice" : end == &connection->end[END_CLIENT] ? "client" : "target";
}

/* guilty: whose call it was, NULL: ours. */
static void failed(struct connection *connection, struct end *guilty, const char *call, int error,
                   uint64_t lost)
{
    if (!guilty) {
        connection->end[END_CLIENT].reset = connection->end[END_TARGET].reset = true;
        connection->reason = RELAY_NO_MEMORY;
    } else {
        guilty->reset = true;
        if (connection->reason == RELAY_ENDED)
            connection->reason = error == -ECONNRESET || error == -EPIPE || error == -ENOTCONN
                                     ? RELAY_RESET
                                     : RELAY_FAILED;
    }
    log_event(connection->reason == RELAY_RESET ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING, "failed",
              LOG_NUMBER("id", connection->id), LOG_TEXT("side", end_name(connection, guilty)),
              LOG_TEXT("call", call), LOG_TEXT("error", strerrorname_np(-error)),
              LOG_NUMBER("lost", lost));
}

/* The source has ended and all of it was delivered: the sink is told. If it is gone already, its own
 * events say so. */
static void ended(struct connection *connection, int which)
{
    struct direction *direction = &connection->direction[which];
    struct end *sink = sink_of(connection, which);

    direction->ended = true;
    if (source_of(connection, which)->reset)
        return; /* an end after an error that another call was told: no end to be passed on */
    if (connection->direction[!which].ended && !sink->reset)
        return; /* both are closed now, which says it, too */
    const int error = net_shutdown(sink->watch.fd, SHUT_WR);
    if (error < 0) { /* it is not connected any more */
        sink->dead = true;
        failed(connection, sink, "shutdown", error, 0);
    }
}

/* Whether an end that takes no more has been hung up on: then what it had sent is still there, and so
 * is its end. If not, its peer waits for us, and nothing else would come. */
static bool is_hung_up(const struct end *end)
{
    static const struct timespec at_once;
    struct pollfd ask = {.fd = end->watch.fd};
    return sys_poll(&ask, 1, &at_once) == 1;
}

static void cannot_take(struct connection *connection, int which, const char *call, int error,
                        uint64_t lost)
{
    struct end *sink = sink_of(connection, which);

    sink->dead = !is_hung_up(sink);
    connection->direction[which].ended = true;
    failed(connection, sink, call, error, lost);
}

static void transfer_failed(struct connection *connection, int which,
                            const struct sluice_error *error, uint64_t lost)
{
    if (error->side == SLUICE_SIDE_SINK) {
        cannot_take(connection, which, error->operation, error->error, lost);
        return;
    }
    connection->direction[which].ended = true;
    failed(connection, error->side == SLUICE_SIDE_SOURCE ? source_of(connection, which) : NULL,
           error->operation, error->error, lost);
}

/* ---- moving ---- */

static bool may_go(struct connection *connection, int which)
{
    const struct direction *direction = &connection->direction[which];
    const bool readable = source_of(connection, which)->readable;
    const bool writable = sink_of(connection, which)->writable;

    if (direction->ended || (which == RELAY_TO_TARGET && connection->pending))
        return false;
    if (!direction->wait)
        return readable || direction->unit;
    return ((direction->wait & SLUICE_WAIT_SOURCE_IN) && readable) ||
           ((direction->wait & SLUICE_WAIT_SINK_OUT) && writable);
}

/* What is behind TCP's urgent data no other edge tells of, and a read falls short before it, as if there were
 * nothing; splice(2) even says EAGAIN. So it is asked again until it was in vain, twice: recv gets past. */
static bool asks_past_urgent(struct end *source, bool moved)
{
    if (source->urgent > 0)
        source->urgent = (unsigned char)(moved ? END_URGENT : source->urgent - 1);
    return source->urgent > 0;
}

/* Returns whether to go on at once. */
static bool waits(struct connection *connection, int which, const struct sluice_wait *wait,
                  uint64_t moved)
{
    struct direction *direction = &connection->direction[which];
    struct end *source = source_of(connection, which);

    direction->wait = (unsigned char)(wait->mask & (SLUICE_WAIT_SOURCE_IN | SLUICE_WAIT_SINK_OUT));
    if (wait->mask & SLUICE_WAIT_SINK_OUT)
        sink_of(connection, which)->writable = false;
    if (wait->mask & SLUICE_WAIT_SOURCE_IN)
        /* Told that it has ended, we read on until the end comes: no other edge will. */
        source->readable = asks_past_urgent(source, moved > 0) || (source->hup && moved > 0);
    /* Asked again without an edge, it could go on for as long as more comes: the others first. */
    const bool later = source->readable && source->urgent > 0;
    if (later)
        loop_later(connection_loop(connection), &connection->task);
    if (sluice_transfer_parked(direction->unit->transfer) == 0) {
        judge(direction, moved);
        direction->bulk &= moved > 0 || !source->urgent;
        give_back(connection, direction);
    }
    return !later; /* may_go() knows */
}

/* The budget is used up. Returns whether to go on at once. */
static bool has_more(struct connection *connection, int which, uint64_t left)
{
    struct direction *direction = &connection->direction[which];

    if (!direction->bulk && sluice_transfer_parked(direction->unit->transfer) == 0) {
        direction->bulk = true; /* a read filled its buffer */
        give_back(connection, direction);
    }
    if (left > 0)
        return true;
    loop_later(connection_loop(connection), &connection->task);
    return false;
}

static void moved_bytes(struct connection *connection)
{
    if (connection->timed)
        connection->moved = loop_now(connection_loop(connection));
}

static void unit_failed(struct connection *connection, int which)
{
    struct sluice_error error = {.size = sizeof error};

    sluice_transfer_error(connection->direction[which].unit->transfer, &error);
    transfer_failed(connection, which, &error, direction_drop(connection, which));
}

static void move(struct connection *connection, int which)
{
    struct direction *direction = &connection->direction[which];
    struct sluice_wait wait = {.size = sizeof wait};
    uint64_t left = TURN;

    for (bool on = true; on && may_go(connection, which);) {
        int error = 0;
        uint64_t budget = direction->bulk ? left : UNIT_SMALL;
        if ((budget = allowed(connection, which, budget)) == 0)
            return;
        if (!direction->unit && (error = borrow(connection, which)) < 0) {
            failed(connection, NULL, "prepare", error, 0);
            return;
        }
        struct unit *unit = direction->unit;
        const int step = sluice_transfer_step(unit->transfer, budget, &wait);
        const uint64_t delivered = sluice_transfer_delivered(unit->transfer);
        const uint64_t moved = delivered - unit->before;
        unit->before = delivered;
        if (moved > 0) {
            spend(connection, which, moved);
            moved_bytes(connection);
            left -= moved < left ? moved : left;
        }
        if (step == SLUICE_WAIT)
            on = waits(connection, which, &wait, moved);
        else if (step == SLUICE_MORE)
            on = has_more(connection, which, left);
        else if (step < 0)
            unit_failed(connection, which);
        else {
            give_back(connection, direction);
            ended(connection, which);
        }
    }
}

/* ---- tapped ---- */

static bool tapped_may_go(struct connection *connection, int which)
{
    const struct direction *direction = &connection->direction[which];

    if (direction->ended || (which == RELAY_TO_TARGET && connection->pending))
        return false;
    return tap_is_stirred(direction->tap) || may_go(connection, which);
}

static void tapped_waits(struct connection *connection, int which, const struct tap_turn *turn)
{
    struct end *source = source_of(connection, which);

    if (turn->wait & SLUICE_WAIT_SOURCE_IN) {
        source->readable = asks_past_urgent(source, turn->moved);
        if (source->readable)
            loop_later(connection_loop(connection), &connection->task);
    }
    if (turn->wait & SLUICE_WAIT_SINK_OUT)
        sink_of(connection, which)->writable = false;
}

/* A step goes on until each side has said EAGAIN, or the budget is used: so one is enough. */
static void move_tapped(struct connection *connection, int which)
{
    struct direction *direction = &connection->direction[which];
    struct tap_turn turn;
    uint64_t budget;

    if (!tapped_may_go(connection, which) || (budget = allowed(connection, which, TURN)) == 0)
        return;
    const enum tap_state state = tap_step(direction->tap, budget, &turn);
    spend(connection, which, turn.taken);
    if (turn.moved)
        moved_bytes(connection);
    direction->wait = turn.wait;
    switch (state) {
    case TAP_WAITS:
        tapped_waits(connection, which, &turn);
        break;
    case TAP_HAS_MORE:
        source_of(connection, which)->readable = true; /* it was not asked to the end */
        loop_later(connection_loop(connection), &connection->task);
        break;
    case TAP_ENDED:
        direction_drop(connection, which);
        ended(connection, which);
        break;
    default:
        direction_drop(connection, which);
        transfer_failed(connection, which, &turn.error, turn.error.parked);
    }
}

static void move_either(struct connection *connection, int which)
{
    if (connection->direction[which].tap)
        move_tapped(connection, which);
    else
        move(connection, which);
}

/* An end that failed still gives what it had received: so the direction from it goes on to its end.
 * That to it has ended by then. */
static bool is_over(const struct connection *connection)
{
    const struct direction *to_target = &connection->direction[RELAY_TO_TARGET];
    const struct direction *to_client = &connection->direction[RELAY_TO_CLIENT];

    if (to_target->ended && to_client->ended)
        return true;
    const struct end *client = &connection->end[END_CLIENT], *target = &connection->end[END_TARGET];
    return (client->reset && (to_target->ended || client->dead)) ||
           (target->reset && (to_client->ended || target->dead)) ||
           (client->reset && target->reset);
}

void connection_run(struct connection *connection)
{
    if (connection->pending) {
        const int error = connection_send_pending(connection);
        if (error < 0 && error != -EAGAIN)
            cannot_take(connection, RELAY_TO_TARGET, "send", error, 0);
    }
    move_either(connection, RELAY_TO_TARGET);
    move_either(connection, RELAY_TO_CLIENT);
    if (is_over(connection))
        connection_over(connection);
}
