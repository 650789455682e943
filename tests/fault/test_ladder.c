/* SPDX-License-Identifier: MIT */
/*
 * Methods that fail one after another: the ladder is walked down in the plan's order, each rung is
 * recorded, and the bytes go on at the exact place; also those that are parked in the private pipe
 * when it can no longer be spliced out of, and with sides that are not ready.
 *
 * timeout: 300
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/fault/inject.h"
#include "tests/fault/manual.h"
#include "tests/fault/pairs.h"
#include "tests/fault/verdict.h"

/* ---- rungs ---- */

/* What makes a method fall away, at a call of its own. */
static const struct {
    enum sluice_method method;
    enum point point;
    int error;
} ways[] = {
    {SLUICE_METHOD_COPY_RANGE, POINT_COPY_RANGE, ENOSYS},
    {SLUICE_METHOD_SENDFILE, POINT_SENDFILE, EINVAL},
    {SLUICE_METHOD_SPLICE, POINT_SPLICE, EINVAL},
    {SLUICE_METHOD_SPLICE, POINT_SPLICE_IN, ENOMEM},
    {SLUICE_METHOD_SPLICE, POINT_SPLICE_OUT, EINVAL},
    {SLUICE_METHOD_MMAP_WRITE, POINT_MMAP, ENODEV},
    {SLUICE_METHOD_MMAP_WRITE, POINT_WRITE_MAPPED, EFAULT},
    {SLUICE_METHOD_MMAP_WRITE, POINT_SEND_MAPPED, EFAULT},
};
#define WAYS (sizeof ways / sizeof *ways)

/* Faults for the first `rungs` methods of the plan. Those at calls that the pair does not use come
 * to nothing. */
static void knock_out(const struct outcome *reference, unsigned rungs, unsigned call)
{
    for (unsigned rung = 0; rung < rungs; rung++)
        for (size_t i = 0; i < WAYS; i++)
            if (ways[i].method == reference->plan[rung]) {
                const struct fault fault = {
                    .point = ways[i].point, .from = call, .times = ALWAYS, .error = ways[i].error};
                inject(&fault);
            }
}

static void check_ladder(const struct job *job, const struct outcome *outcome, unsigned rungs,
                         unsigned call)
{
    uint64_t at = 0;

    job_check_done(job, outcome);
    if (call > 1 ? outcome->ledger.fallbacks > rungs : outcome->ledger.fallbacks != rungs)
        case_fail("%u fallbacks instead of %u", outcome->ledger.fallbacks, rungs);
    for (unsigned i = 0; i < outcome->ledger.fallbacks && i < JOB_FALLBACKS; i++) {
        const struct sluice_fallback *record = outcome->fallback + i;
        if (record->from != outcome->plan[i] || record->to != outcome->plan[i + 1])
            case_fail("fallback %u is from %s to %s", i, sluice_method_name(record->from),
                      sluice_method_name(record->to));
        if (record->at < at)
            case_fail("fallback %u is at %llu, after %llu", i, (unsigned long long)record->at,
                      (unsigned long long)at);
        at = record->at;
    }
}

static void run_ladder(const void *data)
{
    const struct job *job = data;
    struct outcome reference, outcome;

    if (job->method != SLUICE_METHOD_AUTO || job->source == END_DIRECT || job->sink == END_DIRECT)
        return;
    case_begin("%s: no fault", job_words(job));
    job_run(job, &reference);
    /* read-write is the last resort: it does not fall away. */
    for (unsigned rungs = 1;
         rungs < reference.usable && reference.plan[rungs - 1] != SLUICE_METHOD_READ_WRITE; rungs++)
        for (unsigned call = 1; call <= 3; call++) {
            if (!case_begin("%s: %u methods fail at their calls number %u", job_words(job), rungs,
                            call))
                continue;
            case_counts_for(job->method);
            knock_out(&reference, rungs, call);
            job_run(job, &outcome);
            check_ladder(job, &outcome, rungs, call);
        }
}

static void every_rung_in_its_turn(void **state)
{
    (void)state;
    const unsigned failed = pairs_run(run_ladder);
    cases_print("ladder");
    assert_int_equal(failed, 0);
}

/* ---- every errno on every rung ---- */

static void run_rung_case(const struct job *job, const struct outcome *reference, unsigned rung,
                          const struct manual_row *row, enum point point, unsigned from)
{
    const struct fault fault = {.point = point, .from = from, .times = 1, .error = row->error};
    struct outcome outcome;

    if (!case_begin("%s: %u methods fail at once, then %s at call %u of %s", job_words(job), rung,
                    errno_name(row->error), from, point_name(point)))
        return;
    case_counts_for(reference->plan[rung]);
    knock_out(reference, rung, 1);
    inject(&fault);
    job_run(job, &outcome);
    if (seen.struck == 0)
        case_fail("the call was not made");
    else
        verdict(job, &fault, row->expected, &outcome, rung);
}

/* The methods further down come into use only when those above have fallen away: this is where
 * what they make of an errno shows. */
static void run_rungs(const void *data)
{
    const struct job *job = data;
    struct outcome reference;

    if (job->method != SLUICE_METHOD_AUTO || job->source == END_DIRECT || job->sink == END_DIRECT)
        return;
    case_begin("%s: no fault", job_words(job));
    job_run(job, &reference);
    for (unsigned rung = 1;
         rung < reference.usable && reference.plan[rung - 1] != SLUICE_METHOD_READ_WRITE; rung++) {
        struct outcome outcome;
        knock_out(&reference, rung, 1);
        job_run(job, &outcome);
        const struct seen seen_then = seen;
        for (const struct manual_row *row = manual; row->points; row++)
            for (int point = 0; point < POINT_COUNT; point++) {
                const unsigned calls = seen_then.calls[point];
                if (!(row->points >> point & 1) || calls == 0 ||
                    manual_method((enum point)point) != reference.plan[rung])
                    continue;
                run_rung_case(job, &reference, rung, row, (enum point)point, 1);
                if (calls >= 2)
                    run_rung_case(job, &reference, rung, row, (enum point)point, 2);
            }
    }
}

static void every_errno_on_every_rung(void **state)
{
    (void)state;
    const unsigned failed = pairs_run(run_rungs);
    cases_print("rungs");
    assert_int_equal(failed, 0);
}

/* ---- what is parked when splice falls away ---- */

/* After SPLICE_OUT has failed at its call number `from`, another fault hits the way through memory.
 * error 0: a short count. */
static void run_second(const struct job *job, unsigned from, enum point point, unsigned second,
                       unsigned times, int error)
{
    const struct fault first = {
        .point = POINT_SPLICE_OUT, .from = from, .times = ALWAYS, .error = EINVAL};
    const struct fault next = {
        .point = point, .from = second, .times = times, .error = error, .cut = 777};
    struct outcome outcome;

    if (!case_begin("%s: EINVAL at call %u of splice out, then %s at call %u%s of %s",
                    job_words(job), from, error ? errno_name(error) : "a short count", second,
                    times == 1 ? "" : " and on", point_name(point)))
        return;
    case_counts_for(job->method);
    inject(&first);
    inject(&next);
    job_run(job, &outcome);
    const struct manual_row *row = manual_find(point, error);
    if (!error || row->expected == EXPECT_DONE) {
        job_check_done(job, &outcome);
    } else if (seen.last != point) {
        job_check_done(job, &outcome); /* it took fewer calls than that */
    } else if (outcome.result != -error) {
        case_fail("it returned %s", errno_name(-outcome.result));
    } else if (outcome.error.side != manual_side(point, error)) {
        case_fail("the side is %s", sluice_side_name(outcome.error.side));
    }
}

static void run_parked(const void *data)
{
    static const enum point points[] = {POINT_READ_BACK, POINT_WRITE, POINT_SEND};
    const struct job *job = data;

    for (unsigned from = 1; from <= 3; from++)
        for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
            const enum point point = points[i];
            const enum point sends = end_is_socket(job->sink) ? POINT_SEND : POINT_WRITE;
            if (point != POINT_READ_BACK && point != sends)
                continue;
            for (unsigned second = 1; second <= 2; second++) {
                run_second(job, from, point, second, 1, 0);
                run_second(job, from, point, second, ALWAYS, 0);
                for (const struct manual_row *row = manual; row->points; row++)
                    if (row->points >> point & 1)
                        run_second(job, from, point, second, 1, row->error);
            }
        }
}

static void parked_bytes_leave_through_memory(void **state)
{
    static const enum end_kind sources[] = {END_PIPE, END_TCP, END_UNIX};
    static const enum end_kind sinks[] = {END_FILE, END_TCP, END_UNIX};
    unsigned failed = 0;

    (void)state;
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < 3; k++)
            for (int steps = 0; steps < 2; steps++) {
                const struct job job = pairs_job(sources[i], sinks[k], SLUICE_METHOD_AUTO, steps);
                failed += cases_run(run_parked, &job);
            }
    cases_print("parked");
    assert_int_equal(failed, 0);
}

/* ---- sides that are not ready ---- */

static void run_slow_case(const struct job *job, enum point point, unsigned from, int error)
{
    const struct fault fault = {.point = point, .from = from, .times = 1, .error = error};
    const struct manual_row *row = manual_find(point, error);
    struct outcome outcome;

    if (!row || !case_begin("%s: %s at call %u of %s", job_words(job), errno_name(error), from,
                            point_name(point)))
        return;
    case_counts_for(job->method);
    inject(&fault);
    job_run(job, &outcome);
    if (seen.struck == 0)
        job_check_done(job, &outcome); /* it took fewer calls than that */
    else
        verdict(job, &fault, row->expected, &outcome, 0);
}

static void run_slow(const void *data)
{
    static const int errors[] = {EAGAIN, EINTR, EINVAL, ENOMEM, EIO, EPIPE};
    struct job job = *(const struct job *)data;
    struct outcome outcome;

    for (uint64_t seed = 1; seed <= 3; seed++) {
        job.seed = seed;
        const bool first = case_begin("%s: no fault", job_words(&job));
        job_run(&job, &outcome);
        if (first) {
            job_check_done(&job, &outcome);
            job_check_no_fallback(&outcome);
        }
        const struct seen reference = seen;
        for (int point = POINT_SPLICE_IN; point <= POINT_READ_BACK; point++)
            for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
                for (unsigned from = 1; from <= reference.calls[point]; from += 1 + from / 2)
                    run_slow_case(&job, (enum point)point, from, errors[i]);
    }
}

static void sides_that_are_not_ready(void **state)
{
    static const struct {
        enum end_kind source, sink;
        size_t capacity;
    } pairs[] = {
        {END_FILE, END_PIPE, 4096},
        {END_FILE, END_TCP, 4096},
        {END_FILE, END_UNIX, 4096},
        {END_PIPE, END_PIPE, 4096},
        {END_PIPE, END_TCP, 4096},
        {END_PIPE, END_UNIX, 4096},
        {END_TCP, END_PIPE, 4096},
        {END_TCP, END_TCP, 4096},
        {END_UNIX, END_PIPE, 4096},
        {END_UNIX, END_UNIX, 4096},
        {END_PIPE, END_FILE, 4096},
        {END_UNIX, END_FILE, 4096},
        /* The source has ended, and what is parked must be taken again by another method. */
        {END_FILE, END_PIPE, 1 << 17},
    };
    enum sluice_method methods[SLUICE_METHOD_COUNT];
    unsigned failed = 0;

    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct job job = {.source = pairs[i].source,
                          .sink = pairs[i].sink,
                          .length = pairs[i].capacity == 4096 ? 150000 : 400000,
                          .capacity = pairs[i].capacity,
                          .own_offsets = true,
                          .slow = true};
        const unsigned count = job_methods(&job, methods);
        failed += cases_run(run_slow, &job);
        for (unsigned k = 0; k < count; k++) {
            job.method = methods[k];
            failed += cases_run(run_slow, &job);
        }
    }
    cases_print("slow sides");
    assert_int_equal(failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rung_in_its_turn),
        cmocka_unit_test(every_errno_on_every_rung),
        cmocka_unit_test(parked_bytes_leave_through_memory),
        cmocka_unit_test(sides_that_are_not_ready),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
