/* SPDX-License-Identifier: MIT */
#include "ring.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "../uring.h"

#ifdef HAVE_LIBURING

int ring_new(void **ret)
{
    struct io_uring *ring = calloc(1, sizeof *ring);
    const int error = ring ? io_uring_queue_init(4, ring, 0) : -ENOMEM;

    if (error < 0)
        free(ring);
    else
        *ret = ring;
    return error;
}

void ring_free(void *opaque)
{
    if (opaque)
        io_uring_queue_exit(opaque);
    free(opaque);
}

ssize_t ring_send_zc(void *opaque, int fd, const void *bytes, size_t length, bool *ret_copied)
{
    struct io_uring *ring = opaque;
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
    struct __kernel_timespec patience = {.tv_sec = 1};
    struct io_uring_cqe *cqe;
    ssize_t sent = -EIO;

    io_uring_prep_send_zc(sqe, fd, bytes, length, 0, IORING_SEND_ZC_REPORT_USAGE);
    int error = io_uring_submit(ring);
    for (bool more = error >= 0; more;) {
        error = io_uring_wait_cqe_timeout(ring, &cqe, &patience);
        if (error < 0)
            break;
        more = (cqe->flags & IORING_CQE_F_MORE) != 0;
        if (cqe->flags & IORING_CQE_F_NOTIF)
            *ret_copied = ((uint32_t)cqe->res & IORING_NOTIF_USAGE_ZC_COPIED) != 0;
        else
            sent = cqe->res;
        io_uring_cqe_seen(ring, cqe);
    }
    return error < 0 ? error : sent;
}

#else

int ring_new(void **ret)
{
    (void)ret;
    return -ENOSYS;
}

void ring_free(void *ring)
{
    (void)ring;
}

ssize_t ring_send_zc(void *ring, int fd, const void *bytes, size_t length, bool *ret_copied)
{
    (void)ring, (void)fd, (void)bytes, (void)length, (void)ret_copied;
    return -ENOSYS;
}

#endif
