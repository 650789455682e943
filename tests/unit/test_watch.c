/* SPDX-License-Identifier: MIT */
/* Looking into the kernel, where that is permitted: what is counted is what this thread did. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/probe/watch.h"
#include "tests/unit/ends.h"

enum { PIECE = 32768, PIECES = 64 };

static const char *const wanted[] = {"unix_stream_sendmsg", "anon_pipe_write", NULL};
static struct watch *watch;
static char bytes[PIECE];

static int open_watch(void **state)
{
    (void)state;
    if (watch_open(wanted, &watch) < 0)
        watch = NULL;
    return 0;
}

static int close_watch(void **state)
{
    (void)state;
    if (watch)
        watch_close(watch);
    return 0;
}

static bool sees(enum sluice_witness witness)
{
    if (watch && watch_sees(watch, witness) == 0)
        return true;
    print_message("SKIP: this user may not look into the kernel\n");
    return false;
}

static void exchange(int fds[2], unsigned pieces)
{
    for (unsigned i = 0; i < pieces; i++) {
        assert_int_equal(send(fds[0], bytes, sizeof bytes, 0), PIECE);
        assert_int_equal(recv(fds[1], bytes, sizeof bytes, MSG_WAITALL), PIECE);
    }
}

static void bytes_out_of_sockets_are_exact(void **state)
{
    struct watched seen = {0};
    int fds[2];

    (void)state;
    if (!sees(SLUICE_WITNESS_TRACE))
        return;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    exchange(fds, 1); /* not watched */
    for (unsigned i = 0; i < PIECES; i++) {
        watch_begin(watch);
        exchange(fds, 1);
        watch_end(watch, &seen);
    }
    exchange(fds, 1);
    assert_int_equal(seen.socket_copied, (int64_t)PIECES * PIECE);
    close(fds[0]);
    close(fds[1]);
}

static void *exchange_elsewhere(void *data)
{
    exchange(data, PIECES);
    return NULL;
}

static void another_threads_work_is_not_counted(void **state)
{
    struct watched seen = {0};
    pthread_t other;
    int fds[2];

    (void)state;
    if (!sees(SLUICE_WITNESS_TRACE))
        return;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    watch_begin(watch);
    assert_int_equal(pthread_create(&other, NULL, exchange_elsewhere, fds), 0);
    pthread_join(other, NULL);
    watch_end(watch, &seen);
    assert_int_equal(seen.socket_copied, 0);
    close(fds[0]);
    close(fds[1]);
}

static void samples_show_the_way(void **state)
{
    struct watched seen = {0};
    int fds[2];

    (void)state;
    if (!sees(SLUICE_WITNESS_SAMPLES))
        return;
    assert_int_equal(pipe(fds), 0);
    watch_begin(watch);
    for (unsigned i = 0; i < 4000; i++) {
        assert_int_equal(write(fds[1], bytes, sizeof bytes), PIECE);
        assert_int_equal(read(fds[0], bytes, sizeof bytes), PIECE);
    }
    watch_end(watch, &seen);
    assert_true(seen.samples > 20);
    assert_true(seen.in_copy > 0 && seen.in_copy <= seen.samples);
    assert_int_equal(seen.functions, 1);
    assert_string_equal(seen.function[0], "anon_pipe_write");
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_out_of_sockets_are_exact),
        cmocka_unit_test(another_threads_work_is_not_counted),
        cmocka_unit_test(samples_show_the_way),
    };
    return cmocka_run_group_tests(tests, open_watch, close_watch);
}
