/* SPDX-License-Identifier: MIT */
/*
 * Signals: none is raised in the caller, none is lost that was pending, and those that interrupt
 * calls cost no byte.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/rig.h"

static char bytes[100000];

static int make_bytes(void **state)
{
    (void)state;
    pattern(bytes, sizeof bytes, 0);
    return 0;
}

static void nothing(int number)
{
    (void)number;
}

/* ---- SIGPIPE ---- */

static const enum end_kind leaving_kinds[] = {END_PIPE, END_TCP, END_UNIX};

static void reader_leaves(struct end *sink)
{
    if (sink->kind == END_TCP) { /* with a reset: a mere close is noticed only by the second send */
        const struct linger reset = {.l_onoff = 1};
        setsockopt(sink->peer, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    }
    close(sink->peer);
    sink->peer = -1;
}

static volatile sig_atomic_t sigpipes;

static void count_sigpipe(int number)
{
    (void)number;
    sigpipes++;
}

/* Writing into what nobody reads raises EPIPE and no signal, by every method; a SIGPIPE that was
 * pending before is pending afterwards. */
static void a_broken_sink_raises_no_signal(void **state)
{
    static const enum sluice_method methods[] = {SLUICE_METHOD_AUTO, SLUICE_METHOD_SENDFILE,
                                                 SLUICE_METHOD_SPLICE, SLUICE_METHOD_MMAP_WRITE,
                                                 SLUICE_METHOD_READ_WRITE};
    (void)state;
    signal(SIGPIPE, count_sigpipe);
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < sizeof methods / sizeof *methods; k++)
            for (int pending = 0; pending < 2; pending++)
                for (int by_step = 0; by_step < 2; by_step++) {
                    struct sluice_options options = SLUICE_OPTIONS_INIT;
                    struct rig rig = {0};
                    sigset_t sigpipe, before, after, still;

                    sigemptyset(&sigpipe);
                    sigaddset(&sigpipe, SIGPIPE);
                    sigpipes = 0;
                    if (pending) {
                        sigprocmask(SIG_BLOCK, &sigpipe, NULL);
                        raise(SIGPIPE);
                    }
                    sigprocmask(SIG_SETMASK, NULL, &before);
                    options.method = methods[k];
                    end_open_source(&rig.source, END_FILE, bytes, sizeof bytes, NULL);
                    end_open_sink(&rig.sink, leaving_kinds[i], NULL);
                    reader_leaves(&rig.sink);
                    rig_start(&rig, &options);
                    const int result = by_step ? rig_step(&rig, 0) : rig_run(&rig, 5);
                    assert_true(result == -EPIPE || result == -ECONNRESET);
                    assert_int_equal(rig_error(&rig).side, SLUICE_SIDE_SINK);
                    assert_int_equal(rig_error(&rig).parked, 0); /* the file can be read again */
                    sigprocmask(SIG_SETMASK, NULL, &after);
                    for (int number = 1; number < 32; number++)
                        assert_int_equal(sigismember(&after, number), sigismember(&before, number));
                    sigpending(&still);
                    assert_int_equal(sigismember(&still, SIGPIPE), pending);
                    assert_int_equal(sigpipes, 0);
                    if (pending) {
                        sigprocmask(SIG_UNBLOCK, &sigpipe, NULL);
                        assert_int_equal(sigpipes, 1);
                    }
                    rig_stop(&rig);
                }
    signal(SIGPIPE, SIG_DFL);
}

/* Who ignores SIGPIPE may say so, and keeps the signal mask to himself. */
static void a_caller_who_ignores_sigpipe_says_so(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < 3; i++) {
        struct sluice_options options = SLUICE_OPTIONS_INIT;
        struct rig rig = {0};
        options.flags = SLUICE_NO_SIGPIPE;
        end_open_source(&rig.source, END_FILE, bytes, sizeof bytes, NULL);
        end_open_sink(&rig.sink, leaving_kinds[i], NULL);
        reader_leaves(&rig.sink);
        rig_start(&rig, &options);
        const int result = rig_run(&rig, 5);
        assert_true(result == -EPIPE || result == -ECONNRESET);
        rig_stop(&rig);
    }
    signal(SIGPIPE, SIG_DFL);
}

/* ---- interruptions ---- */

/* A signal every fifth of a millisecond, without SA_RESTART: every call is interrupted again and
 * again, and nothing is lost. */
struct reading {
    int fd;
    char bytes[sizeof bytes];
    size_t done;
};

static void *read_slowly(void *data)
{
    struct reading *reading = data;
    sigset_t alarms;

    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarms, NULL);
    while (reading->done < sizeof bytes) {
        struct pollfd fd = {.fd = reading->fd, .events = POLLIN};
        if (poll(&fd, 1, 10000) <= 0)
            break;
        const ssize_t value = recv(reading->fd, reading->bytes + reading->done, 3000, 0);
        if (value <= 0)
            break;
        reading->done += (size_t)value;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return NULL;
}

static void a_storm_of_signals_loses_nothing(void **state)
{
    const struct itimerval often = {.it_value.tv_usec = 200, .it_interval.tv_usec = 200};
    const struct itimerval never = {0};
    const struct sigaction action = {.sa_handler = nothing};
    static const enum sluice_method methods[] = {SLUICE_METHOD_AUTO, SLUICE_METHOD_SENDFILE,
                                                 SLUICE_METHOD_SPLICE, SLUICE_METHOD_MMAP_WRITE,
                                                 SLUICE_METHOD_READ_WRITE};

    (void)state;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        for (int blocking = 0; blocking < 2; blocking++) {
            static struct reading reading;
            struct sluice_options options = SLUICE_OPTIONS_INIT;
            struct rig rig = {0};
            pthread_t reader;

            options.method = methods[i];
            end_open_source(&rig.source, END_FILE, bytes, sizeof bytes, NULL);
            end_open_sink(&rig.sink, END_UNIX,
                          &(struct end_options){.blocking = blocking, .capacity = 8192});
            reading.fd = rig.sink.peer;
            reading.done = 0;
            rig_start(&rig, &options);
            pthread_create(&reader, NULL, read_slowly, &reading);
            sigaction(SIGALRM, &action, NULL);
            setitimer(ITIMER_REAL, &often, NULL);
            const int result = sluice_transfer_run(rig.transfer);
            setitimer(ITIMER_REAL, &never, NULL);
            signal(SIGALRM, SIG_IGN); /* the last one may be on its way */
            assert_int_equal(result, 0);
            pthread_join(reader, NULL);
            assert_int_equal(reading.done, sizeof bytes);
            assert_memory_equal(reading.bytes, bytes, sizeof bytes);
            rig_stop(&rig);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broken_sink_raises_no_signal),
        cmocka_unit_test(a_caller_who_ignores_sigpipe_says_so),
        cmocka_unit_test(a_storm_of_signals_loses_nothing),
    };
    return cmocka_run_group_tests(tests, make_bytes, NULL);
}
