/* SPDX-License-Identifier: MIT */
/*
 * A job is one transfer from making its ends to freeing them, under whatever faults were asked for,
 * and the checks that hold after every transfer, whatever became of it:
 *
 *   the sink has exactly the first `delivered` bytes of the source
 *   delivered + parked = taken; salvage gives the parked ones; the source still has the rest
 *   descriptors have the flags, sizes and offsets that sluice.h promises
 *   nothing is leaked, no signal was raised, nothing waited in vain, nothing spun
 */
#ifndef TEST_JOB_H
#define TEST_JOB_H

#include "sluice.h"
#include "tests/unit/ends.h"

struct job {
    enum end_kind source, sink;
    enum sluice_method method;
    size_t length;  /* bytes in the source */
    uint64_t limit; /* SLUICE_LENGTH, 0: none but where the end is not told */
    uint32_t chunk, pipe_size;
    size_t message;   /* of a source of messages */
    bool own_offsets; /* the descriptors' own; else explicit ones */
    bool steps;       /* step by step; else run */
    bool slow;        /* by steps: the source is fed, the sink drained, a little at a time */
    bool blocking;    /* the descriptors lack O_NONBLOCK; not with `slow` */
    size_t capacity;  /* of pipes and sockets */
    uint64_t budget;  /* of a step */
    uint64_t seed;    /* for `slow` */
};

enum stage { STAGE_ENDPOINT = 1, STAGE_NEW, STAGE_MOVE };

#define JOB_FALLBACKS 8

/* What became of it. */
struct outcome {
    enum stage stage; /* where it ended */
    int result;       /* 0 or a negative errno */
    struct sluice_error error;
    struct sluice_ledger ledger; /* with STAGE_MOVE; before anything was salvaged */
    struct sluice_fallback fallback[JOB_FALLBACKS];
    unsigned usable;
    enum sluice_method plan[SLUICE_METHOD_COUNT];
};

/* Runs it. Anything wrong is said by case_fail(). */
void job_run(const struct job *job, struct outcome *ret);

/* "pipe -> tcp, splice, by steps" */
const char *job_words(const struct job *job);

/* Bytes that are to be delivered if all goes well. */
uint64_t job_expected(const struct job *job);

/* Which methods can serve a job, auto left out. */
unsigned job_methods(const struct job *job, enum sluice_method ret[SLUICE_METHOD_COUNT]);

/* The method after this one in the plan. Returns false if there is none. */
bool job_next_method(const struct outcome *outcome, enum sluice_method method,
                     enum sluice_method *next);

/* All of it was delivered; no method was left. */
void job_check_done(const struct job *job, const struct outcome *outcome);
void job_check_no_fallback(const struct outcome *outcome);

/* The bytes that every source holds, or that a source of zeros does. */
const uint8_t *job_bytes(enum end_kind source);

enum { JOB_MOST_BYTES = 6 << 20 };

#endif
