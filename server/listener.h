/* SPDX-License-Identifier: MIT */
/*
 * A listening socket in a loop. It accepts until the kernel has no more, a bounded number a turn.
 * Out of descriptors (EMFILE, ENFILE, ENOBUFS, ENOMEM) it rests for a moment and tries again: it
 * neither spins nor dies, and says so once.
 */
#ifndef SERVER_LISTENER_H
#define SERVER_LISTENER_H

#include <stdint.h>

#include "loop.h"
#include "peer.h"

struct listener;

/* A connection was accepted: the descriptor (O_NONBLOCK, O_CLOEXEC, above 2) is the callee's. */
typedef void accepted_function(struct listener *listener, int fd, const struct peer *peer);
/* accept4(2), or watching, failed: said once in ten seconds. */
typedef void refused_function(struct listener *listener, int error);

/* Before each accept4(2): whether there is room for one more, which is the listener's until `accepted`, or
 * until `left` says that none came. */
typedef bool room_function(struct listener *listener);
typedef void left_function(struct listener *listener);

struct listener {
    struct watch watch;
    struct timer rest;
    struct loop *loop;
    accepted_function *accepted;
    refused_function *refused; /* may be NULL */
    room_function *room;       /* NULL: there always is; it pauses the listener if there is none */
    left_function *left;
    void *data;  /* the owner's */
    bool shared; /* other loops watch the same socket: EPOLLEXCLUSIVE */
    bool resting, paused;
    uint64_t silent_until; /* a failure was said */
    unsigned at_a_turn, singles;
    uint64_t failures; /* accepts that failed for want of something */
};

/* Makes a listening socket: O_NONBLOCK, SO_REUSEADDR, SO_REUSEPORT where several loops listen; an
 * IPv6 wildcard takes IPv4 too. Returns the descriptor; -EACCES (a privileged port), -EADDRINUSE (a
 * port in use, a UNIX path that exists), -ENAMETOOLONG …; *operation is the call that failed. */
int listener_open(const struct peer *at, int backlog, bool reuse_port, const char **operation);

/* Checks a descriptor that was passed to us: -ENOTSOCK, -EINVAL with *why: not listening, not a
 * stream … Makes it O_NONBLOCK and O_CLOEXEC. */
int listener_adopt(int fd, const char **why);

/* Begins to accept. `listener` is filled by the caller: watch.fd, accepted, data …, the rest zero. */
int listener_start(struct loop *loop, struct listener *listener);
/* Stops for a while, and goes on (--max-connections). */
void listener_pause(struct listener *listener);
void listener_resume(struct listener *listener);
/* Accepts what has come so far. */
void listener_take_rest(struct listener *listener);
/* Stops for good and closes the descriptor. */
void listener_stop(struct listener *listener);

#endif
