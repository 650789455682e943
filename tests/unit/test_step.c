/* SPDX-License-Identifier: MIT */
/*
 * The step machine on real descriptors: a step never waits, whoever's the descriptors are; the mask
 * names a side only when that side is not ready; filling goes on while draining waits.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/rig.h"

static const struct end_options small = {.capacity = 4096};
static char bytes[1 << 20], got[(1 << 20) + 1];

static int make_bytes(void **state)
{
    (void)state;
    pattern(bytes, sizeof bytes, 0);
    return 0;
}

static bool is_ready(int fd, short events)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};
    return poll(&poll_fd, 1, 0) > 0;
}

/* Waits as the step says, for ten seconds at most. */
static void wait_as_told(const struct rig *rig)
{
    struct pollfd fds[2] = {{.fd = rig->wait.source_fd, .events = rig->wait.source_events},
                            {.fd = rig->wait.sink_fd, .events = rig->wait.sink_events}};
    assert_true(poll(fds, 2, 10000) > 0);
}

/* ---- the mask ---- */

static const enum end_kind waiting_kinds[] = {END_PIPE, END_TCP, END_UNIX};
#define WAITING_KINDS (sizeof waiting_kinds / sizeof *waiting_kinds)

static void an_empty_source_is_waited_for(void **state)
{
    const struct end_options open = {.open = true};

    (void)state;
    for (size_t i = 0; i < WAITING_KINDS; i++)
        for (size_t k = 0; k < WAITING_KINDS; k++) {
            struct rig rig = {0};
            end_open_source(&rig.source, waiting_kinds[i], "", 0, &open);
            end_open_sink(&rig.sink, waiting_kinds[k], NULL);
            rig_start(&rig, NULL);
            for (int again = 0; again < 3; again++) {
                assert_int_equal(rig_step(&rig, 0), SLUICE_WAIT);
                assert_int_equal(rig.wait.mask, SLUICE_WAIT_SOURCE_IN | SLUICE_WAIT_SINK_HUP);
                assert_int_equal(rig.wait.source_fd, rig.source.fd);
                assert_int_equal(rig.wait.source_events, POLLIN);
                assert_int_equal(rig.wait.sink_fd, rig.sink.fd);
                assert_int_equal(rig.wait.sink_events, 0);
            }
            assert_int_equal(rig_ledger(&rig).delivered, 0);
            assert_true(rig_ledger(&rig).source_eagain >= 3);
            assert_int_equal(rig_ledger(&rig).sink_eagain, 0);
            rig_stop(&rig);
        }
}

/* The source has more than the private pipe and the sink together hold: it never says EAGAIN, and
 * is never waited for. */
static void a_full_sink_is_waited_for(void **state)
{
    static const enum end_kind sources[] = {END_FILE, END_PIPE, END_UNIX};
    const struct end_options large = {.capacity = 1 << 17, .open = true};

    (void)state;
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        for (size_t k = 0; k < WAITING_KINDS; k++) {
            struct sluice_options options = SLUICE_OPTIONS_INIT;
            struct rig rig = {0};
            options.pipe_size = 4096;
            options.chunk = 16384;
            end_open_source(&rig.source, sources[i], bytes, 100000, &large);
            end_open_sink(&rig.sink, waiting_kinds[k], &small);
            rig_fill_sink(&rig.sink);
            rig_start(&rig, &options);
            assert_int_equal(rig_step(&rig, 0), SLUICE_WAIT);
            assert_true(rig.wait.mask & SLUICE_WAIT_SINK_OUT);
            assert_int_equal(rig.wait.sink_fd, rig.sink.fd);
            assert_int_equal(rig.wait.sink_events, POLLOUT);
            if (rig.wait.mask & SLUICE_WAIT_SOURCE_IN)
                assert_false(is_ready(rig.source.fd, POLLIN));
            assert_true(rig_ledger(&rig).delivered < 50000);
            assert_false(is_ready(rig.sink.fd, POLLOUT));
            rig_stop(&rig);
        }
}

/* Neither side is ready: both are waited for, and either one brings the transfer on. */
static void both_sides_are_waited_for(void **state)
{
    const struct end_options open = {.open = true};

    (void)state;
    for (size_t k = 0; k < WAITING_KINDS; k++) {
        struct rig rig = {0};
        end_open_source(&rig.source, END_UNIX, bytes, 60000, &open);
        end_open_sink(&rig.sink, waiting_kinds[k], &small);
        rig_fill_sink(&rig.sink);
        rig_start(&rig, NULL);
        assert_int_equal(rig_step(&rig, 0), SLUICE_WAIT);
        assert_int_equal(rig.wait.mask, SLUICE_WAIT_SOURCE_IN | SLUICE_WAIT_SINK_OUT);
        const uint64_t delivered = sluice_transfer_delivered(rig.transfer);
        assert_true(delivered < 60000);
        assert_int_equal(sluice_transfer_parked(rig.transfer), 60000 - delivered);
        /* Filling goes on while draining waits. */
        assert_int_equal(end_feed(&rig.source, bytes + 60000, 3000), 3000);
        assert_int_equal(rig_step(&rig, 0), SLUICE_WAIT);
        assert_int_equal(sluice_transfer_parked(rig.transfer), 63000 - delivered);
        assert_int_equal(rig.wait.mask, SLUICE_WAIT_SOURCE_IN | SLUICE_WAIT_SINK_OUT);
        rig_stop(&rig);
    }
}

/* ---- slots ---- */

/* Segments of one byte fill a pipe's slots long before its bytes: then the sink alone is waited
 * for, although the source has more, and nothing spins. */
static void one_byte_segments_fill_the_pipe(void **state)
{
    static const enum end_kind sources[] = {END_TCP, END_UNIX, END_PIPE};

    (void)state;
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        const struct end_options open = {.open = true};
        struct sluice_options options = SLUICE_OPTIONS_INIT;
        struct rig rig = {0};
        size_t fed = 0;

        options.method = SLUICE_METHOD_SPLICE;
        end_open_source(&rig.source, sources[i], "", 0, &open);
        end_open_sink(&rig.sink, END_UNIX, NULL);
        rig_fill_sink(&rig.sink);
        rig_start(&rig, &options);
        for (unsigned steps = 0; steps < 2000; steps++) {
            struct pollfd fd = {.fd = rig.source.fd, .events = POLLIN};
            if (end_feed(&rig.source, bytes + fed, 1) == 0)
                break;
            fed++;
            poll(&fd, 1, 1000);
            assert_int_equal(rig_step(&rig, 0), SLUICE_WAIT);
            assert_true(rig.wait.mask & SLUICE_WAIT_SINK_OUT);
            if (!(rig.wait.mask & SLUICE_WAIT_SOURCE_IN))
                break; /* the pipe is full */
        }
        const uint64_t calls = rig_ledger(&rig).calls;
        assert_int_equal(rig_step(&rig, 0), SLUICE_WAIT);
        assert_true(rig_ledger(&rig).calls <= calls + 2);

        /* And it all comes out again. */
        end_finish(&rig.source);
        size_t taken = 0;
        int step = SLUICE_WAIT;
        while (step > 0) {
            taken += end_drain(&rig.sink, got, sizeof got);
            wait_as_told(&rig);
            step = rig_step(&rig, 0);
        }
        assert_int_equal(step, SLUICE_DONE);
        assert_int_equal(sluice_transfer_delivered(rig.transfer), fed);
        const size_t rest = end_received(&rig.sink, got, sizeof got);
        assert_true(rest >= fed || taken > 0);
        if (rest >= fed)
            assert_memory_equal(got + rest - fed, bytes, fed);
        rig_stop(&rig);
    }
}

/* ---- the budget ---- */

static void the_budget_is_kept(void **state)
{
    static const uint64_t budgets[] = {1, 7, 4096, 10000, 100000};
    static const enum end_kind sources[] = {END_FILE, END_PIPE, END_UNIX};
    static const enum end_kind sinks[] = {END_FILE, END_PIPE, END_UNIX};

    (void)state;
    for (size_t b = 0; b < sizeof budgets / sizeof *budgets; b++)
        for (size_t i = 0; i < 3; i++)
            for (size_t k = 0; k < 3; k++) {
                struct rig rig = {0};
                const size_t length = budgets[b] < 10 ? 9 : 50000;
                uint64_t before = 0;
                int step;

                end_open_source(&rig.source, sources[i], bytes, length, NULL);
                end_open_sink(&rig.sink, sinks[k], &(struct end_options){.capacity = 1 << 18});
                rig_start(&rig, NULL);
                while ((step = rig_step(&rig, budgets[b])) > 0) {
                    const uint64_t delivered = sluice_transfer_delivered(rig.transfer);
                    assert_true(delivered - before <= budgets[b]);
                    if (step == SLUICE_MORE)
                        assert_int_equal(delivered - before, budgets[b]);
                    before = delivered;
                }
                assert_int_equal(step, SLUICE_DONE);
                rig_sink_has(&rig, bytes, length);
                rig_stop(&rig);
            }
}

/* What was taken ahead while the sink was full leaves by the budget, too. */
static void the_budget_is_kept_by_what_is_parked(void **state)
{
    (void)state;
    for (int splice = 0; splice < 2; splice++) {
        struct sluice_options options = SLUICE_OPTIONS_INIT;
        struct rig rig = {0};

        options.method = splice ? SLUICE_METHOD_SPLICE : SLUICE_METHOD_READ_WRITE;
        end_open_source(&rig.source, END_UNIX, bytes, 60000, NULL);
        end_open_sink(&rig.sink, END_UNIX, &(struct end_options){.capacity = 1 << 18});
        rig_fill_sink(&rig.sink);
        rig_start(&rig, &options);
        assert_int_equal(rig_step(&rig, 0), SLUICE_WAIT);
        assert_true(sluice_transfer_parked(rig.transfer) > 1000);
        while (end_drain(&rig.sink, got, sizeof got) > 0)
            ;
        for (uint64_t delivered = 1000; delivered <= 10000; delivered += 1000) {
            assert_int_equal(rig_step(&rig, 1000), SLUICE_MORE);
            assert_int_equal(sluice_transfer_delivered(rig.transfer), delivered);
        }
        rig_stop(&rig);
    }
}

/* ---- blocking descriptors that are not ours ---- */

/* A step that waited would be ended by the alarm of rig_step(). */
static void drive_blocking_sink(enum end_kind kind, enum sluice_method method, size_t capacity)
{
    const struct end_options options = {.blocking = true, .capacity = capacity};
    struct sluice_options transfer_options = SLUICE_OPTIONS_INIT;
    const size_t length = capacity > 4096 ? 300000 : 60000;
    struct rig rig = {0};
    size_t done = 0;
    int step;

    transfer_options.method = method;
    end_open_source(&rig.source, END_FILE, bytes, length, NULL);
    end_open_sink(&rig.sink, kind, &options);
    rig_start(&rig, &transfer_options);
    while ((step = rig_step(&rig, 0)) > 0) {
        assert_int_equal(step, SLUICE_WAIT);
        assert_int_equal(rig.wait.mask, SLUICE_WAIT_SINK_OUT);
        /* Just enough that the sink says there is room. */
        while (!is_ready(rig.wait.sink_fd, POLLOUT)) {
            const size_t piece = end_drain(&rig.sink, got + done, 1000);
            done += piece;
            if (piece == 0)
                wait_as_told(&rig);
        }
    }
    assert_int_equal(step, SLUICE_DONE);
    assert_int_equal(fcntl(rig.sink.fd, F_GETFL), rig.sink.flags);
    done += end_received(&rig.sink, got + done, sizeof got - done);
    assert_int_equal(done, length);
    assert_memory_equal(got, bytes, length);
    rig_stop(&rig);
}

static void steps_do_not_wait_for_a_blocking_sink(void **state)
{
    static const enum sluice_method methods[] = {SLUICE_METHOD_AUTO, SLUICE_METHOD_SENDFILE,
                                                 SLUICE_METHOD_SPLICE, SLUICE_METHOD_MMAP_WRITE,
                                                 SLUICE_METHOD_READ_WRITE};
    (void)state;
    for (size_t i = 0; i < WAITING_KINDS; i++)
        for (size_t k = 0; k < sizeof methods / sizeof *methods; k++)
            for (size_t capacity = 1; capacity <= 1 << 18; capacity *= 64)
                drive_blocking_sink(waiting_kinds[i], methods[k], capacity);
}

static void steps_do_not_wait_for_a_blocking_source(void **state)
{
    static const enum sluice_method methods[] = {SLUICE_METHOD_AUTO, SLUICE_METHOD_SPLICE,
                                                 SLUICE_METHOD_READ_WRITE};
    const struct end_options options = {.blocking = true, .open = true};

    (void)state;
    for (size_t i = 0; i < WAITING_KINDS; i++)
        for (size_t k = 0; k < sizeof methods / sizeof *methods; k++) {
            struct sluice_options transfer_options = SLUICE_OPTIONS_INIT;
            struct rig rig = {0};

            transfer_options.method = methods[k];
            end_open_source(&rig.source, waiting_kinds[i], "", 0, &options);
            end_open_sink(&rig.sink, END_FILE, NULL);
            rig_start(&rig, &transfer_options);
            for (size_t fed = 0; fed < 10000; fed += 1000) {
                assert_int_equal(rig_step(&rig, 0), SLUICE_WAIT);
                assert_int_equal(rig.wait.mask, SLUICE_WAIT_SOURCE_IN);
                assert_int_equal(sluice_transfer_delivered(rig.transfer), fed);
                end_feed(&rig.source, bytes + fed, 1000);
                wait_as_told(&rig);
            }
            assert_int_equal(rig_step(&rig, 0), SLUICE_WAIT);
            end_finish(&rig.source);
            wait_as_told(&rig);
            assert_int_equal(rig_step(&rig, 0), SLUICE_DONE);
            assert_int_equal(fcntl(rig.source.fd, F_GETFL), rig.source.flags);
            rig_sink_has(&rig, bytes, 10000);
            rig_stop(&rig);
        }
}

/* A terminal that is not read: as a sink it fills up, as a source it is silent. */
static void steps_do_not_wait_for_a_terminal(void **state)
{
    (void)state;
    for (int as_sink = 0; as_sink < 2; as_sink++) {
        struct rig rig = {0};
        int master, slave;
        struct termios raw = {0};

        if (openpty(&master, &slave, NULL, NULL, NULL) < 0) {
            print_message("SKIP: no pseudo-terminals here\n");
            skip();
        }
        tcgetattr(slave, &raw);
        cfmakeraw(&raw);
        tcsetattr(slave, TCSANOW, &raw);
        if (as_sink) {
            end_open_source(&rig.source, END_FILE, bytes, 200000, NULL);
            rig.sink = (struct end){.kind = END_ZERO, .fd = slave, .peer = -1};
        } else {
            rig.source = (struct end){.kind = END_ZERO, .fd = slave, .peer = -1};
            end_open_sink(&rig.sink, END_FILE, NULL);
        }
        rig_start(&rig, NULL);
        assert_int_equal(rig_step(&rig, 0), SLUICE_WAIT);
        assert_int_equal(rig.wait.mask, as_sink ? SLUICE_WAIT_SINK_OUT : SLUICE_WAIT_SOURCE_IN);
        if (as_sink) {
            size_t done = 0;
            int step = SLUICE_WAIT;
            fcntl(master, F_SETFL, O_NONBLOCK);
            while (step > 0) {
                const ssize_t value = read(master, got + done, 3000);
                done += value > 0 ? (size_t)value : 0;
                step = rig_step(&rig, 0);
            }
            assert_int_equal(step, SLUICE_DONE);
            for (ssize_t value; (value = read(master, got + done, 65536)) > 0;)
                done += (size_t)value;
            assert_int_equal(done, 200000);
            assert_memory_equal(got, bytes, 200000);
        } else {
            assert_int_equal(write(master, "hello", 5), 5);
            assert_int_equal(rig_step(&rig, 0), SLUICE_WAIT);
            assert_int_equal(sluice_transfer_delivered(rig.transfer), 5);
        }
        close(master);
        rig_stop(&rig);
    }
}

/* splice(2) halts before TCP's urgent data and says EAGAIN, poll(2) that there is more. What is behind is moved
 * after a few steps all the same; or refused where only splice may, and then it is still there. */
static void what_follows_urgent_data_is_moved(void **state)
{
    static const enum sluice_method methods[] = {SLUICE_METHOD_AUTO, SLUICE_METHOD_SPLICE};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const struct end_options open = {.open = true, .capacity = 1 << 17};
        struct sluice_options options = SLUICE_OPTIONS_INIT;
        struct rig rig = {0};
        int step = SLUICE_WAIT;

        options.method = methods[i];
        end_open_source(&rig.source, END_TCP, bytes, 30000, &open);
        end_open_sink(&rig.sink, END_PIPE, &open);
        rig_start(&rig, &options);
        while (sluice_transfer_delivered(rig.transfer) < 30000) {
            struct pollfd some = {.fd = rig.source.fd, .events = POLLIN};
            assert_true(poll(&some, 1, 10000) > 0);
            assert_int_equal(rig_step(&rig, 0), SLUICE_WAIT);
        }
        assert_int_equal(send(rig.source.peer, "!", 1, MSG_OOB), 1);
        end_feed(&rig.source, "tail", 4);
        for (int k = 0; k < 4 && step >= 0 && sluice_transfer_delivered(rig.transfer) < 30004;
             k++) {
            wait_as_told(&rig);
            step = rig_step(&rig, 0);
        }
        if (methods[i] == SLUICE_METHOD_AUTO) {
            assert_int_equal(sluice_transfer_delivered(rig.transfer), 30004);
            end_drain(&rig.sink, got, 40000);
            assert_memory_equal(got + 30000, "tail", 4);
        } else {
            assert_int_equal(step, -EIO);
            assert_string_equal(rig_error(&rig).reason, "it halts before urgent data");
            assert_int_equal(recv(rig.source.fd, got, sizeof got, MSG_DONTWAIT), 4);
        }
        rig_stop(&rig);
    }
}

/* ---- runs ---- */

/* The source is silent and blocks; what it gave before is parked, since the sink was full. As soon
 * as the sink has room the bytes leave, whatever the source does. */
static void parked_bytes_do_not_wait_for_a_silent_source(void **state)
{
    static const enum sluice_method methods[] = {SLUICE_METHOD_AUTO, SLUICE_METHOD_READ_WRITE};

    (void)state;
    for (size_t i = 0; i < WAITING_KINDS; i++)
        for (size_t k = 0; k < 2; k++) {
            const struct end_options blocking = {.blocking = true, .open = true};
            struct sluice_options options = SLUICE_OPTIONS_INIT;
            struct rig rig = {0};
            size_t done = 0;

            options.method = methods[k];
            end_open_source(&rig.source, waiting_kinds[i], bytes, 40000, &blocking);
            end_open_sink(&rig.sink, END_UNIX, &(struct end_options){.capacity = 4096});
            rig_start(&rig, &options);
            fflush(NULL);
            const pid_t mover = fork();
            if (mover == 0) {
                sluice_transfer_run(rig.transfer);
                _exit(0);
            }
            for (int patience = 0; patience < 500 && done < 40000; patience++) {
                struct pollfd fd = {.fd = rig.sink.peer, .events = POLLIN};
                poll(&fd, 1, 10);
                done += end_drain(&rig.sink, got + done, 2000);
            }
            kill(mover, SIGKILL);
            while (waitpid(mover, NULL, 0) < 0)
                ;
            if (done < 40000)
                print_error("%s, %s: %zu bytes came\n", end_name(waiting_kinds[i]),
                            sluice_method_name(methods[k]), done);
            assert_int_equal(done, 40000);
            assert_memory_equal(got, bytes, 40000);
            rig_stop(&rig);
        }
}

/* ---- pipes ---- */

/* A transfer that waits for its source with nothing parked holds no private pipe. */
static void an_idle_transfer_holds_no_pipe(void **state)
{
    const struct sluice_context_options pool = {.size = sizeof pool, .max_pipes = 1, .max_idle = 1};
    struct sluice_options options = SLUICE_OPTIONS_INIT;
    struct rig rig[5] = {0};
    sluice_context *context = sluice_context_new(&pool, NULL);

    (void)state;
    options.method = SLUICE_METHOD_SPLICE;
    for (int i = 0; i < 5; i++) {
        rig[i].context = context;
        end_open_source(&rig[i].source, END_TCP, "", 0, &(struct end_options){.open = true});
        end_open_sink(&rig[i].sink, END_UNIX, NULL);
        rig_start(&rig[i], &options);
    }
    /* One pipe serves five transfers, one after another. */
    for (size_t round = 0; round < 3; round++)
        for (int i = 0; i < 5; i++) {
            assert_int_equal(end_feed(&rig[i].source, bytes + round * 100, 100), 100);
            struct pollfd fd = {.fd = rig[i].source.fd, .events = POLLIN};
            assert_int_equal(poll(&fd, 1, 5000), 1);
            assert_int_equal(rig_step(&rig[i], 0), SLUICE_WAIT);
            assert_int_equal(sluice_transfer_delivered(rig[i].transfer), (round + 1) * 100);
            assert_int_equal(rig_ledger(&rig[i]).fallbacks, 0);
        }
    for (int i = 0; i < 5; i++) {
        rig_sink_has(&rig[i], bytes, 300);
        rig[i].context = NULL;
        rig_stop(&rig[i]);
    }
    sluice_context_free(context);
}

/* Beyond the pool's bound memory serves, and the ledger says so. */
static void beyond_the_bound_memory_serves(void **state)
{
    const struct sluice_context_options pool = {.size = sizeof pool, .max_pipes = 1, .max_idle = 1};
    struct sluice_options options = SLUICE_OPTIONS_INIT;
    sluice_context *context = sluice_context_new(&pool, NULL);

    (void)state;
    for (int by_name = 0; by_name < 2; by_name++) {
        struct rig rig[2] = {0};
        options.method = by_name ? SLUICE_METHOD_SPLICE : SLUICE_METHOD_AUTO;
        for (int i = 0; i < 2; i++) {
            rig[i].context = context;
            end_open_source(&rig[i].source, END_UNIX, bytes, 60000, NULL);
            end_open_sink(&rig[i].sink, i ? END_FILE : END_PIPE, &small);
            rig_start(&rig[i], &options);
        }
        /* The first one holds the only pipe, full of what its sink does not take. */
        assert_int_equal(rig_step(&rig[0], 0), SLUICE_WAIT);
        assert_true(sluice_transfer_parked(rig[0].transfer) > 0);
        assert_int_equal(rig_step(&rig[1], 0), by_name ? -EMFILE : SLUICE_DONE);
        if (by_name) {
            assert_int_equal(rig_error(&rig[1]).side, SLUICE_SIDE_PIPE);
        } else {
            struct sluice_fallback fallback = {.size = sizeof fallback};
            assert_int_equal(sluice_transfer_fallback(rig[1].transfer, 0, &fallback), 0);
            assert_int_equal(fallback.from, SLUICE_METHOD_SPLICE);
            assert_int_equal(fallback.to, SLUICE_METHOD_READ_WRITE);
            assert_int_equal(fallback.error, -EMFILE);
            assert_int_equal(fallback.side, SLUICE_SIDE_PIPE);
            rig_sink_has(&rig[1], bytes, 60000);
        }
        for (int i = 0; i < 2; i++) {
            rig[i].context = NULL;
            rig_stop(&rig[i]);
        }
    }
    sluice_context_free(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_source_is_waited_for),
        cmocka_unit_test(a_full_sink_is_waited_for),
        cmocka_unit_test(both_sides_are_waited_for),
        cmocka_unit_test(one_byte_segments_fill_the_pipe),
        cmocka_unit_test(the_budget_is_kept),
        cmocka_unit_test(the_budget_is_kept_by_what_is_parked),
        cmocka_unit_test(steps_do_not_wait_for_a_blocking_sink),
        cmocka_unit_test(steps_do_not_wait_for_a_blocking_source),
        cmocka_unit_test(steps_do_not_wait_for_a_terminal),
        cmocka_unit_test(what_follows_urgent_data_is_moved),
        cmocka_unit_test(parked_bytes_do_not_wait_for_a_silent_source),
        cmocka_unit_test(an_idle_transfer_holds_no_pipe),
        cmocka_unit_test(beyond_the_bound_memory_serves),
    };
    return cmocka_run_group_tests(tests, make_bytes, NULL);
}
