/* SPDX-License-Identifier: MIT */
/*
 * Nothing is global: threads with a context each know nothing of one another, and a child makes its
 * own after fork. Run under the thread sanitizer, any sharing shows.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/ends.h"

#include "sluice.h"

enum { THREADS = 3, ROUNDS = 40, LENGTH = 50000 };

static char bytes[LENGTH];

static int make_bytes(void **state)
{
    (void)state;
    pattern(bytes, sizeof bytes, 0);
    return 0;
}

/* No assertion of cmocka's in a thread: they end the wrong one. */
static bool copies(sluice_context *context, enum end_kind source_kind, enum end_kind sink_kind)
{
    struct end source, sink;
    sluice_endpoint *in = NULL, *out = NULL;
    struct sluice_result result = {.size = sizeof result};
    char *got = malloc(LENGTH + 1);

    end_open_source(&source, source_kind, bytes, LENGTH, NULL);
    end_open_sink(&sink, sink_kind, NULL);
    bool good = sluice_endpoint_from_fd(context, source.fd, SLUICE_BORROW, &in) == 0 &&
                sluice_endpoint_from_fd(context, sink.fd, SLUICE_BORROW, &out) == 0 &&
                sluice_copy(context, in, out, NULL, &result) == 0 &&
                result.ledger.delivered == LENGTH;
    good =
        good && end_received(&sink, got, LENGTH + 1) == LENGTH && memcmp(got, bytes, LENGTH) == 0;
    sluice_endpoint_free(in);
    sluice_endpoint_free(out);
    end_close(&source);
    end_close(&sink);
    free(got);
    return good;
}

static void *work(void *data)
{
    static const enum end_kind kinds[] = {END_FILE, END_PIPE, END_TCP, END_UNIX};
    uint64_t seed = (uint64_t)(uintptr_t)data;
    sluice_context *context = sluice_context_new(NULL, NULL);
    uintptr_t wrong = 0;

    for (int round = 0; round < ROUNDS; round++)
        wrong += !copies(context, kinds[random_below(&seed, 4)], kinds[random_below(&seed, 4)]);
    sluice_context_free(context);
    return (void *)wrong;
}

static void threads_do_not_meet(void **state)
{
    pthread_t thread[THREADS];

    (void)state;
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, work, (void *)(i + 1)), 0);
    for (int i = 0; i < THREADS; i++) {
        void *wrong;
        pthread_join(thread[i], &wrong);
        assert_int_equal((uintptr_t)wrong, 0);
    }
}

/* ---- a cancel is the one thing that threads share ---- */

static void *fire_and_look(void *data)
{
    sluice_cancel *cancel = data;
    sluice_cancel_fire(cancel);
    return (void *)(uintptr_t)sluice_cancel_fired(cancel);
}

static void a_cancel_is_fired_by_many(void **state)
{
    (void)state;
    for (unsigned flags = 0; flags <= SLUICE_CANCEL_SIGNAL; flags++) {
        struct sluice_options options = SLUICE_OPTIONS_INIT;
        sluice_context *context = sluice_context_new(NULL, NULL);
        sluice_endpoint *in, *out;
        struct end source, sink;
        pthread_t thread[THREADS];
        sluice_cancel *cancel;

        assert_int_equal(sluice_cancel_new(flags, &cancel), 0);
        options.cancel = cancel;
        end_open_source(&source, END_ZERO, NULL, 0, NULL);
        end_open_sink(&sink, END_NULL, NULL);
        assert_int_equal(sluice_endpoint_from_fd(context, source.fd, 0, &in), 0);
        assert_int_equal(sluice_endpoint_from_fd(context, sink.fd, 0, &out), 0);
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&thread[i], NULL, fire_and_look, cancel), 0);
        assert_int_equal(sluice_copy(context, in, out, &options, NULL), -ECANCELED);
        for (int i = 0; i < THREADS; i++) {
            void *fired;
            pthread_join(thread[i], &fired);
            assert_int_equal((uintptr_t)fired, 1);
        }
        sluice_cancel_free(cancel);
        sluice_endpoint_free(in);
        sluice_endpoint_free(out);
        sluice_context_free(context);
        end_close(&source);
        end_close(&sink);
    }
}

/* ---- SIGPIPE belongs to a thread ---- */

static volatile sig_atomic_t sigpipes;

static void count_sigpipe(int number)
{
    (void)number;
    sigpipes++;
}

/* One thread breaks pipes by the hundred, the other has SIGPIPE unblocked, and never sees one. */
static void *break_pipes(void *data)
{
    sluice_context *context = sluice_context_new(NULL, NULL);
    uintptr_t wrong = 0;

    (void)data;
    for (int round = 0; round < 100; round++) {
        struct end source, sink;
        sluice_endpoint *in, *out;
        end_open_source(&source, END_FILE, bytes, LENGTH, NULL);
        end_open_sink(&sink, round % 2 ? END_PIPE : END_UNIX, NULL);
        close(sink.peer);
        sink.peer = -1;
        sluice_endpoint_from_fd(context, source.fd, 0, &in);
        sluice_endpoint_from_fd(context, sink.fd, 0, &out);
        wrong += sluice_copy(context, in, out, NULL, NULL) != -EPIPE;
        sluice_endpoint_free(in);
        sluice_endpoint_free(out);
        end_close(&source);
        end_close(&sink);
    }
    sluice_context_free(context);
    return (void *)wrong;
}

static void broken_pipes_disturb_no_thread(void **state)
{
    pthread_t thread[2];

    (void)state;
    signal(SIGPIPE, count_sigpipe);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, break_pipes, NULL), 0);
    for (int i = 0; i < 2; i++) {
        void *wrong;
        pthread_join(thread[i], &wrong);
        assert_int_equal((uintptr_t)wrong, 0);
    }
    assert_int_equal(sigpipes, 0);
    signal(SIGPIPE, SIG_DFL);
}

/* ---- fork ---- */

/* The child makes its own context, while the parent's holds pipes: neither disturbs the other. */
static void a_child_makes_its_own(void **state)
{
    static sluice_context *context; /* the child's copy of it is nobody's leak */
    int status;

    (void)state;
    context = sluice_context_new(NULL, NULL);
    assert_true(copies(context, END_TCP, END_UNIX)); /* a pipe is in the pool now */
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        sluice_context *own = sluice_context_new(NULL, NULL);
        bool good = own != NULL;
        for (int round = 0; round < 10; round++)
            good = good && copies(own, END_TCP, END_UNIX) && copies(own, END_PIPE, END_FILE);
        sluice_context_free(own);
        _exit(good ? 0 : 1);
    }
    for (int round = 0; round < 10; round++)
        assert_true(copies(context, END_TCP, END_UNIX) && copies(context, END_PIPE, END_FILE));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(copies(context, END_UNIX, END_TCP));
    sluice_context_free(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_do_not_meet),
        cmocka_unit_test(a_cancel_is_fired_by_many),
        cmocka_unit_test(broken_pipes_disturb_no_thread),
        cmocka_unit_test(a_child_makes_its_own),
    };
    return cmocka_run_group_tests(tests, make_bytes, NULL);
}
