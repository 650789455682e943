/* SPDX-License-Identifier: MIT */
/*
 * Connections that one worker has accepted, and another is to have. The kernel spreads what comes by chance
 * (SO_REUSEPORT), or gives all of a shared socket to whoever is awake: so who accepts a connection passes it
 * on to the worker that has the fewest, if it is not itself among those.
 */
#ifndef SERVER_HANDOVER_H
#define SERVER_HANDOVER_H

#include <pthread.h>

#include "peer.h"

struct loop;
struct worker;
struct handed;

/* What is on its way to a worker. */
struct handover {
    pthread_mutex_t mutex;
    struct handed *first, **last;
};

void handover_init(struct handover *handover);
/* Nothing is on its way. */
void handover_free(struct handover *handover);

/* The worker that is to have the connection which `own` has accepted. */
struct worker *handover_place(struct worker *own);
/* Gives it a descriptor, and counts it there. False: there is no memory for that. */
bool handover_give(struct worker *to, int fd, const struct peer *peer);
/* In the thread of the worker that has the loop: begins what is on its way. data: NULL. */
void handover_take(struct loop *loop, void *data);

#endif
