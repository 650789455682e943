/* SPDX-License-Identifier: MIT */
/*
 * Loans under faults: each errno of each way leads to the next way or is the sink's, and no byte is
 * lost or doubled; notifications out of order, in ranges, twice, of others, or never.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
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
#include "tests/unit/ends.h"

enum { LENGTH = 64 * 1024 };

static struct {
    sluice_context *context;
    sluice_loan_pool *pool;
    sluice_endpoint *endpoint;
    sluice_loan_sink *sink;
    struct end end;
    unsigned descriptors;
} scene;

static void open_scene(enum end_kind kind, enum sluice_loan_way prefer, uint32_t max)
{
    const struct sluice_loan_options options = {
        .size = sizeof options, .buffer_size = LENGTH, .max_loans = max};
    const struct sluice_loan_sink_options sink = {.size = sizeof sink, .prefer = prefer};

    memset(&stand_in, 0, sizeof stand_in);
    scene.descriptors = descriptors_open();
    end_open_sink(&scene.end, kind, &(struct end_options){.capacity = 1 << 20});
    scene.context = sluice_context_new(NULL, NULL);
    assert_int_equal(
        sluice_endpoint_from_fd(scene.context, scene.end.fd, SLUICE_BORROW, &scene.endpoint), 0);
    assert_int_equal(sluice_loan_pool_new(scene.context, &options, &scene.pool), 0);
    assert_int_equal(sluice_loan_sink_new(scene.pool, scene.endpoint, &sink, &scene.sink), 0);
}

static void close_scene(void)
{
    memset(&stand_in, 0, sizeof stand_in);
    sluice_loan_sink_free(scene.sink);
    assert_int_equal(sluice_loan_pool_free(scene.pool), 0);
    sluice_endpoint_free(scene.endpoint);
    sluice_context_free(scene.context);
    end_close(&scene.end);
    assert_int_equal(descriptors_open(), scene.descriptors);
}

static struct sluice_loan_choice choice_of(enum sluice_loan_way way)
{
    struct sluice_loan_choice choice = {.size = sizeof choice};
    for (unsigned i = 0; sluice_loan_sink_choice(scene.sink, i, &choice) == 0; i++)
        if (choice.way == way)
            return choice;
    fail();
    return choice;
}

static struct sluice_loan_stats stats(void)
{
    struct sluice_loan_stats ret = {.size = sizeof ret};
    assert_int_equal(sluice_loan_pool_stats(scene.pool, &ret), 0);
    return ret;
}

static sluice_loan *get(unsigned flags)
{
    sluice_loan *loan;
    assert_int_equal(sluice_loan_get(scene.pool, flags, &loan), 0);
    pattern(sluice_loan_data(loan), LENGTH, 0);
    return loan;
}

/* ---- refusals ---- */

static int refusal;       /* a positive errno: what the way under test says */
static unsigned refusals; /* how often it was asked */
static bool then_works;   /* only the first time */

static bool refuse(void)
{
    return refusals++ == 0 || !then_works;
}

extern ssize_t __real_sys_vmsplice(int, const struct iovec *, size_t, unsigned);
extern ssize_t __real_sys_sendfile(int, int, int64_t *, size_t);
extern ssize_t __real_sys_splice(int, int64_t *, int, int64_t *, size_t, unsigned);
extern ssize_t __real_sys_send(int, const void *, size_t, int);
extern ssize_t __real_sys_recvmsg(int, struct msghdr *, int);
extern ssize_t __real_sys_pwrite(int, const void *, size_t, int64_t);
extern int __real_sys_setsockopt(int, int, int, int);
extern int __real_sys_madvise(void *, size_t, int);
extern int __real_sys_memfd_create(const char *);

static ssize_t refuse_vmsplice(int pipe, const struct iovec *memory, size_t count, unsigned flags)
{
    return refuse() ? -refusal : __real_sys_vmsplice(pipe, memory, count, flags);
}

static ssize_t refuse_sendfile(int out, int in, int64_t *offset, size_t length)
{
    return refuse() ? -refusal : __real_sys_sendfile(out, in, offset, length);
}

static ssize_t refuse_splice(int in, int64_t *in_offset, int out, int64_t *out_offset,
                             size_t length, unsigned flags)
{
    return refuse() ? -refusal : __real_sys_splice(in, in_offset, out, out_offset, length, flags);
}

static ssize_t refuse_zerocopy(int fd, const void *buffer, size_t length, int flags)
{
    return (flags & MSG_ZEROCOPY) && refuse() ? -refusal
                                              : __real_sys_send(fd, buffer, length, flags);
}

static int refuse_setsockopt(int fd, int level, int name, int value)
{
    return value && refuse() ? -refusal : __real_sys_setsockopt(fd, level, name, value);
}

static int refuse_memfd(const char *name)
{
    return refuse() ? -refusal : __real_sys_memfd_create(name);
}

static ssize_t refuse_pwrite(int fd, const void *buffer, size_t length, int64_t offset)
{
    return refuse() ? -refusal : __real_sys_pwrite(fd, buffer, length, offset);
}

enum outcome { NEXT_WAY, NEXT_WAY_FOR_GOOD, SINKS };

static const struct refused_call {
    const char *name;
    enum end_kind kind;
    enum sluice_loan_way way;
    unsigned flags;
    struct stand_ins with;
    struct {
        int error;
        enum outcome outcome;
    } rows[16];
} refused_calls[] = {
    {"vmsplice",
     END_PIPE,
     SLUICE_LOAN_VMSPLICE,
     0,
     {.vmsplice = refuse_vmsplice},
     {{ENOMEM, NEXT_WAY},
      {EINVAL, NEXT_WAY_FOR_GOOD},
      {ENOSYS, NEXT_WAY_FOR_GOOD},
      {EPERM, NEXT_WAY_FOR_GOOD},
      {EOPNOTSUPP, NEXT_WAY_FOR_GOOD},
      {EBADF, NEXT_WAY_FOR_GOOD},
      {EAGAIN, SINKS},
      {EPIPE, SINKS}}},
    {"splice of the sealed file",
     END_PIPE,
     SLUICE_LOAN_SENDFILE,
     SLUICE_LOAN_CONSTANT,
     {.splice = refuse_splice},
     {{ENOMEM, NEXT_WAY}, {EINVAL, NEXT_WAY_FOR_GOOD}, {EPIPE, SINKS}, {EAGAIN, SINKS}}},
    {"sendfile",
     END_TCP,
     SLUICE_LOAN_SENDFILE,
     SLUICE_LOAN_CONSTANT,
     {.sendfile = refuse_sendfile},
     {{ENOMEM, NEXT_WAY},
      {EINVAL, NEXT_WAY_FOR_GOOD},
      {ENOSYS, NEXT_WAY_FOR_GOOD},
      {EPERM, NEXT_WAY_FOR_GOOD},
      {EACCES, NEXT_WAY_FOR_GOOD},
      {EPIPE, SINKS},
      {ECONNRESET, SINKS},
      {EAGAIN, SINKS}}},
    {"memfd_create",
     END_UNIX,
     SLUICE_LOAN_SENDFILE,
     SLUICE_LOAN_CONSTANT,
     {.memfd_create = refuse_memfd},
     {{EMFILE, NEXT_WAY},
      {ENFILE, NEXT_WAY},
      {ENOMEM, NEXT_WAY},
      {ENOSYS, NEXT_WAY_FOR_GOOD},
      {EINVAL, NEXT_WAY_FOR_GOOD}}},
    {"pwrite to the memfd",
     END_TCP,
     SLUICE_LOAN_SENDFILE,
     SLUICE_LOAN_CONSTANT,
     {.pwrite = refuse_pwrite},
     {{ENOSPC, NEXT_WAY}, {ENOMEM, NEXT_WAY}}},
    {"send with MSG_ZEROCOPY",
     END_TCP,
     SLUICE_LOAN_ZEROCOPY,
     0,
     {.send = refuse_zerocopy},
     {{ENOBUFS, NEXT_WAY},
      {ENOMEM, NEXT_WAY},
      {EINVAL, NEXT_WAY_FOR_GOOD},
      {EOPNOTSUPP, NEXT_WAY_FOR_GOOD},
      {EPERM, NEXT_WAY_FOR_GOOD},
      {EAGAIN, SINKS},
      {EPIPE, SINKS},
      {ECONNRESET, SINKS}}},
    {"setsockopt(SO_ZEROCOPY)",
     END_TCP,
     SLUICE_LOAN_ZEROCOPY,
     0,
     {.setsockopt = refuse_setsockopt},
     {{EOPNOTSUPP, NEXT_WAY_FOR_GOOD},
      {ENOPROTOOPT, NEXT_WAY_FOR_GOOD},
      {EPERM, NEXT_WAY_FOR_GOOD}}},
};

static void try_refusal(const struct refused_call *call, int error, enum outcome outcome,
                        bool first_only)
{
    static char got[LENGTH + 1], wanted[LENGTH];

    open_scene(call->kind, call->way, 2);
    refusal = error;
    refusals = 0;
    then_works = first_only;
    stand_in = call->with;
    sluice_loan *loan = get(call->flags);
    ssize_t value = sluice_loan_send(loan, scene.sink, 0, LENGTH);
    assert_true(refusals > 0);
    if (outcome == SINKS) {
        assert_int_equal(value, -error);
        assert_null(choice_of(call->way).ruled_out);
        value = 0;
    }
    memset(&stand_in, 0, sizeof stand_in);
    size_t sent = (size_t)value;
    while (sent < LENGTH) {
        value = sluice_loan_send(loan, scene.sink, sent, LENGTH - sent);
        assert_true(value > 0);
        sent += (size_t)value;
    }
    pattern(wanted, LENGTH, 0);
    assert_int_equal(end_received(&scene.end, got, sizeof got), LENGTH);
    assert_memory_equal(got, wanted, LENGTH);
    if (outcome == NEXT_WAY_FOR_GOOD) {
        assert_int_equal(choice_of(call->way).error, -error);
        assert_string_equal(choice_of(call->way).ruled_out, "the kernel refused it");
        assert_int_equal(choice_of(call->way).calls, 0);
    } else if (outcome == NEXT_WAY) {
        assert_null(choice_of(call->way).ruled_out);
        assert_true(choice_of(call->way).refused > 0);
    }
    sluice_loan_put(loan);
    close_scene();
}

static void no_way_fails_a_send(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused_calls / sizeof *refused_calls; i++)
        for (size_t row = 0; refused_calls[i].rows[row].error; row++)
            for (int first_only = 0; first_only < 2; first_only++)
                try_refusal(&refused_calls[i], refused_calls[i].rows[row].error,
                            refused_calls[i].rows[row].outcome, first_only);
}

/* The sealed file is sealed: what a send by reference rests on. */
static int sealed_with;

static ssize_t look_at_seals(int out, int in, int64_t *offset, size_t length)
{
    sealed_with = fcntl(in, F_GET_SEALS);
    return __real_sys_sendfile(out, in, offset, length);
}

static void what_is_sent_by_sendfile_is_sealed(void **state)
{
    (void)state;
    open_scene(END_TCP, SLUICE_LOAN_SENDFILE, 2);
    stand_in.sendfile = look_at_seals;
    sluice_loan *loan = get(SLUICE_LOAN_CONSTANT);
    assert_int_equal(sluice_loan_send(loan, scene.sink, 0, LENGTH), LENGTH);
    assert_int_equal(sealed_with, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    sluice_loan_put(loan);
    close_scene();
}

/* A refusal for want of memory while nothing is lent would come again at this length. */
static void a_length_that_is_too_much_is_not_asked_again(void **state)
{
    (void)state;
    open_scene(END_TCP, SLUICE_LOAN_ZEROCOPY, 2);
    refusal = ENOBUFS;
    refusals = 0;
    then_works = false;
    stand_in.send = refuse_zerocopy;
    sluice_loan *loan = get(0);
    assert_int_equal(sluice_loan_send(loan, scene.sink, 0, LENGTH), LENGTH);
    assert_int_equal(refusals, 1);
    assert_int_equal(sluice_loan_send(loan, scene.sink, 0, LENGTH), LENGTH);
    assert_int_equal(refusals, 1);
    assert_int_equal(sluice_loan_send(loan, scene.sink, 0, 4096), 4096);
    assert_int_equal(refusals, 2);
    sluice_loan_put(loan);
    close_scene();
}

/* ---- notifications ---- */

/* The kernel's numbers begin somewhere, and its answers come as the test says. */
static struct answer {
    uint32_t low, high;
    uint8_t origin, code;
    uint32_t error;
} answers[16];
static unsigned answer_count, answer_next;

static ssize_t answer_recvmsg(int fd, struct msghdr *message, int flags)
{
    (void)fd, (void)flags;
    if (answer_next == answer_count)
        return -EAGAIN;
    const struct answer *answer = &answers[answer_next++];
    struct cmsghdr *header = message->msg_control;
    const struct sock_extended_err word = {.ee_origin = answer->origin,
                                           .ee_code = answer->code,
                                           .ee_errno = answer->error,
                                           .ee_info = answer->low,
                                           .ee_data = answer->high};
    header->cmsg_level = SOL_IP;
    header->cmsg_type = IP_RECVERR;
    header->cmsg_len = CMSG_LEN(sizeof word);
    memcpy(CMSG_DATA(header), &word, sizeof word);
    message->msg_controllen = CMSG_SPACE(sizeof word);
    return 0;
}

static void answer(uint32_t low, uint32_t high)
{
    answers[answer_count++] =
        (struct answer){.low = low, .high = high, .origin = SO_EE_ORIGIN_ZEROCOPY};
    sluice_loan_pool_reap(scene.pool);
}

/* The socket takes everything, and never answers of its own. */
static unsigned zerocopies;

static ssize_t take_zerocopy(int fd, const void *buffer, size_t length, int flags)
{
    zerocopies += (flags & MSG_ZEROCOPY) != 0;
    return __real_sys_send(fd, buffer, length > 1000 ? 1000 : length, flags & ~MSG_ZEROCOPY);
}

static void open_answers(uint32_t max)
{
    open_scene(END_TCP, SLUICE_LOAN_ZEROCOPY, max);
    stand_in.recvmsg = answer_recvmsg;
    stand_in.send = take_zerocopy;
    answer_count = answer_next = zerocopies = 0;
}

static void send_one(sluice_loan *loan)
{
    assert_int_equal(sluice_loan_send(loan, scene.sink, 0, LENGTH), 1000);
}

/* Until the first one is answered nothing is known, of the socket's ways and of its numbers. */
static void the_first_send_is_a_trial(void **state)
{
    (void)state;
    open_answers(4);
    sluice_loan *loan = get(0), *other = get(0);
    send_one(loan);
    send_one(other);
    assert_int_equal(zerocopies, 1);
    assert_int_equal(sluice_loan_returned(loan), 0);
    assert_int_equal(sluice_loan_returned(other), 1); /* it was copied meanwhile */
    answer(77, 77);
    assert_int_equal(sluice_loan_returned(loan), 1);
    send_one(other);
    assert_int_equal(zerocopies, 2);
    assert_int_equal(sluice_loan_returned(other), 0);
    answer(78, 78);
    assert_int_equal(sluice_loan_returned(other), 1);
    sluice_loan_put(loan);
    sluice_loan_put(other);
    close_scene();
}

static void answers_come_in_any_order(void **state)
{
    /* the numbers wrap in the midst of it */
    static const uint32_t bases[] = {0, 1, UINT32_MAX - 3, UINT32_MAX, 1U << 31};

    (void)state;
    for (size_t b = 0; b < sizeof bases / sizeof *bases; b++) {
        const uint32_t base = bases[b];
        sluice_loan *loan[8];
        open_answers(8);
        for (unsigned i = 0; i < 8; i++) {
            loan[i] = get(0);
            send_one(loan[i]);
            if (i == 0)
                answer(base, base);
        }
        assert_int_equal(zerocopies, 8);
        assert_int_equal(stats().lent, 7);
        answer(base + 6, base + 7); /* a range from the end */
        for (unsigned i = 0; i < 8; i++)
            assert_int_equal(sluice_loan_returned(loan[i]), i == 0 || i >= 6);
        answer(base + 3, base + 3);
        answer(base + 3, base + 3); /* twice */
        answer(base + 6, base + 6);
        assert_int_equal(stats().lent, 4);
        answer(base + 1000, base + 2000); /* numbers that were never given */
        answer(base + 8, base + 8);
        answer(base - 5, base - 1); /* and such as are long gone */
        assert_int_equal(stats().lent, 4);
        assert_int_equal(sluice_loan_returned(loan[2]), 0);
        answer(base + 1, base + 5); /* over one that was answered */
        assert_int_equal(stats().lent, 0);
        for (unsigned i = 0; i < 8; i++) {
            assert_int_equal(sluice_loan_returned(loan[i]), 1);
            sluice_loan_put(loan[i]);
        }
        assert_int_equal(stats().notified, 8);
        assert_int_equal(stats().copied, 0);
        close_scene();
    }
}

/* A loan that is sent three times is back when all three are answered, and not given out before. */
static void a_loan_is_back_when_all_its_sends_are(void **state)
{
    sluice_loan *more;

    (void)state;
    open_answers(1);
    sluice_loan *loan = get(0);
    send_one(loan);
    answer(5, 5);
    send_one(loan);
    send_one(loan);
    send_one(loan);
    sluice_loan_put(loan);
    assert_int_equal(sluice_loan_get(scene.pool, 0, &more), -EAGAIN);
    answer(8, 8);
    answer(6, 6);
    assert_int_equal(sluice_loan_get(scene.pool, 0, &more), -EAGAIN);
    assert_int_equal(sluice_loan_pool_free(scene.pool), -EBUSY);
    answer(7, 7);
    assert_int_equal(sluice_loan_get(scene.pool, 0, &more), 0);
    sluice_loan_put(more);
    close_scene();
}

/* Thousands are open at once, and are answered backwards. */
static void many_sends_are_open_at_once(void **state)
{
    enum { MANY = 3000 };
    (void)state;
    open_scene(END_NULL, SLUICE_LOAN_AUTO, 1); /* only for the pool: the sink is made anew */
    close_scene();
    open_answers(2);
    sluice_loan *loan = get(0);
    char drained[4096];
    send_one(loan);
    answer(0, 0);
    for (unsigned i = 1; i < MANY; i++) {
        send_one(loan);
        end_drain(&scene.end, drained, sizeof drained);
    }
    assert_int_equal(zerocopies, MANY);
    for (unsigned i = MANY - 1; i > 0; i--) {
        assert_int_equal(sluice_loan_returned(loan), 0);
        answer_count = answer_next = 0;
        answer(i, i);
    }
    assert_int_equal(sluice_loan_returned(loan), 1);
    assert_int_equal(stats().notified, MANY);
    sluice_loan_put(loan);
    close_scene();
}

/* What else is in the error queue is no answer. */
static void other_messages_answer_nothing(void **state)
{
    (void)state;
    open_answers(1);
    sluice_loan *loan = get(0);
    send_one(loan);
    answers[answer_count++] = (struct answer){.origin = SO_EE_ORIGIN_TIMESTAMPING};
    answers[answer_count++] = (struct answer){.origin = SO_EE_ORIGIN_ICMP, .error = EHOSTUNREACH};
    answers[answer_count++] = (struct answer){.origin = SO_EE_ORIGIN_ZEROCOPY, .error = EIO};
    assert_int_equal(sluice_loan_returned(loan), 0);
    assert_int_equal(answer_next, 3);
    answer(0, 0);
    assert_int_equal(sluice_loan_returned(loan), 1);
    sluice_loan_put(loan);
    close_scene();
}

/* Copied after all: it comes back, and the socket is left in peace. Later ones count, too. */
static void copied_ends_it(void **state)
{
    (void)state;
    open_answers(2);
    sluice_loan *loan = get(0);
    send_one(loan);
    answer(0, 0);
    send_one(loan);
    answers[answer_count++] = (struct answer){
        .low = 1, .high = 1, .origin = SO_EE_ORIGIN_ZEROCOPY, .code = SO_EE_CODE_ZEROCOPY_COPIED};
    assert_int_equal(sluice_loan_returned(loan), 1);
    send_one(loan);
    assert_int_equal(zerocopies, 2);
    assert_int_equal(stats().copied, 1);
    assert_non_null(choice_of(SLUICE_LOAN_ZEROCOPY).ruled_out);
    assert_non_null(choice_of(SLUICE_LOAN_SEND_ZC).ruled_out);
    sluice_loan_put(loan);
    close_scene();
}

/* The sink is freed before the answer: nobody writes to those pages any more, and the count says
 * so. Who comes to the socket next does not take the late answer for its own. */
static void what_is_never_answered_is_replaced(void **state)
{
    sluice_loan *more;
    static const char zeros[LENGTH];

    (void)state;
    open_answers(1);
    sluice_loan *loan = get(0);
    send_one(loan);
    assert_int_equal(sluice_loan_sink_free(scene.sink), 1);
    scene.sink = NULL;
    assert_int_equal(stats().given_up, 1);
    assert_int_equal(stats().lent, 0);
    assert_int_equal(sluice_loan_returned(loan), 0);
    const struct sluice_loan_sink_options again = {.size = sizeof again,
                                                   .prefer = SLUICE_LOAN_ZEROCOPY};
    assert_int_equal(sluice_loan_sink_new(scene.pool, scene.endpoint, &again, &scene.sink), 0);
    send_one(loan);
    assert_int_equal(zerocopies, 1);
    assert_int_equal(choice_of(SLUICE_LOAN_ZEROCOPY).error, -EBUSY);
    sluice_loan_put(loan);
    assert_int_equal(stats().replaced, LENGTH);
    assert_int_equal(sluice_loan_get(scene.pool, 0, &more), 0);
    assert_memory_equal(sluice_loan_data(more), zeros, LENGTH); /* fresh pages */
    sluice_loan_put(more);
    assert_int_equal(stats().sent, stats().notified + stats().given_up);
    close_scene();
}

static void a_pool_is_abandoned_with_sends_open(void **state)
{
    (void)state;
    open_answers(2);
    sluice_loan *loan = get(0), *other = get(0);
    send_one(loan);
    sluice_loan_put(loan);
    assert_int_equal(sluice_loan_pool_free(scene.pool), -EBUSY);
    (void)other;
    memset(&stand_in, 0, sizeof stand_in);
    stand_in.recvmsg = answer_recvmsg;
    assert_int_equal(sluice_loan_pool_abandon(scene.pool), 2);
    memset(&stand_in, 0, sizeof stand_in);
    sluice_endpoint_free(scene.endpoint);
    sluice_context_free(scene.context);
    end_close(&scene.end);
    assert_int_equal(descriptors_open(), scene.descriptors);
}

/* ---- memory ---- */

static int stubborn_advice; /* that is refused */

static int refuse_madvise(void *address, size_t length, int advice)
{
    return advice == stubborn_advice || advice == 24 ? -EINVAL
                                                     : __real_sys_madvise(address, length, advice);
}

/* Pages that will not go (locked ones): other memory takes their place. */
static void pages_that_stay_are_left_for_others(void **state)
{
    static char got[LENGTH], wanted[LENGTH];
    (void)state;
    open_scene(END_PIPE, SLUICE_LOAN_VMSPLICE, 1);
    stand_in.madvise = refuse_madvise;
    stubborn_advice = MADV_DONTNEED;
    pattern(wanted, LENGTH, 0);
    for (unsigned i = 0; i < 4; i++) {
        sluice_loan *loan = get(0);
        assert_int_equal(sluice_loan_send(loan, scene.sink, 0, LENGTH), LENGTH);
        sluice_loan_put(loan);
        loan = get(0);
        memset(sluice_loan_data(loan), 'x', LENGTH);
        sluice_loan_put(loan);
        assert_int_equal(end_drain(&scene.end, got, LENGTH), LENGTH);
        assert_memory_equal(got, wanted, LENGTH);
    }
    close_scene();
}

static void memory_that_is_not_granted(void **state)
{
    static const int errors[] = {ENOMEM, EAGAIN, EPERM};
    sluice_loan *loan;

    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        for (unsigned flags = 0; flags <= SLUICE_LOAN_CONSTANT; flags++) {
            open_scene(END_PIPE, SLUICE_LOAN_AUTO, 2);
            inject_begin(scene.end.fd, scene.end.fd);
            inject(&(struct fault){.point = POINT_MMAP, .from = 1, .times = 1, .error = errors[i]});
            const int error = sluice_loan_get(scene.pool, flags, &loan);
            assert_int_equal(error, errors[i] == EAGAIN ? -ENOMEM : -errors[i]);
            assert_int_equal(sluice_loan_get(scene.pool, flags, &loan), 0); /* and then it is */
            sluice_loan_put(loan);
            inject_none();
            inject_end();
            close_scene();
        }
}

/* Neither old pages nor new ones: the loan is gone, and its place is free for another. */
static void memory_that_is_lost_can_be_got_again(void **state)
{
    sluice_loan *loan;

    (void)state;
    open_scene(END_PIPE, SLUICE_LOAN_VMSPLICE, 1);
    loan = get(0);
    assert_int_equal(sluice_loan_send(loan, scene.sink, 0, LENGTH), LENGTH);
    stand_in.madvise = refuse_madvise;
    stubborn_advice = MADV_DONTNEED;
    inject_begin(scene.end.fd, scene.end.fd);
    inject(&(struct fault){.point = POINT_MMAP, .from = 1, .times = 2, .error = ENOMEM});
    sluice_loan_put(loan);
    assert_int_equal(sluice_loan_get(scene.pool, 0, &loan), -ENOMEM);
    inject_none();
    inject_end();
    assert_int_equal(sluice_loan_get(scene.pool, 0, &loan), 0);
    sluice_loan_put(loan);
    close_scene();
}

/* ---- the descriptor to wait on ---- */

static int refuse_epoll(void)
{
    return -EMFILE;
}

static int refuse_watching(int epoll, int fd, void *data)
{
    (void)epoll, (void)fd, (void)data;
    return -ENOSPC;
}

static void what_cannot_be_watched_is_not_lent(void **state)
{
    (void)state;
    open_scene(END_TCP, SLUICE_LOAN_ZEROCOPY, 1);
    stand_in.epoll_create = refuse_epoll;
    assert_int_equal(sluice_loan_pool_fd(scene.pool), -EMFILE);
    stand_in.epoll_create = NULL;
    const int fd = sluice_loan_pool_fd(scene.pool);
    assert_true(fd > 2);
    assert_int_equal(sluice_loan_pool_fd(scene.pool), fd);
    stand_in.epoll_add = refuse_watching;
    sluice_loan *loan = get(0);
    assert_int_equal(sluice_loan_send(loan, scene.sink, 0, LENGTH), LENGTH);
    assert_int_equal(choice_of(SLUICE_LOAN_ZEROCOPY).error, -ENOSPC);
    assert_int_equal(sluice_loan_returned(loan), 1);
    sluice_loan_put(loan);
    close_scene();
    /* asked for when a send is open already */
    open_answers(1);
    loan = get(0);
    send_one(loan);
    stand_in.epoll_add = refuse_watching;
    assert_int_equal(sluice_loan_pool_fd(scene.pool), -ENOSPC);
    stand_in.epoll_add = NULL;
    assert_true(sluice_loan_pool_fd(scene.pool) > 2);
    answer(0, 0);
    sluice_loan_put(loan);
    close_scene();
}

/* ---- the other direction ---- */

static unsigned maps;
static int map_error;
static uint32_t map_skip;

static int map_nothing(int fd, void *window, uint32_t *length, uint32_t *ret_skip)
{
    (void)fd, (void)window;
    maps++;
    *length = 0;
    *ret_skip = map_skip;
    return map_error;
}

/* Mapping that never succeeds is left alone after a while, and tried again after another; what has
 * to be read before the next page is read, and no more. An error ends it for good. */
static void mapping_that_fails_leads_to_reading(void **state)
{
    const struct sluice_receiver_options options = {
        .size = sizeof options, .prefer = SLUICE_RECEIVE_MAP, .window = 1 << 20};
    struct sluice_receiver_choice choice = {.size = sizeof choice};
    static char bytes[1 << 20];
    const void *shown;

    (void)state;
    for (int error = 0; error < 2; error++) {
        sluice_context *context = sluice_context_new(NULL, NULL);
        sluice_endpoint *endpoint;
        sluice_receiver *receiver;
        struct end end;
        uint64_t received = 0;

        end_open_source(&end, END_TCP, "", 0,
                        &(struct end_options){.open = true, .capacity = 2 << 20});
        assert_int_equal(sluice_endpoint_from_fd(context, end.fd, SLUICE_BORROW, &endpoint), 0);
        assert_int_equal(sluice_receiver_new(context, endpoint, &options, &receiver), 0);
        memset(&stand_in, 0, sizeof stand_in);
        stand_in.tcp_map = map_nothing;
        maps = 0;
        map_error = error ? -EINVAL : 0;
        map_skip = error ? 0 : 100;
        while (received < (80U << 20)) {
            end_feed(&end, bytes, sizeof bytes);
            const ssize_t value = sluice_receiver_next(receiver, &shown);
            assert_true(value > 0 || value == -EAGAIN);
            if (!error && maps < 32 && value > 0)
                assert_true(value <= 100);
            received += value > 0 ? (uint64_t)value : 0;
        }
        assert_int_equal(sluice_receiver_choice(receiver, 0, &choice), 0);
        assert_int_equal(maps, error ? 1 : 64);
        assert_int_equal(choice.missed, error ? 0 : 64);
        assert_int_equal(choice.error, map_error);
        assert_non_null(choice.ruled_out);
        memset(&stand_in, 0, sizeof stand_in);
        sluice_receiver_free(receiver);
        sluice_endpoint_free(endpoint);
        sluice_context_free(context);
        end_close(&end);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_way_fails_a_send),
        cmocka_unit_test(what_is_sent_by_sendfile_is_sealed),
        cmocka_unit_test(a_length_that_is_too_much_is_not_asked_again),
        cmocka_unit_test(the_first_send_is_a_trial),
        cmocka_unit_test(answers_come_in_any_order),
        cmocka_unit_test(a_loan_is_back_when_all_its_sends_are),
        cmocka_unit_test(many_sends_are_open_at_once),
        cmocka_unit_test(other_messages_answer_nothing),
        cmocka_unit_test(copied_ends_it),
        cmocka_unit_test(what_is_never_answered_is_replaced),
        cmocka_unit_test(a_pool_is_abandoned_with_sends_open),
        cmocka_unit_test(pages_that_stay_are_left_for_others),
        cmocka_unit_test(memory_that_is_not_granted),
        cmocka_unit_test(memory_that_is_lost_can_be_got_again),
        cmocka_unit_test(what_cannot_be_watched_is_not_lent),
        cmocka_unit_test(mapping_that_fails_leads_to_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
