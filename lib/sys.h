/* SPDX-License-Identifier: MIT */
/*
 * The system calls that libsluice makes: each data-moving one, and those that prepare them, passes
 * here. They return what the kernel returns, a negative errno on failure, and leave errno as it
 * was. They are real functions, not inlines, so that the tests can interpose on each of them
 * (the linker's --wrap) and make every errno happen at every step.
 */
#ifndef SLUICE_SYS_H
#define SLUICE_SYS_H

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "flight.h"

/* Moving bytes. A NULL offset means the descriptor's own. */
ssize_t sys_splice(int in, int64_t *in_offset, int out, int64_t *out_offset, size_t length,
                   unsigned flags);
ssize_t sys_sendfile(int out, int in, int64_t *in_offset, size_t length);
ssize_t sys_copy_file_range(int in, int64_t *in_offset, int out, int64_t *out_offset,
                            size_t length);
/* Shares extents: FICLONERANGE. 0 or a negative errno. */
int sys_clone_range(int in, uint64_t in_offset, uint64_t length, int out, uint64_t out_offset);
ssize_t sys_tee(int in, int out, size_t length, unsigned flags);
ssize_t sys_vmsplice(int pipe, const struct iovec *memory, size_t count, unsigned flags);
ssize_t sys_read(int fd, void *buffer, size_t length);
ssize_t sys_pread(int fd, void *buffer, size_t length, int64_t offset);
ssize_t sys_write(int fd, const void *buffer, size_t length);
ssize_t sys_pwrite(int fd, const void *buffer, size_t length, int64_t offset);
/* The same, and what comes into the page cache by it leaves again by itself: when it was read, or was
 * written to the device (RWF_DONTCACHE, Linux 6.14). Offset -1: the descriptor's own. -EOPNOTSUPP
 * where the kernel or the file system has no such thing. */
ssize_t sys_pread_uncached(int fd, void *buffer, size_t length, int64_t offset);
ssize_t sys_pwrite_uncached(int fd, const void *buffer, size_t length, int64_t offset);
ssize_t sys_recv(int fd, void *buffer, size_t length, int flags);
ssize_t sys_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t sys_send(int fd, const void *buffer, size_t length, int flags);

/* Requests of which several are in flight. Opening returns 0 or a negative errno: -ENOSYS, -EPERM,
 * -ENOMEM where the engine is refused. A request that was not taken (a negative errno) is still its
 * owner's; one that was is so again when it is reaped: NULL if none is done, and `wait` is false or
 * was interrupted. Nothing may be in flight when the queue is closed. */
int sys_flight_open(enum flight_engine engine, unsigned depth, struct flight **ret);
int sys_flight_submit(struct flight *flight, struct request *request);
struct request *sys_flight_reap(struct flight *flight, bool wait);
void sys_flight_close(struct flight *flight);

/* Memory. */
int sys_mmap(size_t length, int protection, int flags, int fd, int64_t offset, void **ret);
int sys_munmap(void *address, size_t length);
int sys_madvise(void *address, size_t length, int advice);
int sys_mprotect(void *address, size_t length, int protection);
/* A memfd that can be sealed. */
int sys_memfd_create(const char *name);

/* Descriptors. */
int sys_pipe2(int fds[2], int flags);
int sys_fcntl(int fd, int command, int argument);
int sys_ioctl(int fd, unsigned long request, void *argument);
int sys_open(const char *path, int flags);
ssize_t sys_readlink(const char *path, char *buffer, size_t length);
int sys_close(int fd);
int sys_ftruncate(int fd, int64_t length);

/* How large the file may get by our writes (RLIMIT_FSIZE); UINT64_MAX: there is no limit, or it
 * is no file. */
uint64_t sys_file_limit(int fd);
int sys_fallocate(int fd, int mode, int64_t offset, int64_t length);
/* Pages of the range that are in the page cache (cachestat, Linux 6.5). */
int sys_cachestat(int fd, uint64_t offset, uint64_t length, uint64_t *ret_pages);
int sys_fadvise(int fd, int64_t offset, int64_t length, int advice);
int sys_sync_file_range(int fd, int64_t offset, int64_t length, unsigned flags);
/* One byte, if it is in the page cache: 1; -EAGAIN if not; 0 at the end. */
ssize_t sys_pread_nowait(int fd, int64_t offset);
int64_t sys_lseek(int fd, int64_t offset, int whence);
int sys_fstat(int fd, struct stat *ret);
int sys_fstatfs_magic(int fd, uint64_t *ret);
/* What O_DIRECT wants of this file (statx, Linux 6.1): the alignment of memory and of offsets, 0 where
 * it has no O_DIRECT. -EOPNOTSUPP if the kernel or the file system does not say. */
int sys_direct_alignment(int fd, uint32_t *ret_memory, uint32_t *ret_offset);
/* Bytes that the kernel reads ahead of this file by itself, at most: 0 or a negative errno. */
int sys_device_readahead(int fd, uint64_t *ret);
/* Pieces of memory that the device under this file takes in one request: 0 or a negative errno. */
int sys_device_pieces(int fd, unsigned *ret);
int sys_getsockopt(int fd, int level, int name, int *ret);
/* TCP_ZEROCOPY_RECEIVE: maps whole pages of what has come at the beginning of a window, which is a
 * mapping of the socket. *length: the window's, then the bytes that are mapped; *ret_skip: the
 * bytes before the next whole page, which are to be read. 0 or a negative errno. */
int sys_tcp_map(int fd, void *window, uint32_t *length, uint32_t *ret_skip);
int sys_setsockopt(int fd, int level, int name, int value);
/* An epoll instance; adding to it, edge-triggered, a socket whose error queue is watched (data:
 * what it is told by) or another descriptor that becomes readable (NULL); taking away; asking,
 * without waiting, for one that is ready: 1, or 0 if there is none. */
int sys_epoll_create(void);
int sys_epoll_add(int epoll, int fd, void *data);
int sys_epoll_remove(int epoll, int fd);
int sys_epoll_take(int epoll, void **ret_data);
int sys_eventfd(void);
int sys_poll(struct pollfd *fds, nfds_t count, const struct timespec *timeout);

/* A thread that takes no signal, and is on that processor only (-1: on any). To be joined; or, without
 * on, detached. 0 or a negative errno. */
int sys_thread_on(int processor, void *(*function)(void *), void *argument, pthread_t *ret);
int sys_thread(void *(*function)(void *), void *argument);

/* Lets another process run on this CPU. */
void sys_yield(void);

/* Nanoseconds of CLOCK_MONOTONIC; waiting for a point of it (0, or -EINTR). */
uint64_t sys_now(void);
int sys_sleep_until(uint64_t deadline);

#endif
