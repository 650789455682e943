/* SPDX-License-Identifier: MIT */
#include "handover.h"

#include <stdlib.h>

#include "connection.h"

struct handed {
    struct handed *next;
    int fd;
    struct peer peer;
};

void handover_init(struct handover *handover)
{
    pthread_mutex_init(&handover->mutex, NULL);
    handover->last = &handover->first;
}

void handover_free(struct handover *handover)
{
    pthread_mutex_destroy(&handover->mutex);
}

struct worker *handover_place(struct worker *own)
{
    struct relay *relay = own->relay;
    struct worker *best = own;

    for (unsigned i = 0; i < relay->workers && !own->draining; i++)
        if (relay->worker[i].active < best->active)
            best = &relay->worker[i];
    return best;
}

static struct handed *take_all(struct handover *handover)
{
    pthread_mutex_lock(&handover->mutex);
    struct handed *all = handover->first;
    handover->first = NULL;
    handover->last = &handover->first;
    pthread_mutex_unlock(&handover->mutex);
    return all;
}

void handover_take(struct loop *loop, void *data)
{
    struct worker *worker = loop_data(loop);

    (void)data;
    for (struct handed *one = take_all(&worker->handover), *next; one; one = next) {
        next = one->next;
        connection_begin(worker, one->fd, &one->peer);
        free(one);
    }
}

/* One call is enough for all that are on their way. */
bool handover_give(struct worker *to, int fd, const struct peer *peer)
{
    struct handover *handover = &to->handover;
    struct handed *one = malloc(sizeof *one);

    if (!one)
        return false;
    *one = (struct handed){.fd = fd, .peer = *peer};
    to->active++;
    pthread_mutex_lock(&handover->mutex);
    const bool given = handover->first || loop_call(to->loop, handover_take, NULL) == 0;
    if (given) {
        *handover->last = one;
        handover->last = &one->next;
    }
    pthread_mutex_unlock(&handover->mutex);
    if (!given) {
        to->active--;
        free(one);
    }
    return given;
}
