/* SPDX-License-Identifier: MIT */
#include "broker.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/sys.h"

/* ---- what there is ---- */

static const struct broker_way ways[] = {
    {"mmap store", "no sync", BROKER_APPEND, .how = APPEND_MMAP},
    {"write", "no sync", BROKER_APPEND, .how = APPEND_WRITE},
    {"mmap store", "synced after each MiB", BROKER_APPEND, .sync = true, .how = APPEND_MMAP},
    {"write", "synced after each MiB", BROKER_APPEND, .sync = true, .how = APPEND_WRITE},
    {"mapped slices", "at the tail", BROKER_SERVE, .how = SERVE_MAPPED},
    {"sendfile", "at the tail", BROKER_SERVE, .how = SERVE_SENDFILE},
    {"splice", "at the tail", BROKER_SERVE, .how = SERVE_SPLICE},
    {"mapped slices", "far behind", BROKER_SERVE, .cold = true, .how = SERVE_MAPPED},
    {"sendfile", "far behind", BROKER_SERVE, .cold = true, .how = SERVE_SENDFILE},
    {"splice", "far behind", BROKER_SERVE, .cold = true, .how = SERVE_SPLICE},
    {"nobody behind", "limited page cache", BROKER_BEHIND, .behind = 0},
    {"one behind, cache=keep", "limited page cache", BROKER_BEHIND, .how = BEHIND_KEEP,
     .behind = 1},
    {"one behind, cache=drop", "limited page cache", BROKER_BEHIND, .how = BEHIND_DROP,
     .behind = 1},
    {"three behind, cache=keep", "limited page cache", BROKER_BEHIND, .how = BEHIND_KEEP,
     .behind = 3},
    {"three behind, cache=drop", "limited page cache", BROKER_BEHIND, .how = BEHIND_DROP,
     .behind = 3},
};
enum { WAYS = sizeof ways / sizeof *ways };

#define KIB 1024u

static const uint32_t sizes[][4] = {
    [BROKER_APPEND] = {100, 4 * KIB, 1024 * KIB},
    [BROKER_SERVE] = {KIB, 1024 * KIB},
    [BROKER_BEHIND] = {64 * KIB},
};

const char *broker_part_name(enum broker_part part)
{
    static const char *const names[] = {"append", "serve", "behind"};
    return names[part];
}

static bool same_group(const struct broker_way *a, const struct broker_way *b)
{
    return a->part == b->part && strcmp(a->condition, b->condition) == 0;
}

static int make_rows(struct broker *broker)
{
    broker->rows = calloc((size_t)WAYS * 8, sizeof *broker->rows);
    if (!broker->rows)
        return -ENOMEM;
    for (unsigned first = 0, end; first < WAYS; first = end) {
        for (end = first; end < WAYS && same_group(&ways[first], &ways[end]); end++)
            ;
        for (const uint32_t *size = sizes[ways[first].part]; *size; size++, broker->groups++)
            for (unsigned i = first; i <= end; i++) /* and the first once more */
                broker->rows[broker->count++] =
                    (struct broker_row){.way = &ways[i == end ? first : i],
                                        .group = broker->groups,
                                        .message = *size,
                                        .control = i == end};
    }
    return 0;
}

void broker_free(struct broker *broker)
{
    free(broker->rows);
}

/* ---- measuring ---- */

static int run_row(struct broker *broker, struct broker_row *row, struct broker_board *board)
{
    static int (*const parts[])(struct stage *, const struct broker_row *,
                                struct broker_board *) = {
        [BROKER_APPEND] = broker_append,
        [BROKER_SERVE] = broker_serve,
        [BROKER_BEHIND] = broker_behind,
    };

    *board = (struct broker_board){0};
    int error = parts[row->way->part](broker->stage, row, board);
    if (broker->stage->stopped())
        return -EINTR;
    error = error < 0 ? error : board->error;
    if (error < 0 || board->messages == 0) {
        row->error = error < 0 ? error : -EIO;
        snprintf(row->reason, sizeof row->reason, "%s", board->reason);
        return 0;
    }
    row->cpu[row->runs] = board->cpu / (double)board->messages;
    row->rate[row->runs] = board->seconds > 0 ? (double)board->messages / board->seconds : 0;
    row->p50[row->runs] = board->p50;
    row->p99[row->runs] = board->p99;
    row->runs++;
    return 0;
}

/* From another row each time, and back and forth: nobody has always the same neighbour. */
static struct broker_row *in_turn(const struct broker *broker, unsigned round, unsigned i)
{
    const unsigned at = (i + round * 7) % broker->count;
    return &broker->rows[round % 2 ? broker->count - 1 - at : at];
}

static int run_round(struct broker *broker, struct broker_board *board, double begun)
{
    for (unsigned i = 0; i < broker->count; i++) {
        struct broker_row *row = in_turn(broker, broker->done, i);
        if (row->error < 0)
            continue;
        if (broker->progress)
            broker->progress(broker->progress_data, row,
                             ((double)sys_now() / 1e9 - begun) / broker->budget);
        const int error = run_row(broker, row, board);
        if (error < 0)
            return error;
    }
    broker->done++;
    return 0;
}

int broker_run(struct broker *broker)
{
    const double begun = (double)sys_now() / 1e9;
    void *memory;
    int error = make_rows(broker);

    if (error == 0)
        error = sys_mmap(sizeof(struct broker_board), PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0, &memory);
    if (error < 0)
        return error;
    while (error == 0 && broker->done < broker->rounds && broker->done < MOST_RUNS) {
        const double now = (double)sys_now() / 1e9 - begun;
        if (broker->done >= STATISTICS_LEAST &&
            now * (broker->done + 1) / broker->done > broker->budget)
            break;
        error = run_round(broker, memory, begun);
    }
    sys_munmap(memory, sizeof(struct broker_board));
    for (unsigned i = 0; i < broker->count && error == 0; i++)
        if (broker->rows[i].error == 0)
            return 0;
    return error < 0 ? error : broker->rows[0].error;
}

/* ---- figures ---- */

const double *broker_figures(const struct broker_row *row, enum broker_figure figure)
{
    return figure == BROKER_CPU    ? row->cpu
           : figure == BROKER_RATE ? row->rate
           : figure == BROKER_P50  ? row->p50
                                   : row->p99;
}

enum difference broker_compare(const struct broker *broker, const struct broker_row *row,
                               const struct broker_row *other, enum broker_figure figure)
{
    const struct broker_row *first = NULL, *control = NULL;

    for (unsigned i = 0; i < broker->count; i++)
        if (broker->rows[i].group == row->group) {
            first = first ? first : &broker->rows[i];
            control = broker->rows[i].control ? &broker->rows[i] : control;
        }
    if (!control || control->runs != first->runs || row->runs != other->runs || control->runs == 0)
        return DIFFERENCE_NONE;
    const double *once = broker_figures(first, figure), *again = broker_figures(control, figure);
    if (statistics_compare(again, once, first->runs, 1.02) != DIFFERENCE_NONE)
        return DIFFERENCE_NONE; /* the same thing differed from itself */
    return statistics_compare(broker_figures(row, figure), broker_figures(other, figure), row->runs,
                              statistics_floor(once, again, first->runs));
}

/* ---- times ---- */

int latencies_new(struct latencies *ret, unsigned room)
{
    *ret = (struct latencies){.values = malloc((size_t)room * sizeof *ret->values), .room = room};
    return ret->values ? 0 : -ENOMEM;
}

void latencies_add(struct latencies *latencies, uint64_t nanoseconds)
{
    if (latencies->count < latencies->room)
        latencies->values[latencies->count++] =
            nanoseconds < UINT32_MAX ? (uint32_t)nanoseconds : UINT32_MAX;
}

static int by_value(const void *a, const void *b)
{
    const uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

void latencies_take(struct latencies *latencies, struct broker_board *board)
{
    if (latencies->count > 0) {
        qsort(latencies->values, latencies->count, sizeof *latencies->values, by_value);
        board->p50 = latencies->values[latencies->count / 2] / 1e9;
        board->p99 = latencies->values[(unsigned)(0.99 * (latencies->count - 1))] / 1e9;
    }
    free(latencies->values);
    latencies->values = NULL;
}
