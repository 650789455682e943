/* SPDX-License-Identifier: MIT */
/*
 * Calls from other threads: they come in order; one that a busy loop has not come to in time is not made
 * later, when what it was given is gone; one that has begun is waited for.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "server/loop.h"

static struct loop *loop;
static pthread_t thread;
static sem_t begun, may_go_on;

static void *run(void *data)
{
    (void)data;
    return (void *)(intptr_t)loop_run(loop);
}

static int set_up(void **state)
{
    (void)state;
    sem_init(&begun, 0, 0);
    sem_init(&may_go_on, 0, 0);
    return loop_new(NULL, &loop) < 0 ? -1 : pthread_create(&thread, NULL, run, NULL);
}

static int tear_down(void **state)
{
    void *value = NULL;

    (void)state;
    loop_stop(loop);
    pthread_join(thread, &value);
    loop_free(loop);
    sem_destroy(&begun);
    sem_destroy(&may_go_on);
    return value ? -1 : 0;
}

/* Keeps the loop busy until it is told to go on. */
static void be_busy(struct loop *at, void *data)
{
    (void)at;
    (void)data;
    sem_post(&begun);
    sem_wait(&may_go_on);
}

static void count(struct loop *at, void *data)
{
    (void)at;
    ++*(int *)data;
}

struct order {
    int come, numbers[300];
};

struct number {
    struct order *order;
    int number;
};

static void note(struct loop *at, void *data)
{
    const struct number *number = data;

    (void)at;
    number->order->numbers[number->order->come++] = number->number;
}

static void in_order(void **state)
{
    struct order order = {0};
    struct number number[300];

    (void)state;
    for (int i = 0; i < 300; i++) {
        number[i] = (struct number){&order, i};
        if (i % 10 == 9)
            assert_int_equal(loop_ask(loop, note, &number[i]), 0);
        else
            assert_int_equal(loop_call(loop, note, &number[i]), 0);
        if (i % 10 == 9)
            assert_int_equal(order.come, i + 1);
    }
    for (int i = 0; i < 300; i++)
        assert_int_equal(order.numbers[i], i);
}

static void too_late_is_never(void **state)
{
    int counted = 0, later = 0;

    (void)state;
    assert_int_equal(loop_call(loop, be_busy, NULL), 0);
    sem_wait(&begun);
    assert_int_equal(loop_ask(loop, count, &counted), -ETIMEDOUT);
    assert_int_equal(loop_call(loop, count, &later), 0);
    sem_post(&may_go_on);
    assert_int_equal(loop_ask(loop, count, &later), 0);
    assert_int_equal(later, 2);
    assert_int_equal(counted, 0);
}

/* It takes longer than anybody is ready to wait for its beginning. */
static void be_slow(struct loop *at, void *data)
{
    const struct timespec slow = {.tv_sec = 2, .tv_nsec = 300000000};

    (void)at;
    nanosleep(&slow, NULL);
    ++*(int *)data;
}

static void what_has_begun_is_waited_for(void **state)
{
    int counted = 0;

    (void)state;
    assert_int_equal(loop_ask(loop, be_slow, &counted), 0);
    assert_int_equal(counted, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_late_is_never, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_has_begun_is_waited_for, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
