/* SPDX-License-Identifier: MIT */
/* What was sent by a loan does not change, whoever keeps it and wherever. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "sluice.h"
#include "tests/unit/ends.h"
#include "tests/unit/loan_scene.h"

/* How the reader keeps what it was sent, without looking at it. */
enum keeping {
    IN_THE_QUEUE, /* unread, where it was sent to */
    TEED,         /* in another pipe as well; what it was sent to is drained */
    SPLICED,      /* moved into another pipe */
    IN_UNIX,      /* moved on into a socket's receive queue */
    IN_TCP,
    KEEPING_COUNT,
};

static const char *const keeping_names[] = {"in the queue", "teed", "spliced into a pipe",
                                            "spliced into unix", "spliced into tcp"};

struct keeper {
    enum keeping keeping;
    int from;    /* what it was sent to */
    int in, out; /* where it is kept */
    int through; /* to TCP and UNIX from a socket: a pipe between */
    int through_in;
};

static void keeper_open(struct keeper *keeper, enum keeping keeping, int from)
{
    static const enum behind kept[] = {
        [TEED] = PIPE, [SPLICED] = PIPE, [IN_UNIX] = UNIX, [IN_TCP] = TCP};

    *keeper = (struct keeper){.keeping = keeping, .from = from, .in = -1, .out = from};
    open_behind(PIPE, &keeper->through_in, &keeper->through);
    if (keeping == IN_THE_QUEUE)
        return;
    open_behind(kept[keeping], &keeper->in, &keeper->out);
    if (kept[keeping] == PIPE)
        fcntl(keeper->in, F_SETPIPE_SZ, MIB);
}

static void keeper_close(struct keeper *keeper)
{
    close(keeper->through);
    close(keeper->through_in);
    if (keeper->in >= 0) {
        close(keeper->in);
        close(keeper->out);
    }
}

/* Takes `length` bytes that have come. */
static void keep(struct keeper *keeper, size_t length)
{
    char sink[4096];
    int fds[2] = {keeper->from, keeper->in};

    if (keeper->keeping == IN_THE_QUEUE)
        return;
    while (length > 0) {
        ssize_t value = splice(fds[0], NULL, keeper->through_in, NULL,
                               length < 32 * KIB ? length : 32 * KIB, 0);
        assert_true(value > 0);
        length -= (size_t)value;
        if (keeper->keeping == TEED) {
            assert_int_equal(tee(keeper->through, fds[1], (size_t)value, 0), value);
            while (value > 0) {
                const ssize_t gone =
                    read(keeper->through, sink,
                         (size_t)value < sizeof sink ? (size_t)value : sizeof sink);
                assert_true(gone > 0);
                value -= gone;
            }
            continue;
        }
        while (value > 0) {
            const ssize_t moved = splice(keeper->through, NULL, fds[1], NULL, (size_t)value, 0);
            assert_true(moved > 0);
            value -= moved;
        }
    }
}

/* What is wrong with what was kept: the first round that is not as it was sent, or -1. */
static int first_changed(const struct keeper *keeper, size_t length, unsigned rounds)
{
    char *got = malloc(length), *wanted = malloc(length);
    int changed = -1;

    for (unsigned round = 0; round < rounds && changed < 0; round++) {
        fill(wanted, length, round);
        if (read_all(keeper->out, got, length) != length || memcmp(got, wanted, length) != 0)
            changed = (int)round;
    }
    free(got);
    free(wanted);
    return changed;
}

/* The mistake that loans prevent, seen to happen: one buffer, vmspliced again and again. */
static void memory_that_is_written_too_early_changes_what_was_sent(void **state)
{
    (void)state;
    for (unsigned keeping = IN_THE_QUEUE; keeping < KEEPING_COUNT; keeping++) {
        enum { LENGTH = 4096 };
        struct keeper keeper;
        int writer, reader;
        char *buffer =
            mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        open_behind(PIPE, &writer, &reader);
        keeper_open(&keeper, keeping, reader);
        for (unsigned round = 0; round < ROUNDS; round++) {
            const struct iovec pages = {.iov_base = buffer, .iov_len = LENGTH};
            fill(buffer, LENGTH, round);
            assert_int_equal(vmsplice(writer, &pages, 1, 0), LENGTH);
            keep(&keeper, LENGTH);
        }
        if (first_changed(&keeper, LENGTH, ROUNDS) != 0)
            fail_msg("%s: nothing was seen to change", keeping_names[keeping]);
        keeper_close(&keeper);
        close(writer);
        close(reader);
        munmap(buffer, LENGTH);
    }
}

static void try_keeping(enum behind behind, enum keeping keeping, enum sluice_loan_way way,
                        size_t length, unsigned flags)
{
    struct scene scene;
    struct keeper keeper;

    loan_scene_open(&scene, behind, way, length, 2);
    if (behind == PIPE)
        fcntl(scene.fd, F_SETPIPE_SZ, MIB);
    keeper_open(&keeper, keeping, scene.peer);
    for (unsigned round = 0; round < ROUNDS; round++) {
        send_round(&scene, flags, length, round);
        keep(&keeper, length);
    }
    const int changed = first_changed(&keeper, length, ROUNDS);
    if (changed >= 0)
        fail_msg("%s by %s, %s, %zu bytes, flags %u: round %d has changed",
                 loan_behind_names[behind], sluice_loan_way_name(way), keeping_names[keeping],
                 length, flags, changed);
    keeper_close(&keeper);
    loan_scene_close(&scene);
}

static void loans_never_change_what_was_sent(void **state)
{
    static const size_t lengths[] = {4096, 12288, 20000};

    (void)state;
    for (unsigned behind = 0; behind < BEHIND_COUNT; behind++)
        for (unsigned keeping = 0; keeping < KEEPING_COUNT; keeping++)
            for (unsigned way = SLUICE_LOAN_AUTO; way < SLUICE_LOAN_WAY_COUNT; way++)
                for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++)
                    for (unsigned flags = 0; flags <= SLUICE_LOAN_CONSTANT; flags++)
                        try_keeping(behind, keeping, way, lengths[i], flags);
}

/* The same with huge pages, more than one slab, and loans that are put back out of order. */
static void large_loans_never_change_what_was_sent(void **state)
{
    enum { LENGTH = 512 * KIB, HELD = 5, TURNS = 40 };
    struct scene scene;
    sluice_loan *held[HELD] = {0};
    char *got = malloc(LENGTH), *wanted = malloc(LENGTH);
    uint64_t seed = 7;

    (void)state;
    loan_scene_open(&scene, PIPE, SLUICE_LOAN_VMSPLICE, LENGTH, 12);
    fcntl(scene.fd, F_SETPIPE_SZ, MIB);
    for (unsigned turn = 0; turn < TURNS; turn++) {
        const unsigned which = (unsigned)random_below(&seed, HELD);
        sluice_loan_put(held[which]);
        assert_int_equal(sluice_loan_get(scene.pool, 0, &held[which]), 0);
        fill(sluice_loan_data(held[which]), LENGTH, turn);
        assert_int_equal(sluice_loan_send_all(held[which], scene.sink, 0, LENGTH, NULL), 0);
        if (turn == 0)
            continue; /* what is in the pipe is always one behind */
        fill(wanted, LENGTH, turn - 1);
        assert_int_equal(read_all(scene.peer, got, LENGTH), LENGTH);
        assert_memory_equal(got, wanted, LENGTH);
    }
    for (unsigned i = 0; i < HELD; i++)
        sluice_loan_put(held[i]);
    assert_true(stats_of(&scene).replaced > 0);
    free(got);
    free(wanted);
    loan_scene_close(&scene);
}

/* Through a fan-out, which tees the pages to every sink: two that keep all unread, and one that is
 * read at once. */
static void a_fan_out_may_keep_them_too(void **state)
{
    enum { PIECE = 16 * KIB, SINKS = 3 };

    (void)state;
    for (unsigned way = SLUICE_LOAN_AUTO; way < SLUICE_LOAN_WAY_COUNT; way++)
        for (unsigned flags = 0; flags <= SLUICE_LOAN_CONSTANT; flags++) {
            struct scene scene;
            sluice_endpoint *source, *sink[SINKS];
            sluice_fanout *fanout;
            int writer[SINKS], reader[SINKS];
            char *got = malloc(PIECE), *wanted = malloc(PIECE);
            uint64_t deadline;

            loan_scene_open(&scene, PIPE, way, PIECE, 2);
            nonblocking(scene.peer);
            assert_int_equal(
                sluice_endpoint_from_fd(loan_context, scene.peer, SLUICE_BORROW, &source), 0);
            assert_int_equal(sluice_fanout_new(loan_context, source, NULL, &fanout, NULL), 0);
            for (unsigned i = 0; i < SINKS; i++) {
                open_behind(i == 1 ? UNIX : PIPE, &writer[i], &reader[i]);
                nonblocking(writer[i]);
                fcntl(writer[i], F_SETPIPE_SZ, MIB);
                assert_int_equal(
                    sluice_endpoint_from_fd(loan_context, writer[i], SLUICE_BORROW, &sink[i]), 0);
                assert_int_equal(sluice_fanout_add(fanout, sink[i], NULL, NULL, NULL), 0);
            }
            for (unsigned round = 0; round < ROUNDS; round++) {
                send_round(&scene, flags, PIECE, round);
                assert_int_equal(sluice_fanout_step(fanout, 0, &deadline), SLUICE_WAIT);
                fill(wanted, PIECE, round);
                assert_int_equal(read_all(reader[2], got, PIECE), PIECE);
                assert_memory_equal(got, wanted, PIECE);
            }
            for (unsigned i = 0; i < 2; i++)
                for (unsigned round = 0; round < ROUNDS; round++) {
                    fill(wanted, PIECE, round);
                    assert_int_equal(read_all(reader[i], got, PIECE), PIECE);
                    assert_memory_equal(got, wanted, PIECE);
                }
            sluice_fanout_free(fanout);
            for (unsigned i = 0; i < SINKS; i++) {
                sluice_endpoint_free(sink[i]);
                close(writer[i]);
                close(reader[i]);
            }
            sluice_endpoint_free(source);
            loan_scene_close(&scene);
            free(got);
            free(wanted);
        }
}

/* Locked memory does not let go of its pages: it is left for other memory. */
static void locked_memory_is_replaced_too(void **state)
{
    struct scene scene;
    struct keeper keeper;

    (void)state;
    loan_scene_open(&scene, PIPE, SLUICE_LOAN_VMSPLICE, 4096, 2);
    keeper_open(&keeper, IN_THE_QUEUE, scene.peer);
    if (mlockall(MCL_FUTURE) < 0) {
        print_message("SKIP: mlockall is not permitted\n");
        keeper_close(&keeper);
        loan_scene_close(&scene);
        return;
    }
    for (unsigned round = 0; round < ROUNDS; round++)
        send_round(&scene, 0, 4096, round);
    munlockall();
    assert_int_equal(first_changed(&keeper, 4096, ROUNDS), -1);
    keeper_close(&keeper);
    loan_scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_that_is_written_too_early_changes_what_was_sent),
        cmocka_unit_test(loans_never_change_what_was_sent),
        cmocka_unit_test(large_loans_never_change_what_was_sent),
        cmocka_unit_test(a_fan_out_may_keep_them_too),
        cmocka_unit_test(locked_memory_is_replaced_too),
    };
    return cmocka_run_group_tests(tests, loan_set_up, loan_tear_down);
}
