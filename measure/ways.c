/* SPDX-License-Identifier: MIT */
#include "ways.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/sys.h"

int write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        const ssize_t written = sys_write(fd, bytes, length);
        if (written < 0 && written != -EINTR)
            return (int)written;
        bytes += written > 0 ? written : 0;
        length -= written > 0 ? (size_t)written : 0;
    }
    return 0;
}

int deliver(const struct job *job, const char *bytes, size_t length)
{
    return job->out < 0 ? 0 : write_all(job->out, bytes, length);
}

int buffers_new(uint32_t chunk, char **ret)
{
    void *memory;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);

    if (posix_memalign(&memory, page, (size_t)DEPTH * chunk) != 0)
        return -ENOMEM;
    *ret = memory;
    return 0;
}

static size_t piece(const struct job *job, uint64_t done)
{
    const uint64_t left = job->bytes - done;
    return left < job->chunk ? (size_t)left : job->chunk;
}

/* ---- by the library ---- */

static void take_ledger(struct job *job, const sluice_transfer *transfer)
{
    struct sluice_ledger ledger = {.size = sizeof ledger};
    struct sluice_row row = {.size = sizeof row};

    sluice_transfer_ledger(transfer, &ledger);
    job->copies = ledger.delivered ? (double)ledger.copied / (double)ledger.delivered : 0;
    job->proven = ledger.rows > 0;
    for (unsigned i = 0; i < ledger.rows; i++)
        if (sluice_transfer_row(transfer, i, &row) == 0 && row.leg.known != SLUICE_PROVEN)
            job->proven = false;
}

static int run_transfer(struct job *job, sluice_context *context, sluice_endpoint *source,
                        sluice_endpoint *sink)
{
    const uint32_t flags = SLUICE_LENGTH | SLUICE_NO_SIGPIPE | SLUICE_EXACT;
    const bool alone = job->cell->warmth == WARMTH_ALONE;
    const struct sluice_options options = {.size = sizeof options,
                                           .flags = flags | (alone ? SLUICE_NO_READAHEAD : 0),
                                           .method = job->cell->way->method,
                                           .chunk = job->chunk,
                                           .length = job->bytes,
                                           .reflink = SLUICE_AUTO,
                                           .sparse = SLUICE_NEVER};
    struct sluice_error why = {.size = sizeof why};
    sluice_transfer *transfer;
    int error = sluice_transfer_new(context, source, sink, &options, &transfer, &why);

    if (error == 0) {
        error = sluice_transfer_run(transfer);
        sluice_transfer_error(transfer, &why);
        take_ledger(job, transfer);
        sluice_transfer_discard(transfer);
    }
    if (error < 0)
        snprintf(job->reason, sizeof job->reason, "%s", why.reason ? why.reason : "");
    return error;
}

/* Between two ends that others feed and drain the command's sockets do not make a call wait: the
 * library waits better itself. Next to a file they do. */
static void relay_without_waiting(const struct job *job)
{
    const struct path *path = job->cell->path;
    const unsigned sockets = END_TCP | END_UNIX;

    if ((path->from | path->to) & (END_FILE | END_MEMORY))
        return;
    if (path->from & sockets)
        sys_fcntl(job->in, F_SETFL, O_NONBLOCK);
    if (path->to & sockets)
        sys_fcntl(job->out, F_SETFL, O_NONBLOCK);
}

int way_by_library(struct job *job)
{
    sluice_endpoint *source = NULL, *sink = NULL;
    int error;
    sluice_context *context = sluice_context_new(NULL, &error);

    if (!context)
        return error;
    relay_without_waiting(job);
    sluice_context_use_probe(context, job->probe);
    error = sluice_endpoint_from_fd(context, job->in, SLUICE_BORROW, &source);
    if (error == 0)
        error = sluice_endpoint_from_fd(context, job->out, SLUICE_BORROW, &sink);
    if (error == 0)
        error = run_transfer(job, context, source, sink);
    sluice_endpoint_free(sink);
    sluice_endpoint_free(source);
    sluice_context_free(context);
    return error;
}

/* ---- from memory ---- */

int way_write(struct job *job)
{
    int error = 0;

    for (uint64_t done = 0; done < job->bytes && error == 0; done += job->chunk)
        error = write_all(job->out, job->memory + done, piece(job, done));
    return error;
}

static int splice_all(int pipe, int out, size_t length)
{
    while (length > 0) {
        const ssize_t moved = sys_splice(pipe, NULL, out, NULL, length, 0);
        if (moved <= 0 && moved != -EINTR)
            return moved < 0 ? (int)moved : -EPIPE;
        length -= moved > 0 ? (size_t)moved : 0;
    }
    return 0;
}

int way_vmsplice(struct job *job)
{
    const bool straight = job->cell->path->to == END_PIPE;
    int fds[2] = {-1, job->out}, error = straight ? 0 : sys_pipe2(fds, O_CLOEXEC);

    if (error < 0)
        return error;
    if (!straight)
        sys_fcntl(fds[1], F_SETPIPE_SZ, 1 << 20);
    for (uint64_t done = 0; done < job->bytes && error == 0;) {
        const struct iovec memory = {.iov_base = (char *)(uintptr_t)job->memory + done,
                                     .iov_len = piece(job, done)};
        const ssize_t lent = sys_vmsplice(fds[1], &memory, 1, straight ? 0 : SPLICE_F_NONBLOCK);
        if (lent < 0 && lent != -EINTR)
            error = (int)lent;
        else if (lent > 0 && !straight)
            error = splice_all(fds[0], job->out, (size_t)lent);
        done += lent > 0 ? (uint64_t)lent : 0;
    }
    if (!straight) {
        sys_close(fds[0]);
        sys_close(fds[1]);
    }
    return error;
}

/* ---- MSG_ZEROCOPY ---- */

/* Takes completions from the error queue until `wanted` sends are over, or none is there. */
static int reap(int fd, uint32_t *over, uint32_t wanted, bool wait)
{
    while (*over < wanted) {
        char control[128];
        struct msghdr message = {.msg_control = control, .msg_controllen = sizeof control};
        const ssize_t value = sys_recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT);
        if (value == -EAGAIN && wait) {
            struct pollfd errors = {.fd = fd};
            sys_poll(&errors, 1, NULL);
            continue;
        }
        if (value < 0)
            return value == -EAGAIN ? 0 : (int)value;
        const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        const struct sock_extended_err *error = header ? (const void *)CMSG_DATA(header) : NULL;
        if (error && error->ee_origin == SO_EE_ORIGIN_ZEROCOPY)
            *over += error->ee_data - error->ee_info + 1;
    }
    return 0;
}

int way_msg_zerocopy(struct job *job)
{
    enum { UNREAPED = 64 };
    const int one = 1;
    uint32_t sent = 0, over = 0;
    int error = 0;

    if (setsockopt(job->out, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof one) < 0)
        return -errno;
    for (uint64_t done = 0; done < job->bytes && error == 0;) {
        const ssize_t moved =
            sys_send(job->out, job->memory + done, piece(job, done), MSG_ZEROCOPY | MSG_NOSIGNAL);
        if (moved > 0) {
            done += (uint64_t)moved;
            sent++;
        }
        if (moved == -ENOBUFS && over == sent)
            return -ENOBUFS; /* not one of them may be under way */
        if (moved < 0 && moved != -EINTR && moved != -ENOBUFS)
            return (int)moved;
        if (moved == -ENOBUFS || sent - over >= UNREAPED)
            error = reap(job->out, &over, sent - UNREAPED / 2 > over ? over + 1 : sent,
                         moved == -ENOBUFS);
    }
    return error < 0 ? error : reap(job->out, &over, sent, true);
}
