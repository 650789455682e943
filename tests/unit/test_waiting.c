/* SPDX-License-Identifier: MIT */
/*
 * What ends a wait, or a transfer that has no end: an idle timeout, a cancel from another thread,
 * from a signal handler or from the progress function, a sink whose reader leaves.
 */
#include <errno.h>
#include <linux/net_tstamp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/rig.h"

#define MS 1000000U

static char bytes[100000];

static int make_bytes(void **state)
{
    (void)state;
    pattern(bytes, sizeof bytes, 0);
    return 0;
}

static void sleep_ms(long ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
}

static uint64_t cpu_time(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000 * MS + (uint64_t)time.tv_nsec;
}

static const enum end_kind silent_kinds[] = {END_PIPE, END_TCP, END_UNIX, END_DGRAM};
#define SILENT_KINDS (sizeof silent_kinds / sizeof *silent_kinds)

/* A source that has given `length` bytes and is silent now. */
static void open_silent(struct rig *rig, enum end_kind source, enum end_kind sink, size_t length,
                        bool blocking)
{
    const struct end_options open = {.open = true, .blocking = blocking};
    end_open_source(&rig->source, source, bytes, length, &open);
    end_open_sink(&rig->sink, sink, NULL);
}

/* What waiting may cost: valgrind has to translate the code first. */
static uint64_t idle_cpu(void)
{
    const char *wrapper = getenv("TEST_WRAPPER");
    return wrapper && *wrapper ? 500 * MS : 30 * MS;
}

/* ---- idle timeout ---- */

static void a_silent_source_times_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < SILENT_KINDS; i++)
        for (int blocking = 0; blocking < 2; blocking++) {
            struct sluice_options options = SLUICE_OPTIONS_INIT;
            struct rig rig = {0};
            options.idle_timeout = 60 * MS;
            open_silent(&rig, silent_kinds[i], END_FILE, 1000, blocking);
            rig_start(&rig, &options);
            const uint64_t begun = clock_now(), cpu = cpu_time();
            assert_int_equal(rig_run(&rig, 5), -ETIMEDOUT);
            assert_true(clock_now() - begun >= 60 * MS);
            assert_true(clock_now() - begun < 2000 * MS);
            assert_true(cpu_time() - cpu < idle_cpu()); /* waits, and does not spin */
            assert_int_equal(rig_error(&rig).side, SLUICE_SIDE_SOURCE);
            assert_int_equal(rig_error(&rig).error, -ETIMEDOUT);
            rig_sink_has(&rig, bytes, 1000);
            rig_stop(&rig);
        }
}

static void a_full_sink_times_out(void **state)
{
    static const enum end_kind kinds[] = {END_PIPE, END_TCP, END_UNIX};

    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct sluice_options options = SLUICE_OPTIONS_INIT;
        struct rig rig = {0};
        options.idle_timeout = 60 * MS;
        end_open_source(&rig.source, END_UNIX, bytes, 60000, NULL);
        end_open_sink(&rig.sink, kinds[i], &(struct end_options){.capacity = 4096});
        rig_fill_sink(&rig.sink);
        rig_start(&rig, &options);
        assert_int_equal(rig_run(&rig, 5), -ETIMEDOUT);
        assert_int_equal(rig_error(&rig).side, SLUICE_SIDE_SINK);
        const uint64_t delivered = rig_error(&rig).delivered, parked = rig_error(&rig).parked;
        char saved[60001];
        assert_true(parked > 0);
        assert_int_equal(delivered + parked, rig_ledger(&rig).taken);
        assert_int_equal(sluice_transfer_salvage(rig.transfer, saved, sizeof saved), parked);
        assert_memory_equal(saved, bytes + delivered, parked);
        assert_int_equal(sluice_transfer_parked(rig.transfer), 0);
        rig_stop(&rig);
    }
}

/* Bytes that come in time keep it going: the timeout is of silence, not of the whole. */
static void *feed_slowly(void *data)
{
    struct rig *rig = data;
    for (size_t i = 0; i < 10; i++) {
        sleep_ms(30);
        end_feed(&rig->source, bytes + i * 100, 100);
    }
    sleep_ms(30);
    end_finish(&rig->source);
    return NULL;
}

static void a_slow_source_does_not_time_out(void **state)
{
    struct sluice_options options = SLUICE_OPTIONS_INIT;
    struct rig rig = {0};
    pthread_t feeder;

    (void)state;
    options.idle_timeout = 200 * MS;
    open_silent(&rig, END_TCP, END_FILE, 0, false);
    rig_start(&rig, &options);
    pthread_create(&feeder, NULL, feed_slowly, &rig);
    assert_int_equal(rig_run(&rig, 10), 0);
    pthread_join(feeder, NULL);
    rig_sink_has(&rig, bytes, 1000);
    rig_stop(&rig);
}

static void steps_tell_the_deadline(void **state)
{
    struct sluice_options options = SLUICE_OPTIONS_INIT;
    struct rig rig = {0};

    (void)state;
    options.idle_timeout = 50 * MS;
    open_silent(&rig, END_UNIX, END_FILE, 0, false);
    const uint64_t begun = clock_now();
    rig_start(&rig, &options);
    assert_int_equal(rig_step(&rig, 0), SLUICE_WAIT);
    assert_int_equal(rig.wait.mask & ~(unsigned)SLUICE_WAIT_SINK_HUP,
                     SLUICE_WAIT_SOURCE_IN | SLUICE_WAIT_TIMER);
    assert_true(rig.wait.deadline >= begun + 50 * MS);
    assert_true(rig.wait.deadline <= clock_now() + 50 * MS);
    sleep_ms(55);
    assert_int_equal(rig_step(&rig, 0), -ETIMEDOUT);
    rig_stop(&rig);
}

/* ---- cancel ---- */

struct firing {
    sluice_cancel *cancel;
    pthread_t target;
    bool by_signal;
    atomic_bool back; /* the call has returned */
    uint64_t fired_at;
};

static void *fire_soon(void *data)
{
    struct firing *firing = data;
    sleep_ms(40);
    firing->fired_at = clock_now();
    sluice_cancel_fire(firing->cancel);
    while (firing->by_signal && !atomic_load(&firing->back)) {
        pthread_kill(firing->target, SIGUSR2);
        sleep_ms(5);
    }
    return NULL;
}

static void nothing(int number)
{
    (void)number;
}

static void run_cancel(enum end_kind source, bool blocking, bool by_signal)
{
    struct sluice_options options = SLUICE_OPTIONS_INIT;
    struct firing firing = {.target = pthread_self(), .by_signal = by_signal};
    struct rig rig = {0};
    pthread_t thread;

    assert_int_equal(
        sluice_cancel_new(by_signal ? SLUICE_CANCEL_SIGNAL : SLUICE_CANCEL_EVENT, &firing.cancel),
        0);
    options.cancel = firing.cancel;
    open_silent(&rig, source, END_UNIX, 2000, blocking);
    rig_start(&rig, &options);
    const uint64_t cpu = cpu_time();
    pthread_create(&thread, NULL, fire_soon, &firing);
    assert_int_equal(rig_run(&rig, 10), -ECANCELED);
    atomic_store(&firing.back, true);
    const uint64_t back_at = clock_now();
    pthread_join(thread, NULL);
    assert_true(back_at - firing.fired_at < 1000 * MS);
    assert_true(cpu_time() - cpu < idle_cpu());
    assert_int_equal(sluice_cancel_fired(firing.cancel), 1);
    assert_int_equal(rig_error(&rig).error, -ECANCELED);
    assert_int_equal(rig_error(&rig).delivered, 2000);
    /* For good: the next call says the same. */
    assert_int_equal(sluice_transfer_run(rig.transfer), -ECANCELED);
    rig_sink_has(&rig, bytes, 2000);
    rig_stop(&rig);
    sluice_cancel_free(firing.cancel);
}

static void a_cancel_wakes_a_wait(void **state)
{
    /* Without SA_RESTART, as the one who uses signals for it has to do it. */
    const struct sigaction action = {.sa_handler = nothing};

    (void)state;
    sigaction(SIGUSR2, &action, NULL);
    for (size_t i = 0; i < SILENT_KINDS; i++)
        for (int blocking = 0; blocking < 2; blocking++)
            for (int by_signal = 0; by_signal < 2; by_signal++)
                run_cancel(silent_kinds[i], blocking, by_signal);
}

static void a_fired_cancel_stops_the_next_transfer(void **state)
{
    (void)state;
    for (unsigned flags = 0; flags <= SLUICE_CANCEL_SIGNAL; flags++)
        for (int by_step = 0; by_step < 2; by_step++) {
            struct sluice_options options = SLUICE_OPTIONS_INIT;
            struct rig rig = {0};
            sluice_cancel *cancel;
            assert_int_equal(sluice_cancel_new(flags, &cancel), 0);
            assert_int_equal(sluice_cancel_fired(cancel), 0);
            errno = ERANGE;
            sluice_cancel_fire(cancel);
            sluice_cancel_fire(cancel);
            assert_int_equal(errno, ERANGE);
            assert_int_equal(sluice_cancel_fired(cancel), 1);
            options.cancel = cancel;
            end_open_source(&rig.source, END_FILE, bytes, 1000, NULL);
            end_open_sink(&rig.sink, END_FILE, NULL);
            rig_start(&rig, &options);
            assert_int_equal(by_step ? rig_step(&rig, 0) : rig_run(&rig, 5), -ECANCELED);
            assert_int_equal(sluice_transfer_delivered(rig.transfer), 0);
            rig_stop(&rig);
            sluice_cancel_free(cancel);
        }
}

static sluice_cancel *handlers_cancel;

static void fire_in_handler(int number)
{
    (void)number;
    sluice_cancel_fire(handlers_cancel);
}

static void a_signal_handler_may_fire(void **state)
{
    const struct itimerval soon = {.it_value.tv_usec = 40000};
    const struct sigaction action = {.sa_handler = fire_in_handler};

    (void)state;
    for (unsigned flags = 0; flags <= SLUICE_CANCEL_SIGNAL; flags++) {
        struct sluice_options options = SLUICE_OPTIONS_INIT;
        struct rig rig = {0};
        sigaction(SIGVTALRM, &action, NULL);
        sigaction(SIGPROF, &action, NULL);
        sigaction(SIGALRM, &action, NULL);
        assert_int_equal(sluice_cancel_new(flags, &handlers_cancel), 0);
        options.cancel = handlers_cancel;
        open_silent(&rig, END_PIPE, END_FILE, 10, true);
        rig_start(&rig, &options);
        setitimer(ITIMER_REAL, &soon, NULL);
        assert_int_equal(sluice_transfer_run(rig.transfer), -ECANCELED);
        rig_stop(&rig);
        sluice_cancel_free(handlers_cancel);
        signal(SIGALRM, SIG_DFL);
    }
}

/* A transfer that never ends by itself stops within a chunk. */
static void a_cancel_stops_a_busy_transfer(void **state)
{
    static const enum sluice_method methods[] = {SLUICE_METHOD_AUTO, SLUICE_METHOD_SPLICE,
                                                 SLUICE_METHOD_SENDFILE, SLUICE_METHOD_READ_WRITE};
    (void)state;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        struct sluice_options options = SLUICE_OPTIONS_INIT;
        struct firing firing = {.target = pthread_self()};
        struct rig rig = {0};
        pthread_t thread;

        assert_int_equal(sluice_cancel_new(SLUICE_CANCEL_EVENT, &firing.cancel), 0);
        options.cancel = firing.cancel;
        options.method = methods[i];
        end_open_source(&rig.source, END_ZERO, NULL, 0, NULL);
        end_open_sink(&rig.sink, END_NULL, NULL);
        rig_start(&rig, &options);
        pthread_create(&thread, NULL, fire_soon, &firing);
        assert_int_equal(rig_run(&rig, 10), -ECANCELED);
        const uint64_t back_at = clock_now();
        pthread_join(thread, NULL);
        assert_true(back_at - firing.fired_at < 500 * MS);
        assert_true(sluice_transfer_delivered(rig.transfer) > 0);
        rig_stop(&rig);
        sluice_cancel_free(firing.cancel);
    }
}

/* ---- progress ---- */

struct watched {
    unsigned calls, stop_at;
    uint64_t delivered, expected;
    bool backwards;
};

static int watch(const struct sluice_progress *progress, void *data)
{
    struct watched *watched = data;
    watched->calls++;
    watched->backwards |= progress->delivered < watched->delivered;
    watched->delivered = progress->delivered;
    watched->expected = progress->expected;
    assert_int_equal(progress->size, sizeof *progress);
    return watched->calls == watched->stop_at;
}

static void progress_is_told_and_may_cancel(void **state)
{
    static const enum sluice_method methods[] = {
        SLUICE_METHOD_AUTO,   SLUICE_METHOD_COPY_RANGE, SLUICE_METHOD_SENDFILE,
        SLUICE_METHOD_SPLICE, SLUICE_METHOD_MMAP_WRITE, SLUICE_METHOD_READ_WRITE};

    (void)state;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        for (unsigned stop_at = 0; stop_at <= 3; stop_at += 3) {
            struct sluice_options options = SLUICE_OPTIONS_INIT;
            struct watched watched = {.stop_at = stop_at};
            struct rig rig = {0};
            options.method = methods[i];
            options.chunk = 10000;
            options.progress = watch;
            options.progress_data = &watched;
            end_open_source(&rig.source, END_FILE, bytes, sizeof bytes, NULL);
            end_open_sink(&rig.sink, END_FILE, NULL);
            rig_start(&rig, &options);
            assert_int_equal(rig_run(&rig, 5), stop_at ? -ECANCELED : 0);
            assert_false(watched.backwards);
            assert_int_equal(watched.expected, sizeof bytes);
            assert_int_equal(watched.delivered, sluice_transfer_delivered(rig.transfer));
            assert_int_equal(watched.delivered, stop_at ? 30000 : sizeof bytes);
            assert_true(watched.calls >= (stop_at ? 3 : 10));
            rig_sink_has(&rig, bytes, watched.delivered);
            rig_stop(&rig);
        }
}

static int count_calls(const struct sluice_progress *progress, void *data)
{
    unsigned *calls = data;
    (void)progress;
    return ++*calls >= 3;
}

/* A signal in a wait: the progress function is called, so that SIGUSR1 can be answered. */
static void an_interrupted_wait_is_told(void **state)
{
    const struct itimerval often = {.it_value.tv_usec = 20000, .it_interval.tv_usec = 20000};
    const struct itimerval never = {0};
    const struct sigaction action = {.sa_handler = nothing};

    (void)state;
    for (int blocking = 0; blocking < 2; blocking++) {
        struct sluice_options options = SLUICE_OPTIONS_INIT;
        struct rig rig = {0};
        unsigned calls = 0;
        options.progress = count_calls;
        options.progress_data = &calls;
        open_silent(&rig, END_UNIX, END_FILE, 0, blocking);
        rig_start(&rig, &options);
        sigaction(SIGALRM, &action, NULL);
        setitimer(ITIMER_REAL, &often, NULL);
        assert_int_equal(sluice_transfer_run(rig.transfer), -ECANCELED);
        setitimer(ITIMER_REAL, &never, NULL);
        signal(SIGALRM, SIG_DFL);
        assert_int_equal(calls, 3);
        rig_stop(&rig);
    }
}

/* ---- the sink's reader leaves ---- */

static void reader_leaves(struct end *sink)
{
    if (sink->kind == END_TCP) { /* with a reset: a mere close may still mean to read nothing */
        const struct linger reset = {.l_onoff = 1};
        setsockopt(sink->peer, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    }
    close(sink->peer);
    sink->peer = -1;
}

static const enum end_kind leaving_kinds[] = {END_PIPE, END_TCP, END_UNIX};

static void a_reader_that_leaves_is_noticed_by_steps(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++)
        for (int fed = 0; fed < 2; fed++) {
            struct rig rig = {0};
            open_silent(&rig, END_UNIX, leaving_kinds[i], fed ? 100 : 0, false);
            rig_start(&rig, NULL);
            assert_int_equal(rig_step(&rig, 0), SLUICE_WAIT);
            assert_true(rig.wait.mask & SLUICE_WAIT_SINK_HUP);
            reader_leaves(&rig.sink);
            struct pollfd fd = {.fd = rig.wait.sink_fd, .events = rig.wait.sink_events};
            assert_int_equal(poll(&fd, 1, 5000), 1); /* the hang-up comes by itself */
            const int step = rig_step(&rig, 0);
            assert_true(step == -EPIPE || step == -ECONNRESET);
            assert_int_equal(rig_error(&rig).side, SLUICE_SIDE_SINK);
            rig_stop(&rig);
        }
}

static void *leave_soon(void *data)
{
    struct rig *rig = data;
    sleep_ms(40);
    reader_leaves(&rig->sink);
    return NULL;
}

/* With an idle timeout, or a cancel by event, a run waits outside the calls: it notices. */
static void a_reader_that_leaves_is_noticed_by_a_run(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct sluice_options options = SLUICE_OPTIONS_INIT;
        struct rig rig = {0};
        pthread_t thread;
        options.idle_timeout = 5000 * MS;
        open_silent(&rig, END_PIPE, leaving_kinds[i], 100, false);
        rig_start(&rig, &options);
        const uint64_t begun = clock_now(), cpu = cpu_time();
        pthread_create(&thread, NULL, leave_soon, &rig);
        const int result = rig_run(&rig, 10);
        pthread_join(thread, NULL);
        assert_true(result == -EPIPE || result == -ECONNRESET);
        assert_int_equal(rig_error(&rig).side, SLUICE_SIDE_SINK);
        assert_true(clock_now() - begun < 3000 * MS);
        assert_true(cpu_time() - cpu < idle_cpu());
        rig_stop(&rig);
    }
}

/* A socket with notifications that nobody has fetched (here: of when segments were sent) says
 * POLLERR all the time. That is no hang-up, no end, and no reason to spin. */
static bool leave_notifications(struct end *end)
{
    const int flags = SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE |
                      SOF_TIMESTAMPING_OPT_TSONLY | SOF_TIMESTAMPING_OPT_ID;
    struct pollfd fd = {.fd = end->fd};

    if (setsockopt(end->fd, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof flags) < 0 ||
        send(end->fd, "x", 1, 0) != 1 || poll(&fd, 1, 1000) != 1 || fd.revents != POLLERR) {
        print_message("SKIP: no notifications of what was sent\n");
        return false;
    }
    return true;
}

static void notifications_are_no_hang_up(void **state)
{
    (void)state;
    for (int of_sink = 0; of_sink < 2; of_sink++)
        for (int blocking = 0; blocking < 2; blocking++) {
            struct sluice_options options = SLUICE_OPTIONS_INIT;
            struct rig rig = {0};
            char byte;

            options.idle_timeout = 150 * MS;
            open_silent(&rig, END_TCP, END_TCP, 0, blocking);
            if (!leave_notifications(of_sink ? &rig.sink : &rig.source)) {
                rig_start(&rig, &options);
                rig_stop(&rig);
                return;
            }
            if (of_sink)
                assert_int_equal(recv(rig.sink.peer, &byte, 1, 0), 1);
            assert_int_equal(end_feed(&rig.source, bytes, 1000), 1000);
            rig_start(&rig, &options);
            const uint64_t cpu = cpu_time();
            assert_int_equal(rig_run(&rig, 5), -ETIMEDOUT);
            assert_true(cpu_time() - cpu < 40 * MS);
            assert_int_equal(rig_error(&rig).side, SLUICE_SIDE_SOURCE);
            rig_sink_has(&rig, bytes, 1000);
            rig_stop(&rig);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_silent_source_times_out),
        cmocka_unit_test(a_full_sink_times_out),
        cmocka_unit_test(a_slow_source_does_not_time_out),
        cmocka_unit_test(steps_tell_the_deadline),
        cmocka_unit_test(a_cancel_wakes_a_wait),
        cmocka_unit_test(a_fired_cancel_stops_the_next_transfer),
        cmocka_unit_test(a_signal_handler_may_fire),
        cmocka_unit_test(a_cancel_stops_a_busy_transfer),
        cmocka_unit_test(progress_is_told_and_may_cancel),
        cmocka_unit_test(an_interrupted_wait_is_told),
        cmocka_unit_test(a_reader_that_leaves_is_noticed_by_steps),
        cmocka_unit_test(a_reader_that_leaves_is_noticed_by_a_run),
        cmocka_unit_test(notifications_are_no_hang_up),
    };
    return cmocka_run_group_tests(tests, make_bytes, NULL);
}
