/* SPDX-License-Identifier: MIT */
#include "error.h"

#include <errno.h>
#include <stddef.h>

#define CALL(name) CALL_BIT(name)

static const struct {
    const char *name;
    enum sluice_method method;
} calls[CALL_COUNT] = {
    [CALL_READ] = {"read", SLUICE_METHOD_READ_WRITE},
    [CALL_WRITE] = {"write", SLUICE_METHOD_READ_WRITE},
    [CALL_MAP] = {"mmap", SLUICE_METHOD_MMAP_WRITE},
    [CALL_WRITE_MAPPED] = {"write", SLUICE_METHOD_MMAP_WRITE},
    [CALL_SENDFILE] = {"sendfile", SLUICE_METHOD_SENDFILE},
    [CALL_COPY_RANGE] = {"copy_file_range", SLUICE_METHOD_COPY_RANGE},
    [CALL_SPLICE] = {"splice", SLUICE_METHOD_SPLICE},
    [CALL_SPLICE_IN] = {"splice", SLUICE_METHOD_SPLICE},
    [CALL_SPLICE_OUT] = {"splice", SLUICE_METHOD_SPLICE},
    [CALL_READ_BACK] = {"read", SLUICE_METHOD_READ_WRITE},
    [CALL_PIPE] = {"pipe2", SLUICE_METHOD_SPLICE},
    [CALL_BUFFER] = {"allocate", SLUICE_METHOD_READ_WRITE},
    [CALL_SEEK] = {"lseek", SLUICE_METHOD_MMAP_WRITE},
    [CALL_READ_CACHED] = {"read", SLUICE_METHOD_READ_WRITE},
    [CALL_WRITE_CACHED] = {"write", SLUICE_METHOD_READ_WRITE},
    [CALL_READ_UNCACHED] = {"read", SLUICE_METHOD_READ_WRITE},
    [CALL_WRITE_UNCACHED] = {"write", SLUICE_METHOD_READ_WRITE},
    [CALL_REFLINK] = {"FICLONERANGE", SLUICE_METHOD_REFLINK},
    [CALL_REFLINK_EDGE] = {"copy_file_range", SLUICE_METHOD_REFLINK},
    [CALL_HOLE] = {"lseek", SLUICE_METHOD_AUTO},
    [CALL_ZEROS] = {"fallocate", SLUICE_METHOD_READ_WRITE},
    [CALL_CLONE] = {"FICLONERANGE", SLUICE_METHOD_REFLINK},
    [CALL_DIRECT_OPEN_IN] = {"open", SLUICE_METHOD_DIRECT},
    [CALL_DIRECT_OPEN_OUT] = {"open", SLUICE_METHOD_DIRECT},
    [CALL_DIRECT_QUEUE] = {"io_uring_setup", SLUICE_METHOD_DIRECT},
    [CALL_DIRECT_READ] = {"read", SLUICE_METHOD_DIRECT},
    [CALL_DIRECT_IN] = {"splice", SLUICE_METHOD_DIRECT},
    [CALL_DIRECT_EDGE_IN] = {"read", SLUICE_METHOD_DIRECT},
    [CALL_DIRECT_TAKE] = {"splice", SLUICE_METHOD_DIRECT},
    [CALL_DIRECT_COPY_IN] = {"read", SLUICE_METHOD_DIRECT},
    [CALL_DIRECT_BOUNCE] = {"read", SLUICE_METHOD_DIRECT},
    [CALL_DIRECT_SHIFT] = {"memmove", SLUICE_METHOD_DIRECT},
    [CALL_DIRECT_WRITE] = {"write", SLUICE_METHOD_DIRECT},
    [CALL_DIRECT_OUT] = {"splice", SLUICE_METHOD_DIRECT},
    [CALL_DIRECT_EDGE_OUT] = {"write", SLUICE_METHOD_DIRECT},
    [CALL_DIRECT_GIVE] = {"splice", SLUICE_METHOD_DIRECT},
};

const char *call_name(enum call call)
{
    return calls[call].name;
}

enum sluice_method call_method(enum call call)
{
    return calls[call].method;
}

/* Calls that move bytes inside the kernel: what they cannot do, read and write can. */
#define SPLICES   (CALL(SPLICE) | CALL(SPLICE_IN) | CALL(SPLICE_OUT))
#define SHARING   (CALL(REFLINK) | CALL(REFLINK_EDGE) | CALL(COPY_RANGE))
#define IN_KERNEL (SPLICES | CALL(SENDFILE) | SHARING)
#define MOVING                                                                                     \
    (DIRECT | IN_KERNEL | UNCACHED | CALL(READ) | CALL(WRITE) | CALL(WRITE_MAPPED) |               \
     CALL(READ_BACK))
#define UNCACHED   (CALL(READ_UNCACHED) | CALL(WRITE_UNCACHED))
#define DIRECT_IN  (CALL(DIRECT_READ) | CALL(DIRECT_IN) | CALL(DIRECT_EDGE_IN))
#define DIRECT_OUT (CALL(DIRECT_WRITE) | CALL(DIRECT_OUT) | CALL(DIRECT_EDGE_OUT))
#define DIRECT                                                                                     \
    (DIRECT_IN | DIRECT_OUT | CALL(DIRECT_TAKE) | CALL(DIRECT_COPY_IN) | CALL(DIRECT_GIVE))
#define DIRECT_OPENS (CALL(DIRECT_OPEN_IN) | CALL(DIRECT_OPEN_OUT))
/* Refused before a byte moves, for a reason that concerns this call and not the bytes. */
#define REFUSABLE (IN_KERNEL | CALL(MAP))

/* What is not in the table fails the transfer. A fallback never hides a failure: the next method
 * meets the same descriptor and names the side. */
static const struct {
    uint64_t calls;
    int error;
    enum action action;
} actions[] = {
    {MOVING, EINTR, ACTION_AGAIN},
    {MOVING & ~CALL(READ_BACK), EAGAIN, ACTION_WAIT}, /* a private pipe gives what it holds */

    /* The pair, the file system, the alignment or the flags do not suit the call. */
    {REFUSABLE, EINVAL, ACTION_FALLBACK},
    {REFUSABLE, EOPNOTSUPP, ACTION_FALLBACK},
    /* An older kernel, or a seccomp filter; some of these say EPERM or EACCES instead. */
    {REFUSABLE, ENOSYS, ACTION_FALLBACK},
    {REFUSABLE, EPERM, ACTION_FALLBACK},
    {REFUSABLE, EACCES, ACTION_FALLBACK},
    /* Kernel memory for the call's own needs: read and write need less. */
    {REFUSABLE, ENOMEM, ACTION_FALLBACK},
    {REFUSABLE, EOVERFLOW, ACTION_FALLBACK},
    {CALL(SPLICE) | CALL(SPLICE_IN) | CALL(SPLICE_OUT) | CALL(SENDFILE), ESPIPE, ACTION_FALLBACK},

    /* copy_file_range, FICLONERANGE: other file systems; O_APPEND set meanwhile; a swap file; a device. */
    {SHARING, EXDEV, ACTION_FALLBACK},
    {SHARING, EBADF, ACTION_FALLBACK},
    {SHARING, ETXTBSY, ACTION_FALLBACK},
    {SHARING, EISDIR, ACTION_FALLBACK},
    {CALL(REFLINK), ENOTTY, ACTION_FALLBACK}, /* a file system that knows no such ioctl */

    /* No mapping of this file, or no room for one. */
    {CALL(MAP), ENODEV, ACTION_FALLBACK},
    {CALL(MAP), EAGAIN, ACTION_FALLBACK},
    {CALL(MAP), ENFILE, ACTION_FALLBACK},
    {CALL(MAP), EBADF, ACTION_FALLBACK},
    {CALL(MAP), ETXTBSY, ACTION_FALLBACK},
    /* A mapped page cannot be read: truncated, or the device failed. read() tells which. */
    {CALL(WRITE_MAPPED), EFAULT, ACTION_FALLBACK},
    /* O_DIRECT takes aligned pieces only: heads, tails and short reads are none. */
    {CALL(READ) | CALL(WRITE) | CALL(WRITE_MAPPED), EINVAL, ACTION_BUFFERED},

    /* RWF_DONTCACHE: not this kernel or file system; and O_DIRECT has no use for it. */
    {UNCACHED, EOPNOTSUPP, ACTION_CACHED},
    {UNCACHED, ENOSYS, ACTION_CACHED},
    {UNCACHED, EINVAL, ACTION_CACHED},

    /* No private pipe: not enough descriptors, memory, or permission. Memory does instead. */
    {CALL(PIPE), EMFILE, ACTION_FALLBACK},
    {CALL(PIPE), ENFILE, ACTION_FALLBACK},
    {CALL(PIPE), ENOMEM, ACTION_FALLBACK},
    {CALL(PIPE), ENOSYS, ACTION_FALLBACK},
    {CALL(PIPE), EPERM, ACTION_FALLBACK},
    {CALL(PIPE), ENOPKG, ACTION_FALLBACK},
    {CALL(PIPE), EINVAL, ACTION_FALLBACK},

    /* Past the page cache: not this file, this alignment, this descriptor, or not this user. */
    {DIRECT | DIRECT_OPENS, EINVAL, ACTION_FALLBACK},
    {DIRECT | DIRECT_OPENS, EOPNOTSUPP, ACTION_FALLBACK},
    {DIRECT | DIRECT_OPENS | CALL(DIRECT_QUEUE), ENOSYS, ACTION_FALLBACK},
    {DIRECT | DIRECT_OPENS | CALL(DIRECT_QUEUE), EPERM, ACTION_FALLBACK},
    {DIRECT | DIRECT_OPENS | CALL(DIRECT_QUEUE), EACCES, ACTION_FALLBACK},
    {DIRECT | DIRECT_OPENS | CALL(DIRECT_QUEUE), ENOMEM, ACTION_FALLBACK},
    {DIRECT_OPENS | CALL(DIRECT_QUEUE), EMFILE, ACTION_FALLBACK},
    {DIRECT_OPENS | CALL(DIRECT_QUEUE), ENFILE, ACTION_FALLBACK},
    {DIRECT_OPENS | CALL(DIRECT_QUEUE), EINTR, ACTION_AGAIN},
    {CALL(DIRECT_QUEUE), EAGAIN, ACTION_FALLBACK}, /* no thread either */
    {DIRECT_OPENS, ELOOP, ACTION_FALLBACK},
    {DIRECT_OPENS, ENODEV, ACTION_FALLBACK},
    {DIRECT_OPENS, ENOENT, ACTION_FALLBACK}, /* no /proc */
    {DIRECT_OPENS, ENXIO, ACTION_FALLBACK},
    {DIRECT_OPENS, EROFS, ACTION_FALLBACK},
    {DIRECT_OPENS, ETXTBSY, ACTION_FALLBACK},
};

enum action error_action(enum call call, int error)
{
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if ((actions[i].calls >> call & 1) && actions[i].error == -error)
            return actions[i].action;
    return ACTION_FAIL;
}

/* Errnos that only the end which is written to has. */
static const int sink_errors[] = {
    EPIPE,    ENOSPC,       EDQUOT,    EFBIG,        ECONNRESET, ECONNABORTED, ETIMEDOUT,
    ENETDOWN, ENETUNREACH,  ENETRESET, EHOSTUNREACH, EHOSTDOWN,  ENOBUFS,      EDESTADDRREQ,
    ENOTCONN, ECONNREFUSED, EROFS,     ETXTBSY,      EMSGSIZE,
};

static const enum sluice_side call_sides[CALL_COUNT] = {
    [CALL_READ] = SLUICE_SIDE_SOURCE,
    [CALL_WRITE] = SLUICE_SIDE_SINK,
    [CALL_MAP] = SLUICE_SIDE_SOURCE,
    [CALL_WRITE_MAPPED] = SLUICE_SIDE_SINK,
    [CALL_SPLICE_IN] = SLUICE_SIDE_SOURCE,
    [CALL_SPLICE_OUT] = SLUICE_SIDE_SINK,
    [CALL_READ_BACK] = SLUICE_SIDE_PIPE,
    [CALL_PIPE] = SLUICE_SIDE_PIPE,
    [CALL_BUFFER] = SLUICE_SIDE_SETUP,
    [CALL_SEEK] = SLUICE_SIDE_SOURCE,
    [CALL_READ_CACHED] = SLUICE_SIDE_SOURCE,
    [CALL_WRITE_CACHED] = SLUICE_SIDE_SINK,
    [CALL_READ_UNCACHED] = SLUICE_SIDE_SOURCE,
    [CALL_WRITE_UNCACHED] = SLUICE_SIDE_SINK,
    [CALL_DIRECT_OPEN_IN] = SLUICE_SIDE_SOURCE,
    [CALL_DIRECT_OPEN_OUT] = SLUICE_SIDE_SINK,
    [CALL_DIRECT_READ] = SLUICE_SIDE_SOURCE,
    [CALL_DIRECT_IN] = SLUICE_SIDE_SOURCE,
    [CALL_DIRECT_EDGE_IN] = SLUICE_SIDE_SOURCE,
    [CALL_DIRECT_TAKE] = SLUICE_SIDE_SOURCE,
    [CALL_DIRECT_COPY_IN] = SLUICE_SIDE_SOURCE,
    [CALL_DIRECT_BOUNCE] = SLUICE_SIDE_PIPE,
    [CALL_DIRECT_WRITE] = SLUICE_SIDE_SINK,
    [CALL_DIRECT_OUT] = SLUICE_SIDE_SINK,
    [CALL_DIRECT_EDGE_OUT] = SLUICE_SIDE_SINK,
    [CALL_DIRECT_GIVE] = SLUICE_SIDE_SINK,
    [CALL_DIRECT_QUEUE] = SLUICE_SIDE_SETUP,
    /* one call, both ends: 0, and the errno has to tell */
    [CALL_SENDFILE] = SLUICE_SIDE_SETUP,
    [CALL_COPY_RANGE] = SLUICE_SIDE_SETUP,
    [CALL_SPLICE] = SLUICE_SIDE_SETUP,
    [CALL_REFLINK] = SLUICE_SIDE_SETUP,
    [CALL_REFLINK_EDGE] = SLUICE_SIDE_SETUP,
};

bool error_side(enum call call, int error, enum sluice_side *ret)
{
    *ret = call_sides[call];
    if (call == CALL_WRITE_MAPPED && error == -EFAULT) {
        *ret = SLUICE_SIDE_SOURCE; /* the page that could not be read is the source's */
        return true;
    }
    if (*ret != SLUICE_SIDE_SETUP || call == CALL_BUFFER || call == CALL_DIRECT_QUEUE)
        return true;
    for (size_t i = 0; i < sizeof sink_errors / sizeof *sink_errors; i++)
        if (sink_errors[i] == -error) {
            *ret = SLUICE_SIDE_SINK;
            return true;
        }
    return false;
}
