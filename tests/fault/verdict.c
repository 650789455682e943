/* SPDX-License-Identifier: MIT */
#include "tests/fault/verdict.h"

#include <errno.h>
#include <string.h>

#include "tests/fault/cases.h"

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
             fault->point != POINT_OPEN &&
             outcome->error.side != manual_side(fault->point, fault->error))
        case_fail("the side is '%s', and was '%s'", sluice_side_name(outcome->error.side),
                  sluice_side_name(manual_side(fault->point, fault->error)));
}

static void check_record(const struct job *job, const struct fault *fault,
                         const struct outcome *outcome, unsigned earlier, enum sluice_method to)
{
    const struct sluice_fallback *record = outcome->fallback + earlier;
    const enum sluice_side side = manual_side(fault->point, fault->error);

    job_check_done(job, outcome);
    if (outcome->stage != STAGE_MOVE)
        return;
    if (outcome->ledger.fallbacks <= earlier) {
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
                           const struct outcome *outcome, unsigned earlier)
{
    enum sluice_method next;

    if (job->method == SLUICE_METHOD_AUTO &&
        job_next_method(outcome, manual_method(fault->point), &next))
        check_record(job, fault, outcome, earlier, next);
    else
        check_error(job, fault, outcome);
}

/* Of O_DIRECT: the same method goes on without it. */
static void check_buffered(const struct job *job, const struct fault *fault,
                           const struct outcome *outcome, unsigned earlier)
{
    const bool of_source = manual_side(fault->point, fault->error) == SLUICE_SIDE_SOURCE;

    if ((of_source ? job->source : job->sink) == END_DIRECT && fault->times == 1)
        check_record(job, fault, outcome, earlier, manual_method(fault->point));
    else
        check_error(job, fault, outcome);
}

/* direct opens its ends again, or cannot serve; where it gets no pipe it may do with memory. */
static enum expected in_direct(const struct job *job, const struct fault *fault,
                               enum expected expected)
{
    const uint64_t spared = POINT(OPEN) | POINT(PIPE2) | POINT(DUP);
    return job->method == SLUICE_METHOD_DIRECT && (spared >> fault->point & 1)
               ? EXPECT_ERROR_OR_DONE
               : expected;
}

void verdict(const struct job *job, const struct fault *fault, enum expected expected,
             const struct outcome *outcome, unsigned earlier)
{
    switch (in_direct(job, fault, expected)) {
    case EXPECT_DONE:
        job_check_done(job, outcome);
        if (outcome->ledger.fallbacks > earlier)
            case_fail("it fell back to %s, and had no reason to",
                      sluice_method_name(outcome->fallback[earlier].to));
        break;
    case EXPECT_FALLBACK:
        check_fallback(job, fault, outcome, earlier);
        break;
    case EXPECT_BUFFERED:
        check_buffered(job, fault, outcome, earlier);
        break;
    case EXPECT_CACHED:
        check_record(job, fault, outcome, earlier, manual_method(fault->point));
        break;
    case EXPECT_ERROR:
        check_error(job, fault, outcome);
        break;
    case EXPECT_ERROR_OR_DONE:
        check_either(job, fault, outcome);
        break;
    }
}
