/* SPDX-License-Identifier: MIT */
/* POSIX asynchronous I/O: glibc's, by threads. */
#include <aio.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ways.h"

struct reading {
    struct job *job;
    char *buffer;
    struct aiocb block[DEPTH];
    uint64_t asked; /* so many bytes of the source */
};

static int ask(struct reading *reading, unsigned slot)
{
    const struct job *job = reading->job;
    struct aiocb *block = &reading->block[slot];

    memset(block, 0, sizeof *block);
    if (reading->asked >= job->bytes)
        return 0;
    block->aio_fildes = job->in;
    block->aio_buf = reading->buffer + (size_t)slot * job->chunk;
    block->aio_nbytes = job->chunk;
    block->aio_offset = (off_t)reading->asked;
    block->aio_sigevent.sigev_notify = SIGEV_NONE;
    reading->asked += job->chunk;
    return aio_read(block) < 0 ? -errno : 0;
}

static ssize_t await(struct aiocb *block)
{
    const struct aiocb *const list[] = {block};

    while (aio_error(block) == EINPROGRESS)
        if (aio_suspend(list, 1, NULL) < 0 && errno != EINTR)
            return -errno;
    const int error = aio_error(block);
    const ssize_t value = aio_return(block);
    return error ? -error : value;
}

int way_aio(struct job *job)
{
    const struct aioinit threads = {.aio_threads = DEPTH, .aio_num = DEPTH};
    struct reading reading = {.job = job};
    int error = buffers_new(job->chunk, &reading.buffer);

    if (error < 0)
        return error;
    aio_init(&threads);
    for (unsigned slot = 0; slot < DEPTH && error == 0; slot++)
        error = ask(&reading, slot);
    uint64_t done = 0;
    for (unsigned slot = 0; done < job->bytes && error == 0; slot = (slot + 1) % DEPTH) {
        const ssize_t got = await(&reading.block[slot]);
        if (got <= 0) {
            error = got < 0 ? (int)got : -ENODATA;
            break;
        }
        error = deliver(job, reading.buffer + (size_t)slot * job->chunk, (size_t)got);
        done += (uint64_t)got;
        if (error == 0)
            error = ask(&reading, slot);
    }
    aio_cancel(job->in, NULL); /* the process ends: what is still under way ends with it */
    if (error == 0)
        free(reading.buffer);
    return error;
}
