/* SPDX-License-Identifier: MIT */
/*
 * timeout: 110
 * Fan-outs at random: source, sinks of every kind, segments from 1 byte to 1 MiB, stalls, deaths at any
 * byte, policies, budgets. Survivors get every byte; the dead an exact prefix; and what the library
 * counts is what arrived, to the byte.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "sluice.h"

enum { LONGEST = 6 << 20, MOST_SINKS = 64 };

enum sink_kind {
    KIND_PIPE,
    KIND_SMALL_PIPE,
    KIND_FILE,
    KIND_APPEND,
    KIND_UNIX,
    KIND_BLOCKING_UNIX,
    KIND_TCP,
    KIND_FUNCTION,
    KIND_NULL,
    KINDS,
};

static const char *const kind_names[KINDS] = {
    "pipe", "small pipe", "file", "append", "unix", "blocking unix", "tcp", "function", "null"};

struct test_sink {
    enum sink_kind kind;
    int fd, peer; /* given to the library; where its bytes arrive, -1: nowhere */
    sluice_endpoint *endpoint, *spill;
    unsigned id;
    enum sluice_slow slow;
    bool may_miss; /* it drops, or its spill file may have it drop */
    uint64_t got, skipped, dies_at, left_unread;
    int asleep; /* turns in which nobody reads */
    bool dead;
};

static char *reference;
static uint64_t state;

static uint64_t chance(uint64_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return below ? (state >> 11) % below : 0;
}

/* One in two small, the rest over all magnitudes. */
static uint64_t some_length(uint64_t most)
{
    const uint64_t length = 1 + chance((uint64_t)1 << chance(21));
    return length < most ? length : most;
}

/* ---- sinks ---- */

static void tcp_pair(int fds[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fds[0], (struct sockaddr *)&address, sizeof address), 0);
    fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    close(listener);
}

static int unnamed_file(int flags)
{
    const char *directory = getenv("TMPDIR");
    const int fd =
        open(directory ? directory : "/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC | flags, 0600);
    assert_true(fd >= 0);
    return fd;
}

static void open_sink(struct test_sink *sink)
{
    int fds[2] = {-1, -1};

    sink->peer = -1;
    switch (sink->kind) {
    case KIND_PIPE:
    case KIND_SMALL_PIPE:
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        sink->peer = fds[0];
        sink->fd = fds[1];
        if (sink->kind == KIND_SMALL_PIPE)
            fcntl(sink->fd, F_SETPIPE_SZ, 4096);
        break;
    case KIND_FILE:
    case KIND_APPEND:
        sink->fd = unnamed_file(sink->kind == KIND_APPEND ? O_APPEND : 0);
        break;
    case KIND_UNIX:
    case KIND_BLOCKING_UNIX:
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        sink->fd = fds[0];
        sink->peer = fds[1];
        break;
    case KIND_TCP:
        tcp_pair(fds);
        sink->fd = fds[0];
        sink->peer = fds[1];
        break;
    case KIND_NULL:
        sink->fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
        break;
    default:
        sink->fd = -1;
        break;
    }
    if (sink->kind == KIND_UNIX || sink->kind == KIND_TCP)
        fcntl(sink->fd, F_SETFL, O_RDWR | O_NONBLOCK);
    if (sink->peer >= 0)
        fcntl(sink->peer, F_SETFL, O_RDONLY | O_NONBLOCK);
}

/* What arrived follows what came before, unless rounds were dropped: then after a gap. */
static void check_bytes(struct test_sink *sink, const char *bytes, size_t length)
{
    while (length > 0) {
        const uint64_t at = sink->got + sink->skipped;
        assert_true(at + length <= LONGEST);
        size_t same = length;
        if (memcmp(reference + at, bytes, length) != 0)
            for (same = 0; reference[at + same] == bytes[same];)
                same++;
        sink->got += same;
        bytes += same;
        length -= same;
        if (length == 0)
            break;
        if (!sink->may_miss)
            fail_msg("a %s got something else at byte %llu", kind_names[sink->kind],
                     (unsigned long long)(at + same));
        const char *from = reference + at + same;
        const size_t left = (size_t)(reference + LONGEST - from), known = length < 32 ? length : 32;
        /* A run between two gaps can be of a byte, and it must never be looked for beyond where it is:
         * a few bytes across a gap are somewhere by chance, eight are not, and one is there or before. */
        const char *found = known < 8 ? NULL : memmem(from, left, bytes, known);
        if (!found)
            found = memchr(from, *bytes, left);
        if (!found)
            fail_msg("a %s got bytes of nowhere", kind_names[sink->kind]);
        sink->skipped += (uint64_t)(found - from);
    }
}

static int take_bytes(const void *bytes, size_t length, void *data)
{
    struct test_sink *sink = data;

    if (sink->dies_at && sink->got + length >= sink->dies_at) {
        sink->dead = true;
        return -EBADMSG;
    }
    check_bytes(sink, bytes, length);
    return 0;
}

static void receive(struct test_sink *sink, size_t most)
{
    static char bytes[1 << 20];

    if (sink->peer < 0)
        return;
    if (sink->dies_at && sink->got + most > sink->dies_at)
        most = (size_t)(sink->dies_at - sink->got);
    const ssize_t value = most ? read(sink->peer, bytes, most) : 0;
    if (value > 0)
        check_bytes(sink, bytes, (size_t)value);
    if (!sink->dies_at || sink->got < sink->dies_at)
        return;
    int left = 0;
    /* A thread may give it more between the count and the close: it is stopped from it. */
    if (sink->kind == KIND_BLOCKING_UNIX || sink->kind == KIND_TCP)
        shutdown(sink->peer, SHUT_RD);
    if (sink->kind == KIND_BLOCKING_UNIX)
        usleep(2000);
    ioctl(sink->peer, FIONREAD, &left);
    sink->left_unread = (uint64_t)left;
    close(sink->peer);
    sink->peer = -1;
    sink->dead = true;
}

static void check_file(struct test_sink *sink)
{
    char bytes[65536];
    ssize_t value;

    for (off_t at = 0; (value = pread(sink->fd, bytes, sizeof bytes, at)) > 0; at += value)
        check_bytes(sink, bytes, (size_t)value);
}

/* ---- a run ---- */

struct test {
    sluice_context *context;
    sluice_fanout *fanout;
    sluice_endpoint *source;
    int source_fd, producer;
    uint64_t length, sent;
    struct test_sink sink[MOST_SINKS];
    unsigned sinks;
};

static void produce(struct test *test)
{
    uint64_t length = test->length - test->sent;

    if (test->producer < 0)
        return;
    if (length > 0) {
        length = some_length(length);
        const struct iovec iov = {.iov_base = reference + test->sent, .iov_len = length};
        const ssize_t value = chance(2) ? write(test->producer, iov.iov_base, length)
                                        : vmsplice(test->producer, &iov, 1, SPLICE_F_NONBLOCK);
        if (value > 0)
            test->sent += (uint64_t)value;
        else if (value < 0 && errno == EBADF) /* a socket: no vmsplice */
            test->sent += (uint64_t)(write(test->producer, iov.iov_base, 1) == 1);
    }
    if (test->sent == test->length) {
        close(test->producer);
        test->producer = -1;
    }
}

static void open_source(struct test *test)
{
    int fds[2];

    if (chance(4) == 0) {
        test->source_fd = unnamed_file(0);
        assert_int_equal(pwrite(test->source_fd, reference, test->length, 0), test->length);
        test->sent = test->length;
        test->producer = -1;
        return;
    }
    if (chance(3) == 0)
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    else
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    test->source_fd = fds[0];
    test->producer = fds[1];
    fcntl(test->producer, F_SETFL, O_RDWR | O_NONBLOCK);
    if (chance(3) == 0)
        fcntl(test->producer, F_SETPIPE_SZ, 1 << 20);
}

static void add_sink(struct test *test, bool may_die)
{
    struct test_sink *sink = &test->sink[test->sinks++];
    struct sluice_sink_options options = SLUICE_SINK_OPTIONS_INIT;

    sink->kind = (enum sink_kind)chance(KINDS);
    sink->slow = chance(3) ? SLUICE_SLOW_WAIT : (enum sluice_slow)chance(4);
    if (sink->slow == SLUICE_SLOW_DETACH)
        sink->slow = SLUICE_SLOW_WAIT; /* it has a test of its own: when it strikes is not told */
    if (may_die && chance(3) == 0)
        sink->dies_at = 1 + chance(test->length);
    open_sink(sink);
    options.slow = sink->slow;
    if (chance(2))
        options.lag = some_length(4 << 20);
    if (chance(4) == 0)
        options.lag_pipes = 1 + (uint32_t)chance(3);
    if (sink->slow == SLUICE_SLOW_SPILL) {
        assert_int_equal(
            sluice_endpoint_from_fd(test->context, unnamed_file(0), SLUICE_OWN, &sink->spill), 0);
        options.spill = sink->spill;
        options.spill_slow = chance(2) ? SLUICE_SLOW_WAIT : SLUICE_SLOW_DROP;
        if (chance(3) == 0)
            options.spill_most = 1 + some_length(4 << 20);
    }
    sink->may_miss = sink->slow == SLUICE_SLOW_DROP ||
                     (sink->slow == SLUICE_SLOW_SPILL && options.spill_slow == SLUICE_SLOW_DROP);
    if (sink->kind == KIND_FUNCTION) {
        assert_int_equal(
            sluice_fanout_add_function(test->fanout, take_bytes, sink, &options, &sink->id), 0);
        return;
    }
    assert_int_equal(
        sluice_endpoint_from_fd(test->context, sink->fd, SLUICE_BORROW, &sink->endpoint), 0);
    assert_int_equal(sluice_fanout_add(test->fanout, sink->endpoint, &options, &sink->id, NULL), 0);
}

static void live(struct test *test, struct test_sink *sink, bool awake)
{
    if (sink->asleep > 0 && !awake) {
        sink->asleep--;
        return;
    }
    if (chance(20) == 0)
        sink->asleep = (int)chance(40);
    receive(sink, awake ? 1 << 20 : (size_t)some_length(1 << 20));
    (void)test;
}

static void turn_until_done(struct test *test)
{
    int value, waits = 0;

    for (;;) {
        uint64_t deadline;
        value = sluice_fanout_step(test->fanout, chance(4) ? 0 : some_length(1 << 20), &deadline);
        if (value <= SLUICE_DONE)
            break;
        waits = value == SLUICE_WAIT ? waits + 1 : 0;
        if (waits > 200)
            usleep(200); /* threads want the CPU, too */
        assert_true(waits < 50000);
        for (uint64_t i = chance(4); i > 0; i--)
            produce(test);
        for (unsigned i = 0; i < test->sinks; i++)
            live(test, &test->sink[i], waits > 20);
    }
    assert_int_equal(value, SLUICE_DONE);
}

/* The counts of a sink, against what arrived. */
static void check_sink(struct test *test, struct test_sink *sink)
{
    struct sluice_sink_info info = {.size = sizeof info};

    assert_int_equal(sluice_fanout_sink(test->fanout, sink->id, &info), 0);
    for (int i = 0; sink->peer >= 0 && i < 10000 && sink->got < info.delivered; i++) {
        struct pollfd poll_fd = {.fd = sink->peer, .events = POLLIN};
        poll(&poll_fd, 1, 2000); /* TCP is on its way */
        receive(sink, 1 << 20);
    }
    if (sink->kind == KIND_FILE || sink->kind == KIND_APPEND)
        check_file(sink);
    if (sink->kind == KIND_NULL)
        sink->got = info.delivered;
    const bool exact =
        !(sink->dead && (sink->kind == KIND_TCP || sink->kind == KIND_BLOCKING_UNIX));
    if (exact && sink->got + sink->left_unread != info.delivered)
        fail_msg("a %s (%s) got %llu and left %llu bytes, %llu are counted; dropped %llu",
                 kind_names[sink->kind], sluice_slow_name(sink->slow),
                 (unsigned long long)sink->got, (unsigned long long)sink->left_unread,
                 (unsigned long long)info.delivered, (unsigned long long)info.dropped);
    assert_int_equal(info.lag, 0);
    if (info.state == SLUICE_SINK_DONE)
        assert_true(sink->skipped <= info.dropped);
    if (info.state == SLUICE_SINK_DONE)
        assert_int_equal(info.delivered + info.dropped, test->length);
    if (info.state == SLUICE_SINK_DONE && !sink->may_miss)
        assert_int_equal(info.dropped, 0);
    if (info.state == SLUICE_SINK_FAILED)
        assert_true(sink->dead);
    else
        assert_true(info.state == SLUICE_SINK_DONE);
    assert_int_equal(info.by_reference + info.by_kernel + info.by_user, info.delivered);
}

static void close_sink(struct test_sink *sink)
{
    sluice_endpoint_free(sink->endpoint);
    sluice_endpoint_free(sink->spill);
    if (sink->fd >= 0)
        close(sink->fd);
    if (sink->peer >= 0)
        close(sink->peer);
}

static void one_run(uint64_t seed, unsigned sinks)
{
    struct sluice_context_options options = {.size = sizeof options};
    struct sluice_fanout_options how = SLUICE_FANOUT_OPTIONS_INIT;
    struct test *test = calloc(1, sizeof *test);

    state = seed * 0x9e3779b97f4a7c15ULL + 1;
    for (int i = 0; i < 8; i++)
        chance(2);
    options.max_pipes = chance(4) ? 200 : 1 + (uint32_t)chance(sinks + 3);
    test->context = sluice_context_new(&options, NULL);
    test->length = chance(10) ? some_length(LONGEST) : chance(LONGEST);
    open_source(test);
    assert_int_equal(
        sluice_endpoint_from_fd(test->context, test->source_fd, SLUICE_BORROW, &test->source), 0);
    if (chance(3) == 0)
        how.pipe_size = (uint32_t)some_length(1 << 20);
    how.linger = UINT64_MAX;
    assert_int_equal(sluice_fanout_new(test->context, test->source, &how, &test->fanout, NULL), 0);
    for (unsigned i = 0; i < sinks; i++)
        add_sink(test, sinks == 1 || i + 1 < sinks);
    turn_until_done(test);
    for (unsigned i = 0; i < sinks; i++)
        check_sink(test, &test->sink[i]);
    sluice_fanout_free(test->fanout);
    for (unsigned i = 0; i < sinks; i++)
        close_sink(&test->sink[i]);
    if (test->producer >= 0)
        close(test->producer);
    sluice_endpoint_free(test->source);
    close(test->source_fd);
    sluice_context_free(test->context);
    free(test);
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void fan_outs_at_random(void **unused)
{
    static const unsigned counts[] = {1, 2, 3, 8, 2, 3, 5};
    const char *all = getenv("TEST_ALL"), *only = getenv("FANOUT_SEED");
    const double limit = all && *all ? 600 : 20;
    const double begun = seconds();
    uint64_t seed = only ? strtoull(only, NULL, 0) : 1;
    unsigned runs = 0;

    (void)unused;
    for (;
         runs == 0 || (!only && runs < (all && *all ? 20000U : 2000U) && seconds() - begun < limit);
         seed++, runs++) {
        if (getenv("VERBOSE"))
            fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
        one_run(seed, seed % 40 == 0 ? MOST_SINKS : counts[seed % 7]);
    }
    printf("%u runs, up to seed %llu\n", runs, (unsigned long long)seed - 1);
}

static int set_up(void **unused)
{
    (void)unused;
    signal(SIGPIPE, SIG_IGN); /* the producer's own */
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
    setrlimit(RLIMIT_NOFILE, &limit);
    reference = mmap(NULL, LONGEST, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    state = 42;
    for (size_t i = 0; i < LONGEST; i += 8) {
        chance(2);
        memcpy(reference + i, &state, 8);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(fan_outs_at_random)};
    return cmocka_run_group_tests(tests, set_up, NULL);
}
