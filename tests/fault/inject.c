/* SPDX-License-Identifier: MIT */
#include "tests/fault/inject.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/sys.h"
#include "tests/unit/ends.h"

struct seen seen;

/* More calls than this in one transfer are a spin: the process ends with a word on it. */
enum { MOST_CALLS = 20000 };

/* The library's threads make calls, too. What happens before a call may make some itself. */
static pthread_mutex_t mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

static pthread_mutex_t *lock(void)
{
    pthread_mutex_lock(&mutex);
    return &mutex;
}

static void unlock(pthread_mutex_t **held)
{
    pthread_mutex_unlock(*held);
}

#define LOCKED __attribute__((cleanup(unlock), unused)) pthread_mutex_t *held = lock()

static const char *const names[POINT_COUNT] = {
#define X(name, words) [POINT_##name] = words,
    POINTS(X)
#undef X
};

const char *point_name(enum point point)
{
    return names[point];
}

/* ---- which faults there are ---- */

#define MOST_FAULTS 16

static struct fault faults[MOST_FAULTS];
static unsigned fault_count;
static unsigned chance; /* one in so many; 0: none */
static uint64_t chance_seed;
static bool on, paused;

#define IN_KERNEL                                                                                  \
    (POINT(SPLICE_IN) | POINT(SPLICE_OUT) | POINT(SPLICE) | POINT(SENDFILE) | POINT(COPY_RANGE))
#define DIRECT_IN  (POINT(DIRECT_READ) | POINT(DIRECT_IN))
#define DIRECT_OUT (POINT(DIRECT_WRITE) | POINT(DIRECT_OUT))
#define FROM_SOURCE                                                                                \
    (POINT(SPLICE_IN) | POINT(READ) | POINT(READ_UNCACHED) | POINT(RECV) | POINT(RECVMSG) |        \
     DIRECT_IN)
#define TO_SINK                                                                                    \
    (DIRECT_OUT | POINT(SPLICE_OUT) | POINT(WRITE) | POINT(WRITE_UNCACHED) | POINT(SEND) |         \
     POINT(WRITE_MAPPED) | POINT(SEND_MAPPED))
#define FROM_SOURCE_TO_SINK (POINT(SPLICE) | POINT(SENDFILE) | POINT(COPY_RANGE))
#define MOVING              (FROM_SOURCE | TO_SINK | FROM_SOURCE_TO_SINK)
/* A message cannot be cut: what is beyond the cut would be lost, or become two. */
#define CAN_BE_CUT (MOVING & ~POINT(RECVMSG))

void inject_none(void)
{
    fault_count = 0;
    chance = 0;
}

void inject(const struct fault *fault)
{
    if (fault_count == MOST_FAULTS)
        abort();
    faults[fault_count++] = *fault;
}

void inject_at_random(uint64_t seed, unsigned rarity)
{
    chance_seed = seed;
    chance = rarity;
}

/* ---- who is who ---- */

enum role { NOBODY = 0, SOURCE, SINK, PRIVATE_PIPE, OTHER_OF_OURS };

#define MOST_DESCRIPTORS 1024
#define MOST_MAPPINGS    16

static enum role roles[MOST_DESCRIPTORS];
static int ends_given[2];
static bool sink_breaks;   /* a pipe or socket: EPIPE comes with a signal */
static bool sink_messages; /* what is sent cannot be cut */
static struct mapping {
    char *begin, *end;
} mappings[MOST_MAPPINGS];

static enum role role(int fd)
{
    LOCKED;
    return fd >= 0 && fd < MOST_DESCRIPTORS ? roles[fd] : NOBODY;
}

static void made(int fd, enum role as)
{
    LOCKED;
    if (!on || fd < 0 || fd >= MOST_DESCRIPTORS)
        return;
    roles[fd] = as;
    seen.descriptors++;
}

static void unmade(int fd)
{
    LOCKED;
    if (!on || role(fd) == NOBODY)
        return;
    roles[fd] = NOBODY;
    seen.descriptors--;
}

static bool is_mapped(const void *address)
{
    for (int i = 0; i < MOST_MAPPINGS; i++)
        if ((const char *)address >= mappings[i].begin && (const char *)address < mappings[i].end)
            return true;
    return false;
}

void inject_begin(int source, int sink)
{
    struct stat status;
    int type = 0;
    socklen_t length = sizeof type;
    LOCKED;

    memset(&seen, 0, sizeof seen);
    memset(roles, 0, sizeof roles);
    memset(mappings, 0, sizeof mappings);
    ends_given[0] = source;
    ends_given[1] = sink;
    roles[source] = SOURCE;
    roles[sink] = SINK;
    seen.descriptors = 2;
    sink_breaks =
        fstat(sink, &status) == 0 && (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode));
    getsockopt(sink, SOL_SOCKET, SO_TYPE, &type, &length);
    sink_messages = type == SOCK_DGRAM || type == SOCK_SEQPACKET;
    on = true;
}

void inject_end(void)
{
    LOCKED;
    on = false;
}

void inject_pause(bool pause)
{
    LOCKED;
    paused = pause;
}

unsigned inject_descriptors(void)
{
    LOCKED;
    return seen.descriptors;
}

static uint64_t own_time; /* 0: the real one */

void inject_clock(uint64_t now)
{
    own_time = now;
}

uint64_t inject_clock_now(void)
{
    return own_time;
}

void inject_step(void)
{
    seen.source_said_eagain = seen.sink_said_eagain = false;
}

/* ---- the fate of a call ---- */

static void count_call(enum point point)
{
    seen.calls[point]++;
    if (++seen.total <= MOST_CALLS)
        return;
    fprintf(stderr, "FAIL: it spins: %u calls, the last one %s\n", seen.total, names[point]);
    _exit(3);
}

static void fired(enum point point, bool last_given)
{
    seen.fired++;
    seen.last = point;
    if (last_given && seen.struck++ == 0)
        seen.delivered_at = seen.delivered;
}

/* splice, sendfile and write raise it with EPIPE; send does not, as it is told. */
static void raise_sigpipe(enum point point)
{
    const bool to_sink = (TO_SINK | FROM_SOURCE_TO_SINK) >> point & 1;
    if (sink_breaks && to_sink && point != POINT_SEND && point != POINT_SEND_MAPPED)
        pthread_kill(pthread_self(), SIGPIPE);
}

static struct {
    enum point point;
    unsigned from;
    void (*happens)(void *data);
    void *data;
} event;

void inject_before(enum point point, unsigned from, void (*happens)(void *data), void *data)
{
    event.point = point;
    event.from = from;
    event.happens = happens;
    event.data = data;
}

static bool may_cut(enum point point)
{
    return (CAN_BE_CUT >> point & 1) && !(sink_messages && (TO_SINK >> point & 1));
}

static bool struck_by_chance(enum point point, size_t *length, int64_t *value)
{
    if (!chance || !(MOVING >> point & 1) || random_below(&chance_seed, chance) != 0)
        return false;
    const uint64_t kind = random_below(&chance_seed, 3);
    fired(point, false);
    if (kind == 0) {
        *value = -EINTR;
        return true;
    }
    if (kind == 1) {
        *value = -EAGAIN;
        return true;
    }
    if (may_cut(point) && *length > 1)
        *length = 1 + random_below(&chance_seed, *length - 1);
    return false;
}

/* Returns true if the call is not made and returns *value; may shorten it. */
static bool struck(enum point point, size_t *length, int64_t *value)
{
    LOCKED;
    if (!on)
        return false;
    count_call(point);
    if (paused)
        return false;
    if (event.happens && event.point == point && event.from == seen.calls[point])
        event.happens(event.data);
    for (unsigned i = 0; i < fault_count; i++) {
        const struct fault *fault = faults + i;
        const unsigned number = seen.calls[point];
        if (fault->point != point || number < fault->from || number - fault->from >= fault->times)
            continue;
        fired(point, i + 1 == fault_count);
        if (fault->error == 0 && fault->cut > 0) {
            if (length && *length > fault->cut)
                *length = fault->cut;
            return false;
        }
        *value = -fault->error;
        if (fault->error == EPIPE)
            raise_sigpipe(point);
        return true;
    }
    return struck_by_chance(point, length, value);
}

static void count_low(bool low)
{
    LOCKED;
    seen.low += low;
}

/* Accounts for what a call did. */
static ssize_t done(enum point point, int64_t value)
{
    LOCKED;
    if (!on)
        return (ssize_t)value;
    if (value > 0 && ((TO_SINK | FROM_SOURCE_TO_SINK) >> point & 1))
        seen.delivered += (uint64_t)value;
    if (value == -EAGAIN && ((FROM_SOURCE | POINT(DOUBT)) >> point & 1)) {
        seen.source_said_eagain = true;
        seen.source_eagains++;
    }
    if (value == -EAGAIN && (TO_SINK >> point & 1)) {
        seen.sink_said_eagain = true;
        seen.sink_eagains++;
    }
    /* Of both ends: who it was is found out by the library with poll, or by knowing that one of
     * them never says so. */
    if (value == -EAGAIN && (FROM_SOURCE_TO_SINK >> point & 1))
        seen.source_said_eagain = seen.sink_said_eagain = true;
    return (ssize_t)value;
}

/* ---- the calls ---- */

#define WRAP(name) extern __typeof__(sys_##name) __wrap_sys_##name, __real_sys_##name;
WRAP(splice)
WRAP(sendfile)
WRAP(tee)
WRAP(flight_open)
WRAP(flight_submit)
WRAP(flight_reap)
WRAP(flight_close)
WRAP(direct_alignment)
WRAP(device_pieces)
WRAP(file_limit)
WRAP(device_readahead)
WRAP(vmsplice)
WRAP(copy_file_range)
WRAP(clone_range)
WRAP(ftruncate)
WRAP(cachestat)
WRAP(fadvise)
WRAP(readlink)
WRAP(sync_file_range)
WRAP(pread_nowait)
WRAP(pread_uncached)
WRAP(pwrite_uncached)
WRAP(fallocate)
WRAP(read)
WRAP(pread)
WRAP(write)
WRAP(pwrite)
WRAP(recv)
WRAP(recvmsg)
WRAP(send)
WRAP(mmap)
WRAP(munmap)
WRAP(madvise)
WRAP(pipe2)
WRAP(fcntl)
WRAP(ioctl)
WRAP(open)
WRAP(close)
WRAP(lseek)
WRAP(fstat)
WRAP(fstatfs_magic)
WRAP(getsockopt)
WRAP(eventfd)
WRAP(poll)
WRAP(thread)
WRAP(thread_on)
WRAP(yield)
WRAP(now)
WRAP(sleep_until)
WRAP(setsockopt)
WRAP(tcp_map)
WRAP(mprotect)
WRAP(memfd_create)
WRAP(epoll_create)
WRAP(epoll_add)
WRAP(epoll_remove)
WRAP(epoll_take)

struct stand_ins stand_in;

static bool emulated;

void inject_emulation(bool emulate)
{
    emulated = emulate;
}

/* As an interposed library might do it; only for descriptors whose own offset is used. */
static ssize_t splice_by_copying(int in, int out, size_t length)
{
    static char buffer[65536];
    ssize_t taken = read(in, buffer, length < sizeof buffer ? length : sizeof buffer);

    for (ssize_t given = 0, value; given < taken; given += value)
        if ((value = write(out, buffer + given, (size_t)(taken - given))) < 0)
            return -errno;
    return taken < 0 ? -errno : taken;
}

ssize_t __wrap_sys_splice(int in, int64_t *in_offset, int out, int64_t *out_offset, size_t length,
                          unsigned flags)
{
    const enum point point = role(out) == PRIVATE_PIPE  ? POINT_SPLICE_IN
                             : role(in) == PRIVATE_PIPE ? POINT_SPLICE_OUT
                                                        : POINT_SPLICE;
    int64_t value;
    count_low((role(in) == PRIVATE_PIPE && in <= 2) || (role(out) == PRIVATE_PIPE && out <= 2));
    if (!struck(point, &length, &value))
        value = stand_in.splice ? stand_in.splice(in, in_offset, out, out_offset, length, flags)
                : emulated      ? splice_by_copying(in, out, length)
                                : __real_sys_splice(in, in_offset, out, out_offset, length, flags);
    return done(point, value);
}

ssize_t __wrap_sys_sendfile(int out, int in, int64_t *in_offset, size_t length)
{
    int64_t value;
    if (!struck(POINT_SENDFILE, &length, &value))
        value = stand_in.sendfile ? stand_in.sendfile(out, in, in_offset, length)
                                  : __real_sys_sendfile(out, in, in_offset, length);
    return done(POINT_SENDFILE, value);
}

ssize_t __wrap_sys_tee(int in, int out, size_t length, unsigned flags)
{
    int64_t value;
    if (struck(POINT_TEE, &length, &value))
        return value;
    return stand_in.tee ? stand_in.tee(in, out, length, flags)
                        : __real_sys_tee(in, out, length, flags);
}

ssize_t __wrap_sys_vmsplice(int pipe, const struct iovec *memory, size_t count, unsigned flags)
{
    return stand_in.vmsplice ? stand_in.vmsplice(pipe, memory, count, flags)
                             : __real_sys_vmsplice(pipe, memory, count, flags);
}

ssize_t __wrap_sys_copy_file_range(int in, int64_t *in_offset, int out, int64_t *out_offset,
                                   size_t length)
{
    int64_t value;
    if (!struck(POINT_COPY_RANGE, &length, &value))
        value = __real_sys_copy_file_range(in, in_offset, out, out_offset, length);
    return done(POINT_COPY_RANGE, value);
}

int __wrap_sys_clone_range(int in, uint64_t in_offset, uint64_t length, int out,
                           uint64_t out_offset)
{
    int64_t value;
    return struck(POINT_CLONE_RANGE, NULL, &value)
               ? (int)value
               : __real_sys_clone_range(in, in_offset, length, out, out_offset);
}

static void note_cut(int64_t end);

int __wrap_sys_ftruncate(int fd, int64_t length)
{
    int64_t value;
    if (struck(POINT_FTRUNCATE, NULL, &value))
        return (int)value;
    const int error = __real_sys_ftruncate(fd, length);
    if (on && error == 0 && role(fd) == SINK)
        note_cut(length);
    return error;
}

int __wrap_sys_fallocate(int fd, int mode, int64_t offset, int64_t length)
{
    int64_t value;
    return struck(POINT_FALLOCATE, NULL, &value) ? (int)value
                                                 : __real_sys_fallocate(fd, mode, offset, length);
}

int __wrap_sys_cachestat(int fd, uint64_t offset, uint64_t length, uint64_t *ret_pages)
{
    int64_t value;
    return struck(POINT_CACHESTAT, NULL, &value)
               ? (int)value
               : __real_sys_cachestat(fd, offset, length, ret_pages);
}

int __wrap_sys_fadvise(int fd, int64_t offset, int64_t length, int advice)
{
    int64_t value;
    return struck(POINT_FADVISE, NULL, &value) ? (int)value
                                               : __real_sys_fadvise(fd, offset, length, advice);
}

int __wrap_sys_sync_file_range(int fd, int64_t offset, int64_t length, unsigned flags)
{
    int64_t value;
    return struck(POINT_SYNC_FILE_RANGE, NULL, &value)
               ? (int)value
               : __real_sys_sync_file_range(fd, offset, length, flags);
}

int __wrap_sys_device_pieces(int fd, unsigned *ret)
{
    return __real_sys_device_pieces(fd, ret); /* advice; nothing depends on it but speed */
}

uint64_t __wrap_sys_file_limit(int fd)
{
    return __real_sys_file_limit(fd); /* the process has one or not */
}

int __wrap_sys_device_readahead(int fd, uint64_t *ret)
{
    return __real_sys_device_readahead(fd, ret); /* likewise */
}

ssize_t __wrap_sys_pread_nowait(int fd, int64_t offset)
{
    int64_t value;
    return struck(POINT_READ_NOWAIT, NULL, &value) ? (ssize_t)value
                                                   : __real_sys_pread_nowait(fd, offset);
}

ssize_t __wrap_sys_pread_uncached(int fd, void *buffer, size_t length, int64_t offset)
{
    int64_t value;
    if (length == 1) /* whether it can be had at all */
        return __real_sys_pread_uncached(fd, buffer, length, offset);
    if (!struck(POINT_READ_UNCACHED, &length, &value))
        value = __real_sys_pread_uncached(fd, buffer, length, offset);
    return done(POINT_READ_UNCACHED, value);
}

ssize_t __wrap_sys_pwrite_uncached(int fd, const void *buffer, size_t length, int64_t offset)
{
    int64_t value;
    if (!struck(POINT_WRITE_UNCACHED, &length, &value))
        value = __real_sys_pwrite_uncached(fd, buffer, length, offset);
    return done(POINT_WRITE_UNCACHED, value);
}

static enum point read_point(int fd, size_t length)
{
    if (role(fd) == PRIVATE_PIPE)
        return POINT_READ_BACK;
    return length == 1 ? POINT_DOUBT : POINT_READ;
}

ssize_t __wrap_sys_read(int fd, void *buffer, size_t length)
{
    const enum point point = read_point(fd, length);
    int64_t value;
    if (!struck(point, &length, &value))
        value = __real_sys_read(fd, buffer, length);
    return done(point, value);
}

ssize_t __wrap_sys_pread(int fd, void *buffer, size_t length, int64_t offset)
{
    const enum point point = read_point(fd, length);
    const size_t whole = length;
    int64_t value;
    const bool fails = struck(point, &length, &value);
    /* A descriptor of the library's own, with O_DIRECT: by whole blocks, or the cut is a mistake. */
    if (length < whole && fd != ends_given[0] && (fcntl(fd, F_GETFL) & O_DIRECT))
        length = whole;
    if (!fails)
        value = __real_sys_pread(fd, buffer, length, offset);
    return done(point, value);
}

ssize_t __wrap_sys_write(int fd, const void *buffer, size_t length)
{
    const enum point point = is_mapped(buffer) ? POINT_WRITE_MAPPED : POINT_WRITE;
    int64_t value;
    if (stand_in.write)
        return stand_in.write(fd, buffer, length);
    if (role(fd) != SINK) /* a cancel's event */
        return __real_sys_write(fd, buffer, length);
    if (!struck(point, &length, &value))
        value = __real_sys_write(fd, buffer, length);
    return done(point, value);
}

ssize_t __wrap_sys_pwrite(int fd, const void *buffer, size_t length, int64_t offset)
{
    const enum point point = is_mapped(buffer) ? POINT_WRITE_MAPPED : POINT_WRITE;
    int64_t value;
    if (stand_in.pwrite)
        return stand_in.pwrite(fd, buffer, length, offset);
    if (!struck(point, &length, &value))
        value = __real_sys_pwrite(fd, buffer, length, offset);
    return done(point, value);
}

ssize_t __wrap_sys_recv(int fd, void *buffer, size_t length, int flags)
{
    int64_t value;
    if (!struck(POINT_RECV, &length, &value))
        value = __real_sys_recv(fd, buffer, length, flags);
    return done(POINT_RECV, value);
}

ssize_t __wrap_sys_recvmsg(int fd, struct msghdr *message, int flags)
{
    int64_t value;
    if (stand_in.recvmsg)
        return stand_in.recvmsg(fd, message, flags);
    if (!struck(POINT_RECVMSG, NULL, &value))
        value = __real_sys_recvmsg(fd, message, flags);
    return done(POINT_RECVMSG, value);
}

ssize_t __wrap_sys_send(int fd, const void *buffer, size_t length, int flags)
{
    const enum point point = is_mapped(buffer) ? POINT_SEND_MAPPED : POINT_SEND;
    int64_t value;
    if (stand_in.send)
        return stand_in.send(fd, buffer, length, flags);
    if (!struck(point, &length, &value))
        value = __real_sys_send(fd, buffer, length, flags);
    return done(point, value);
}

/* ---- requests in flight ---- */

/* What requests have written, in whatever order: the sink has what follows its beginning without a
 * gap. */
static struct {
    bool begun;
    int64_t begin;
    uint64_t bytes; /* without a gap */
    struct {
        int64_t begin, end;
    } piece[64];
    unsigned pieces;
} written;

static void note_written(int64_t begin, int64_t end)
{
    if (written.pieces == sizeof written.piece / sizeof *written.piece)
        abort();
    written.piece[written.pieces].begin = begin;
    written.piece[written.pieces++].end = end;
    for (unsigned i = 0; i < written.pieces;) {
        const int64_t at = written.begin + (int64_t)written.bytes;
        if (written.piece[i].begin > at || written.piece[i].end <= at) {
            i++;
            continue;
        }
        seen.delivered += (uint64_t)(written.piece[i].end - at);
        written.bytes += (uint64_t)(written.piece[i].end - at);
        written.piece[i] = written.piece[--written.pieces];
        i = 0;
    }
}

/* What was written for the sake of whole blocks, or behind a gap, is cut off again. */
static void note_cut(int64_t end)
{
    const int64_t at = written.begin + (int64_t)written.bytes;

    if (!written.begun)
        return;
    if (at > end) {
        seen.delivered -= (uint64_t)(at - end);
        written.bytes -= (uint64_t)(at - end);
    }
    for (unsigned i = 0; i < written.pieces;)
        if (written.piece[i].end > end)
            written.piece[i] = written.piece[--written.pieces];
        else
            i++;
}

int __wrap_sys_flight_open(enum flight_engine engine, unsigned depth, struct flight **ret)
{
    int64_t value;
    if (struck(engine == FLIGHT_RING ? POINT_RING : POINT_THREADS, NULL, &value))
        return (int)value;
    const int error = __real_sys_flight_open(engine, depth, ret);
    if (error >= 0) {
        written.begun = false;
        written.bytes = written.pieces = 0;
        made((*ret)->event, OTHER_OF_OURS);
        seen.descriptors -= engine == FLIGHT_THREADS; /* its event was made by sys_eventfd() */
    }
    return error;
}

void __wrap_sys_flight_close(struct flight *flight)
{
    unmade(flight->event);
    __real_sys_flight_close(flight);
}

/* Those that are struck: what they were to do. */
static struct {
    struct request *request;
    enum flight_operation operation;
} diverted[16];

static void divert(struct request *request)
{
    size_t i = 0;
    while (diverted[i].request)
        if (++i == sizeof diverted / sizeof *diverted)
            abort();
    diverted[i].request = request;
    diverted[i].operation = request->operation;
    request->operation = FLIGHT_NOTHING;
}

static bool was_diverted(struct request *request)
{
    for (size_t i = 0; i < sizeof diverted / sizeof *diverted; i++)
        if (diverted[i].request == request) {
            diverted[i].request = NULL;
            request->operation = diverted[i].operation;
            return true;
        }
    return false;
}

/* A request that is struck stays in its place among the others, and has its value when it is done. */
enum { ALIGNMENT = 512 };

int __wrap_sys_flight_submit(struct flight *flight, struct request *request)
{
    static const enum point points[] = {
        [FLIGHT_READ] = POINT_DIRECT_READ,
        [FLIGHT_WRITE] = POINT_DIRECT_WRITE,
        [FLIGHT_SPLICE_IN] = POINT_DIRECT_IN,
        [FLIGHT_SPLICE_OUT] = POINT_DIRECT_OUT,
    };
    int64_t value;

    if (on && !written.begun &&
        (request->operation == FLIGHT_WRITE || request->operation == FLIGHT_SPLICE_OUT)) {
        written.begun = true;
        written.begin = request->offset;
    }
    if (struck(POINT_SUBMIT, NULL, &value)) {
        if (request->operation == FLIGHT_WRITE || request->operation == FLIGHT_SPLICE_OUT)
            note_written(request->offset, request->offset + (int64_t)request->length); /* by hand */
        return (int)value;
    }
    if (struck(points[request->operation], &request->length, &value)) {
        divert(request);
        request->value = (ssize_t)value;
    }
    if (request->length % ALIGNMENT != 0) /* cut short, but by blocks */
        request->length -= request->length % ALIGNMENT;
    if (request->length == 0)
        request->length = ALIGNMENT;
    return __real_sys_flight_submit(flight, request);
}

struct request *__wrap_sys_flight_reap(struct flight *flight, bool wait)
{
    struct request *request = __real_sys_flight_reap(flight, wait);

    if (!request)
        seen.source_said_eagain = seen.sink_said_eagain = true;
    else if (!was_diverted(request) && on && request->value > 0 &&
             (request->operation == FLIGHT_WRITE || request->operation == FLIGHT_SPLICE_OUT))
        note_written(request->offset, request->offset + request->value);
    return request;
}

int __wrap_sys_direct_alignment(int fd, uint32_t *ret_memory, uint32_t *ret_offset)
{
    int64_t value;
    return struck(POINT_ALIGNMENT, NULL, &value)
               ? (int)value
               : __real_sys_direct_alignment(fd, ret_memory, ret_offset);
}

static void remember_mapping(void *address, size_t length)
{
    for (int i = 0; i < MOST_MAPPINGS; i++)
        if (!mappings[i].begin) {
            mappings[i] = (struct mapping){address, (char *)address + length};
            return;
        }
    abort();
}

int __wrap_sys_mmap(size_t length, int protection, int flags, int fd, int64_t offset, void **ret)
{
    int64_t value;
    if (struck(POINT_MMAP, NULL, &value))
        return (int)value;
    const int error = __real_sys_mmap(length, protection, flags, fd, offset, ret);
    if (error >= 0)
        remember_mapping(*ret, length);
    return error;
}

/* What undoes something has done it, also when it fails: the kernel closes a descriptor and says
 * EIO, and a test that leaked itself could not tell leaks. */
int __wrap_sys_munmap(void *address, size_t length)
{
    int64_t value;
    for (int i = 0; i < MOST_MAPPINGS; i++)
        if (mappings[i].begin == address)
            mappings[i] = (struct mapping){0};
    const int real = __real_sys_munmap(address, length);
    return struck(POINT_MUNMAP, NULL, &value) ? (int)value : real;
}

int __wrap_sys_close(int fd)
{
    int64_t value;
    unmade(fd);
    const int real = __real_sys_close(fd);
    return struck(POINT_CLOSE, NULL, &value) ? (int)value : real;
}

int __wrap_sys_madvise(void *address, size_t length, int advice)
{
    int64_t value;
    if (stand_in.madvise)
        return stand_in.madvise(address, length, advice);
    return struck(POINT_MADVISE, NULL, &value) ? (int)value
                                               : __real_sys_madvise(address, length, advice);
}

int __wrap_sys_pipe2(int fds[2], int flags)
{
    int64_t value;
    if (struck(POINT_PIPE2, NULL, &value))
        return (int)value;
    const int error = __real_sys_pipe2(fds, flags);
    if (error >= 0) {
        made(fds[0], PRIVATE_PIPE);
        made(fds[1], PRIVATE_PIPE);
    }
    return error;
}

int __wrap_sys_fcntl(int fd, int command, int argument)
{
    static const struct {
        int command;
        enum point point;
    } commands[] = {
        {F_SETPIPE_SZ, POINT_SET_PIPE_SIZE}, {F_GETPIPE_SZ, POINT_GET_PIPE_SIZE},
        {F_DUPFD_CLOEXEC, POINT_DUP},        {F_GETFL, POINT_GET_FLAGS},
        {F_SETFL, POINT_SET_FLAGS},
    };
    int64_t value;

    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (commands[i].command == command && struck(commands[i].point, NULL, &value))
            return (int)value;
    const int result = __real_sys_fcntl(fd, command, argument);
    if (command == F_DUPFD_CLOEXEC)
        made(result, role(fd) ? role(fd) : OTHER_OF_OURS);
    return result;
}

int __wrap_sys_ioctl(int fd, unsigned long request, void *argument)
{
    const enum point point = request != FIONREAD        ? POINT_IOCTL
                             : role(fd) == PRIVATE_PIPE ? POINT_BYTES_IN_PIPE
                                                        : POINT_BYTES_QUEUED;
    int64_t value;
    if (struck(point, NULL, &value))
        return (int)value;
    return __real_sys_ioctl(fd, request, argument);
}

/* An end that is opened again is that end. */
int __wrap_sys_open(const char *path, int flags)
{
    int64_t value;
    int again;
    if (struck(POINT_OPEN, NULL, &value))
        return (int)value;
    const int fd = __real_sys_open(path, flags);
    made(fd, sscanf(path, "/proc/self/fd/%d", &again) == 1 ? role(again) : OTHER_OF_OURS);
    return fd;
}

ssize_t __wrap_sys_readlink(const char *path, char *buffer, size_t length)
{
    int64_t value;
    return struck(POINT_READLINK, NULL, &value) ? (ssize_t)value
                                                : __real_sys_readlink(path, buffer, length);
}

int64_t __wrap_sys_lseek(int fd, int64_t offset, int whence)
{
    int64_t value;
    const enum point point = whence == SEEK_DATA || whence == SEEK_HOLE ? POINT_SEEK_HOLES
                             : role(fd) == SINK                         ? POINT_SEEK_SINK
                                                                        : POINT_SEEK_SOURCE;
    if (struck(point, NULL, &value))
        return value;
    return __real_sys_lseek(fd, offset, whence);
}

int __wrap_sys_fstat(int fd, struct stat *ret)
{
    int64_t value;
    return struck(POINT_FSTAT, NULL, &value) ? (int)value : __real_sys_fstat(fd, ret);
}

int __wrap_sys_fstatfs_magic(int fd, uint64_t *ret)
{
    int64_t value;
    return struck(POINT_FSTATFS, NULL, &value) ? (int)value : __real_sys_fstatfs_magic(fd, ret);
}

int __wrap_sys_getsockopt(int fd, int level, int name, int *ret)
{
    int64_t value;
    return struck(POINT_GETSOCKOPT, NULL, &value) ? (int)value
                                                  : __real_sys_getsockopt(fd, level, name, ret);
}

int __wrap_sys_eventfd(void)
{
    int64_t value;
    if (struck(POINT_EVENTFD, NULL, &value))
        return (int)value;
    const int fd = __real_sys_eventfd();
    made(fd, OTHER_OF_OURS);
    return fd;
}

/* A wait in the test's own time. */
static int poll_in_own_time(struct pollfd *fds, nfds_t count, const struct timespec *timeout)
{
    const struct timespec at_once = {0};
    const int ready = __real_sys_poll(fds, count, &at_once);

    if (ready != 0)
        return ready;
    if (!timeout) {
        fprintf(stderr, "FAIL: it waits for ever\n");
        _exit(4);
    }
    own_time += (uint64_t)timeout->tv_sec * 1000000000U + (uint64_t)timeout->tv_nsec;
    return 0;
}

int __wrap_sys_poll(struct pollfd *fds, nfds_t count, const struct timespec *timeout)
{
    const bool now = timeout && timeout->tv_sec == 0 && timeout->tv_nsec == 0;
    int64_t value;
    const bool fails = struck(now ? POINT_POLL_NOW : POINT_POLL_WAIT, NULL, &value);
    const int ready = fails      ? (int)value
                      : own_time ? poll_in_own_time(fds, count, timeout)
                                 : __real_sys_poll(fds, count, timeout);
    /* Who cannot be asked is waited for, too. */
    if (on && now && ready <= 0 && count == 1) {
        seen.source_said_eagain |= role(fds->fd) == SOURCE;
        seen.sink_said_eagain |= role(fds->fd) == SINK;
    }
    return ready;
}

static int no_thread;

void inject_threads(int error)
{
    no_thread = error;
}

int __wrap_sys_thread_on(int processor, void *(*function)(void *), void *argument, pthread_t *ret)
{
    return no_thread ? no_thread : __real_sys_thread_on(processor, function, argument, ret);
}

int __wrap_sys_thread(void *(*function)(void *), void *argument)
{
    return no_thread ? no_thread : __real_sys_thread(function, argument);
}

void __wrap_sys_yield(void)
{
    if (own_time)
        own_time += 10000;
    else
        __real_sys_yield();
}

uint64_t __wrap_sys_now(void)
{
    return own_time ? (own_time += 100) : __real_sys_now();
}

int __wrap_sys_sleep_until(uint64_t deadline)
{
    if (!own_time)
        return __real_sys_sleep_until(deadline);
    if (own_time < deadline)
        own_time = deadline;
    return 0;
}

/* What only loans call. */

int __wrap_sys_setsockopt(int fd, int level, int name, int value)
{
    return stand_in.setsockopt ? stand_in.setsockopt(fd, level, name, value)
                               : __real_sys_setsockopt(fd, level, name, value);
}

int __wrap_sys_tcp_map(int fd, void *window, uint32_t *length, uint32_t *ret_skip)
{
    return stand_in.tcp_map ? stand_in.tcp_map(fd, window, length, ret_skip)
                            : __real_sys_tcp_map(fd, window, length, ret_skip);
}

int __wrap_sys_mprotect(void *address, size_t length, int protection)
{
    return __real_sys_mprotect(address, length, protection);
}

int __wrap_sys_memfd_create(const char *name)
{
    return stand_in.memfd_create ? stand_in.memfd_create(name) : __real_sys_memfd_create(name);
}

int __wrap_sys_epoll_create(void)
{
    return stand_in.epoll_create ? stand_in.epoll_create() : __real_sys_epoll_create();
}

int __wrap_sys_epoll_add(int epoll, int fd, void *data)
{
    return stand_in.epoll_add ? stand_in.epoll_add(epoll, fd, data)
                              : __real_sys_epoll_add(epoll, fd, data);
}

int __wrap_sys_epoll_remove(int epoll, int fd)
{
    return __real_sys_epoll_remove(epoll, fd);
}

int __wrap_sys_epoll_take(int epoll, void **ret_data)
{
    return __real_sys_epoll_take(epoll, ret_data);
}
