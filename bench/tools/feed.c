// SPDX-License-Identifier: MIT
/*
 * The one who sends, when the source of a measurement is a pipe or a socket:
 *
 *     feed BYTES HOW WHERE
 *
 * HOW is write:CHUNK (as most programs do) or vmsplice:CHUNK (pipes alone; costs the sender next to
 * nothing). WHERE is `-`, standard output, or tcp:HOST:PORT, to which it connects as soon as
 * somebody listens there. It starts when a line arrives on standard input: the harness says when.
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
#include <sys/uio.h>
#include <unistd.h>

enum { TRY_EVERY_US = 200, MOST_TRIES = 50000 };

typedef ssize_t give_function(int fd, void *bytes, size_t length);

static ssize_t give_by_write(int fd, void *bytes, size_t length)
{
    return write(fd, bytes, length);
}

/* The pages are never changed afterwards, so lending them again and again is sound. */
static ssize_t give_by_vmsplice(int fd, void *bytes, size_t length)
{
    struct iovec pages = {.iov_base = bytes, .iov_len = length};
    return vmsplice(fd, &pages, 1, 0);
}

static const struct {
    const char *name;
    give_function *give;
} ways[] = {
    {"write:", give_by_write},
    {"vmsplice:", give_by_vmsplice},
};

static give_function *find_way(const char *how, size_t *ret_chunk)
{
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        size_t length = strlen(ways[i].name);
        if (strncmp(how, ways[i].name, length) == 0) {
            *ret_chunk = strtoul(how + length, NULL, 0);
            return ways[i].give;
        }
    }
    errx(2, "unknown way to send: %s", how);
}

/* The one under measurement may not listen yet: try until it does. */
static int connect_when_listening(const char *host_and_port)
{
    char host[64];
    unsigned short port;
    struct sockaddr_in address = {.sin_family = AF_INET};
    if (sscanf(host_and_port, "%63[^:]:%hu", host, &port) != 2 ||
        inet_pton(AF_INET, host, &address.sin_addr) != 1)
        errx(2, "not an address: %s", host_and_port);
    address.sin_port = htons(port);
    for (int tries = 0; tries < MOST_TRIES; tries++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
            return fd;
        if (fd < 0 || errno != ECONNREFUSED)
            break;
        close(fd);
        usleep(TRY_EVERY_US);
    }
    err(1, "%s", host_and_port);
}

static int open_where(const char *where)
{
    if (strcmp(where, "-") == 0)
        return STDOUT_FILENO;
    if (strncmp(where, "tcp:", 4) == 0)
        return connect_when_listening(where + 4);
    errx(2, "unknown place: %s", where);
}

static void wait_for_a_line(void)
{
    char line[16];
    if (!fgets(line, sizeof(line), stdin))
        errx(1, "never told to start");
}

int main(int argc, char **argv)
{
    if (argc != 4)
        errx(2, "usage: feed BYTES HOW WHERE");
    uint64_t left = strtoull(argv[1], NULL, 0);
    size_t chunk = 0;
    give_function *give = find_way(argv[2], &chunk);
    char *bytes = mmap(NULL, chunk, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (bytes == MAP_FAILED)
        err(1, "mmap");
    memset(bytes, 'a', chunk);
    wait_for_a_line();
    int fd = open_where(argv[3]);
    while (left > 0) {
        ssize_t given = give(fd, bytes, left < chunk ? (size_t)left : chunk);
        if (given < 0)
            err(1, "sending");
        left -= (uint64_t)given;
    }
    return 0;
}
