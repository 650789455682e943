/* SPDX-License-Identifier: MIT */
#include "peer.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "lib/sys.h"
#include "neighbour.h"
#include "ways.h"

#define TAKE "sluice-bench 1 take\n"
#define GIVE "sluice-bench 1 give %llu\n"

enum { MOST_PEERS = 16, PATIENCE = 30 };

/* ---- serving ---- */

static int read_line(int fd, char *line, size_t size)
{
    for (size_t at = 0; at + 1 < size;) {
        const ssize_t got = sys_recv(fd, line + at, 1, 0);
        if (got == -EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? (int)got : -ECONNRESET;
        if (line[at++] == '\n') {
            line[at] = '\0';
            return 0;
        }
    }
    return -EPROTO;
}

static void serve(int fd)
{
    const struct timeval patience = {.tv_sec = PATIENCE};
    const uint64_t most = UINT64_C(1) << 40;
    unsigned long long bytes;
    uint64_t taken = 0;
    char line[64];

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (read_line(fd, line, sizeof line) < 0)
        return;
    if (strcmp(line, TAKE) == 0) {
        if (neighbour_drain(fd, &taken) < 0)
            return;
        const int length = snprintf(line, sizeof line, "taken %llu\n", (unsigned long long)taken);
        write_all(fd, line, (size_t)length);
    } else if (sscanf(line, GIVE, &bytes) == 1 && bytes <= most) {
        neighbour_feed(fd, bytes);
    }
}

static int accept_one(int listener, unsigned *children)
{
    const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0)
        return errno == EINTR || errno == ECONNABORTED || errno == EAGAIN ? 0 : -errno;
    const pid_t child = child_fork();
    if (child == 0) {
        close(listener);
        serve(fd);
        _exit(0);
    }
    close(fd);
    *children += child > 0;
    return child < 0 ? child : 0;
}

int peer_serve(int listener, bool (*stopped)(void))
{
    unsigned children = 0;
    int error = 0;

    while (error == 0 && !stopped()) {
        struct pollfd input = {.fd = listener, .events = POLLIN};
        const struct timespec moment = {.tv_nsec = 100000000};
        while (children > 0 && waitpid(-1, NULL, WNOHANG) > 0)
            children--;
        if (children == MOST_PEERS) { /* the others wait in the queue */
            sys_poll(NULL, 0, &moment);
            continue;
        }
        const int ready = sys_poll(&input, 1, &moment);
        if (ready > 0)
            error = accept_one(listener, &children);
        else if (ready < 0 && ready != -EINTR)
            error = ready;
    }
    return error;
}

/* ---- asking ---- */

int peer_ask(int fd, uint64_t give)
{
    char line[64];
    const int length = give ? snprintf(line, sizeof line, GIVE, (unsigned long long)give)
                            : snprintf(line, sizeof line, TAKE);
    return write_all(fd, line, (size_t)length);
}

static bool same_address(const struct sockaddr *a, const struct sockaddr *b)
{
    if (!a || a->sa_family != b->sa_family)
        return false;
    if (a->sa_family == AF_INET)
        return ((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr ==
               ((const struct sockaddr_in *)(const void *)b)->sin_addr.s_addr;
    return a->sa_family == AF_INET6 &&
           IN6_ARE_ADDR_EQUAL(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr,
                              &((const struct sockaddr_in6 *)(const void *)b)->sin6_addr);
}

bool peer_behind_card(int fd)
{
    struct sockaddr_storage own;
    socklen_t length = sizeof own;
    struct ifaddrs *all, *one;
    bool card = false;

    if (getsockname(fd, (struct sockaddr *)&own, &length) < 0 || getifaddrs(&all) < 0)
        return false;
    for (one = all; one; one = one->ifa_next) {
        char path[128];
        snprintf(path, sizeof path, "/sys/class/net/%.32s/device", one->ifa_name);
        if (same_address(one->ifa_addr, (const struct sockaddr *)&own))
            card |= access(path, F_OK) == 0;
    }
    freeifaddrs(all);
    return card;
}
