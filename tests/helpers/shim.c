/* SPDX-License-Identifier: MIT */
/*
 * An LD_PRELOAD library that makes chosen calls of a program fail, fall short, or copy.
 *
 *     SLUICE_SHIM=splice=ENOSYS,sendfile=copy,copy_file_range=EXDEV@3,F_SETPIPE_SZ=EPERM
 *
 * A rule is CALL=ACTION[@N[+]]: at every call, at the Nth only, or from the Nth on. A call may have
 * several rules; the first that applies at this count decides.
 *
 *     ERRNO      the call fails with it and does nothing
 *     short=N    the call is asked for N bytes at most
 *     delay=N    the call is made N microseconds later
 *     copy       splice, tee, vmsplice, sendfile, copy_file_range: the bytes are moved as asked,
 *                with the same result and the same end, but through a buffer of this library, so
 *                that no page reference survives
 *
 *     lend       write into a pipe: it gets references to the caller's pages, and no copy of them
 *
 * CALL is a function of libc by its plain name (mmap also stands for mmap64), or the name of an
 * fcntl or ioctl command. SLUICE_SHIM_LOG=FILE appends "CALL CALLS APPLIED" for every call that
 * was ruled, when the program ends: a test can see that its rule took effect. A rule that cannot
 * be understood ends the program with 99 before it starts.
 */
/* Both names of a function whose offsets come in two sizes are defined here, see the end. */
#undef _FILE_OFFSET_BITS

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/sockios.h>

#include "errno-names.h"

#define EXPORT __attribute__((visibility("default")))

/* ---- rules ----------------------------------------------------------------------------------- */

enum action { PASS, DELAY, FAIL, SHORT, LEND, COPY };

/* Every call that can be ruled, and the last of the actions that mean something for it. */
/* clang-format off */
#define CALLS(X)                                                                                   \
    X(splice, COPY) X(tee, COPY) X(vmsplice, COPY) X(sendfile, COPY) X(copy_file_range, COPY)      \
    X(read, SHORT) X(pread, SHORT) X(write, LEND) X(pwrite, SHORT) X(recv, SHORT) X(send, SHORT)  \
    X(readv, FAIL) X(writev, FAIL) X(preadv2, FAIL) X(pwritev2, FAIL) X(recvmsg, FAIL)             \
    X(sendmsg, FAIL) X(mmap, FAIL) X(madvise, FAIL) X(pipe2, FAIL) X(open, FAIL) X(openat, FAIL)   \
    X(lseek, FAIL) X(fstat, FAIL) X(fallocate, FAIL) X(posix_fadvise, FAIL) X(ftruncate, FAIL)     \
    X(fsync, FAIL) X(fdatasync, FAIL) X(poll, FAIL) X(ppoll, FAIL) X(socket, FAIL)                 \
    X(connect, FAIL) X(accept4, FAIL) X(shutdown, FAIL) X(getsockopt, FAIL) X(eventfd, FAIL)       \
    X(F_SETPIPE_SZ, FAIL) X(F_GETPIPE_SZ, FAIL) X(F_SETFL, FAIL) X(F_GETFL, FAIL)                  \
    X(F_DUPFD_CLOEXEC, FAIL) X(FIONREAD, FAIL) X(SIOCOUTQ, FAIL)

enum call {
#define X(name, most) CALL_##name,
    CALLS(X)
#undef X
    CALL_COUNT
};

static const struct {
    const char *name;
    enum action most;
} calls[CALL_COUNT] = {
#define X(call, most_) {.name = #call, .most = (most_)},
    CALLS(X)
#undef X
};
/* clang-format on */

struct rule {
    enum call call;
    enum action action;
    int error;           /* FAIL */
    size_t limit;        /* SHORT, DELAY */
    unsigned long first; /* counted from 1 */
    unsigned long last;
};

enum { RULES = 64 };
static struct rule rules[RULES];
static size_t rule_count;
static bool ruled[CALL_COUNT];
static atomic_ulong call_count[CALL_COUNT];
static atomic_ulong applied_count[CALL_COUNT];

static const struct rule passing = {.action = PASS};

/* Counts this call and finds the rule for it. */
static const struct rule *rule_for(enum call call)
{
    if (!ruled[call])
        return &passing;
    const unsigned long count = atomic_fetch_add(&call_count[call], 1) + 1;
    for (size_t i = 0; i < rule_count; i++) {
        if (rules[i].call == call && rules[i].first <= count && count <= rules[i].last) {
            atomic_fetch_add(&applied_count[call], 1);
            if (rules[i].action == DELAY)
                usleep((useconds_t)rules[i].limit);
            return &rules[i];
        }
    }
    return &passing;
}

static bool fails(const struct rule *rule)
{
    if (rule->action != FAIL)
        return false;
    errno = rule->error;
    return true;
}

static size_t shortened(const struct rule *rule, size_t length)
{
    return rule->action == SHORT && rule->limit < length ? rule->limit : length;
}

static bool parse_number(const char *text, unsigned long *ret, char **end)
{
    errno = 0;
    *ret = strtoul(text, end, 10);
    return errno == 0 && *end != text;
}

/* "CALL=ACTION[@N[+]]", which it takes apart. */
static bool parse_rule(char *text, struct rule *ret)
{
    char *action = strchr(text, '=');
    if (!action)
        return false;
    *action++ = '\0';

    ret->first = 1;
    ret->last = ~0UL;
    char *when = strchr(action, '@');
    if (when) {
        *when++ = '\0';
        char *end;
        if (!parse_number(when, &ret->first, &end) || ret->first == 0)
            return false;
        if (*end == '\0')
            ret->last = ret->first;
        else if (strcmp(end, "+") != 0)
            return false;
    }

    for (ret->call = 0; ret->call < CALL_COUNT; ret->call++)
        if (strcmp(calls[ret->call].name, text) == 0)
            break;
    if (ret->call == CALL_COUNT)
        return false;

    char *end;
    if (strcmp(action, "copy") == 0) {
        ret->action = COPY;
        return calls[ret->call].most >= COPY;
    }
    if (strcmp(action, "lend") == 0) {
        ret->action = LEND;
        return calls[ret->call].most == LEND;
    }
    if (strncmp(action, "delay=", 6) == 0) {
        ret->action = DELAY;
        return parse_number(action + 6, &ret->limit, &end) && *end == '\0' && ret->limit < 1000000;
    }
    if (strncmp(action, "short=", 6) == 0) {
        ret->action = SHORT;
        return calls[ret->call].most >= SHORT && parse_number(action + 6, &ret->limit, &end) &&
               *end == '\0';
    }
    ret->action = FAIL;
    ret->error = errno_from_name(action);
    return ret->error != 0;
}

__attribute__((constructor)) static void read_rules(void)
{
    const char *given = getenv("SLUICE_SHIM");
    char *copy = strdup(given ? given : "");
    char *rest = copy;
    for (char *text; rest && (text = strsep(&rest, ",")) != NULL;) {
        if (*text == '\0')
            continue;
        if (rule_count == RULES || !parse_rule(text, &rules[rule_count])) {
            dprintf(STDERR_FILENO, "shim: cannot understand SLUICE_SHIM=%s at '%s'\n", given, text);
            _exit(99);
        }
        ruled[rules[rule_count++].call] = true;
    }
    free(copy);
}

__attribute__((destructor)) static void write_log(void)
{
    const char *path = getenv("SLUICE_SHIM_LOG");
    const long fd =
        path ? syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)
             : -1;
    if (fd < 0)
        return;
    for (enum call call = 0; call < CALL_COUNT; call++)
        if (ruled[call])
            dprintf((int)fd, "%s %lu %lu\n", calls[call].name, atomic_load(&call_count[call]),
                    atomic_load(&applied_count[call]));
    syscall(SYS_close, fd);
}

/* The next function of this name: libc's, or a sanitizer's. */
#define NEXT(function)                                                                             \
    ({                                                                                             \
        static __typeof__(&function) next_;                                                        \
        if (!next_)                                                                                \
            *(void **)&next_ = dlsym(RTLD_NEXT, #function);                                        \
        next_;                                                                                     \
    })

/* ---- copying --------------------------------------------------------------------------------- */

/*
 * A copy that behaves as the splice it stands for. The source is looked at first (a pipe by tee, a
 * socket by MSG_PEEK, a file by pread), the bytes cross the buffer, go into a fresh pipe by write
 * and from there to the sink by a real splice, whose result is the answer: so a full sink, a
 * blocking one and a broken one answer as they would have. Only then are the bytes taken from the
 * source.
 */
enum { COPY_MOST = 65536 };

static ssize_t raw_splice(int in, off_t *in_offset, int out, off_t *out_offset, size_t length,
                          unsigned flags)
{
    return NEXT(splice)(in, in_offset, out, out_offset, length, flags);
}

static void close_pipe(const int fds[2])
{
    syscall(SYS_close, fds[0]);
    syscall(SYS_close, fds[1]);
}

static ssize_t peek_pipe(int in, char *buffer, size_t length, unsigned flags)
{
    int look[2];
    if (NEXT(pipe2)(look, O_CLOEXEC) < 0)
        return -1;
    ssize_t got = NEXT(tee)(in, look[1], length, flags & SPLICE_F_NONBLOCK);
    if (got > 0)
        got = NEXT(read)(look[0], buffer, (size_t)got);
    const int error = errno;
    close_pipe(look);
    errno = error;
    return got;
}

enum kind { KIND_PIPE, KIND_SOCKET, KIND_SEEKABLE, KIND_STREAM };

static enum kind kind_of(int fd)
{
    struct stat status = {0};
    NEXT(fstat)(fd, &status);
    if (S_ISFIFO(status.st_mode))
        return KIND_PIPE;
    if (S_ISSOCK(status.st_mode))
        return KIND_SOCKET;
    return NEXT(lseek)(fd, 0, SEEK_CUR) >= 0 ? KIND_SEEKABLE : KIND_STREAM;
}

/* What the source would give now, without taking it; a stream of characters can only be taken. */
static ssize_t peek(enum kind source, int in, off_t offset, char *buffer, size_t length,
                    unsigned flags)
{
    switch (source) {
    case KIND_PIPE:
        return peek_pipe(in, buffer, length, flags);
    case KIND_SOCKET:
        return NEXT(recv)(in, buffer, length, MSG_PEEK);
    case KIND_SEEKABLE:
        return NEXT(pread)(in, buffer, length, offset);
    case KIND_STREAM:
        break;
    }
    return NEXT(read)(in, buffer, length);
}

/* Takes what was delivered. The bytes are known to be there, so this does not wait. */
static void consume(enum kind source, int in, off_t *offset, char *buffer, size_t length)
{
    if (source == KIND_SEEKABLE) {
        if (offset)
            *offset += (off_t)length;
        else
            NEXT(lseek)(in, (off_t)length, SEEK_CUR);
        return;
    }
    while (source != KIND_STREAM && length > 0) {
        const ssize_t got = NEXT(read)(in, buffer, length);
        if (got <= 0)
            return;
        length -= (size_t)got;
    }
}

/* From the buffer to the sink: what the sink took, or -1. `all` waits until it has taken all. */
static ssize_t deliver(const char *buffer, size_t length, int out, off_t *out_offset,
                       unsigned flags, bool all)
{
    int way[2];
    if (NEXT(pipe2)(way, O_CLOEXEC) < 0)
        return -1;
    /* A small pipe must not hold us up. (O_NONBLOCK at its other end would show in the splice.) */
    NEXT(fcntl)(way[1], F_SETFL, O_NONBLOCK);
    ssize_t total = 0;
    ssize_t result = NEXT(write)(way[1], buffer, length);
    for (ssize_t left = result; left > 0;) {
        result = raw_splice(way[0], NULL, out, out_offset, (size_t)left, flags);
        if (result < 0 && errno == EAGAIN && all) {
            struct pollfd room = {.fd = out, .events = POLLOUT};
            NEXT(poll)(&room, 1, -1);
            continue;
        }
        if (result <= 0)
            break;
        total += result;
        left -= result;
        if (!all)
            break;
    }
    const int error = errno;
    close_pipe(way);
    errno = error;
    return total > 0 ? total : result;
}

/* `taking` is false for tee. */
static ssize_t copy_splice(int in, off_t *in_offset, int out, off_t *out_offset, size_t length,
                           unsigned flags, bool taking)
{
    char *buffer = malloc(COPY_MOST);
    if (!buffer)
        return -1;
    if (length > COPY_MOST)
        length = COPY_MOST;

    const enum kind source = kind_of(in);
    const off_t from = in_offset                 ? *in_offset
                       : source == KIND_SEEKABLE ? NEXT(lseek)(in, 0, SEEK_CUR)
                                                 : 0;
    ssize_t moved = peek(source, in, from, buffer, length, flags);
    if (moved > 0)
        moved = deliver(buffer, (size_t)moved, out, out_offset, flags, source == KIND_STREAM);
    const int error = errno;
    if (moved > 0 && taking)
        consume(source, in, in_offset, buffer, (size_t)moved);
    free(buffer);
    errno = error;
    return moved;
}

static ssize_t copy_range(int in, off_t *in_offset, int out, off_t *out_offset, size_t length)
{
    char *buffer = malloc(COPY_MOST);
    if (!buffer)
        return -1;
    if (length > COPY_MOST)
        length = COPY_MOST;
    const off_t from = in_offset ? *in_offset : NEXT(lseek)(in, 0, SEEK_CUR);
    const off_t to = out_offset ? *out_offset : NEXT(lseek)(out, 0, SEEK_CUR);
    ssize_t moved = NEXT(pread)(in, buffer, length, from);
    if (moved > 0)
        moved = NEXT(pwrite)(out, buffer, (size_t)moved, to);
    if (moved > 0) {
        consume(KIND_SEEKABLE, in, in_offset, buffer, (size_t)moved);
        consume(KIND_SEEKABLE, out, out_offset, buffer, (size_t)moved);
    }
    const int error = errno;
    free(buffer);
    errno = error;
    return moved;
}

/* ---- the calls: those that move bytes without a buffer --------------------------------------- */

EXPORT ssize_t splice(int in, off_t *in_offset, int out, off_t *out_offset, size_t length,
                      unsigned flags)
{
    const struct rule *rule = rule_for(CALL_splice);
    if (fails(rule))
        return -1;
    if (rule->action == COPY && (kind_of(in) == KIND_PIPE || kind_of(out) == KIND_PIPE))
        return copy_splice(in, in_offset, out, out_offset, length, flags, true);
    return raw_splice(in, in_offset, out, out_offset, shortened(rule, length), flags);
}

EXPORT ssize_t tee(int in, int out, size_t length, unsigned flags)
{
    const struct rule *rule = rule_for(CALL_tee);
    if (fails(rule))
        return -1;
    if (rule->action == COPY)
        return copy_splice(in, NULL, out, NULL, length, flags, false);
    return NEXT(tee)(in, out, shortened(rule, length), flags);
}

EXPORT ssize_t vmsplice(int fd, const struct iovec *pieces, size_t count, unsigned flags)
{
    const struct rule *rule = rule_for(CALL_vmsplice);
    if (fails(rule))
        return -1;
    if (rule->action == COPY)
        return NEXT(writev)(fd, pieces, (int)count);
    if (rule->action != SHORT || count == 0)
        return NEXT(vmsplice)(fd, pieces, count, flags);
    const struct iovec piece = {.iov_base = pieces->iov_base,
                                .iov_len = shortened(rule, pieces->iov_len)};
    return NEXT(vmsplice)(fd, &piece, 1, flags);
}

EXPORT ssize_t sendfile(int out, int in, off_t *offset, size_t length)
{
    const struct rule *rule = rule_for(CALL_sendfile);
    if (fails(rule))
        return -1;
    if (rule->action == COPY && kind_of(in) != KIND_PIPE &&
        (kind_of(in) == KIND_SEEKABLE || kind_of(out) == KIND_PIPE))
        return copy_splice(in, offset, out, NULL, length, 0, true);
    return NEXT(sendfile)(out, in, offset, shortened(rule, length));
}

EXPORT ssize_t copy_file_range(int in, off_t *in_offset, int out, off_t *out_offset, size_t length,
                               unsigned flags)
{
    const struct rule *rule = rule_for(CALL_copy_file_range);
    if (fails(rule))
        return -1;
    if (rule->action == COPY)
        return copy_range(in, in_offset, out, out_offset, length);
    return NEXT(copy_file_range)(in, in_offset, out, out_offset, shortened(rule, length), flags);
}

/* ---- the calls: those whose length can be capped --------------------------------------------- */

/* One function of the shape: the rule's errno, else the next one with the length capped. */
#define CAPPED(type, name, length, parameters, ...)                                                \
    EXPORT type name parameters                                                                    \
    {                                                                                              \
        const struct rule *rule = rule_for(CALL_##name);                                           \
        if (fails(rule))                                                                           \
            return -1;                                                                             \
        length = shortened(rule, length);                                                          \
        return NEXT(name)(__VA_ARGS__);                                                            \
    }

CAPPED(ssize_t, read, length, (int fd, void *buffer, size_t length), fd, buffer, length)
CAPPED(ssize_t, pread, length, (int fd, void *buffer, size_t length, off_t offset), fd, buffer,
       length, offset)
EXPORT ssize_t write(int fd, const void *buffer, size_t length)
{
    const struct rule *rule = rule_for(CALL_write);
    const struct iovec memory = {.iov_base = (void *)(uintptr_t)buffer, .iov_len = length};
    if (fails(rule))
        return -1;
    if (rule->action == LEND && kind_of(fd) == KIND_PIPE)
        return NEXT(vmsplice)(fd, &memory, 1, 0);
    return NEXT(write)(fd, buffer, shortened(rule, length));
}

CAPPED(ssize_t, pwrite, length, (int fd, const void *buffer, size_t length, off_t offset), fd,
       buffer, length, offset)
CAPPED(ssize_t, recv, length, (int fd, void *buffer, size_t length, int flags), fd, buffer, length,
       flags)
CAPPED(ssize_t, send, length, (int fd, const void *buffer, size_t length, int flags), fd, buffer,
       length, flags)

/* ---- the calls: those that can only fail ----------------------------------------------------- */

#define FALLIBLE(type, failure, name, parameters, ...)                                             \
    EXPORT type name parameters                                                                    \
    {                                                                                              \
        return fails(rule_for(CALL_##name)) ? (failure) : NEXT(name)(__VA_ARGS__);                 \
    }

FALLIBLE(ssize_t, -1, readv, (int fd, const struct iovec *pieces, int count), fd, pieces, count)
FALLIBLE(ssize_t, -1, writev, (int fd, const struct iovec *pieces, int count), fd, pieces, count)
FALLIBLE(ssize_t, -1, preadv2,
         (int fd, const struct iovec *pieces, int count, off_t offset, int flags), fd, pieces,
         count, offset, flags)
FALLIBLE(ssize_t, -1, pwritev2,
         (int fd, const struct iovec *pieces, int count, off_t offset, int flags), fd, pieces,
         count, offset, flags)
FALLIBLE(ssize_t, -1, recvmsg, (int fd, struct msghdr *message, int flags), fd, message, flags)
FALLIBLE(ssize_t, -1, sendmsg, (int fd, const struct msghdr *message, int flags), fd, message,
         flags)
FALLIBLE(void *, MAP_FAILED, mmap,
         (void *address, size_t length, int protection, int flags, int fd, off_t offset), address,
         length, protection, flags, fd, offset)
FALLIBLE(int, -1, madvise, (void *address, size_t length, int advice), address, length, advice)
FALLIBLE(int, -1, pipe2, (int fds[2], int flags), fds, flags)
FALLIBLE(off_t, -1, lseek, (int fd, off_t offset, int whence), fd, offset, whence)
FALLIBLE(int, -1, fstat, (int fd, struct stat *status), fd, status)
FALLIBLE(int, -1, fallocate, (int fd, int mode, off_t offset, off_t length), fd, mode, offset,
         length)
FALLIBLE(int, errno, posix_fadvise, (int fd, off_t offset, off_t length, int advice), fd, offset,
         length, advice)
FALLIBLE(int, -1, ftruncate, (int fd, off_t length), fd, length)
FALLIBLE(int, -1, fsync, (int fd), fd)
FALLIBLE(int, -1, fdatasync, (int fd), fd)
FALLIBLE(int, -1, poll, (struct pollfd * fds, nfds_t count, int timeout), fds, count, timeout)
FALLIBLE(int, -1, ppoll,
         (struct pollfd * fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask),
         fds, count, timeout, mask)
FALLIBLE(int, -1, socket, (int domain, int type, int protocol), domain, type, protocol)
FALLIBLE(int, -1, connect, (int fd, const struct sockaddr *address, socklen_t length), fd, address,
         length)
FALLIBLE(int, -1, accept4, (int fd, struct sockaddr *address, socklen_t *length, int flags), fd,
         address, length, flags)
FALLIBLE(int, -1, shutdown, (int fd, int how), fd, how)
FALLIBLE(int, -1, getsockopt, (int fd, int level, int name, void *value, socklen_t *length), fd,
         level, name, value, length)
FALLIBLE(int, -1, eventfd, (unsigned count, int flags), count, flags)

/* ---- the calls: those with an argument that may be absent ------------------------------------ */

static bool command_fails(int command, const int *commands, const enum call *of, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (commands[i] == command)
            return fails(rule_for(of[i]));
    return false;
}

static bool fcntl_fails(int command)
{
    static const int commands[] = {F_SETPIPE_SZ, F_GETPIPE_SZ, F_SETFL, F_GETFL, F_DUPFD_CLOEXEC};
    static const enum call of[] = {CALL_F_SETPIPE_SZ, CALL_F_GETPIPE_SZ, CALL_F_SETFL, CALL_F_GETFL,
                                   CALL_F_DUPFD_CLOEXEC};
    return command_fails(command, commands, of, sizeof commands / sizeof commands[0]);
}

/* The one argument of fcntl, ioctl and open, whether given or not: a register's worth. */
#define OPTIONAL_ARGUMENT(last)                                                                    \
    va_list arguments_;                                                                            \
    va_start(arguments_, last);                                                                    \
    void *argument = va_arg(arguments_, void *);                                                   \
    va_end(arguments_)

EXPORT int fcntl(int fd, int command, ...)
{
    OPTIONAL_ARGUMENT(command);
    return fcntl_fails(command) ? -1 : NEXT(fcntl)(fd, command, argument);
}

EXPORT int ioctl(int fd, unsigned long request, ...)
{
    static const int requests[] = {FIONREAD, SIOCOUTQ};
    static const enum call of[] = {CALL_FIONREAD, CALL_SIOCOUTQ};
    OPTIONAL_ARGUMENT(request);
    return command_fails((int)request, requests, of, sizeof requests / sizeof requests[0])
               ? -1
               : NEXT(ioctl)(fd, request, argument);
}

EXPORT int open(const char *path, int flags, ...)
{
    OPTIONAL_ARGUMENT(flags);
    return fails(rule_for(CALL_open)) ? -1 : NEXT(open)(path, flags, (mode_t)(uintptr_t)argument);
}

EXPORT int openat(int directory, const char *path, int flags, ...)
{
    OPTIONAL_ARGUMENT(flags);
    return fails(rule_for(CALL_openat))
               ? -1
               : NEXT(openat)(directory, path, flags, (mode_t)(uintptr_t)argument);
}

/* ---- second names ---------------------------------------------------------------------------- */

/*
 * Where 64-bit offsets are asked for, the headers of glibc call these functions by a second name,
 * on machines too where off_t always has 64 bits and both names are one function.
 */
_Static_assert(sizeof(off_t) == 8, "the second names are right on 64-bit machines only");
#define SECOND_NAME(second, first) __asm__(".globl " #second "\n.set " #second ", " #first)

SECOND_NAME(sendfile64, sendfile);
SECOND_NAME(pread64, pread);
SECOND_NAME(pwrite64, pwrite);
SECOND_NAME(preadv64v2, preadv2);
SECOND_NAME(pwritev64v2, pwritev2);
SECOND_NAME(mmap64, mmap);
SECOND_NAME(lseek64, lseek);
SECOND_NAME(fstat64, fstat);
SECOND_NAME(fallocate64, fallocate);
SECOND_NAME(posix_fadvise64, posix_fadvise);
SECOND_NAME(ftruncate64, ftruncate);
SECOND_NAME(fcntl64, fcntl);
SECOND_NAME(open64, open);
SECOND_NAME(openat64, openat);
