/* SPDX-License-Identifier: MIT */
#include "net.h"

#include <errno.h>
#include <time.h>

static int value_of(int value, int saved)
{
    if (value >= 0)
        return value;
    value = -errno;
    errno = saved;
    return value;
}

int net_socket(int domain, int type, int protocol)
{
    const int saved = errno;
    return value_of(socket(domain, type, protocol), saved);
}

int net_bind(int fd, const struct sockaddr *address, socklen_t length)
{
    const int saved = errno;
    return value_of(bind(fd, address, length), saved);
}

int net_listen(int fd, int backlog)
{
    const int saved = errno;
    return value_of(listen(fd, backlog), saved);
}

int net_accept(int fd, struct sockaddr *ret, socklen_t *ret_length, int flags)
{
    const int saved = errno;
    return value_of(accept4(fd, ret, ret_length, flags), saved);
}

int net_connect(int fd, const struct sockaddr *address, socklen_t length)
{
    const int saved = errno;
    return value_of(connect(fd, address, length), saved);
}

int net_shutdown(int fd, int how)
{
    const int saved = errno;
    return value_of(shutdown(fd, how), saved);
}

int net_setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
    const int saved = errno;
    return value_of(setsockopt(fd, level, name, value, length), saved);
}

int net_getsockname(int fd, struct sockaddr *ret, socklen_t *ret_length)
{
    const int saved = errno;
    return value_of(getsockname(fd, ret, ret_length), saved);
}

int net_epoll_create(void)
{
    const int saved = errno;
    return value_of(epoll_create1(EPOLL_CLOEXEC), saved);
}

int net_epoll_control(int epoll, int operation, int fd, struct epoll_event *event)
{
    const int saved = errno;
    return value_of(epoll_ctl(epoll, operation, fd, event), saved);
}

/* epoll_pwait2 is of Linux 5.11: in milliseconds, rounded up, not to come back too early and again. */
int net_epoll_wait(int epoll, struct epoll_event *events, int count, int64_t timeout)
{
    const int saved = errno;
    const int64_t milliseconds = timeout < 0 ? -1 : (timeout + 999999) / 1000000;
    const int most = 0x7fffffff;
    return value_of(
        epoll_wait(epoll, events, count, milliseconds > most ? most : (int)milliseconds), saved);
}
