/* SPDX-License-Identifier: MIT */
/* Appending to the log. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "broker.h"
#include "child.h"
#include "lib/sys.h"
#include "ways.h"

enum { LOG_SIZE = 8 << 20, SYNC_EACH = 1 << 20 };

struct appending {
    const struct broker_row *row;
    int log;
    char *map;           /* APPEND_MMAP: the log's pages, made beforehand as such logs do */
    const char *message; /* whose bytes are appended */
    size_t at, synced;
};

static int append_one(struct appending *appending)
{
    const size_t length = appending->row->message;
    int error = 0;

    if (appending->map)
        memcpy(appending->map + appending->at, appending->message, length);
    else
        error = write_all(appending->log, appending->message, length);
    appending->at += length;
    if (error < 0 || !appending->row->way->sync || appending->at - appending->synced < SYNC_EACH)
        return error;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), from = appending->synced / page * page;
    const int value = appending->map ? msync(appending->map + from, appending->at - from, MS_SYNC)
                                     : fdatasync(appending->log);
    appending->synced = appending->at;
    return value < 0 ? -errno : 0;
}

static int append_all(struct appending *appending, struct broker_board *board)
{
    const uint64_t count = LOG_SIZE / appending->row->message;
    struct latencies latencies;
    struct rusage before, after;
    int error = latencies_new(&latencies, (unsigned)count);

    getrusage(RUSAGE_SELF, &before);
    const uint64_t begun = sys_now();
    for (uint64_t i = 0, last = begun; i < count && error == 0; i++) {
        error = append_one(appending);
        const uint64_t now = sys_now();
        latencies_add(&latencies, now - last);
        last = now;
    }
    board->seconds = (double)(sys_now() - begun) / 1e9;
    getrusage(RUSAGE_SELF, &after);
    board->cpu = child_cpu(&before, &after);
    board->messages = error == 0 ? count : 0;
    latencies_take(&latencies, board);
    return error;
}

int broker_append(struct stage *stage, const struct broker_row *row, struct broker_board *board)
{
    struct appending appending = {.row = row, .log = stage->sink, .message = stage->mapped};
    void *map;

    if (stage->sink < 0)
        return -ENOSPC;
    int error = sys_ftruncate(stage->sink, 0);
    if (error == 0 && row->way->how == APPEND_MMAP) {
        error = sys_fallocate(stage->sink, 0, 0, LOG_SIZE);
        if (error == -EOPNOTSUPP)
            error = sys_ftruncate(stage->sink, LOG_SIZE);
        if (error == 0)
            error = sys_mmap(LOG_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, stage->sink, 0, &map);
        appending.map = error == 0 ? map : NULL;
    }
    if (error == 0)
        lseek(stage->sink, 0, SEEK_SET);
    const pid_t child = error < 0 ? error : child_fork();
    if (child == 0) {
        board->error = append_all(&appending, board);
        _exit(0);
    }
    if (appending.map)
        sys_munmap(appending.map, LOG_SIZE);
    return child_await(child, stage->stopped);
}
