/* SPDX-License-Identifier: MIT */
/*
 * One send: the way that was chosen, and the next one where the kernel refuses it. A refusal never
 * fails a send; what is left in the end is write, and its failure is the sink's.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "../sigpipe.h"
#include "../sys.h"
#include "loan.h"

/* ---- what an errno of a way means ---- */

enum refusal {
    REFUSAL_NONE = 0, /* it is the sink's answer */
    REFUSAL_NOW,      /* too much is lent, or memory is short: this send goes by the next way */
    REFUSAL_FOREVER,  /* this sink does without this way */
};

#define BIT(way) (1 << SLUICE_LOAN_##way)
#define ZC       (BIT(SEND_ZC) | BIT(ZEROCOPY))
#define ALL      (BIT(VMSPLICE) | BIT(SENDFILE) | ZC)

static const struct {
    int ways;
    int error;
    enum refusal refusal;
} refusals[] = {
    {ALL, ENOMEM, REFUSAL_NOW},
    /* RLIMIT_MEMLOCK, or the socket's optmem */
    {ZC, ENOBUFS, REFUSAL_NOW},
    /* Descriptors and memory of the ring, of the sealed file */
    {BIT(SEND_ZC) | BIT(SENDFILE), EMFILE, REFUSAL_NOW},
    {BIT(SEND_ZC) | BIT(SENDFILE), ENFILE, REFUSAL_NOW},
    {BIT(SENDFILE), ENOSPC, REFUSAL_NOW},
    /* The kernel lacks it, a seccomp filter or io_uring_disabled forbids it (EPERM, EACCES), or it
     * does not go with this descriptor. */
    {ALL, EINVAL, REFUSAL_FOREVER},
    {ALL, ENOSYS, REFUSAL_FOREVER},
    {ALL, EPERM, REFUSAL_FOREVER},
    {ALL, EACCES, REFUSAL_FOREVER},
    {ALL, EOPNOTSUPP, REFUSAL_FOREVER},
    {ALL, ENOPROTOOPT, REFUSAL_FOREVER},
    {BIT(VMSPLICE), EBADF, REFUSAL_FOREVER},  /* not a pipe after all */
    {BIT(ZEROCOPY), EBUSY, REFUSAL_FOREVER},  /* the error queue is somebody else's */
    {BIT(ZEROCOPY), EEXIST, REFUSAL_FOREVER}, /* another sink has this socket */
    {BIT(ZEROCOPY), ENOSPC, REFUSAL_FOREVER}, /* it cannot be watched */
};

static enum refusal refusal_of(enum sluice_loan_way way, ssize_t error)
{
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        if ((refusals[i].ways & (1 << way)) && refusals[i].error == -error)
            return refusals[i].refusal;
    return REFUSAL_NONE;
}

/* ---- the ways ---- */

struct job {
    struct sluice_loan *loan;
    struct sluice_loan_sink *sink;
    size_t offset, length; /* in the loan */
    bool wait;             /* in the call, where the descriptor does */
};

static const char *bytes_of(const struct job *job)
{
    return job->loan->data + job->offset;
}

static ssize_t by_vmsplice(struct job *job)
{
    const struct iovec pages = {.iov_base = (void *)(uintptr_t)bytes_of(job),
                                .iov_len = job->length};
    const ssize_t value =
        sys_vmsplice(job->sink->side.fd, &pages, 1, job->wait ? 0 : SPLICE_F_NONBLOCK);

    if (value > 0)
        job->loan->referenced = true;
    return value;
}

/* The sealed file, which holds the loan up to `size`: one copy, once, for any number of sends. If
 * more of the loan is asked for later, another file takes its place; what was sent from this one
 * keeps its pages. */
static int make_memfd(struct sluice_loan *loan, size_t size)
{
    const int fd = fd_above_standard(sys_memfd_create("sluice loan"));
    ssize_t value = fd;

    if (fd < 0)
        return fd;
    for (size_t at = 0; at < size && value >= 0; at += (size_t)value) {
        do
            value = sys_pwrite(fd, loan->data + at, size - at, (int64_t)at);
        while (value == -EINTR);
        if (value == 0)
            value = -ENOSPC;
    }
    if (value >= 0)
        value =
            sys_fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    if (value < 0) {
        sys_close(fd);
        return (int)value;
    }
    if (loan->memfd >= 0)
        sys_close(loan->memfd);
    loan->memfd = fd;
    loan->in_memfd = size;
    return 0;
}

static ssize_t by_sendfile(struct job *job)
{
    int64_t offset = (int64_t)job->offset;
    struct sluice_loan_sink *sink = job->sink;
    const size_t end = job->offset + job->length;
    const bool made = job->loan->memfd >= 0 && end <= job->loan->in_memfd;
    const int error = made ? 0 : make_memfd(job->loan, end);

    if (error < 0)
        return error;
    if (sink->side.endpoint->medium == MEDIUM_PIPE)
        return sys_splice(job->loan->memfd, &offset, sink->side.fd, NULL, job->length,
                          job->wait ? 0 : SPLICE_F_NONBLOCK);
    return sys_sendfile(sink->side.fd, job->loan->memfd, &offset, job->length);
}

static void lend(struct job *job, enum sluice_loan_way way)
{
    struct sluice_loan_pool *pool = job->loan->pool;
    struct loan_way_state *state = &job->sink->way[way];

    if (job->loan->pending++ == 0)
        pool->stats.lent++;
    pool->awaited++;
    pool->stats.sent++;
    if (state->trial == TRIAL_NONE)
        state->trial = TRIAL_ASKED;
}

static ssize_t by_zerocopy(struct job *job)
{
    struct sluice_loan_sink *sink = job->sink;
    int error = loan_sink_enable_zerocopy(sink);

    if (error >= 0)
        error = loan_notices_reserve(&sink->notices);
    if (error < 0) /* too many open: as if memory was short */
        return error == -EAGAIN ? -ENOBUFS : error;
    const ssize_t value = sys_send(sink->side.fd, bytes_of(job), job->length,
                                   MSG_ZEROCOPY | MSG_DONTWAIT | MSG_NOSIGNAL);
    if (value > 0) { /* a send that failed is not numbered */
        loan_notices_add(&sink->notices, job->loan);
        lend(job, SLUICE_LOAN_ZEROCOPY);
    }
    return value;
}

static ssize_t by_send_zc(struct job *job)
{
    struct sluice_loan_pool *pool = job->loan->pool;
    bool notice;

    if (!pool->ring) {
        const int error = loan_ring_new(pool);
        if (error < 0)
            return error;
    }
    const ssize_t value =
        loan_ring_send(pool->ring, job->sink, job->loan, bytes_of(job), job->length, &notice);
    if (notice) /* also where it failed */
        lend(job, SLUICE_LOAN_SEND_ZC);
    return value;
}

static ssize_t by_write(struct job *job)
{
    struct side *side = &job->sink->side;
    size_t length = job->length;

    if (side->endpoint->medium & MEDIA_SOCKETS)
        return sys_send(side->fd, bytes_of(job), length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (!job->wait) {
        side_stop_waiting(side);
        if (!side_ready(side, &job->sink->polls))
            return -EAGAIN;
        if (length > side_bound(side))
            length = side_bound(side);
    }
    return sys_write(side->fd, bytes_of(job), length);
}

static ssize_t (*const calls[SLUICE_LOAN_WAY_COUNT])(struct job *) = {
    [SLUICE_LOAN_VMSPLICE] = by_vmsplice, [SLUICE_LOAN_SENDFILE] = by_sendfile,
    [SLUICE_LOAN_SEND_ZC] = by_send_zc,   [SLUICE_LOAN_ZEROCOPY] = by_zerocopy,
    [SLUICE_LOAN_WRITE] = by_write,
};

/* ---- one send ---- */

/* A constant loan is what it is from now on. */
static void seal(struct sluice_loan *loan)
{
    if (!loan->constant || loan->sealed)
        return;
    loan->sealed = true;
    /* The whole slab, which is its own: a part would split the huge page. A help, not a need. */
    sys_mprotect(loan->slab->memory, loan->slab->size, PROT_READ);
}

static void refuse(struct job *job, enum sluice_loan_way way, enum refusal refusal, ssize_t error)
{
    struct sluice_loan_sink *sink = job->sink;
    struct loan_way_state *state = &sink->way[way];

    if (refusal == REFUSAL_FOREVER) {
        loan_sink_rule_out(sink, way, "the kernel refused it", (int)error);
        return;
    }
    state->choice.refused++;
    /* Nothing is lent, and yet it is more than may be: so it will be at this length. */
    if (error == -ENOBUFS && job->loan->pool->awaited == 0)
        state->most = job->length - 1;
}

static ssize_t send_once(struct job *job)
{
    struct sluice_loan_sink *sink = job->sink;
    unsigned place = 0;

    for (;; place++) {
        const enum sluice_loan_way way =
            loan_sink_choose(sink, job->loan, job->offset, job->length, job->wait, place, &place);
        ssize_t value;
        do
            value = calls[way](job);
        while (value == -EINTR && !job->wait);
        const enum refusal refusal = value < 0 ? refusal_of(way, value) : REFUSAL_NONE;
        if (refusal != REFUSAL_NONE) {
            refuse(job, way, refusal, value);
            continue;
        }
        if (value > 0) {
            sink->way[way].choice.bytes += (uint64_t)value;
            sink->way[way].choice.calls++;
            job->loan->sent += (uint64_t)value;
        }
        return value;
    }
}

/* Only these raise it: send is told not to. */
static bool may_raise_sigpipe(const struct sluice_loan_sink *sink, const struct sluice_loan *loan)
{
    const enum medium medium = sink->side.endpoint->medium;
    return sink->guard && (medium == MEDIUM_PIPE || (medium == MEDIUM_STREAM && loan->constant));
}

static int check(const struct sluice_loan *loan, const struct sluice_loan_sink *sink,
                 uint64_t offset, uint64_t length)
{
    const uint64_t size = loan->pool->loan_size;
    if (loan->pool != sink->pool || loan->state != LOAN_HELD || offset > size ||
        length > size - offset)
        return -EINVAL;
    return 0;
}

ssize_t sluice_loan_send(sluice_loan *loan, sluice_loan_sink *sink, uint64_t offset,
                         uint64_t length)
{
    struct job job = {.loan = loan, .sink = sink};
    struct sigpipe_guard guard = {0};
    const int error = check(loan, sink, offset, length);

    if (error < 0 || (length == 0 && sink->side.endpoint->medium != MEDIUM_MESSAGE))
        return error;
    job.offset = (size_t)offset;
    job.length = (size_t)length;
    seal(loan);
    if (may_raise_sigpipe(sink, loan))
        sigpipe_block(&guard);
    const ssize_t value = send_once(&job);
    if (value >= 0 && (uint64_t)value == length) /* a short one may have met the end, too */
        sigpipe_unraised(&guard);
    sigpipe_restore(&guard);
    return value;
}

enum { PATIENCE = 1000000 }; /* nanoseconds */

/* Until the sink is writable. POLLERR may be a notification, which has to be taken for it to go; or
 * one that is not for us to take, and comes at once each time. */
static int wait_for(struct sluice_loan_sink *sink)
{
    struct pollfd fd = {.fd = sink->side.fd, .events = POLLOUT};

    sink->polls++;
    const int ready = sys_poll(&fd, 1, NULL);
    if (ready < 0)
        return ready;
    if ((fd.revents & POLLERR) && loan_sink_reap(sink) == 0 && !(fd.revents & POLLOUT))
        return sys_sleep_until(sys_now() + PATIENCE);
    return 0;
}

static int send_all(struct job *job, uint64_t *sent)
{
    const uint64_t length = job->length;

    while (*sent < length) {
        const ssize_t value = send_once(job);
        const int error = value == -EAGAIN ? wait_for(job->sink) : value < 0 ? (int)value : 0;
        if (error < 0)
            return error;
        if (value > 0) {
            *sent += (uint64_t)value;
            job->offset += (size_t)value;
            job->length -= (size_t)value;
        }
    }
    return 0;
}

int sluice_loan_send_all(sluice_loan *loan, sluice_loan_sink *sink, uint64_t offset,
                         uint64_t length, uint64_t *ret_sent)
{
    struct job job = {.loan = loan, .sink = sink, .wait = true};
    struct sigpipe_guard guard = {0};
    uint64_t sent = 0;
    int error = check(loan, sink, offset, length);

    if (error >= 0 && length > 0) {
        job.offset = (size_t)offset;
        job.length = (size_t)length;
        seal(loan);
        if (may_raise_sigpipe(sink, loan))
            sigpipe_block(&guard);
        error = send_all(&job, &sent);
        if (error >= 0)
            sigpipe_unraised(&guard);
        sigpipe_restore(&guard);
    }
    if (ret_sent)
        *ret_sent = sent;
    return error;
}
