/* SPDX-License-Identifier: MIT */
/* Opening what an address of a socket names: connecting, or listening for one peer. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "address.h"
#include "descriptor.h"
#include "message.h"
#include "server/peer.h"
#include "signals.h"

/* "127.0.0.1:9000", "[::1]:9000", or the path. */
static void socket_name(const struct sockaddr_storage *storage, socklen_t length,
                        const char *otherwise, char *name, size_t size)
{
    char host[NI_MAXHOST], port[NI_MAXSERV];

    if (storage->ss_family == AF_UNIX ||
        getnameinfo((const struct sockaddr *)storage, length, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        snprintf(name, size, "%s", otherwise);
    else
        snprintf(name, size, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

static int new_socket(int family, int protocol)
{
    return own_descriptor(socket(family, SOCK_STREAM | SOCK_CLOEXEC, protocol));
}

/* Waits until a connection is made or refused. milliseconds: -1 for ever. 0 or a negative errno. */
static int await_connection(int fd, int milliseconds)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
    struct timespec begun, now;
    int error = 0, ready, left = milliseconds;
    socklen_t size = sizeof error;

    clock_gettime(CLOCK_MONOTONIC, &begun);
    do { /* another signal than a deadly one is no reason to stop, nor to begin again */
        signals_take_line();
        ready = poll(&poll_fd, 1, left);
        clock_gettime(CLOCK_MONOTONIC, &now);
        const int64_t passed =
            (now.tv_sec - begun.tv_sec) * INT64_C(1000) + (now.tv_nsec - begun.tv_nsec) / 1000000;
        if (milliseconds >= 0)
            left = passed < milliseconds ? (int)(milliseconds - passed) : 0;
    } while (ready < 0 && errno == EINTR && !signals_caught());
    if (ready <= 0)
        return ready == 0 ? -ETIMEDOUT : -errno;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return -error;
}

/* connect(2), with a limit of time if there is one. 0 or a negative errno. */
static int connect_within(int fd, const struct sockaddr *to, socklen_t length, uint64_t timeout)
{
    const int flags = fcntl(fd, F_GETFL);
    const uint64_t milliseconds = timeout / 1000000;
    int error = 0;

    if (timeout)
        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    if (connect(fd, to, length) < 0)
        error = -errno;
    if (error == -EINPROGRESS || (error == -EINTR && !signals_caught())) /* it goes on by itself */
        error = await_connection(
            fd, timeout ? (int)(milliseconds < INT_MAX ? milliseconds : INT_MAX) : -1);
    if (timeout)
        fcntl(fd, F_SETFL, flags);
    return error;
}

/* The resolver has errors of its own, with words of their own. */
static const char *look_up_failure;

const char *address_failure(int error)
{
    return look_up_failure ? look_up_failure : strerror(-error);
}

static int resolve(const struct address *address, bool passive, struct addrinfo **ret)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = passive ? AI_PASSIVE : AI_ADDRCONFIG};
    const char *host = *address->host ? address->host : "127.0.0.1";
    /* A number needs no look-up, and then none of the resolver's own sockets and files. */
    struct addrinfo numeric = hints;
    numeric.ai_flags = (hints.ai_flags & ~AI_ADDRCONFIG) | AI_NUMERICHOST | AI_NUMERICSERV;
    if (getaddrinfo(host, address->port, &numeric, ret) == 0)
        return 0;
    const int error = getaddrinfo(host, address->port, &hints, ret);

    if (error == 0)
        return 0;
    if (error == EAI_SYSTEM)
        return -errno;
    look_up_failure = peer_look_up_words(error);
    return error == EAI_MEMORY ? -ENOMEM : error == EAI_AGAIN ? -EAGAIN : -ENOENT;
}

static int connect_tcp(const struct address *address, char *name, size_t size,
                       const char **operation)
{
    struct addrinfo *list;

    *operation = "look up";
    int error = resolve(address, false, &list);
    if (error < 0)
        return error;
    *operation = "connect";
    for (struct addrinfo *info = list; info; info = info->ai_next) {
        const int fd = new_socket(info->ai_family, info->ai_protocol);
        if (fd < 0) {
            error = fd;
            continue;
        }
        error = connect_within(fd, info->ai_addr, info->ai_addrlen, address->connect_timeout);
        if (error == 0) {
            struct sockaddr_storage storage;
            memcpy(&storage, info->ai_addr, info->ai_addrlen);
            socket_name(&storage, info->ai_addrlen, address->text, name, size);
            freeaddrinfo(list);
            return fd;
        }
        close(fd);
        if (error == -EINTR)
            break;
    }
    freeaddrinfo(list);
    return error;
}

/* Said under -q too: without it nobody would know the port. */
static void say_listening(const char *name)
{
    dprintf(STDERR_FILENO, "listening on %s\n", name);
}

/* Says where it listens, takes one peer and stops listening. Consumes the listener. */
static int take_peer(int listener, const struct address *address, char *name, size_t size,
                     const char **operation)
{
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    int fd = -1;

    *operation = "listen";
    if (listen(listener, 1) == 0 &&
        getsockname(listener, (struct sockaddr *)&storage, &length) == 0) {
        socket_name(&storage, length, address->path, name, size);
        say_listening(name);
        *operation = "accept";
        do { /* another signal than a deadly one is no reason to stop */
            length = sizeof storage;
            fd = accept4(listener, (struct sockaddr *)&storage, &length, SOCK_CLOEXEC);
            if (fd < 0 && errno == EINTR && signals_take_line())
                say_listening(name);
        } while (fd < 0 && errno == EINTR && !signals_caught());
        fd = own_descriptor(fd);
    } else {
        fd = -errno;
    }
    if (fd >= 0 && storage.ss_family != AF_UNIX)
        socket_name(&storage, length, address->text, name, size);
    close(listener);
    return fd;
}

static int listen_tcp(const struct address *address, char *name, size_t size,
                      const char **operation)
{
    static const int on = 1;
    struct addrinfo *list;

    *operation = "look up";
    int error = resolve(address, true, &list);
    if (error < 0)
        return error;
    *operation = "bind";
    for (struct addrinfo *info = list; info; info = info->ai_next) {
        const int fd = new_socket(info->ai_family, info->ai_protocol);
        if (fd < 0) {
            error = fd;
            continue;
        }
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (bind(fd, info->ai_addr, info->ai_addrlen) == 0) {
            freeaddrinfo(list);
            return take_peer(fd, address, name, size, operation);
        }
        error = -errno;
        close(fd);
    }
    freeaddrinfo(list);
    return error;
}

/* What is on its way through a UNIX socket counts as the sender's, who is woken when a quarter of his
 * bound is left. With the bound that a socket is born with (208 KiB) that is less than one piece of 64
 * KiB: the reader has nothing more to read, and the two take turns. The kernel cuts this to wmem_max,
 * and doubles it (measured: half as much again in throughput, and 0.6 of the CPU). */
static int widen(int fd)
{
    static const int bytes = 1 << 20;
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    return fd;
}

static int open_unix(const struct address *address, char *name, size_t size, const char **operation)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    const bool listens = address->scheme == ADDRESS_UNIX_LISTEN;

    memcpy(to.sun_path, address->path, strlen(address->path) + 1);
    snprintf(name, size, "%s", address->path);
    *operation = listens ? "bind" : "connect";
    const int fd = new_socket(AF_UNIX, 0);
    if (fd < 0)
        return fd;
    int error = 0;
    if (!listens)
        error = connect_within(fd, (struct sockaddr *)&to, sizeof to, address->connect_timeout);
    else if (bind(fd, (struct sockaddr *)&to, sizeof to) < 0)
        error = -errno;
    if (error < 0) {
        close(fd);
        return error;
    }
    if (!listens)
        return widen(fd);
    const int peer = take_peer(fd, address, name, size, operation);
    unlink(address->path); /* ours: bind made it */
    return widen(peer);
}

int address_connect(const struct address *address, char *name, size_t name_size,
                    const char **operation)
{
    switch (address->scheme) {
    case ADDRESS_TCP:
        return connect_tcp(address, name, name_size, operation);
    case ADDRESS_TCP_LISTEN:
        return listen_tcp(address, name, name_size, operation);
    default:
        return open_unix(address, name, name_size, operation);
    }
}
