/* SPDX-License-Identifier: MIT */
/*
 * The progress display on standard error. One object for one transfer, in the caller's hands;
 * nothing is allocated and nothing is global. Each redraw is one write(2), and one that cannot be
 * taken at once (a stopped terminal) is left out: the display never holds up the transfer.
 *
 * While a bar is shown its line is not ended: call progress_end() before anything else is written
 * to standard error.
 */
#ifndef SLUICE_CLI_PROGRESS_H
#define SLUICE_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

enum progress_style {
    PROGRESS_NONE = 0, /* nothing by itself; progress_line() works all the same */
    PROGRESS_BAR,      /* one line that is drawn again each 100 ms, made to fit the terminal */
    PROGRESS_NUMERIC,  /* a line each second: the percentage, or the bytes if the end is unknown */
};

struct progress {
    enum progress_style style;
    bool delayed;      /* not shown in the first half second */
    bool shown;        /* something was written, so the end is shown too */
    unsigned mark;     /* steps that the moving mark has made */
    int drawn;         /* columns of the bar that is on the line, 0: none */
    uint64_t expected; /* bytes in all, UINT64_MAX: unknown */
    uint64_t begin;    /* these five are CLOCK_MONOTONIC, in nanoseconds */
    uint64_t next_sample;
    uint64_t next_draw;
    uint64_t sampled;
    uint64_t moved; /* when bytes were last seen to move */
    uint64_t bytes; /* delivered when it was sampled */
    double rate;    /* bytes a second, an exponential average */
};

/* Starts the clock. expected: UINT64_MAX if unknown. Nothing is shown yet. */
void progress_begin(struct progress *progress, enum progress_style style, uint64_t expected,
                    bool delayed);

/* So many bytes are delivered. Cheap: one look at the coarse clock unless a redraw is due. To be
 * called on timer ticks too, when nothing moves, so that a stall is seen. */
void progress_update(struct progress *progress, uint64_t delivered);

/* One plain line, for SIGUSR1: bytes, elapsed time, the rate now and on average. At the end of the
 * transfer (final) there is no rate of now. A bar that is shown comes again below it. */
void progress_line(struct progress *progress, uint64_t delivered, bool final);

/* Shows the final state and ends the line. Writes nothing if nothing was shown and the display was
 * delayed, and does nothing the second time. */
void progress_end(struct progress *progress, uint64_t delivered);

#endif
