/* SPDX-License-Identifier: MIT */
#include "mover.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "counts.h"
#include "lib/endpoint.h"
#include "lib/sys.h"
#include "neighbour.h"
#include "ways.h"

struct run {
    struct stage *stage;
    struct cell *cell;
    struct board *board;
    bool counting, tracing;
    int in[2], out[2]; /* in[0] and out[1] are the mover's, the others the neighbours'; or -1 */
    int gate[2];       /* all wait until its write end is closed */
    pid_t mover, feeder, drainer;
};

/* ---- the processes ---- */

/* The windows of a new connection are small, and both ends sleep and wake each other until they have
 * grown: what is measured is a connection that is used. */
static uint64_t warm_up_bytes(enum end end)
{
    return end == END_TCP ? UINT64_C(8) << 20 : 0;
}

/* A child that waits at the gate. */
static pid_t start(struct run *run)
{
    const pid_t child = child_fork();

    if (child == 0)
        sys_close(run->gate[1]);
    return child;
}

static void pass_gate(const struct run *run)
{
    char byte;
    while (sys_read(run->gate[0], &byte, 1) == -EINTR)
        ;
}

static void close_both(int fds[2])
{
    for (int i = 0; i < 2; i++) {
        if (fds[i] >= 0)
            sys_close(fds[i]);
        fds[i] = -1;
    }
}

static void be_feeder(struct run *run)
{
    sys_close(run->in[0]);
    close_both(run->out);
    neighbour_feed(run->in[1], warm_up_bytes(run->cell->path->from));
    pass_gate(run);
    neighbour_feed(run->in[1], run->cell->bytes);
    _exit(0); /* the mover tells whether it had all */
}

static void be_drainer(struct run *run)
{
    struct board *board = run->board;
    const bool remote = run->out[0] < 0;

    close_both(run->in);
    if (!remote)
        sys_close(run->out[1]);
    board->neighbour_error = remote ? neighbour_hear(run->out[1], &board->received)
                                    : neighbour_drain(run->out[0], &board->received);
    board->arrived = sys_now();
    board->received -= warm_up_bytes(run->cell->path->to);
    _exit(0);
}

static int warm_up(const struct run *run, const struct job *job)
{
    uint64_t left = warm_up_bytes(run->cell->path->from);
    int error = neighbour_feed(job->out, warm_up_bytes(run->cell->path->to));

    while (left > 0 && error == 0) {
        const ssize_t got =
            sys_recv(job->in, NULL, left < 1 << 20 ? (size_t)left : 1 << 20, MSG_TRUNC);
        if (got <= 0 && got != -EINTR)
            error = got < 0 ? (int)got : -ENODATA;
        left -= got > 0 ? (uint64_t)got : 0;
    }
    return error;
}

/* A description of its own: another place to read at, and other advice. */
static int open_again(int fd, int flags)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return fd_above_standard(sys_open(path, flags | O_CLOEXEC));
}

static int open_source(const struct run *run)
{
    const struct cell *cell = run->cell;

    if (run->in[0] >= 0)
        return run->in[0];
    if (cell->path->from == END_MEMORY)
        return open_again(run->stage->memory, O_RDONLY);
    const int fd = open_again(stage_source(run->stage, cell->warmth),
                              O_RDONLY | (cell->way->direct ? O_DIRECT : 0));
    if (fd >= 0 && cell->warmth == WARMTH_ALONE)
        sys_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    return fd;
}

static int open_sink(const struct run *run, struct job *job)
{
    if (run->cell->path->to == END_MEMORY)
        job->out = -1;
    else
        job->out = run->out[1] >= 0 ? run->out[1] : open_again(run->stage->sink, O_WRONLY);
    return run->cell->path->to == END_MEMORY || job->out >= 0 ? 0 : job->out;
}

static void be_mover(struct run *run)
{
    struct board *board = run->board;
    struct counting *counting = NULL;
    struct job job = {.cell = run->cell,
                      .memory = run->stage->mapped,
                      .bytes = run->cell->bytes,
                      .chunk = run->cell->chunk,
                      .probe = run->stage->probe,
                      .copies = -1};

    if (run->in[1] >= 0)
        sys_close(run->in[1]);
    if (run->out[0] >= 0)
        sys_close(run->out[0]);
    signal(SIGPIPE, SIG_IGN);
    job.in = open_source(run);
    const int opened = open_sink(run, &job);
    const int warmed = job.in < 0 || opened < 0 ? 0 : warm_up(run, &job);
    if (run->tracing)
        counts_be_traced();
    pass_gate(run);
    getrusage(RUSAGE_SELF, &board->before);
    if (run->counting && !run->tracing)
        counts_begin(&counting);
    board->begun = sys_now();
    atomic_store(&board->moving, true);
    board->error = job.in < 0             ? job.in
                   : opened < 0           ? opened
                   : warmed < 0           ? warmed
                   : run->cell->way->move ? run->cell->way->move(&job)
                                          : way_by_library(&job);
    atomic_store(&board->moving, false);
    board->ended = sys_now();
    getrusage(RUSAGE_SELF, &board->after);
    counts_end(counting, board);
    board->copies = job.copies;
    board->proven = job.proven;
    memcpy(board->reason, job.reason, sizeof board->reason);
    if (run->cell->path->to & (END_TCP | END_UNIX))
        shutdown(job.out, SHUT_WR);
    _exit(0);
}

/* ---- a run ---- */

static int open_ends(struct run *run)
{
    const struct path *path = run->cell->path;
    struct stage *stage = run->stage;
    int error = 0;

    if (path->from == END_TCP && stage->connect) {
        run->in[0] = stage->connect(stage->connect_data, run->cell->bytes + warm_up_bytes(END_TCP));
        error = run->in[0] < 0 ? run->in[0] : 0;
    } else if (path->from & (END_PIPE | END_TCP | END_UNIX)) {
        error = neighbour_pair(path->from, run->in);
    }
    if (error < 0)
        return error;
    if (path->to == END_TCP && stage->connect) {
        run->out[1] = stage->connect(stage->connect_data, 0);
        error = run->out[1] < 0 ? run->out[1] : 0;
    } else if (path->to & (END_PIPE | END_TCP | END_UNIX)) {
        error = neighbour_pair(path->to, run->out);
    }
    return error;
}

static void start_all(struct run *run)
{
    run->feeder = run->in[1] >= 0 ? start(run) : 0;
    if (run->feeder == 0 && run->in[1] >= 0)
        be_feeder(run);
    run->drainer = run->out[1] >= 0 ? start(run) : 0;
    if (run->drainer == 0 && run->out[1] >= 0)
        be_drainer(run);
    run->mover = start(run);
    if (run->mover == 0)
        be_mover(run);
}

static void end_one(pid_t child)
{
    if (child > 0)
        kill(child, SIGKILL);
}

static int await(const struct run *run, pid_t child)
{
    return child_await(child, run->stage->stopped);
}

static double seconds_between(struct timeval before, struct timeval after)
{
    return (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_usec - before.tv_usec) / 1e6;
}

static void take_usage(struct sample *ret, const struct rusage *before, const struct rusage *after)
{
    ret->user = seconds_between(before->ru_utime, after->ru_utime);
    ret->system = seconds_between(before->ru_stime, after->ru_stime);
    ret->voluntary = (uint64_t)(after->ru_nvcsw - before->ru_nvcsw);
    ret->involuntary = (uint64_t)(after->ru_nivcsw - before->ru_nivcsw);
    ret->minor = (uint64_t)(after->ru_minflt - before->ru_minflt);
    ret->major = (uint64_t)(after->ru_majflt - before->ru_majflt);
}

static int follow(struct run *run)
{
    int status = run->mover < 0 ? run->mover : 0;

    if (run->mover > 0 && run->tracing) {
        const int ended = counts_follow(run->mover, run->board, run->stage->stopped);
        status = ended < 0 ? ended : WIFSIGNALED(ended) ? -EINTR : 0;
    } else if (run->mover > 0) {
        status = await(run, run->mover);
    }
    if (status < 0) { /* nobody moves anything any more */
        end_one(run->feeder);
        end_one(run->drainer);
    }
    const int fed = await(run, run->feeder), drained = await(run, run->drainer);
    if (status == 0 && (run->feeder < 0 || run->drainer < 0))
        return run->feeder < 0 ? fed : drained; /* they could not be started */
    return status;
}

/* Everything has ended: what came of it. */
static int outcome(struct run *run, struct sample *ret)
{
    const struct board *board = run->board;
    struct cell *cell = run->cell;
    const uint64_t ended = board->arrived > board->ended ? board->arrived : board->ended;

    snprintf(cell->reason, sizeof cell->reason, "%s", board->reason);
    if (board->error < 0)
        return board->error;
    if (run->drainer > 0 && (board->neighbour_error < 0 || board->received != cell->bytes))
        return board->neighbour_error < 0 ? board->neighbour_error : -EIO;
    ret->seconds = (double)(ended - board->begun) / 1e9;
    take_usage(ret, &board->before, &board->after);
    if (board->copies >= 0) {
        cell->copies = board->copies;
        cell->proven = board->proven;
    }
    if (board->counted) {
        cell->calls = board->calls;
        cell->counter = run->tracing ? COUNTER_TRACER : COUNTER_TRACEPOINT;
    }
    return 0;
}

static int run_all(struct run *run, struct sample *ret)
{
    struct stage *stage = run->stage;
    unsigned long long before[2] = {0}, after[2] = {0};

    if (stage->place.device)
        place_sectors(&stage->place, before);
    const int64_t cached = stage_cached(stage, run->cell->warmth);
    start_all(run);
    close_both(run->in);
    close_both(run->out);
    close_both(run->gate);
    int error = follow(run);
    if (error == 0)
        error = outcome(run, ret);
    const int64_t now = stage_cached(stage, run->cell->warmth);
    ret->cached = cached < 0 || now < 0 ? -1 : now > cached ? now - cached : 0;
    if (error == 0 && run->counting && run->cell->path->to == END_FILE)
        fsync(stage->sink);
    if (stage->place.device && place_sectors(&stage->place, after) == 0) {
        ret->device_read = 512 * (after[0] - before[0]);
        ret->device_written = 512 * (after[1] - before[1]);
    }
    return error;
}

int mover_run(struct stage *stage, struct cell *cell, enum mover_run how, struct sample *ret)
{
    struct run run = {.stage = stage,
                      .cell = cell,
                      .in = {-1, -1},
                      .out = {-1, -1},
                      .gate = {-1, -1},
                      .counting = how == MOVER_COUNTED};
    void *memory;
    int error = 0;

    *ret = (struct sample){0};
    run.tracing = run.counting && counts_permitted() < 0;
    if (cell->path->to == END_FILE)
        error = sys_ftruncate(stage->sink, 0);
    if (error == 0 && cell->path->from == END_FILE)
        error = stage_warm(stage, cell->warmth, cell->bytes);
    if (error == 0)
        error = sys_mmap(sizeof *run.board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                         0, &memory);
    if (error < 0)
        return error;
    run.board = memory;
    error = open_ends(&run);
    if (error == 0)
        error = sys_pipe2(run.gate, O_CLOEXEC);
    if (error == 0)
        error = run_all(&run, ret);
    close_both(run.in);
    close_both(run.out);
    close_both(run.gate);
    sys_munmap(run.board, sizeof *run.board);
    return error;
}
