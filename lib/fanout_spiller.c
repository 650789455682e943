/* SPDX-License-Identifier: MIT */
/*
 * A thread that writes pipes into the file of a sink that spills, and fills others from it, so that a
 * file that is slow, or hangs, holds up nobody but those pipes. What was submitted is the thread's until
 * it is reaped, in the same order. After an error nothing more is written or read, and pipes come back
 * as they are.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "fanout.h"
#include "sys.h"

struct list {
    struct parcel *first, **last;
};

struct spiller {
    pthread_mutex_t mutex;
    pthread_cond_t work, done;
    struct list submitted, finished;
    unsigned users; /* the fan-out, and the thread */
    bool ends;      /* nothing more is to be written or read */
    int error;      /* the first */
    int event;      /* readable while something is to be reaped */
    int fd;         /* the file: a private copy of the descriptor */
};

static void append(struct list *list, struct parcel *parcel)
{
    parcel->next = NULL;
    *list->last = parcel;
    list->last = &parcel->next;
}

static struct parcel *take(struct list *list)
{
    struct parcel *parcel = list->first;

    if (parcel && !(list->first = parcel->next))
        list->last = &list->first;
    if (parcel)
        parcel->next = NULL;
    return parcel;
}

/* With the mutex held. It never waits, and never has more than 1. */
static void set_event(const struct spiller *spiller, bool set)
{
    const int saved = errno;
    uint64_t value = 1;
    const ssize_t count = set ? write(spiller->event, &value, sizeof value)
                              : read(spiller->event, &value, sizeof value);
    (void)count;
    errno = saved;
}

/* ---- the thread ---- */

/* With the mutex held, which it gives back. */
static void let_go(struct spiller *spiller)
{
    const bool last = --spiller->users == 0;

    pthread_mutex_unlock(&spiller->mutex);
    if (!last)
        return;
    pthread_cond_destroy(&spiller->work);
    pthread_cond_destroy(&spiller->done);
    pthread_mutex_destroy(&spiller->mutex);
    if (spiller->event >= 0)
        sys_close(spiller->event);
    if (spiller->fd >= 0)
        sys_close(spiller->fd);
    free(spiller);
}

/* A file that cannot be emptied only takes space: no error, but `at` says so. */
static int run(const struct spiller *spiller, struct parcel *parcel)
{
    switch (parcel->errand) {
    case ERRAND_WRITE:
        return spill_write(spiller->fd, parcel->pipe, parcel->at);
    case ERRAND_READ:
        return spill_read(spiller->fd, parcel->pipe, parcel->at, parcel->bytes);
    default:
        parcel->at = sys_ftruncate(spiller->fd, 0) < 0;
        return 0;
    }
}

static void *spill(void *argument)
{
    struct spiller *spiller = argument;
    struct parcel *parcel;

    pthread_mutex_lock(&spiller->mutex);
    for (;;) {
        while (!(parcel = take(&spiller->submitted)) && !spiller->ends)
            pthread_cond_wait(&spiller->work, &spiller->mutex);
        if (!parcel)
            break;
        if (spiller->error >= 0 && (!spiller->ends || parcel->errand == ERRAND_EMPTY)) {
            pthread_mutex_unlock(&spiller->mutex);
            const int error = run(spiller, parcel);
            pthread_mutex_lock(&spiller->mutex);
            spiller->error = error;
        }
        if (!spiller->finished.first)
            set_event(spiller, true);
        append(&spiller->finished, parcel);
        pthread_cond_signal(&spiller->done);
    }
    let_go(spiller);
    return NULL;
}

/* ---- its owner ---- */

int spiller_start(const struct sluice_endpoint *file, struct spiller **ret)
{
    struct spiller *spiller = calloc(1, sizeof *spiller);

    if (!spiller)
        return -ENOMEM;
    pthread_mutex_init(&spiller->mutex, NULL);
    pthread_cond_init(&spiller->work, NULL);
    pthread_cond_init(&spiller->done, NULL);
    spiller->submitted.last = &spiller->submitted.first;
    spiller->finished.last = &spiller->finished.first;
    spiller->users = 2;
    spiller->event = fd_above_standard(sys_eventfd());
    spiller->fd = spiller->event < 0 ? spiller->event : sys_fcntl(file->fd, F_DUPFD_CLOEXEC, 3);
    const int error = spiller->fd < 0 ? spiller->fd : sys_thread(spill, spiller);
    if (error < 0) {
        pthread_mutex_lock(&spiller->mutex);
        spiller->users = 1;
        let_go(spiller);
        return error;
    }
    *ret = spiller;
    return 0;
}

int spiller_event(const struct spiller *spiller)
{
    return spiller->event;
}

void spiller_submit(struct spiller *spiller, struct parcel *parcel)
{
    pthread_mutex_lock(&spiller->mutex);
    append(&spiller->submitted, parcel);
    pthread_cond_signal(&spiller->work);
    pthread_mutex_unlock(&spiller->mutex);
}

struct parcel *spiller_reap(struct spiller *spiller, bool wait, int *ret_error)
{
    struct parcel *parcel;

    pthread_mutex_lock(&spiller->mutex);
    while (!(parcel = take(&spiller->finished)) && wait)
        pthread_cond_wait(&spiller->done, &spiller->mutex);
    if (parcel && !spiller->finished.first)
        set_event(spiller, false);
    *ret_error = spiller->error;
    pthread_mutex_unlock(&spiller->mutex);
    return parcel;
}

void spiller_stop(struct spiller *spiller)
{
    pthread_mutex_lock(&spiller->mutex);
    spiller->ends = true;
    pthread_cond_signal(&spiller->work);
    pthread_mutex_unlock(&spiller->mutex);
}

void spiller_release(struct spiller *spiller)
{
    pthread_mutex_lock(&spiller->mutex);
    spiller->ends = true;
    pthread_cond_signal(&spiller->work);
    let_go(spiller);
}
