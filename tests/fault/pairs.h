/* SPDX-License-Identifier: MIT */
/* The pairs of ends that fault tests go through, and jobs of a fitting size for each. */
#ifndef TEST_PAIRS_H
#define TEST_PAIRS_H

#include "tests/fault/cases.h"
#include "tests/fault/job.h"

/* Runs the group for each pair of ends and each method that serves it: auto and every one by name,
 * by steps with the descriptors' own offsets and in one run with explicit ones, in turns. The data
 * of the group is the job. Returns how many cases failed. */
unsigned pairs_run(cases_function *group);

/* A job of five chunks. Between files more than what is simply read and written; else little enough
 * that a sink which nobody reads says that there is room. For O_DIRECT, aligned. */
struct job pairs_job(enum end_kind source, enum end_kind sink, enum sluice_method method,
                     bool steps);

#endif
