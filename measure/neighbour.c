/* SPDX-License-Identifier: MIT */
#include "neighbour.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/endpoint.h"
#include "lib/sys.h"
#include "ways.h"

enum { PIECE = 256 << 10, MOST = 1 << 20 };

int neighbour_feed(int fd, uint64_t bytes)
{
    char *piece = calloc(1, PIECE);
    int error = piece ? 0 : -ENOMEM;

    while (bytes > 0 && error == 0) {
        const size_t length = bytes < PIECE ? (size_t)bytes : PIECE;
        error = write_all(fd, piece, length);
        bytes -= length;
    }
    free(piece);
    return error;
}

/* ---- taking ---- */

struct draining {
    int fd, null;
    int pipe[2]; /* a UNIX socket cannot be spliced to a device */
};

static ssize_t drop(const struct draining *draining, enum end kind)
{
    if (kind == END_TCP)
        return sys_recv(draining->fd, NULL, MOST, MSG_TRUNC);
    if (kind == END_PIPE)
        return sys_splice(draining->fd, NULL, draining->null, NULL, MOST, 0);
    const ssize_t moved = sys_splice(draining->fd, NULL, draining->pipe[1], NULL, MOST, 0);
    for (ssize_t left = moved; left > 0;) {
        const ssize_t dropped =
            sys_splice(draining->pipe[0], NULL, draining->null, NULL, (size_t)left, 0);
        if (dropped <= 0 && dropped != -EINTR)
            return dropped;
        left -= dropped > 0 ? dropped : 0;
    }
    return moved;
}

int neighbour_drain(int fd, enum end kind, uint64_t *ret_taken)
{
    struct draining draining = {.fd = fd};
    ssize_t value = sys_pipe2(draining.pipe, O_CLOEXEC);

    if (value < 0)
        return (int)value;
    sys_fcntl(draining.pipe[1], F_SETPIPE_SZ, MOST);
    draining.null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    value = draining.null < 0 ? -errno : 1;
    while (value > 0 || value == -EINTR) {
        value = drop(&draining, kind);
        *ret_taken += value > 0 ? (uint64_t)value : 0;
    }
    sys_close(draining.pipe[0]);
    sys_close(draining.pipe[1]);
    if (draining.null >= 0)
        sys_close(draining.null);
    return (int)value;
}

int neighbour_hear(int fd, uint64_t *ret_taken)
{
    char word[64];
    size_t at = 0;
    unsigned long long taken;

    for (;;) {
        const ssize_t got = sys_recv(fd, word + at, sizeof word - 1 - at, 0);
        if (got == -EAGAIN) { /* the mover may have it so */
            struct pollfd input = {.fd = fd, .events = POLLIN};
            sys_poll(&input, 1, NULL);
        }
        if (got == -EINTR || got == -EAGAIN)
            continue;
        if (got < 0)
            return (int)got;
        at += (size_t)got;
        word[at] = '\0';
        if (got == 0 || at == sizeof word - 1)
            break;
    }
    if (sscanf(word, "taken %llu\n", &taken) != 1)
        return -EPROTO;
    *ret_taken = taken;
    return 0;
}

/* ---- pairs ---- */

static int tcp_pair(int fds[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    fds[0] = fds[1] = -1;
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) < 0 ||
        listen(listener, 1) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) < 0 ||
        (fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0 ||
        connect(fds[1], (struct sockaddr *)&address, length) < 0 ||
        (fds[0] = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) < 0) {
        const int error = -errno;
        if (listener >= 0)
            close(listener);
        if (fds[1] >= 0)
            close(fds[1]);
        fds[0] = fds[1] = -1;
        return error;
    }
    close(listener);
    return 0;
}

int neighbour_pair(enum end kind, int fds[2])
{
    int error = 0;

    if (kind == END_TCP)
        return tcp_pair(fds);
    if (kind == END_PIPE)
        error = sys_pipe2(fds, O_CLOEXEC);
    else if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        error = -errno;
    if (error < 0)
        fds[0] = fds[1] = -1;
    return error;
}
