/* SPDX-License-Identifier: MIT */
/* Serving the log: a consumer asks for a batch of messages, over TCP, and waits until it has it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker.h"
#include "child.h"
#include "lib/sys.h"
#include "neighbour.h"
#include "ways.h"

enum { BATCH = 64 << 10 }; /* at least; a message is never cut */

struct serving {
    const struct broker_row *row;
    int log, socket;
    const char *map;
    int pipe[2];
    size_t batch;
    uint64_t size;
};

static int serve_batch(const struct serving *serving, int64_t at)
{
    size_t left = serving->batch;

    if (serving->row->way->how == SERVE_MAPPED)
        return write_all(serving->socket, serving->map + at, left);
    while (left > 0) {
        ssize_t moved;
        if (serving->row->way->how == SERVE_SENDFILE) {
            moved = sys_sendfile(serving->socket, serving->log, &at, left);
        } else {
            moved = sys_splice(serving->log, &at, serving->pipe[1], NULL, left, 0);
            for (ssize_t parked = moved; parked > 0;) {
                const ssize_t sent =
                    sys_splice(serving->pipe[0], NULL, serving->socket, NULL, (size_t)parked,
                               (size_t)moved < left ? SPLICE_F_MORE : 0);
                if (sent <= 0 && sent != -EINTR)
                    return sent < 0 ? (int)sent : -EPIPE;
                parked -= sent > 0 ? sent : 0;
            }
        }
        if (moved <= 0 && moved != -EINTR)
            return moved < 0 ? (int)moved : -ENODATA;
        left -= moved > 0 ? (size_t)moved : 0;
    }
    return 0;
}

static int prepare(struct serving *serving)
{
    void *map;
    int error = 0;

    signal(SIGPIPE, SIG_IGN);
    if (serving->row->way->how == SERVE_MAPPED) {
        error = sys_mmap(serving->size, PROT_READ, MAP_SHARED, serving->log, 0, &map);
        serving->map = error == 0 ? map : NULL;
    } else if (serving->row->way->how == SERVE_SPLICE) {
        error = sys_pipe2(serving->pipe, O_CLOEXEC);
        if (error == 0)
            sys_fcntl(serving->pipe[1], F_SETPIPE_SZ, 1 << 20);
    }
    return error;
}

static int serve(struct serving *serving, struct broker_board *board)
{
    struct rusage before, after;
    int64_t at;
    int error = prepare(serving);

    getrusage(RUSAGE_SELF, &before);
    while (error == 0) {
        const ssize_t got = sys_recv(serving->socket, &at, sizeof at, MSG_WAITALL);
        if (got == 0)
            break;
        error = got == sizeof at ? serve_batch(serving, at) : got < 0 ? (int)got : -EPROTO;
    }
    getrusage(RUSAGE_SELF, &after);
    board->cpu = child_cpu(&before, &after);
    return error;
}

/* Returns 0 or a negative errno. */
static int consume(const struct serving *serving, int socket, struct broker_board *board)
{
    const uint64_t count = serving->size / serving->batch;
    struct latencies latencies;
    char *batch = malloc(serving->batch);
    int error = batch ? latencies_new(&latencies, (unsigned)count) : -ENOMEM;

    const uint64_t begun = sys_now();
    for (uint64_t i = 0, last = begun; i < count && error == 0; i++) {
        const int64_t at = (int64_t)(i * serving->batch);
        error = write_all(socket, (const char *)&at, sizeof at);
        const ssize_t got =
            error < 0 ? error : sys_recv(socket, batch, serving->batch, MSG_WAITALL);
        if (got != (ssize_t)serving->batch)
            error = got < 0 ? (int)got : -ECONNRESET;
        const uint64_t now = sys_now();
        latencies_add(&latencies, now - last);
        last = now;
    }
    board->seconds = (double)(sys_now() - begun) / 1e9;
    board->messages = error == 0 ? count * (serving->batch / serving->row->message) : 0;
    latencies_take(&latencies, board);
    free(batch);
    return error;
}

int broker_serve(struct stage *stage, const struct broker_row *row, struct broker_board *board)
{
    const enum warmth warmth = row->way->cold ? WARMTH_COLD : WARMTH_HOT;
    struct serving serving = {.row = row,
                              .log = stage_source(stage, warmth),
                              .batch = row->message > BATCH ? row->message : BATCH,
                              .size = stage->cold_size};
    int fds[2];

    if (stage->source < 0 || (row->way->cold && !stage->cold))
        return stage->source < 0 ? -ENOSPC : -EOPNOTSUPP;
    int error = stage_warm(stage, warmth, serving.size);
    if (error == 0)
        error = neighbour_pair(END_TCP, fds);
    if (error < 0)
        return error;
    serving.socket = fds[1];
    const pid_t server = child_fork();
    if (server == 0) {
        sys_close(fds[0]);
        board->error = serve(&serving, board);
        _exit(0);
    }
    sys_close(fds[1]);
    const pid_t consumer = server < 0 ? server : child_fork();
    if (consumer == 0) {
        if (consume(&serving, fds[0], board) < 0)
            board->messages = 0;
        _exit(0);
    }
    sys_close(fds[0]);
    error = child_await(consumer, stage->stopped);
    const int served = child_await(server, stage->stopped);
    return error < 0 ? error : served;
}
