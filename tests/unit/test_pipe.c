/* SPDX-License-Identifier: MIT */
/* The pool of private pipes: lent, taken back, bounded, and never reused with a byte inside. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/pipe.h"
#include "tests/unit/ends.h"

static struct pipe_pool pool_of(unsigned most, unsigned idle)
{
    return (struct pipe_pool){.max_count = most, .max_idle = idle};
}

static void a_pipe_is_lent_again(void **state)
{
    struct pipe_pool pool = pool_of(4, 4);
    struct pipe *first, *second;
    const unsigned open = descriptors_open();

    (void)state;
    assert_int_equal(pipe_get(&pool, 65536, &first), 0);
    pipe_put(&pool, first);
    assert_int_equal(descriptors_open(), open + 2);
    assert_int_equal(pipe_get(&pool, 65536, &second), 0);
    assert_ptr_equal(first, second);
    pipe_put(&pool, second);
    pipe_pool_close(&pool);
    assert_int_equal(descriptors_open(), open);
    assert_int_equal(pool.count, 0);
}

static void its_ends_are_private(void **state)
{
    struct pipe_pool pool = pool_of(1, 1);
    struct pipe *pipe;

    (void)state;
    assert_int_equal(pipe_get(&pool, 1 << 18, &pipe), 0);
    assert_true(fcntl(pipe->read_end, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(pipe->write_end, F_GETFD) & FD_CLOEXEC);
    assert_true(pipe->read_end > 2 && pipe->write_end > 2);
    pipe_kill(&pool, pipe);
}

static void its_capacity_is_what_the_kernel_says(void **state)
{
    static const uint32_t sizes[] = {4096, 65536, 65537, 100000, 1 << 17, 1 << 20};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct pipe_pool pool = pool_of(1, 1);
        struct pipe *pipe;
        assert_int_equal(pipe_get(&pool, sizes[i], &pipe), 0);
        assert_int_equal(pipe->capacity, fcntl(pipe->read_end, F_GETPIPE_SZ));
        assert_true(pipe->capacity >= sizes[i]); /* within the budget of any user */
        assert_int_equal(pipe->asked, sizes[i]);
        pipe_kill(&pool, pipe);
    }
}

/* More than the system allows: as much as there is, and no failure. */
static void a_size_beyond_the_limit_is_cut(void **state)
{
    struct pipe_pool pool = pool_of(1, 1);
    struct pipe *pipe;

    (void)state;
    assert_int_equal(pipe_get(&pool, 1U << 31, &pipe), 0);
    assert_int_equal(pipe->capacity, fcntl(pipe->read_end, F_GETPIPE_SZ));
    assert_true(pipe->capacity >= 4096);
    pipe_put(&pool, pipe);
    pipe_pool_close(&pool);
}

/* A byte that nobody counted: the pipe is closed, and the next one is another and empty. */
static void a_pipe_with_a_byte_is_closed(void **state)
{
    for (int counted = 0; counted < 2; counted++) {
        struct pipe_pool pool = pool_of(4, 4);
        struct pipe *pipe;
        const unsigned open = descriptors_open();
        int held = -1;

        (void)state;
        assert_int_equal(pipe_get(&pool, 65536, &pipe), 0);
        assert_int_equal(write(pipe->write_end, "x", 1), 1);
        pipe->parked = (uint64_t)counted;
        pipe_put(&pool, pipe);
        assert_int_equal(descriptors_open(), open);
        assert_int_equal(pool.idle_count, 0);
        assert_int_equal(pipe_get(&pool, 65536, &pipe), 0);
        assert_int_equal(ioctl(pipe->read_end, FIONREAD, &held), 0);
        assert_int_equal(held, 0);
        pipe_put(&pool, pipe);
        pipe_pool_close(&pool);
    }
}

/* Also one that is empty but by its own count is not: something is wrong with it. */
static void a_pipe_that_should_hold_bytes_is_closed(void **state)
{
    struct pipe_pool pool = pool_of(4, 4);
    struct pipe *pipe;

    (void)state;
    assert_int_equal(pipe_get(&pool, 65536, &pipe), 0);
    pipe->parked = 10;
    pipe_put(&pool, pipe);
    assert_int_equal(pool.idle_count, 0);
    assert_int_equal(pool.count, 0);
}

static void the_pool_is_bounded(void **state)
{
    struct pipe_pool pool = pool_of(3, 1);
    struct pipe *pipe[4];
    const unsigned open = descriptors_open();

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(pipe_get(&pool, 65536, &pipe[i]), 0);
    assert_int_equal(pipe_get(&pool, 65536, &pipe[3]), -EMFILE);
    assert_int_equal(descriptors_open(), open + 6);
    for (int i = 0; i < 3; i++)
        pipe_put(&pool, pipe[i]);
    assert_int_equal(descriptors_open(), open + 2); /* one is kept */
    assert_int_equal(pool.count, 1);
    assert_int_equal(pipe_get(&pool, 65536, &pipe[3]), 0);
    pipe_kill(&pool, pipe[3]);
    assert_int_equal(descriptors_open(), open);
    assert_int_equal(pool.count, 0);
}

/* At the bound a smaller idle pipe makes room for the one that is wanted. */
static void a_larger_pipe_takes_the_place_of_a_smaller(void **state)
{
    struct pipe_pool pool = pool_of(1, 1);
    struct pipe *pipe;

    (void)state;
    assert_int_equal(pipe_get(&pool, 65536, &pipe), 0);
    pipe_put(&pool, pipe);
    assert_int_equal(pipe_get(&pool, 1 << 18, &pipe), 0);
    assert_true(pipe->capacity >= 1 << 18);
    assert_int_equal(pool.count, 1);
    pipe_put(&pool, pipe);
    /* And a larger one serves for less. */
    assert_int_equal(pipe_get(&pool, 65536, &pipe), 0);
    assert_true(pipe->capacity >= 1 << 18);
    pipe_put(&pool, pipe);
    pipe_pool_close(&pool);
}

/* Room is slots and not bytes: sixteen segments of one byte fill a pipe of 64 KiB. */
static void room_is_counted_in_slots(void **state)
{
    struct pipe_pool pool = pool_of(1, 1);
    struct pipe *pipe;
    int feeder[2];
    uint32_t segments = 0;

    (void)state;
    assert_int_equal(pipe_get(&pool, 65536, &pipe), 0);
    assert_int_equal(pipe2(feeder, O_CLOEXEC | O_NONBLOCK), 0);
    assert_true(pipe_has_room(pipe));
    while (pipe_has_room(pipe)) {
        assert_int_equal(write(feeder[1], "x", 1), 1);
        assert_int_equal(splice(feeder[0], NULL, pipe->write_end, NULL, 1, SPLICE_F_NONBLOCK), 1);
        pipe->parked++;
        segments++;
        assert_true(segments <= 1024);
    }
    assert_int_equal(segments, pipe->capacity / (uint32_t)sysconf(_SC_PAGESIZE));
    /* As full as that, it takes nothing more. */
    assert_int_equal(write(feeder[1], "x", 1), 1);
    assert_int_equal(splice(feeder[0], NULL, pipe->write_end, NULL, 1, SPLICE_F_NONBLOCK), -1);
    assert_int_equal(errno, EAGAIN);
    close(feeder[0]);
    close(feeder[1]);
    pipe_put(&pool, pipe);
    assert_int_equal(pool.count, 0);
}

static void descriptors_that_run_out_are_an_error(void **state)
{
    struct pipe_pool pool = pool_of(4, 4);
    struct rlimit usual, few;
    struct pipe *pipe;
    int taken[100], count = 0;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
    few = usual;
    few.rlim_cur = 80;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    while (count < 100 && (taken[count] = dup(0)) >= 0)
        count++;
    assert_int_equal(pipe_get(&pool, 65536, &pipe), -EMFILE);
    close(taken[--count]); /* one is not enough */
    assert_int_equal(pipe_get(&pool, 65536, &pipe), -EMFILE);
    assert_int_equal(pool.count, 0);
    while (count > 0)
        close(taken[--count]);
    setrlimit(RLIMIT_NOFILE, &usual);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pipe_is_lent_again),
        cmocka_unit_test(its_ends_are_private),
        cmocka_unit_test(its_capacity_is_what_the_kernel_says),
        cmocka_unit_test(a_size_beyond_the_limit_is_cut),
        cmocka_unit_test(a_pipe_with_a_byte_is_closed),
        cmocka_unit_test(a_pipe_that_should_hold_bytes_is_closed),
        cmocka_unit_test(the_pool_is_bounded),
        cmocka_unit_test(a_larger_pipe_takes_the_place_of_a_smaller),
        cmocka_unit_test(room_is_counted_in_slots),
        cmocka_unit_test(descriptors_that_run_out_are_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
