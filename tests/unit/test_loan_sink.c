/* SPDX-License-Identifier: MIT */
/* What loans are sent to: a send takes what fits, waits for nobody, and says what failed. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "sluice.h"
#include "tests/unit/ends.h"
#include "tests/unit/loan_scene.h"

/* The sink has to find out by itself: it is made anew. */
static void let_it_block(struct scene *scene, enum sluice_loan_way way)
{
    const struct sluice_loan_sink_options options = {.size = sizeof options, .prefer = way};

    sluice_loan_sink_free(scene->sink);
    fcntl(scene->fd, F_SETFL, fcntl(scene->fd, F_GETFL) & ~O_NONBLOCK);
    assert_int_equal(sluice_loan_sink_new(scene->pool, scene->endpoint, &options, &scene->sink), 0);
}

/* Nothing waits in a step, whatever the descriptor's flags, and no byte is lost or doubled. */
static void a_send_takes_what_fits_and_never_waits(void **state)
{
    (void)state;
    for (unsigned behind = 0; behind < BEHIND_COUNT; behind++)
        for (unsigned way = SLUICE_LOAN_AUTO; way < SLUICE_LOAN_WAY_COUNT; way++)
            for (int flags = 0; flags <= SLUICE_LOAN_CONSTANT; flags++)
                for (int blocking = 0; blocking < 2; blocking++) {
                    enum { LENGTH = 3 * MIB };
                    struct scene scene;
                    sluice_loan *loan;
                    char *got = malloc(LENGTH);
                    size_t sent = 0, read = 0;

                    loan_scene_open(&scene, behind, way, LENGTH, 1);
                    if (blocking)
                        let_it_block(&scene, way);
                    assert_int_equal(sluice_loan_get(scene.pool, (unsigned)flags, &loan), 0);
                    char *data = sluice_loan_data(loan);
                    fill(data, LENGTH, 1);
                    alarm(20);
                    while (read < LENGTH) {
                        const ssize_t value =
                            sluice_loan_send(loan, scene.sink, sent, LENGTH - sent);
                        if (value >= 0) {
                            sent += (size_t)value;
                            if (sent < LENGTH)
                                continue;
                        } else {
                            assert_int_equal(value, -EAGAIN);
                        }
                        /* a pipe is read where something must be in it */
                        const size_t most = sent - read < 60000 ? sent - read : 60000;
                        const ssize_t piece =
                            behind == PIPE
                                ? (ssize_t)read_all(scene.peer, got + read, most)
                                : recv(scene.peer, got + read, LENGTH - read, MSG_DONTWAIT);
                        if (piece > 0)
                            read += (size_t)piece;
                    }
                    alarm(0);
                    assert_int_equal(sent, LENGTH);
                    assert_memory_equal(got, data, LENGTH);
                    assert_int_equal(!(fcntl(scene.fd, F_GETFL) & O_NONBLOCK), blocking);
                    sluice_loan_put(loan);
                    loan_scene_close(&scene);
                    free(got);
                }
}

struct slow_reader {
    int fd;
    char *got;
    size_t length;
    int delay; /* milliseconds before it begins */
};

static void *read_slowly(void *data)
{
    struct slow_reader *reader = data;
    size_t read = 0;

    poll(NULL, 0, reader->delay);
    while (read < reader->length) {
        poll(NULL, 0, 1);
        const size_t came =
            read_all(reader->fd, reader->got + read,
                     reader->length - read < 200000 ? reader->length - read : 200000);
        if (came == 0)
            break;
        read += came;
    }
    reader->length = read;
    return NULL;
}

/* It waits, inside the call or for the descriptor, and all of it arrives. */
static void send_all_waits_for_a_slow_reader(void **state)
{
    enum { LENGTH = 2 * MIB };

    (void)state;
    for (unsigned behind = 0; behind < BEHIND_COUNT; behind++)
        for (unsigned way = SLUICE_LOAN_AUTO; way < SLUICE_LOAN_WAY_COUNT; way++)
            for (unsigned flags = 0; flags <= SLUICE_LOAN_CONSTANT; flags++)
                for (int blocking = 0; blocking < 2; blocking++) {
                    struct scene scene;
                    sluice_loan *loan;
                    uint64_t sent = 0;
                    pthread_t thread;

                    loan_scene_open(&scene, behind, way, LENGTH, 1);
                    if (blocking)
                        let_it_block(&scene, way);
                    struct slow_reader reader = {
                        .fd = scene.peer, .got = malloc(LENGTH), .length = LENGTH};
                    assert_int_equal(sluice_loan_get(scene.pool, flags, &loan), 0);
                    fill(sluice_loan_data(loan), LENGTH, 2);
                    assert_int_equal(pthread_create(&thread, NULL, read_slowly, &reader), 0);
                    assert_int_equal(sluice_loan_send_all(loan, scene.sink, 0, LENGTH, &sent), 0);
                    pthread_join(thread, NULL);
                    assert_int_equal(sent, LENGTH);
                    assert_int_equal(reader.length, LENGTH);
                    assert_memory_equal(reader.got, sluice_loan_data(loan), LENGTH);
                    free(reader.got);
                    sluice_loan_put(loan);
                    loan_scene_close(&scene);
                }
}

/* An error queue that is not ours says POLLERR at once, for ever: that is no reason to spin. */
static void waiting_beside_a_full_error_queue_costs_nothing(void **state)
{
    skip_under_wrapper();
    enum { LENGTH = 8 * MIB };
    struct scene scene;
    sluice_loan *loan;
    struct timespec before, after;
    struct pollfd wait;
    const int on = 1;
    char *got = malloc(LENGTH);
    pthread_t thread;

    (void)state;
    loan_scene_open(&scene, TCP, SLUICE_LOAN_AUTO, LENGTH, 1);
    assert_int_equal(setsockopt(scene.fd, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof on), 0);
    assert_int_equal(send(scene.fd, "x", 1, MSG_ZEROCOPY), 1);
    assert_int_equal(recv(scene.peer, got, 1, MSG_WAITALL), 1);
    wait = (struct pollfd){.fd = scene.fd};
    assert_int_equal(poll(&wait, 1, 5000), 1);
    assert_int_equal(wait.revents, POLLERR);
    assert_int_equal(sluice_loan_get(scene.pool, 0, &loan), 0);
    fill(sluice_loan_data(loan), LENGTH, 2);
    struct slow_reader reader = {.fd = scene.peer, .got = got, .length = LENGTH, .delay = 300};
    assert_int_equal(pthread_create(&thread, NULL, read_slowly, &reader), 0);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    assert_int_equal(sluice_loan_send_all(loan, scene.sink, 0, LENGTH, NULL), 0);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    pthread_join(thread, NULL);
    assert_memory_equal(got, sluice_loan_data(loan), LENGTH);
    const long spent =
        (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
    if (spent > 150)
        fail_msg("%ld ms of CPU", spent);
    free(got);
    sluice_loan_put(loan);
    loan_scene_close(&scene);
}

static void on_alarm(int number)
{
    (void)number;
}

/* A signal ends the wait, and the count says where to go on. */
static void send_all_can_be_interrupted(void **state)
{
    enum { LENGTH = 2 * MIB };
    const struct sigaction action = {.sa_handler = on_alarm}; /* without SA_RESTART */
    struct sigaction before;

    (void)state;
    sigaction(SIGALRM, &action, &before);
    for (unsigned behind = 0; behind < BEHIND_COUNT; behind++)
        for (unsigned flags = 0; flags <= SLUICE_LOAN_CONSTANT; flags++) {
            const struct itimerval soon = {.it_value = {.tv_usec = 20000},
                                           .it_interval = {.tv_usec = 20000}};
            const struct itimerval never = {0};
            struct scene scene;
            sluice_loan *loan;
            uint64_t sent = 0;
            char *got = malloc(LENGTH);

            loan_scene_open(&scene, behind, SLUICE_LOAN_AUTO, LENGTH, 1);
            setsockopt(scene.fd, SOL_SOCKET, SO_SNDBUF, &(int){65536}, sizeof(int));
            setsockopt(scene.peer, SOL_SOCKET, SO_RCVBUF, &(int){65536}, sizeof(int));
            fcntl(scene.fd, F_SETFL, fcntl(scene.fd, F_GETFL) & ~O_NONBLOCK);
            assert_int_equal(sluice_loan_get(scene.pool, flags, &loan), 0);
            fill(sluice_loan_data(loan), LENGTH, 2);
            setitimer(ITIMER_REAL, &soon, NULL);
            assert_int_equal(sluice_loan_send_all(loan, scene.sink, 0, LENGTH, &sent), -EINTR);
            setitimer(ITIMER_REAL, &never, NULL);
            assert_true(sent > 0 && sent < LENGTH);
            struct slow_reader reader = {.fd = scene.peer, .got = got, .length = LENGTH};
            pthread_t thread;
            assert_int_equal(pthread_create(&thread, NULL, read_slowly, &reader), 0);
            assert_int_equal(sluice_loan_send_all(loan, scene.sink, sent, LENGTH - sent, NULL), 0);
            pthread_join(thread, NULL);
            assert_int_equal(reader.length, LENGTH);
            assert_memory_equal(got, sluice_loan_data(loan), LENGTH);
            free(got);
            sluice_loan_put(loan);
            loan_scene_close(&scene);
        }
    sigaction(SIGALRM, &before, NULL);
}

static void a_reader_that_leaves_is_an_error_without_a_signal(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_DFL);
    for (unsigned behind = 0; behind < BEHIND_COUNT; behind++)
        for (unsigned way = SLUICE_LOAN_AUTO; way < SLUICE_LOAN_WAY_COUNT; way++)
            for (unsigned flags = 0; flags <= SLUICE_LOAN_CONSTANT; flags++) {
                struct scene scene;
                sluice_loan *loan;
                uint64_t sent = 1;
                int error = 0;

                loan_scene_open(&scene, behind, way, 64 * KIB, 1);
                assert_int_equal(sluice_loan_get(scene.pool, flags, &loan), 0);
                close(scene.peer);
                scene.peer = dup(scene.fd);
                for (unsigned i = 0; i < 100 && error == 0; i++) /* TCP learns of it by a reset */
                    error = sluice_loan_send_all(loan, scene.sink, 0, 64 * KIB, &sent);
                if (error != -EPIPE && error != -ECONNRESET)
                    fail_msg("%s by %s: %d", loan_behind_names[behind], sluice_loan_way_name(way),
                             error);
                assert_int_equal(sent, 0);
                error = (int)sluice_loan_send(loan, scene.sink, 0, 64 * KIB);
                assert_true(error == -EPIPE || error == -ECONNRESET);
                sigset_t pending;
                sigpending(&pending);
                assert_false(sigismember(&pending, SIGPIPE));
                sluice_loan_put(loan);
                loan_scene_close(&scene);
            }
}

static void files_and_messages_are_sinks_too(void **state)
{
    static const enum end_kind kinds[] = {END_FILE,  END_APPEND,    END_UDP,
                                          END_DGRAM, END_SEQPACKET, END_NULL};
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (unsigned way = SLUICE_LOAN_AUTO; way < SLUICE_LOAN_WAY_COUNT; way++) {
            enum { LENGTH = 20000 };
            const struct sluice_loan_sink_options options = {.size = sizeof options, .prefer = way};
            struct scene scene;
            struct end end;
            char got[LENGTH + 1], wanted[LENGTH];
            sluice_loan *loan;

            end_open_sink(&end, kinds[i], NULL);
            assert_int_equal(sluice_loan_pool_new(loan_context, NULL, &scene.pool), 0);
            assert_int_equal(
                sluice_endpoint_from_fd(loan_context, end.fd, SLUICE_BORROW, &scene.endpoint), 0);
            assert_int_equal(
                sluice_loan_sink_new(scene.pool, scene.endpoint, &options, &scene.sink), 0);
            assert_int_equal(sluice_loan_get(scene.pool, 0, &loan), 0);
            fill(sluice_loan_data(loan), LENGTH, 1);
            fill(wanted, LENGTH, 1);
            assert_int_equal(sluice_loan_send(loan, scene.sink, 0, LENGTH), LENGTH);
            if (kinds[i] != END_NULL) {
                assert_int_equal(end_received(&end, got, sizeof got), LENGTH);
                assert_memory_equal(got, wanted, LENGTH);
            }
            sluice_loan_put(loan);
            sluice_loan_sink_free(scene.sink);
            assert_int_equal(sluice_loan_pool_free(scene.pool), 0);
            sluice_endpoint_free(scene.endpoint);
            end_close(&end);
        }
}

static void what_is_no_sink_is_refused(void **state)
{
    struct scene scene;
    sluice_endpoint *endpoint;
    sluice_loan_sink *sink;
    sluice_loan *loan;
    struct sluice_loan_sink_options options = {.size = sizeof options, .flags = 1U << 30};
    struct sluice_loan_choice choice = {.size = sizeof choice};
    struct sluice_loan_options huge = {.size = sizeof huge, .buffer_size = UINT64_MAX};
    sluice_loan_pool *other;

    (void)state;
    loan_scene_open(&scene, PIPE, SLUICE_LOAN_AUTO, 4096, 1);
    assert_int_equal(sluice_endpoint_from_fd(loan_context, scene.peer, SLUICE_BORROW, &endpoint),
                     0);
    assert_int_equal(sluice_loan_sink_new(scene.pool, endpoint, NULL, &sink), -EBADF);
    sluice_endpoint_free(endpoint);
    assert_int_equal(sluice_endpoint_from_kind(loan_context, "tcp", &endpoint), 0);
    assert_int_equal(sluice_loan_sink_new(scene.pool, endpoint, NULL, &sink), -EBADF);
    sluice_endpoint_free(endpoint);
    assert_int_equal(sluice_loan_sink_new(scene.pool, scene.endpoint, &options, &sink), -EINVAL);
    options.flags = 0;
    options.prefer = SLUICE_LOAN_WAY_COUNT;
    assert_int_equal(sluice_loan_sink_new(scene.pool, scene.endpoint, &options, &sink), -EINVAL);
    assert_int_equal(sluice_loan_pool_new(loan_context, &huge, &other), -EINVAL);
    assert_int_equal(sluice_loan_get(scene.pool, 0, &loan), 0);
    assert_int_equal(sluice_loan_send(loan, scene.sink, 4096, 1), -EINVAL);
    assert_int_equal(sluice_loan_send(loan, scene.sink, UINT64_MAX, 2), -EINVAL);
    assert_int_equal(sluice_loan_send(loan, scene.sink, 1, UINT64_MAX), -EINVAL);
    assert_int_equal(sluice_loan_send(loan, scene.sink, 4096, 0), 0);
    assert_int_equal(sluice_loan_pool_new(loan_context, NULL, &other), 0);
    assert_int_equal(sluice_loan_sink_new(other, scene.endpoint, NULL, &sink), 0);
    assert_int_equal(sluice_loan_send(loan, sink, 0, 1), -EINVAL); /* of another pool */
    assert_int_equal(sluice_loan_sink_choice(sink, SLUICE_LOAN_WAY_COUNT - 1, &choice), -ERANGE);
    assert_int_equal(sluice_loan_pool_free(other), -EBUSY);
    assert_int_equal(sluice_loan_pool_abandon(other), 0);
    assert_string_equal(sluice_loan_way_name(SLUICE_LOAN_SEND_ZC), "send-zc");
    assert_string_equal(sluice_loan_way_name(SLUICE_LOAN_WAY_COUNT), "?");
    sluice_loan_put(loan);
    sluice_loan_put(NULL);
    assert_int_equal(sluice_loan_sink_free(NULL), 0);
    assert_int_equal(sluice_loan_pool_free(NULL), 0);
    loan_scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_send_takes_what_fits_and_never_waits),
        cmocka_unit_test(send_all_waits_for_a_slow_reader),
        cmocka_unit_test(waiting_beside_a_full_error_queue_costs_nothing),
        cmocka_unit_test(send_all_can_be_interrupted),
        cmocka_unit_test(a_reader_that_leaves_is_an_error_without_a_signal),
        cmocka_unit_test(files_and_messages_are_sinks_too),
        cmocka_unit_test(what_is_no_sink_is_refused),
    };
    return cmocka_run_group_tests(tests, loan_set_up, loan_tear_down);
}
