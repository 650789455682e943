/* SPDX-License-Identifier: MIT */
/*
 * One transfer for many pairs of descriptors, as a server has them: each stream arrives whole and
 * none meets another; what is parked, a file or a length forbids it. And a short read as the word
 * that the source is dry.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/rig.h"

enum { LENGTH = 100000 };
static char bytes[LENGTH], got[LENGTH + 1];

static const enum end_kind kinds[] = {END_PIPE, END_TCP, END_UNIX};
#define KINDS (sizeof kinds / sizeof *kinds)

static int make_bytes(void **state)
{
    (void)state;
    pattern(bytes, sizeof bytes, 0);
    return 0;
}

static void streams_follow_each_other(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++)
        for (size_t k = 0; k < KINDS; k++) {
            struct rig rig = {0};
            uint64_t in_all = 20000;
            end_open_source(&rig.source, kinds[i], bytes, 20000, NULL);
            end_open_sink(&rig.sink, kinds[k], NULL);
            rig_start(&rig, NULL);
            assert_int_equal(rig_step(&rig, 0), SLUICE_DONE);
            rig_sink_has(&rig, bytes, 20000);
            for (size_t next = 1; next < 5; next++) {
                struct end source, sink;
                end_open_source(&source, kinds[i], bytes + next, 20000 + next, NULL);
                end_open_sink(&sink, kinds[k], NULL);
                assert_int_equal(sluice_transfer_reuse(rig.transfer, source.fd, sink.fd), 0);
                assert_int_equal(rig_step(&rig, 0), SLUICE_DONE);
                assert_int_equal(end_received(&sink, got, LENGTH), 20000 + next);
                assert_memory_equal(got, bytes + next, 20000 + next);
                in_all += 20000 + next;
                end_close(&source);
                end_close(&sink);
            }
            assert_int_equal(rig_ledger(&rig).delivered, in_all);
            rig_stop(&rig);
        }
}

static void a_waiting_or_failed_one_can_be_reused(void **state)
{
    const struct end_options open = {.open = true};
    struct rig rig = {0};
    struct end source, sink;

    (void)state;
    end_open_source(&rig.source, END_TCP, "", 0, &open);
    end_open_sink(&rig.sink, END_TCP, NULL);
    rig_start(&rig, NULL);
    assert_int_equal(rig_step(&rig, 0), SLUICE_WAIT);

    end_open_source(&source, END_TCP, bytes, 5000, NULL);
    end_open_sink(&sink, END_TCP, NULL);
    assert_int_equal(sluice_transfer_reuse(rig.transfer, source.fd, sink.fd), 0);
    shutdown(sink.fd, SHUT_WR);
    assert_int_equal(rig_step(&rig, 0), -EPIPE);
    assert_int_equal(sluice_transfer_reuse(rig.transfer, rig.source.fd, rig.sink.fd), -EBUSY);
    while (sluice_transfer_salvage(rig.transfer, got, LENGTH) > 0)
        ;
    assert_int_equal(sluice_transfer_reuse(rig.transfer, rig.source.fd, rig.sink.fd), 0);
    end_feed(&rig.source, bytes, 300);
    end_finish(&rig.source);
    assert_int_equal(rig_step(&rig, 0), SLUICE_DONE);
    assert_int_equal(rig_error(&rig).error, 0);
    rig_sink_has(&rig, bytes, 300);
    end_close(&source);
    end_close(&sink);
    rig_stop(&rig);
}

static void files_lengths_and_owned_descriptors_are_refused(void **state)
{
    struct sluice_options options = SLUICE_OPTIONS_INIT;
    struct rig rig = {0};

    (void)state;
    end_open_source(&rig.source, END_FILE, bytes, 100, NULL);
    end_open_sink(&rig.sink, END_PIPE, NULL);
    rig_start(&rig, NULL);
    assert_int_equal(sluice_transfer_reuse(rig.transfer, rig.source.fd, rig.sink.fd), -EINVAL);
    rig_stop(&rig);

    rig = (struct rig){0};
    options.flags = SLUICE_LENGTH;
    options.length = 10;
    end_open_source(&rig.source, END_PIPE, bytes, 100, NULL);
    end_open_sink(&rig.sink, END_PIPE, NULL);
    rig_start(&rig, &options);
    assert_int_equal(sluice_transfer_reuse(rig.transfer, rig.source.fd, rig.sink.fd), -EINVAL);
    rig_stop(&rig);
}

/* recv once, send once, and no third call that would say EAGAIN; told of the end, one step more. */
static void a_short_read_says_dry(void **state)
{
    static const enum end_kind sockets[] = {END_TCP, END_UNIX};
    const struct end_options open = {.open = true};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct sluice_options options = SLUICE_OPTIONS_INIT;
        struct rig rig = {0};
        options.flags = SLUICE_EDGE_TRIGGERED;
        options.method = SLUICE_METHOD_READ_WRITE;
        options.chunk = 16384;
        end_open_source(&rig.source, sockets[i], bytes, 1000, &open);
        end_open_sink(&rig.sink, sockets[i], NULL);
        rig_start(&rig, &options);
        assert_int_equal(rig_step(&rig, 0), SLUICE_WAIT);
        assert_true(rig.wait.mask & SLUICE_WAIT_SOURCE_IN);
        assert_int_equal(rig_ledger(&rig).calls, 2);
        assert_int_equal(rig_ledger(&rig).source_eagain, 0);
        /* As much as was asked for says nothing. */
        assert_int_equal(end_feed(&rig.source, bytes, 16384), 16384);
        assert_int_equal(rig_step(&rig, 0), SLUICE_WAIT);
        assert_int_equal(rig_ledger(&rig).delivered, 1000 + 16384);
        assert_true(rig_ledger(&rig).calls >= 4);
        end_finish(&rig.source);
        assert_int_equal(rig_step(&rig, 0), SLUICE_DONE);
        rig_stop(&rig);
    }
}

/* A peer that sends and resets, while the sink is full: what it sent is delivered first. */
static void bytes_come_before_the_failure(void **state)
{
    const struct linger hard = {.l_onoff = 1};
    const struct end_options open = {.open = true}, little = {.capacity = 4096};
    struct rig rig = {0};
    size_t length = 0, at;

    (void)state;
    end_open_source(&rig.source, END_TCP, bytes, 50000, &open);
    end_open_sink(&rig.sink, END_PIPE, &little);
    rig_start(&rig, NULL);
    assert_int_equal(rig_step(&rig, 0), SLUICE_WAIT);
    assert_true(sluice_transfer_parked(rig.transfer) > 0);
    setsockopt(rig.source.peer, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(rig.source.peer);
    rig.source.peer = -1;
    for (int step = SLUICE_WAIT; step == SLUICE_WAIT;) {
        at = end_drain(&rig.sink, got + length, LENGTH - length);
        length += at;
        step = rig_step(&rig, 0);
        if (step < 0) {
            assert_int_equal(step, -ECONNRESET);
            break;
        }
    }
    assert_int_equal(rig_error(&rig).side, SLUICE_SIDE_SOURCE);
    assert_int_equal(sluice_transfer_parked(rig.transfer), 0);
    length += end_drain(&rig.sink, got + length, LENGTH - length);
    assert_int_equal(length, sluice_transfer_delivered(rig.transfer));
    assert_int_equal(length, 50000);
    assert_memory_equal(got, bytes, length);
    rig_stop(&rig);
}

static void the_pool_tells_what_it_has(void **state)
{
    const struct sluice_context_options few = {.size = sizeof few, .max_pipes = 1, .max_idle = 1};
    const struct end_options open = {.open = true}, little = {.capacity = 4096};
    struct sluice_pipes pipes = {.size = sizeof pipes};
    struct rig rig[2] = {0};

    (void)state;
    sluice_context *context = sluice_context_new(&few, NULL);
    for (int i = 0; i < 2; i++) {
        rig[i].context = context;
        end_open_source(&rig[i].source, END_UNIX, bytes, 50000, &open);
        end_open_sink(&rig[i].sink, END_PIPE, &little);
        assert_int_equal(rig_try(&rig[i], NULL, NULL), 0);
        assert_int_equal(rig_step(&rig[i], 0), SLUICE_WAIT);
    }
    assert_int_equal(sluice_context_pipes(context, &pipes), 0);
    assert_int_equal(pipes.open, 1);
    assert_int_equal(pipes.idle, 0);
    assert_int_equal(pipes.most, 1);
    assert_int_equal(pipes.refused, 1);
    pipes.size = 1;
    assert_int_equal(sluice_context_pipes(context, &pipes), -EINVAL);
    for (int i = 0; i < 2; i++) {
        rig[i].context = NULL;
        rig_stop(&rig[i]);
    }
    sluice_context_free(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_follow_each_other),
        cmocka_unit_test(a_waiting_or_failed_one_can_be_reused),
        cmocka_unit_test(files_lengths_and_owned_descriptors_are_refused),
        cmocka_unit_test(a_short_read_says_dry),
        cmocka_unit_test(bytes_come_before_the_failure),
        cmocka_unit_test(the_pool_tells_what_it_has),
    };
    return cmocka_run_group_tests(tests, make_bytes, NULL);
}
