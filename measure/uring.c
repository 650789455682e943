/* SPDX-License-Identifier: MIT */
/* What goes by io_uring(7). */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "ways.h"

#ifdef HAVE_LIBURING
#include <liburing.h>

/* ---- reading, DEPTH at once ---- */

struct reading {
    struct io_uring ring;
    char *buffer;
    uint64_t asked;
    int result[DEPTH];
    bool there[DEPTH];
};

static void ask(struct reading *reading, const struct job *job, unsigned slot)
{
    reading->there[slot] = false;
    if (reading->asked >= job->bytes)
        return;
    struct io_uring_sqe *sqe = io_uring_get_sqe(&reading->ring);
    io_uring_prep_read(sqe, job->in, reading->buffer + (size_t)slot * job->chunk, job->chunk,
                       reading->asked);
    io_uring_sqe_set_data64(sqe, slot);
    reading->asked += job->chunk;
}

/* They may come out of their order. */
static int await(struct reading *reading, unsigned slot)
{
    while (!reading->there[slot]) {
        struct io_uring_cqe *cqe;
        const int error = io_uring_submit_and_wait(&reading->ring, 1);
        if (error < 0 && error != -EINTR)
            return error;
        while (io_uring_peek_cqe(&reading->ring, &cqe) == 0) {
            const uint64_t which = io_uring_cqe_get_data64(cqe);
            reading->result[which] = cqe->res;
            reading->there[which] = true;
            io_uring_cqe_seen(&reading->ring, cqe);
        }
    }
    return reading->result[slot] == 0 ? -ENODATA : reading->result[slot];
}

int way_io_uring(struct job *job)
{
    struct reading reading = {0};
    int error = buffers_new(job->chunk, &reading.buffer);

    if (error == 0)
        error = io_uring_queue_init(DEPTH, &reading.ring, 0);
    if (error < 0) {
        free(reading.buffer);
        return error;
    }
    for (unsigned slot = 0; slot < DEPTH; slot++)
        ask(&reading, job, slot);
    uint64_t done = 0;
    for (unsigned slot = 0; done < job->bytes && error == 0; slot = (slot + 1) % DEPTH) {
        const int got = await(&reading, slot);
        if (got < 0) {
            error = got;
            break;
        }
        error = deliver(job, reading.buffer + (size_t)slot * job->chunk, (size_t)got);
        done += (uint64_t)got;
        ask(&reading, job, slot);
        io_uring_submit(&reading.ring);
    }
    io_uring_queue_exit(&reading.ring); /* cancels what is under way, and waits for it */
    free(reading.buffer);
    return error;
}

/* ---- SEND_ZC ---- */

/*
 * One send after the other, since a stream's order is that of the sends and a short one changes what
 * follows; the pages of up to DEPTH of them may still be with the kernel.
 */
struct sending {
    struct io_uring ring;
    unsigned lent; /* notifications that are still to come */
    int result;    /* of the send under way */
    bool over;
};

static int take(struct sending *sending)
{
    struct io_uring_cqe *cqe;
    const int error = io_uring_wait_cqe(&sending->ring, &cqe);

    if (error < 0)
        return error == -EINTR ? 0 : error;
    if (cqe->flags & IORING_CQE_F_NOTIF) {
        sending->lent--;
    } else {
        sending->result = cqe->res;
        sending->over = true;
        sending->lent += (cqe->flags & IORING_CQE_F_MORE) != 0;
    }
    io_uring_cqe_seen(&sending->ring, cqe);
    return 0;
}

static int send_one(struct sending *sending, int fd, const char *bytes, size_t length)
{
    int error = 0;

    struct io_uring_sqe *sqe = io_uring_get_sqe(&sending->ring);
    io_uring_prep_send_zc(sqe, fd, bytes, length, MSG_NOSIGNAL, 0);
    sending->over = false;
    error = io_uring_submit(&sending->ring);
    error = error < 0 ? error : 0;
    while (error == 0 && (!sending->over || sending->lent >= DEPTH))
        error = take(sending);
    return error < 0 ? error : sending->result;
}

int way_send_zc(struct job *job)
{
    struct sending sending = {0};
    int error = io_uring_queue_init(2 * DEPTH, &sending.ring, 0);

    if (error < 0)
        return error;
    for (uint64_t done = 0; done < job->bytes;) {
        const uint64_t left = job->bytes - done;
        error = send_one(&sending, job->out, job->memory + done,
                         left < job->chunk ? (size_t)left : job->chunk);
        if (error <= 0)
            break;
        done += (uint64_t)error;
    }
    while (error >= 0 && sending.lent > 0)
        error = take(&sending);
    io_uring_queue_exit(&sending.ring);
    return error < 0 ? error : 0;
}

#else

int way_io_uring(struct job *job)
{
    (void)job;
    return -ENOSYS;
}

int way_send_zc(struct job *job)
{
    (void)job;
    return -ENOSYS;
}

#endif
