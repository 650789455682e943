/* SPDX-License-Identifier: MIT */
/* The words of `sluice bench`. */
#ifndef CLI_BENCH_OPTIONS_H
#define CLI_BENCH_OPTIONS_H

#include "measure/paths.h"
#include "message.h"

enum { BENCH_MOST = 16 };

struct bench_options {
    enum extent extent;
    const char *paths[BENCH_MOST + 1], *ways[BENCH_MOST + 1];
    uint32_t chunks[BENCH_MOST + 1];
    const char *disk; /* a directory */
    const char *to;   /* an address, NULL: loopback */
    const char *peer; /* to be the other machine, listening there; NULL: to measure */
    const char *html; /* a file to write the page to, or NULL */
    bool json, progress;
    bool broker; /* --only broker, or all of it */
    bool only_broker;
    double budget; /* seconds */
    double aim;    /* seconds a run */
    uint64_t size; /* bytes of the source */
    unsigned rounds;
    char wrong[160]; /* what is wrong with a word, where that takes more than a phrase */
};

/* Returns STATUS_DONE and *ret_over where there is nothing left to do. */
enum status bench_options_parse(struct bench_options *options, int argc, char **argv,
                                bool *ret_over);

#endif
