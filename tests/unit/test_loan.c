/* SPDX-License-Identifier: MIT */
/*
 * A loan is given out again only when that is safe; nothing is left unaccounted; ways are chosen by what a
 * probe has found.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/probe/probe.h"
#include "sluice.h"
#include "tests/unit/ends.h"
#include "tests/unit/loan_scene.h"

/* ---- when it may be written again ---- */

static void returned_says_when_it_may_be_written(void **state)
{
    struct scene scene;
    sluice_loan *loan;

    (void)state;
    loan_scene_open(&scene, PIPE, SLUICE_LOAN_WRITE, 4096, 2);
    assert_int_equal(sluice_loan_get(scene.pool, 0, &loan), 0);
    assert_int_equal(sluice_loan_returned(loan), 1);
    assert_int_equal(sluice_loan_send(loan, scene.sink, 0, 100), 100);
    assert_int_equal(sluice_loan_returned(loan), 1); /* it was copied */
    sluice_loan_put(loan);
    loan_scene_close(&scene);

    loan_scene_open(&scene, PIPE, SLUICE_LOAN_VMSPLICE, 4096, 2);
    assert_int_equal(sluice_loan_get(scene.pool, 0, &loan), 0);
    assert_int_equal(sluice_loan_send(loan, scene.sink, 0, 100), 100);
    assert_int_equal(sluice_loan_returned(loan), 0);
    char buffer[100];
    assert_int_equal(read(scene.peer, buffer, sizeof buffer), 100);
    assert_int_equal(sluice_loan_returned(loan), 0); /* somebody may have teed it */
    sluice_loan_put(loan);
    loan_scene_close(&scene);

    loan_scene_open(&scene, TCP, SLUICE_LOAN_ZEROCOPY, 64 * KIB, 2);
    assert_int_equal(sluice_loan_get(scene.pool, 0, &loan), 0);
    const int fd = sluice_loan_pool_fd(scene.pool);
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    assert_true(fd > 2);
    assert_int_equal(poll(&wait, 1, 0), 0);
    const ssize_t sent = sluice_loan_send(loan, scene.sink, 0, 64 * KIB);
    assert_true(sent > 0);
    assert_int_equal(stats_of(&scene).sent, 1);
    assert_int_equal(poll(&wait, 1, 5000), 1); /* it comes back, by that descriptor */
    assert_true(sluice_loan_pool_reap(scene.pool) > 0);
    assert_int_equal(poll(&wait, 1, 0), 0);
    assert_int_equal(sluice_loan_returned(loan), 1);
    sluice_loan_put(loan);
    loan_scene_close(&scene);
}

static void a_pool_gives_no_more_than_it_may(void **state)
{
    struct scene scene;
    sluice_loan *loan[4], *more;

    (void)state;
    loan_scene_open(&scene, PIPE, SLUICE_LOAN_AUTO, 5000, 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(sluice_loan_get(scene.pool, 0, &loan[i]), 0);
        assert_int_equal(sluice_loan_size(loan[i]) % 4096, 0);
        assert_int_equal((uintptr_t)sluice_loan_data(loan[i]) % 4096, 0);
        memset(sluice_loan_data(loan[i]), (int)i, sluice_loan_size(loan[i]));
    }
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(*(char *)sluice_loan_data(loan[i]), i);
    assert_int_equal(sluice_loan_get(scene.pool, 0, &more), -EAGAIN);
    assert_int_equal(sluice_loan_get(scene.pool, SLUICE_LOAN_CONSTANT, &more), -EAGAIN);
    assert_int_equal(sluice_loan_get(scene.pool, 64, &more), -EINVAL);
    assert_int_equal(stats_of(&scene).held, 4);
    sluice_loan_sink_free(scene.sink);
    scene.sink = NULL;
    assert_int_equal(sluice_loan_pool_free(scene.pool), -EBUSY);
    for (unsigned i = 0; i < 4; i++)
        sluice_loan_put(loan[i]);
    assert_int_equal(stats_of(&scene).idle, 4);
    assert_int_equal(sluice_loan_get(scene.pool, SLUICE_LOAN_CONSTANT, &more),
                     0); /* room is made */
    sluice_loan_put(more);
    loan_scene_close(&scene);
}

/* Loans of a slab that is still in use elsewhere are renewed one by one, when there are no others.
 * */
/* Idle loans of a slab that is shared with held ones keep nobody waiting: nothing would ever end that wait. */
static void idle_loans_make_room_for_constant_ones(void **state)
{
    struct scene scene;
    sluice_loan *loan[3], *more;

    (void)state;
    loan_scene_open(&scene, PIPE, SLUICE_LOAN_AUTO, 4096, 3);
    assert_int_equal(sluice_loan_get(scene.pool, 0, &loan[0]), 0); /* of a slab of three */
    assert_int_equal(sluice_loan_get(scene.pool, SLUICE_LOAN_CONSTANT, &loan[1]), 0);
    assert_int_equal(sluice_loan_get(scene.pool, SLUICE_LOAN_CONSTANT, &loan[2]), 0);
    assert_int_equal(stats_of(&scene).held, 3);
    assert_int_equal(sluice_loan_get(scene.pool, SLUICE_LOAN_CONSTANT, &more), -EAGAIN);
    assert_int_equal(sluice_loan_get(scene.pool, 0, &more), -EAGAIN);
    sluice_loan_put(loan[2]);
    assert_int_equal(sluice_loan_get(scene.pool, 0, &loan[2]), 0);
    assert_int_equal(sluice_loan_get(scene.pool, 0, &more), -EAGAIN);
    for (unsigned i = 0; i < 3; i++)
        sluice_loan_put(loan[i]);
    loan_scene_close(&scene);
}

static void spent_loans_are_renewed_beside_a_held_one(void **state)
{
    struct scene scene;
    sluice_loan *held, *loan;
    char got[4096], wanted[4096];

    (void)state;
    loan_scene_open(&scene, PIPE, SLUICE_LOAN_VMSPLICE, 4096, 3);
    assert_int_equal(sluice_loan_get(scene.pool, 0, &held), 0);
    fill(sluice_loan_data(held), 4096, 1000);
    for (unsigned round = 0; round < 10; round++) {
        assert_int_equal(sluice_loan_get(scene.pool, 0, &loan), 0);
        assert_ptr_not_equal(sluice_loan_data(loan), sluice_loan_data(held));
        fill(sluice_loan_data(loan), 4096, round);
        assert_int_equal(sluice_loan_send(loan, scene.sink, 0, 4096), 4096);
        sluice_loan_put(loan);
    }
    for (unsigned round = 0; round < 10; round++) {
        fill(wanted, sizeof wanted, round);
        assert_int_equal(read_all(scene.peer, got, sizeof got), sizeof got);
        assert_memory_equal(got, wanted, sizeof got);
    }
    fill(wanted, sizeof wanted, 1000);
    assert_memory_equal(sluice_loan_data(held), wanted, sizeof wanted); /* as it was left */
    sluice_loan_put(held);
    loan_scene_close(&scene);
}

/* ---- what a probe has found ---- */

static void measured(sluice_probe *probe, const char *from, const char *to, const char *call,
                     const char *variant, const char *place, enum sluice_verdict verdict)
{
    const struct sluice_probe_leg leg = {.size = sizeof leg,
                                         .from = from,
                                         .to = to,
                                         .call = call,
                                         .variant = variant,
                                         .place = place,
                                         .verdict = verdict,
                                         .path = "",
                                         .note = ""};
    assert_true(probe_add_leg(probe, &leg) >= 0);
}

static void choices_go_by_the_probe(void **state)
{
    sluice_probe *probe;
    struct scene scene;

    (void)state;
    assert_int_equal(sluice_probe_new(&probe), 0);
    measured(probe, "memory", "pipe", "vmsplice", "", "", SLUICE_VERDICT_COPIED);
    measured(probe, "memfd", "tcp", "sendfile", "", "loopback", SLUICE_VERDICT_REFERENCE);
    sluice_context_use_probe(loan_context, probe);

    loan_scene_open(&scene, PIPE, SLUICE_LOAN_AUTO, 64 * KIB,
                    2); /* a kernel whose vmsplice copies */
    assert_string_equal(choice_of(&scene, SLUICE_LOAN_VMSPLICE).ruled_out,
                        "the probe saw a copy: write is cheaper");
    assert_int_equal(choice_of(&scene, SLUICE_LOAN_VMSPLICE).known, SLUICE_PROVEN);
    sluice_loan *loan;
    assert_int_equal(sluice_loan_get(scene.pool, SLUICE_LOAN_CONSTANT, &loan), 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(sluice_loan_send(loan, scene.sink, 0, 16 * KIB), 16 * KIB);
    sluice_loan_put(loan);
    assert_int_equal(choice_of(&scene, SLUICE_LOAN_VMSPLICE).calls, 0);
    assert_int_equal(choice_of(&scene, SLUICE_LOAN_WRITE).calls, 1); /* then it was worth a file */
    assert_int_equal(choice_of(&scene, SLUICE_LOAN_SENDFILE).calls, 2);
    loan_scene_close(&scene);

    loan_scene_open(&scene, TCP, SLUICE_LOAN_AUTO, 64 * KIB, 2);
    assert_int_equal(choice_of(&scene, SLUICE_LOAN_SENDFILE).known, SLUICE_PROVEN);
    assert_int_equal(choice_of(&scene, SLUICE_LOAN_SENDFILE).class_, SLUICE_CLASS_REFERENCE);
    assert_int_equal(choice_of(&scene, SLUICE_LOAN_WRITE).known, SLUICE_EXPECTED);
    loan_scene_close(&scene);
    sluice_context_use_probe(loan_context, NULL);
    sluice_probe_free(probe);
}

/* ---- the end ---- */

static void a_pool_can_be_abandoned_with_everything_out(void **state)
{
    struct scene scene;
    sluice_loan *loan;
    char got[4096], wanted[4096];

    (void)state;
    const unsigned before = descriptors_open();
    loan_scene_open(&scene, PIPE, SLUICE_LOAN_VMSPLICE, 4096, 4);
    assert_int_equal(sluice_loan_get(scene.pool, 0, &loan), 0);
    fill(sluice_loan_data(loan), 4096, 9);
    fill(wanted, 4096, 9);
    assert_int_equal(sluice_loan_send(loan, scene.sink, 0, 4096), 4096);
    assert_true(sluice_loan_pool_fd(scene.pool) >= 0);
    assert_int_equal(sluice_loan_pool_free(scene.pool), -EBUSY);
    assert_int_equal(sluice_loan_pool_abandon(scene.pool), 1);
    assert_int_equal(read_all(scene.peer, got, sizeof got), sizeof got); /* the pages live on */
    assert_memory_equal(got, wanted, sizeof got);
    sluice_endpoint_free(scene.endpoint);
    close(scene.fd);
    close(scene.peer);
    assert_int_equal(descriptors_open(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(returned_says_when_it_may_be_written),
        cmocka_unit_test(a_pool_gives_no_more_than_it_may),
        cmocka_unit_test(idle_loans_make_room_for_constant_ones),
        cmocka_unit_test(spent_loans_are_renewed_beside_a_held_one),
        cmocka_unit_test(choices_go_by_the_probe),
        cmocka_unit_test(a_pool_can_be_abandoned_with_everything_out),
    };
    return cmocka_run_group_tests(tests, loan_set_up, loan_tear_down);
}
