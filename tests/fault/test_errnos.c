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

/* ---- what is expected ---- */

/* Whose error it is. Where a call touches both ends and the errno is none of a sink's own: a
 * pipe or /dev/null has no other, and a source that is no file cannot be asked; otherwise the
 * source is asked for a byte, and here it gives one. */
static enum sluice_side wanted_side(const struct job *job, const struct fault *fault)
{
    const enum sluice_side side = manual_side(fault->point, fault->error);
    const bool plain = job->sink == END_PIPE || job->sink == END_NULL;

    if (side != SLUICE_SIDE_SETUP || fault->point == POINT_POLL_WAIT)
        return side;
    return plain || !end_has_offset(job->source) ? SLUICE_SIDE_SOURCE : SLUICE_SIDE_SINK;
}

static void check_error(const struct job *job, const struct fault *fault,
                        const struct outcome *outcome)
{
    const struct sluice_error *error = &outcome->error;
    const enum sluice_side side = wanted_side(job, fault);
    const char *operation = manual_operation(fault->point);

    if (outcome->result != -fault->error) {
        case_fail("it returned %s", errno_name(-outcome->result));
        return;
    }
    if (outcome->stage != STAGE_MOVE)
        return;
    if (operation && (!error->operation || strcmp(error->operation, operation) != 0))
        case_fail("the operation is '%s', and was '%s'", error->operation ? error->operation : "-",
                  operation);
    if (operation && error->side != side)
        case_fail("the side is '%s', and was '%s'", sluice_side_name(error->side),
                  sluice_side_name(side));
    if (fault->times == ALWAYS && fault->from == 1 && fault->point <= POINT_COPY_RANGE &&
        outcome->ledger.delivered != 0)
        case_fail("bytes were delivered before the first call");
}

/* An error of a call made for several purposes, if it is reported, is of the right side. */
static void check_either(const struct job *job, const struct fault *fault,
                         const struct outcome *outcome)
{
    if (outcome->result == 0) {
        job_check_done(job, outcome);
        return;
    }
    /* What is known of an end decides on the methods that are offered. */
    if (outcome->stage == STAGE_NEW && outcome->result == -EOPNOTSUPP &&
        job->method != SLUICE_METHOD_AUTO)
        return;
    if (outcome->result != -fault->error)
        case_fail("it returned %s", errno_name(-outcome->result));
    else if (outcome->stage == STAGE_MOVE && fault->point != POINT_POLL_NOW &&
             outcome->error.side != manual_side(fault->point, fault->error))
        case_fail("the side is '%s', and was '%s'", sluice_side_name(outcome->error.side),
                  sluice_side_name(manual_side(fault->point, fault->error)));
}

static void check_record(const struct job *job, const struct fault *fault,
                         const struct outcome *outcome, enum sluice_method to)
{
    const struct sluice_fallback *record = outcome->fallback;
    const enum sluice_side side = manual_side(fault->point, fault->error);

    job_check_done(job, outcome);
    if (outcome->stage != STAGE_MOVE)
        return;
    if (outcome->ledger.fallbacks == 0) {
        case_fail("no fallback is recorded");
        return;
    }
    if (record->from != manual_method(fault->point) || record->to != to)
        case_fail("the fallback is from %s to %s, and was from %s to %s",
                  sluice_method_name(record->from), sluice_method_name(record->to),
                  sluice_method_name(manual_method(fault->point)), sluice_method_name(to));
    if (record->error != -fault->error)
        case_fail("the fallback's errno is %s", errno_name(-record->error));
    if (!record->call || strcmp(record->call, manual_operation(fault->point)) != 0)
        case_fail("the fallback's call is '%s'", record->call ? record->call : "-");
    if (record->side != side)
        case_fail("the fallback's side is %s, and was %s", sluice_side_name(record->side),
                  sluice_side_name(side));
    if (record->at != seen.delivered_at)
        case_fail("the fallback is recorded at byte %llu, and was at %llu",
                  (unsigned long long)record->at, (unsigned long long)seen.delivered_at);
}

static void check_fallback(const struct job *job, const struct fault *fault,
                           const struct outcome *outcome)
{
    enum sluice_method next;

    if (job->method == SLUICE_METHOD_AUTO &&
        job_next_method(outcome, manual_method(fault->point), &next))
        check_record(job, fault, outcome, next);
    else
        check_error(job, fault, outcome);
}

/* Of O_DIRECT: the same method goes on without it. */
static void check_buffered(const struct job *job, const struct fault *fault,
                           const struct outcome *outcome)
{
    const bool of_source = manual_side(fault->point, fault->error) == SLUICE_SIDE_SOURCE;

    if ((of_source ? job->source : job->sink) == END_DIRECT && fault->times == 1)
        check_record(job, fault, outcome, manual_method(fault->point));
    else
        check_error(job, fault, outcome);
}

static void check(const struct job *job, const struct fault *fault, enum expected expected,
                  const struct outcome *outcome)
{
    switch (expected) {
    case EXPECT_DONE:
        job_check_done(job, outcome);
        job_check_no_fallback(outcome);
        break;
    case EXPECT_FALLBACK:
        check_fallback(job, fault, outcome);
        break;
    case EXPECT_BUFFERED:
        check_buffered(job, fault, outcome);
        break;
    case EXPECT_ERROR:
        check_error(job, fault, outcome);
        break;
    case EXPECT_ERROR_OR_DONE:
        check_either(job, fault, outcome);
        break;
    }
}

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
    if (seen.fired == 0)
        case_fail("the call was not made");
    else
        check(job, &fault, row->expected, &outcome);
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
