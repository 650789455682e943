/* SPDX-License-Identifier: MIT */
#include "salvage.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "descriptor.h"

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

static int write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        const ssize_t value = write(fd, bytes, length);
        if (value < 0 && errno != EINTR)
            return -errno;
        if (value > 0) {
            bytes += value;
            length -= (size_t)value;
        }
    }
    return 0;
}

uint64_t salvage_write(struct salvage *salvage, sluice_transfer *transfer)
{
    char bytes[65536];
    uint64_t total = 0;
    ssize_t value;

    while ((value = sluice_transfer_salvage(transfer, bytes, sizeof bytes)) > 0) {
        if (write_all(salvage->fd, bytes, (size_t)value) < 0)
            break;
        total += (uint64_t)value;
    }
    return total;
}

void salvage_close(struct salvage *salvage)
{
    if (salvage->fd < 0)
        return;
    const off_t written = lseek(salvage->fd, 0, SEEK_CUR);
    if ((written <= 0 || ftruncate(salvage->fd, written) < 0) && salvage_is(salvage, salvage->path))
        unlink(salvage->path);
    close(salvage->fd);
    salvage->fd = -1;
}
