/* SPDX-License-Identifier: MIT */
/* A worker: one loop, its thread, and the connections in it. Nothing in it is shared but what the
 * relay has for all. */
#ifndef SERVER_WORKER_H
#define SERVER_WORKER_H

#include <pthread.h>

#include "handover.h"
#include "lib/rate.h"
#include "relay.h"
#include "unit.h"

enum { WORKER_SCRATCH = 64 << 10 };

struct worker {
    struct relay *relay;
    struct loop *loop;
    pthread_t thread;
    bool started;
    struct units units;
    struct connection *connections;
    struct target_list *targets;
    struct tap_list *tap_list;
    struct tap *taps, *taps_alone; /* of connections; and those that have outlived theirs */
    unsigned taps_alone_count;
    struct listener **listener;
    unsigned listeners;
    atomic_uint active; /* its connections, those among them that are on their way to it */
    struct handover handover;
    bool draining, full;
    struct timer look_again;    /* while it is full: whether others have made room */
    struct relay_totals totals; /* those that units do not count */
    struct relay_totals tapped; /* what taps did that are over */
    uint64_t next_id;
    char *scratch; /* WORKER_SCRATCH bytes for what is looked at or thrown away */
};

struct relay {
    struct relay_options options;
    struct loop *control;
    struct worker *worker;
    unsigned workers;
    atomic_uint active;
    atomic_uint taps_alone; /* taps that are to deliver what waits for them */
    bool draining;
    struct timer drain_timer;
    pthread_mutex_t lists_mutex; /* of the two that follow */
    struct target_list *targets;
    struct tap_list *taps;
    pthread_mutex_t rate_mutex;
    struct rate rate_all[RELAY_DIRECTIONS];
};

/* A connection has gone: room for another, or the last one of a drain. */
void worker_released(struct worker *worker);
/* So has a tap that had outlived its connection. */
void worker_released_tap(struct worker *worker);

/* Bytes that all connections together may move now; 0: not before *deadline. */
uint64_t relay_rate_allow(struct relay *relay, int direction, uint64_t want, uint64_t now,
                          uint64_t *deadline);
void relay_rate_spend(struct relay *relay, int direction, uint64_t bytes);

#endif
