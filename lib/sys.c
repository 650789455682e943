/* SPDX-License-Identifier: MIT */
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/fs.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#ifndef RWF_DONTCACHE
#define RWF_DONTCACHE 0x80 /* younger than many a header */
#endif

/* Offsets are handed to libc as off_t; the build asks for 64 bits of it. */
_Static_assert(sizeof(off_t) == sizeof(int64_t), "build with _FILE_OFFSET_BITS=64");

/* The value of a libc call as a value: what it returned, or -errno, errno itself restored. */
#define VALUE(call)                                                                                \
    __extension__({                                                                                \
        const int saved_ = errno;                                                                  \
        __typeof__(call) value_ = (call);                                                          \
        if (value_ < 0) {                                                                          \
            value_ = -errno;                                                                       \
            errno = saved_;                                                                        \
        }                                                                                          \
        value_;                                                                                    \
    })

ssize_t sys_splice(int in, int64_t *in_offset, int out, int64_t *out_offset, size_t length,
                   unsigned flags)
{
    return VALUE(splice(in, in_offset, out, out_offset, length, flags));
}

ssize_t sys_sendfile(int out, int in, int64_t *in_offset, size_t length)
{
    return VALUE(sendfile(out, in, in_offset, length));
}

ssize_t sys_copy_file_range(int in, int64_t *in_offset, int out, int64_t *out_offset, size_t length)
{
    return VALUE(copy_file_range(in, in_offset, out, out_offset, length, 0));
}

int sys_clone_range(int in, uint64_t in_offset, uint64_t length, int out, uint64_t out_offset)
{
    struct file_clone_range range = {
        .src_fd = in, .src_offset = in_offset, .src_length = length, .dest_offset = out_offset};
    return VALUE(ioctl(out, FICLONERANGE, &range));
}

ssize_t sys_tee(int in, int out, size_t length, unsigned flags)
{
    return VALUE(tee(in, out, length, flags));
}

ssize_t sys_vmsplice(int pipe, const struct iovec *memory, size_t count, unsigned flags)
{
    return VALUE(vmsplice(pipe, memory, count, flags));
}

ssize_t sys_read(int fd, void *buffer, size_t length)
{
    return VALUE(read(fd, buffer, length));
}

ssize_t sys_pread(int fd, void *buffer, size_t length, int64_t offset)
{
    return VALUE(pread(fd, buffer, length, offset));
}

ssize_t sys_write(int fd, const void *buffer, size_t length)
{
    return VALUE(write(fd, buffer, length));
}

ssize_t sys_pwrite(int fd, const void *buffer, size_t length, int64_t offset)
{
    return VALUE(pwrite(fd, buffer, length, offset));
}

ssize_t sys_pread_uncached(int fd, void *buffer, size_t length, int64_t offset)
{
    const struct iovec iov = {.iov_base = buffer, .iov_len = length};
    return VALUE(preadv2(fd, &iov, 1, offset, RWF_DONTCACHE));
}

ssize_t sys_pwrite_uncached(int fd, const void *buffer, size_t length, int64_t offset)
{
    const struct iovec iov = {.iov_base = (void *)(uintptr_t)buffer, .iov_len = length};
    return VALUE(pwritev2(fd, &iov, 1, offset, RWF_DONTCACHE));
}

ssize_t sys_recv(int fd, void *buffer, size_t length, int flags)
{
    return VALUE(recv(fd, buffer, length, flags));
}

ssize_t sys_recvmsg(int fd, struct msghdr *message, int flags)
{
    return VALUE(recvmsg(fd, message, flags));
}

ssize_t sys_send(int fd, const void *buffer, size_t length, int flags)
{
    return VALUE(send(fd, buffer, length, flags));
}

ssize_t flight_perform(const struct request *request)
{
    int64_t offset = request->offset;

    switch (request->operation) {
    case FLIGHT_READ:
        return sys_pread(request->file, request->memory, request->length, offset);
    case FLIGHT_WRITE:
        return sys_pwrite(request->file, request->memory, request->length, offset);
    case FLIGHT_SPLICE_IN:
        return sys_splice(request->file, &offset, request->pipe, NULL, request->length, 0);
    case FLIGHT_SPLICE_OUT:
        return sys_splice(request->pipe, NULL, request->file, &offset, request->length, 0);
    default:
        return request->value;
    }
}

int sys_mmap(size_t length, int protection, int flags, int fd, int64_t offset, void **ret)
{
    const int saved = errno;
    void *address = mmap(NULL, length, protection, flags, fd, offset);
    if (address == MAP_FAILED) {
        const int error = -errno;
        errno = saved;
        return error;
    }
    *ret = address;
    return 0;
}

int sys_munmap(void *address, size_t length)
{
    return VALUE(munmap(address, length));
}

int sys_madvise(void *address, size_t length, int advice)
{
    return VALUE(madvise(address, length, advice));
}

int sys_mprotect(void *address, size_t length, int protection)
{
    return VALUE(mprotect(address, length, protection));
}

int sys_memfd_create(const char *name)
{
    return VALUE(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
}

int sys_pipe2(int fds[2], int flags)
{
    return VALUE(pipe2(fds, flags));
}

int sys_fcntl(int fd, int command, int argument)
{
    return VALUE(fcntl(fd, command, argument));
}

int sys_ioctl(int fd, unsigned long request, void *argument)
{
    return VALUE(ioctl(fd, request, argument));
}

int sys_open(const char *path, int flags)
{
    return VALUE(open(path, flags, 0600)); /* what it makes is nobody else's */
}

ssize_t sys_readlink(const char *path, char *buffer, size_t length)
{
    return VALUE(readlink(path, buffer, length));
}

int sys_close(int fd)
{
    return VALUE(close(fd));
}

uint64_t sys_file_limit(int fd)
{
    struct rlimit limit;
    struct stat status;
    const int saved = errno;
    const bool limited = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
                         getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;

    errno = saved;
    return limited ? limit.rlim_cur : UINT64_MAX;
}

int sys_ftruncate(int fd, int64_t length)
{
    return VALUE(ftruncate(fd, length));
}

int sys_fallocate(int fd, int mode, int64_t offset, int64_t length)
{
    return VALUE(fallocate(fd, mode, offset, length));
}

int sys_cachestat(int fd, uint64_t offset, uint64_t length, uint64_t *ret_pages)
{
    enum { NUMBER = 451 }; /* the same everywhere; younger than many a header */
    const struct {
        uint64_t offset, length;
    } range = {offset, length};
    struct {
        uint64_t cached, dirty, written_back, evicted, recently_evicted;
    } state = {0};
    const int error = (int)VALUE(syscall(NUMBER, fd, &range, &state, 0));
    *ret_pages = state.cached;
    return error;
}

int sys_fadvise(int fd, int64_t offset, int64_t length, int advice)
{
    return -posix_fadvise(fd, offset, length, advice);
}

int sys_sync_file_range(int fd, int64_t offset, int64_t length, unsigned flags)
{
    return VALUE(sync_file_range(fd, offset, length, flags));
}

ssize_t sys_pread_nowait(int fd, int64_t offset)
{
    char byte;
    const struct iovec iov = {.iov_base = &byte, .iov_len = 1};
    return VALUE(preadv2(fd, &iov, 1, offset, RWF_NOWAIT));
}

int64_t sys_lseek(int fd, int64_t offset, int whence)
{
    return VALUE(lseek(fd, offset, whence));
}

int sys_fstat(int fd, struct stat *ret)
{
    return VALUE(fstat(fd, ret));
}

int sys_fstatfs_magic(int fd, uint64_t *ret)
{
    struct statfs buffer;
    int error = VALUE(fstatfs(fd, &buffer));
    if (error < 0)
        return error;
    *ret = (uint32_t)buffer.f_type; /* the magic numbers are 32 bits wide; f_type is signed */
    return 0;
}

int sys_direct_alignment(int fd, uint32_t *ret_memory, uint32_t *ret_offset)
{
    enum { DIOALIGN = 0x2000 }; /* younger than many a header, and so are its fields: */
    union {
        struct statx status;
        struct {
            char before[0x98];
            uint32_t memory, offset;
        } room;
        char whole[256];
    } answer = {0};

    const int error = VALUE(statx(fd, "", AT_EMPTY_PATH, DIOALIGN, &answer.status));
    if (error < 0)
        return error;
    if (!(answer.status.stx_mask & DIOALIGN))
        return -EOPNOTSUPP;
    *ret_memory = answer.room.memory;
    *ret_offset = answer.room.offset;
    return 0;
}

/* One line of sysfs: a number, or -1. */
static long number_in(const char *path)
{
    char text[16] = "";
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

    if (fd >= 0)
        close(fd);
    return length > 0 ? strtol(text, NULL, 10) : -1;
}

/* The device that a block device is, or a file lies on. 0, or a negative errno. */
static int device_under(int fd, dev_t *ret)
{
    struct stat status;
    const int error = VALUE(fstat(fd, &status));
    if (error >= 0)
        *ret = S_ISBLK(status.st_mode) ? status.st_rdev : status.st_dev;
    return error;
}

/* A partition's queue is its disk's. A file system with no device of its own (btrfs) has none. */
int sys_device_pieces(int fd, unsigned *ret)
{
    static const char *const places[] = {"", "../"};
    const int saved = errno;
    char path[96];
    dev_t device = 0;
    long number = device_under(fd, &device) < 0 ? 0 : -1;

    for (size_t i = 0; i < sizeof places / sizeof *places && number < 0; i++) {
        snprintf(path, sizeof path, "/sys/dev/block/%u:%u/%squeue/max_segments", major(device),
                 minor(device), places[i]);
        number = number_in(path);
    }
    errno = saved;
    if (number <= 0)
        return -ENOENT;
    *ret = (unsigned)number;
    return 0;
}

/* btrfs, whose files lie on no device by their number, has it under its own name. */
static long readahead_of_btrfs(int fd)
{
    struct btrfs_ioctl_fs_info_args info = {0};
    char path[96] = "/sys/fs/btrfs/";
    size_t at = strlen(path);

    if (ioctl(fd, BTRFS_IOC_FS_INFO, &info) < 0)
        return -1;
    for (size_t i = 0; i < sizeof info.fsid; i++)
        at += (size_t)snprintf(path + at, sizeof path - at, "%s%02x",
                               i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", info.fsid[i]);
    snprintf(path + at, sizeof path - at, "/bdi/read_ahead_kb");
    return number_in(path);
}

int sys_device_readahead(int fd, uint64_t *ret)
{
    static const struct {
        const char *before, *after;
    } places[] = {{"class/bdi/", ""}, {"dev/block/", "/../queue"}}; /* the latter of a partition */
    const int saved = errno;
    char path[96];
    dev_t device = 0;
    const int error = device_under(fd, &device);
    long number = -1;

    for (size_t i = 0; i < sizeof places / sizeof *places && error >= 0 && number < 0; i++) {
        snprintf(path, sizeof path, "/sys/%s%u:%u%s/read_ahead_kb", places[i].before, major(device),
                 minor(device), places[i].after);
        number = number_in(path);
    }
    if (number < 0 && error >= 0)
        number = readahead_of_btrfs(fd);
    errno = saved;
    if (number < 0)
        return error < 0 ? error : -ENOENT;
    *ret = (uint64_t)number << 10;
    return 0;
}

int sys_getsockopt(int fd, int level, int name, int *ret)
{
    socklen_t length = sizeof *ret;
    return VALUE(getsockopt(fd, level, name, ret, &length));
}

int sys_tcp_map(int fd, void *window, uint32_t *length, uint32_t *ret_skip)
{
    struct tcp_zerocopy_receive receive = {.address = (uint64_t)(uintptr_t)window,
                                           .length = *length};
    socklen_t size = sizeof receive;
    const int error = VALUE(getsockopt(fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &receive, &size));
    *length = error < 0 ? 0 : receive.length;
    *ret_skip = error < 0 ? 0 : receive.recv_skip_hint;
    return error;
}

int sys_setsockopt(int fd, int level, int name, int value)
{
    return VALUE(setsockopt(fd, level, name, &value, sizeof value));
}

int sys_epoll_create(void)
{
    return VALUE(epoll_create1(EPOLL_CLOEXEC));
}

int sys_epoll_add(int epoll, int fd, void *data)
{
    /* What can be read from a socket is the caller's business; EPOLLERR comes unasked. */
    struct epoll_event event = {.events = data ? EPOLLET : EPOLLET | EPOLLIN, .data.ptr = data};
    return VALUE(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

int sys_epoll_remove(int epoll, int fd)
{
    return VALUE(epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL));
}

int sys_epoll_take(int epoll, void **ret_data)
{
    struct epoll_event event = {0};
    const int count = VALUE(epoll_wait(epoll, &event, 1, 0));
    if (count > 0)
        *ret_data = event.data.ptr;
    return count;
}

int sys_eventfd(void)
{
    return VALUE(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

int sys_poll(struct pollfd *fds, nfds_t count, const struct timespec *timeout)
{
    return VALUE(ppoll(fds, count, timeout, NULL));
}

static int keep_on(pthread_attr_t *attributes, int processor)
{
    cpu_set_t there;

    CPU_ZERO(&there);
    CPU_SET((size_t)processor, &there);
    return pthread_attr_setaffinity_np(attributes, sizeof there, &there);
}

int sys_thread_on(int processor, void *(*function)(void *), void *argument, pthread_t *ret)
{
    pthread_attr_t attributes;
    sigset_t all, before;

    int error = pthread_attr_init(&attributes);
    if (error)
        return -error;
    if (processor >= 0)
        error = keep_on(&attributes, processor);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* it is born with this mask */
    if (!error)
        error = pthread_create(ret, &attributes, function, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return -error;
}

int sys_thread(void *(*function)(void *), void *argument)
{
    pthread_t thread;

    const int error = sys_thread_on(-1, function, argument, &thread);
    return error < 0 ? error : -pthread_detach(thread);
}

void sys_yield(void)
{
    sched_yield(); /* cannot fail on Linux */
}

uint64_t sys_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

int sys_sleep_until(uint64_t deadline)
{
    const struct timespec until = {.tv_sec = (time_t)(deadline / 1000000000U),
                                   .tv_nsec = (long)(deadline % 1000000000U)};
    return -clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}
