/* SPDX-License-Identifier: MIT */
#include "tests/unit/ends.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* The test cannot go on: the machine refuses what it needs. */
static long long must(long long value, const char *call, int line)
{
    if (value < 0) {
        fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, line, call, strerror(errno));
        abort();
    }
    return value;
}
#define MUST(call) must((long long)(call), #call, __LINE__)

#define OFFSET   1
#define MESSAGES 2
#define SOCKET   4
#define TOLD     8 /* the end of the bytes */

static const struct {
    const char *name;
    int is;
    int family, type;
} kinds[END_COUNT] = {
    [END_FILE] = {"file", OFFSET | TOLD, 0, 0},
    [END_DISK] = {"disk", OFFSET | TOLD, 0, 0},
    [END_DIRECT] = {"direct", OFFSET | TOLD, 0, 0},
    [END_APPEND] = {"append", OFFSET | TOLD, 0, 0},
    [END_PIPE] = {"pipe", TOLD, 0, 0},
    [END_TCP] = {"tcp", SOCKET | TOLD, AF_INET, SOCK_STREAM},
    [END_UNIX] = {"unix", SOCKET | TOLD, AF_UNIX, SOCK_STREAM},
    [END_UDP] = {"udp", SOCKET | MESSAGES, AF_INET, SOCK_DGRAM},
    [END_DGRAM] = {"dgram", SOCKET | MESSAGES, AF_UNIX, SOCK_DGRAM},
    [END_SEQPACKET] = {"seqpacket", SOCKET | MESSAGES | TOLD, AF_UNIX, SOCK_SEQPACKET},
    [END_ZERO] = {"zero", 0, 0, 0},
    [END_NULL] = {"null", TOLD, 0, 0},
};

const char *end_name(enum end_kind kind)
{
    return kinds[kind].name;
}

bool end_has_offset(enum end_kind kind)
{
    return kinds[kind].is & OFFSET;
}

bool end_has_messages(enum end_kind kind)
{
    return kinds[kind].is & MESSAGES;
}

bool end_is_socket(enum end_kind kind)
{
    return kinds[kind].is & SOCKET;
}

bool end_is_told(enum end_kind kind)
{
    return kinds[kind].is & TOLD;
}

int scratch_file(int flags)
{
    const char *directory = getenv("TMPDIR");
    return open(directory ? directory : "/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC | flags, 0600);
}

bool end_exists(enum end_kind kind)
{
    if (kind != END_DIRECT)
        return true;
    void *block;
    const int fd = scratch_file(O_DIRECT);
    MUST(posix_memalign(&block, 4096, 4096) ? -1 : 0);
    memset(block, 0, 4096);
    const bool exists = fd >= 0 && pwrite(fd, block, 4096, 0) == 4096;
    free(block);
    if (fd >= 0)
        close(fd);
    return exists;
}

/* ---- making ---- */

static void set_flags(int fd, int add)
{
    MUST(fcntl(fd, F_SETFL, MUST(fcntl(fd, F_GETFL)) | add));
}

static void set_buffer(int fd, int name, size_t size)
{
    const int value = (int)size;
    if (size)
        MUST(setsockopt(fd, SOL_SOCKET, name, &value, sizeof value));
}

/* Connects two sockets through loopback. */
static void internet_pair(int type, size_t capacity, int *one, int *other)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    const int first = (int)MUST(socket(AF_INET, type | SOCK_CLOEXEC, 0));
    const int second = (int)MUST(socket(AF_INET, type | SOCK_CLOEXEC, 0));

    set_buffer(first, SO_RCVBUF, capacity);
    set_buffer(second, SO_RCVBUF, capacity);
    set_buffer(first, SO_SNDBUF, capacity);
    set_buffer(second, SO_SNDBUF, capacity);
    MUST(bind(first, (struct sockaddr *)&address, length));
    MUST(getsockname(first, (struct sockaddr *)&address, &length));
    if (type == SOCK_STREAM)
        MUST(listen(first, 1));
    MUST(connect(second, (struct sockaddr *)&address, length));
    *one = second;
    if (type == SOCK_STREAM) {
        const int on = 1;
        *other = (int)MUST(accept4(first, NULL, NULL, SOCK_CLOEXEC));
        MUST(setsockopt(*one, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
        MUST(setsockopt(*other, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
        close(first);
        return;
    }
    MUST(getsockname(second, (struct sockaddr *)&address, &length));
    MUST(connect(first, (struct sockaddr *)&address, length));
    *other = first;
}

static void open_pipe(size_t capacity, int *reader, int *writer)
{
    int fds[2];
    MUST(pipe2(fds, O_CLOEXEC));
    if (capacity)
        MUST(fcntl(fds[1], F_SETPIPE_SZ, (int)capacity));
    *reader = fds[0];
    *writer = fds[1];
}

static void open_socket(struct end *end, const struct end_options *options)
{
    int fds[2];
    if (kinds[end->kind].family == AF_INET) {
        internet_pair(kinds[end->kind].type, options->capacity, &end->fd, &end->peer);
        return;
    }
    MUST(socketpair(AF_UNIX, kinds[end->kind].type | SOCK_CLOEXEC, 0, fds));
    set_buffer(fds[0], SO_SNDBUF, options->capacity);
    set_buffer(fds[1], SO_SNDBUF, options->capacity);
    end->fd = fds[0];
    end->peer = fds[1];
}

static void open_any(struct end *end, enum end_kind kind, bool source,
                     const struct end_options *options)
{
    *end = (struct end){.kind = kind, .fd = -1, .peer = -1, .pipe_size = -1};
    end->message = options->message ? options->message : 1000;
    switch (kind) {
    case END_FILE:
    case END_APPEND:
        end->fd = (int)MUST(memfd_create("end", MFD_CLOEXEC));
        break;
    case END_DISK:
    case END_DIRECT:
        end->fd = (int)MUST(scratch_file(0)); /* O_DIRECT once it is filled */
        break;
    case END_PIPE:
        open_pipe(options->capacity, source ? &end->fd : &end->peer,
                  source ? &end->peer : &end->fd);
        end->pipe_size = fcntl(end->fd, F_GETPIPE_SZ);
        break;
    case END_ZERO:
    case END_NULL:
        end->fd = (int)MUST(open(kind == END_ZERO ? "/dev/zero" : "/dev/null", O_RDWR | O_CLOEXEC));
        break;
    default:
        open_socket(end, options);
        break;
    }
    if (end->peer >= 0)
        set_flags(end->peer, O_NONBLOCK);
    if (end->peer >= 0 && !options->blocking)
        set_flags(end->fd, O_NONBLOCK);
}

/* Files begin in their middle, so that an offset of 0 is never right by accident. */
static void fill_file(struct end *end, const void *bytes, size_t length, bool aligned)
{
    end->start = aligned || end->kind == END_DIRECT ? 4096 : 100;
    MUST(ftruncate(end->fd, end->start));
    const char *from = bytes;
    off_t at = end->start;
    while (length > 0) {
        const ssize_t written = MUST(pwrite(end->fd, from, length, at));
        from += written;
        at += written;
        length -= (size_t)written;
    }
    MUST(lseek(end->fd, end->start, SEEK_SET));
    if (end->kind == END_DIRECT) {
        MUST(fsync(end->fd)); /* buffered and direct bytes do not mix at once everywhere */
        set_flags(end->fd, O_DIRECT);
    }
}

static const struct end_options usual;

void end_open_source(struct end *end, enum end_kind kind, const void *bytes, size_t length,
                     const struct end_options *options)
{
    if (!options)
        options = &usual;
    open_any(end, kind, true, options);
    if (end_has_offset(kind)) {
        fill_file(end, bytes, length, options->aligned);
    } else if (end->peer >= 0) {
        const size_t fed = end_feed(end, bytes, length);
        if (fed < length) {
            fprintf(stderr, "a %s holds %zu of %zu bytes\n", end_name(kind), fed, length);
            abort();
        }
        if (!options->open)
            end_finish(end);
    }
    end->flags = fcntl(end->fd, F_GETFL);
}

void end_open_sink(struct end *end, enum end_kind kind, const struct end_options *options)
{
    if (!options)
        options = &usual;
    open_any(end, kind, false, options);
    if (end_has_offset(kind))
        fill_file(end, "", 0, options->aligned);
    if (kind == END_APPEND)
        set_flags(end->fd, O_APPEND);
    end->flags = fcntl(end->fd, F_GETFL);
}

/* ---- feeding and draining ---- */

size_t end_feed(struct end *end, const void *bytes, size_t length)
{
    const char *from = bytes;
    size_t done = 0;

    while (done < length) {
        size_t piece = length - done;
        if (end_has_messages(end->kind) && piece > end->message)
            piece = end->message;
        const ssize_t value = end_is_socket(end->kind)
                                  ? send(end->peer, from + done, piece, MSG_NOSIGNAL)
                                  : write(end->peer, from + done, piece);
        if (value < 0 && errno == EINTR)
            continue;
        if (value < 0)
            break;
        done += (size_t)value;
    }
    return done;
}

void end_finish(struct end *end)
{
    if (end->kind == END_PIPE && end->peer >= 0) {
        close(end->peer);
        end->peer = -1;
    } else if (end_is_socket(end->kind) && end_is_told(end->kind)) {
        MUST(shutdown(end->peer, SHUT_WR));
    }
}

static size_t take(int fd, void *into, size_t most, bool once)
{
    char *at = into;
    size_t done = 0;

    while (done < most) {
        const ssize_t value = read(fd, at + done, most - done);
        if (value < 0 && errno == EINTR)
            continue;
        if (value <= 0)
            break;
        done += (size_t)value;
        if (once)
            break;
    }
    return done;
}

size_t end_drain(struct end *end, void *into, size_t most)
{
    return end->peer >= 0 ? take(end->peer, into, most, end_has_messages(end->kind)) : 0;
}

/* Reads until the end of a stream, for which TCP may need a moment. */
static size_t take_until_end(int fd, char *into, size_t most)
{
    size_t done = 0;

    for (;;) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        char more;
        const ssize_t value = done < most ? read(fd, into + done, most - done) : read(fd, &more, 1);
        if (value == 0)
            return done;
        if (value > 0 && done == most)
            return SIZE_MAX;
        if (value > 0)
            done += (size_t)value;
        else if (errno == EAGAIN && poll(&poll_fd, 1, 5000) == 0)
            abort(); /* it was ended: it cannot take that long */
        else if (errno != EAGAIN && errno != EINTR)
            return done;
    }
}

size_t end_received(struct end *end, void *into, size_t most)
{
    if (end_has_offset(end->kind)) {
        const off_t size = (off_t)MUST(lseek(end->fd, 0, SEEK_END));
        if (size - end->start > (off_t)most)
            return SIZE_MAX;
        const int plain = end->kind == END_DIRECT ? O_DIRECT : 0;
        MUST(fcntl(end->fd, F_SETFL, end->flags & ~plain));
        return (size_t)MUST(pread(end->fd, into, most, end->start));
    }
    if (end->peer < 0)
        return 0;
    if (!end_is_told(end->kind)) {
        size_t done = 0, value;
        while ((value = take(end->peer, (char *)into + done, most - done, true)) > 0)
            done += value;
        return done;
    }
    if (end->kind == END_PIPE) {
        close(end->fd);
        end->fd = -1;
    } else {
        shutdown(end->fd, SHUT_WR); /* fails if the peer has left: then there is an end, too */
    }
    return take_until_end(end->peer, into, most);
}

size_t end_rest(struct end *end, void *into, size_t most)
{
    if (end_has_offset(end->kind)) {
        const int plain = end->kind == END_DIRECT ? O_DIRECT : 0;
        MUST(fcntl(end->fd, F_SETFL, end->flags & ~plain));
        return take(end->fd, into, most, false);
    }
    if (end->peer < 0 && end->kind != END_PIPE)
        return 0;
    set_flags(end->fd, O_NONBLOCK);
    if (end_has_messages(end->kind)) {
        size_t done = 0, value;
        while ((value = take(end->fd, (char *)into + done, most - done, true)) > 0)
            done += value;
        return done;
    }
    end_finish(end);
    return take_until_end(end->fd, into, most);
}

/* TCP is closed by a reset: thousands of connections would use up the ports otherwise. */
static void close_one(const struct end *end, int fd)
{
    if (fd < 0)
        return;
    if (end->kind == END_TCP) {
        const struct linger reset = {.l_onoff = 1, .l_linger = 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    }
    close(fd);
}

void end_close(struct end *end)
{
    close_one(end, end->fd);
    close_one(end, end->peer);
    end->fd = end->peer = -1;
}

/* ---- odds and ends ---- */

uint64_t random_next(uint64_t *seed)
{
    uint64_t x = *seed ? *seed : 0x9e3779b97f4a7c15U;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    *seed = x;
    return x * 0x2545f4914f6cdd1dU;
}

uint64_t random_below(uint64_t *seed, uint64_t bound)
{
    return (random_next(seed) >> 11) % bound;
}

void pattern(void *into, size_t length, uint64_t from)
{
    uint8_t *bytes = into;
    uint64_t word = 0;

    for (size_t i = 0; i < length; i++, from++) {
        if (i == 0 || from % 8 == 0) {
            uint64_t seed = from / 8 + 1;
            word = random_next(&seed);
            word ^= word >> 29;
        }
        bytes[i] = (uint8_t)(word >> (from % 8 * 8));
    }
}

unsigned descriptors_open(void)
{
    unsigned open_now = 0;
    for (int fd = 0; fd < 200; fd++)
        open_now += fcntl(fd, F_GETFD) >= 0;
    return open_now;
}

uint64_t clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}
