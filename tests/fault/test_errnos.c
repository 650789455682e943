/* SPDX-License-Identifier: MIT */
/*
 * Every errno of every call's manual page, made to happen at the first, the second and the last
 * such call of a transfer and from then on for good, for each pair of ends and each method that
 * serves it. What is expected is in manual.c; what holds in any case is checked by job.c.
 *
 * timeout: 300
 */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/fault/cases.h"
#include "tests/fault/manual.h"
#include "tests/fault/pairs.h"
#include "tests/fault/verdict.h"

/* ---- making the cases ---- */

/* EAGAIN and EINTR for good would be for ever: these are storms. */
enum { STORM = 25 };

static void run_case(const struct job *job, const struct manual_row *row, enum point point,
                     unsigned from, unsigned times)
{
    const bool passes = row->error == EAGAIN || row->error == EINTR;
    const struct fault fault = {
        .point = point,
        .from = from,
        .times = times == ALWAYS && passes && row->expected == EXPECT_DONE ? STORM : times,
        .error = row->error,
    };
    struct outcome outcome;

    if (!case_begin("%s: %s at call %u%s of %s", job_words(job), errno_name(row->error), from,
                    times == 1 ? "" : " and on", point_name(point)))
        return;
    case_counts_for(job->method);
    inject(&fault);
    job_run(job, &outcome);
    /* How often it looks around depends on how fast its requests are. */
    if (seen.struck == 0 && job->method == SLUICE_METHOD_DIRECT && from > 2)
        return;
    if (seen.struck == 0)
        case_fail("the call was not made");
    else
        verdict(job, &fault, row->expected, &outcome, 0);
}

static void run_errnos(const struct job *job, enum point point, unsigned calls)
{
    for (const struct manual_row *row = manual; row->points; row++) {
        if (!(row->points >> point & 1))
            continue;
        run_case(job, row, point, 1, 1);
        if (calls >= 2)
            run_case(job, row, point, 2, 1);
        if (calls >= 3)
            run_case(job, row, point, calls, 1);
        if (point != POINT_POLL_NOW) /* without it, nobody can say who is ready */
            run_case(job, row, point, calls >= 2 ? 2 : 1, ALWAYS);
    }
}

/* A transfer without faults tells which calls there are. */
static void run_job(const void *data)
{
    const struct job *job = data;
    struct outcome outcome;

    const bool first = case_begin("%s: no fault", job_words(job));
    job_run(job, &outcome);
    if (first) {
        job_check_done(job, &outcome);
        job_check_no_fallback(&outcome);
    }
    const struct seen reference = seen;
    for (int point = 0; point < POINT_COUNT; point++)
        if (reference.calls[point] > 0)
            run_errnos(job, (enum point)point, reference.calls[point]);
}

static void every_errno_at_every_call(void **state)
{
    (void)state;
    const unsigned failed = pairs_run(run_job);
    cases_print("errnos");
    assert_int_equal(failed, 0);
}

/* A mapping is a window of the file: several calls of mmap need a file of several windows. */
static void run_long_mapping(const void *data)
{
    const struct job *job = data;
    struct outcome outcome;

    case_begin("%s: no fault", job_words(job));
    job_run(job, &outcome);
    const struct seen reference = seen;
    if (reference.calls[POINT_MMAP] < 2)
        case_fail("only %u windows", reference.calls[POINT_MMAP]);
    run_errnos(job, POINT_MMAP, reference.calls[POINT_MMAP]);
    run_errnos(job, POINT_MUNMAP, reference.calls[POINT_MUNMAP]);
    run_errnos(job, POINT_WRITE_MAPPED, reference.calls[POINT_WRITE_MAPPED]);
}

static void every_errno_at_later_windows(void **state)
{
    struct job job = pairs_job(END_FILE, END_FILE, SLUICE_METHOD_MMAP_WRITE, false);
    unsigned failed = 0;

    (void)state;
    job.length = JOB_MOST_BYTES - 1000;
    job.chunk = 0;
    failed += cases_run(run_long_mapping, &job);
    cases_print("windows");
    assert_int_equal(failed, 0);
}

/* Descriptors that are not ours and block: they are opened again, or asked before each call. */
static void every_errno_with_blocking_descriptors(void **state)
{
    static const struct {
        enum end_kind source, sink;
    } pairs[] = {
        {END_PIPE, END_FILE}, {END_PIPE, END_PIPE}, {END_FILE, END_PIPE}, {END_TCP, END_FILE},
        {END_TCP, END_PIPE},  {END_UNIX, END_FILE}, {END_PIPE, END_NULL},
    };
    unsigned failed = 0;

    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        enum sluice_method methods[SLUICE_METHOD_COUNT];
        struct job job = pairs_job(pairs[i].source, pairs[i].sink, SLUICE_METHOD_AUTO, true);
        const unsigned count = job_methods(&job, methods);
        job.blocking = true;
        failed += cases_run(run_job, &job);
        for (unsigned k = 0; k < count; k++) {
            job.method = methods[k];
            failed += cases_run(run_job, &job);
        }
        job.method = SLUICE_METHOD_AUTO;
        job.steps = false;
        failed += cases_run(run_job, &job);
    }
    cases_print("errnos, blocking");
    assert_int_equal(failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_errno_at_every_call),
        cmocka_unit_test(every_errno_at_later_windows),
        cmocka_unit_test(every_errno_with_blocking_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
