/* SPDX-License-Identifier: MIT */
#include "pair.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "../sys.h"

enum {
    SOCKET_BUFFER = 1 << 20,
    PATIENCE = 1000, /* milliseconds for the kernel to hand over a connection */
};

static void set_buffers(int fd)
{
    const int size = SOCKET_BUFFER;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

static int unix_pair(int type, int *ret_send, int *ret_receive)
{
    int fds[2];
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
        return -errno;
    *ret_send = fd_above_standard(fds[0]);
    *ret_receive = fd_above_standard(fds[1]);
    set_buffers(*ret_send);
    set_buffers(*ret_receive);
    return *ret_send < 0 || *ret_receive < 0 ? -EMFILE : 0;
}

static socklen_t loopback_address(int family, struct sockaddr_storage *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->ss_family = (sa_family_t)family;
    if (family == AF_INET6) {
        ((struct sockaddr_in6 *)(void *)ret)->sin6_addr = in6addr_loopback;
        return sizeof(struct sockaddr_in6);
    }
    ((struct sockaddr_in *)(void *)ret)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return sizeof(struct sockaddr_in);
}

/* A socket that is bound to a port of the kernel's choice on loopback. */
static int bound_socket(int family, int type, struct sockaddr_storage *address, socklen_t *length)
{
    const int fd = fd_above_standard(socket(family, type | SOCK_CLOEXEC, 0));

    if (fd < 0)
        return -errno;
    set_buffers(fd);
    *length = loopback_address(family, address);
    if (bind(fd, (const struct sockaddr *)address, *length) == 0 &&
        getsockname(fd, (struct sockaddr *)address, length) == 0)
        return fd;
    const int error = -errno;
    close(fd);
    return error;
}

static int connect_to(int family, int type, const struct sockaddr_storage *address,
                      socklen_t length)
{
    const int on = 1;
    const int fd = fd_above_standard(socket(family, type | SOCK_CLOEXEC, 0));

    if (fd < 0)
        return -errno;
    set_buffers(fd);
    if (connect(fd, (const struct sockaddr *)address, length) < 0) {
        const int error = -errno;
        close(fd);
        return error;
    }
    if (type == SOCK_STREAM)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static int same_peer(int fd, int connected)
{
    struct sockaddr_storage a, b;
    socklen_t a_length = sizeof a, b_length = sizeof b;

    return getpeername(fd, (struct sockaddr *)&a, &a_length) == 0 &&
           getsockname(connected, (struct sockaddr *)&b, &b_length) == 0 && a_length == b_length &&
           memcmp(&a, &b, a_length) == 0;
}

/* Who else connects to the port in between is turned away. */
static int accept_from(int listener, int connected)
{
    struct pollfd fd = {.fd = listener, .events = POLLIN};

    while (poll(&fd, 1, PATIENCE) > 0) {
        const int accepted = fd_above_standard(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
        if (accepted < 0)
            return -errno;
        if (same_peer(accepted, connected))
            return accepted;
        close(accepted);
    }
    return -ETIMEDOUT;
}

static int nonblocking(int fd)
{
    return sys_fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
}

static int tcp_pair(int family, int *ret_send, int *ret_receive)
{
    struct sockaddr_storage address;
    socklen_t length;
    const int listener = bound_socket(family, SOCK_STREAM, &address, &length);

    if (listener < 0)
        return listener;
    int error = listen(listener, 8) < 0 ? -errno : 0;
    if (error == 0)
        error = *ret_send = connect_to(family, SOCK_STREAM, &address, length);
    if (error >= 0)
        error = *ret_receive = accept_from(listener, *ret_send);
    close(listener);
    if (error >= 0)
        error = nonblocking(*ret_send);
    return error < 0 ? error : nonblocking(*ret_receive);
}

static int udp_pair(int family, int *ret_send, int *ret_receive)
{
    struct sockaddr_storage address, sender;
    socklen_t length, sender_length = sizeof sender;

    *ret_receive = bound_socket(family, SOCK_DGRAM, &address, &length);
    if (*ret_receive < 0)
        return *ret_receive;
    int error = *ret_send = connect_to(family, SOCK_DGRAM, &address, length);
    if (error >= 0 && (getsockname(*ret_send, (struct sockaddr *)&sender, &sender_length) < 0 ||
                       connect(*ret_receive, (struct sockaddr *)&sender, sender_length) < 0))
        error = -errno;
    if (error >= 0)
        error = nonblocking(*ret_send);
    return error < 0 ? error : nonblocking(*ret_receive);
}

static int given_pair(const int pair[2], int *ret_send, int *ret_receive)
{
    *ret_send = sys_fcntl(pair[0], F_DUPFD_CLOEXEC, 3);
    *ret_receive = sys_fcntl(pair[1], F_DUPFD_CLOEXEC, 3);
    if (*ret_send < 0 || *ret_receive < 0)
        return *ret_send < 0 ? *ret_send : *ret_receive;
    const int error = nonblocking(*ret_send);
    return error < 0 ? error : nonblocking(*ret_receive);
}

int pair_of_sockets(enum scene_end end, int family, const int *pair, int *ret_send,
                    int *ret_receive)
{
    switch (end) {
    case SCENE_TCP:
    case SCENE_PIPE_OF_TCP:
        return pair ? given_pair(pair, ret_send, ret_receive)
                    : tcp_pair(family, ret_send, ret_receive);
    case SCENE_UDP:
        return udp_pair(family, ret_send, ret_receive);
    case SCENE_UNIX:
        return unix_pair(SOCK_STREAM, ret_send, ret_receive);
    case SCENE_UNIX_DGRAM:
        return unix_pair(SOCK_DGRAM, ret_send, ret_receive);
    default:
        return unix_pair(SOCK_SEQPACKET, ret_send, ret_receive);
    }
}

int pair_of_terminal(int *ret_slave, int *ret_master)
{
    char name[64];
    struct termios raw;

    *ret_master = fd_above_standard(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
    if (*ret_master < 0)
        return -errno;
    if (grantpt(*ret_master) < 0 || unlockpt(*ret_master) < 0 ||
        ptsname_r(*ret_master, name, sizeof name) != 0)
        return -errno;
    *ret_slave = fd_above_standard(open(name, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
    if (*ret_slave < 0 || tcgetattr(*ret_slave, &raw) < 0)
        return -errno;
    cfmakeraw(&raw);
    return tcsetattr(*ret_slave, TCSANOW, &raw) < 0 ? -errno : 0;
}
