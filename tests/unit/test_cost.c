/* SPDX-License-Identifier: MIT */
/* What CPU time says of a leg, with figures that were seen on processors which copy fast and slowly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/probe/cost.h"

static const struct seen {
    const char *leg;
    struct costs costs;
    bool cold;
    int says;
} seen[] = {
    {"memfd -> pipe, handed on",
     {{0.026, 0.025, 0.028}, {0.257, 0.250, 0.260}, {0.296, 0.288, 0.298}},
     true,
     -1},
    {"block -> memory, copied as fast as by memcpy()",
     {{0.208, 0.200, 0.212}, {0.217, 0.214, 0.221}, {0.277, 0.273, 0.304}},
     true,
     0},
    {"pipe -> ext4, copied faster than by memcpy()",
     {{0.183, 0.180, 0.190}, {0.257, 0.250, 0.260}, {0.290, 0.280, 0.300}},
     true,
     0},
    {"pipe -> tty, copied",
     {{5.291, 5.203, 5.592}, {0.267, 0.260, 0.270}, {0.290, 0.280, 0.300}},
     true,
     1},
    {"pipe -> tcp, handed on, at the cost of a protocol",
     {{0.087, 0.068, 0.127}, {0.253, 0.250, 0.260}, {0.290, 0.280, 0.300}},
     true,
     0},
    {"unix-dgram -> pipe, copied from the CPU's cache",
     {{0.063, 0.060, 0.072}, {0.032, 0.031, 0.032}, {0.111, 0.110, 0.112}},
     false,
     1},
    {"unix -> pipe, handed on",
     {{0.023, 0.022, 0.025}, {0.032, 0.031, 0.032}, {0.110, 0.109, 0.111}},
     false,
     0},
};

static void test_cost_says_what_it_can(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof seen / sizeof *seen; i++)
        if (cost_says(&seen[i].costs, seen[i].cold) != seen[i].says)
            fail_msg("%s: %d", seen[i].leg, cost_says(&seen[i].costs, seen[i].cold));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cost_says_what_it_can)};
    return cmocka_run_group_tests_name("cost", tests, NULL, NULL);
}
