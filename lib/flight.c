/* SPDX-License-Identifier: MIT */
/*
 * The queue, and its threads. As many as requests may be in flight, made when the first ones come,
 * with all signals blocked: whoever is interrupted, it is the caller. They are joined at the end.
 */
#include "flight.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "endpoint.h"
#include "sys.h"

struct threads {
    struct flight flight;
    pthread_mutex_t mutex;
    pthread_cond_t work;
    struct request *first, **last; /* to be done */
    struct request *done, **done_last;
    bool ends;
    unsigned idle, count, depth;
    pthread_t thread[];
};

static void append(struct request ***last, struct request *request)
{
    request->next = NULL;
    **last = request;
    *last = &request->next;
}

static struct request *take(struct request **first, struct request ***last)
{
    struct request *request = *first;
    if (request && !(*first = request->next))
        *last = first;
    return request;
}

/* The event is set while something is done and not reaped; with the mutex held. */
static void set_event(const struct threads *threads, bool set)
{
    const int saved = errno;
    uint64_t value = 1;
    const ssize_t count = set ? write(threads->flight.event, &value, sizeof value)
                              : read(threads->flight.event, &value, sizeof value);
    (void)count; /* it never waits, and never has more than 1 */
    errno = saved;
}

static void *work(void *data)
{
    struct threads *threads = data;

    pthread_mutex_lock(&threads->mutex);
    for (;;) {
        struct request *request;
        while (!(request = take(&threads->first, &threads->last)) && !threads->ends) {
            threads->idle++;
            pthread_cond_wait(&threads->work, &threads->mutex);
            threads->idle--;
        }
        if (!request)
            break;
        pthread_mutex_unlock(&threads->mutex);
        request->value = flight_perform(request);
        pthread_mutex_lock(&threads->mutex);
        if (!threads->done)
            set_event(threads, true);
        append(&threads->done_last, request);
    }
    pthread_mutex_unlock(&threads->mutex);
    return NULL;
}

static int start_thread(struct threads *threads)
{
    const int error = sys_thread_on(-1, work, threads, &threads->thread[threads->count]);

    threads->count += error == 0;
    return error;
}

static int threads_submit(struct flight *flight, struct request *request)
{
    struct threads *threads = (struct threads *)flight;

    pthread_mutex_lock(&threads->mutex);
    append(&threads->last, request);
    const bool more = threads->count < threads->depth && threads->idle == 0;
    pthread_cond_signal(&threads->work);
    pthread_mutex_unlock(&threads->mutex);
    /* Too few threads are a smaller depth; none at all was refused at the beginning. */
    if (more)
        start_thread(threads);
    return 0;
}

static struct request *threads_reap(struct flight *flight, bool wait)
{
    struct threads *threads = (struct threads *)flight;

    for (;;) {
        pthread_mutex_lock(&threads->mutex);
        struct request *request = take(&threads->done, &threads->done_last);
        if (request && !threads->done)
            set_event(threads, false);
        pthread_mutex_unlock(&threads->mutex);
        struct pollfd event = {.fd = flight->event, .events = POLLIN};
        if (request || !wait)
            return request;
        const int saved = errno;
        const int ready = poll(&event, 1, -1);
        errno = saved;
        if (ready < 0)
            return NULL;
    }
}

static void threads_close(struct flight *flight)
{
    struct threads *threads = (struct threads *)flight;

    pthread_mutex_lock(&threads->mutex);
    threads->ends = true;
    pthread_cond_broadcast(&threads->work);
    pthread_mutex_unlock(&threads->mutex);
    for (unsigned i = 0; i < threads->count; i++)
        pthread_join(threads->thread[i], NULL);
    pthread_cond_destroy(&threads->work);
    pthread_mutex_destroy(&threads->mutex);
    if (flight->event >= 0)
        sys_close(flight->event);
    free(threads);
}

static const struct flight_driver threads_driver = {
    .name = "threads",
    .submit = threads_submit,
    .reap = threads_reap,
    .close = threads_close,
};

int flight_threads_open(unsigned depth, struct flight **ret)
{
    struct threads *threads = calloc(1, sizeof *threads + depth * sizeof *threads->thread);
    if (!threads)
        return -ENOMEM;
    threads->flight.driver = &threads_driver;
    threads->depth = depth;
    threads->last = &threads->first;
    threads->done_last = &threads->done;
    pthread_mutex_init(&threads->mutex, NULL);
    pthread_cond_init(&threads->work, NULL);
    threads->flight.event = fd_above_standard(sys_eventfd());
    const int error = threads->flight.event < 0 ? threads->flight.event : start_thread(threads);
    if (error < 0)
        threads_close(&threads->flight);
    else
        *ret = &threads->flight;
    return error;
}

/* ---- what both have in common ---- */

int sys_flight_open(enum flight_engine engine, unsigned depth, struct flight **ret)
{
    return engine == FLIGHT_RING ? flight_ring_open(depth, ret) : flight_threads_open(depth, ret);
}

int sys_flight_submit(struct flight *flight, struct request *request)
{
    const int error = flight->driver->submit(flight, request);
    if (error < 0)
        return error;
    if (++flight->in_flight > flight->most)
        flight->most = flight->in_flight;
    return 0;
}

struct request *sys_flight_reap(struct flight *flight, bool wait)
{
    struct request *request = flight->in_flight ? flight->driver->reap(flight, wait) : NULL;
    flight->in_flight -= request != NULL;
    return request;
}

void sys_flight_close(struct flight *flight)
{
    flight->driver->close(flight);
}
