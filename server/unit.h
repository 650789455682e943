/* SPDX-License-Identifier: MIT */
/*
 * A unit is a transfer with its two endpoints, lent to a direction of a connection while that has
 * bytes to move, and then to the next: so an idle connection holds none, and neither a pipe nor a
 * buffer. There are small units, which recv and send, and bulk ones, which splice.
 */
#ifndef SERVER_UNIT_H
#define SERVER_UNIT_H

#include <stdbool.h>
#include <sys/socket.h>

#include "loop.h"
#include "relay.h"
#include "sluice.h"

enum {
    /* Most bytes that recv is asked for. A read that brings as many says that more is there: the
     * direction streams. Chosen by counting calls: see docs/relay.md. */
    UNIT_SMALL = 32 << 10,
    UNIT_KINDS = 16, /* which way, small or bulk, from and to a UNIX socket or none */
};

struct unit {
    struct unit *next; /* among the idle ones */
    struct unit *older, *newer;
    sluice_transfer *transfer;
    sluice_endpoint *source, *sink;
    uint64_t before; /* what it had delivered when this direction got it */
    unsigned char kind, direction;
    bool bulk;
};

struct units {
    sluice_context *context;
    struct loop *loop;
    struct unit *idle[UNIT_KINDS];
    unsigned idle_count[UNIT_KINDS];
    unsigned idle_least[UNIT_KINDS]; /* since `give_back` last fired */
    bool freed;                      /* some were, since then */
    struct timer give_back;
    struct unit *newest;      /* of all, idle or lent */
    struct relay_totals past; /* what freed ones did */
};

/* Borrows both; zero-initialized before. */
void units_init(struct units *units, sluice_context *context, struct loop *loop);

/* Lends a unit. source_family, sink_family: AF_UNIX or not. NULL: no memory, or the descriptors are
 * none; *ret_error says. */
struct unit *unit_get(struct units *units, int direction, bool bulk, int source_fd, int sink_fd,
                      bool source_unix, bool sink_unix, int *ret_error);
/* Takes back a unit in which nothing is parked. */
void unit_put(struct units *units, struct unit *unit);
/* Takes it back with whatever it holds. Returns how many bytes that were. */
uint64_t unit_discard(struct units *units, struct unit *unit);

/* Adds up what all units have done. */
void units_read(const struct units *units, struct relay_totals *ret);
void units_free(struct units *units);

#endif
