/* SPDX-License-Identifier: MIT */
#include "tests/fault/relay/table.h"

#include <errno.h>

#include "tests/fault/manual.h"

#define LISTENER (1U << WHO_LISTENER)
#define CLIENT   (1U << WHO_CLIENT)
#define TARGET   (1U << WHO_TARGET)
#define PIPE     (1U << WHO_PIPE)
#define LOOP     (1U << WHO_LOOP)
#define TAP      (1U << WHO_TAP)
#define ENDS_OF  (CLIENT | TARGET)
#define ANY      (LISTENER | CLIENT | TARGET | PIPE | LOOP | TAP)

static const struct row rows[] = {
    /* socket(2) */
    {CALL_SOCKET, LISTENER, EACCES, NOT_STARTED, 0, false},
    {CALL_SOCKET, LISTENER, EAFNOSUPPORT, NOT_STARTED, 0, false},
    {CALL_SOCKET, LISTENER, EINVAL, NOT_STARTED, 0, false},
    {CALL_SOCKET, LISTENER, EMFILE, NOT_STARTED, 0, false},
    {CALL_SOCKET, LISTENER, ENFILE, NOT_STARTED, 0, false},
    {CALL_SOCKET, LISTENER, ENOBUFS, NOT_STARTED, 0, false},
    {CALL_SOCKET, LISTENER, ENOMEM, NOT_STARTED, 0, false},
    {CALL_SOCKET, LISTENER, EPROTONOSUPPORT, NOT_STARTED, 0, false},
    {CALL_SOCKET, TARGET, EACCES, ENDS, RELAY_NO_TARGET, false},
    {CALL_SOCKET, TARGET, EAFNOSUPPORT, ENDS, RELAY_NO_TARGET, false},
    {CALL_SOCKET, TARGET, EINVAL, ENDS, RELAY_NO_TARGET, false},
    {CALL_SOCKET, TARGET, EPROTONOSUPPORT, ENDS, RELAY_NO_TARGET, false},
    /* What we lack is no fault of the target: tried again until its time is over. */
    {CALL_SOCKET, TARGET, EMFILE, GOES_ON, 0, false},
    {CALL_SOCKET, TARGET, ENFILE, GOES_ON, 0, false},
    {CALL_SOCKET, TARGET, ENOBUFS, GOES_ON, 0, false},
    {CALL_SOCKET, TARGET, ENOMEM, GOES_ON, 0, false},
    /* bind(2), unix(7), ip(7) */
    {CALL_BIND, LISTENER, EACCES, NOT_STARTED, 0, false},
    {CALL_BIND, LISTENER, EADDRINUSE, NOT_STARTED, 0, false},
    {CALL_BIND, LISTENER, EADDRNOTAVAIL, NOT_STARTED, 0, false},
    {CALL_BIND, LISTENER, EBADF, NOT_STARTED, 0, false},
    {CALL_BIND, LISTENER, EFAULT, NOT_STARTED, 0, false},
    {CALL_BIND, LISTENER, EINVAL, NOT_STARTED, 0, false},
    {CALL_BIND, LISTENER, ELOOP, NOT_STARTED, 0, false},
    {CALL_BIND, LISTENER, ENAMETOOLONG, NOT_STARTED, 0, false},
    {CALL_BIND, LISTENER, ENOENT, NOT_STARTED, 0, false},
    {CALL_BIND, LISTENER, ENOMEM, NOT_STARTED, 0, false},
    {CALL_BIND, LISTENER, ENOTDIR, NOT_STARTED, 0, false},
    {CALL_BIND, LISTENER, ENOTSOCK, NOT_STARTED, 0, false},
    {CALL_BIND, LISTENER, EROFS, NOT_STARTED, 0, false},
    /* listen(2) */
    {CALL_LISTEN, LISTENER, EADDRINUSE, NOT_STARTED, 0, false},
    {CALL_LISTEN, LISTENER, EBADF, NOT_STARTED, 0, false},
    {CALL_LISTEN, LISTENER, ENOTSOCK, NOT_STARTED, 0, false},
    {CALL_LISTEN, LISTENER, EOPNOTSUPP, NOT_STARTED, 0, false},
    /* accept(2): errors of the one who came are no reason to rest. */
    {CALL_ACCEPT, LISTENER, EAGAIN, GOES_ON, 0, false},
    {CALL_ACCEPT, LISTENER, ECONNABORTED, GOES_ON, 0, false},
    {CALL_ACCEPT, LISTENER, EINTR, GOES_ON, 0, false},
    {CALL_ACCEPT, LISTENER, EPERM, GOES_ON, 0, false},
    {CALL_ACCEPT, LISTENER, EPROTO, GOES_ON, 0, false},
    {CALL_ACCEPT, LISTENER, ENETDOWN, GOES_ON, 0, false},
    {CALL_ACCEPT, LISTENER, ENOPROTOOPT, GOES_ON, 0, false},
    {CALL_ACCEPT, LISTENER, EHOSTDOWN, GOES_ON, 0, false},
    {CALL_ACCEPT, LISTENER, ENONET, GOES_ON, 0, false},
    {CALL_ACCEPT, LISTENER, EHOSTUNREACH, GOES_ON, 0, false},
    {CALL_ACCEPT, LISTENER, EOPNOTSUPP, GOES_ON, 0, false},
    {CALL_ACCEPT, LISTENER, ENETUNREACH, GOES_ON, 0, false},
    {CALL_ACCEPT, LISTENER, ETIMEDOUT, GOES_ON, 0, false},
    {CALL_ACCEPT, LISTENER, EMFILE, RESTS, 0, false},
    {CALL_ACCEPT, LISTENER, ENFILE, RESTS, 0, false},
    {CALL_ACCEPT, LISTENER, ENOBUFS, RESTS, 0, false},
    {CALL_ACCEPT, LISTENER, ENOMEM, RESTS, 0, false},
    {CALL_ACCEPT, LISTENER, ENOSR, RESTS, 0, false},
    {CALL_ACCEPT, LISTENER, EBADF, RESTS, 0, false},
    {CALL_ACCEPT, LISTENER, EFAULT, RESTS, 0, false},
    {CALL_ACCEPT, LISTENER, EINVAL, RESTS, 0, false},
    {CALL_ACCEPT, LISTENER, ENOTSOCK, RESTS, 0, false},
    /* connect(2), ip(7), unix(7), tcp(7) */
    {CALL_CONNECT, TARGET, EACCES, ENDS, RELAY_NO_TARGET, false},
    {CALL_CONNECT, TARGET, EADDRINUSE, ENDS, RELAY_NO_TARGET, false},
    {CALL_CONNECT, TARGET, EADDRNOTAVAIL, ENDS, RELAY_NO_TARGET, false},
    {CALL_CONNECT, TARGET, EAFNOSUPPORT, ENDS, RELAY_NO_TARGET, false},
    {CALL_CONNECT, TARGET, EALREADY, ENDS, RELAY_NO_TARGET, false},
    {CALL_CONNECT, TARGET, EBADF, ENDS, RELAY_NO_TARGET, false},
    {CALL_CONNECT, TARGET, ECONNREFUSED, ENDS, RELAY_NO_TARGET, false},
    {CALL_CONNECT, TARGET, EFAULT, ENDS, RELAY_NO_TARGET, false},
    {CALL_CONNECT, TARGET, EHOSTUNREACH, ENDS, RELAY_NO_TARGET, false},
    {CALL_CONNECT, TARGET, EINVAL, ENDS, RELAY_NO_TARGET, false},
    {CALL_CONNECT, TARGET, EISCONN, ENDS, RELAY_NO_TARGET, false},
    {CALL_CONNECT, TARGET, ENETUNREACH, ENDS, RELAY_NO_TARGET, false},
    {CALL_CONNECT, TARGET, ENOENT, ENDS, RELAY_NO_TARGET, false},
    {CALL_CONNECT, TARGET, ENOTSOCK, ENDS, RELAY_NO_TARGET, false},
    {CALL_CONNECT, TARGET, EPERM, ENDS, RELAY_NO_TARGET, false},
    {CALL_CONNECT, TARGET, EPROTOTYPE, ENDS, RELAY_NO_TARGET, false},
    {CALL_CONNECT, TARGET, ETIMEDOUT, ENDS, RELAY_NO_TARGET, false},
    {CALL_CONNECT, TARGET, EAGAIN, GOES_ON, 0, false},
    {CALL_CONNECT, TARGET, EINTR, GOES_ON, 0, false},
    {CALL_CONNECT, TARGET, ENOBUFS, GOES_ON, 0, false},
    {CALL_CONNECT, TARGET, ENOMEM, GOES_ON, 0, false},
    /* shutdown(2): an end that cannot be passed on. */
    {CALL_SHUTDOWN, ENDS_OF, ENOTCONN, ENDS, RELAY_RESET, true},
    {CALL_SHUTDOWN, ENDS_OF, EBADF, ENDS, RELAY_FAILED, true},
    {CALL_SHUTDOWN, ENDS_OF, EINVAL, ENDS, RELAY_FAILED, true},
    {CALL_SHUTDOWN, ENDS_OF, ENOTSOCK, ENDS, RELAY_FAILED, true},
    /* setsockopt(2): speed and comfort; and a reset that has to be done in another way. */
    {CALL_SET_OPTION, ANY, EBADF, GOES_ON, 0, false},
    {CALL_SET_OPTION, ANY, EFAULT, GOES_ON, 0, false},
    {CALL_SET_OPTION, ANY, EINVAL, GOES_ON, 0, false},
    {CALL_SET_OPTION, ANY, ENOPROTOOPT, GOES_ON, 0, false},
    {CALL_SET_OPTION, ANY, ENOTSOCK, GOES_ON, 0, false},
    {CALL_SET_OPTION, ANY, EPERM, GOES_ON, 0, false}, /* a program of a control group */
    {CALL_SET_LINGER, ENDS_OF, EBADF, GOES_ON, 0, false},
    {CALL_SET_LINGER, ENDS_OF, EINVAL, GOES_ON, 0, false},
    {CALL_SET_LINGER, ENDS_OF, ENOPROTOOPT, GOES_ON, 0, false},
    {CALL_SET_LINGER, ENDS_OF, EPERM, GOES_ON, 0, false},
    /* getsockopt(2): why a connect or a connection failed. It has failed in any case. */
    {CALL_GET_ERROR, ENDS_OF, EBADF, GOES_ON, 0, false},
    {CALL_GET_ERROR, ENDS_OF, EFAULT, GOES_ON, 0, false},
    {CALL_GET_ERROR, ENDS_OF, EINVAL, GOES_ON, 0, false},
    {CALL_GET_ERROR, ENDS_OF, ENOPROTOOPT, GOES_ON, 0, false},
    {CALL_GET_ERROR, ENDS_OF, ENOTSOCK, GOES_ON, 0, false},
    /* getsockname(2): for the header; without, it does not say. */
    {CALL_GET_NAME, CLIENT, EBADF, GOES_ON, 0, false},
    {CALL_GET_NAME, CLIENT, EFAULT, GOES_ON, 0, false},
    {CALL_GET_NAME, CLIENT, EINVAL, GOES_ON, 0, false},
    {CALL_GET_NAME, CLIENT, ENOBUFS, GOES_ON, 0, false},
    {CALL_GET_NAME, CLIENT, ENOTSOCK, GOES_ON, 0, false},
    /* epoll_create1(2), eventfd(2) */
    {CALL_EPOLL_CREATE, LOOP, EINVAL, NOT_STARTED, 0, false},
    {CALL_EPOLL_CREATE, LOOP, EMFILE, NOT_STARTED, 0, false},
    {CALL_EPOLL_CREATE, LOOP, ENFILE, NOT_STARTED, 0, false},
    {CALL_EPOLL_CREATE, LOOP, ENOMEM, NOT_STARTED, 0, false},
    {CALL_EVENTFD, LOOP, EINVAL, NOT_STARTED, 0, false},
    {CALL_EVENTFD, LOOP, EMFILE, NOT_STARTED, 0, false},
    {CALL_EVENTFD, LOOP, ENFILE, NOT_STARTED, 0, false},
    {CALL_EVENTFD, LOOP, ENODEV, NOT_STARTED, 0, false},
    {CALL_EVENTFD, LOOP, ENOMEM, NOT_STARTED, 0, false},
    /* epoll_ctl(2). A listener's first is before the beginning; the others follow a rest. */
    {CALL_EPOLL_ADD, LOOP, EBADF, NOT_STARTED, 0, false},
    {CALL_EPOLL_ADD, LOOP, EEXIST, NOT_STARTED, 0, false},
    {CALL_EPOLL_ADD, LOOP, EINVAL, NOT_STARTED, 0, false},
    {CALL_EPOLL_ADD, LOOP, ENOMEM, NOT_STARTED, 0, false},
    {CALL_EPOLL_ADD, LOOP, ENOSPC, NOT_STARTED, 0, false},
    {CALL_EPOLL_ADD, LISTENER, EBADF, NOT_STARTED, 0, false},
    {CALL_EPOLL_ADD, LISTENER, EEXIST, NOT_STARTED, 0, false},
    {CALL_EPOLL_ADD, LISTENER, EINVAL, NOT_STARTED, 0, false},
    {CALL_EPOLL_ADD, LISTENER, ELOOP, NOT_STARTED, 0, false},
    {CALL_EPOLL_ADD, LISTENER, ENOMEM, NOT_STARTED, 0, false},
    {CALL_EPOLL_ADD, LISTENER, ENOSPC, NOT_STARTED, 0, false},
    {CALL_EPOLL_ADD, LISTENER, EPERM, NOT_STARTED, 0, false},
    {CALL_EPOLL_ADD, CLIENT, EBADF, ENDS, RELAY_NO_MEMORY, false},
    {CALL_EPOLL_ADD, CLIENT, EEXIST, ENDS, RELAY_NO_MEMORY, false},
    {CALL_EPOLL_ADD, CLIENT, EINVAL, ENDS, RELAY_NO_MEMORY, false},
    {CALL_EPOLL_ADD, CLIENT, ENOMEM, ENDS, RELAY_NO_MEMORY, false},
    {CALL_EPOLL_ADD, CLIENT, ENOSPC, ENDS, RELAY_NO_MEMORY, false},
    {CALL_EPOLL_ADD, CLIENT, EPERM, ENDS, RELAY_NO_MEMORY, false},
    {CALL_EPOLL_ADD, TARGET, ENOMEM, GOES_ON, 0, false},
    {CALL_EPOLL_ADD, TARGET, ENOSPC, GOES_ON, 0, false},
    {CALL_EPOLL_ADD, TARGET, EBADF, ENDS, RELAY_NO_TARGET, false},
    {CALL_EPOLL_ADD, TARGET, EEXIST, ENDS, RELAY_NO_TARGET, false},
    {CALL_EPOLL_ADD, TARGET, EINVAL, ENDS, RELAY_NO_TARGET, false},
    {CALL_EPOLL_ADD, TARGET, EPERM, ENDS, RELAY_NO_TARGET, false},
    {CALL_EPOLL_DELETE, ANY, EBADF, GOES_ON, 0, false},
    {CALL_EPOLL_DELETE, ANY, EINVAL, GOES_ON, 0, false},
    {CALL_EPOLL_DELETE, ANY, ENOENT, GOES_ON, 0, false},
    {CALL_EPOLL_DELETE, ANY, ENOMEM, GOES_ON, 0, false},
    /* epoll_wait(2) */
    {CALL_EPOLL_WAIT, LOOP, EINTR, GOES_ON, 0, false},
    {CALL_EPOLL_WAIT, LOOP, EBADF, STOPS, 0, false},
    {CALL_EPOLL_WAIT, LOOP, EFAULT, STOPS, 0, false},
    {CALL_EPOLL_WAIT, LOOP, EINVAL, STOPS, 0, false},
    /* eventfd(2): read(2) and write(2) of it */
    {CALL_READ_EVENT, LOOP, EAGAIN, GOES_ON, 0, false},
    {CALL_READ_EVENT, LOOP, EINTR, GOES_ON, 0, false},
    {CALL_READ_EVENT, LOOP, EBADF, GOES_ON, 0, false},
    {CALL_READ_EVENT, LOOP, EFAULT, GOES_ON, 0, false},
    {CALL_READ_EVENT, LOOP, EINVAL, GOES_ON, 0, false},
    {CALL_READ_EVENT, LOOP, EIO, GOES_ON, 0, false},
    {CALL_WRITE_EVENT, LOOP, EAGAIN, GOES_ON, 0, false},
    /* recv(2) of a client's header */
    {CALL_PEEK, CLIENT, EAGAIN, GOES_ON, 0, false},
    {CALL_PEEK, CLIENT, EINTR, GOES_ON, 0, false},
    {CALL_PEEK, CLIENT, EBADF, ENDS, RELAY_BAD_HEADER, false},
    {CALL_PEEK, CLIENT, ECONNREFUSED, ENDS, RELAY_BAD_HEADER, false},
    {CALL_PEEK, CLIENT, ECONNRESET, ENDS, RELAY_BAD_HEADER, false},
    {CALL_PEEK, CLIENT, EFAULT, ENDS, RELAY_BAD_HEADER, false},
    {CALL_PEEK, CLIENT, EINVAL, ENDS, RELAY_BAD_HEADER, false},
    {CALL_PEEK, CLIENT, ENOMEM, ENDS, RELAY_BAD_HEADER, false},
    {CALL_PEEK, CLIENT, ENOTCONN, ENDS, RELAY_BAD_HEADER, false},
    {CALL_PEEK, CLIENT, ENOTSOCK, ENDS, RELAY_BAD_HEADER, false},
    {CALL_PEEK, CLIENT, ETIMEDOUT, ENDS, RELAY_BAD_HEADER, false},
    /* It was seen to be there: what cannot be taken is not to be relayed as if it were data. */
    {CALL_TAKE, CLIENT, EINTR, GOES_ON, 0, false},
    {CALL_TAKE, CLIENT, EBADF, ENDS, RELAY_BAD_HEADER, false},
    {CALL_TAKE, CLIENT, ECONNREFUSED, ENDS, RELAY_BAD_HEADER, false},
    {CALL_TAKE, CLIENT, ECONNRESET, ENDS, RELAY_BAD_HEADER, false},
    {CALL_TAKE, CLIENT, EFAULT, ENDS, RELAY_BAD_HEADER, false},
    {CALL_TAKE, CLIENT, EINVAL, ENDS, RELAY_BAD_HEADER, false},
    {CALL_TAKE, CLIENT, ENOMEM, ENDS, RELAY_BAD_HEADER, false},
    {CALL_TAKE, CLIENT, ENOTCONN, ENDS, RELAY_BAD_HEADER, false},
    {CALL_TAKE, CLIENT, ENOTSOCK, ENDS, RELAY_BAD_HEADER, false},
    {CALL_TAKE, CLIENT, ETIMEDOUT, ENDS, RELAY_BAD_HEADER, false},
    /* SIOCOUTQ: whether all has got there before a reset. The reset comes. */
    {CALL_BYTES_UNSENT, ENDS_OF, EBADF, GOES_ON, 0, false},
    {CALL_BYTES_UNSENT, ENDS_OF, EFAULT, GOES_ON, 0, false},
    {CALL_BYTES_UNSENT, ENDS_OF, EINVAL, GOES_ON, 0, false},
    {CALL_BYTES_UNSENT, ENDS_OF, ENOTTY, GOES_ON, 0, false},
    /* close(2): the descriptor is gone in any case. */
    {CALL_CLOSE, ANY, EBADF, GOES_ON, 0, false},
    {CALL_CLOSE, ANY, EINTR, GOES_ON, 0, false},
    {CALL_CLOSE, ANY, EIO, GOES_ON, 0, false},
    {CALL_CLOSE, ANY, ENOSPC, GOES_ON, 0, false},
    {CALL_CLOSE, ANY, EDQUOT, GOES_ON, 0, false},
    /* What only a tap calls. open(2) */
    {CALL_OPEN, TAP, EACCES, TAPPED, 0, false},
    {CALL_OPEN, TAP, EDQUOT, TAPPED, 0, false},
    {CALL_OPEN, TAP, EEXIST, TAPPED, 0, false},
    {CALL_OPEN, TAP, EFBIG, TAPPED, 0, false},
    {CALL_OPEN, TAP, EINTR, TAPPED, 0, false},
    {CALL_OPEN, TAP, EINVAL, TAPPED, 0, false},
    {CALL_OPEN, TAP, EISDIR, TAPPED, 0, false},
    {CALL_OPEN, TAP, ELOOP, TAPPED, 0, false},
    {CALL_OPEN, TAP, EMFILE, TAPPED, 0, false},
    {CALL_OPEN, TAP, ENAMETOOLONG, TAPPED, 0, false},
    {CALL_OPEN, TAP, ENFILE, TAPPED, 0, false},
    {CALL_OPEN, TAP, ENODEV, TAPPED, 0, false},
    {CALL_OPEN, TAP, ENOENT, TAPPED, 0, false},
    {CALL_OPEN, TAP, ENOMEM, TAPPED, 0, false},
    {CALL_OPEN, TAP, ENOSPC, TAPPED, 0, false},
    {CALL_OPEN, TAP, ENOTDIR, TAPPED, 0, false},
    {CALL_OPEN, TAP, ENXIO, TAPPED, 0, false},
    {CALL_OPEN, TAP, EOPNOTSUPP, TAPPED, 0, false},
    {CALL_OPEN, TAP, EOVERFLOW, TAPPED, 0, false},
    {CALL_OPEN, TAP, EPERM, TAPPED, 0, false},
    {CALL_OPEN, TAP, EROFS, TAPPED, 0, false},
    {CALL_OPEN, TAP, ETXTBSY, TAPPED, 0, false},
    {CALL_OPEN, TAP, EWOULDBLOCK, TAPPED, 0, false},
    /* socket(2), connect(2), unix(7) */
    {CALL_SOCKET, TAP, EACCES, TAPPED, 0, false},
    {CALL_SOCKET, TAP, EAFNOSUPPORT, TAPPED, 0, false},
    {CALL_SOCKET, TAP, EINVAL, TAPPED, 0, false},
    {CALL_SOCKET, TAP, EMFILE, TAPPED, 0, false},
    {CALL_SOCKET, TAP, ENFILE, TAPPED, 0, false},
    {CALL_SOCKET, TAP, ENOBUFS, TAPPED, 0, false},
    {CALL_SOCKET, TAP, ENOMEM, TAPPED, 0, false},
    {CALL_SOCKET, TAP, EPROTONOSUPPORT, TAPPED, 0, false},
    {CALL_CONNECT, TAP, EINTR, GOES_ON, 0, false},
    {CALL_CONNECT, TAP, EACCES, TAPPED, 0, false},
    {CALL_CONNECT, TAP, EAGAIN, TAPPED, 0, false},
    {CALL_CONNECT, TAP, ECONNREFUSED, TAPPED, 0, false},
    {CALL_CONNECT, TAP, EBADF, TAPPED, 0, false},
    {CALL_CONNECT, TAP, EFAULT, TAPPED, 0, false},
    {CALL_CONNECT, TAP, ENOENT, TAPPED, 0, false},
    {CALL_CONNECT, TAP, ENOTDIR, TAPPED, 0, false},
    {CALL_CONNECT, TAP, ENOTSOCK, TAPPED, 0, false},
    {CALL_CONNECT, TAP, EPERM, TAPPED, 0, false},
    {CALL_CONNECT, TAP, EPROTOTYPE, TAPPED, 0, false},
    {CALL_CONNECT, TAP, ENOBUFS, TAPPED, 0, false},
    {CALL_CONNECT, TAP, ENOMEM, TAPPED, 0, false},
    /* Its end is told, and what it sent thrown away: without, it is closed. */
    {CALL_SHUTDOWN, TAP, EBADF, GOES_ON, 0, false},
    {CALL_SHUTDOWN, TAP, EINVAL, GOES_ON, 0, false},
    {CALL_SHUTDOWN, TAP, ENOTCONN, GOES_ON, 0, false},
    {CALL_SHUTDOWN, TAP, ENOTSOCK, GOES_ON, 0, false},
    {CALL_RECV, TAP, EAGAIN, GOES_ON, 0, false},
    {CALL_RECV, TAP, EINTR, GOES_ON, 0, false},
    {CALL_RECV, TAP, EBADF, GOES_ON, 0, false},
    {CALL_RECV, TAP, ECONNRESET, GOES_ON, 0, false},
    {CALL_RECV, TAP, EFAULT, GOES_ON, 0, false},
    {CALL_RECV, TAP, EINVAL, GOES_ON, 0, false},
    {CALL_RECV, TAP, ENOMEM, GOES_ON, 0, false},
    {CALL_RECV, TAP, ENOTCONN, GOES_ON, 0, false},
    {CALL_RECV, TAP, ENOTSOCK, GOES_ON, 0, false},
    /* epoll_ctl(2): without, it is tried again after a while. */
    {CALL_EPOLL_ADD, TAP, EBADF, GOES_ON, 0, false},
    {CALL_EPOLL_ADD, TAP, EEXIST, GOES_ON, 0, false},
    {CALL_EPOLL_ADD, TAP, EINVAL, GOES_ON, 0, false},
    {CALL_EPOLL_ADD, TAP, ENOMEM, GOES_ON, 0, false},
    {CALL_EPOLL_ADD, TAP, ENOSPC, GOES_ON, 0, false},
    {CALL_EPOLL_ADD, TAP, EPERM, GOES_ON, 0, false},
    /* fcntl(2) of a pipe: it is not used then. */
    {CALL_SET_FLAGS, PIPE, EBADF, GOES_ON, 0, false},
    {CALL_SET_FLAGS, PIPE, EINVAL, GOES_ON, 0, false},
    {CALL_SET_FLAGS, PIPE, EPERM, GOES_ON, 0, false},
    /* write(2) to a pipe: what it does not take waits in memory. */
    {CALL_FILL, PIPE, EAGAIN, GOES_ON, 0, false},
    {CALL_FILL, PIPE, EINTR, GOES_ON, 0, false},
    {CALL_FILL, PIPE, EBADF, GOES_ON, 0, false},
    {CALL_FILL, PIPE, EFAULT, GOES_ON, 0, false},
    {CALL_FILL, PIPE, EINVAL, GOES_ON, 0, false},
    {CALL_FILL, PIPE, EIO, GOES_ON, 0, false},
    {CALL_FILL, PIPE, ENOMEM, GOES_ON, 0, false},
    {CALL_FILL, PIPE, EPIPE, GOES_ON, 0, false},
};

/* The library's calls: whose rows are in manual.c. */
static const struct {
    enum point point;
    enum call call;
    unsigned who;
    bool moves; /* bytes of that side: its failure is the side's */
} library[] = {
    {POINT_RECV, CALL_RECV, ENDS_OF, true},
    {POINT_RECV, CALL_DOUBT, ENDS_OF, true}, /* splice said end: is it one? */
    {POINT_SEND, CALL_SEND, ENDS_OF, true},
    {POINT_SPLICE_IN, CALL_SPLICE_IN, ENDS_OF, true},
    {POINT_SPLICE_OUT, CALL_SPLICE_OUT, ENDS_OF, true},
    {POINT_PIPE2, CALL_PIPE, PIPE, false},
    {POINT_SET_PIPE_SIZE, CALL_SET_PIPE_SIZE, PIPE, false},
    {POINT_BYTES_IN_PIPE, CALL_BYTES_IN_PIPE, PIPE, false},
    {POINT_GET_FLAGS, CALL_GET_FLAGS, ENDS_OF, false},
    {POINT_GETSOCKOPT, CALL_GET_OPTION, ENDS_OF, false},
    {POINT_FSTAT, CALL_FSTAT, ENDS_OF, false},
    {POINT_POLL_NOW, CALL_POLL, PIPE | ENDS_OF, false},
    {POINT_SEND, CALL_SEND, TAP, true},
    {POINT_WRITE, CALL_WRITE, TAP, true},
    {POINT_SPLICE_OUT, CALL_SPLICE_OUT, TAP, true},
    {POINT_FSTAT, CALL_FSTAT, TAP, false},
    {POINT_FSTATFS, CALL_FSTATFS, TAP, false},
    {POINT_GET_FLAGS, CALL_GET_FLAGS, TAP, false},
    {POINT_GETSOCKOPT, CALL_GET_OPTION, TAP, false},
    {POINT_POLL_NOW, CALL_POLL, TAP, false},
    {POINT_TEE, CALL_TEE, PIPE, false},
    {POINT_READ_BACK, CALL_READ_BACK, PIPE, false},
};

static enum fate fate_of(enum expected expected, unsigned who)
{
    if (who == TAP)
        return expected == EXPECT_DONE || expected == EXPECT_FALLBACK ? GOES_ON : TAPPED;
    switch (expected) {
    case EXPECT_ERROR:
        return ENDS;
    case EXPECT_ERROR_OR_DONE:
        return MAY_END;
    default:
        return GOES_ON;
    }
}

void table_each(void (*each)(const struct row *row, void *data), void *data)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        each(rows + i, data);
    for (size_t i = 0; i < sizeof library / sizeof *library; i++)
        for (const struct manual_row *from = manual; from->points; from++) {
            if (!(from->points >> library[i].point & 1) ||
                manual_find(library[i].point, from->error) != from)
                continue;
            const bool reset =
                from->error == ECONNRESET || from->error == EPIPE || from->error == ENOTCONN;
            const struct row row = {.call = library[i].call,
                                    .who = library[i].who,
                                    .error = from->error,
                                    .fate = fate_of(from->expected, library[i].who),
                                    .reason = !library[i].moves ? RELAY_NO_MEMORY
                                              : reset           ? RELAY_RESET
                                                                : RELAY_FAILED,
                                    .names_side = library[i].moves && library[i].who != TAP};
            each(&row, data);
        }
}
