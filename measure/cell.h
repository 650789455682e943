/* SPDX-License-Identifier: MIT */
/*
 * What is measured, and what came out: a cell is one way of moving bytes, on one path, in calls of one
 * size, with the page cache in one state. Cells that differ in the way alone are a group: these are
 * compared with each other.
 */
#ifndef MEASURE_CELL_H
#define MEASURE_CELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sluice.h"

enum end {
    END_FILE = 1 << 0, /* an unnamed file on the disk that is measured */
    END_PIPE = 1 << 1,
    END_TCP = 1 << 2, /* on loopback, or to another machine */
    END_UNIX = 1 << 3,
    END_MEMORY = 1 << 4, /* of the mover; for the library's methods, a memfd. It is a sink where
                            the bytes are brought to where the mover can use them */
};

enum warmth {
    WARMTH_HOT,   /* the source file is in the page cache */
    WARMTH_COLD,  /* nothing of it is */
    WARMTH_ALONE, /* nothing, and nothing is read ahead */
    WARMTH_COUNT,
};

struct path {
    const char *name; /* "file-tcp" */
    enum end from, to;
};

struct job;

struct way {
    const char *name;
    enum sluice_method method;    /* by the library, or AUTO: */
    int (*move)(struct job *job); /* a mover of its own; 0 or a negative errno */
    unsigned from, to;            /* enum end, or'ed: what it can serve */
    bool direct;                  /* reads the source file past the page cache */
};

/* One run. Times are in seconds, sizes in bytes. */
struct sample {
    unsigned round;      /* in which all cells had their turn */
    double seconds;      /* until the last byte had arrived */
    double user, system; /* CPU time of the mover and its threads, none of its neighbours' */
    uint64_t voluntary, involuntary;      /* switches by the scheduler */
    uint64_t minor, major;                /* page faults: served at once, and by reading a disk */
    uint64_t device_read, device_written; /* by the disk in that time, for whomever */
    int64_t cached; /* what is in the page cache of the ends and was not before; -1: unknown */
};

/* How system calls were counted. */
enum counter {
    COUNTER_NONE = 0,
    COUNTER_TRACEPOINT, /* raw_syscalls:sys_enter, by perf_event_open(2) */
    COUNTER_TRACER,     /* ptrace(2), where that is not permitted */
};

enum { MOST_RUNS = 64 };

struct cell {
    const struct path *path;
    const struct way *way;
    uint32_t chunk;
    enum warmth warmth;
    unsigned group;
    bool control; /* the group's first way once more: what chance alone does */

    int error;            /* negative errno: it cannot be done here, */
    char reason[96];      /* and why, in words, or "" */
    uint64_t bytes;       /* that a run moves */
    double copies;        /* CPU copies per byte, */
    bool proven;          /* each of which was measured here; else it is from a table */
    enum counter counter; /* the counting run: */
    uint64_t calls;       /* system calls of the mover */
    double device;        /* bytes that the disk moved, per byte, until all was written there; -1:
                             there is no disk */
    double network;       /* the same for network cards: derived, not measured */
    unsigned runs;
    struct sample sample[MOST_RUNS];
};

const char *warmth_name(enum warmth warmth);
const char *counter_name(enum counter counter);

#endif
