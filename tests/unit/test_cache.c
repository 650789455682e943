/* SPDX-License-Identifier: MIT */
/* Where the line between a line that was read and one that was not is drawn, with times that were seen on
 * a processor whose cores share no cache, and whose memory is near or far. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/probe/cache.h"

enum { SHORTEST_COLD = 364 }; /* of all that were seen */

static const struct seen {
    const char *what;
    enum cache_reader reader;
    struct cache_times times;
    bool works;
} seen[] = {
    {"read here, memory near", CACHE_HERE, {430, 368, 64, 66}, true},
    {"read here, memory far", CACHE_HERE, {772, 726, 62, 64}, true},
    {"read here, among noise", CACHE_HERE, {430, 368, 120, 260}, false},
    {"read elsewhere, memory near", CACHE_ELSEWHERE, {478, 378, 276, 300}, true},
    {"read elsewhere, memory far", CACHE_ELSEWHERE, {756, 482, 256, 270}, true},
    {"read elsewhere, by one that slept", CACHE_ELSEWHERE, {430, 368, 326, 350}, false},
};

static void test_line_is_drawn_near_the_hot(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof seen / sizeof *seen; i++) {
        const struct cache cache = cache_judge(&seen[i].times, seen[i].reader);

        if (cache.works != seen[i].works)
            fail_msg("%s: works: %d", seen[i].what, cache.works);
        if (cache.works &&
            (cache.threshold <= seen[i].times.most_hot || cache.threshold >= SHORTEST_COLD))
            fail_msg("%s: the line is at %u", seen[i].what, cache.threshold);
        assert_int_equal(cache.hot, seen[i].times.hot);
        assert_int_equal(cache.cold, seen[i].times.cold);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_line_is_drawn_near_the_hot)};
    return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
