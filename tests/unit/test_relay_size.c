/* SPDX-License-Identifier: MIT */
/* An idle connection of the relay takes at most 1 KiB: what it holds is its own structure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/connection.h"

static void a_connection_is_small(void **state)
{
    (void)state;
    print_message("%zu bytes\n", sizeof(struct connection));
    assert_true(sizeof(struct connection) <= 512);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_connection_is_small)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
