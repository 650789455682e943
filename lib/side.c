/* SPDX-License-Identifier: MIT */
#include "side.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sys.h"

enum {
    /* A pipe says POLLOUT while one slot is free, and one slot takes a page. */
    PIPE_SURE = 4096,
    /* The least that a terminal's ring holds when it says POLLOUT (seen: 16 KiB blocked). */
    TERMINAL_SURE = 512,
    /* A stream socket says POLLOUT while its queue is below its bound, and asks for the bound only
     * before each buffer it allocates: a piece that fits one goes in (seen: with SO_SNDBUF at its
     * least a page did not). */
    SOCKET_SURE = 512,
};

void side_init(struct side *side, enum sluice_side which, struct sluice_endpoint *endpoint,
               bool offset_given, uint64_t offset)
{
    *side = (struct side){
        .endpoint = endpoint,
        .which = which,
        .fd = endpoint->fd,
        .home = endpoint->fd,
        .reopened = -1,
        .event = -1,
        .has_offset = offset_given,
        .offset = (int64_t)offset,
        .never_waits = (endpoint->flags & O_NONBLOCK) || (endpoint->medium & MEDIA_ALWAYS_READY),
    };
}

void side_stop_waiting(struct side *side)
{
    const struct sluice_endpoint *endpoint = side->endpoint;

    if (side->never_waits || side->reopened >= 0 || !endpoint->reopenable)
        return;
    const int access = side->which == SLUICE_SIDE_SOURCE ? O_RDONLY : O_WRONLY;
    const int fd =
        endpoint_reopen(endpoint, access | O_NONBLOCK |
                                      (endpoint->flags & (O_APPEND | O_DIRECT))); /* packets too */
    if (fd < 0)
        return;
    side->fd = side->reopened = fd;
    side->never_waits = true;
}

/* A stream socket says POLLERR alone for notifications that somebody else has not fetched
 * (MSG_ZEROCOPY, time stamps): then a read would wait. With an error of its own it is shut down too,
 * and says so. */
static bool error_queue_only(const struct side *side, short events)
{
    return events == POLLERR && side->which == SLUICE_SIDE_SOURCE &&
           side->endpoint->kind == SLUICE_KIND_STREAM;
}

bool side_poll(struct side *side, uint64_t *polls)
{
    const short events = side->which == SLUICE_SIDE_SOURCE ? POLLIN : POLLOUT;
    struct pollfd poll = {.fd = side->fd, .events = events};
    const struct timespec now = {0};

    int ready;
    do {
        (*polls)++;
        ready = sys_poll(&poll, 1, &now);
    } while (ready == -EINTR);
    /* POLLERR and POLLHUP are ready too: the call itself will say what is the matter. A poll that
     * failed is no readiness: who waits next will meet the same failure, and tell it. */
    side->blocked = ready <= 0 || error_queue_only(side, poll.revents);
    return !side->blocked;
}

bool side_ready(struct side *side, uint64_t *polls)
{
    return side->never_waits || side_poll(side, polls);
}

size_t side_bound(const struct side *side)
{
    if (side->never_waits)
        return SIZE_MAX;
    switch (side->endpoint->medium) {
    case MEDIUM_PIPE:
        return PIPE_SURE;
    case MEDIUM_TERMINAL:
    case MEDIUM_CHAR:
        return TERMINAL_SURE;
    case MEDIUM_PSEUDO:
        return SIZE_MAX; /* takes whole writes only */
    default:
        return SOCKET_SURE;
    }
}

int side_take_offset(struct side *side)
{
    if (side->has_offset || !(side->endpoint->medium & MEDIA_SEEKABLE))
        return 0;
    const int64_t offset = sys_lseek(side->fd, 0, SEEK_CUR);
    if (offset < 0)
        return (int)offset;
    side->offset = offset;
    side->has_offset = side->restore = true;
    return 0;
}

void side_stand_in_for(struct side *side, int fd)
{
    side->home = fd;
    if (side->has_offset)
        return;
    const int64_t offset = sys_lseek(fd, 0, SEEK_CUR);
    side->offset = offset < 0 ? 0 : offset;
    side->has_offset = side->restore = true;
}

int side_guard_offset(struct side *side)
{
    if (side->restore) /* it is set at the end in any case */
        return 0;
    side->own = sys_lseek(side->fd, 0, SEEK_CUR);
    side->guarded = side->own >= 0;
    return side->guarded ? 0 : (int)side->own;
}

int side_leave_direct(struct side *side)
{
    struct sluice_endpoint *endpoint = side->endpoint;
    if (!(endpoint->flags & O_DIRECT) || !(endpoint->medium & MEDIA_SEEKABLE) ||
        side->reopened >= 0)
        return -EINVAL;
    /* The private descriptor goes on from where this one stands, and in the end this one from where
     * that stands. O_APPEND knows its place. */
    const int64_t offset = sys_lseek(side->fd, 0, SEEK_CUR);
    if (offset < 0)
        return (int)offset;
    const int access = side->which == SLUICE_SIDE_SOURCE ? O_RDONLY : O_WRONLY;
    const int fd = endpoint_reopen(endpoint, access | (endpoint->flags & O_APPEND));
    if (fd < 0)
        return fd;
    if (sys_lseek(fd, offset, SEEK_SET) < 0) {
        sys_close(fd);
        return -EINVAL;
    }
    side->fd = side->reopened = fd;
    side->left_direct = true;
    return 0;
}

int side_untake(struct side *side, uint64_t bytes)
{
    if (!(side->endpoint->medium & MEDIA_SEEKABLE))
        return -ESPIPE;
    return side_advance(side, -(int64_t)bytes);
}

int side_advance(struct side *side, int64_t bytes)
{
    if (side->has_offset) {
        side->offset += bytes;
        return 0;
    }
    const int64_t offset = sys_lseek(side->fd, bytes, SEEK_CUR);
    return offset < 0 ? (int)offset : 0;
}

void side_finish(struct side *side)
{
    if (side->left_direct && !side->has_offset)
        side->offset = sys_lseek(side->reopened, 0, SEEK_CUR);
    if ((side->restore || (side->left_direct && !side->has_offset)) && side->offset >= 0)
        sys_lseek(side->home, side->offset, SEEK_SET);
    else if (side->guarded)
        sys_lseek(side->home, side->own, SEEK_SET);
    side->restore = side->left_direct = side->guarded = false;
    if (side->reopened >= 0)
        sys_close(side->reopened);
    side->reopened = -1;
    side->fd = side->endpoint->fd;
}

uint64_t side_position(const struct side *side)
{
    if (side->has_offset)
        return (uint64_t)side->offset;
    if (!(side->endpoint->medium & MEDIA_SEEKABLE))
        return 0;
    const int64_t offset = sys_lseek(side->fd, 0, SEEK_CUR);
    return offset < 0 ? 0 : (uint64_t)offset;
}

bool side_has_stream_bytes(const struct side *side)
{
    char byte;

    return side->endpoint->kind == SLUICE_KIND_STREAM &&
           sys_recv(side->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

bool side_halts_at_urgent(const struct side *side)
{
    int at = 0;

    return side->endpoint->kind == SLUICE_KIND_STREAM &&
           sys_ioctl(side->fd, SIOCATMARK, &at) >= 0 && at && side_has_stream_bytes(side);
}
