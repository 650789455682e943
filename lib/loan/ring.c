/* SPDX-License-Identifier: MIT */
/*
 * Zero-copy sends by io_uring. Each has two answers: how much the socket took, which is there when
 * the submission returns, since the send is told not to wait; and later, that the pages are back.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "../sys.h"
#include "../uring.h"
#include "loan.h"

#ifdef HAVE_LIBURING

enum { ENTRIES = 256 };

struct ring_send {
    struct ring_send *next;
    struct sluice_loan_sink *sink; /* NULL: it is gone */
    struct sluice_loan *loan;
    ssize_t result;
    bool taken; /* `result` is known */
    bool more;  /* a notification will come */
};

struct loan_ring {
    struct io_uring uring;
    struct sluice_loan_pool *pool;
    struct ring_send *sends; /* that are not answered */
};

/* A ring whose descriptor is none of the standard ones, should these be closed. */
static int open_ring(struct io_uring *uring)
{
    const int error = io_uring_queue_init(ENTRIES, uring, 0);
    if (error < 0 || uring->ring_fd > 2)
        return error;
    const int higher = fd_above_standard(uring->ring_fd);
    if (higher < 0) { /* the old one is closed already: what is left of it is unmapped */
        uring->ring_fd = uring->enter_ring_fd = -1;
        io_uring_queue_exit(uring);
        return higher;
    }
    uring->ring_fd = uring->enter_ring_fd = higher;
    return 0;
}

int loan_ring_new(struct sluice_loan_pool *pool)
{
    struct loan_ring *ring = calloc(1, sizeof *ring);
    if (!ring)
        return -ENOMEM;
    int error = open_ring(&ring->uring);
    if (error >= 0 && pool->epoll >= 0) {
        error = sys_epoll_add(pool->epoll, ring->uring.ring_fd, NULL);
        if (error < 0)
            io_uring_queue_exit(&ring->uring);
    }
    if (error < 0) {
        free(ring);
        return error;
    }
    ring->pool = pool;
    pool->ring = ring;
    return 0;
}

void loan_ring_free(struct loan_ring *ring)
{
    if (!ring)
        return;
    io_uring_queue_exit(&ring->uring);
    while (ring->sends) {
        struct ring_send *send = ring->sends;
        ring->sends = send->next;
        free(send);
    }
    free(ring);
}

int loan_ring_fd(const struct loan_ring *ring)
{
    return ring->uring.ring_fd;
}

static void forget_send(struct loan_ring *ring, struct ring_send *send)
{
    struct ring_send **link = &ring->sends;
    while (*link != send)
        link = &(*link)->next;
    *link = send->next;
    free(send);
}

/* Takes one completion. Returns 1 if a loan came back with it. */
static unsigned take_completion(struct loan_ring *ring, struct io_uring_cqe *cqe)
{
    struct ring_send *send = io_uring_cqe_get_data(cqe);
    const uint32_t flags = cqe->flags;
    const int value = cqe->res;

    io_uring_cqe_seen(&ring->uring, cqe);
    if (!send)
        return 0;
    if (!(flags & IORING_CQE_F_NOTIF)) {
        send->result = value;
        send->taken = true;
        send->more = (flags & IORING_CQE_F_MORE) != 0;
        return 0;
    }
    if (send->sink)
        loan_sink_answered(send->sink, SLUICE_LOAN_SEND_ZC, 1,
                           (uint32_t)value & IORING_NOTIF_USAGE_ZC_COPIED);
    else
        ring->pool->stats.notified++;
    struct sluice_loan *loan = send->loan;
    forget_send(ring, send);
    return loan_answered(loan, false);
}

unsigned loan_ring_reap(struct loan_ring *ring)
{
    struct io_uring_cqe *cqe;
    unsigned back = 0;

    while (io_uring_peek_cqe(&ring->uring, &cqe) == 0)
        back += take_completion(ring, cqe);
    return back;
}

ssize_t loan_ring_send(struct loan_ring *ring, struct sluice_loan_sink *sink,
                       struct sluice_loan *loan, const void *bytes, size_t length, bool *ret_notice)
{
    struct ring_send *send = calloc(1, sizeof *send);
    struct io_uring_sqe *sqe = send ? io_uring_get_sqe(&ring->uring) : NULL;
    struct io_uring_cqe *cqe;

    *ret_notice = false;
    if (!sqe) {
        free(send);
        return -ENOMEM;
    }
    *send = (struct ring_send){.next = ring->sends, .sink = sink, .loan = loan};
    ring->sends = send;
    io_uring_prep_send_zc(sqe, sink->side.fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL,
                          IORING_SEND_ZC_REPORT_USAGE);
    io_uring_sqe_set_data(sqe, send);
    const int error = io_uring_submit(&ring->uring);
    if (error < 0) { /* it is in the queue still, and goes out with the next one, as nothing */
        io_uring_prep_nop(sqe);
        io_uring_sqe_set_data(sqe, NULL);
        forget_send(ring, send);
        return error;
    }
    /* On loopback the notification may be here at once, behind the result. */
    while (!send->taken) {
        const int waited = io_uring_wait_cqe(&ring->uring, &cqe);
        if (waited >= 0) {
            take_completion(ring, cqe);
        } else if (waited != -EINTR) { /* what it took is not known; its pages are lent */
            send->sink = NULL;
            *ret_notice = true;
            return waited;
        }
    }
    const ssize_t value = send->result;
    *ret_notice = send->more;
    if (!send->more)
        forget_send(ring, send);
    return value;
}

void loan_ring_forget(struct loan_ring *ring, const struct sluice_loan_sink *sink)
{
    for (struct ring_send *send = ring->sends; send; send = send->next)
        if (send->sink == sink)
            send->sink = NULL;
}

#else

int loan_ring_new(struct sluice_loan_pool *pool)
{
    (void)pool;
    return -ENOSYS;
}

void loan_ring_free(struct loan_ring *ring)
{
    (void)ring;
}

int loan_ring_fd(const struct loan_ring *ring)
{
    (void)ring;
    return -1;
}

ssize_t loan_ring_send(struct loan_ring *ring, struct sluice_loan_sink *sink,
                       struct sluice_loan *loan, const void *bytes, size_t length, bool *ret_notice)
{
    (void)ring, (void)sink, (void)loan, (void)bytes, (void)length, (void)ret_notice;
    return -ENOSYS;
}

unsigned loan_ring_reap(struct loan_ring *ring)
{
    (void)ring;
    return 0;
}

void loan_ring_forget(struct loan_ring *ring, const struct sluice_loan_sink *sink)
{
    (void)ring, (void)sink;
}

#endif
