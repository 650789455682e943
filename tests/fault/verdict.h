/* SPDX-License-Identifier: MIT */
/* Whether what became of a job is what the manual pages lead one to expect of a fault. */
#ifndef TEST_VERDICT_H
#define TEST_VERDICT_H

#include "tests/fault/inject.h"
#include "tests/fault/job.h"
#include "tests/fault/manual.h"

/* Says by case_fail() what is wrong. The fault is the last that was given to inject(), and has come
 * true; `earlier` methods had fallen away before it. */
void verdict(const struct job *job, const struct fault *fault, enum expected expected,
             const struct outcome *outcome, unsigned earlier);

#endif
