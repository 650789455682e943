/* SPDX-License-Identifier: MIT */
#include "tests/fault/manual.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SPLICES   (POINT(SPLICE_IN) | POINT(SPLICE_OUT) | POINT(SPLICE))
#define IN_KERNEL (SPLICES | POINT(SENDFILE) | POINT(COPY_RANGE))
#define RECEIVING (POINT(RECV) | POINT(RECVMSG))
#define WRITING   (POINT(WRITE) | POINT(WRITE_MAPPED))
#define SENDING   (POINT(SEND) | POINT(SEND_MAPPED))
#define MOVING    (IN_KERNEL | POINT(READ) | RECEIVING | WRITING | SENDING)
#define TO_SINK                                                                                    \
    (POINT(SPLICE_OUT) | POINT(SPLICE) | POINT(SENDFILE) | POINT(COPY_RANGE) | WRITING | SENDING)
#define TO_SOCKET (POINT(SPLICE_OUT) | POINT(SENDFILE) | SENDING)

#define DONE     EXPECT_DONE
#define FALLBACK EXPECT_FALLBACK
#define BUFFERED EXPECT_BUFFERED
#define ERROR    EXPECT_ERROR
#define EITHER   EXPECT_ERROR_OR_DONE

const struct manual_row manual[] = {
    /* signal(7): a call that moves bytes is interrupted before it has moved any. */
    {MOVING | POINT(READ_BACK), EINTR, DONE},
    {MOVING, EAGAIN, DONE},

    /* splice(2) */
    {SPLICES, EBADF, ERROR},
    {SPLICES, EINVAL, FALLBACK},
    {SPLICES, ENOMEM, FALLBACK},
    {SPLICES, ESPIPE, FALLBACK},
    /* sendfile(2) */
    {POINT(SENDFILE), EBADF, ERROR},
    {POINT(SENDFILE), EFAULT, ERROR},
    {POINT(SENDFILE), EINVAL, FALLBACK},
    {POINT(SENDFILE), EIO, ERROR},
    {POINT(SENDFILE), ENOMEM, FALLBACK},
    {POINT(SENDFILE), EOVERFLOW, FALLBACK},
    {POINT(SENDFILE), ESPIPE, FALLBACK},
    /* copy_file_range(2) */
    {POINT(COPY_RANGE), EBADF, FALLBACK},
    {POINT(COPY_RANGE), EFBIG, ERROR},
    {POINT(COPY_RANGE), EINVAL, FALLBACK},
    {POINT(COPY_RANGE), EIO, ERROR},
    {POINT(COPY_RANGE), EISDIR, FALLBACK},
    {POINT(COPY_RANGE), ENOMEM, FALLBACK},
    {POINT(COPY_RANGE), ENOSPC, ERROR},
    {POINT(COPY_RANGE), EOPNOTSUPP, FALLBACK},
    {POINT(COPY_RANGE), EOVERFLOW, FALLBACK},
    {POINT(COPY_RANGE), EPERM, FALLBACK},
    {POINT(COPY_RANGE), ETXTBSY, FALLBACK},
    {POINT(COPY_RANGE), EXDEV, FALLBACK},
    /* Calls inside the kernel: a kernel that lacks them, and filters and modules that forbid
     * them. */
    {IN_KERNEL, ENOSYS, FALLBACK},
    {IN_KERNEL, EPERM, FALLBACK},
    {IN_KERNEL, EACCES, FALLBACK},
    {IN_KERNEL, EOPNOTSUPP, FALLBACK},
    {SPLICES, EOVERFLOW, FALLBACK},
    /* They hand on what the ends say. */
    {IN_KERNEL, EIO, ERROR},
    {TO_SINK, EPIPE, ERROR},
    {TO_SINK, ENOSPC, ERROR},
    {TO_SINK, EDQUOT, ERROR},
    {TO_SINK, EFBIG, ERROR},
    {TO_SOCKET, ECONNRESET, ERROR},
    {TO_SOCKET, ETIMEDOUT, ERROR},
    {TO_SOCKET, ECONNABORTED, ERROR},
    {TO_SOCKET, ECONNREFUSED, ERROR},
    {TO_SOCKET, EDESTADDRREQ, ERROR},
    {TO_SOCKET, EHOSTDOWN, ERROR},
    {TO_SOCKET, EHOSTUNREACH, ERROR},
    {TO_SOCKET, EMSGSIZE, ERROR},
    {TO_SOCKET, ENETDOWN, ERROR},
    {TO_SOCKET, ENETRESET, ERROR},
    {TO_SOCKET, ENETUNREACH, ERROR},
    {TO_SOCKET, ENOBUFS, ERROR},
    {TO_SOCKET, ENOTCONN, ERROR},
    {TO_SINK, EROFS, ERROR}, /* made so meanwhile */
    {POINT(SPLICE_IN), ECONNRESET, ERROR},
    {POINT(SPLICE_IN), ETIMEDOUT, ERROR},
    {POINT(SPLICE_IN), ENOTCONN, ERROR},

    /* read(2), pread(2) */
    {POINT(READ), EBADF, ERROR},
    {POINT(READ), EFAULT, ERROR},
    {POINT(READ), EINVAL, BUFFERED},
    {POINT(READ), EIO, ERROR},
    {POINT(READ), EISDIR, ERROR},
    {POINT(READ), ENXIO, ERROR},
    {POINT(READ), EOVERFLOW, ERROR},
    {POINT(READ), ESPIPE, ERROR},
    /* recv(2), tcp(7), unix(7), ip(7) */
    {RECEIVING, EBADF, ERROR},
    {RECEIVING, ECONNREFUSED, ERROR},
    {RECEIVING, EFAULT, ERROR},
    {RECEIVING, EINVAL, ERROR},
    {RECEIVING, ENOMEM, ERROR},
    {RECEIVING, ENOTCONN, ERROR},
    {RECEIVING, ENOTSOCK, ERROR},
    {RECEIVING, ECONNRESET, ERROR},
    {RECEIVING, ETIMEDOUT, ERROR},
    {RECEIVING, EHOSTUNREACH, ERROR},
    {RECEIVING, ENETDOWN, ERROR},
    /* write(2), pwrite(2) */
    {WRITING, EBADF, ERROR},
    {WRITING, EDESTADDRREQ, ERROR},
    {POINT(WRITE), EFAULT, ERROR},
    {POINT(WRITE_MAPPED), EFAULT, FALLBACK}, /* a page of the source that cannot be read */
    {WRITING, EINVAL, BUFFERED},
    {WRITING, EIO, ERROR},
    {WRITING, EPERM, ERROR},
    {WRITING, ENXIO, ERROR},
    {WRITING, EOVERFLOW, ERROR},
    {WRITING, ESPIPE, ERROR},
    /* send(2), tcp(7), unix(7), ip(7) */
    {SENDING, EACCES, ERROR},
    {SENDING, EALREADY, ERROR},
    {SENDING, EBADF, ERROR},
    {SENDING, EDESTADDRREQ, ERROR},
    {POINT(SEND), EFAULT, ERROR},
    {POINT(SEND_MAPPED), EFAULT, FALLBACK},
    {SENDING, EINVAL, ERROR},
    {SENDING, EISCONN, ERROR},
    {SENDING, EMSGSIZE, ERROR},
    {SENDING, ENOBUFS, ERROR},
    {SENDING, ENOMEM, ERROR},
    {SENDING, ENOTCONN, ERROR},
    {SENDING, ENOTSOCK, ERROR},
    {SENDING, EOPNOTSUPP, ERROR},
    {SENDING, ECONNREFUSED, ERROR},
    {SENDING, EHOSTUNREACH, ERROR},
    {SENDING, ENETUNREACH, ERROR},
    {SENDING, ENETDOWN, ERROR},

    /* What is in the private pipe is read by read(2) when it cannot be spliced. */
    {POINT(READ_BACK), EAGAIN, ERROR}, /* it holds bytes: there is nobody to wait for */
    {POINT(READ_BACK), EBADF, ERROR},
    {POINT(READ_BACK), EFAULT, ERROR},
    {POINT(READ_BACK), EINVAL, ERROR},
    {POINT(READ_BACK), EIO, ERROR},

    /* mmap(2), munmap(2), madvise(2) */
    {POINT(MMAP), EACCES, FALLBACK},
    {POINT(MMAP), EAGAIN, FALLBACK},
    {POINT(MMAP), EBADF, FALLBACK},
    {POINT(MMAP), EINVAL, FALLBACK},
    {POINT(MMAP), ENFILE, FALLBACK},
    {POINT(MMAP), ENODEV, FALLBACK},
    {POINT(MMAP), ENOMEM, FALLBACK},
    {POINT(MMAP), EOVERFLOW, FALLBACK},
    {POINT(MMAP), EPERM, FALLBACK},
    {POINT(MMAP), ETXTBSY, FALLBACK},
    {POINT(MMAP), ENOSYS, FALLBACK},
    {POINT(MMAP), EOPNOTSUPP, FALLBACK},
    {POINT(MUNMAP), EINVAL, DONE},
    {POINT(MUNMAP), ENOMEM, DONE},
    {POINT(MADVISE), EACCES, DONE},
    {POINT(MADVISE), EAGAIN, DONE},
    {POINT(MADVISE), EBADF, DONE},
    {POINT(MADVISE), EINVAL, DONE},
    {POINT(MADVISE), EIO, DONE},
    {POINT(MADVISE), ENOMEM, DONE},
    {POINT(MADVISE), EPERM, DONE},
    {POINT(MADVISE), ENOSYS, DONE},

    /* pipe2(2) */
    {POINT(PIPE2), EFAULT, ERROR},
    {POINT(PIPE2), EINVAL, FALLBACK},
    {POINT(PIPE2), EMFILE, FALLBACK},
    {POINT(PIPE2), ENFILE, FALLBACK},
    {POINT(PIPE2), ENOPKG, FALLBACK},
    {POINT(PIPE2), ENOMEM, FALLBACK},
    {POINT(PIPE2), ENOSYS, FALLBACK},
    {POINT(PIPE2), EPERM, FALLBACK},
    /* fcntl(2): a pipe that stays as it is will do. */
    {POINT(SET_PIPE_SIZE), EBADF, DONE},
    {POINT(SET_PIPE_SIZE), EBUSY, DONE},
    {POINT(SET_PIPE_SIZE), EINVAL, DONE},
    {POINT(SET_PIPE_SIZE), ENOMEM, DONE},
    {POINT(SET_PIPE_SIZE), EPERM, DONE},
    {POINT(GET_PIPE_SIZE), EBADF, DONE},
    {POINT(GET_PIPE_SIZE), EINVAL, DONE},
    {POINT(GET_FLAGS), EBADF, ERROR},
    {POINT(DUP), EINVAL, FALLBACK},
    {POINT(DUP), EMFILE, FALLBACK},
    /* ioctl(2): a pipe that cannot be asked whether it is empty is closed. */
    {POINT(BYTES_IN_PIPE), EBADF, DONE},
    {POINT(BYTES_IN_PIPE), EFAULT, DONE},
    {POINT(BYTES_IN_PIPE), EINVAL, DONE},
    {POINT(BYTES_IN_PIPE), ENOTTY, DONE},
    {POINT(BYTES_IN_PIPE), ENOSYS, DONE},
    /* Of a socket it tells whether a packet of no bytes is the end. */
    {POINT(BYTES_QUEUED), EBADF, ERROR},
    {POINT(BYTES_QUEUED), EFAULT, ERROR},
    {POINT(BYTES_QUEUED), EINVAL, ERROR},
    {POINT(BYTES_QUEUED), ENOTTY, ERROR},
    /* close(2) of what is ours: the descriptor is gone in any case. */
    {POINT(CLOSE), EBADF, DONE},
    {POINT(CLOSE), EINTR, DONE},
    {POINT(CLOSE), EIO, DONE},
    {POINT(CLOSE), ENOSPC, DONE},
    {POINT(CLOSE), EDQUOT, DONE},

    /* open(2) of /proc/self/fd/N: a descriptor that blocks is driven with care then. */
    {POINT(OPEN), EACCES, DONE},
    {POINT(OPEN), EINTR, DONE},
    {POINT(OPEN), ELOOP, DONE},
    {POINT(OPEN), EMFILE, DONE},
    {POINT(OPEN), ENFILE, DONE},
    {POINT(OPEN), ENODEV, DONE},
    {POINT(OPEN), ENOENT, DONE},
    {POINT(OPEN), ENOMEM, DONE},
    {POINT(OPEN), ENOSYS, DONE},
    {POINT(OPEN), ENXIO, DONE},
    {POINT(OPEN), EPERM, DONE},

    /* poll(2) */
    {POINT(POLL_WAIT), EFAULT, ERROR},
    {POINT(POLL_WAIT), EINTR, DONE},
    {POINT(POLL_WAIT), EINVAL, ERROR},
    {POINT(POLL_WAIT), ENOMEM, ERROR},
    {POINT(POLL_NOW), EFAULT, EITHER},
    {POINT(POLL_NOW), EINTR, DONE},
    {POINT(POLL_NOW), EINVAL, EITHER},
    {POINT(POLL_NOW), ENOMEM, EITHER},
    /* lseek(2) */
    {POINT(SEEK_SOURCE) | POINT(SEEK_SINK), EBADF, EITHER},
    {POINT(SEEK_SOURCE) | POINT(SEEK_SINK), EINVAL, EITHER},
    {POINT(SEEK_SOURCE) | POINT(SEEK_SINK), ENXIO, EITHER},
    {POINT(SEEK_SOURCE) | POINT(SEEK_SINK), EOVERFLOW, EITHER},
    {POINT(SEEK_SOURCE) | POINT(SEEK_SINK), ESPIPE, EITHER},
    /* fstat(2), fstatfs(2), getsockopt(2): what an end is, and how large it is now */
    {POINT(FSTAT), EBADF, EITHER},
    {POINT(FSTAT), EFAULT, EITHER},
    {POINT(FSTAT), EIO, EITHER},
    {POINT(FSTAT), ENOMEM, EITHER},
    {POINT(FSTAT), EOVERFLOW, EITHER},
    {POINT(FSTATFS), EBADF, ERROR},
    {POINT(FSTATFS), EFAULT, ERROR},
    {POINT(FSTATFS), EINTR, DONE},
    {POINT(FSTATFS), EIO, ERROR},
    {POINT(FSTATFS), ENOMEM, ERROR},
    {POINT(FSTATFS), ENOSYS, EITHER}, /* an unknown file system serves, if not by every method */
    {POINT(FSTATFS), EOVERFLOW, ERROR},
    {POINT(GETSOCKOPT), EBADF, ERROR},
    {POINT(GETSOCKOPT), EFAULT, ERROR},
    {POINT(GETSOCKOPT), EINVAL, ERROR},
    {POINT(GETSOCKOPT), ENOPROTOOPT, ERROR},
    {POINT(GETSOCKOPT), ENOTSOCK, ERROR},
    {0},
};

const struct manual_row *manual_find(enum point point, int error)
{
    for (const struct manual_row *row = manual; row->points; row++)
        if ((row->points >> point & 1) && row->error == error)
            return row;
    return NULL;
}

static const struct {
    enum sluice_method method;
    enum sluice_side side; /* SETUP: both ends are touched */
    const char *operation;
} points[POINT_COUNT] = {
    [POINT_SPLICE_IN] = {SLUICE_METHOD_SPLICE, SLUICE_SIDE_SOURCE, "splice"},
    [POINT_SPLICE_OUT] = {SLUICE_METHOD_SPLICE, SLUICE_SIDE_SINK, "splice"},
    [POINT_SPLICE] = {SLUICE_METHOD_SPLICE, SLUICE_SIDE_SETUP, "splice"},
    [POINT_SENDFILE] = {SLUICE_METHOD_SENDFILE, SLUICE_SIDE_SETUP, "sendfile"},
    [POINT_COPY_RANGE] = {SLUICE_METHOD_COPY_RANGE, SLUICE_SIDE_SETUP, "copy_file_range"},
    [POINT_READ] = {SLUICE_METHOD_READ_WRITE, SLUICE_SIDE_SOURCE, "read"},
    [POINT_RECV] = {SLUICE_METHOD_READ_WRITE, SLUICE_SIDE_SOURCE, "read"},
    [POINT_RECVMSG] = {SLUICE_METHOD_READ_WRITE, SLUICE_SIDE_SOURCE, "read"},
    [POINT_WRITE] = {SLUICE_METHOD_READ_WRITE, SLUICE_SIDE_SINK, "write"},
    [POINT_SEND] = {SLUICE_METHOD_READ_WRITE, SLUICE_SIDE_SINK, "write"},
    [POINT_WRITE_MAPPED] = {SLUICE_METHOD_MMAP_WRITE, SLUICE_SIDE_SINK, "write"},
    [POINT_SEND_MAPPED] = {SLUICE_METHOD_MMAP_WRITE, SLUICE_SIDE_SINK, "write"},
    [POINT_READ_BACK] = {SLUICE_METHOD_READ_WRITE, SLUICE_SIDE_PIPE, "read"},
    [POINT_DOUBT] = {SLUICE_METHOD_AUTO, SLUICE_SIDE_SOURCE, "read"},
    [POINT_MMAP] = {SLUICE_METHOD_MMAP_WRITE, SLUICE_SIDE_SOURCE, "mmap"},
    [POINT_PIPE2] = {SLUICE_METHOD_SPLICE, SLUICE_SIDE_PIPE, "pipe2"},
    [POINT_DUP] = {SLUICE_METHOD_SPLICE, SLUICE_SIDE_PIPE, "pipe2"},
    [POINT_BYTES_QUEUED] = {SLUICE_METHOD_READ_WRITE, SLUICE_SIDE_SOURCE, "read"},
    [POINT_POLL_WAIT] = {SLUICE_METHOD_AUTO, SLUICE_SIDE_SETUP, "poll"},
    [POINT_SEEK_SOURCE] = {SLUICE_METHOD_AUTO, SLUICE_SIDE_SOURCE, NULL},
    [POINT_SEEK_SINK] = {SLUICE_METHOD_AUTO, SLUICE_SIDE_SINK, NULL},
    [POINT_FSTAT] = {SLUICE_METHOD_AUTO, SLUICE_SIDE_SOURCE, NULL},
};

/* What only an end that is written to says. */
static bool of_sink(int error)
{
    static const int errors[] = {
        EPIPE,     ENOSPC,       EDQUOT,       EFBIG,        ECONNRESET,   ETIMEDOUT, ETXTBSY,
        EROFS,     ENETDOWN,     ECONNABORTED, ECONNREFUSED, EDESTADDRREQ, EHOSTDOWN, EMSGSIZE,
        ENETRESET, EHOSTUNREACH, ENETUNREACH,  ENOBUFS,      ENOTCONN,
    };
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (errors[i] == error)
            return true;
    return false;
}

enum sluice_side manual_side(enum point point, int error)
{
    if ((point == POINT_WRITE_MAPPED || point == POINT_SEND_MAPPED) && error == EFAULT)
        return SLUICE_SIDE_SOURCE;
    if (points[point].operation && points[point].side == SLUICE_SIDE_SETUP && of_sink(error))
        return SLUICE_SIDE_SINK;
    return points[point].side;
}

const char *manual_operation(enum point point)
{
    return points[point].operation;
}

enum sluice_method manual_method(enum point point)
{
    return points[point].method;
}

const char *errno_name(int error)
{
    static char number[16];
    const char *name = strerrorname_np(error);
    if (name)
        return name;
    snprintf(number, sizeof number, "%d", error);
    return number;
}
