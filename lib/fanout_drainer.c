/* SPDX-License-Identifier: MIT */
/*
 * A sink that cannot be driven without waiting is emptied by a thread. The fan-out fills one pipe, the
 * feed, as if that were the sink. The thread takes all there is into a pipe that nobody else has, the
 * hand, and gives that to the sink: so, while the sink keeps it waiting inside a call, it holds no
 * mutex that the fan-out could want.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "error.h"
#include "fanout.h"
#include "sys.h"

enum { BUFFER = 65536 };

struct drainer {
    atomic_int users; /* the fan-out, and the thread */
    atomic_int over, stopped;
    atomic_ullong delivered, spliced;
    int error; /* these two are written before `over` */
    const char *operation;
    int event; /* becomes readable when it is over */
    int feed;  /* the end that is read */
    int fd;    /* the sink: a private copy */
    int hand[2];
    bool splices;
    char *buffer;
};

/* ---- the thread ---- */

static void let_go(struct drainer *drainer)
{
    if (atomic_fetch_sub(&drainer->users, 1) > 1)
        return;
    const int fds[] = {drainer->event, drainer->feed, drainer->fd, drainer->hand[0],
                       drainer->hand[1]};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0)
            sys_close(fds[i]);
    free(drainer->buffer);
    free(drainer);
}

/* Somebody else has made the descriptor O_NONBLOCK. */
static int wait_for_room(int fd)
{
    struct pollfd poll = {.fd = fd, .events = POLLOUT};
    return sys_poll(&poll, 1, NULL);
}

/* `length` bytes of the hand, or of the buffer if there is one, once. */
static ssize_t give(struct drainer *drainer, size_t done, size_t length)
{
    ssize_t value;

    if (drainer->splices) {
        drainer->operation = "splice";
        value = sys_splice(drainer->hand[0], NULL, drainer->fd, NULL, length, 0);
        if (value > 0)
            atomic_fetch_add(&drainer->spliced, (unsigned long long)value);
    } else {
        drainer->operation = "write";
        value = sys_write(drainer->fd, drainer->buffer + done, length);
    }
    if (value > 0)
        atomic_fetch_add(&drainer->delivered, (unsigned long long)value);
    return value;
}

/* All of what was taken. 0, or a negative errno. */
static int give_all(struct drainer *drainer, size_t length)
{
    size_t done = 0;

    while (done < length) {
        if (atomic_load(&drainer->stopped))
            return -ECANCELED;
        ssize_t value = give(drainer, done, length - done);
        if (value == -EAGAIN)
            value = wait_for_room(drainer->fd) < 0 ? -EINTR : -EAGAIN;
        if (value > 0)
            done += (size_t)value;
        else if (value == 0)
            return -EIO;
        else if (value != -EINTR && value != -EAGAIN)
            return (int)value;
    }
    return 0;
}

/* splice(2) cannot write there: what the hand holds is read back. */
static int write_hand(struct drainer *drainer, size_t length)
{
    drainer->splices = false;
    while (length > 0) {
        const ssize_t value =
            sys_read(drainer->hand[0], drainer->buffer, length < BUFFER ? length : BUFFER);
        if (value == -EINTR)
            continue;
        if (value <= 0)
            return value ? (int)value : -EIO;
        const int error = give_all(drainer, (size_t)value);
        if (error < 0)
            return error;
        length -= (size_t)value;
    }
    return 0;
}

/* What there is in the feed: 1, 0 at its end, or a negative errno. */
static int drain_some(struct drainer *drainer)
{
    const bool splices = drainer->splices;
    const ssize_t value = splices
                              ? sys_splice(drainer->feed, NULL, drainer->hand[1], NULL, 1 << 20, 0)
                              : sys_read(drainer->feed, drainer->buffer, BUFFER);
    if (value <= 0)
        return value == -EINTR ? 1 : (int)value;
    const uint64_t before = atomic_load(&drainer->delivered);
    int error = give_all(drainer, (size_t)value);
    if (splices && error < 0 && error_action(CALL_SPLICE_OUT, error) == ACTION_FALLBACK)
        error = write_hand(drainer,
                           (size_t)value - (size_t)(atomic_load(&drainer->delivered) - before));
    return error < 0 ? error : 1;
}

static void *drain(void *argument)
{
    static const uint64_t one = 1;
    struct drainer *drainer = argument;
    int more;

    while ((more = drain_some(drainer)) > 0)
        ;
    drainer->error = more == -ECANCELED ? 0 : more;
    atomic_store(&drainer->over, 1);
    /* Only now: whoever fills the feed and is told EPIPE finds the reason. */
    sys_close(drainer->feed);
    drainer->feed = -1;
    sys_write(drainer->event, &one, sizeof one);
    let_go(drainer);
    return NULL;
}

/* ---- its owner ---- */

static int open_pipe(uint32_t size, int ret[2])
{
    int fds[2];
    const int error = sys_pipe2(fds, O_CLOEXEC);
    if (error < 0)
        return error;
    ret[0] = fd_above_standard(fds[0]);
    ret[1] = fd_above_standard(fds[1]);
    sys_fcntl(ret[1], F_SETPIPE_SZ, (int)size); /* a smaller one will do */
    return ret[0] < 0 ? ret[0] : ret[1] < 0 ? ret[1] : 0;
}

static int prepare(struct drainer *drainer, const struct sluice_endpoint *endpoint, uint32_t size,
                   int *feed)
{
    drainer->splices = !(endpoint->flags & O_APPEND);
    if (posix_memalign((void **)&drainer->buffer, 4096, BUFFER) != 0)
        return -ENOMEM;
    drainer->event = fd_above_standard(sys_eventfd());
    if (drainer->event < 0)
        return drainer->event;
    drainer->fd = sys_fcntl(endpoint->fd, F_DUPFD_CLOEXEC, 3);
    if (drainer->fd < 0)
        return drainer->fd;
    int error = open_pipe(size, drainer->hand);
    if (error >= 0)
        error = open_pipe(size, feed);
    drainer->feed = feed[0];
    if (error >= 0)
        error = sys_fcntl(feed[1], F_SETFL, O_WRONLY | O_NONBLOCK);
    return error < 0 ? error : 0;
}

int drainer_start(const struct sluice_endpoint *endpoint, uint32_t pipe_size, struct drainer **ret,
                  int *ret_feed)
{
    int feed[2] = {-1, -1};
    struct drainer *drainer = calloc(1, sizeof *drainer);
    if (!drainer)
        return -ENOMEM;
    drainer->event = drainer->feed = drainer->fd = drainer->hand[0] = drainer->hand[1] = -1;
    atomic_init(&drainer->users, 1);
    int error = prepare(drainer, endpoint, pipe_size, feed);
    if (error >= 0) {
        atomic_store(&drainer->users, 2);
        error = sys_thread(drain, drainer);
        if (error < 0)
            atomic_store(&drainer->users, 1);
    }
    if (error < 0) {
        if (feed[1] >= 0)
            sys_close(feed[1]);
        let_go(drainer);
        return error;
    }
    *ret = drainer;
    *ret_feed = feed[1];
    return 0;
}

int drainer_event(const struct drainer *drainer)
{
    return drainer->event;
}

bool drainer_is_over(const struct drainer *drainer)
{
    return atomic_load(&drainer->over);
}

uint64_t drainer_delivered(const struct drainer *drainer)
{
    return atomic_load(&drainer->delivered);
}

uint64_t drainer_spliced(const struct drainer *drainer)
{
    return atomic_load(&drainer->spliced);
}

int drainer_error(const struct drainer *drainer, const char **ret_operation)
{
    if (!drainer_is_over(drainer) || drainer->error == 0)
        return 0;
    *ret_operation = drainer->operation;
    return drainer->error;
}

void drainer_stop(struct drainer *drainer)
{
    atomic_store(&drainer->stopped, 1);
}

void drainer_release(struct drainer *drainer)
{
    drainer_stop(drainer);
    let_go(drainer);
}
