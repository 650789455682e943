// SPDX-License-Identifier: MIT
/*
 * The best hand-written loops that were found for one pipe into many sinks, standard input to each SINK
 * (fd:N or a path):
 *
 *     fan-out queue SINK...      rounds are spliced into a private pipe, teed straight into each sink as far as
 *                                it has room, and what did not fit waits in up to three private pipes a sink
 *     fan-out straight SINK...   rounds are teed straight from standard input; the next begins when all have this
 *
 * Which of the two is quicker depends on who feeds and who drains. Nothing but pipes and files works, no error
 * is told apart, and who is slow holds up all.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { ROUND = 1 << 20, DEPTH = 3, MOST = 64, MOMENT_NS = 20000 };

struct held {
    int ends[2];
    size_t length;
};

struct sink {
    int fd;
    bool is_pipe;
    struct held queue[DEPTH];
    unsigned head, count;
};

static struct sink sinks[MOST];
static unsigned sink_count;
static struct held pool[MOST * DEPTH + 2];
static unsigned pool_count;
static int null;

static void new_pipe(struct held *held)
{
    if (pipe2(held->ends, O_CLOEXEC) < 0)
        err(1, "pipe2");
    fcntl(held->ends[1], F_SETPIPE_SZ, ROUND);
}

static long now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000L + now.tv_nsec;
}

/* Lets the others run for a moment before it sleeps. */
static void wait_for(struct pollfd *fds, nfds_t count)
{
    const struct timespec at_once = {0};
    const long until = now_ns() + MOMENT_NS;
    do {
        sched_yield();
        if (ppoll(fds, count, &at_once, NULL) > 0)
            return;
    } while (now_ns() < until);
    ppoll(fds, count, NULL, NULL);
}

/* Bytes, or 0: it has no room. */
static size_t moved(ssize_t value)
{
    if (value < 0 && errno != EAGAIN)
        err(1, "moving");
    return value < 0 ? 0 : (size_t)value;
}

static void drop(const struct held *held, size_t length)
{
    while (length > 0)
        length -= moved(splice(held->ends[0], NULL, null, NULL, length, 0));
}

/* The round to one sink; what does not fit now is left in `into`. Returns how much that is. */
static size_t give(struct sink *sink, int from, size_t length, bool last, struct held *into)
{
    size_t given = 0;
    if (sink->is_pipe && sink->count == 0)
        given = moved(last ? splice(from, NULL, sink->fd, NULL, length, SPLICE_F_NONBLOCK)
                           : tee(from, sink->fd, length, SPLICE_F_NONBLOCK));
    if (given == length || last)
        return length - given;
    if (moved(tee(from, into->ends[1], length, SPLICE_F_NONBLOCK)) != length)
        errx(1, "a short tee");
    drop(into, given);
    return length - given;
}

static bool drain(struct sink *sink, struct pollfd *fds, nfds_t *count)
{
    bool any = false;
    while (sink->count > 0) {
        struct held *held = &sink->queue[sink->head];
        const size_t value =
            moved(splice(held->ends[0], NULL, sink->fd, NULL, held->length, SPLICE_F_NONBLOCK));
        if (value == 0) {
            fds[(*count)++] = (struct pollfd){.fd = sink->fd, .events = POLLOUT};
            break;
        }
        any = true;
        held->length -= value;
        if (held->length == 0) {
            pool[pool_count++] = *held;
            sink->head = (sink->head + 1) % DEPTH;
            sink->count--;
        }
    }
    return any;
}

static void enqueue(struct sink *sink, struct held held, size_t length)
{
    held.length = length;
    sink->queue[(sink->head + sink->count++) % DEPTH] = held;
}

static void fan_out_by_queue(void)
{
    struct pollfd fds[MOST + 1];
    bool ended = false, has_master = false;
    struct held master = {0};

    for (unsigned i = 0; i < sink_count * DEPTH + 2; i++)
        new_pipe(&pool[pool_count++]);
    for (;;) {
        nfds_t count = 0;
        bool room = true, waiting = false;
        for (unsigned i = 0; i < sink_count; i++) {
            drain(&sinks[i], fds, &count);
            room &= sinks[i].count < DEPTH;
            waiting |= sinks[i].count > 0;
        }
        if (ended && !waiting)
            return;
        if (ended || !room) {
            wait_for(fds, count);
            continue;
        }
        if (!has_master)
            master = pool[--pool_count];
        has_master = true;
        const ssize_t value =
            splice(STDIN_FILENO, NULL, master.ends[1], NULL, ROUND, SPLICE_F_NONBLOCK);
        ended = value == 0;
        if (moved(value) == 0) {
            fds[count++] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
            if (!ended)
                wait_for(fds, count);
            continue;
        }
        for (unsigned i = 0; i < sink_count; i++) {
            const bool last = i + 1 == sink_count;
            struct held *into = last ? &master : &pool[pool_count - 1];
            const size_t left = give(&sinks[i], master.ends[0], (size_t)value, last, into);
            if (left == 0)
                continue;
            enqueue(&sinks[i], *into, left);
            if (last)
                has_master = false;
            else
                pool_count--;
        }
    }
}

static void fan_out_straight(void)
{
    struct held own[MOST];
    struct pollfd fds[MOST];

    for (unsigned i = 0; i < sink_count; i++)
        new_pipe(&own[i]);
    for (;;) {
        struct pollfd source = {.fd = STDIN_FILENO, .events = POLLIN};
        int there = 0;
        ioctl(STDIN_FILENO, FIONREAD, &there);
        if (there == 0) {
            wait_for(&source, 1);
            ioctl(STDIN_FILENO, FIONREAD, &there);
            if (there == 0 && (source.revents & POLLHUP))
                return;
            if (there == 0)
                continue;
        }
        const size_t length = there < ROUND ? (size_t)there : ROUND;
        for (unsigned i = 0; i < sink_count; i++) {
            const bool last = i + 1 == sink_count;
            size_t left = give(&sinks[i], STDIN_FILENO, length, last, &own[i]);
            own[i].length = left;
            while (last && left > 0)
                left -= moved(
                    splice(STDIN_FILENO, NULL, own[i].ends[1], NULL, left, SPLICE_F_NONBLOCK));
        }
        for (nfds_t count = 1; count > 0;) {
            count = 0;
            for (unsigned i = 0; i < sink_count; i++)
                while (own[i].length > 0) {
                    const size_t value = moved(splice(own[i].ends[0], NULL, sinks[i].fd, NULL,
                                                      own[i].length, SPLICE_F_NONBLOCK));
                    own[i].length -= value;
                    if (value > 0)
                        continue;
                    fds[count++] = (struct pollfd){.fd = sinks[i].fd, .events = POLLOUT};
                    break;
                }
            if (count > 0)
                wait_for(fds, count);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc < 3 || argc > MOST + 2)
        errx(2, "usage: fan-out queue|straight SINK...");
    null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    for (int i = 2; i < argc; i++) {
        struct sink *sink = &sinks[sink_count++];
        sink->fd = strncmp(argv[i], "fd:", 3) == 0
                       ? atoi(argv[i] + 3)
                       : open(argv[i], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (sink->fd < 0)
            err(1, "%s", argv[i]);
        sink->is_pipe = fcntl(sink->fd, F_GETPIPE_SZ) > 0;
    }
    if (strcmp(argv[1], "straight") == 0)
        fan_out_straight();
    else
        fan_out_by_queue();
    return 0;
}
