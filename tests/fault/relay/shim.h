/* SPDX-License-Identifier: MIT */
/*
 * Stands between a relay and the kernel: the linker sends each call of lib/sys.h and server/net.h
 * here. A call is known by its name and by whom it is made for (the client's socket, the target's,
 * a pipe, a tap …), counted, and where the fault says so, answered in the kernel's place.
 *
 * A call that is not listed ends the process: the relay makes none that has no rows in the table.
 */
#ifndef TEST_RELAY_SHIM_H
#define TEST_RELAY_SHIM_H

#include <stdbool.h>
#include <stddef.h>

/* X(name, the words for it) */
#define CALLS(X)                                                                                   \
    X(SOCKET, "socket")                                                                            \
    X(BIND, "bind")                                                                                \
    X(LISTEN, "listen")                                                                            \
    X(ACCEPT, "accept4")                                                                           \
    X(CONNECT, "connect")                                                                          \
    X(SHUTDOWN, "shutdown")                                                                        \
    X(SET_OPTION, "setsockopt")                                                                    \
    X(SET_LINGER, "setsockopt(SO_LINGER)")                                                         \
    X(GET_OPTION, "getsockopt")                                                                    \
    X(GET_ERROR, "getsockopt(SO_ERROR)")                                                           \
    X(GET_NAME, "getsockname")                                                                     \
    X(EPOLL_CREATE, "epoll_create1")                                                               \
    X(EPOLL_ADD, "epoll_ctl(EPOLL_CTL_ADD)")                                                       \
    X(EPOLL_DELETE, "epoll_ctl(EPOLL_CTL_DEL)")                                                    \
    X(EPOLL_WAIT, "epoll_wait")                                                                    \
    X(EVENTFD, "eventfd")                                                                          \
    X(READ_EVENT, "read of the eventfd")                                                           \
    X(WRITE_EVENT, "write to the eventfd")                                                         \
    X(PEEK, "recv(MSG_PEEK)")                                                                      \
    X(TAKE, "recv of what was seen")                                                               \
    X(RECV, "recv")                                                                                \
    X(DOUBT, "recv(MSG_PEEK) of one byte")                                                         \
    X(SEND, "send")                                                                                \
    X(SPLICE_IN, "splice into a pipe")                                                             \
    X(SPLICE_OUT, "splice out of a pipe")                                                          \
    X(PIPE, "pipe2")                                                                               \
    X(SET_PIPE_SIZE, "fcntl(F_SETPIPE_SZ)")                                                        \
    X(GET_FLAGS, "fcntl(F_GETFL)")                                                                 \
    X(POLL, "poll")                                                                                \
    X(FSTAT, "fstat")                                                                              \
    X(BYTES_IN_PIPE, "ioctl(FIONREAD)")                                                            \
    X(BYTES_UNSENT, "ioctl(SIOCOUTQ)")                                                             \
    X(OPEN, "open")                                                                                \
    X(FSTATFS, "fstatfs")                                                                          \
    X(TEE, "tee")                                                                                  \
    X(WRITE, "write")                                                                              \
    X(READ_BACK, "read of a pipe")                                                                 \
    X(FILL, "write to a pipe")                                                                     \
    X(SET_FLAGS, "fcntl(F_SETFL)")                                                                 \
    X(CLOSE, "close")

enum call {
#define X(name, words) CALL_##name,
    CALLS(X)
#undef X
        CALL_COUNT,
};

/* Whom a call is made for. */
enum who {
    WHO_LISTENER,
    WHO_CLIENT,
    WHO_TARGET,
    WHO_PIPE,
    WHO_LOOP,
    WHO_TAP,
    WHO_COUNT,
    WHO_OTHER,
};

const char *call_words(enum call call);
const char *who_words(enum who who);

/* At call number `at` (1 is the first) of this kind; 0: never. */
struct shim_fault {
    enum call call;
    enum who who;
    unsigned at;
    int error; /* a positive errno */
};

/* In memory that the relay's process shares with the test. */
struct shim {
    struct shim_fault fault, also; /* what is to happen; and what happens in any case */
    /* The sockets' buffers are small, so that both sides say EAGAIN. */
    bool small_buffers;
    bool unix_taps; /* UNIX sockets that connect are taps, and not targets */
    /* What happened. */
    unsigned calls[CALL_COUNT][WHO_COUNT];
    unsigned total;
    unsigned struck; /* by the fault */
};

/* More calls than this of one relay are a spin: its process ends, with SHIM_SPINS. */
enum { SHIM_MOST_CALLS = 30000, SHIM_SPINS = 60, SHIM_UNKNOWN = 61 };

/* In the relay's process, before its first call. */
void shim_begin(struct shim *shared);

#endif
