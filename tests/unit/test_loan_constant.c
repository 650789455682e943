/* SPDX-License-Identifier: MIT */
/* Constant loans: filled once, sent often, and never written again. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "sluice.h"
#include "tests/unit/ends.h"
#include "tests/unit/loan_scene.h"

static void a_constant_loan_is_sent_again_and_again(void **state)
{
    enum { LENGTH = 20000 };
    char got[LENGTH], wanted[LENGTH];

    (void)state;
    fill(wanted, LENGTH, 3);
    for (unsigned behind = 0; behind < BEHIND_COUNT; behind++)
        for (unsigned way = SLUICE_LOAN_AUTO; way < SLUICE_LOAN_WAY_COUNT; way++) {
            struct scene scene;
            sluice_loan *loan;
            loan_scene_open(&scene, behind, way, LENGTH, 1);
            assert_int_equal(sluice_loan_get(scene.pool, SLUICE_LOAN_CONSTANT, &loan), 0);
            fill(sluice_loan_data(loan), LENGTH, 3);
            for (unsigned i = 0; i < 20; i++) {
                assert_int_equal(sluice_loan_send_all(loan, scene.sink, 0, LENGTH, NULL), 0);
                assert_int_equal(read_all(scene.peer, got, LENGTH), LENGTH);
                assert_memory_equal(got, wanted, LENGTH);
            }
            assert_int_equal(sluice_loan_returned(loan), 0);
            sluice_loan_put(loan);
            loan_scene_close(&scene);
        }
}

/* Pieces of one loan, in any order: the sealed file grows with what is asked of it. */
static void pieces_of_a_constant_loan_in_any_order(void **state)
{
    enum { LENGTH = 256 * KIB, PIECE = 16 * KIB };
    struct scene scene;
    sluice_loan *loan;
    char got[PIECE];
    uint64_t seed = 11;

    (void)state;
    loan_scene_open(&scene, UNIX, SLUICE_LOAN_SENDFILE, LENGTH, 1);
    assert_int_equal(sluice_loan_get(scene.pool, SLUICE_LOAN_CONSTANT, &loan), 0);
    const char *data = sluice_loan_data(loan);
    fill(sluice_loan_data(loan), LENGTH, 1);
    for (unsigned i = 0; i < 100; i++) {
        const uint64_t offset = random_below(&seed, LENGTH - PIECE);
        const uint64_t length = 1 + random_below(&seed, PIECE);
        assert_int_equal(sluice_loan_send(loan, scene.sink, offset, length), length);
        assert_int_equal(read_all(scene.peer, got, length), length);
        assert_memory_equal(got, data + offset, length);
    }
    assert_int_equal(choice_of(&scene, SLUICE_LOAN_SENDFILE).calls, 100);
    sluice_loan_put(loan);
    loan_scene_close(&scene);
}

enum { NOT_WRITABLE = 42 };

static void on_fault(int number)
{
    (void)number;
    _exit(NOT_WRITABLE);
}

static void a_constant_loan_cannot_be_written_once_sent(void **state)
{
    struct scene scene;
    sluice_loan *loan;
    int status;

    (void)state;
    loan_scene_open(&scene, PIPE, SLUICE_LOAN_AUTO, 4096, 1);
    assert_int_equal(sluice_loan_get(scene.pool, SLUICE_LOAN_CONSTANT, &loan), 0);
    *(volatile char *)sluice_loan_data(loan) = 1;
    assert_int_equal(sluice_loan_send(loan, scene.sink, 0, 4096), 4096);
    const pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, on_fault);
        *(volatile char *)sluice_loan_data(loan) = 2;
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == NOT_WRITABLE);
    sluice_loan_put(loan);
    loan_scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_constant_loan_is_sent_again_and_again),
        cmocka_unit_test(pieces_of_a_constant_loan_in_any_order),
        cmocka_unit_test(a_constant_loan_cannot_be_written_once_sent),
    };
    return cmocka_run_group_tests(tests, loan_set_up, loan_tear_down);
}
