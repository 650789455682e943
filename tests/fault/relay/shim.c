/* SPDX-License-Identifier: MIT */
#include "tests/fault/relay/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/sys.h"
#include "server/net.h"

static struct shim nowhere, *shim = &nowhere;
static int error; /* of the call that was struck last */

static const char *const call_names[CALL_COUNT] = {
#define X(name, words) [CALL_##name] = words,
    CALLS(X)
#undef X
};

static const char *const who_names[] = {
    [WHO_LISTENER] = "listener", [WHO_CLIENT] = "client", [WHO_TARGET] = "target",
    [WHO_PIPE] = "pipe",         [WHO_LOOP] = "loop",     [WHO_TAP] = "tap",
    [WHO_COUNT] = "nobody",      [WHO_OTHER] = "other",
};

const char *call_words(enum call call)
{
    return call_names[call];
}

const char *who_words(enum who who)
{
    return who_names[who];
}

void shim_begin(struct shim *shared)
{
    shim = shared;
}

/* ---- who is who ---- */

enum { MOST = 1024 };

static struct {
    bool known;
    enum who who;
    uint32_t events; /* it is watched for */
    void *watch;
} table[MOST];
static int epoll_fd = -1;
static bool listening, peeked;

static enum who who(int fd)
{
    return fd >= 0 && fd < MOST && table[fd].known ? table[fd].who : WHO_OTHER;
}

static int is(int fd, enum who as)
{
    if (fd >= 0 && fd < MOST) {
        table[fd].known = true;
        table[fd].who = as;
        table[fd].events = 0;
    }
    return fd;
}

/* ---- the fate of a call ---- */

static void end(int status, const char *what, const char *call)
{
    fprintf(stderr, "FAIL: %s: %s\n", what, call);
    _exit(status);
}

static bool is_due(const struct shim_fault *fault, enum call call, enum who by)
{
    return fault->call == call && fault->who == by && fault->at == shim->calls[call][by];
}

static bool struck(enum call call, enum who by)
{
    if (by >= WHO_COUNT)
        return false;
    if (++shim->total > SHIM_MOST_CALLS)
        end(SHIM_SPINS, "it spins, and its last call was", call_names[call]);
    shim->calls[call][by]++;
    const bool by_fault = is_due(&shim->fault, call, by);
    if (!by_fault && !is_due(&shim->also, call, by))
        return false;
    shim->struck += by_fault;
    error = by_fault ? shim->fault.error : shim->also.error;
    return true;
}

/* For calls that undo something, or that go on by themselves: made, and then failed. */
static int failed_after(enum call call, enum who by, int value)
{
    return struck(call, by) ? -error : value;
}

/* A socket that says EAGAIN tells later that it is ready: so the edge that came is told again. */
static ssize_t fails(int fd)
{
    struct epoll_event event = {.events = table[fd].events, .data.ptr = table[fd].watch};
    if (error == EAGAIN && event.events)
        epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &event);
    return -error;
}

/* ---- the calls of a server ---- */

#define NET(name) extern __typeof__(net_##name) __wrap_net_##name, __real_net_##name;
#define SYS(name) extern __typeof__(sys_##name) __wrap_sys_##name, __real_sys_##name;
NET(socket)
NET(bind)
NET(listen)
NET(accept)
NET(connect)
NET(shutdown)
NET(setsockopt)
NET(getsockname)
NET(epoll_create)
NET(epoll_control)
NET(epoll_wait)
SYS(splice)
SYS(read)
SYS(write)
SYS(recv)
SYS(send)
SYS(pipe2)
SYS(fcntl)
SYS(ioctl)
SYS(close)
SYS(fstat)
SYS(getsockopt)
SYS(eventfd)
SYS(poll)
SYS(open)
SYS(fstatfs_magic)
SYS(tee)
SYS(thread)
SYS(now)

static int with_small_buffers(int fd)
{
    const int size = 4096;
    if (fd >= 0 && shim->small_buffers) {
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    }
    return fd;
}

int __wrap_net_socket(int domain, int type, int protocol)
{
    const enum who by = !listening                             ? WHO_LISTENER
                        : shim->unix_taps && domain == AF_UNIX ? WHO_TAP
                                                               : WHO_TARGET;
    return struck(CALL_SOCKET, by)
               ? -error
               : with_small_buffers(is(__real_net_socket(domain, type, protocol), by));
}

int __wrap_net_bind(int fd, const struct sockaddr *address, socklen_t length)
{
    return struck(CALL_BIND, who(fd)) ? -error : __real_net_bind(fd, address, length);
}

int __wrap_net_listen(int fd, int backlog)
{
    listening = true;
    return struck(CALL_LISTEN, who(fd)) ? -error : __real_net_listen(fd, backlog);
}

int __wrap_net_accept(int fd, struct sockaddr *ret, socklen_t *ret_length, int flags)
{
    return struck(CALL_ACCEPT, who(fd))
               ? -error
               : with_small_buffers(is(__real_net_accept(fd, ret, ret_length, flags), WHO_CLIENT));
}

/* An interrupted connect goes on by itself. */
int __wrap_net_connect(int fd, const struct sockaddr *address, socklen_t length)
{
    if (!struck(CALL_CONNECT, who(fd)))
        return __real_net_connect(fd, address, length);
    if (error == EINTR)
        __real_net_connect(fd, address, length);
    return -error;
}

int __wrap_net_shutdown(int fd, int how)
{
    return struck(CALL_SHUTDOWN, who(fd)) ? -error : __real_net_shutdown(fd, how);
}

int __wrap_net_setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
    const bool linger = level == SOL_SOCKET && name == SO_LINGER;
    return struck(linger ? CALL_SET_LINGER : CALL_SET_OPTION, who(fd))
               ? -error
               : __real_net_setsockopt(fd, level, name, value, length);
}

int __wrap_net_getsockname(int fd, struct sockaddr *ret, socklen_t *ret_length)
{
    return struck(CALL_GET_NAME, who(fd)) ? -error : __real_net_getsockname(fd, ret, ret_length);
}

int __wrap_net_epoll_create(void)
{
    if (struck(CALL_EPOLL_CREATE, WHO_LOOP))
        return -error;
    return epoll_fd = is(__real_net_epoll_create(), WHO_LOOP);
}

int __wrap_net_epoll_control(int epoll, int operation, int fd, struct epoll_event *event)
{
    if (operation == EPOLL_CTL_DEL)
        return failed_after(CALL_EPOLL_DELETE, who(fd),
                            __real_net_epoll_control(epoll, operation, fd, event));
    if (struck(CALL_EPOLL_ADD, who(fd)))
        return -error;
    if (fd >= 0 && fd < MOST) {
        table[fd].events = event->events;
        table[fd].watch = event->data.ptr;
    }
    return __real_net_epoll_control(epoll, operation, fd, event);
}

int __wrap_net_epoll_wait(int epoll, struct epoll_event *events, int count, int64_t timeout)
{
    return struck(CALL_EPOLL_WAIT, who(epoll))
               ? -error
               : __real_net_epoll_wait(epoll, events, count, timeout);
}

/* ---- the calls of the library ---- */

/* EPIPE of splice comes with a signal. */
static ssize_t fails_to_splice(int fd, enum call call)
{
    if (call == CALL_SPLICE_OUT && error == EPIPE)
        raise(SIGPIPE);
    return fails(fd);
}

ssize_t __wrap_sys_splice(int in, int64_t *in_offset, int out, int64_t *out_offset, size_t length,
                          unsigned flags)
{
    const enum call call = who(out) == WHO_PIPE ? CALL_SPLICE_IN : CALL_SPLICE_OUT;
    const int fd = call == CALL_SPLICE_IN ? in : out;
    return struck(call, who(fd)) ? fails_to_splice(fd, call)
                                 : __real_sys_splice(in, in_offset, out, out_offset, length, flags);
}

/* Only eventfds are read, and pipes whose bytes cannot be spliced. */
ssize_t __wrap_sys_read(int fd, void *buffer, size_t length)
{
    const enum call call = who(fd) == WHO_LOOP ? CALL_READ_EVENT : CALL_READ_BACK;
    return struck(call, who(fd)) ? -error : __real_sys_read(fd, buffer, length);
}

/* EAGAIN: it rings already. */
ssize_t __wrap_sys_write(int fd, const void *buffer, size_t length)
{
    if (who(fd) != WHO_LOOP)
        return struck(who(fd) == WHO_PIPE ? CALL_FILL : CALL_WRITE, who(fd))
                   ? fails(fd)
                   : __real_sys_write(fd, buffer, length);
    const ssize_t value = __real_sys_write(fd, buffer, length);
    return failed_after(CALL_WRITE_EVENT, WHO_LOOP, (int)value);
}

ssize_t __wrap_sys_recv(int fd, void *buffer, size_t length, int flags)
{
    const enum call call = flags & MSG_PEEK && length == 1 ? CALL_DOUBT
                           : flags & MSG_PEEK              ? CALL_PEEK
                           : peeked                        ? CALL_TAKE
                                                           : CALL_RECV;
    const ssize_t value =
        struck(call, who(fd)) ? fails(fd) : __real_sys_recv(fd, buffer, length, flags);
    peeked = call == CALL_PEEK ? value > 0 : peeked && value < 0;
    return value;
}

ssize_t __wrap_sys_send(int fd, const void *buffer, size_t length, int flags)
{
    return struck(CALL_SEND, who(fd)) ? fails(fd) : __real_sys_send(fd, buffer, length, flags);
}

int __wrap_sys_pipe2(int fds[2], int flags)
{
    if (struck(CALL_PIPE, WHO_PIPE))
        return -error;
    const int made = __real_sys_pipe2(fds, flags);
    if (made >= 0) {
        is(fds[0], WHO_PIPE);
        is(fds[1], WHO_PIPE);
    }
    return made;
}

int __wrap_sys_fcntl(int fd, int command, int argument)
{
    if (command == F_SETPIPE_SZ && struck(CALL_SET_PIPE_SIZE, who(fd)))
        return -error;
    if (command == F_GETFL && struck(CALL_GET_FLAGS, who(fd)))
        return -error;
    if (command == F_SETFL && struck(CALL_SET_FLAGS, who(fd)))
        return -error;
    const int value = __real_sys_fcntl(fd, command, argument);
    return command == F_DUPFD_CLOEXEC && who(fd) != WHO_OTHER ? is(value, who(fd)) : value;
}

int __wrap_sys_ioctl(int fd, unsigned long request, void *argument)
{
    const enum call call = request == SIOCOUTQ ? CALL_BYTES_UNSENT : CALL_BYTES_IN_PIPE;
    return struck(call, who(fd)) ? -error : __real_sys_ioctl(fd, request, argument);
}

int __wrap_sys_close(int fd)
{
    const enum who by = who(fd);
    if (fd >= 0 && fd < MOST)
        table[fd].known = false;
    return failed_after(CALL_CLOSE, by, __real_sys_close(fd));
}

int __wrap_sys_fstat(int fd, struct stat *ret)
{
    return struck(CALL_FSTAT, who(fd)) ? -error : __real_sys_fstat(fd, ret);
}

int __wrap_sys_getsockopt(int fd, int level, int name, int *ret)
{
    const bool of_error = level == SOL_SOCKET && name == SO_ERROR;
    return struck(of_error ? CALL_GET_ERROR : CALL_GET_OPTION, who(fd))
               ? -error
               : __real_sys_getsockopt(fd, level, name, ret);
}

int __wrap_sys_eventfd(void)
{
    return struck(CALL_EVENTFD, WHO_LOOP) ? -error : is(__real_sys_eventfd(), WHO_LOOP);
}

int __wrap_sys_poll(struct pollfd *fds, nfds_t count, const struct timespec *timeout)
{
    return struck(CALL_POLL, who(fds->fd)) ? -error : __real_sys_poll(fds, count, timeout);
}

/* Of files, those of taps: what is thrown away goes to /dev/null. */
int __wrap_sys_open(const char *path, int flags)
{
    if (strcmp(path, "/dev/null") == 0)
        return __real_sys_open(path, flags);
    return struck(CALL_OPEN, WHO_TAP) ? -error : is(__real_sys_open(path, flags), WHO_TAP);
}

int __wrap_sys_fstatfs_magic(int fd, uint64_t *ret)
{
    return struck(CALL_FSTATFS, who(fd)) ? -error : __real_sys_fstatfs_magic(fd, ret);
}

ssize_t __wrap_sys_tee(int in, int out, size_t length, unsigned flags)
{
    return struck(CALL_TEE, who(in)) ? -error : __real_sys_tee(in, out, length, flags);
}

/* A tap of an unknown file system would have one; without, it is written to all the same. */
int __wrap_sys_thread(void *(*run)(void *), void *data)
{
    (void)run;
    (void)data;
    return -EAGAIN;
}

uint64_t __wrap_sys_now(void)
{
    return __real_sys_now();
}

/* ---- what a relay does not call ---- */

#define NEVER(name)                                                                                \
    void __wrap_sys_##name(void);                                                                  \
    void __wrap_sys_##name(void)                                                                   \
    {                                                                                              \
        end(SHIM_UNKNOWN, "a call that is not in the relay's table", #name);                       \
    }

NEVER(sendfile)
NEVER(copy_file_range)
NEVER(clone_range)
NEVER(vmsplice)
NEVER(pread)
NEVER(pwrite)
NEVER(pread_uncached)
NEVER(pwrite_uncached)
NEVER(recvmsg)
NEVER(flight_open)
NEVER(flight_submit)
NEVER(flight_reap)
NEVER(flight_close)
NEVER(mmap)
NEVER(munmap)
NEVER(madvise)
NEVER(mprotect)
NEVER(memfd_create)
NEVER(readlink)
NEVER(ftruncate)
NEVER(fallocate)
NEVER(cachestat)
NEVER(fadvise)
NEVER(sync_file_range)
NEVER(pread_nowait)
NEVER(lseek)
NEVER(direct_alignment)
NEVER(device_pieces)
NEVER(file_limit)
NEVER(device_readahead)
NEVER(tcp_map)
NEVER(setsockopt)
NEVER(epoll_create)
NEVER(epoll_add)
NEVER(epoll_remove)
NEVER(epoll_take)
NEVER(thread_on)
NEVER(yield)
NEVER(sleep_until)
