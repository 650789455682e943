/* SPDX-License-Identifier: MIT */
#include "pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "endpoint.h"
#include "sys.h"

enum { PIPE_LEAST = 65536 }; /* what every new pipe has within the budget: nothing to ask for */

/* Asks for a capacity, and for half of it again and again where the user's budget or the system's
 * limit refuses it (EPERM). A pipe that stays as it is will do. */
static void pipe_grow(struct pipe *pipe, uint32_t size)
{
    pipe->asked = size;
    for (; size > PIPE_LEAST; size /= 2) {
        const int got = sys_fcntl(pipe->write_end, F_SETPIPE_SZ, (int)size);
        if (got > 0) {
            pipe->capacity = (uint32_t)got;
            return;
        }
    }
    const int got = sys_fcntl(pipe->write_end, F_GETPIPE_SZ, 0);
    pipe->capacity = got > 0 ? (uint32_t)got : 4096;
}

static int pipe_open(uint32_t size, struct pipe **ret)
{
    int fds[2];
    struct pipe *pipe = calloc(1, sizeof *pipe);
    if (!pipe)
        return -ENOMEM;
    /* Not O_NONBLOCK: the calls say SPLICE_F_NONBLOCK where they must not wait, and the flag of one
     * pipe would count for the user's pipe on the other side of the call too. */
    int error = sys_pipe2(fds, O_CLOEXEC);
    if (error < 0) {
        free(pipe);
        return error;
    }
    pipe->read_end = fd_above_standard(fds[0]);
    pipe->write_end = fd_above_standard(fds[1]);
    if (pipe->read_end < 0 || pipe->write_end < 0) {
        error = pipe->read_end < 0 ? pipe->read_end : pipe->write_end;
        if (pipe->read_end >= 0)
            sys_close(pipe->read_end);
        if (pipe->write_end >= 0)
            sys_close(pipe->write_end);
        free(pipe);
        return error;
    }
    pipe_grow(pipe, size);
    *ret = pipe;
    return 0;
}

int pipe_get(struct pipe_pool *pool, uint32_t size, struct pipe **ret)
{
    for (struct pipe **link = &pool->idle; *link; link = &(*link)->next)
        if ((*link)->asked >= size) {
            *ret = *link;
            *link = (*ret)->next;
            pool->idle_count--;
            return 0;
        }
    if (pool->count >= pool->max_count) {
        if (!pool->idle) {
            pool->refused++;
            return -EMFILE;
        }
        struct pipe *smaller = pool->idle; /* its place is wanted for a larger one */
        pool->idle = smaller->next;
        pool->idle_count--;
        pipe_kill(pool, smaller);
    }
    const int error = pipe_open(size, ret);
    if (error < 0) {
        pool->refused++;
        return error;
    }
    pool->small += (*ret)->capacity < size;
    pool->count++;
    return 0;
}

void pipe_kill(struct pipe_pool *pool, struct pipe *pipe)
{
    sys_close(pipe->read_end);
    sys_close(pipe->write_end);
    free(pipe);
    pool->count--;
}

void pipe_put(struct pipe_pool *pool, struct pipe *pipe)
{
    int held = 0;
    const bool empty =
        pipe->parked == 0 && sys_ioctl(pipe->read_end, FIONREAD, &held) >= 0 && held == 0;
    if (!empty || pool->idle_count >= pool->max_idle) {
        pipe_kill(pool, pipe);
        return;
    }
    pipe->next = pool->idle;
    pool->idle = pipe;
    pool->idle_count++;
}

bool pipe_has_room(const struct pipe *pipe)
{
    if (pipe->parked == 0)
        return true;
    struct pollfd write_end = {.fd = pipe->write_end, .events = POLLOUT};
    const struct timespec now = {0};
    return sys_poll(&write_end, 1, &now) > 0 && (write_end.revents & POLLOUT);
}

void pipe_pool_close(struct pipe_pool *pool)
{
    while (pool->idle) {
        struct pipe *pipe = pool->idle;
        pool->idle = pipe->next;
        pool->idle_count--;
        pipe_kill(pool, pipe);
    }
}
