/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

enum {
    IDLE_MOST = 256,       /* of a kind, kept */
    IDLE_FEW = 16,         /* of a kind, kept for good */
    PIPE_SIZE = 256 << 10, /* measured: docs/relay.md */
};
/* What nobody wanted for so long is given back, by halves. */
#define IDLE_LOOK (1 * SECOND)

static unsigned char kind_of(int direction, bool bulk, bool source_unix, bool sink_unix)
{
    return (unsigned char)(direction | bulk << 1 | source_unix << 2 | sink_unix << 3);
}

/* ---- counting ---- */

void relay_count_fallback(struct relay_totals *totals, const char *call, const char *reason,
                          uint64_t count)
{
    struct relay_fallback *row = totals->fallback, *end = row + RELAY_FALLBACKS - 1;

    while (row < end && row->call &&
           (strcmp(row->call, call) != 0 || strcmp(row->reason, reason) != 0))
        row++;
    row->call = row == end ? "other" : call;
    row->reason = row == end ? "" : reason;
    row->count += count;
}

static void count_fallbacks(struct units *units, const struct unit *unit)
{
    struct sluice_fallback fallback = {.size = sizeof fallback};

    for (unsigned i = 0; sluice_transfer_fallback(unit->transfer, i, &fallback) == 0; i++)
        relay_count_fallback(&units->past, fallback.call,
                             fallback.reason ? fallback.reason : strerrorname_np(-fallback.error),
                             1);
}

static void add_unit(const struct unit *unit, struct relay_totals *totals)
{
    const int direction = unit->direction;
    struct sluice_row row = {.size = sizeof row};
    struct sluice_ledger ledger = {.size = sizeof ledger};

    for (unsigned i = 0; sluice_transfer_row(unit->transfer, i, &row) == 0; i++)
        totals->bytes_class[direction][row.leg.class_] += row.bytes;
    sluice_transfer_ledger(unit->transfer, &ledger);
    totals->bytes[direction] += ledger.delivered;
    totals->calls[direction] += ledger.calls;
    totals->source_eagain[direction] += ledger.source_eagain;
    totals->sink_eagain[direction] += ledger.sink_eagain;
    totals->parked[direction] += ledger.parked;
}

void units_read(const struct units *units, struct relay_totals *ret)
{
    struct sluice_pipes pipes = {.size = sizeof pipes};

    for (int direction = 0; direction < RELAY_DIRECTIONS; direction++) {
        for (int i = 0; i <= SLUICE_CLASS_MAP; i++)
            ret->bytes_class[direction][i] += units->past.bytes_class[direction][i];
        ret->bytes[direction] += units->past.bytes[direction];
        ret->calls[direction] += units->past.calls[direction];
        ret->source_eagain[direction] += units->past.source_eagain[direction];
        ret->sink_eagain[direction] += units->past.sink_eagain[direction];
    }
    for (const struct relay_fallback *row = units->past.fallback;
         row < units->past.fallback + RELAY_FALLBACKS && row->call; row++)
        relay_count_fallback(ret, row->call, row->reason, row->count);
    for (const struct unit *unit = units->newest; unit; unit = unit->older)
        add_unit(unit, ret);
    for (unsigned i = 0; i < UNIT_KINDS; i++)
        ret->idle_units += units->idle_count[i];
    sluice_context_pipes(units->context, &pipes);
    ret->pipes_used += pipes.open - pipes.idle;
    ret->pipes_free += pipes.idle;
    ret->pipes_most += pipes.most;
    ret->pipes_refused += pipes.refused;
    ret->pipes_small += pipes.small;
}

/* ---- making ---- */

static int make_transfer(struct units *units, struct unit *unit, int source_fd, int sink_fd)
{
    const struct sluice_options options = {
        .size = sizeof options,
        .flags = SLUICE_NO_SIGPIPE | SLUICE_EDGE_TRIGGERED,
        .method = unit->bulk ? SLUICE_METHOD_AUTO : SLUICE_METHOD_READ_WRITE,
        .chunk = unit->bulk ? 0 : UNIT_SMALL,
        .pipe_size = PIPE_SIZE,
    };

    int error = sluice_endpoint_from_fd(units->context, source_fd, SLUICE_BORROW, &unit->source);
    if (error >= 0)
        error = sluice_endpoint_from_fd(units->context, sink_fd, SLUICE_BORROW, &unit->sink);
    if (error >= 0)
        error = sluice_transfer_new(units->context, unit->source, unit->sink, &options,
                                    &unit->transfer, NULL);
    return error;
}

static void unit_free(struct unit *unit)
{
    sluice_transfer_discard(unit->transfer);
    sluice_endpoint_free(unit->source);
    sluice_endpoint_free(unit->sink);
    free(unit);
}

/* There is one. */
static struct unit *take_idle(struct units *units, unsigned kind)
{
    struct unit *unit = units->idle[kind];

    units->idle[kind] = unit->next;
    if (--units->idle_count[kind] < units->idle_least[kind])
        units->idle_least[kind] = units->idle_count[kind];
    return unit;
}

struct unit *unit_get(struct units *units, int direction, bool bulk, int source_fd, int sink_fd,
                      bool source_unix, bool sink_unix, int *ret_error)
{
    const unsigned char kind = kind_of(direction, bulk, source_unix, sink_unix);
    struct unit *unit;

    if (units->idle[kind]) {
        unit = take_idle(units, kind);
        sluice_transfer_reuse(unit->transfer, source_fd, sink_fd); /* idle ones hold nothing */
        unit->before = sluice_transfer_delivered(unit->transfer);
        return unit;
    }
    unit = calloc(1, sizeof *unit);
    if (!unit) {
        *ret_error = -ENOMEM;
        return NULL;
    }
    unit->kind = kind;
    unit->direction = (unsigned char)direction;
    unit->bulk = bulk;
    *ret_error = make_transfer(units, unit, source_fd, sink_fd);
    if (*ret_error < 0) {
        unit_free(unit);
        return NULL;
    }
    unit->older = units->newest;
    if (unit->older)
        unit->older->newer = unit;
    units->newest = unit;
    return unit;
}

static void look_in_a_while(struct units *units)
{
    if (units->give_back.place == 0)
        timer_set(units->loop, &units->give_back, loop_now(units->loop) + IDLE_LOOK);
}

static void retire(struct units *units, struct unit *unit)
{
    units->freed = true;
    add_unit(unit, &units->past);
    if (unit->older)
        unit->older->newer = unit->newer;
    if (unit->newer)
        unit->newer->older = unit->older;
    else
        units->newest = unit->older;
    unit_free(unit);
}

void unit_put(struct units *units, struct unit *unit)
{
    count_fallbacks(units, unit);
    if (units->idle_count[unit->kind] >= IDLE_MOST) { /* so many that it is looked at already */
        retire(units, unit);
        return;
    }
    unit->next = units->idle[unit->kind];
    units->idle[unit->kind] = unit;
    if (++units->idle_count[unit->kind] > IDLE_FEW)
        look_in_a_while(units);
}

/* Of a kind, half of those that nobody wanted since it was last asked. */
static void give_back_kind(struct units *units, unsigned kind)
{
    const unsigned unwanted = units->idle_least[kind];
    const unsigned count = unwanted > IDLE_FEW ? (unwanted - IDLE_FEW + 1) / 2 : 0;

    for (unsigned i = 0; i < count; i++)
        retire(units, take_idle(units, kind));
    units->idle_least[kind] = units->idle_count[kind];
}

/* What many connections at work together needed is not kept when there are few: it goes back to the kernel,
 * their buffers' pages, too, which lie between other things in the heap. With few kept nothing is looked at
 * any more: a relay without work sleeps. */
static void give_back(struct loop *loop, struct timer *timer)
{
    struct units *units = OWNER_OF(timer, struct units, give_back);
    bool more = false;

    (void)loop;
    for (unsigned kind = 0; kind < UNIT_KINDS; kind++) {
        give_back_kind(units, kind);
        more |= units->idle_count[kind] > IDLE_FEW;
    }
    if (units->freed)
        malloc_trim(0);
    units->freed = false;
    if (more)
        look_in_a_while(units);
}

uint64_t unit_discard(struct units *units, struct unit *unit)
{
    const uint64_t parked = sluice_transfer_parked(unit->transfer);

    if (parked == 0) {
        unit_put(units, unit);
        return 0;
    }
    count_fallbacks(units, unit);
    retire(units, unit);
    look_in_a_while(units);
    return parked;
}

void units_init(struct units *units, sluice_context *context, struct loop *loop)
{
    units->context = context;
    units->loop = loop;
    units->give_back.fire = give_back;
}

void units_free(struct units *units)
{
    while (units->newest)
        retire(units, units->newest);
    if (units->loop)
        timer_clear(units->loop, &units->give_back);
}
