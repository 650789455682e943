/* SPDX-License-Identifier: MIT */
/*
 * Stands between the library and the kernel: the linker sends each call of lib/sys.h here. A call
 * is recognised by what it does in the transfer, its *point* (splice into the private pipe and out
 * of it are two), counted, and where a fault says so, answered in the kernel's place.
 *
 * What the calls did is accounted apart from the library's own ledger, so that one can be held
 * against the other.
 */
#ifndef TEST_INJECT_H
#define TEST_INJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* X(name, the words for it) */
#define POINTS(X)                                                                                  \
    X(SPLICE_IN, "splice into the private pipe")                                                   \
    X(SPLICE_OUT, "splice out of the private pipe")                                                \
    X(SPLICE, "splice straight")                                                                   \
    X(SENDFILE, "sendfile")                                                                        \
    X(COPY_RANGE, "copy_file_range")                                                               \
    X(CLONE_RANGE, "ioctl(FICLONERANGE)")                                                          \
    X(READ, "read")                                                                                \
    X(RECV, "recv")                                                                                \
    X(RECVMSG, "recvmsg")                                                                          \
    X(WRITE, "write")                                                                              \
    X(SEND, "send")                                                                                \
    X(WRITE_MAPPED, "write from the mapping")                                                      \
    X(SEND_MAPPED, "send from the mapping")                                                        \
    X(READ_BACK, "read of the private pipe")                                                       \
    X(DOUBT, "read of one byte")                                                                   \
    X(MMAP, "mmap")                                                                                \
    X(MUNMAP, "munmap")                                                                            \
    X(MADVISE, "madvise")                                                                          \
    X(PIPE2, "pipe2")                                                                              \
    X(SET_PIPE_SIZE, "fcntl(F_SETPIPE_SZ)")                                                        \
    X(GET_PIPE_SIZE, "fcntl(F_GETPIPE_SZ)")                                                        \
    X(DUP, "fcntl(F_DUPFD_CLOEXEC)")                                                               \
    X(GET_FLAGS, "fcntl(F_GETFL)")                                                                 \
    X(SET_FLAGS, "fcntl(F_SETFL)")                                                                 \
    X(POLL_NOW, "poll without waiting")                                                            \
    X(POLL_WAIT, "poll")                                                                           \
    X(FTRUNCATE, "ftruncate")                                                                      \
    X(FALLOCATE, "fallocate")                                                                      \
    X(CACHESTAT, "cachestat")                                                                      \
    X(FADVISE, "fadvise")                                                                          \
    X(SYNC_FILE_RANGE, "sync_file_range")                                                          \
    X(READ_NOWAIT, "preadv2 without waiting")                                                      \
    X(READ_UNCACHED, "preadv2 with RWF_DONTCACHE")                                                 \
    X(WRITE_UNCACHED, "pwritev2 with RWF_DONTCACHE")                                               \
    X(SEEK_HOLES, "lseek for data or a hole")                                                      \
    X(SEEK_SOURCE, "lseek of the source")                                                          \
    X(SEEK_SINK, "lseek of the sink")                                                              \
    X(FSTAT, "fstat")                                                                              \
    X(FSTATFS, "fstatfs")                                                                          \
    X(GETSOCKOPT, "getsockopt")                                                                    \
    X(BYTES_IN_PIPE, "ioctl(FIONREAD) of the private pipe")                                        \
    X(BYTES_QUEUED, "ioctl(FIONREAD) of the source")                                               \
    X(IOCTL, "ioctl")                                                                              \
    X(OPEN, "open")                                                                                \
    X(READLINK, "readlink")                                                                        \
    X(CLOSE, "close")                                                                              \
    X(EVENTFD, "eventfd")                                                                          \
    X(DIRECT_READ, "read in flight")                                                               \
    X(DIRECT_WRITE, "write in flight")                                                             \
    X(DIRECT_IN, "splice into a pipe, in flight")                                                  \
    X(DIRECT_OUT, "splice out of a pipe, in flight")                                               \
    X(SUBMIT, "io_uring_enter")                                                                    \
    X(RING, "io_uring_setup")                                                                      \
    X(THREADS, "pthread_create")                                                                   \
    X(ALIGNMENT, "statx")                                                                          \
    X(TEE, "tee")

enum point {
#define X(name, words) POINT_##name,
    POINTS(X)
#undef X
        POINT_COUNT,
};

#define POINT(name) ((uint64_t)1 << POINT_##name)

const char *point_name(enum point point);

enum { ALWAYS = 1 << 30 };

/* At the calls number `from` (1 is the first) to `from + times - 1` of a point. */
struct fault {
    enum point point;
    unsigned from, times;
    int error;  /* a positive errno; 0: see `cut` */
    size_t cut; /* the call is made for so many bytes at most; 0: it is not made, and returns 0 */
};

/* Forgets all faults. */
void inject_none(void);
void inject(const struct fault *fault);

/* From now on, each data-moving call is interrupted, refused for the moment, or cut short, with the
 * chance of one in `rarity` each; 0: never. */
void inject_at_random(uint64_t seed, unsigned rarity);

/* A transfer begins: these are its descriptors. Counts start anew; faults stay. */
void inject_begin(int source, int sink);
/* It is over: calls are passed on and not looked at. */
void inject_end(void);

/* Faults do not come true for a while; calls are counted all the same. */
void inject_pause(bool pause);

/* Something that happens just before call number `from` of a point, when the library has made up
 * its mind and the kernel has not yet been asked. NULL: nothing. */
void inject_before(enum point point, unsigned from, void (*happens)(void *data), void *data);

/* Time is the test's own: it goes on by a moment whenever it is asked for, and by the whole of a
 * wait in which nothing happens. 0 gives the real time back. */
void inject_clock(uint64_t now);
uint64_t inject_clock_now(void);

/* What starting a thread returns; 0: it is started. */
void inject_threads(int error);

/* splice does not splice: it is an emulation that reads and writes. */
void inject_emulation(bool emulate);

/* What stands in for a call, whoever makes it; NULL: the call itself. */
struct stand_ins {
    ssize_t (*splice)(int in, int64_t *in_offset, int out, int64_t *out_offset, size_t length,
                      unsigned flags);
    ssize_t (*sendfile)(int out, int in, int64_t *in_offset, size_t length);
    ssize_t (*tee)(int in, int out, size_t length, unsigned flags);
    ssize_t (*vmsplice)(int pipe, const struct iovec *memory, size_t count, unsigned flags);
    ssize_t (*write)(int fd, const void *buffer, size_t length);
    ssize_t (*pwrite)(int fd, const void *buffer, size_t length, int64_t offset);
    ssize_t (*send)(int fd, const void *buffer, size_t length, int flags);
    ssize_t (*recvmsg)(int fd, struct msghdr *message, int flags);
    int (*setsockopt)(int fd, int level, int name, int value);
    int (*tcp_map)(int fd, void *window, uint32_t *length, uint32_t *ret_skip);
    int (*madvise)(void *address, size_t length, int advice);
    int (*memfd_create)(const char *name);
    int (*epoll_create)(void);
    int (*epoll_add)(int epoll, int fd, void *data);
};
extern struct stand_ins stand_in;

/* Before each step: forgets who said EAGAIN. */
void inject_step(void);

struct seen {
    unsigned calls[POINT_COUNT];
    unsigned total;
    unsigned fired;                            /* faults that came true */
    unsigned struck;                           /* of these, the fault that was given last */
    uint64_t delivered;                        /* bytes that the sink's kernel took */
    uint64_t delivered_at;                     /* as it was when that one first came true */
    enum point last;                           /* the last point with a fault that came true */
    bool source_said_eagain, sink_said_eagain; /* in this step */
    unsigned source_eagains, sink_eagains;     /* of calls that touch that side alone */
    unsigned descriptors;                      /* of the library, open now */
    unsigned low; /* calls that moved bytes through one of ours that is 0, 1 or 2 */
};

extern struct seen seen;

/* seen.descriptors, while threads of the library may still be closing some. */
unsigned inject_descriptors(void);

#endif
