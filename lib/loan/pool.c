/* SPDX-License-Identifier: MIT */
/*
 * The pool gives loans out and takes them back. A loan that is put back goes one of three ways:
 * idle, if nobody else can have its pages; due, while notifications are awaited; spent, if its
 * pages were handed on for good. Spent loans are renewed a slab at a time, when the last loan of
 * their slab has come back.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../sys.h"
#include "loan.h"

enum {
    SLAB = 2 << 20,           /* what loans are cut from, where they are smaller: a huge page */
    DEFAULT_SIZE = 128 << 10, /* filled, and still in the CPU's cache when it is sent */
    DEFAULT_MAX = 64,
};
#define LARGEST ((uint64_t)1 << 40)

int sluice_loan_pool_new(sluice_context *context, const struct sluice_loan_options *options,
                         sluice_loan_pool **ret)
{
    struct sluice_loan_options own = {0};
    const int error = options ? sized_read(&own, sizeof own, options) : 0;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);

    if (error < 0 || own.buffer_size > LARGEST || own.buffer_size > SIZE_MAX / 4)
        return -EINVAL;
    struct sluice_loan_pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return -ENOMEM;
    pool->context = context;
    pool->max = own.max_loans ? own.max_loans : DEFAULT_MAX;
    pool->loan_size = own.buffer_size ? (size_t)own.buffer_size : DEFAULT_SIZE;
    pool->loan_size = (pool->loan_size + page - 1) / page * page;
    pool->epoll = -1;
    *ret = pool;
    return 0;
}

/* ---- in and out ---- */

static void push_idle(struct sluice_loan *loan)
{
    struct sluice_loan_pool *pool = loan->pool;

    loan->state = LOAN_IDLE;
    loan->referenced = false;
    loan->next = pool->idle;
    pool->idle = loan;
    loan->slab->idle++;
    pool->stats.idle++;
}

static struct sluice_loan *pop_idle(struct sluice_loan_pool *pool)
{
    struct sluice_loan *loan = pool->idle;

    if (!loan)
        return NULL;
    pool->idle = loan->next;
    loan->slab->idle--;
    pool->stats.idle--;
    return loan;
}

static void remove_slab(struct sluice_loan_pool *pool, struct loan_slab *slab)
{
    struct loan_slab **link = &pool->slabs;
    while (*link != slab)
        link = &(*link)->next;
    *link = slab->next;
    for (struct sluice_loan **idle = &pool->idle; *idle;)
        if ((*idle)->slab == slab) {
            *idle = (*idle)->next;
            pool->stats.idle--;
        } else {
            idle = &(*idle)->next;
        }
    pool->count -= slab->count;
    loan_slab_free(slab);
}

static int add_slab(struct sluice_loan_pool *pool, unsigned count, bool constant,
                    struct loan_slab **ret)
{
    const int error = loan_slab_new(pool, pool->loan_size, count, constant, ret);
    if (error < 0)
        return error;
    (*ret)->next = pool->slabs;
    pool->slabs = *ret;
    pool->count += count;
    return 0;
}

/* All of a slab has come back, some of it spent: fresh pages for the whole. */
static void renew_slab(struct loan_slab *slab)
{
    struct sluice_loan_pool *pool = slab->loan->pool;

    pool->stats.replaced += slab->size;
    pool->stats.spent -= slab->spent;
    slab->spent = 0;
    if (!loan_slab_replace(slab)) {
        remove_slab(pool, slab);
        return;
    }
    for (unsigned i = slab->count; i-- > 0;) /* the first one is the next to be got */
        if (slab->loan[i].state == LOAN_SPENT)
            push_idle(&slab->loan[i]);
}

/* Nobody holds it but us, and the kernel owes us nothing for it. */
static void settle(struct sluice_loan *loan)
{
    struct loan_slab *slab = loan->slab;

    if (loan->constant) {
        loan->pool->stats.replaced += loan->referenced ? slab->size : 0;
        remove_slab(loan->pool, slab);
        return;
    }
    if (!loan->referenced) {
        push_idle(loan);
        return;
    }
    loan->state = LOAN_SPENT;
    slab->spent++;
    loan->pool->stats.spent++;
    if (slab->spent + slab->idle == slab->count)
        renew_slab(slab);
}

bool loan_answered(struct sluice_loan *loan, bool given_up)
{
    struct sluice_loan_pool *pool = loan->pool;

    pool->awaited--;
    loan->referenced |= given_up;
    if (--loan->pending > 0)
        return false;
    pool->stats.lent--;
    if (loan->state == LOAN_DUE)
        settle(loan);
    return true;
}

/* For want of anything better: spent loans whose slabs have others that are still out. */
static void renew_scattered(struct sluice_loan_pool *pool)
{
    for (struct loan_slab *slab = pool->slabs; slab; slab = slab->next)
        for (unsigned i = 0; i < slab->count && slab->spent; i++) {
            struct sluice_loan *loan = &slab->loan[i];
            if (loan->state != LOAN_SPENT || !loan_slab_replace_one(loan))
                continue;
            slab->spent--;
            pool->stats.spent--;
            pool->stats.replaced += pool->loan_size;
            push_idle(loan);
        }
}

/* How many more loans a new slab may be cut into. */
static unsigned room_for(const struct sluice_loan_pool *pool)
{
    const size_t fit = pool->loan_size < SLAB ? SLAB / pool->loan_size : 1;
    const unsigned left = pool->max - pool->count;
    return left < fit ? left : (unsigned)fit;
}

/* Whether all that there may be are with the caller, lent or spent. Idle ones do not count: what a slab has
 * more of must not keep anybody waiting, who would wait for ever. */
static bool is_full(const struct sluice_loan_pool *pool)
{
    return pool->count - pool->stats.idle >= pool->max;
}

static int get_fresh(struct sluice_loan_pool *pool, struct sluice_loan **ret)
{
    struct loan_slab *slab;
    int error = -EAGAIN;

    if (!pool->idle && pool->count < pool->max) {
        error = add_slab(pool, room_for(pool), false, &slab);
        for (unsigned i = error < 0 ? 0 : slab->count; i-- > 0;)
            push_idle(&slab->loan[i]);
    }
    if (!pool->idle || is_full(pool))
        renew_scattered(pool);
    if (is_full(pool))
        return -EAGAIN;
    if (!(*ret = pop_idle(pool)))
        return error;
    return 0;
}

/* Memory that is idle makes room for a constant loan, which has a slab of its own. */
static void drop_idle_slab(struct sluice_loan_pool *pool)
{
    for (struct loan_slab *slab = pool->slabs; slab; slab = slab->next)
        if (slab->idle == slab->count) {
            remove_slab(pool, slab);
            return;
        }
}

static int get_constant(struct sluice_loan_pool *pool, struct sluice_loan **ret)
{
    struct loan_slab *slab;

    if (pool->count >= pool->max)
        drop_idle_slab(pool);
    if (is_full(pool))
        renew_scattered(pool);
    if (is_full(pool))
        return -EAGAIN;
    const int error = add_slab(pool, 1, true, &slab);
    if (error < 0)
        return error;
    *ret = slab->loan;
    return 0;
}

int sluice_loan_get(sluice_loan_pool *pool, unsigned flags, sluice_loan **ret)
{
    struct sluice_loan *loan;

    if (flags & ~(unsigned)SLUICE_LOAN_CONSTANT)
        return -EINVAL;
    if (pool->awaited)
        sluice_loan_pool_reap(pool);
    const int error =
        flags & SLUICE_LOAN_CONSTANT ? get_constant(pool, &loan) : get_fresh(pool, &loan);
    if (error < 0)
        return error;
    loan->state = LOAN_HELD;
    loan->sent = 0;
    pool->stats.held++;
    *ret = loan;
    return 0;
}

void sluice_loan_put(sluice_loan *loan)
{
    if (!loan)
        return;
    loan->pool->stats.held--;
    if (loan->memfd >= 0)
        sys_close(loan->memfd); /* its pages live on where they were sent to */
    loan->memfd = -1;
    if (loan->pending > 0)
        loan->state = LOAN_DUE;
    else
        settle(loan);
}

void *sluice_loan_data(const sluice_loan *loan)
{
    return loan->data;
}

uint64_t sluice_loan_size(const sluice_loan *loan)
{
    return loan->pool->loan_size;
}

int sluice_loan_returned(sluice_loan *loan)
{
    if (loan->pending)
        sluice_loan_pool_reap(loan->pool);
    return loan->pending == 0 && !loan->referenced && !loan->sealed;
}

/* ---- what comes back ---- */

unsigned sluice_loan_pool_reap(sluice_loan_pool *pool)
{
    unsigned back = 0;
    void *who;

    /* Taken first: what comes after this is an edge of its own. */
    while (pool->epoll >= 0 && sys_epoll_take(pool->epoll, &who) > 0)
        ;
    for (struct sluice_loan_sink *sink = pool->sinks; sink; sink = sink->next)
        back += loan_sink_reap(sink);
    return pool->ring ? back + loan_ring_reap(pool->ring) : back;
}

static int watch_all(struct sluice_loan_pool *pool)
{
    int error = pool->ring ? sys_epoll_add(pool->epoll, loan_ring_fd(pool->ring), NULL) : 0;

    for (struct sluice_loan_sink *sink = pool->sinks; sink && error >= 0; sink = sink->next)
        if (sink->zerocopy_set)
            error = loan_sink_watch(sink);
    return error;
}

int sluice_loan_pool_fd(sluice_loan_pool *pool)
{
    if (pool->epoll >= 0)
        return pool->epoll;
    const int fd = fd_above_standard(sys_epoll_create());
    if (fd < 0)
        return fd;
    pool->epoll = fd;
    const int error = watch_all(pool);
    if (error >= 0)
        return fd;
    for (struct sluice_loan_sink *sink = pool->sinks; sink; sink = sink->next)
        sink->watched = false;
    sys_close(fd);
    pool->epoll = -1;
    return error;
}

int sluice_loan_pool_stats(const sluice_loan_pool *pool, struct sluice_loan_stats *ret)
{
    return SIZED_COPY(ret, pool->stats);
}

/* ---- the end ---- */

/* With the caller, or lent. */
static unsigned outstanding_of(struct sluice_loan_pool *pool)
{
    unsigned due = 0;

    sluice_loan_pool_reap(pool);
    for (const struct loan_slab *slab = pool->slabs; slab; slab = slab->next)
        for (unsigned i = 0; i < slab->count; i++)
            due += slab->loan[i].state == LOAN_DUE;
    return pool->stats.held + due;
}

unsigned sluice_loan_pool_abandon(sluice_loan_pool *pool)
{
    if (!pool)
        return 0;
    const unsigned outstanding = outstanding_of(pool);
    while (pool->sinks)
        sluice_loan_sink_free(pool->sinks);
    while (pool->slabs) {
        struct loan_slab *slab = pool->slabs;
        for (unsigned i = 0; i < slab->count; i++)
            if (slab->loan[i].memfd >= 0)
                sys_close(slab->loan[i].memfd);
        pool->slabs = slab->next;
        loan_slab_free(slab);
    }
    loan_ring_free(pool->ring);
    if (pool->epoll >= 0)
        sys_close(pool->epoll);
    free(pool);
    return outstanding;
}

int sluice_loan_pool_free(sluice_loan_pool *pool)
{
    if (!pool)
        return 0;
    if (pool->sinks || outstanding_of(pool) > 0)
        return -EBUSY;
    sluice_loan_pool_abandon(pool);
    return 0;
}
