/* SPDX-License-Identifier: MIT */
/* The token bucket, in a time of the test's own: what is let go is what the limit says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/rate.h"

#define SECOND 1000000000U

static const uint64_t limits[] = {
    1, 10, 1000, 65536, 1000000, 123456789, 4000000000U, 100000000000U, UINT64_C(10000000000000)};
#define LIMITS (sizeof limits / sizeof *limits)

/* A transfer that asks for `want` at a time, each call taking `cost` nanoseconds. */
struct flow {
    struct rate rate;
    uint64_t now, moved, waits;
};

static void flow_until(struct flow *flow, uint64_t want, uint64_t cost, uint64_t until)
{
    while (flow->now < until) {
        uint64_t deadline = 0;
        const uint64_t allowed = rate_allow(&flow->rate, want, flow->now, &deadline);
        if (allowed == 0) {
            assert_true(deadline > flow->now); /* else it would spin */
            flow->now = deadline;
            flow->waits++;
            continue;
        }
        const uint64_t bytes = allowed < want ? allowed : want;
        rate_spend(&flow->rate, bytes);
        flow->moved += bytes;
        flow->now += cost;
    }
}

static void the_limit_is_kept(void **state)
{
    static const uint64_t wants[] = {1, 4096, 65536, 1 << 20, 1 << 30};

    (void)state;
    for (size_t i = 0; i < LIMITS; i++)
        for (size_t k = 0; k < sizeof wants / sizeof *wants; k++) {
            struct flow flow = {.now = 12345 * (uint64_t)SECOND};
            if (limits[i] / wants[k] > 20000)
                continue; /* no call is as quick as that */
            rate_init(&flow.rate, limits[i], flow.now);
            const uint64_t begun = flow.now;
            flow_until(&flow, wants[k], 1, begun + 10 * (uint64_t)SECOND);
            const double seconds = (double)(flow.now - begun) / SECOND;
            const double wanted = (double)limits[i] * seconds;
            assert_true((double)flow.moved <= wanted * 1.05 + 1);
            assert_true((double)flow.moved >= wanted * 0.95 - 1);
            assert_true(flow.waits > 0);
        }
}

/* A limit costs few calls: bytes go in portions, not one by one. */
static void the_limit_costs_few_calls(void **state)
{
    struct flow flow = {.now = SECOND};

    (void)state;
    rate_init(&flow.rate, 10000000, flow.now);
    flow_until(&flow, 1 << 20, 1000, 11 * (uint64_t)SECOND);
    assert_true(flow.waits <= 2000);
}

/* Time that was not used is not saved up: after a pause no more than a moment's worth is let go at
 * once. */
static void a_pause_is_not_made_up_for(void **state)
{
    (void)state;
    for (size_t i = 2; i < LIMITS; i++) {
        struct flow flow = {.now = SECOND};
        rate_init(&flow.rate, limits[i], flow.now);
        flow_until(&flow, limits[i], 1, 2 * (uint64_t)SECOND);
        flow.now += 1000 * (uint64_t)SECOND;
        const uint64_t before = flow.moved, begun = flow.now;
        flow_until(&flow, limits[i], 1, flow.now + SECOND);
        const double seconds = (double)(flow.now - begun) / SECOND;
        assert_true((double)(flow.moved - before) <= (double)limits[i] * (seconds + 0.3) + 1);
    }
}

static void without_a_limit_there_is_none(void **state)
{
    struct rate rate;
    uint64_t deadline = 7;

    (void)state;
    rate_init(&rate, 0, SECOND);
    assert_int_equal(rate_allow(&rate, 1 << 20, SECOND, &deadline), UINT64_MAX);
    assert_int_equal(deadline, 7);
}

/* A machine that has been up for a century, and a transfer that goes on for a year. */
static void large_numbers_do_no_harm(void **state)
{
    const uint64_t century = UINT64_C(3155760000) * SECOND;
    struct flow flow = {.now = century};

    (void)state;
    rate_init(&flow.rate, 1000000, flow.now);
    for (int day = 0; day < 365; day++) {
        const uint64_t before = flow.moved, begun = flow.now;
        flow_until(&flow, 1 << 20, 1, flow.now + SECOND);
        assert_true((double)(flow.moved - before) <=
                    1e6 * ((double)(flow.now - begun) / SECOND + 0.3) + 1);
        flow.now += 86400 * (uint64_t)SECOND;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_limit_is_kept),
        cmocka_unit_test(the_limit_costs_few_calls),
        cmocka_unit_test(a_pause_is_not_made_up_for),
        cmocka_unit_test(without_a_limit_there_is_none),
        cmocka_unit_test(large_numbers_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
