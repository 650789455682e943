/* SPDX-License-Identifier: MIT */
#include "salvage.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "descriptor.h"
#include "message.h"

enum {
    PIPE_SIZE = 1 << 20, /* what the library asks for */
    /* A slot holds up to a whole fragment of a socket's buffer (seen on loopback: 64 KiB). */
    SLOT_BYTES = 64 << 10,
    SLOT_NOMINAL = 4096,
    BUFFER_BYTES = 1 << 20,
};

int salvage_open(struct salvage *salvage, const char *path, uint64_t pipe_size)
{
    const int fd = own_descriptor(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (fd < 0)
        return fd;
    *salvage = (struct salvage){.fd = fd, .path = path};
    const uint64_t slots = (pipe_size ? pipe_size : PIPE_SIZE) / SLOT_NOMINAL + 1;
    const int error = posix_fallocate(fd, 0, (off_t)(slots * SLOT_BYTES + BUFFER_BYTES));
    if (error)
        salvage_close(salvage);
    return -error;
}

bool salvage_is(const struct salvage *salvage, const char *path)
{
    struct stat own, named;
    return fstat(salvage->fd, &own) == 0 && stat(path, &named) == 0 && own.st_dev == named.st_dev &&
           own.st_ino == named.st_ino;
}

/* How much was written; less than all is a failure, and errno says which. */
static size_t write_all(int fd, const char *bytes, size_t length)
{
    size_t done = 0;

    while (done < length) {
        const ssize_t value = write(fd, bytes + done, length - done);
        if (value < 0 && errno != EINTR)
            break;
        done += value > 0 ? (size_t)value : 0;
    }
    return done;
}

void salvage_write(struct salvage *salvage, sluice_transfer *transfer)
{
    char bytes[65536];
    ssize_t value;

    while ((value = sluice_transfer_salvage(transfer, bytes, sizeof bytes)) > 0) {
        const size_t done = write_all(salvage->fd, bytes, (size_t)value);
        salvage->kept += done;
        if (done == (size_t)value)
            continue;
        salvage->lost += (size_t)value - done;
        message("cannot write the salvage file '%s': %s", salvage->path, strerror(errno));
        break;
    }
}

void salvage_close(struct salvage *salvage)
{
    if (salvage->fd < 0)
        return;
    /* Shortened also where it goes: a name that cannot be removed shall not keep the space. */
    int failed = ftruncate(salvage->fd, (off_t)salvage->kept);
    if (!salvage->kept) {
        errno = ESTALE; /* the name is another file's by now */
        failed = salvage_is(salvage, salvage->path) ? unlink(salvage->path) : -1;
    }
    if (failed)
        message("cannot %s the salvage file '%s': %s", salvage->kept ? "shorten" : "remove",
                salvage->path, strerror(errno));
    close(salvage->fd);
    salvage->fd = -1;
}
