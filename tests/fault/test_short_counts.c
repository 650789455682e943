/* SPDX-License-Identifier: MIT */
/*
 * Calls that move less than they were asked for, and calls that move nothing and say so with 0: at
 * the first, the second and the last such call of a transfer, and at all of them.
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

#define TAKING                                                                                     \
    (POINT(SPLICE_IN) | POINT(SPLICE) | POINT(SENDFILE) | POINT(COPY_RANGE) | POINT(READ) |        \
     POINT(RECV))
#define GIVING    (POINT(SPLICE_OUT) | POINT(WRITE) | POINT(SEND))
#define MAPPED    (POINT(WRITE_MAPPED) | POINT(SEND_MAPPED))
#define IN_KERNEL (POINT(SPLICE_IN) | POINT(SPLICE) | POINT(SENDFILE) | POINT(COPY_RANGE))

static bool is_direct(const struct job *job)
{
    return job->source == END_DIRECT || job->sink == END_DIRECT;
}

/* ---- short ---- */

static void run_cut(const struct job *job, enum point point, unsigned from, unsigned times,
                    size_t cut)
{
    const struct fault fault = {.point = point, .from = from, .times = times, .cut = cut};
    struct outcome outcome;

    if (!case_begin("%s: %zu bytes at call %u%s of %s", job_words(job), cut, from,
                    times == 1 ? "" : " and on", point_name(point)))
        return;
    case_counts_for(job->method);
    inject(&fault);
    job_run(job, &outcome);
    if (seen.fired == 0)
        case_fail("the call was not made");
    if (is_direct(job)) /* a piece that is not aligned ends O_DIRECT, or the method */
        return;
    job_check_done(job, &outcome);
    job_check_no_fallback(&outcome);
}

static void run_cuts(const struct job *job, enum point point, unsigned calls)
{
    const size_t cuts[] = {1, 7, 4096, job->chunk - 1};
    /* Pipes and sockets hold so many pieces, however short. */
    const bool few_slots = job->sink == END_PIPE && job->capacity == 0;
    const size_t least = end_has_offset(job->sink) ? 50 : job->chunk / 3;

    /* A message that is shorter is another message. */
    if ((GIVING | MAPPED) >> point & 1 && end_has_messages(job->sink))
        return;
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        run_cut(job, point, 1, 1, cuts[i]);
        if (calls >= 2)
            run_cut(job, point, 2, 1, cuts[i]);
        if (calls >= 3)
            run_cut(job, point, calls, 1, cuts[i]);
        if (!few_slots)
            run_cut(job, point, 1, ALWAYS, cuts[i] < least ? cuts[i] + least : cuts[i]);
    }
}

/* ---- nothing ---- */

/* A file that has more: the call lied, and another method finds out the truth. */
static void check_false_end(const struct job *job, enum point point, const struct outcome *outcome)
{
    enum sluice_method next;

    if (job->method == SLUICE_METHOD_AUTO &&
        job_next_method(outcome, manual_method(point), &next)) {
        job_check_done(job, outcome);
        if (outcome->ledger.fallbacks == 0)
            case_fail("no fallback is recorded");
        else if (outcome->fallback[0].error != 0 || outcome->fallback[0].at != seen.delivered_at ||
                 !outcome->fallback[0].reason)
            case_fail("the fallback has the errno %d, byte %llu, reason '%s'",
                      outcome->fallback[0].error, (unsigned long long)outcome->fallback[0].at,
                      outcome->fallback[0].reason ? outcome->fallback[0].reason : "-");
    } else if (outcome->result >= 0) {
        case_fail("it is done after %llu bytes of a file that has more",
                  (unsigned long long)outcome->ledger.delivered);
    }
}

static void run_nothing(const struct job *job, enum point point, unsigned from, unsigned times,
                        bool at_end)
{
    const struct fault fault = {.point = point, .from = from, .times = times};
    const bool of_file = end_has_offset(job->source);
    struct outcome outcome;

    if (!case_begin("%s: 0 at call %u%s of %s", job_words(job), from, times == 1 ? "" : " and on",
                    point_name(point)))
        return;
    case_counts_for(job->method);
    inject(&fault);
    job_run(job, &outcome);
    if (seen.fired == 0)
        case_fail("the call was not made");
    else if (GIVING >> point & 1 && outcome.result >= 0)
        case_fail("it is done, though the sink took nothing");
    else if (GIVING >> point & 1 && outcome.error.side != SLUICE_SIDE_SINK)
        case_fail("the side is %s", sluice_side_name(outcome.error.side));
    else if (IN_KERNEL >> point & 1 && of_file && !at_end)
        check_false_end(job, point, &outcome);
    else if (MAPPED >> point & 1 && times == 1 && job->method == SLUICE_METHOD_AUTO)
        job_check_done(job, &outcome);
    /* 0 from any other call is the end: what is left then is still in the source. */
}

static void run_nothings(const struct job *job, enum point point, unsigned calls)
{
    const bool meets_end = !(GIVING >> point & 1);

    run_nothing(job, point, 1, 1, false);
    run_nothing(job, point, 1, ALWAYS, false);
    if (calls >= 2)
        run_nothing(job, point, 2, 1, meets_end && calls == 2);
    if (calls >= 3)
        run_nothing(job, point, calls, 1, meets_end);
}

/* ---- all ---- */

static void run_job(const void *data)
{
    const struct job *job = data;
    struct outcome outcome;

    case_begin("%s: no fault", job_words(job));
    job_run(job, &outcome);
    const struct seen reference = seen;
    for (int point = 0; point < POINT_COUNT; point++)
        if (reference.calls[point] > 0 && ((TAKING | GIVING | MAPPED) >> point & 1)) {
            run_cuts(job, (enum point)point, reference.calls[point]);
            run_nothings(job, (enum point)point, reference.calls[point]);
        }
}

static void short_counts_and_nothing(void **state)
{
    (void)state;
    const unsigned failed = pairs_run(run_job);
    cases_print("short counts");
    assert_int_equal(failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_counts_and_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
