/* SPDX-License-Identifier: MIT */
/* What `sluice bench` found: for people, for programs, and as a page. */
#ifndef CLI_BENCH_REPORT_H
#define CLI_BENCH_REPORT_H

#include <stdio.h>

#include "measure/broker.h"
#include "measure/judgement.h"
#include "measure/machine.h"
#include "measure/measure.h"

struct bench_report {
    const struct measuring *measuring;
    const struct machine *machine;
    const sluice_probe *probe;
    const struct broker *broker; /* NULL: it was not asked for */
    const char *peer;            /* --to, NULL: TCP is by loopback */
    const char *extent;          /* "quick" or "full" */
    unsigned rounds;
    double seconds;
    const char *const *notes; /* what could not be done, in words, ended by NULL */
};

/* The cells of group number `group`, the control the last; NULL beyond the last group. */
const struct cell *bench_group(const struct bench_report *report, unsigned group,
                               unsigned *ret_count);
/* "file -> tcp, 64 KiB calls, page cache hot". */
#define BENCH_TITLE 96
const char *bench_title(const struct cell *cell, char text[static BENCH_TITLE]);
/* "64 KiB calls, page cache hot". */
const char *bench_setting(const struct cell *cell, char text[static BENCH_TITLE]);
const char *bench_chunk(uint32_t chunk, char text[static 16]);
const char *bench_error(const struct cell *cell, char text[static 160]);
/* The median of a figure and its interval. */
struct interval bench_interval(const struct cell *cell, enum figure figure);

/* Words in lines of a hundred characters. */
void bench_print_wrapped(const char *text, const char *indent, FILE *out);

void bench_text(const struct bench_report *report, FILE *out);
void bench_json(const struct bench_report *report, FILE *out);
void bench_html(const struct bench_report *report, FILE *out);

/* Plain words, from the figures alone. */
void bench_words_group(const struct bench_report *report, unsigned group, FILE *out);
/* "sendfile and splice, 0.045 s/GiB", or that no difference was seen: what is best in it. */
void bench_words_best(const struct bench_report *report, unsigned group, enum figure figure,
                      FILE *out);
/* What can be said of all groups together: a line each. */
void bench_words(const struct bench_report *report, void (*line)(const char *words, void *data),
                 void *data);

/* The table that everybody draws, file to network card, and what was measured instead. */
struct classic_row {
    const char *way;
    double modes, copies, dma;      /* of the table; -1: it has no such row */
    const struct cell *cell;        /* NULL: not measured */
    double seen_modes, seen_copies; /* mode switches per call's worth of bytes; -1: unknown */
    double seen_dma, seen_dma_cold; /* by the disk, hot and cold; -1: unknown */
    double network;                 /* derived */
    char why[512];                  /* the differences, in words */
};
enum { CLASSIC_ROWS = 4 };
/* Returns the number of rows, 0 where file to TCP was not measured. */
unsigned bench_classic(const struct bench_report *report,
                       struct classic_row rows[static CLASSIC_ROWS]);

#endif
