// SPDX-License-Identifier: MIT
#include "ends.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { LINGER_MS = 10000, PATIENCE_NS = 20000 };

void fail(const char *what)
{
    fprintf(stderr, "ceiling: %s: %s\n", what, strerror(errno));
    exit(1);
}

static long elapsed_ns(const struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - start->tv_sec) * 1000000000 + now.tv_nsec - start->tv_nsec;
}

void let_others_run_until(int fd, short events)
{
    struct pollfd wanted = {.fd = fd, .events = events};
    struct timespec start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        if (poll(&wanted, 1, 0) > 0)
            return;
        sched_yield();
    } while (elapsed_ns(&start) < PATIENCE_NS);
    while (poll(&wanted, 1, -1) < 0)
        if (errno != EINTR)
            fail("poll");
}

static enum end_kind kind_of(int fd)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        fail("fstat");
    switch (status.st_mode & S_IFMT) {
    case S_IFREG:
        return END_FILE;
    case S_IFIFO:
        return END_PIPE;
    case S_IFSOCK:
        return END_SOCKET;
    default:
        return END_OTHER;
    }
}

static struct sockaddr_in tcp_address(const char *host_and_port)
{
    char host[64];
    unsigned short port;
    struct sockaddr_in address = {.sin_family = AF_INET};
    if (sscanf(host_and_port, "%63[^:]:%hu", host, &port) != 2 ||
        inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        errno = EINVAL;
        fail(host_and_port);
    }
    address.sin_port = htons(port);
    return address;
}

static struct sockaddr_un unix_address(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        fail(path);
    }
    strcpy(address.sun_path, path);
    return address;
}

/* The sender of a UNIX socket is woken when a quarter of his bound is left: less than one piece, as it
 * is born (208 KiB). The kernel cuts this to wmem_max, and doubles it. */
static int widen(int fd)
{
    const int bytes = 1 << 20;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)) < 0)
        fail("SO_SNDBUF");
    return fd;
}

static int new_socket(int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fail("socket");
    return fd;
}

static int connect_to(int family, const void *address, socklen_t length)
{
    int fd = new_socket(family);
    if (connect(fd, address, length) < 0)
        fail("connect");
    return fd;
}

static int accept_one(int family, const void *address, socklen_t length)
{
    int listener = new_socket(family);
    int on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(listener, address, length) < 0 || listen(listener, 1) < 0)
        fail("bind or listen");
    struct sockaddr_in bound = {0};
    socklen_t bound_length = sizeof(bound);
    if (family == AF_INET && getsockname(listener, (struct sockaddr *)&bound, &bound_length) == 0) {
        char host[INET_ADDRSTRLEN];
        inet_ntop(AF_INET, &bound.sin_addr, host, sizeof(host));
        fprintf(stderr, "listening on %s:%u\n", host, ntohs(bound.sin_port));
    }
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        fail("accept");
    close(listener);
    return fd;
}

/* A new file appears whole or not at all: it has no name until everything is in it. */
static int open_new_file(const char *path)
{
    char *copy = strdup(path);
    int fd = copy ? open(dirname(copy), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666) : -1;
    if (fd < 0)
        fail(path);
    free(copy);
    return fd;
}

static const char *after(const char *name, const char *scheme)
{
    size_t length = strlen(scheme);
    return strncmp(name, scheme, length) == 0 ? name + length : NULL;
}

/* -1: not one of these. */
static int open_socket(const char *name)
{
    const char *rest;
    if ((rest = after(name, "tcp:"))) {
        struct sockaddr_in address = tcp_address(rest);
        return connect_to(AF_INET, &address, sizeof(address));
    }
    if ((rest = after(name, "tcp-listen:"))) {
        struct sockaddr_in address = tcp_address(rest);
        return accept_one(AF_INET, &address, sizeof(address));
    }
    if ((rest = after(name, "unix:"))) {
        struct sockaddr_un address = unix_address(rest);
        return widen(connect_to(AF_UNIX, &address, sizeof(address)));
    }
    if ((rest = after(name, "unix-listen:"))) {
        struct sockaddr_un address = unix_address(rest);
        return widen(accept_one(AF_UNIX, &address, sizeof(address)));
    }
    return -1;
}

static int open_source(const char *name)
{
    if (strcmp(name, "-") == 0)
        return STDIN_FILENO;
    int fd = open_socket(name);
    if (fd < 0)
        fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        fail(name);
    return fd;
}

static void open_sink(const char *name, struct ends *ends)
{
    int fd;
    if (strcmp(name, "-") == 0)
        fd = STDOUT_FILENO;
    else if (strcmp(name, "null:") == 0)
        fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    else if ((fd = open_socket(name)) >= 0)
        ;
    else if (ends->source_kind == END_FILE && access(name, F_OK) != 0)
        fd = open_new_file(ends->sink_path = name);
    else
        fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        fail(name);
    ends->sink = fd;
}

struct ends open_ends(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: %s SOURCE SINK\n", argv[0]);
        exit(2);
    }
    struct ends ends = {.source = open_source(argv[1])};
    ends.source_kind = kind_of(ends.source);
    open_sink(argv[2], &ends);
    ends.sink_kind = kind_of(ends.sink);
    return ends;
}

static void name_file(int fd, const char *path)
{
    char link[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    if (linkat(AT_FDCWD, link, AT_FDCWD, path, AT_SYMLINK_FOLLOW) < 0)
        fail(path);
}

static void end_socket(int fd)
{
    char byte;
    struct pollfd peer = {.fd = fd, .events = POLLIN};
    if (shutdown(fd, SHUT_WR) < 0)
        fail("shutdown");
    if (poll(&peer, 1, LINGER_MS) > 0 && recv(fd, &byte, 1, MSG_DONTWAIT) < 0)
        fail("the peer");
}

void end_ends(const struct ends *ends)
{
    if (ends->sink_path)
        name_file(ends->sink, ends->sink_path);
    if (ends->sink_kind == END_SOCKET)
        end_socket(ends->sink);
}
