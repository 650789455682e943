/* SPDX-License-Identifier: MIT */
/*
 * Every errno at every call of a fan-out, once, and for ever: no sink loses or repeats a byte, who fails got an
 * exact prefix that is counted to the byte, nobody else notices where the call was one sink's own, what waits can be
 * salvaged, and no descriptor is left.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "sluice.h"
#include "tests/fault/inject.h"

enum {
    LENGTH = 400000,
    SINKS = 5,
    PIPE = 0,
    FILE_ = 1,
    SOCKET = 2,
    SPILLED = 3,
    FUNCTION = 4,
    LAG = 131072, /* of less the rounds are small ones */
    MOST_TURNS = 20000
};

static char reference[LENGTH];
static uint64_t spilled; /* in the last run */

struct end {
    int fd, peer;
    unsigned id;
    sluice_endpoint *endpoint;
    size_t got;
    bool wrong;
};

struct rig {
    sluice_context *context;
    sluice_endpoint *source;
    sluice_fanout *fanout;
    int source_fd, producer, spill_fd;
    sluice_endpoint *spill;
    size_t sent;
    struct end end[SINKS];
    int result;
};

static void check_bytes(struct end *end, const void *bytes, size_t length)
{
    if (end->got + length > LENGTH || memcmp(reference + end->got, bytes, length) != 0)
        end->wrong = true;
    end->got += length;
}

static int take(const void *bytes, size_t length, void *data)
{
    check_bytes(data, bytes, length);
    return 0;
}

static void produce(struct rig *rig)
{
    if (rig->producer < 0)
        return;
    const ssize_t value = write(rig->producer, reference + rig->sent, LENGTH - rig->sent);
    rig->sent += value > 0 ? (size_t)value : 0;
    if (rig->sent == LENGTH) {
        close(rig->producer);
        rig->producer = -1;
    }
}

static void receive(struct end *end)
{
    static char bytes[32768];
    ssize_t value;

    if (end->peer < 0)
        return;
    while ((value = read(end->peer, bytes, sizeof bytes)) > 0)
        check_bytes(end, bytes, (size_t)value);
}

static void read_file(struct end *end)
{
    static char bytes[LENGTH + 1];
    const ssize_t value = pread(end->fd, bytes, sizeof bytes, 0);

    if (value > 0)
        check_bytes(end, bytes, (size_t)value);
}

static void open_ends(struct rig *rig)
{
    int fds[2];

    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    rig->source_fd = fds[0];
    rig->producer = fds[1];
    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    rig->end[PIPE] = (struct end){.fd = fds[1], .peer = fds[0]};
    rig->end[FILE_] = (struct end){.fd = memfd_create("sink", MFD_CLOEXEC), .peer = -1};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    rig->end[SOCKET] = (struct end){.fd = fds[0], .peer = fds[1]};
    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    rig->end[SPILLED] = (struct end){.fd = fds[1], .peer = fds[0]};
    rig->spill_fd = memfd_create("spill", MFD_CLOEXEC);
    rig->end[FUNCTION] = (struct end){.fd = -1, .peer = -1};
}

/* 0, or a negative errno if it could not even be made: then it is nothing to run. */
static int make(struct rig *rig)
{
    const struct sluice_context_options options = {.size = sizeof options, .max_pipes = 30};
    struct sluice_fanout_options how = SLUICE_FANOUT_OPTIONS_INIT;
    struct sluice_sink_options spills = SLUICE_SINK_OPTIONS_INIT;
    int error = 0;

    how.flags = SLUICE_NO_SIGPIPE;
    rig->context = sluice_context_new(&options, &error);
    error = sluice_endpoint_from_fd(rig->context, rig->source_fd, SLUICE_BORROW, &rig->source);
    if (error >= 0)
        error = sluice_fanout_new(rig->context, rig->source, &how, &rig->fanout, NULL);
    if (error >= 0)
        error = sluice_endpoint_from_fd(rig->context, rig->spill_fd, SLUICE_BORROW, &rig->spill);
    spills.slow = SLUICE_SLOW_SPILL;
    spills.lag = LAG;
    spills.spill = rig->spill;
    for (int i = 0; i < FUNCTION && error >= 0; i++) {
        error = sluice_endpoint_from_fd(rig->context, rig->end[i].fd, SLUICE_BORROW,
                                        &rig->end[i].endpoint);
        if (error >= 0)
            error = sluice_fanout_add(rig->fanout, rig->end[i].endpoint,
                                      i == SPILLED ? &spills : NULL, &rig->end[i].id, NULL);
    }
    if (error >= 0)
        error = sluice_fanout_add_function(rig->fanout, take, &rig->end[FUNCTION], NULL,
                                           &rig->end[FUNCTION].id);
    return error;
}

/* One of the sinks is seldom read, until the source has ended. */
static void turn(struct rig *rig)
{
    enum { SELDOM = 16, QUICK = 100 };
    int turns = 0;

    for (;;) {
        produce(rig);
        rig->result = sluice_fanout_step(rig->fanout, 0, NULL);
        for (int i = 0; i < FUNCTION; i++)
            if (i != SPILLED || rig->producer < 0 || turns % SELDOM == 0 ||
                rig->result <= SLUICE_DONE)
                receive(&rig->end[i]);
        if (turns > QUICK)
            usleep(100); /* a thread is waited for */
        if (rig->result <= SLUICE_DONE)
            return;
        if (++turns == MOST_TURNS)
            fail_msg("it goes on for ever");
    }
}

/* What waited for it follows what it got. */
static void salvage(struct rig *rig, struct end *end)
{
    char bytes[7000];
    ssize_t value;

    while ((value = sluice_fanout_salvage(rig->fanout, end->id, bytes, sizeof bytes)) > 0)
        check_bytes(end, bytes, (size_t)value);
    assert_true(value == 0 || value == -EBUSY);
}

static void check_end(struct rig *rig, struct end *end, const char *what)
{
    struct sluice_fanout_ledger ledger = {.size = sizeof ledger};
    struct sluice_sink_info info = {.size = sizeof info};

    sluice_fanout_ledger(rig->fanout, &ledger);
    assert_int_equal(sluice_fanout_sink(rig->fanout, end->id, &info), 0);
    if (end == &rig->end[SPILLED])
        spilled = info.spilled;
    if (end->wrong)
        fail_msg("%s: wrong bytes", what);
    if (info.delivered != end->got)
        fail_msg("%s: %zu bytes arrived, %llu are counted", what, end->got,
                 (unsigned long long)info.delivered);
    if (info.state == SLUICE_SINK_DONE && end->got != ledger.taken)
        fail_msg("%s: done with %zu of %llu bytes", what, end->got,
                 (unsigned long long)ledger.taken);
    if (rig->result == SLUICE_DONE && info.state == SLUICE_SINK_RUNNING)
        fail_msg("%s: not done at the end", what);
    if (info.state == SLUICE_SINK_FAILED && (info.error >= 0 || !info.operation))
        fail_msg("%s: failed without a reason", what);
    if (info.state == SLUICE_SINK_RUNNING) {
        salvage(rig, end);
        if (end->wrong || end->got != ledger.taken)
            fail_msg("%s: %zu of %llu bytes after the salvage", what, end->got,
                     (unsigned long long)ledger.taken);
    }
}

static void let_go(struct rig *rig)
{
    sluice_fanout_free(rig->fanout);
    for (int i = 0; i < SINKS; i++)
        sluice_endpoint_free(rig->end[i].endpoint);
    sluice_endpoint_free(rig->spill);
    sluice_endpoint_free(rig->source);
    sluice_context_free(rig->context);
}

static void close_ends(struct rig *rig)
{
    for (int i = 0; i < SINKS; i++) {
        if (rig->end[i].fd >= 0)
            close(rig->end[i].fd);
        if (rig->end[i].peer >= 0)
            close(rig->end[i].peer);
    }
    close(rig->source_fd);
    close(rig->spill_fd);
    if (rig->producer >= 0)
        close(rig->producer);
}

/* Runs one with the faults that were given. `shared`: the struck call may end the whole fan-out. */
static void one(const char *what, bool shared)
{
    struct rig rig = {0};

    open_ends(&rig);
    inject_begin(rig.source_fd, rig.end[PIPE].fd);
    if (make(&rig) >= 0) {
        turn(&rig);
        inject_pause(true);
        read_file(&rig.end[FILE_]);
        for (int i = 0; i < SINKS; i++)
            check_end(&rig, &rig.end[i], what);
        if (!shared && rig.result < 0)
            fail_msg("%s: a sink's error has ended all: %s", what, strerror(-rig.result));
        if (rig.result == SLUICE_DONE) {
            struct sluice_fanout_ledger ledger = {.size = sizeof ledger};
            sluice_fanout_ledger(rig.fanout, &ledger);
            if (ledger.running > 0)
                fail_msg("%s: done, and %u are running", what, ledger.running);
        }
    } else if (!shared) {
        inject_pause(true);
    }
    let_go(&rig);
    inject_pause(false);
    for (int i = 0; i < 1000 && inject_descriptors() != 2; i++)
        usleep(1000); /* a thread lets go of its own by itself */
    if (inject_descriptors() != 2)
        fail_msg("%s: %u descriptors are left", what, inject_descriptors() - 2);
    inject_end();
    close_ends(&rig);
}

static const int errnos[] = {EINTR, EAGAIN, EINVAL, EPERM,  ENOSYS, ENOMEM,     EIO,
                             EPIPE, ENOSPC, EMFILE, ENFILE, EBADF,  EOPNOTSUPP, EFAULT};

/* Calls that one sink alone makes: their error is that sink's. */
#define OF_A_SINK (POINT(SPLICE_OUT) | POINT(WRITE) | POINT(SEND))
/* Their result is not looked at, or undoes something: a failure changes nothing. */
#define HARMLESS (POINT(CLOSE))

static void every_errno_at_every_call(void **unused)
{
    unsigned calls[POINT_COUNT], runs = 0;
    char what[200];

    (void)unused;
    inject_none();
    one("without a fault", false);
    memcpy(calls, seen.calls, sizeof calls);
    assert_true(spilled > 0);
    assert_true(calls[POINT_TEE] > 0 && calls[POINT_SPLICE_IN] > 0 && calls[POINT_SPLICE_OUT] > 0 &&
                calls[POINT_SEND] > 0 && calls[POINT_READ] > 0 && calls[POINT_READ_BACK] > 0);
    for (int point = 0; point < POINT_COUNT; point++)
        for (size_t i = 0; calls[point] > 0 && i < sizeof errnos / sizeof *errnos; i++)
            for (unsigned from = 1; from <= 3; from++)
                for (unsigned times = 1; times <= ALWAYS;
                     times = times == 1 ? ALWAYS : ALWAYS + 1) {
                    const bool passes = errnos[i] == EINTR || errnos[i] == EAGAIN;
                    if (passes && times == ALWAYS)
                        continue; /* for ever is what it would take */
                    const struct fault fault = {.point = (enum point)point,
                                                .from = from,
                                                .times = times,
                                                .error = errnos[i]};
                    snprintf(what, sizeof what, "%s says %s at call %u%s",
                             point_name((enum point)point), strerrorname_np(errnos[i]), from,
                             times == 1 ? "" : " and on");
                    inject_none();
                    inject(&fault);
                    one(what, !(OF_A_SINK >> point & 1));
                    runs++;
                }
    inject_none();
    printf("%u faults\n", runs);
}

static void short_counts(void **unused)
{
    static const enum point points[] = {POINT_SPLICE_IN, POINT_SPLICE_OUT, POINT_TEE,
                                        POINT_READ,      POINT_SEND,       POINT_WRITE,
                                        POINT_READ_BACK};
    char what[200];

    (void)unused;
    for (size_t i = 0; i < sizeof points / sizeof *points; i++)
        for (unsigned from = 1; from <= 5; from++)
            for (size_t cut = 1; cut <= 10000; cut *= 100) {
                const struct fault fault = {
                    .point = points[i], .from = from, .times = from == 5 ? 40 : 1, .cut = cut};
                snprintf(what, sizeof what, "%s takes %zu bytes at call %u", point_name(points[i]),
                         cut, from);
                inject_none();
                inject(&fault);
                one(what, false);
            }
    inject_none();
}

/* No thread can be had for a blocking socket that is not ours: it is driven all the same, without waiting. */
static void without_a_thread(void **unused)
{
    struct rig rig = {0};
    struct sluice_sink_info info = {.size = sizeof info};

    (void)unused;
    inject_none();
    inject_threads(-EAGAIN);
    open_ends(&rig);
    fcntl(rig.end[SOCKET].fd, F_SETFL, O_RDWR);
    assert_true(make(&rig) >= 0);
    assert_int_equal(sluice_fanout_sink(rig.fanout, rig.end[SOCKET].id, &info), 0);
    assert_int_equal(info.isolated, 0);
    assert_non_null(info.not_isolated);
    alarm(30); /* a call that waits would wait for ever: nobody reads meanwhile */
    for (int i = 0; i < 50; i++) {
        produce(&rig);
        assert_true(sluice_fanout_step(rig.fanout, 0, NULL) >= SLUICE_WAIT);
        receive(&rig.end[PIPE]);
    }
    turn(&rig);
    alarm(0);
    read_file(&rig.end[FILE_]);
    for (int i = 0; i < SINKS; i++) {
        check_end(&rig, &rig.end[i], "without a thread");
        assert_int_equal(rig.end[i].got, LENGTH);
    }
    let_go(&rig);
    close_ends(&rig);
    inject_threads(0);
}

static int set_up(void **unused)
{
    uint64_t state = 7;

    (void)unused;
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i + 8 <= LENGTH; i += 8) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        memcpy(reference + i, &state, 8);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_errno_at_every_call),
        cmocka_unit_test(short_counts),
        cmocka_unit_test(without_a_thread),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
