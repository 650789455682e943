/* SPDX-License-Identifier: MIT */
#include "loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "lib/endpoint.h"
#include "lib/sys.h"
#include "net.h"

enum { BATCH = 256 }; /* events that are fetched at a time */

/* A call from another thread. */
struct call {
    struct call *next;
    void (*function)(struct loop *, void *);
    void *data;
    bool *done; /* somebody waits until it is true; NULL: nobody */
};

struct loop {
    void *data;
    int epoll;
    bool stopped;
    uint64_t now; /* 0: not asked for in this turn */
    struct epoll_event events[BATCH];
    int fetched, at; /* of these: how many, and which is being served */

    struct timer **heap; /* from 1 */
    unsigned timers, room;

    struct task *first, **last;

    struct watch bell; /* an eventfd: others have called */
    pthread_mutex_t mutex;
    pthread_cond_t answered; /* a call that somebody waits for has returned */
    struct call *calls, **calls_end;
};

/* ---- calls from other threads ---- */

/* The first of the calls is taken off. */
static struct call *take_call(struct loop *loop)
{
    struct call *call = loop->calls;

    loop->calls = call->next;
    if (!loop->calls)
        loop->calls_end = &loop->calls;
    return call;
}

static void call_is_over(struct loop *loop, struct call *call)
{
    if (call->done) {
        *call->done = true;
        pthread_cond_broadcast(&loop->answered);
    }
    free(call);
}

/* Those that there are by now; others ring again. */
static void bell_rang(struct loop *loop, struct watch *watch, uint32_t events)
{
    uint64_t count;
    const struct call *last;

    (void)events;
    sys_read(watch->fd, &count, sizeof count);
    pthread_mutex_lock(&loop->mutex);
    for (last = loop->calls; last && last->next; last = last->next)
        ;
    for (bool on = last != NULL; on && loop->calls;) {
        struct call *call = take_call(loop);
        on = call != last;
        pthread_mutex_unlock(&loop->mutex);
        call->function(loop, call->data);
        pthread_mutex_lock(&loop->mutex);
        call_is_over(loop, call);
    }
    pthread_mutex_unlock(&loop->mutex);
}

/* Returns the call, of which nothing but the address means anything; or NULL: no memory. */
static struct call *post(struct loop *loop, void (*function)(struct loop *, void *), void *data,
                         bool *done)
{
    const uint64_t one = 1;
    struct call *call = malloc(sizeof *call);

    if (!call)
        return NULL;
    *call = (struct call){.function = function, .data = data, .done = done};
    pthread_mutex_lock(&loop->mutex);
    *loop->calls_end = call;
    loop->calls_end = &call->next;
    pthread_mutex_unlock(&loop->mutex);
    sys_write(loop->bell.fd, &one, sizeof one); /* fails only if it rings already */
    return call;
}

int loop_call(struct loop *loop, void (*function)(struct loop *, void *), void *data)
{
    return post(loop, function, data, NULL) ? 0 : -ENOMEM;
}

/* Whether the call had not begun: then it never will. */
static bool withdraw(struct loop *loop, const struct call *call)
{
    struct call **link = &loop->calls;

    while (*link && *link != call)
        link = &(*link)->next;
    struct call *found = *link;
    if (!found)
        return false;
    *link = found->next;
    if (!*link)
        loop->calls_end = link;
    free(found);
    return true;
}

int loop_ask(struct loop *loop, void (*function)(struct loop *, void *), void *data)
{
    enum { PATIENCE = 2 };
    struct timespec until;
    bool done = false, withdrawn = false;
    int waited = 0;

    const struct call *call = post(loop, function, data, &done);
    if (!call)
        return -ENOMEM;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += PATIENCE;
    pthread_mutex_lock(&loop->mutex);
    while (!done && waited != ETIMEDOUT)
        waited = pthread_cond_timedwait(&loop->answered, &loop->mutex, &until);
    if (!done)
        withdrawn = withdraw(loop, call);
    while (!done && !withdrawn) /* it is just being called */
        pthread_cond_wait(&loop->answered, &loop->mutex);
    pthread_mutex_unlock(&loop->mutex);
    return withdrawn ? -ETIMEDOUT : 0;
}

static void stop_here(struct loop *loop, void *data)
{
    (void)data;
    loop->stopped = true;
}

int loop_stop(struct loop *loop)
{
    return loop_call(loop, stop_here, NULL);
}

/* ---- making ---- */

static int make_bell(struct loop *loop)
{
    const int fd = fd_above_standard(sys_eventfd());
    if (fd < 0)
        return fd;
    loop->bell = (struct watch){.fd = fd, .ready = bell_rang};
    const int error = loop_add(loop, &loop->bell, EPOLLIN, false);
    if (error < 0)
        sys_close(fd);
    return error;
}

static void make_locks(struct loop *loop)
{
    pthread_condattr_t steady; /* no matter what is done to the time of day */

    pthread_mutex_init(&loop->mutex, NULL);
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&loop->answered, &steady);
    pthread_condattr_destroy(&steady);
}

int loop_new(void *data, struct loop **ret)
{
    struct loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        return -ENOMEM;
    loop->data = data;
    loop->last = &loop->first;
    loop->calls_end = &loop->calls;
    make_locks(loop);
    loop->epoll = fd_above_standard(net_epoll_create());
    int error = loop->epoll < 0 ? loop->epoll : make_bell(loop);
    if (error < 0) {
        if (loop->epoll >= 0)
            sys_close(loop->epoll);
        free(loop);
        return error;
    }
    *ret = loop;
    return 0;
}

void *loop_data(const struct loop *loop)
{
    return loop->data;
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    while (loop->calls)
        free(take_call(loop));
    loop_close(loop, &loop->bell);
    sys_close(loop->epoll);
    pthread_cond_destroy(&loop->answered);
    pthread_mutex_destroy(&loop->mutex);
    free(loop->heap);
    free(loop);
}

/* ---- watching ---- */

int loop_add(struct loop *loop, struct watch *watch, uint32_t events, bool edge)
{
    struct epoll_event event = {.events = events | (edge ? (uint32_t)EPOLLET : 0),
                                .data.ptr = watch};
    return net_epoll_control(loop->epoll, EPOLL_CTL_ADD, watch->fd, &event);
}

/* Events of this batch that were fetched for it already are not told any more. */
static void forget(struct loop *loop, const struct watch *watch)
{
    for (int i = loop->at + 1; i < loop->fetched; i++)
        if (loop->events[i].data.ptr == watch)
            loop->events[i].data.ptr = NULL;
}

void loop_remove(struct loop *loop, struct watch *watch)
{
    struct epoll_event none = {0};
    if (watch->fd < 0)
        return;
    net_epoll_control(loop->epoll, EPOLL_CTL_DEL, watch->fd, &none);
    forget(loop, watch);
    watch->fd = -1;
}

/* Closing the last descriptor of an open file ends its being watched: no call is needed for that. */
void loop_close(struct loop *loop, struct watch *watch)
{
    if (watch->fd < 0)
        return;
    forget(loop, watch);
    sys_close(watch->fd);
    watch->fd = -1;
}

/* ---- timers: a binary heap, the next one at 1 ---- */

static void put_at(struct loop *loop, unsigned place, struct timer *timer)
{
    loop->heap[place] = timer;
    timer->place = place;
}

static void rise(struct loop *loop, unsigned place, struct timer *timer)
{
    for (; place > 1 && timer->at < loop->heap[place / 2]->at; place /= 2)
        put_at(loop, place, loop->heap[place / 2]);
    put_at(loop, place, timer);
}

static void sink(struct loop *loop, unsigned place, struct timer *timer)
{
    for (;;) {
        unsigned child = place * 2;
        if (child < loop->timers && loop->heap[child + 1]->at < loop->heap[child]->at)
            child++;
        if (child > loop->timers || loop->heap[child]->at >= timer->at)
            break;
        put_at(loop, place, loop->heap[child]);
        place = child;
    }
    put_at(loop, place, timer);
}

int timer_set(struct loop *loop, struct timer *timer, uint64_t at)
{
    if (timer->place == 0) {
        if (loop->timers + 1 >= loop->room) {
            const unsigned room = loop->room ? loop->room * 2 : 64;
            struct timer **heap = realloc(loop->heap, room * sizeof(struct timer *));
            if (!heap)
                return -ENOMEM;
            loop->heap = heap;
            loop->room = room;
        }
        timer->place = ++loop->timers;
        timer->at = UINT64_MAX;
        loop->heap[timer->place] = timer;
    }
    const bool earlier = at < timer->at;
    timer->at = at;
    if (earlier)
        rise(loop, timer->place, timer);
    else
        sink(loop, timer->place, timer);
    return 0;
}

void timer_clear(struct loop *loop, struct timer *timer)
{
    const unsigned place = timer->place;
    if (place == 0)
        return;
    timer->place = 0;
    struct timer *moved = loop->heap[loop->timers--];
    if (moved == timer)
        return;
    if (place > 1 && moved->at < loop->heap[place / 2]->at)
        rise(loop, place, moved);
    else
        sink(loop, place, moved);
}

/* Where nothing is timed, the clock is not read. */
uint64_t loop_now(struct loop *loop)
{
    if (loop->now == 0)
        loop->now = sys_now();
    return loop->now;
}

static void fire_timers(struct loop *loop)
{
    while (loop->timers > 0 && loop->heap[1]->at <= loop_now(loop)) {
        struct timer *timer = loop->heap[1];
        timer_clear(loop, timer);
        timer->fire(loop, timer);
    }
}

/* ---- tasks ---- */

void loop_later(struct loop *loop, struct task *task)
{
    if (task->link)
        return;
    task->next = NULL;
    task->link = loop->last;
    *loop->last = task;
    loop->last = &task->next;
}

void loop_not_later(struct loop *loop, struct task *task)
{
    if (!task->link)
        return;
    *task->link = task->next;
    if (task->next)
        task->next->link = task->link;
    else
        loop->last = task->link;
    task->link = NULL;
}

/* Those that are due now; what they put off is for the next turn. */
static void run_tasks(struct loop *loop)
{
    struct task end = {0};

    if (!loop->first)
        return;
    loop_later(loop, &end);
    while (loop->first != &end) {
        struct task *task = loop->first;
        loop_not_later(loop, task);
        task->run(loop, task);
    }
    loop_not_later(loop, &end);
}

/* ---- running ---- */

static int64_t next_timeout(struct loop *loop)
{
    if (loop->first)
        return 0;
    if (loop->timers == 0)
        return -1;
    const uint64_t at = loop->heap[1]->at, now = loop_now(loop);
    if (at <= now)
        return 0;
    return at - now < INT64_MAX ? (int64_t)(at - now) : INT64_MAX;
}

int loop_run(struct loop *loop)
{
    loop->stopped = false;
    while (!loop->stopped) {
        int ready = net_epoll_wait(loop->epoll, loop->events, BATCH, next_timeout(loop));
        if (ready < 0 && ready != -EINTR)
            return ready;
        loop->now = 0;
        loop->fetched = ready > 0 ? ready : 0;
        for (loop->at = 0; loop->at < loop->fetched; loop->at++) {
            struct watch *watch = loop->events[loop->at].data.ptr;
            if (watch)
                watch->ready(loop, watch, loop->events[loop->at].events);
        }
        loop->fetched = loop->at = 0;
        fire_timers(loop);
        run_tasks(loop);
    }
    return 0;
}
