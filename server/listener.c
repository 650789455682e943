/* SPDX-License-Identifier: MIT */
#include "listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>

#include "lib/endpoint.h"
#include "lib/sys.h"
#include "net.h"

enum {
    MOST_A_TURN = 64,
    REST = 50000000, /* nanoseconds, when something has run out */
};
#define SILENCE (10 * SECOND) /* until it is said again */

/* ---- opening ---- */

static void prepare(int fd, const struct peer *at, bool reuse_port)
{
    static const int on = 1, off = 0;

    if (at->address.any.sa_family == AF_UNIX)
        return;
    net_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (reuse_port)
        net_setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (at->address.any.sa_family == AF_INET6 &&
        IN6_IS_ADDR_UNSPECIFIED(&at->address.in6.sin6_addr))
        net_setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    /* What is accepted inherits these. */
    net_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    net_setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

int listener_open(const struct peer *at, int backlog, bool reuse_port, const char **operation)
{
    *operation = "socket";
    const int fd = fd_above_standard(
        net_socket(at->address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (fd < 0)
        return fd;
    prepare(fd, at, reuse_port);
    *operation = "bind";
    int error = net_bind(fd, &at->address.any, at->length);
    if (error >= 0) {
        *operation = "listen";
        error = net_listen(fd, backlog);
    }
    if (error < 0) {
        sys_close(fd);
        return error;
    }
    return fd;
}

int listener_adopt(int fd, const char **why)
{
    int type = 0, accepts = 0;

    int error = sys_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type);
    if (error < 0) {
        *why = error == -ENOTSOCK ? "it is not a socket" : NULL;
        return error;
    }
    *why = "it is not a stream socket";
    if (type != SOCK_STREAM)
        return -EINVAL;
    *why = "it is a socket that does not listen";
    if (sys_getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts) < 0 || !accepts)
        return -EINVAL;
    *why = NULL;
    const int flags = sys_fcntl(fd, F_GETFL, 0);
    error = flags < 0 ? flags : sys_fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    return error < 0 ? error : sys_fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* ---- accepting ---- */

/* What is wrong with one connection, and not with us. */
static bool only_that_one(int error)
{
    return error == -ECONNABORTED || error == -EINTR || error == -EPROTO || error == -ENETDOWN ||
           error == -ENOPROTOOPT || error == -EHOSTDOWN || error == -ENONET ||
           error == -EHOSTUNREACH || error == -EOPNOTSUPP || error == -ENETUNREACH ||
           error == -ETIMEDOUT || error == -EPERM; /* a firewall's */
}

static int watch(struct listener *listener)
{
    return loop_add(listener->loop, &listener->watch,
                    EPOLLIN | (listener->shared ? (uint32_t)EPOLLEXCLUSIVE : 0), false);
}

/* Not watched while it rests: it is ready all the time, and can do nothing about it. */
static void stop_watching(struct listener *listener)
{
    const int fd = listener->watch.fd;
    loop_remove(listener->loop, &listener->watch);
    listener->watch.fd = fd;
}

/* Returns whether it rests: if there is no memory for that, it does not. */
static bool rest(struct listener *listener, int error)
{
    listener->failures++;
    const uint64_t now = loop_now(listener->loop);
    if (listener->refused && now >= listener->silent_until) {
        listener->refused(listener, error);
        listener->silent_until = now + SILENCE;
    }
    listener->resting = timer_set(listener->loop, &listener->rest, now + REST) == 0;
    return listener->resting;
}

/* What cannot be watched now is tried again: or nobody would be let in any more. */
static void watch_again(struct listener *listener)
{
    const int error = watch(listener);
    if (error < 0)
        rest(listener, error);
}

static void rested(struct loop *loop, struct timer *timer)
{
    struct listener *listener = OWNER_OF(timer, struct listener, rest);
    (void)loop;
    listener->resting = false;
    if (!listener->paused)
        watch_again(listener);
}

/* How many are taken at a turn follows how many there were: the call that finds none is saved where
 * they come one by one. Levels are watched, so that what is left is told again. */
static void come(struct loop *loop, struct watch *watch, uint32_t events)
{
    struct listener *listener = OWNER_OF(watch, struct listener, watch);
    unsigned count = 0;

    (void)loop;
    (void)events;
    while (!listener->paused && watch->fd >= 0 && (!listener->room || listener->room(listener))) {
        struct peer peer = {.length = sizeof peer.address};
        const int fd = fd_above_standard(
            net_accept(watch->fd, &peer.address.any, &peer.length, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (fd < 0 && listener->left)
            listener->left(listener);
        if (fd == -EAGAIN) {
            listener->at_a_turn = count > 0 ? count : 1;
            return;
        }
        if (fd < 0 && !only_that_one(fd)) {
            if (rest(listener, fd))
                stop_watching(listener);
            return;
        }
        count++;
        if (fd >= 0)
            listener->accepted(listener, fd, &peer);
        if (count >= listener->at_a_turn) {
            if (count > 1 && listener->at_a_turn < MOST_A_TURN)
                listener->at_a_turn *= 2;
            else if (count == 1 && ++listener->singles % 16 == 0)
                listener->at_a_turn = 2; /* to see whether there are more now */
            return;
        }
    }
}

void listener_take_rest(struct listener *listener)
{
    do {
        listener->at_a_turn = MOST_A_TURN;
        come(listener->loop, &listener->watch, EPOLLIN);
    } while (listener->at_a_turn > MOST_A_TURN / 2 && !listener->paused && !listener->resting &&
             listener->watch.fd >= 0);
}

int listener_start(struct loop *loop, struct listener *listener)
{
    listener->loop = loop;
    listener->watch.ready = come;
    listener->rest.fire = rested;
    listener->at_a_turn = 1;
    return watch(listener);
}

void listener_pause(struct listener *listener)
{
    if (listener->paused || listener->watch.fd < 0)
        return;
    listener->paused = true;
    if (!listener->resting)
        stop_watching(listener);
}

void listener_resume(struct listener *listener)
{
    if (!listener->paused || listener->watch.fd < 0)
        return;
    listener->paused = false;
    if (!listener->resting)
        watch_again(listener);
}

void listener_stop(struct listener *listener)
{
    if (listener->watch.fd < 0)
        return;
    timer_clear(listener->loop, &listener->rest);
    if (!listener->paused && !listener->resting)
        stop_watching(listener); /* another loop may hold the socket, too */
    sys_close(listener->watch.fd);
    listener->watch.fd = -1;
}
