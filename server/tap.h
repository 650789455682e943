/* SPDX-License-Identifier: MIT */
/*
 * A tap: one direction of a connection that is written elsewhere as well. Its bytes go through a
 * fan-out instead of a transfer, to the other end of the connection and to the sinks of --tap: small
 * ones are received once and sent to each, large ones are shared by tee(2).
 *
 * The connection goes by what becomes of its own two ends. A sink that fails, or is too slow, is the
 * log's matter, and its own. When the connection is over the tap goes on alone until its sinks have
 * got what waits for them, or their time is up.
 */
#ifndef SERVER_TAP_H
#define SERVER_TAP_H

#include "connection.h"

struct tap;

/* Opens the sinks that this direction of a connection is to have. NULL: it is to have none, or none
 * could be opened, which the log says: then its bytes go as ever. */
struct tap *tap_begin(struct connection *connection, int direction);

enum tap_state {
    TAP_WAITS = 0,
    TAP_HAS_MORE, /* the budget is used */
    TAP_ENDED,    /* the source has ended, and the other end has got everything */
    TAP_FAILED,
};

struct tap_turn {
    uint64_t taken;     /* bytes, in this turn */
    bool moved;         /* any, in or out */
    unsigned char wait; /* for what of the connection's ends: enum sluice_wait_mask */
    struct sluice_error
        error; /* TAP_FAILED: the side, SLUICE_SIDE_SETUP: neither; `parked` is lost */
};

/* Moves at most `budget` bytes. */
enum tap_state tap_step(struct tap *tap, uint64_t budget, struct tap_turn *ret);
/* One of its sinks has become ready, so that a step is worth while. */
bool tap_is_stirred(const struct tap *tap);
/* Bytes that were taken, and not yet delivered to the other end. */
uint64_t tap_parked(const struct tap *tap);

/* The connection needs it no more, and its descriptors may be closed. Returns tap_parked(). */
uint64_t tap_leave(struct tap *tap);

/* Those of a worker that go on alone: at most so many, then the oldest is cut off. */
enum { TAPS_ALONE = 64 };

/* Adds up what all taps of a worker have done. */
void taps_read(const struct worker *worker, struct relay_totals *ret);
/* Cuts off those that go on alone. */
void taps_free(struct worker *worker);

#endif
