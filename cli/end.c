/* SPDX-License-Identifier: MIT */
#include "end.h"

#include <errno.h>
#include <limits.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#include "signals.h"

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

/* Drops what has arrived. 1: the peer has ended, 0: it has not yet, or a negative errno. */
static int drop_input(int fd)
{
    static char dropped[16384];

    for (int pieces = 0; pieces < 64; pieces++) { /* then the time and the signals are looked at */
        const ssize_t value = recv(fd, dropped, sizeof dropped, MSG_DONTWAIT);
        if (value == 0)
            return 1;
        if (value < 0 && errno == EAGAIN)
            return 0;
        if (value < 0 && errno != EINTR)
            return -errno;
    }
    return 0;
}

int end_stream(int fd, uint64_t linger, uint64_t *ret_unsent)
{
    uint64_t deadline;
    int unsent = 0, ended = 0;

    if (__builtin_add_overflow(now(), linger, &deadline))
        deadline = UINT64_MAX;
    if (shutdown(fd, SHUT_WR) < 0)
        return errno == ENOTCONN ? -ECONNRESET : -errno;
    while (!(ended = drop_input(fd)) && !signals_caught()) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        const uint64_t at = now();
        if (at >= deadline)
            break;
        const uint64_t left = (deadline - at) / 1000000 + 1;
        poll(&poll_fd, 1, left < INT_MAX ? (int)left : INT_MAX);
    }
    ioctl(fd, SIOCOUTQ, &unsent);
    *ret_unsent = unsent > 0 ? (uint64_t)unsent : 0;
    if (ended < 0)
        return ended;
    return ended == 0 && unsent > 0 ? -ETIMEDOUT : 0;
}
