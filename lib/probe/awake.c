/* SPDX-License-Identifier: MIT */
#include "awake.h"

#include <sched.h>
#include <signal.h>

/* Below everything else; whoever may not be put there is better not there at all. */
static void *turn(void *argument)
{
    struct awake *awake = argument;
    const struct sched_param least = {.sched_priority = 0};

    if (sched_setscheduler(0, SCHED_IDLE, &least) < 0)
        return NULL;
    while (!atomic_load_explicit(&awake->end, memory_order_relaxed))
        ;
    return NULL;
}

static int begin_on(struct awake *awake, int processor)
{
    pthread_attr_t attributes;
    cpu_set_t there;

    CPU_ZERO(&there);
    CPU_SET((size_t)processor, &there);
    int error = pthread_attr_init(&attributes);
    if (error)
        return error;
    error = pthread_attr_setaffinity_np(&attributes, sizeof there, &there);
    if (!error)
        error = pthread_create(&awake->thread[awake->count], &attributes, turn, awake);
    awake->count += !error;
    pthread_attr_destroy(&attributes);
    return error;
}

void awake_begin(struct awake *awake)
{
    const int own = sched_getcpu();
    cpu_set_t allowed;
    sigset_t all, before;

    awake->count = 0;
    atomic_init(&awake->end, false);
    if (sched_getaffinity(0, sizeof allowed, &allowed) < 0)
        return;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* they are born with this mask */
    for (int processor = 0; processor < CPU_SETSIZE && awake->count < AWAKE_MOST; processor++)
        if (processor != own && CPU_ISSET((size_t)processor, &allowed) &&
            begin_on(awake, processor) != 0)
            break;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void awake_end(struct awake *awake)
{
    atomic_store_explicit(&awake->end, true, memory_order_relaxed);
    for (unsigned i = 0; i < awake->count; i++)
        pthread_join(awake->thread[i], NULL);
    awake->count = 0;
}
