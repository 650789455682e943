/* SPDX-License-Identifier: MIT */
/*
 * Loans: what was sent does not change, whoever keeps it and wherever; a loan is given out again
 * only when that is safe; sends are never refused for a way's sake; nothing is left unaccounted.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/probe/probe.h"
#include "sluice.h"
#include "tests/unit/ends.h"

enum { KIB = 1024, MIB = 1 << 20, ROUNDS = 8 };

static sluice_context *context;

static int set_up(void **state)
{
    (void)state;
    context = sluice_context_new(NULL, NULL);
    return context ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    sluice_context_free(context);
    return 0;
}

/* ---- a pool, a sink and what is behind it ---- */

enum behind { PIPE, TCP, UNIX, BEHIND_COUNT };

static const char *const behind_names[] = {"pipe", "tcp", "unix"};

struct scene {
    sluice_loan_pool *pool;
    sluice_loan_sink *sink;
    sluice_endpoint *endpoint;
    int fd, peer;
};

static void connect_tcp(int *ret_sender, int *ret_receiver)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(listener, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    *ret_sender = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(*ret_sender, (struct sockaddr *)&address, length), 0);
    *ret_receiver = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(*ret_receiver >= 0);
    close(listener);
}

static void nonblocking(int fd)
{
    assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

static void open_behind(enum behind behind, int *ret_writer, int *ret_reader)
{
    int fds[2];

    if (behind == TCP) {
        connect_tcp(ret_writer, ret_reader);
        return;
    }
    if (behind == PIPE) {
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        *ret_reader = fds[0];
        *ret_writer = fds[1];
        return;
    }
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    *ret_writer = fds[0];
    *ret_reader = fds[1];
}

static void scene_open(struct scene *scene, enum behind behind, enum sluice_loan_way prefer,
                       uint64_t buffer_size, uint32_t max)
{
    const struct sluice_loan_options options = {
        .size = sizeof options, .buffer_size = buffer_size, .max_loans = max};
    const struct sluice_loan_sink_options sink = {.size = sizeof sink, .prefer = prefer};

    open_behind(behind, &scene->fd, &scene->peer);
    nonblocking(scene->fd);
    assert_int_equal(sluice_endpoint_from_fd(context, scene->fd, SLUICE_BORROW, &scene->endpoint),
                     0);
    assert_int_equal(sluice_loan_pool_new(context, &options, &scene->pool), 0);
    assert_int_equal(sluice_loan_sink_new(scene->pool, scene->endpoint, &sink, &scene->sink), 0);
}

static void scene_close(struct scene *scene)
{
    sluice_loan_sink_free(scene->sink);
    assert_int_equal(sluice_loan_pool_free(scene->pool), 0);
    sluice_endpoint_free(scene->endpoint);
    close(scene->fd);
    close(scene->peer);
}

static struct sluice_loan_stats stats_of(const struct scene *scene)
{
    struct sluice_loan_stats stats = {.size = sizeof stats};
    assert_int_equal(sluice_loan_pool_stats(scene->pool, &stats), 0);
    return stats;
}

static struct sluice_loan_choice choice_of(const struct scene *scene, enum sluice_loan_way way)
{
    struct sluice_loan_choice choice = {.size = sizeof choice};
    for (unsigned i = 0; sluice_loan_sink_choice(scene->sink, i, &choice) == 0; i++)
        if (choice.way == way)
            return choice;
    fail();
    return choice;
}

static void fill(void *into, size_t length, unsigned round)
{
    pattern(into, length, (uint64_t)round * 1000003U);
}

/* Bytes until the end, or until there are none for a while. */
static size_t read_all(int fd, char *into, size_t most)
{
    size_t length = 0;
    struct pollfd wait = {.fd = fd, .events = POLLIN};

    while (length < most && poll(&wait, 1, 1000) > 0) {
        const ssize_t value = read(fd, into + length, most - length);
        if (value <= 0)
            break;
        length += (size_t)value;
    }
    return length;
}

/* ---- memory that was sent is kept by somebody ---- */

/* How the reader keeps what it was sent, without looking at it. */
enum keeping {
    IN_THE_QUEUE, /* unread, where it was sent to */
    TEED,         /* in another pipe as well; what it was sent to is drained */
    SPLICED,      /* moved into another pipe */
    IN_UNIX,      /* moved on into a socket's receive queue */
    IN_TCP,
    KEEPING_COUNT,
};

static const char *const keeping_names[] = {"in the queue", "teed", "spliced into a pipe",
                                            "spliced into unix", "spliced into tcp"};

struct keeper {
    enum keeping keeping;
    int from;    /* what it was sent to */
    int in, out; /* where it is kept */
    int through; /* to TCP and UNIX from a socket: a pipe between */
    int through_in;
};

static void keeper_open(struct keeper *keeper, enum keeping keeping, int from)
{
    static const enum behind kept[] = {
        [TEED] = PIPE, [SPLICED] = PIPE, [IN_UNIX] = UNIX, [IN_TCP] = TCP};

    *keeper = (struct keeper){.keeping = keeping, .from = from, .in = -1, .out = from};
    open_behind(PIPE, &keeper->through_in, &keeper->through);
    if (keeping == IN_THE_QUEUE)
        return;
    open_behind(kept[keeping], &keeper->in, &keeper->out);
    if (kept[keeping] == PIPE)
        fcntl(keeper->in, F_SETPIPE_SZ, MIB);
}

static void keeper_close(struct keeper *keeper)
{
    close(keeper->through);
    close(keeper->through_in);
    if (keeper->in >= 0) {
        close(keeper->in);
        close(keeper->out);
    }
}

/* Takes `length` bytes that have come. */
static void keep(struct keeper *keeper, size_t length)
{
    char sink[4096];
    int fds[2] = {keeper->from, keeper->in};

    if (keeper->keeping == IN_THE_QUEUE)
        return;
    while (length > 0) {
        ssize_t value = splice(fds[0], NULL, keeper->through_in, NULL,
                               length < 32 * KIB ? length : 32 * KIB, 0);
        assert_true(value > 0);
        length -= (size_t)value;
        if (keeper->keeping == TEED) {
            assert_int_equal(tee(keeper->through, fds[1], (size_t)value, 0), value);
            while (value > 0) {
                const ssize_t gone =
                    read(keeper->through, sink,
                         (size_t)value < sizeof sink ? (size_t)value : sizeof sink);
                assert_true(gone > 0);
                value -= gone;
            }
            continue;
        }
        while (value > 0) {
            const ssize_t moved = splice(keeper->through, NULL, fds[1], NULL, (size_t)value, 0);
            assert_true(moved > 0);
            value -= moved;
        }
    }
}

/* What is wrong with what was kept: the first round that is not as it was sent, or -1. */
static int first_changed(const struct keeper *keeper, size_t length, unsigned rounds)
{
    char *got = malloc(length), *wanted = malloc(length);
    int changed = -1;

    for (unsigned round = 0; round < rounds && changed < 0; round++) {
        fill(wanted, length, round);
        if (read_all(keeper->out, got, length) != length || memcmp(got, wanted, length) != 0)
            changed = (int)round;
    }
    free(got);
    free(wanted);
    return changed;
}

/* The mistake that loans prevent, seen to happen: one buffer, vmspliced again and again. */
static void memory_that_is_written_too_early_changes_what_was_sent(void **state)
{
    (void)state;
    for (unsigned keeping = IN_THE_QUEUE; keeping < KEEPING_COUNT; keeping++) {
        enum { LENGTH = 4096 };
        struct keeper keeper;
        int writer, reader;
        char *buffer =
            mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        open_behind(PIPE, &writer, &reader);
        keeper_open(&keeper, keeping, reader);
        for (unsigned round = 0; round < ROUNDS; round++) {
            const struct iovec pages = {.iov_base = buffer, .iov_len = LENGTH};
            fill(buffer, LENGTH, round);
            assert_int_equal(vmsplice(writer, &pages, 1, 0), LENGTH);
            keep(&keeper, LENGTH);
        }
        if (first_changed(&keeper, LENGTH, ROUNDS) != 0)
            fail_msg("%s: nothing was seen to change", keeping_names[keeping]);
        keeper_close(&keeper);
        close(writer);
        close(reader);
        munmap(buffer, LENGTH);
    }
}

/* Sends a round and puts the loan back, which is how a loan is used. */
static void send_round(struct scene *scene, unsigned flags, size_t length, unsigned round)
{
    sluice_loan *loan;

    assert_int_equal(sluice_loan_get(scene->pool, flags, &loan), 0);
    fill(sluice_loan_data(loan), length, round);
    assert_int_equal(sluice_loan_send_all(loan, scene->sink, 0, length, NULL), 0);
    sluice_loan_put(loan);
}

static void try_keeping(enum behind behind, enum keeping keeping, enum sluice_loan_way way,
                        size_t length, unsigned flags)
{
    struct scene scene;
    struct keeper keeper;

    scene_open(&scene, behind, way, length, 2);
    if (behind == PIPE)
        fcntl(scene.fd, F_SETPIPE_SZ, MIB);
    keeper_open(&keeper, keeping, scene.peer);
    for (unsigned round = 0; round < ROUNDS; round++) {
        send_round(&scene, flags, length, round);
        keep(&keeper, length);
    }
    const int changed = first_changed(&keeper, length, ROUNDS);
    if (changed >= 0)
        fail_msg("%s by %s, %s, %zu bytes, flags %u: round %d has changed", behind_names[behind],
                 sluice_loan_way_name(way), keeping_names[keeping], length, flags, changed);
    keeper_close(&keeper);
    scene_close(&scene);
}

static void loans_never_change_what_was_sent(void **state)
{
    static const size_t lengths[] = {4096, 12288, 20000};

    (void)state;
    for (unsigned behind = 0; behind < BEHIND_COUNT; behind++)
        for (unsigned keeping = 0; keeping < KEEPING_COUNT; keeping++)
            for (unsigned way = SLUICE_LOAN_AUTO; way < SLUICE_LOAN_WAY_COUNT; way++)
                for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++)
                    for (unsigned flags = 0; flags <= SLUICE_LOAN_CONSTANT; flags++)
                        try_keeping(behind, keeping, way, lengths[i], flags);
}

/* The same with huge pages, more than one slab, and loans that are put back out of order. */
static void large_loans_never_change_what_was_sent(void **state)
{
    enum { LENGTH = 512 * KIB, HELD = 5, TURNS = 40 };
    struct scene scene;
    sluice_loan *held[HELD] = {0};
    char *got = malloc(LENGTH), *wanted = malloc(LENGTH);
    uint64_t seed = 7;

    (void)state;
    scene_open(&scene, PIPE, SLUICE_LOAN_VMSPLICE, LENGTH, 12);
    fcntl(scene.fd, F_SETPIPE_SZ, MIB);
    for (unsigned turn = 0; turn < TURNS; turn++) {
        const unsigned which = (unsigned)random_below(&seed, HELD);
        sluice_loan_put(held[which]);
        assert_int_equal(sluice_loan_get(scene.pool, 0, &held[which]), 0);
        fill(sluice_loan_data(held[which]), LENGTH, turn);
        assert_int_equal(sluice_loan_send_all(held[which], scene.sink, 0, LENGTH, NULL), 0);
        if (turn == 0)
            continue; /* what is in the pipe is always one behind */
        fill(wanted, LENGTH, turn - 1);
        assert_int_equal(read_all(scene.peer, got, LENGTH), LENGTH);
        assert_memory_equal(got, wanted, LENGTH);
    }
    for (unsigned i = 0; i < HELD; i++)
        sluice_loan_put(held[i]);
    assert_true(stats_of(&scene).replaced > 0);
    free(got);
    free(wanted);
    scene_close(&scene);
}

/* Through a fan-out, which tees the pages to every sink: two that keep all unread, and one that is
 * read at once. */
static void a_fan_out_may_keep_them_too(void **state)
{
    enum { PIECE = 16 * KIB, SINKS = 3 };

    (void)state;
    for (unsigned way = SLUICE_LOAN_AUTO; way < SLUICE_LOAN_WAY_COUNT; way++)
        for (unsigned flags = 0; flags <= SLUICE_LOAN_CONSTANT; flags++) {
            struct scene scene;
            sluice_endpoint *source, *sink[SINKS];
            sluice_fanout *fanout;
            int writer[SINKS], reader[SINKS];
            char *got = malloc(PIECE), *wanted = malloc(PIECE);
            uint64_t deadline;

            scene_open(&scene, PIPE, way, PIECE, 2);
            nonblocking(scene.peer);
            assert_int_equal(sluice_endpoint_from_fd(context, scene.peer, SLUICE_BORROW, &source),
                             0);
            assert_int_equal(sluice_fanout_new(context, source, NULL, &fanout, NULL), 0);
            for (unsigned i = 0; i < SINKS; i++) {
                open_behind(i == 1 ? UNIX : PIPE, &writer[i], &reader[i]);
                nonblocking(writer[i]);
                fcntl(writer[i], F_SETPIPE_SZ, MIB);
                assert_int_equal(
                    sluice_endpoint_from_fd(context, writer[i], SLUICE_BORROW, &sink[i]), 0);
                assert_int_equal(sluice_fanout_add(fanout, sink[i], NULL, NULL, NULL), 0);
            }
            for (unsigned round = 0; round < ROUNDS; round++) {
                send_round(&scene, flags, PIECE, round);
                assert_int_equal(sluice_fanout_step(fanout, 0, &deadline), SLUICE_WAIT);
                fill(wanted, PIECE, round);
                assert_int_equal(read_all(reader[2], got, PIECE), PIECE);
                assert_memory_equal(got, wanted, PIECE);
            }
            for (unsigned i = 0; i < 2; i++)
                for (unsigned round = 0; round < ROUNDS; round++) {
                    fill(wanted, PIECE, round);
                    assert_int_equal(read_all(reader[i], got, PIECE), PIECE);
                    assert_memory_equal(got, wanted, PIECE);
                }
            sluice_fanout_free(fanout);
            for (unsigned i = 0; i < SINKS; i++) {
                sluice_endpoint_free(sink[i]);
                close(writer[i]);
                close(reader[i]);
            }
            sluice_endpoint_free(source);
            scene_close(&scene);
            free(got);
            free(wanted);
        }
}

/* ---- when it may be written again ---- */

static void returned_says_when_it_may_be_written(void **state)
{
    struct scene scene;
    sluice_loan *loan;

    (void)state;
    scene_open(&scene, PIPE, SLUICE_LOAN_WRITE, 4096, 2);
    assert_int_equal(sluice_loan_get(scene.pool, 0, &loan), 0);
    assert_int_equal(sluice_loan_returned(loan), 1);
    assert_int_equal(sluice_loan_send(loan, scene.sink, 0, 100), 100);
    assert_int_equal(sluice_loan_returned(loan), 1); /* it was copied */
    sluice_loan_put(loan);
    scene_close(&scene);

    scene_open(&scene, PIPE, SLUICE_LOAN_VMSPLICE, 4096, 2);
    assert_int_equal(sluice_loan_get(scene.pool, 0, &loan), 0);
    assert_int_equal(sluice_loan_send(loan, scene.sink, 0, 100), 100);
    assert_int_equal(sluice_loan_returned(loan), 0);
    char buffer[100];
    assert_int_equal(read(scene.peer, buffer, sizeof buffer), 100);
    assert_int_equal(sluice_loan_returned(loan), 0); /* somebody may have teed it */
    sluice_loan_put(loan);
    scene_close(&scene);

    scene_open(&scene, TCP, SLUICE_LOAN_ZEROCOPY, 64 * KIB, 2);
    assert_int_equal(sluice_loan_get(scene.pool, 0, &loan), 0);
    const int fd = sluice_loan_pool_fd(scene.pool);
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    assert_true(fd > 2);
    assert_int_equal(poll(&wait, 1, 0), 0);
    const ssize_t sent = sluice_loan_send(loan, scene.sink, 0, 64 * KIB);
    assert_true(sent > 0);
    assert_int_equal(stats_of(&scene).sent, 1);
    assert_int_equal(poll(&wait, 1, 5000), 1); /* it comes back, by that descriptor */
    assert_true(sluice_loan_pool_reap(scene.pool) > 0);
    assert_int_equal(poll(&wait, 1, 0), 0);
    assert_int_equal(sluice_loan_returned(loan), 1);
    sluice_loan_put(loan);
    scene_close(&scene);
}

static void a_pool_gives_no_more_than_it_may(void **state)
{
    struct scene scene;
    sluice_loan *loan[4], *more;

    (void)state;
    scene_open(&scene, PIPE, SLUICE_LOAN_AUTO, 5000, 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(sluice_loan_get(scene.pool, 0, &loan[i]), 0);
        assert_int_equal(sluice_loan_size(loan[i]) % 4096, 0);
        assert_int_equal((uintptr_t)sluice_loan_data(loan[i]) % 4096, 0);
        memset(sluice_loan_data(loan[i]), (int)i, sluice_loan_size(loan[i]));
    }
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(*(char *)sluice_loan_data(loan[i]), i);
    assert_int_equal(sluice_loan_get(scene.pool, 0, &more), -EAGAIN);
    assert_int_equal(sluice_loan_get(scene.pool, SLUICE_LOAN_CONSTANT, &more), -EAGAIN);
    assert_int_equal(sluice_loan_get(scene.pool, 64, &more), -EINVAL);
    assert_int_equal(stats_of(&scene).held, 4);
    sluice_loan_sink_free(scene.sink);
    scene.sink = NULL;
    assert_int_equal(sluice_loan_pool_free(scene.pool), -EBUSY);
    for (unsigned i = 0; i < 4; i++)
        sluice_loan_put(loan[i]);
    assert_int_equal(stats_of(&scene).idle, 4);
    assert_int_equal(sluice_loan_get(scene.pool, SLUICE_LOAN_CONSTANT, &more),
                     0); /* room is made */
    sluice_loan_put(more);
    scene_close(&scene);
}

/* Loans of a slab that is still in use elsewhere are renewed one by one, when there are no others.
 * */
static void spent_loans_are_renewed_beside_a_held_one(void **state)
{
    struct scene scene;
    sluice_loan *held, *loan;
    char got[4096], wanted[4096];

    (void)state;
    scene_open(&scene, PIPE, SLUICE_LOAN_VMSPLICE, 4096, 3);
    assert_int_equal(sluice_loan_get(scene.pool, 0, &held), 0);
    fill(sluice_loan_data(held), 4096, 1000);
    for (unsigned round = 0; round < 10; round++) {
        assert_int_equal(sluice_loan_get(scene.pool, 0, &loan), 0);
        assert_ptr_not_equal(sluice_loan_data(loan), sluice_loan_data(held));
        fill(sluice_loan_data(loan), 4096, round);
        assert_int_equal(sluice_loan_send(loan, scene.sink, 0, 4096), 4096);
        sluice_loan_put(loan);
    }
    for (unsigned round = 0; round < 10; round++) {
        fill(wanted, sizeof wanted, round);
        assert_int_equal(read_all(scene.peer, got, sizeof got), sizeof got);
        assert_memory_equal(got, wanted, sizeof got);
    }
    fill(wanted, sizeof wanted, 1000);
    assert_memory_equal(sluice_loan_data(held), wanted, sizeof wanted); /* as it was left */
    sluice_loan_put(held);
    scene_close(&scene);
}

/* Locked memory does not let go of its pages: it is left for other memory. */
static void locked_memory_is_replaced_too(void **state)
{
    struct scene scene;
    struct keeper keeper;

    (void)state;
    scene_open(&scene, PIPE, SLUICE_LOAN_VMSPLICE, 4096, 2);
    keeper_open(&keeper, IN_THE_QUEUE, scene.peer);
    if (mlockall(MCL_FUTURE) < 0) {
        print_message("SKIP: mlockall is not permitted\n");
        keeper_close(&keeper);
        scene_close(&scene);
        return;
    }
    for (unsigned round = 0; round < ROUNDS; round++)
        send_round(&scene, 0, 4096, round);
    munlockall();
    assert_int_equal(first_changed(&keeper, 4096, ROUNDS), -1);
    keeper_close(&keeper);
    scene_close(&scene);
}

/* ---- constant loans ---- */

static void a_constant_loan_is_sent_again_and_again(void **state)
{
    enum { LENGTH = 20000 };
    char got[LENGTH], wanted[LENGTH];

    (void)state;
    fill(wanted, LENGTH, 3);
    for (unsigned behind = 0; behind < BEHIND_COUNT; behind++)
        for (unsigned way = SLUICE_LOAN_AUTO; way < SLUICE_LOAN_WAY_COUNT; way++) {
            struct scene scene;
            sluice_loan *loan;
            scene_open(&scene, behind, way, LENGTH, 1);
            assert_int_equal(sluice_loan_get(scene.pool, SLUICE_LOAN_CONSTANT, &loan), 0);
            fill(sluice_loan_data(loan), LENGTH, 3);
            for (unsigned i = 0; i < 20; i++) {
                assert_int_equal(sluice_loan_send_all(loan, scene.sink, 0, LENGTH, NULL), 0);
                assert_int_equal(read_all(scene.peer, got, LENGTH), LENGTH);
                assert_memory_equal(got, wanted, LENGTH);
            }
            assert_int_equal(sluice_loan_returned(loan), 0);
            sluice_loan_put(loan);
            scene_close(&scene);
        }
}

/* Pieces of one loan, in any order: the sealed file grows with what is asked of it. */
static void pieces_of_a_constant_loan_in_any_order(void **state)
{
    enum { LENGTH = 256 * KIB, PIECE = 16 * KIB };
    struct scene scene;
    sluice_loan *loan;
    char got[PIECE];
    uint64_t seed = 11;

    (void)state;
    scene_open(&scene, UNIX, SLUICE_LOAN_SENDFILE, LENGTH, 1);
    assert_int_equal(sluice_loan_get(scene.pool, SLUICE_LOAN_CONSTANT, &loan), 0);
    const char *data = sluice_loan_data(loan);
    fill(sluice_loan_data(loan), LENGTH, 1);
    for (unsigned i = 0; i < 100; i++) {
        const uint64_t offset = random_below(&seed, LENGTH - PIECE);
        const uint64_t length = 1 + random_below(&seed, PIECE);
        assert_int_equal(sluice_loan_send(loan, scene.sink, offset, length), length);
        assert_int_equal(read_all(scene.peer, got, length), length);
        assert_memory_equal(got, data + offset, length);
    }
    assert_int_equal(choice_of(&scene, SLUICE_LOAN_SENDFILE).calls, 100);
    sluice_loan_put(loan);
    scene_close(&scene);
}

/* valgrind has memory, descriptors and processor time of its own. */
static void skip_under_wrapper(void)
{
    const char *wrapper = getenv("TEST_WRAPPER");
    if (wrapper && *wrapper) {
        print_message("SKIP: a program around this one has limits and costs of its own\n");
        skip();
    }
}

enum { NOT_WRITABLE = 42 };

static void on_fault(int number)
{
    (void)number;
    _exit(NOT_WRITABLE);
}

static void a_constant_loan_cannot_be_written_once_sent(void **state)
{
    struct scene scene;
    sluice_loan *loan;
    int status;

    (void)state;
    scene_open(&scene, PIPE, SLUICE_LOAN_AUTO, 4096, 1);
    assert_int_equal(sluice_loan_get(scene.pool, SLUICE_LOAN_CONSTANT, &loan), 0);
    *(volatile char *)sluice_loan_data(loan) = 1;
    assert_int_equal(sluice_loan_send(loan, scene.sink, 0, 4096), 4096);
    const pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, on_fault);
        *(volatile char *)sluice_loan_data(loan) = 2;
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == NOT_WRITABLE);
    sluice_loan_put(loan);
    scene_close(&scene);
}

/* ---- sinks ---- */

/* Nothing waits in a step, whatever the descriptor's flags, and no byte is lost or doubled. */
static void a_send_takes_what_fits_and_never_waits(void **state)
{
    (void)state;
    for (unsigned behind = 0; behind < BEHIND_COUNT; behind++)
        for (unsigned way = SLUICE_LOAN_AUTO; way < SLUICE_LOAN_WAY_COUNT; way++)
            for (int flags = 0; flags <= SLUICE_LOAN_CONSTANT; flags++)
                for (int blocking = 0; blocking < 2; blocking++) {
                    enum { LENGTH = 3 * MIB };
                    struct scene scene;
                    sluice_loan *loan;
                    char *got = malloc(LENGTH);
                    size_t sent = 0, read = 0;

                    scene_open(&scene, behind, way, LENGTH, 1);
                    if (blocking) { /* the sink has to find out by itself: it is made anew */
                        const struct sluice_loan_sink_options options = {.size = sizeof options,
                                                                         .prefer = way};
                        sluice_loan_sink_free(scene.sink);
                        fcntl(scene.fd, F_SETFL, fcntl(scene.fd, F_GETFL) & ~O_NONBLOCK);
                        assert_int_equal(
                            sluice_loan_sink_new(scene.pool, scene.endpoint, &options, &scene.sink),
                            0);
                    }
                    assert_int_equal(sluice_loan_get(scene.pool, (unsigned)flags, &loan), 0);
                    char *data = sluice_loan_data(loan);
                    fill(data, LENGTH, 1);
                    alarm(20);
                    while (read < LENGTH) {
                        const ssize_t value =
                            sluice_loan_send(loan, scene.sink, sent, LENGTH - sent);
                        if (value >= 0) {
                            sent += (size_t)value;
                            if (sent < LENGTH)
                                continue;
                        } else {
                            assert_int_equal(value, -EAGAIN);
                        }
                        /* a pipe is read where something must be in it */
                        const size_t most = sent - read < 60000 ? sent - read : 60000;
                        const ssize_t piece =
                            behind == PIPE
                                ? (ssize_t)read_all(scene.peer, got + read, most)
                                : recv(scene.peer, got + read, LENGTH - read, MSG_DONTWAIT);
                        if (piece > 0)
                            read += (size_t)piece;
                    }
                    alarm(0);
                    assert_int_equal(sent, LENGTH);
                    assert_memory_equal(got, data, LENGTH);
                    assert_int_equal(!(fcntl(scene.fd, F_GETFL) & O_NONBLOCK), blocking);
                    sluice_loan_put(loan);
                    scene_close(&scene);
                    free(got);
                }
}

struct slow_reader {
    int fd;
    char *got;
    size_t length;
    int delay; /* milliseconds before it begins */
};

static void *read_slowly(void *data)
{
    struct slow_reader *reader = data;
    size_t read = 0;

    poll(NULL, 0, reader->delay);
    while (read < reader->length) {
        poll(NULL, 0, 1);
        const size_t came =
            read_all(reader->fd, reader->got + read,
                     reader->length - read < 200000 ? reader->length - read : 200000);
        if (came == 0)
            break;
        read += came;
    }
    reader->length = read;
    return NULL;
}

/* It waits, inside the call or for the descriptor, and all of it arrives. */
static void send_all_waits_for_a_slow_reader(void **state)
{
    enum { LENGTH = 2 * MIB };

    (void)state;
    for (unsigned behind = 0; behind < BEHIND_COUNT; behind++)
        for (unsigned way = SLUICE_LOAN_AUTO; way < SLUICE_LOAN_WAY_COUNT; way++)
            for (unsigned flags = 0; flags <= SLUICE_LOAN_CONSTANT; flags++)
                for (int blocking = 0; blocking < 2; blocking++) {
                    struct scene scene;
                    sluice_loan *loan;
                    uint64_t sent = 0;
                    pthread_t thread;

                    scene_open(&scene, behind, way, LENGTH, 1);
                    if (blocking) {
                        const struct sluice_loan_sink_options options = {.size = sizeof options,
                                                                         .prefer = way};
                        sluice_loan_sink_free(scene.sink);
                        fcntl(scene.fd, F_SETFL, fcntl(scene.fd, F_GETFL) & ~O_NONBLOCK);
                        assert_int_equal(
                            sluice_loan_sink_new(scene.pool, scene.endpoint, &options, &scene.sink),
                            0);
                    }
                    struct slow_reader reader = {
                        .fd = scene.peer, .got = malloc(LENGTH), .length = LENGTH};
                    assert_int_equal(sluice_loan_get(scene.pool, flags, &loan), 0);
                    fill(sluice_loan_data(loan), LENGTH, 2);
                    assert_int_equal(pthread_create(&thread, NULL, read_slowly, &reader), 0);
                    assert_int_equal(sluice_loan_send_all(loan, scene.sink, 0, LENGTH, &sent), 0);
                    pthread_join(thread, NULL);
                    assert_int_equal(sent, LENGTH);
                    assert_int_equal(reader.length, LENGTH);
                    assert_memory_equal(reader.got, sluice_loan_data(loan), LENGTH);
                    free(reader.got);
                    sluice_loan_put(loan);
                    scene_close(&scene);
                }
}

/* An error queue that is not ours says POLLERR at once, for ever: that is no reason to spin. */
static void waiting_beside_a_full_error_queue_costs_nothing(void **state)
{
    skip_under_wrapper();
    enum { LENGTH = 8 * MIB };
    struct scene scene;
    sluice_loan *loan;
    struct timespec before, after;
    struct pollfd wait;
    const int on = 1;
    char *got = malloc(LENGTH);
    pthread_t thread;

    (void)state;
    scene_open(&scene, TCP, SLUICE_LOAN_AUTO, LENGTH, 1);
    assert_int_equal(setsockopt(scene.fd, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof on), 0);
    assert_int_equal(send(scene.fd, "x", 1, MSG_ZEROCOPY), 1);
    assert_int_equal(recv(scene.peer, got, 1, MSG_WAITALL), 1);
    wait = (struct pollfd){.fd = scene.fd};
    assert_int_equal(poll(&wait, 1, 5000), 1);
    assert_int_equal(wait.revents, POLLERR);
    assert_int_equal(sluice_loan_get(scene.pool, 0, &loan), 0);
    fill(sluice_loan_data(loan), LENGTH, 2);
    struct slow_reader reader = {.fd = scene.peer, .got = got, .length = LENGTH, .delay = 300};
    assert_int_equal(pthread_create(&thread, NULL, read_slowly, &reader), 0);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    assert_int_equal(sluice_loan_send_all(loan, scene.sink, 0, LENGTH, NULL), 0);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    pthread_join(thread, NULL);
    assert_memory_equal(got, sluice_loan_data(loan), LENGTH);
    const long spent =
        (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
    if (spent > 150)
        fail_msg("%ld ms of CPU", spent);
    free(got);
    sluice_loan_put(loan);
    scene_close(&scene);
}

static void on_alarm(int number)
{
    (void)number;
}

/* A signal ends the wait, and the count says where to go on. */
static void send_all_can_be_interrupted(void **state)
{
    enum { LENGTH = 2 * MIB };
    const struct sigaction action = {.sa_handler = on_alarm}; /* without SA_RESTART */
    struct sigaction before;

    (void)state;
    sigaction(SIGALRM, &action, &before);
    for (unsigned behind = 0; behind < BEHIND_COUNT; behind++)
        for (unsigned flags = 0; flags <= SLUICE_LOAN_CONSTANT; flags++) {
            const struct itimerval soon = {.it_value = {.tv_usec = 20000},
                                           .it_interval = {.tv_usec = 20000}};
            const struct itimerval never = {0};
            struct scene scene;
            sluice_loan *loan;
            uint64_t sent = 0;
            char *got = malloc(LENGTH);

            scene_open(&scene, behind, SLUICE_LOAN_AUTO, LENGTH, 1);
            setsockopt(scene.fd, SOL_SOCKET, SO_SNDBUF, &(int){65536}, sizeof(int));
            setsockopt(scene.peer, SOL_SOCKET, SO_RCVBUF, &(int){65536}, sizeof(int));
            fcntl(scene.fd, F_SETFL, fcntl(scene.fd, F_GETFL) & ~O_NONBLOCK);
            assert_int_equal(sluice_loan_get(scene.pool, flags, &loan), 0);
            fill(sluice_loan_data(loan), LENGTH, 2);
            setitimer(ITIMER_REAL, &soon, NULL);
            assert_int_equal(sluice_loan_send_all(loan, scene.sink, 0, LENGTH, &sent), -EINTR);
            setitimer(ITIMER_REAL, &never, NULL);
            assert_true(sent > 0 && sent < LENGTH);
            struct slow_reader reader = {.fd = scene.peer, .got = got, .length = LENGTH};
            pthread_t thread;
            assert_int_equal(pthread_create(&thread, NULL, read_slowly, &reader), 0);
            assert_int_equal(sluice_loan_send_all(loan, scene.sink, sent, LENGTH - sent, NULL), 0);
            pthread_join(thread, NULL);
            assert_int_equal(reader.length, LENGTH);
            assert_memory_equal(got, sluice_loan_data(loan), LENGTH);
            free(got);
            sluice_loan_put(loan);
            scene_close(&scene);
        }
    sigaction(SIGALRM, &before, NULL);
}

static void a_reader_that_leaves_is_an_error_without_a_signal(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_DFL);
    for (unsigned behind = 0; behind < BEHIND_COUNT; behind++)
        for (unsigned way = SLUICE_LOAN_AUTO; way < SLUICE_LOAN_WAY_COUNT; way++)
            for (unsigned flags = 0; flags <= SLUICE_LOAN_CONSTANT; flags++) {
                struct scene scene;
                sluice_loan *loan;
                uint64_t sent = 1;
                int error = 0;

                scene_open(&scene, behind, way, 64 * KIB, 1);
                assert_int_equal(sluice_loan_get(scene.pool, flags, &loan), 0);
                close(scene.peer);
                scene.peer = dup(scene.fd);
                for (unsigned i = 0; i < 100 && error == 0; i++) /* TCP learns of it by a reset */
                    error = sluice_loan_send_all(loan, scene.sink, 0, 64 * KIB, &sent);
                if (error != -EPIPE && error != -ECONNRESET)
                    fail_msg("%s by %s: %d", behind_names[behind], sluice_loan_way_name(way),
                             error);
                assert_int_equal(sent, 0);
                error = (int)sluice_loan_send(loan, scene.sink, 0, 64 * KIB);
                assert_true(error == -EPIPE || error == -ECONNRESET);
                sigset_t pending;
                sigpending(&pending);
                assert_false(sigismember(&pending, SIGPIPE));
                sluice_loan_put(loan);
                scene_close(&scene);
            }
}

static void files_and_messages_are_sinks_too(void **state)
{
    static const enum end_kind kinds[] = {END_FILE,  END_APPEND,    END_UDP,
                                          END_DGRAM, END_SEQPACKET, END_NULL};
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (unsigned way = SLUICE_LOAN_AUTO; way < SLUICE_LOAN_WAY_COUNT; way++) {
            enum { LENGTH = 20000 };
            const struct sluice_loan_sink_options options = {.size = sizeof options, .prefer = way};
            struct scene scene;
            struct end end;
            char got[LENGTH + 1], wanted[LENGTH];
            sluice_loan *loan;

            end_open_sink(&end, kinds[i], NULL);
            assert_int_equal(sluice_loan_pool_new(context, NULL, &scene.pool), 0);
            assert_int_equal(
                sluice_endpoint_from_fd(context, end.fd, SLUICE_BORROW, &scene.endpoint), 0);
            assert_int_equal(
                sluice_loan_sink_new(scene.pool, scene.endpoint, &options, &scene.sink), 0);
            assert_int_equal(sluice_loan_get(scene.pool, 0, &loan), 0);
            fill(sluice_loan_data(loan), LENGTH, 1);
            fill(wanted, LENGTH, 1);
            assert_int_equal(sluice_loan_send(loan, scene.sink, 0, LENGTH), LENGTH);
            if (kinds[i] != END_NULL) {
                assert_int_equal(end_received(&end, got, sizeof got), LENGTH);
                assert_memory_equal(got, wanted, LENGTH);
            }
            sluice_loan_put(loan);
            sluice_loan_sink_free(scene.sink);
            assert_int_equal(sluice_loan_pool_free(scene.pool), 0);
            sluice_endpoint_free(scene.endpoint);
            end_close(&end);
        }
}

static void what_is_no_sink_is_refused(void **state)
{
    struct scene scene;
    sluice_endpoint *endpoint;
    sluice_loan_sink *sink;
    sluice_loan *loan;
    struct sluice_loan_sink_options options = {.size = sizeof options, .flags = 1U << 30};
    struct sluice_loan_choice choice = {.size = sizeof choice};
    struct sluice_loan_options huge = {.size = sizeof huge, .buffer_size = UINT64_MAX};
    sluice_loan_pool *other;

    (void)state;
    scene_open(&scene, PIPE, SLUICE_LOAN_AUTO, 4096, 1);
    assert_int_equal(sluice_endpoint_from_fd(context, scene.peer, SLUICE_BORROW, &endpoint), 0);
    assert_int_equal(sluice_loan_sink_new(scene.pool, endpoint, NULL, &sink), -EBADF);
    sluice_endpoint_free(endpoint);
    assert_int_equal(sluice_endpoint_from_kind(context, "tcp", &endpoint), 0);
    assert_int_equal(sluice_loan_sink_new(scene.pool, endpoint, NULL, &sink), -EBADF);
    sluice_endpoint_free(endpoint);
    assert_int_equal(sluice_loan_sink_new(scene.pool, scene.endpoint, &options, &sink), -EINVAL);
    options.flags = 0;
    options.prefer = SLUICE_LOAN_WAY_COUNT;
    assert_int_equal(sluice_loan_sink_new(scene.pool, scene.endpoint, &options, &sink), -EINVAL);
    assert_int_equal(sluice_loan_pool_new(context, &huge, &other), -EINVAL);
    assert_int_equal(sluice_loan_get(scene.pool, 0, &loan), 0);
    assert_int_equal(sluice_loan_send(loan, scene.sink, 4096, 1), -EINVAL);
    assert_int_equal(sluice_loan_send(loan, scene.sink, UINT64_MAX, 2), -EINVAL);
    assert_int_equal(sluice_loan_send(loan, scene.sink, 1, UINT64_MAX), -EINVAL);
    assert_int_equal(sluice_loan_send(loan, scene.sink, 4096, 0), 0);
    assert_int_equal(sluice_loan_pool_new(context, NULL, &other), 0);
    assert_int_equal(sluice_loan_sink_new(other, scene.endpoint, NULL, &sink), 0);
    assert_int_equal(sluice_loan_send(loan, sink, 0, 1), -EINVAL); /* of another pool */
    assert_int_equal(sluice_loan_sink_choice(sink, SLUICE_LOAN_WAY_COUNT - 1, &choice), -ERANGE);
    assert_int_equal(sluice_loan_pool_free(other), -EBUSY);
    assert_int_equal(sluice_loan_pool_abandon(other), 0);
    assert_string_equal(sluice_loan_way_name(SLUICE_LOAN_SEND_ZC), "send-zc");
    assert_string_equal(sluice_loan_way_name(SLUICE_LOAN_WAY_COUNT), "?");
    sluice_loan_put(loan);
    sluice_loan_put(NULL);
    assert_int_equal(sluice_loan_sink_free(NULL), 0);
    assert_int_equal(sluice_loan_pool_free(NULL), 0);
    scene_close(&scene);
}

/* ---- zero-copy sends ---- */

/* Loopback copies, and says so: it is not asked again. */
static void a_socket_that_copies_is_not_asked_again(void **state)
{
    static const enum sluice_loan_way ways[] = {SLUICE_LOAN_ZEROCOPY, SLUICE_LOAN_SEND_ZC};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        enum { LENGTH = 64 * KIB };
        struct scene scene;
        sluice_loan *loan;
        char *got = malloc(LENGTH);

        scene_open(&scene, TCP, ways[i], LENGTH, 1);
        assert_int_equal(sluice_loan_get(scene.pool, 0, &loan), 0);
        for (unsigned round = 0; round < 10; round++) {
            fill(sluice_loan_data(loan), LENGTH, round);
            assert_int_equal(sluice_loan_send_all(loan, scene.sink, 0, LENGTH, NULL), 0);
            assert_int_equal(read_all(scene.peer, got, LENGTH), LENGTH);
            assert_memory_equal(got, sluice_loan_data(loan), LENGTH);
            for (unsigned try = 0; try < 1000 && !sluice_loan_returned(loan); try++)
                poll(NULL, 0, 1);
            assert_int_equal(sluice_loan_returned(loan), 1);
        }
        const struct sluice_loan_choice choice = choice_of(&scene, ways[i]);
        if (choice.error || choice.refused) {
            print_message("SKIP: %s is refused here\n", sluice_loan_way_name(ways[i]));
        } else {
            const struct sluice_loan_stats stats = stats_of(&scene);
            assert_int_equal(stats.copied, 1);
            assert_int_equal(stats.sent, 1);
            assert_int_equal(stats.notified, 1);
            assert_int_equal(choice.calls, 1);
            assert_string_equal(choice.ruled_out, "the kernel says that it copies on this socket");
            assert_true(choice_of(&scene, SLUICE_LOAN_WRITE).calls >= 9);
        }
        int on = 1;
        socklen_t size = sizeof on;
        sluice_loan_put(loan);
        sluice_loan_sink_free(scene.sink);
        scene.sink = NULL;
        getsockopt(scene.fd, SOL_SOCKET, SO_ZEROCOPY, &on, &size);
        assert_int_equal(on, 0); /* left as it was found */
        scene_close(&scene);
        free(got);
    }
}

/* A network of its own, with an interface that throws away all that is sent to it: what is sent
 * without a copy is then let go of without one, too. */
static bool enter_a_network_that_drops(void)
{
    const uid_t user = geteuid();
    if (unshare(user == 0 ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET) < 0)
        return false;
    if (user != 0) {
        const int map = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
        char text[64];
        const int length = snprintf(text, sizeof text, "0 %u 1", user);
        const bool mapped = map >= 0 && write(map, text, (size_t)length) == length;
        close(map);
        if (!mapped)
            return false;
    }
    return system("{ ip link add d0 mtu 65000 type veth peer name d1 && ip link set d0 up && "
                  "ip addr add 192.0.2.1/24 dev d0 && "
                  "ip neigh add 192.0.2.2 lladdr 02:00:00:00:00:01 dev d0; } 2>/dev/null") == 0;
}

/* 0: all is well. */
static int send_without_a_copy(enum sluice_loan_way way)
{
    enum { LENGTH = 32 * KIB, SENDS = 20 };
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(0xc0000202)};
    const struct sluice_loan_options options = {
        .size = sizeof options, .buffer_size = LENGTH, .max_loans = 2};
    struct scene scene = {.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    struct pollfd wait;

    assert_int_equal(connect(scene.fd, (const void *)&address, sizeof address), 0);
    assert_int_equal(sluice_endpoint_from_fd(context, scene.fd, SLUICE_BORROW, &scene.endpoint), 0);
    assert_int_equal(sluice_loan_pool_new(context, &options, &scene.pool), 0);
    assert_int_equal(sluice_loan_sink_new(scene.pool, scene.endpoint, NULL, &scene.sink), 0);
    if (way == SLUICE_LOAN_ZEROCOPY) { /* it is taken by itself where there is no ring */
        const struct sluice_loan_sink_options prefer = {.size = sizeof prefer, .prefer = way};
        sluice_loan_sink_free(scene.sink);
        assert_int_equal(sluice_loan_sink_new(scene.pool, scene.endpoint, &prefer, &scene.sink), 0);
    }
    wait = (struct pollfd){.fd = sluice_loan_pool_fd(scene.pool), .events = POLLIN};
    for (unsigned i = 0; i < SENDS; i++) {
        sluice_loan *loan;
        int error;
        while ((error = sluice_loan_get(scene.pool, 0, &loan)) == -EAGAIN)
            assert_int_equal(poll(&wait, 1, 10000), 1);
        assert_int_equal(error, 0);
        assert_int_equal(sluice_loan_send(loan, scene.sink, 0, LENGTH), LENGTH);
        if (i == 0) /* the trial */
            while (!sluice_loan_returned(loan))
                assert_int_equal(poll(&wait, 1, 10000), 1);
        sluice_loan_put(loan);
    }
    while (stats_of(&scene).lent > 0) {
        assert_int_equal(poll(&wait, 1, 10000), 1);
        sluice_loan_pool_reap(scene.pool);
    }
    const struct sluice_loan_stats stats = stats_of(&scene);
    const struct sluice_loan_choice choice = choice_of(&scene, way);
    const bool refused = choice.error || choice.refused;
    if (!refused) {
        assert_int_equal(choice.calls, SENDS);
        assert_int_equal(stats.sent, SENDS);
        assert_int_equal(stats.notified, SENDS);
        assert_int_equal(stats.copied, 0);
        assert_int_equal(stats.replaced, 0); /* it was given out again as it was */
        assert_null(choice.ruled_out);
    }
    sluice_loan_sink_free(scene.sink);
    assert_int_equal(sluice_loan_pool_free(scene.pool), 0);
    sluice_endpoint_free(scene.endpoint);
    close(scene.fd);
    return refused ? 77 : 0;
}

/* The kernel lends the pages in earnest, and says when they are back. */
static void what_is_really_lent_comes_back(void **state)
{
    static const enum sluice_loan_way ways[] = {SLUICE_LOAN_SEND_ZC, SLUICE_LOAN_ZEROCOPY};
    int status;

    (void)state;
    skip_under_wrapper();
    for (unsigned i = 0; i < 2; i++) {
        fflush(NULL);
        const pid_t child = fork();
        if (child == 0)
            _exit(enter_a_network_that_drops() ? send_without_a_copy(ways[i]) : 77);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 77)
            print_message("SKIP: %s: no network of our own, or it is refused\n",
                          sluice_loan_way_name(ways[i]));
        else
            assert_int_equal(WEXITSTATUS(status), 0);
    }
}

static void loopback_is_not_asked_at_all(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, TCP, SLUICE_LOAN_AUTO, 64 * KIB, 2);
    assert_string_equal(choice_of(&scene, SLUICE_LOAN_ZEROCOPY).ruled_out,
                        "loopback copies what is sent so");
    assert_non_null(choice_of(&scene, SLUICE_LOAN_SEND_ZC).ruled_out);
    assert_null(choice_of(&scene, SLUICE_LOAN_WRITE).ruled_out);
    send_round(&scene, 0, 64 * KIB, 1);
    assert_int_equal(stats_of(&scene).sent, 0);
    scene_close(&scene);
}

/* The error queue of a socket that somebody else uses is left alone. */
static void a_socket_with_an_error_queue_in_use_is_left_alone(void **state)
{
    struct scene scene;
    const int on = 1;
    int value = 0;
    socklen_t size = sizeof value;

    (void)state;
    scene_open(&scene, TCP, SLUICE_LOAN_ZEROCOPY, 64 * KIB, 2);
    assert_int_equal(setsockopt(scene.fd, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof on), 0);
    send_round(&scene, 0, 64 * KIB, 1);
    assert_int_equal(choice_of(&scene, SLUICE_LOAN_ZEROCOPY).error, -EBUSY);
    assert_int_equal(choice_of(&scene, SLUICE_LOAN_ZEROCOPY).calls, 0);
    sluice_loan_sink_free(scene.sink);
    scene.sink = NULL;
    getsockopt(scene.fd, SOL_SOCKET, SO_ZEROCOPY, &value, &size);
    assert_int_equal(value, 1);
    scene_close(&scene);
}

/* RLIMIT_MEMLOCK of an ordinary user is no reason for a send to fail. */
static void locked_memory_that_is_not_granted_fails_no_send(void **state)
{
    enum { LENGTH = MIB };
    int status;

    (void)state;
    skip_under_wrapper();
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        const struct rlimit limit = {64 * KIB, 64 * KIB};
        int wrong = 0;
        if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0 ||
            (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0))
            _exit(77);
        for (unsigned i = 0; i < 2; i++) {
            const enum sluice_loan_way way = i ? SLUICE_LOAN_SEND_ZC : SLUICE_LOAN_ZEROCOPY;
            struct scene scene;
            sluice_loan *loan;
            char *got = malloc(LENGTH);
            scene_open(&scene, TCP, way, LENGTH, 1);
            wrong |= sluice_loan_get(scene.pool, 0, &loan) != 0;
            fill(sluice_loan_data(loan), LENGTH, 1);
            size_t sent = 0;
            while (!wrong && sent < LENGTH) {
                const ssize_t value = sluice_loan_send(loan, scene.sink, sent, LENGTH - sent);
                wrong |= value <= 0;
                wrong |=
                    value > 0 && read_all(scene.peer, got + sent, (size_t)value) != (size_t)value;
                sent += value > 0 ? (size_t)value : 0;
            }
            wrong |= memcmp(got, sluice_loan_data(loan), LENGTH) != 0;
            wrong |= choice_of(&scene, way).refused == 0 && choice_of(&scene, way).error == 0;
            sluice_loan_put(loan);
            scene_close(&scene);
            free(got);
        }
        _exit(wrong);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        print_message("SKIP: cannot become an ordinary user\n");
        return;
    }
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* Nothing of the library's is a standard descriptor, also where these are closed. */
static void no_descriptor_is_a_standard_one(void **state)
{
    int status;

    (void)state;
    skip_under_wrapper();
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        struct scene scene;
        struct stat file;
        int low = 0;
        scene_open(&scene, TCP, SLUICE_LOAN_SEND_ZC, 64 * KIB, 2);
        for (int fd = 0; fd <= 2; fd++)
            close(fd);
        low |= sluice_loan_pool_fd(scene.pool) <= 2;
        send_round(&scene, 0, 64 * KIB, 1); /* makes a ring */
        for (int fd = 0; fd <= 2; fd++)
            low |= fstat(fd, &file) == 0;
        _exit(low);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- what a probe has found ---- */

static void measured(sluice_probe *probe, const char *from, const char *to, const char *call,
                     const char *variant, const char *place, enum sluice_verdict verdict)
{
    const struct sluice_probe_leg leg = {.size = sizeof leg,
                                         .from = from,
                                         .to = to,
                                         .call = call,
                                         .variant = variant,
                                         .place = place,
                                         .verdict = verdict,
                                         .path = "",
                                         .note = ""};
    assert_true(probe_add_leg(probe, &leg) >= 0);
}

static void choices_go_by_the_probe(void **state)
{
    sluice_probe *probe;
    struct scene scene;

    (void)state;
    assert_int_equal(sluice_probe_new(&probe), 0);
    measured(probe, "memory", "pipe", "vmsplice", "", "", SLUICE_VERDICT_COPIED);
    measured(probe, "memfd", "tcp", "sendfile", "", "loopback", SLUICE_VERDICT_REFERENCE);
    sluice_context_use_probe(context, probe);

    scene_open(&scene, PIPE, SLUICE_LOAN_AUTO, 64 * KIB, 2); /* a kernel whose vmsplice copies */
    assert_string_equal(choice_of(&scene, SLUICE_LOAN_VMSPLICE).ruled_out,
                        "the probe saw a copy: write is cheaper");
    assert_int_equal(choice_of(&scene, SLUICE_LOAN_VMSPLICE).known, SLUICE_PROVEN);
    sluice_loan *loan;
    assert_int_equal(sluice_loan_get(scene.pool, SLUICE_LOAN_CONSTANT, &loan), 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(sluice_loan_send(loan, scene.sink, 0, 16 * KIB), 16 * KIB);
    sluice_loan_put(loan);
    assert_int_equal(choice_of(&scene, SLUICE_LOAN_VMSPLICE).calls, 0);
    assert_int_equal(choice_of(&scene, SLUICE_LOAN_WRITE).calls, 1); /* then it was worth a file */
    assert_int_equal(choice_of(&scene, SLUICE_LOAN_SENDFILE).calls, 2);
    scene_close(&scene);

    scene_open(&scene, TCP, SLUICE_LOAN_AUTO, 64 * KIB, 2);
    assert_int_equal(choice_of(&scene, SLUICE_LOAN_SENDFILE).known, SLUICE_PROVEN);
    assert_int_equal(choice_of(&scene, SLUICE_LOAN_SENDFILE).class_, SLUICE_CLASS_REFERENCE);
    assert_int_equal(choice_of(&scene, SLUICE_LOAN_WRITE).known, SLUICE_EXPECTED);
    scene_close(&scene);
    sluice_context_use_probe(context, NULL);
    sluice_probe_free(probe);
}

/* ---- the end ---- */

static void a_pool_can_be_abandoned_with_everything_out(void **state)
{
    struct scene scene;
    sluice_loan *loan;
    char got[4096], wanted[4096];

    (void)state;
    const unsigned before = descriptors_open();
    scene_open(&scene, PIPE, SLUICE_LOAN_VMSPLICE, 4096, 4);
    assert_int_equal(sluice_loan_get(scene.pool, 0, &loan), 0);
    fill(sluice_loan_data(loan), 4096, 9);
    fill(wanted, 4096, 9);
    assert_int_equal(sluice_loan_send(loan, scene.sink, 0, 4096), 4096);
    assert_true(sluice_loan_pool_fd(scene.pool) >= 0);
    assert_int_equal(sluice_loan_pool_free(scene.pool), -EBUSY);
    assert_int_equal(sluice_loan_pool_abandon(scene.pool), 1);
    assert_int_equal(read_all(scene.peer, got, sizeof got), sizeof got); /* the pages live on */
    assert_memory_equal(got, wanted, sizeof got);
    sluice_endpoint_free(scene.endpoint);
    close(scene.fd);
    close(scene.peer);
    assert_int_equal(descriptors_open(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_that_is_written_too_early_changes_what_was_sent),
        cmocka_unit_test(loans_never_change_what_was_sent),
        cmocka_unit_test(large_loans_never_change_what_was_sent),
        cmocka_unit_test(a_fan_out_may_keep_them_too),
        cmocka_unit_test(returned_says_when_it_may_be_written),
        cmocka_unit_test(a_pool_gives_no_more_than_it_may),
        cmocka_unit_test(spent_loans_are_renewed_beside_a_held_one),
        cmocka_unit_test(locked_memory_is_replaced_too),
        cmocka_unit_test(a_constant_loan_is_sent_again_and_again),
        cmocka_unit_test(pieces_of_a_constant_loan_in_any_order),
        cmocka_unit_test(a_constant_loan_cannot_be_written_once_sent),
        cmocka_unit_test(a_send_takes_what_fits_and_never_waits),
        cmocka_unit_test(send_all_waits_for_a_slow_reader),
        cmocka_unit_test(waiting_beside_a_full_error_queue_costs_nothing),
        cmocka_unit_test(send_all_can_be_interrupted),
        cmocka_unit_test(a_reader_that_leaves_is_an_error_without_a_signal),
        cmocka_unit_test(files_and_messages_are_sinks_too),
        cmocka_unit_test(what_is_no_sink_is_refused),
        cmocka_unit_test(a_socket_that_copies_is_not_asked_again),
        cmocka_unit_test(what_is_really_lent_comes_back),
        cmocka_unit_test(loopback_is_not_asked_at_all),
        cmocka_unit_test(a_socket_with_an_error_queue_in_use_is_left_alone),
        cmocka_unit_test(locked_memory_that_is_not_granted_fails_no_send),
        cmocka_unit_test(no_descriptor_is_a_standard_one),
        cmocka_unit_test(choices_go_by_the_probe),
        cmocka_unit_test(a_pool_can_be_abandoned_with_everything_out),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
