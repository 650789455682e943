/* SPDX-License-Identifier: MIT */
/*
 * A consumer at the tail reads what was appended a moment ago; one who is far behind reads an old log
 * to its end, in the same limited page cache; or several are, each at another place. What does the one at the tail notice?
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "broker.h"
#include "cgroup.h"
#include "child.h"
#include "lib/endpoint.h"
#include "lib/sys.h"

enum {
    MOST_BEHIND = 4,
    BATCHES = 128,
    TAIL = 8 << 20,   /* bytes that were appended, which the consumer at the tail reads once */
    LIMIT = 24 << 20, /* of the group's memory: the tail fits, the old log does not */
    PAUSE = 1000000,  /* nanoseconds between two batches */
};

static int open_again(int fd, int flags)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return fd_above_standard(sys_open(path, flags | O_CLOEXEC));
}

/* The old log from there to its end, then over and over, until it is killed. */
static int read_old_log(const struct stage *stage, const struct broker_row *row, uint64_t from)
{
    struct sluice_options options = {
        .size = sizeof options,
        .flags = SLUICE_LENGTH | SLUICE_SOURCE_OFFSET,
        .method = SLUICE_METHOD_READ_WRITE, /* /dev/null asks for no byte of a mapping */
        .length = stage->size - from,
        .source_offset = from,
        .cache = row->way->how == BEHIND_DROP ? SLUICE_CACHE_DROP : SLUICE_CACHE_KEEP};
    const int log = open_again(stage->source, O_RDONLY),
              null = sys_open("/dev/null", O_WRONLY | O_CLOEXEC);
    sluice_endpoint *source = NULL, *sink = NULL;
    int error;
    sluice_context *context = sluice_context_new(NULL, &error);

    if (!context)
        return error;
    error = sluice_endpoint_from_fd(context, log, SLUICE_BORROW, &source);
    if (error == 0)
        error = sluice_endpoint_from_fd(context, null, SLUICE_BORROW, &sink);
    while (error == 0) {
        error = sluice_copy(context, source, sink, &options, NULL);
        options.length = stage->size;
        options.source_offset = 0;
    }
    return error;
}

static int read_tail(const struct stage *stage, uint32_t batch, struct broker_board *board)
{
    struct latencies latencies;
    struct rusage before, after;
    char *buffer = malloc(batch);
    const int tail = open_again(stage->cold_source, O_RDONLY);
    const uint64_t size = stage->cold_size < TAIL ? stage->cold_size : TAIL;
    int error = !buffer ? -ENOMEM : tail < 0 ? tail : latencies_new(&latencies, BATCHES);

    sys_fadvise(tail, 0, 0, POSIX_FADV_RANDOM);
    for (uint64_t at = 0; error == 0 && at < size; at += batch) /* it was just appended */
        if (sys_pread(tail, buffer, batch, (int64_t)at) < 0)
            error = -EIO;
    if (error < 0)
        return error;
    getrusage(RUSAGE_SELF, &before);
    const uint64_t begun = sys_now();
    uint64_t next = begun;
    for (unsigned i = 0; i < BATCHES && error == 0; i++) {
        const int64_t at = (int64_t)((uint64_t)i * batch % size);
        const uint64_t asked = sys_now();
        if (sys_pread(tail, buffer, batch, at) != (ssize_t)batch)
            error = -EIO;
        latencies_add(&latencies, sys_now() - asked);
        next += PAUSE;
        sys_sleep_until(next);
    }
    board->seconds = (double)(sys_now() - begun) / 1e9;
    getrusage(RUSAGE_SELF, &after);
    board->cpu = child_cpu(&before, &after);
    board->messages = error == 0 ? BATCHES : 0;
    latencies_take(&latencies, board);
    free(buffer);
    return error;
}

/* Pages are charged to the group of who brings them in: none may be there yet. */
static int forget(const struct stage *stage)
{
    sys_fadvise(stage->source, 0, 0, POSIX_FADV_DONTNEED);
    return sys_fadvise(stage->cold_source, 0, 0, POSIX_FADV_DONTNEED);
}

/* Those who are behind, each at another place of the old log. */
static void start_behind(const struct stage *stage, const struct broker_row *row,
                         const struct cgroup *cgroup, pid_t pids[static MOST_BEHIND])
{
    for (unsigned i = 0; i < row->way->behind && i < MOST_BEHIND; i++) {
        pids[i] = child_fork();
        if (pids[i] == 0) {
            if (cgroup_join(cgroup) == 0)
                read_old_log(stage, row, stage->size / row->way->behind * i);
            _exit(0);
        }
    }
}

int broker_behind(struct stage *stage, const struct broker_row *row, struct broker_board *board)
{
    struct cgroup cgroup;

    if (stage->source < 0 || !stage->cold)
        return stage->source < 0 ? -ENOSPC : -EOPNOTSUPP;
    fsync(stage->source);
    int error = forget(stage);
    if (error == 0)
        error = cgroup_new(LIMIT, &cgroup);
    if (error < 0) {
        snprintf(board->reason, sizeof board->reason, "no cgroup with a limit of memory: %s",
                 strerror(-error));
        return error;
    }
    const pid_t tail = child_fork();
    if (tail == 0) {
        board->error = cgroup_join(&cgroup);
        if (board->error == 0)
            board->error = read_tail(stage, row->message, board);
        _exit(0);
    }
    pid_t behind[MOST_BEHIND] = {0};
    if (tail > 0)
        start_behind(stage, row, &cgroup, behind);
    error = child_await(tail, stage->stopped);
    for (unsigned i = 0; i < MOST_BEHIND; i++)
        if (behind[i] > 0) {
            kill(behind[i], SIGKILL);
            child_await(behind[i], stage->stopped);
        }
    cgroup_free(&cgroup);
    return error;
}
