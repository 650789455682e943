/* SPDX-License-Identifier: MIT */
/* Ways into memory: the bytes are where the program can use them, and nothing is done with them. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/sys.h"
#include "ways.h"

static size_t piece(const struct job *job, uint64_t done)
{
    const uint64_t left = job->bytes - done;
    return left < job->chunk ? (size_t)left : job->chunk;
}

/* ---- by a copy ---- */

static ssize_t take_read(int fd, char *into, size_t length)
{
    return sys_read(fd, into, length);
}

static ssize_t take_vmsplice(int fd, char *into, size_t length)
{
    const struct iovec memory = {.iov_base = into, .iov_len = length};
    return sys_vmsplice(fd, &memory, 1, 0);
}

/* Into the same buffer again and again, as programs do. */
static int take_all(struct job *job, ssize_t (*take)(int fd, char *into, size_t length))
{
    char *buffer;
    int error = buffers_new(job->chunk, &buffer);

    if (error < 0)
        return error;
    for (uint64_t done = 0; done < job->bytes && error == 0;) {
        const ssize_t got = take(job->in, buffer, piece(job, done));
        if (got <= 0 && got != -EINTR)
            error = got < 0 ? (int)got : -ENODATA;
        done += got > 0 ? (uint64_t)got : 0;
    }
    free(buffer);
    return error;
}

int way_read(struct job *job)
{
    return take_all(job, take_read);
}

int way_vmsplice_in(struct job *job)
{
    return take_all(job, take_vmsplice);
}

/* ---- by mapping ---- */

/* A byte of each page, which is what makes it come. */
static unsigned touch(const volatile char *bytes, size_t length, size_t page)
{
    unsigned sum = 0;
    for (size_t at = 0; at < length; at += page)
        sum += (unsigned char)bytes[at];
    return sum;
}

/* A file's pages, mapped a chunk at a time, and touched. */
int way_mmap(struct job *job)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const bool alone = job->cell->warmth == WARMTH_ALONE;

    if (job->chunk % page) {
        snprintf(job->reason, sizeof job->reason, "what is mapped begins with a page");
        return -EINVAL;
    }
    for (uint64_t done = 0; done < job->bytes; done += job->chunk) {
        const size_t length = piece(job, done);
        void *window;
        const int error = sys_mmap(length, PROT_READ, MAP_SHARED, job->in, (int64_t)done, &window);
        if (error < 0)
            return error;
        sys_madvise(window, length, alone ? MADV_RANDOM : MADV_SEQUENTIAL);
        touch(window, length, page);
        sys_munmap(window, length);
    }
    return 0;
}

/* ---- TCP_ZEROCOPY_RECEIVE, by the library ---- */

static int receive_all(struct job *job, sluice_receiver *receiver)
{
    for (uint64_t done = 0; done < job->bytes;) {
        const void *bytes;
        const ssize_t got = sluice_receiver_next(receiver, &bytes);
        if (got == -EAGAIN) {
            struct pollfd input = {.fd = job->in, .events = POLLIN};
            sys_poll(&input, 1, NULL);
        } else if (got <= 0 && got != -EINTR) {
            return got < 0 ? (int)got : -ENODATA;
        }
        done += got > 0 ? (uint64_t)got : 0;
    }
    return 0;
}

/* Where the segments were no whole pages they were read: then this way was not measured. */
static int take_choice(struct job *job, const sluice_receiver *receiver)
{
    struct sluice_receiver_choice choice = {.size = sizeof choice};
    uint64_t mapped = 0;

    for (unsigned i = 0; sluice_receiver_choice(receiver, i, &choice) == 0; i++) {
        if (choice.way != SLUICE_RECEIVE_MAP)
            continue;
        mapped = choice.bytes;
        if (mapped == 0 && choice.error < 0)
            return choice.error;
    }
    if (mapped < job->bytes / 2) {
        snprintf(job->reason, sizeof job->reason,
                 "most segments are not of whole pages, which alone can be mapped");
        return -EOPNOTSUPP;
    }
    job->copies = 1 - (double)mapped / (double)job->bytes;
    job->proven = true; /* the kernel says of each piece whether it was mapped */
    return 0;
}

int way_zerocopy_receive(struct job *job)
{
    const struct sluice_receiver_options options = {
        .size = sizeof options, .prefer = SLUICE_RECEIVE_MAP, .window = job->chunk};
    sluice_endpoint *source = NULL;
    sluice_receiver *receiver = NULL;
    int error;
    sluice_context *context = sluice_context_new(NULL, &error);

    if (!context)
        return error;
    error = sluice_endpoint_from_fd(context, job->in, SLUICE_BORROW, &source);
    if (error == 0)
        error = sluice_receiver_new(context, source, &options, &receiver);
    if (error == 0)
        error = receive_all(job, receiver);
    if (error == 0)
        error = take_choice(job, receiver);
    sluice_receiver_free(receiver);
    sluice_endpoint_free(source);
    sluice_context_free(context);
    return error;
}
