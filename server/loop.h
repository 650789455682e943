/* SPDX-License-Identifier: MIT */
/*
 * An event loop: one thread, one epoll instance, edge-triggered; timers; calls from other threads.
 *
 * A loop and everything added to it belong to the thread that runs it; only loop_call(), loop_ask()
 * and loop_stop() may be used from elsewhere. Callbacks never wait. What a callback removes is not
 * called any more, also not for events that were already fetched.
 */
#ifndef SERVER_LOOP_H
#define SERVER_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

struct loop;

/* A descriptor that is watched. It lies in its owner's structure and does not move while watched. */
struct watch {
    int fd; /* the owner's; -1: not watched */
    void (*ready)(struct loop *loop, struct watch *watch, uint32_t events); /* EPOLLIN … */
};

#define SECOND UINT64_C(1000000000) /* of timers */

/* A point in time. It lies in its owner's structure; zero-initialized: not set. */
struct timer {
    uint64_t at;    /* CLOCK_MONOTONIC, nanoseconds */
    unsigned place; /* in the loop's heap, from 1; 0: not set */
    void (*fire)(struct loop *loop, struct timer *timer);
};

/* Work for the next turn, after the descriptors that are ready by then were served. */
struct task {
    struct task *next, **link; /* among those that are due; link NULL: it is not */
    void (*run)(struct loop *loop, struct task *task);
};

/* The structure that a member lies in. */
#define OWNER_OF(member, type, name) ((type *)(void *)((char *)(member)-offsetof(type, name)))

/* 0, or what epoll_create1(2) and eventfd(2) return, or -ENOMEM. data: the owner's, as loop_data(). */
int loop_new(void *data, struct loop **ret);
void *loop_data(const struct loop *loop);
/* Everything that was added is to be removed before. NULL is ignored. */
void loop_free(struct loop *loop);

/* Runs until loop_stop(). 0, or what epoll_wait(2) returned. */
int loop_run(struct loop *loop);
int loop_stop(struct loop *loop); /* 0 or -ENOMEM */

/* Watches `watch->fd` for EPOLLIN, EPOLLOUT, EPOLLRDHUP …, by edges (EPOLLET) or levels. 0, or what
 * epoll_ctl(2) returned. */
int loop_add(struct loop *loop, struct watch *watch, uint32_t events, bool edge);
/* Ends watching; the descriptor stays open, watch->fd becomes -1. */
void loop_remove(struct loop *loop, struct watch *watch);
/* The same, and closes it; no other descriptor of that open file may exist in the process. */
void loop_close(struct loop *loop, struct watch *watch);

/* (Re)sets a timer. 0 or -ENOMEM. */
int timer_set(struct loop *loop, struct timer *timer, uint64_t at);
void timer_clear(struct loop *loop, struct timer *timer);

/* The time at which this turn began; cheap. */
uint64_t loop_now(struct loop *loop);

void loop_later(struct loop *loop, struct task *task);
void loop_not_later(struct loop *loop, struct task *task);

/* From any thread: has the loop call a function, in the order in which it was asked. loop_call() returns at
 * once; loop_ask() when the function has returned, or with -ETIMEDOUT when the loop has not come to it
 * in two seconds: then it is not called any more. Return 0 or -ENOMEM. */
int loop_call(struct loop *loop, void (*function)(struct loop *, void *), void *data);
int loop_ask(struct loop *loop, void (*function)(struct loop *, void *), void *data);

#endif
