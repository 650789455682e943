/* SPDX-License-Identifier: MIT */
/*
 * Runs generated cases by the thousand. They run in a child process, one after another; a case that
 * crashes, hangs or spins fails with its description, and a new child goes on with the next one.
 */
#ifndef TEST_CASES_H
#define TEST_CASES_H

#include <stdbool.h>

#include "sluice.h"

/* Makes cases and runs them: the same ones in the same order whenever it is called. `data` is what
 * cases_run() was given. */
typedef void cases_function(const void *data);

/* Runs a group of cases. Returns how many failed. */
unsigned cases_run(cases_function *group, const void *data);

/* Begins a case. Returns false if it has been run before: then the group leaves it out. */
bool case_begin(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Says what is wrong with the case. It goes on, and has failed. */
void case_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Counts the case for a method. */
void case_counts_for(enum sluice_method method);

/* Prints how many cases were run for each method since the last call, and how many failed. */
void cases_print(const char *title);

#endif
