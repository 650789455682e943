/* SPDX-License-Identifier: MIT */
/*
 * Random transfers: pair, method, sizes, offsets, chunk, pipe size, budget, the pieces in which the
 * source is fed and the sink drained, and interruptions, refusals for the moment and short counts
 * strewn over the calls. Whatever the dice say, the bytes are the same at the other end.
 *
 * Every case is made from its seed alone, which its description shows. SLUICE_SEEDS is the number
 * of seeds (3000, and ten times as many where everything is tested), SLUICE_SEED the first one (1).
 *
 * timeout: 300
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/fault/cases.h"
#include "tests/fault/inject.h"
#include "tests/fault/job.h"
#include "tests/fault/manual.h"

static uint64_t environment(const char *name, uint64_t otherwise)
{
    const char *value = getenv(name);
    return value ? strtoull(value, NULL, 10) : otherwise;
}

/* TEST_ALL is there, and empty, where not everything is to be run. */
static uint64_t seeds_to_try(void)
{
    const char *all = getenv("TEST_ALL");
    return environment("SLUICE_SEEDS", all && *all ? 30000 : 6000);
}

/* Most of them small, some large. */
static uint64_t size(uint64_t *seed, uint64_t most)
{
    uint64_t bound = most;
    while (bound > 1 && random_below(seed, 3) > 0)
        bound /= 4;
    return random_below(seed, bound + 1);
}

static struct job random_job(uint64_t number)
{
    static const enum end_kind sources[] = {END_FILE, END_FILE, END_DISK, END_PIPE,
                                            END_PIPE, END_TCP,  END_UNIX, END_ZERO};
    static const enum end_kind sinks[] = {END_FILE, END_DISK, END_APPEND, END_PIPE, END_PIPE,
                                          END_TCP,  END_UNIX, END_NULL,   END_FILE};
    uint64_t seed = number * 0x9e3779b97f4a7c15U + 1;
    struct job job = {.seed = number};

    for (int i = 0; i < 8; i++)
        random_next(&seed);
    job.source = sources[random_below(&seed, sizeof sources / sizeof *sources)];
    job.sink = sinks[random_below(&seed, sizeof sinks / sizeof *sinks)];
    job.slow = random_below(&seed, 2) && job.source != END_ZERO;
    job.steps = random_below(&seed, 2);
    job.blocking = !job.slow && random_below(&seed, 2);
    job.own_offsets = random_below(&seed, 2);
    job.length = size(&seed, job.slow ? 400000 : 15000);
    if (end_has_offset(job.source) && end_has_offset(job.sink))
        job.length = size(&seed, 3000000);
    if (random_below(&seed, 4) == 0)
        job.limit = 1 + size(&seed, job.length + 1000);
    if (random_below(&seed, 2))
        job.chunk = 1 + (uint32_t)size(&seed, 300000);
    if (job.chunk && job.length / job.chunk > 1000)
        job.chunk = (uint32_t)(job.length / 1000);
    if (random_below(&seed, 3) == 0)
        job.pipe_size = 4096U << random_below(&seed, 6);
    if (job.slow)
        job.capacity = (size_t)4096 << random_below(&seed, 4);
    if (random_below(&seed, 3) == 0)
        job.budget = 1 + job.length / 500 + size(&seed, 100000);
    if (job.source == END_ZERO) { /* it has no end of its own */
        job.length++;
        job.limit = 0;
    }
    /* Where nobody reads before the end, each call may take a slot of its own. */
    if (!job.slow && job.chunk && job.length / job.chunk > 6)
        job.chunk = 0;
    if (!job.slow && job.budget && job.length / job.budget > 6)
        job.budget = 0;
    return job;
}

static void one_of_its_methods(struct job *job, uint64_t number)
{
    enum sluice_method methods[SLUICE_METHOD_COUNT];
    uint64_t seed = number + 77;
    const unsigned count = job_methods(job, methods);

    random_next(&seed);
    const uint64_t choice = random_below(&seed, count + 2);
    if (choice < count)
        job->method = methods[choice];
}

static void run_seeds(const void *data)
{
    const uint64_t first = environment("SLUICE_SEED", 1);
    const uint64_t seeds = seeds_to_try();
    struct outcome outcome;

    (void)data;
    for (uint64_t number = first; number < first + seeds; number++) {
        struct job job = random_job(number);
        /* Where nobody reads meanwhile, short pieces would fill the sink's slots. */
        const unsigned rarity =
            (unsigned)(job.slow || end_has_offset(job.sink) ? number % 3 ? 2 + number % 11 : 0 : 0);
        one_of_its_methods(&job, number);
        if (!case_begin("seed %llu, %s", (unsigned long long)number, job_words(&job)))
            continue;
        case_counts_for(job.method);
        inject_at_random(number, rarity);
        job_run(&job, &outcome);
        job_check_done(&job, &outcome);
        if (!job.blocking) /* a socket that would make splice wait is sent to */
            job_check_no_fallback(&outcome);
    }
}

static void bytes_are_the_same_whatever_happens(void **state)
{
    (void)state;
    const unsigned failed = cases_run(run_seeds, NULL);
    cases_print("random");
    assert_int_equal(failed, 0);
}

/* A fault that cannot be overcome at a random call: the checks of any transfer hold. */
static void run_failures(const void *data)
{
    const uint64_t first = environment("SLUICE_SEED", 1);
    const uint64_t seeds = seeds_to_try();
    struct outcome outcome;

    (void)data;
    for (uint64_t number = first; number < first + seeds; number++) {
        static const int errors[] = {EIO, EINVAL, EPIPE, ENOMEM, ENOSYS, ECONNRESET, ENOSPC};
        struct job job = random_job(number);
        uint64_t seed = number + 1000003;
        random_next(&seed);
        const struct fault fault = {
            .point = (enum point)random_below(&seed, POINT_POLL_NOW),
            .from = 1 + (unsigned)size(&seed, 60),
            .times = random_below(&seed, 2) ? 1 : ALWAYS,
            .error = errors[random_below(&seed, sizeof errors / sizeof *errors)],
        };
        one_of_its_methods(&job, number);
        if (!case_begin("seed %llu, %s, %s at call %u%s of %s", (unsigned long long)number,
                        job_words(&job), errno_name(fault.error), fault.from,
                        fault.times == 1 ? "" : " and on", point_name(fault.point)))
            continue;
        case_counts_for(job.method);
        inject(&fault);
        if (job.slow)
            inject_at_random(number, 7);
        job_run(&job, &outcome);
        if (seen.fired == 0)
            job_check_done(&job, &outcome);
    }
}

static void nothing_is_lost_whatever_fails(void **state)
{
    (void)state;
    const unsigned failed = cases_run(run_failures, NULL);
    cases_print("random failures");
    assert_int_equal(failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_the_same_whatever_happens),
        cmocka_unit_test(nothing_is_lost_whatever_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
