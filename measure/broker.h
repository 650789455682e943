/* SPDX-License-Identifier: MIT */
/*
 * The broker's question, mmap or sendfile: a log of messages that is appended to, served to consumers at
 * its tail and far behind, and what becomes of the tail when one who is far behind reads it all.
 */
#ifndef MEASURE_BROKER_H
#define MEASURE_BROKER_H

#include "stage.h"
#include "statistics.h"

enum broker_part {
    BROKER_APPEND, /* by mmap store or write; synced after each MiB, or not */
    BROKER_SERVE,  /* batches of messages asked for over TCP: mapped slices, sendfile, splice */
    BROKER_BEHIND, /* a consumer at the tail, beside one who reads an old log, in a limited cache */
};

struct broker_way;

struct broker_row {
    const struct broker_way *way;
    unsigned group;
    uint32_t message; /* bytes */
    bool control;     /* the group's first way once more */
    int error;        /* negative errno: it cannot be done here, */
    char reason[96];  /* and why, or "" */
    unsigned runs;
    double cpu[MOST_RUNS];  /* seconds per message, of the one who serves or appends */
    double rate[MOST_RUNS]; /* messages per second */
    double p50[MOST_RUNS], p99[MOST_RUNS]; /* seconds: of an append, of a batch */
};

/* How a row is done; broker_ways.c. */
struct broker_way {
    const char *name;      /* "mmap store", "sendfile" … */
    const char *condition; /* "no sync", "far behind" …: the same within a group */
    enum broker_part part;
    bool sync, cold; /* BROKER_APPEND; BROKER_SERVE: the log is not in the page cache */
    int how;         /* which of the part's ways */
    unsigned behind; /* BROKER_BEHIND: so many are */
};

/* What a run writes down, in memory that is shared with its processes. */
struct broker_board {
    int error;
    char reason[96];
    uint64_t messages;
    double seconds, cpu, p50, p99;
};

struct broker {
    struct stage *stage;
    struct broker_row *rows;
    unsigned count, groups;
    double budget;   /* seconds */
    unsigned rounds; /* at most */
    unsigned done;
    void (*progress)(void *data, const struct broker_row *row, double part);
    void *progress_data;
};

/* Makes the rows and measures them in turns. 0, -EINTR (stopped), or why nothing could be measured. */
int broker_run(struct broker *broker);
void broker_free(struct broker *broker);

const char *broker_part_name(enum broker_part part);

/* The values of a figure, as many as `runs`: "cpu", "rate", "p50", "p99". */
enum broker_figure { BROKER_CPU, BROKER_RATE, BROKER_P50, BROKER_P99 };
const double *broker_figures(const struct broker_row *row, enum broker_figure figure);

/* The difference of a row from another of its group, the control of which sets the floor. */
enum difference broker_compare(const struct broker *broker, const struct broker_row *row,
                               const struct broker_row *other, enum broker_figure figure);

/* The parts. Each runs in processes of its own and fills the board. 0 or a negative errno. */
int broker_append(struct stage *stage, const struct broker_row *row, struct broker_board *board);
int broker_serve(struct stage *stage, const struct broker_row *row, struct broker_board *board);
int broker_behind(struct stage *stage, const struct broker_row *row, struct broker_board *board);

/* Times of single calls, in nanoseconds: their median and the one that 99 % are below. */
struct latencies {
    uint32_t *values;
    unsigned count, room;
};
int latencies_new(struct latencies *ret, unsigned room);
void latencies_add(struct latencies *latencies, uint64_t nanoseconds);
/* Fills p50 and p99, and frees. */
void latencies_take(struct latencies *latencies, struct broker_board *board);

enum { APPEND_MMAP, APPEND_WRITE };
enum { SERVE_MAPPED, SERVE_SENDFILE, SERVE_SPLICE };
enum { BEHIND_KEEP, BEHIND_DROP };

#endif
