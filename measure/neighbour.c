/* SPDX-License-Identifier: MIT */
#include "neighbour.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/endpoint.h"
#include "lib/sys.h"
#include "ways.h"

enum { PIECE = 128 << 10 };

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

/* One who costs nothing would sleep most of the time, and be woken at every call. */
int neighbour_drain(int fd, uint64_t *ret_taken)
{
    char *piece = malloc(PIECE);
    ssize_t got = piece ? 1 : -ENOMEM;

    while (got > 0 || got == -EINTR) {
        got = sys_read(fd, piece, PIECE);
        *ret_taken += got > 0 ? (uint64_t)got : 0;
    }
    free(piece);
    return (int)got;
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

/* Over loopback, where nothing is lost, cubic and reno are alike; bbr paces by timers also there, which
 * costs a sender of page references six times the CPU. Anybody may have reno. */
static void choose_congestion_control(int fd)
{
    if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5) < 0)
        setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
}

static int tcp_pair(int fds[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    fds[0] = fds[1] = -1;
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) < 0 ||
        listen(listener, 1) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) < 0 ||
        (fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0 ||
        (choose_congestion_control(fds[1]), connect(fds[1], (struct sockaddr *)&address, length)) <
            0 ||
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
