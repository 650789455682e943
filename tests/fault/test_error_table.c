/* SPDX-License-Identifier: MIT */
/*
 * The library's table of errnos (lib/error.c) against the manual pages' (manual.c): for each call
 * and each errno there is, both must say the same. What the pages do not list is a failure.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/error.h"
#include "tests/fault/manual.h"

enum { ERRNO_LAST = 133 }; /* EHWPOISON */

static const struct {
    enum point point;
    enum call call;
} calls[] = {
    {POINT_READ, CALL_READ},
    {POINT_WRITE, CALL_WRITE},
    {POINT_READ_UNCACHED, CALL_READ_UNCACHED},
    {POINT_WRITE_UNCACHED, CALL_WRITE_UNCACHED},
    {POINT_MMAP, CALL_MAP},
    {POINT_WRITE_MAPPED, CALL_WRITE_MAPPED},
    {POINT_SENDFILE, CALL_SENDFILE},
    {POINT_COPY_RANGE, CALL_COPY_RANGE},
    {POINT_CLONE_RANGE, CALL_REFLINK},
    {POINT_SPLICE, CALL_SPLICE},
    {POINT_SPLICE_IN, CALL_SPLICE_IN},
    {POINT_SPLICE_OUT, CALL_SPLICE_OUT},
    {POINT_READ_BACK, CALL_READ_BACK},
    {POINT_PIPE2, CALL_PIPE},
};
#define CALLS (sizeof calls / sizeof *calls)

static enum action action_of(const struct manual_row *row)
{
    if (!row)
        return ACTION_FAIL;
    switch (row->expected) {
    case EXPECT_DONE:
        return row->error == EINTR ? ACTION_AGAIN : ACTION_WAIT;
    case EXPECT_FALLBACK:
        return ACTION_FALLBACK;
    case EXPECT_CACHED:
        return ACTION_CACHED;
    case EXPECT_BUFFERED:
        return ACTION_BUFFERED;
    default:
        return ACTION_FAIL;
    }
}

static void actions_are_the_manuals(void **state)
{
    int wrong = 0;

    (void)state;
    for (size_t i = 0; i < CALLS; i++)
        for (int error = 1; error <= ERRNO_LAST; error++) {
            const enum action wanted = action_of(manual_find(calls[i].point, error));
            const enum action got = error_action(calls[i].call, -error);
            if (got == wanted)
                continue;
            print_error("%s of %s: action %d, and the manual has %d\n", errno_name(error),
                        point_name(calls[i].point), got, wanted);
            wrong++;
        }
    assert_int_equal(wrong, 0);
}

static void sides_are_the_manuals(void **state)
{
    int wrong = 0;

    (void)state;
    for (size_t i = 0; i < CALLS; i++)
        for (int error = 1; error <= ERRNO_LAST; error++) {
            const enum sluice_side wanted = manual_side(calls[i].point, error);
            enum sluice_side got;
            const bool known = error_side(calls[i].call, -error, &got);
            if (!manual_find(calls[i].point, error))
                continue;
            if (known == (wanted != SLUICE_SIDE_SETUP) && (!known || got == wanted))
                continue;
            print_error("%s of %s: side %s (%s), and the manual has %s\n", errno_name(error),
                        point_name(calls[i].point), sluice_side_name(got),
                        known ? "known" : "to be asked", sluice_side_name(wanted));
            wrong++;
        }
    assert_int_equal(wrong, 0);
}

static void names_are_the_calls(void **state)
{
    (void)state;
    for (size_t i = 0; i < CALLS; i++) {
        assert_string_equal(call_name(calls[i].call), manual_operation(calls[i].point));
        assert_int_equal(call_method(calls[i].call), manual_method(calls[i].point));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(actions_are_the_manuals),
        cmocka_unit_test(sides_are_the_manuals),
        cmocka_unit_test(names_are_the_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
