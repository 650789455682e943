/* SPDX-License-Identifier: MIT */
#include "awake.h"

#include <sched.h>

#include "../sys.h"

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

void awake_begin(struct awake *awake)
{
    const int own = sched_getcpu();
    cpu_set_t allowed;

    awake->count = 0;
    atomic_init(&awake->end, false);
    if (sched_getaffinity(0, sizeof allowed, &allowed) < 0)
        return;
    for (int processor = 0; processor < CPU_SETSIZE && awake->count < AWAKE_MOST; processor++)
        if (processor != own && CPU_ISSET((size_t)processor, &allowed) &&
            sys_thread_on(processor, turn, awake, &awake->thread[awake->count]) == 0)
            awake->count++;
}

void awake_end(struct awake *awake)
{
    atomic_store_explicit(&awake->end, true, memory_order_relaxed);
    for (unsigned i = 0; i < awake->count; i++)
        pthread_join(awake->thread[i], NULL);
    awake->count = 0;
}
