/* SPDX-License-Identifier: MIT */
/*
 * direct, by threads instead of io_uring: every errno of every request, as test_errnos has them for
 * io_uring; with neither, another method serves; and requests that are interrupted, refused for the
 * moment and cut short at random lose nothing.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/fault/cases.h"
#include "tests/fault/manual.h"
#include "tests/fault/pairs.h"
#include "tests/fault/verdict.h"

static const struct {
    enum end_kind source, sink;
} pairs[] = {
    {END_DISK, END_DISK}, {END_DISK, END_PIPE}, {END_DISK, END_TCP},  {END_DISK, END_FILE},
    {END_PIPE, END_DISK}, {END_UNIX, END_DISK}, {END_FILE, END_DISK}, {END_DIRECT, END_DIRECT},
};
#define PAIRS (sizeof pairs / sizeof *pairs)

static const struct fault no_ring = {POINT_RING, 1, ALWAYS, ENOSYS, 0};

static bool must_have_direct(void)
{
    if (end_exists(END_DIRECT))
        return true;
    printf("SKIP: no O_DIRECT in $TMPDIR\n");
    return false;
}

static struct job job_of(size_t pair, bool steps)
{
    return pairs_job(pairs[pair].source, pairs[pair].sink, SLUICE_METHOD_DIRECT, steps);
}

/* ---- threads ---- */

enum { STORM = 25 };

static void run_case(const struct job *job, const struct manual_row *row, enum point point,
                     unsigned from, unsigned times)
{
    const bool passes = row->error == EAGAIN || row->error == EINTR;
    const struct fault fault = {
        .point = point,
        .from = from,
        .times = times == ALWAYS && passes ? STORM : times,
        .error = row->error,
    };
    struct outcome outcome;

    if (!case_begin("%s, by threads: %s at call %u%s of %s", job_words(job), errno_name(row->error),
                    from, times == 1 ? "" : " and on", point_name(point)))
        return;
    case_counts_for(job->method);
    inject(&no_ring);
    inject(&fault);
    job_run(job, &outcome);
    if (seen.struck == 0)
        case_fail("the call was not made");
    else
        verdict(job, &fault, row->expected, &outcome, 0);
}

static void run_threads(const void *data)
{
    static const enum point points[] = {POINT_DIRECT_READ, POINT_DIRECT_WRITE, POINT_DIRECT_IN,
                                        POINT_DIRECT_OUT, POINT_SUBMIT};
    const struct job *job = data;
    struct outcome outcome;

    const bool first = case_begin("%s, by threads: no other fault", job_words(job));
    inject(&no_ring);
    job_run(job, &outcome);
    if (first) {
        job_check_done(job, &outcome);
        job_check_no_fallback(&outcome);
        if (!outcome.ledger.engine || strcmp(outcome.ledger.engine, "threads") != 0 ||
            outcome.ledger.engine_refused != -ENOSYS)
            case_fail("the engine is %s, refused by %lld",
                      outcome.ledger.engine ? outcome.ledger.engine : "-",
                      (long long)outcome.ledger.engine_refused);
    }
    const struct seen reference = seen;
    for (size_t i = 0; i < sizeof points / sizeof *points; i++)
        for (const struct manual_row *row = manual; row->points; row++) {
            if (!(row->points >> points[i] & 1) || reference.calls[points[i]] == 0)
                continue;
            run_case(job, row, points[i], 1, 1);
            run_case(job, row, points[i], 2, 1);
            run_case(job, row, points[i], 2, ALWAYS);
        }
}

static void every_errno_of_threads(void **state)
{
    unsigned failed = 0;

    (void)state;
    if (!must_have_direct())
        skip();
    for (size_t i = 0; i < PAIRS; i++)
        for (int steps = 0; steps < 2; steps++) {
            const struct job job = job_of(i, steps);
            failed += cases_run(run_threads, &job);
        }
    cases_print("errnos, by threads");
    assert_int_equal(failed, 0);
}

/* ---- neither ---- */

static void without_any_engine_another_method_serves(void **state)
{
    static const int errors[] = {EAGAIN, ENOMEM, EPERM};
    static char bytes[40000], got[40001];

    (void)state;
    if (!must_have_direct())
        skip();
    pattern(bytes, sizeof bytes, 0);
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        for (int named = 0; named < 2; named++) {
            struct sluice_options options = SLUICE_OPTIONS_INIT;
            struct sluice_result result = {.size = sizeof result};
            struct end source, sink;
            sluice_endpoint *in, *out;
            sluice_context *context = sluice_context_new(NULL, NULL);

            end_open_source(&source, END_DISK, bytes, sizeof bytes, NULL);
            end_open_sink(&sink, END_PIPE, NULL);
            inject_none();
            inject(&no_ring);
            inject(&(struct fault){POINT_THREADS, 1, ALWAYS, errors[i], 0});
            inject_begin(source.fd, sink.fd);
            assert_int_equal(sluice_endpoint_from_fd(context, source.fd, SLUICE_BORROW, &in), 0);
            assert_int_equal(sluice_endpoint_from_fd(context, sink.fd, SLUICE_BORROW, &out), 0);
            options.cache = SLUICE_CACHE_BYPASS;
            options.method = named ? SLUICE_METHOD_DIRECT : SLUICE_METHOD_AUTO;
            const int error = sluice_copy(context, in, out, &options, &result);
            sluice_endpoint_free(in);
            sluice_endpoint_free(out);
            sluice_context_free(context);
            inject_end();
            inject_none();
            assert_int_equal(seen.descriptors, 2);
            if (named) {
                assert_int_equal(error, -errors[i]);
                assert_int_equal(result.error.side, SLUICE_SIDE_SETUP);
                assert_int_equal(result.ledger.delivered, 0);
            } else {
                assert_int_equal(error, 0);
                assert_int_equal(result.ledger.fallbacks, 1);
                assert_int_not_equal(result.ledger.method, SLUICE_METHOD_DIRECT);
                assert_int_equal(end_received(&sink, got, sizeof got), sizeof bytes);
                assert_memory_equal(got, bytes, sizeof bytes);
            }
            end_close(&source);
            end_close(&sink);
        }
}

/* ---- a fallback with requests in flight ---- */

/* A write in the middle is refused: what went before is delivered, what was written behind it is
 * written again, and nothing is lost or doubled. */
static void a_fallback_goes_on_at_the_byte(void **state)
{
    static char bytes[65536], got[65537];
    static const enum end_kind sources[] = {END_DISK, END_PIPE, END_UNIX, END_FILE};

    (void)state;
    if (!must_have_direct())
        skip();
    pattern(bytes, sizeof bytes, 0);
    for (size_t s = 0; s < sizeof sources / sizeof *sources; s++)
        for (unsigned from = 1; from <= 8; from++) {
            const struct end_options end_options = {.aligned = true, .capacity = 65536};
            struct sluice_options options = SLUICE_OPTIONS_INIT;
            struct sluice_result result = {.size = sizeof result};
            struct end source, sink;
            sluice_endpoint *in, *out;
            sluice_context *context = sluice_context_new(NULL, NULL);

            end_open_source(&source, sources[s], bytes, sizeof bytes, &end_options);
            end_open_sink(&sink, END_DISK, &end_options);
            inject_none();
            inject(&(struct fault){POINT_DIRECT_WRITE, from, ALWAYS, EOPNOTSUPP, 0});
            inject(&(struct fault){POINT_DIRECT_OUT, from, ALWAYS, EOPNOTSUPP, 0});
            inject_begin(source.fd, sink.fd);
            assert_int_equal(sluice_endpoint_from_fd(context, source.fd, SLUICE_BORROW, &in), 0);
            assert_int_equal(sluice_endpoint_from_fd(context, sink.fd, SLUICE_BORROW, &out), 0);
            options.cache = SLUICE_CACHE_BYPASS;
            options.chunk = 8192;
            const int error = sluice_copy(context, in, out, &options, &result);
            sluice_endpoint_free(in);
            sluice_endpoint_free(out);
            sluice_context_free(context);
            inject_end();
            inject_none();
            assert_int_equal(error, 0);
            assert_true(seen.fired > 0);
            assert_int_equal(result.ledger.fallbacks, 1);
            assert_int_equal(result.ledger.delivered, sizeof bytes);
            assert_int_equal(seen.descriptors, 2);
            assert_int_equal(end_received(&sink, got, sizeof got), sizeof bytes);
            assert_memory_equal(got, bytes, sizeof bytes);
            end_close(&source);
            end_close(&sink);
        }
}

/* ---- a private pipe that cannot be read ---- */

/* What is in it is parked, and can be salvaged when it can be read again. */
static void run_unreadable(const void *data)
{
    const struct job *job = data;
    struct outcome outcome;

    for (unsigned from = 1; from <= 3; from++) {
        if (!case_begin("%s: EIO at read %u of the private pipe and on", job_words(job), from))
            continue;
        case_counts_for(job->method);
        inject(&(struct fault){POINT_READ_BACK, from, ALWAYS, EIO, 0});
        job_run(job, &outcome);
        if (seen.fired == 0)
            continue;
        if (outcome.result != -EIO || outcome.error.side != SLUICE_SIDE_PIPE)
            case_fail("it returned %d, side %s", outcome.result,
                      sluice_side_name(outcome.error.side));
        if (outcome.ledger.parked == 0)
            case_fail("nothing is parked");
    }
}

static void an_unreadable_pipe_keeps_what_it_holds(void **state)
{
    unsigned failed = 0;

    (void)state;
    if (!must_have_direct())
        skip();
    for (int steps = 0; steps < 2; steps++) {
        struct job job = pairs_job(END_PIPE, END_DISK, SLUICE_METHOD_DIRECT, steps);
        job.length += 777;
        failed += cases_run(run_unreadable, &job);
        job.pipe_size = 8192;
        failed += cases_run(run_unreadable, &job);
    }
    cases_print("a pipe that cannot be read");
    assert_int_equal(failed, 0);
}

/* ---- at random ---- */

static void run_random(const void *data)
{
    const struct job *job = data;
    struct outcome outcome;

    for (uint64_t seed = 1; seed <= 60; seed++) {
        if (!case_begin("%s: at random, seed %llu", job_words(job), (unsigned long long)seed))
            continue;
        case_counts_for(job->method);
        if (seed % 2)
            inject(&no_ring);
        inject_at_random(seed, 4);
        job_run(job, &outcome);
        inject_at_random(0, 0);
        job_check_done(job, &outcome);
        job_check_no_fallback(&outcome);
    }
}

static void random_conditions_lose_nothing(void **state)
{
    unsigned failed = 0;

    (void)state;
    if (!must_have_direct())
        skip();
    for (size_t i = 0; i < PAIRS; i++)
        for (int steps = 0; steps < 2; steps++) {
            const struct job job = job_of(i, steps);
            failed += cases_run(run_random, &job);
        }
    cases_print("at random");
    assert_int_equal(failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_errno_of_threads),
        cmocka_unit_test(without_any_engine_another_method_serves),
        cmocka_unit_test(a_fallback_goes_on_at_the_byte),
        cmocka_unit_test(an_unreadable_pipe_keeps_what_it_holds),
        cmocka_unit_test(random_conditions_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
