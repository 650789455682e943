/* SPDX-License-Identifier: MIT */
/* The queue by io_uring, which may be not built in, or refused: by a filter, by the
 * administrator, or for memory that must not be locked (before Linux 5.12). */
#include "flight.h"

#include <errno.h>
#include <stdlib.h>

#include "sys.h"

#ifdef HAVE_LIBURING
#include <liburing.h>

#include "endpoint.h"

struct ring {
    struct flight flight;
    struct io_uring uring;
};

static void prepare(struct io_uring_sqe *sqe, const struct request *request)
{
    const unsigned length = (unsigned)request->length;
    const uint64_t offset = (uint64_t)request->offset;

    switch (request->operation) {
    case FLIGHT_READ:
        io_uring_prep_read(sqe, request->file, request->memory, length, offset);
        break;
    case FLIGHT_WRITE:
        io_uring_prep_write(sqe, request->file, request->memory, length, offset);
        break;
    case FLIGHT_SPLICE_IN:
        io_uring_prep_splice(sqe, request->file, request->offset, request->pipe, -1, length, 0);
        break;
    case FLIGHT_SPLICE_OUT:
        io_uring_prep_splice(sqe, request->pipe, -1, request->file, request->offset, length, 0);
        break;
    default:
        io_uring_prep_nop(sqe);
        break;
    }
}

static int ring_submit(struct flight *flight, struct request *request)
{
    struct ring *ring = (struct ring *)flight;
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
    int submitted;

    if (!sqe)
        return -EBUSY;
    prepare(sqe, request);
    io_uring_sqe_set_data(sqe, request);
    do
        submitted = io_uring_submit(&ring->uring);
    while (submitted == -EINTR);
    if (submitted > 0)
        return 0;
    io_uring_prep_nop(sqe); /* it was not taken, and must not be taken later */
    io_uring_sqe_set_data(sqe, NULL);
    return submitted < 0 ? submitted : -EBUSY;
}

static struct request *ring_reap(struct flight *flight, bool wait)
{
    struct ring *ring = (struct ring *)flight;
    struct io_uring_cqe *cqe;

    for (;;) {
        const int error =
            wait ? io_uring_wait_cqe(&ring->uring, &cqe) : io_uring_peek_cqe(&ring->uring, &cqe);
        if (error == -EINTR || (error < 0 && !wait))
            return NULL;
        if (error < 0) { /* it may not be asked to wait: it is looked at */
            sys_yield();
            wait = false;
            continue;
        }
        struct request *request = io_uring_cqe_get_data(cqe);
        if (request && request->operation != FLIGHT_NOTHING)
            request->value = cqe->res;
        io_uring_cqe_seen(&ring->uring, cqe);
        if (request)
            return request;
    }
}

static void ring_close(struct flight *flight)
{
    io_uring_queue_exit(&((struct ring *)flight)->uring);
    free(flight);
}

static const struct flight_driver ring_driver = {
    .name = "io_uring",
    .submit = ring_submit,
    .reap = ring_reap,
    .close = ring_close,
};

int flight_ring_open(unsigned depth, struct flight **ret)
{
    struct ring *ring = calloc(1, sizeof *ring);
    int error = ring ? io_uring_queue_init(depth, &ring->uring, 0) : -ENOMEM;

    if (error >= 0) {
        const int fd = fd_above_standard(ring->uring.ring_fd);
        ring->uring.ring_fd = ring->uring.enter_ring_fd = fd;
        if (fd < 0) {
            error = fd;
            io_uring_queue_exit(&ring->uring);
        }
    }
    if (error < 0) {
        free(ring);
        return error;
    }
    ring->flight.driver = &ring_driver;
    ring->flight.event = ring->uring.ring_fd;
    *ret = &ring->flight;
    return 0;
}

#else

int flight_ring_open(unsigned depth, struct flight **ret)
{
    (void)depth, (void)ret;
    return -ENOSYS;
}

#endif
