// SPDX-License-Identifier: MIT
/*
 * The one who receives, when the sink of a measurement is a pipe or a socket:
 *
 *     drain HOW WHERE
 *
 * HOW is read:CHUNK (as most programs do) or drop (pipe: splice to /dev/null; TCP: MSG_TRUNC; costs
 * the receiver next to nothing). WHERE is `-`, standard input, or tcp-listen: or unix-listen:PATH.
 * Prints "ready PORT" when it can be sent to, and at the end how many bytes came.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { DROP_CHUNK = 1 << 20 };

struct way {
    size_t chunk;
    char *buffer;
    int null;
};

typedef ssize_t take_function(const struct way *way, int fd);

static ssize_t take_by_read(const struct way *way, int fd)
{
    return read(fd, way->buffer, way->chunk);
}

static ssize_t take_by_drop(const struct way *way, int fd)
{
    ssize_t taken = splice(fd, NULL, way->null, NULL, DROP_CHUNK, 0);
    return taken < 0 && errno == EINVAL ? recv(fd, NULL, DROP_CHUNK, MSG_TRUNC) : taken;
}

static take_function *find_way(const char *how, struct way *ret)
{
    if (strcmp(how, "drop") == 0) {
        ret->null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        return take_by_drop;
    }
    if (sscanf(how, "read:%zu", &ret->chunk) != 1)
        errx(2, "unknown way to receive: %s", how);
    ret->buffer = mmap(NULL, ret->chunk, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (ret->buffer == MAP_FAILED)
        err(1, "mmap");
    return take_by_read;
}

static void say_ready(unsigned port)
{
    printf("ready %u\n", port);
    fflush(stdout);
}

static int listen_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        errx(2, "too long: %s", path);
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0)
        err(1, "%s", path);
    say_ready(0);
    return fd;
}

static int listen_tcp(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) < 0)
        err(1, "tcp-listen:");
    say_ready(ntohs(address.sin_port));
    return fd;
}

static int open_where(const char *where)
{
    int listener;
    if (strcmp(where, "-") == 0) {
        say_ready(0);
        return STDIN_FILENO;
    }
    if (strncmp(where, "unix-listen:", 12) == 0)
        listener = listen_unix(where + 12);
    else if (strcmp(where, "tcp-listen:") == 0)
        listener = listen_tcp();
    else
        errx(2, "unknown place: %s", where);
    int fd = accept(listener, NULL, NULL);
    if (fd < 0)
        err(1, "accept");
    return fd;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        errx(2, "usage: drain HOW WHERE");
    struct way way = {0};
    take_function *take = find_way(argv[1], &way);
    int fd = open_where(argv[2]);
    uint64_t received = 0;
    ssize_t taken;
    while ((taken = take(&way, fd)) > 0)
        received += (uint64_t)taken;
    if (taken < 0)
        err(1, "receiving");
    printf("%llu\n", (unsigned long long)received);
    return 0;
}
