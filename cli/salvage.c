/* SPDX-License-Identifier: MIT */
#include "salvage.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Above what can be parked at once: a private pipe, or a buffer. */
enum { SPACE = 4 << 20 };

int salvage_open(struct salvage *salvage, const char *path)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    *salvage = (struct salvage){.fd = fd, .path = path};
    const int error = posix_fallocate(fd, 0, SPACE);
    if (error)
        salvage_close(salvage);
    return -error;
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
    if (written <= 0 || ftruncate(salvage->fd, written) < 0)
        unlink(salvage->path);
    close(salvage->fd);
    salvage->fd = -1;
}
