/* SPDX-License-Identifier: MIT */
/* What the figures of `sluice bench` may say: the same thing twice is no difference, however noisy it
 * was; and what differs by a fifth is seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>

#include "measure/statistics.c"

static uint64_t state;

static double uniform(void)
{
    return (random_below(&state, 1u << 30) + 0.5) / (1u << 30);
}

static double normal(void)
{
    return sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform());
}

/* A machine's moods: some per cent of noise, a drift that both sides feel, now and then somebody else. */
static void draw(double *values, double *others, unsigned count, double factor, double noise)
{
    double drift = 0;
    for (unsigned i = 0; i < count; i++) {
        drift += 0.02 * normal();
        values[i] = factor * exp(drift + noise * normal()) * (uniform() < 0.1 ? 1.5 : 1);
        others[i] = exp(drift + noise * normal()) * (uniform() < 0.1 ? 1.5 : 1);
    }
}

struct trial {
    unsigned runs;
    double noise, factor;
    enum difference wanted;
    double least, most; /* share of the trials that must come out as wanted */
};

static void test_trials(void **unused)
{
    static const struct trial trials[] = {
        {5, 0.02, 1, DIFFERENCE_NONE, 0.97, 1},       {7, 0.05, 1, DIFFERENCE_NONE, 0.97, 1},
        {9, 0.02, 1, DIFFERENCE_NONE, 0.97, 1},       {9, 0.10, 1, DIFFERENCE_NONE, 0.97, 1},
        {15, 0.05, 1, DIFFERENCE_NONE, 0.97, 1},      {31, 0.05, 1, DIFFERENCE_NONE, 0.97, 1},
        {9, 0.02, 1.3, DIFFERENCE_MORE, 0.6, 1},      {15, 0.03, 1.3, DIFFERENCE_MORE, 0.9, 1},
        {15, 0.03, 1 / 1.3, DIFFERENCE_LESS, 0.9, 1}, {31, 0.05, 1.2, DIFFERENCE_MORE, 0.9, 1},
        {9, 0.02, 1.3, DIFFERENCE_LESS, 0, 0},        {9, 0.05, 1.01, DIFFERENCE_NONE, 0.97, 1},
        {4, 0.01, 2, DIFFERENCE_NONE, 1, 1}, /* too few to say anything */
    };
    (void)unused;
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) {
        const struct trial *trial = &trials[i];
        unsigned as_wanted = 0;
        state = 1 + i;
        enum { TIMES = 200 };
        for (unsigned k = 0; k < TIMES; k++) {
            double values[MOST_RUNS], others[MOST_RUNS], once[MOST_RUNS], again[MOST_RUNS];
            draw(values, others, trial->runs, trial->factor, trial->noise);
            draw(once, again, trial->runs, 1, trial->noise);
            const double floor = statistics_floor(once, again, trial->runs);
            as_wanted += statistics_compare(values, others, trial->runs, floor) == trial->wanted;
        }
        const double share = (double)as_wanted / TIMES;
        if (share < trial->least || share > trial->most)
            fail_msg("trial %zu: %.3f of them, wanted %.2f to %.2f", i, share, trial->least,
                     trial->most);
    }
}

/* The control of a run is judged without itself: its floor is the least there is. */
static void test_controls(void **unused)
{
    unsigned winners = 0;
    (void)unused;
    state = 99;
    for (unsigned i = 0; i < 400; i++) {
        double values[MOST_RUNS], others[MOST_RUNS];
        draw(values, others, 9, 1, 0.05);
        winners += statistics_compare(values, others, 9, 1.02) != DIFFERENCE_NONE;
    }
    if (winners > 8)
        fail_msg("%u of 400 controls had a winner", winners);
}

static void test_median(void **unused)
{
    const double odd[] = {3, 1, 2}, even[] = {4, 1, 3, 2}, one[] = {7};
    (void)unused;
    assert_true(statistics_median(odd, 3) == 2);
    assert_true(statistics_median(even, 4) == 2.5);
    assert_true(statistics_median(one, 1) == 7);
    assert_true(statistics_median(one, 0) == 0);
}

static void test_interval(void **unused)
{
    double values[MOST_RUNS];
    (void)unused;
    for (unsigned i = 0; i < MOST_RUNS; i++)
        values[i] = i;
    struct interval few = statistics_interval(values, 5, 0.95);
    assert_true(few.low == 0 && few.middle == 2 && few.high == 4);
    struct interval many = statistics_interval(values, 25, 0.95);
    assert_true(many.low > 2 && many.low < many.middle && many.middle < many.high);
    assert_true(many.high < 22 && many.middle == 12);
    struct interval wider = statistics_interval(values, 25, 0.999);
    assert_true(wider.low <= many.low && wider.high >= many.high);
    struct interval again = statistics_interval(values, 25, 0.95);
    assert_memory_equal(&again, &many, sizeof many);
    const double zero[] = {0, 0, 0, 0, 0};
    assert_true(statistics_ratio(values, zero, 5, 0.95).middle == 0);
    assert_int_equal(statistics_compare(values, zero, 5, 1.02), DIFFERENCE_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_median),
        cmocka_unit_test(test_interval),
        cmocka_unit_test(test_controls),
        cmocka_unit_test(test_trials),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
