/* SPDX-License-Identifier: MIT */
#include "alignment.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sys.h"

enum {
    LEAST = 512,
    MOST = 65536, /* no device is known to want more */
};

bool alignment_matters(const struct sluice_endpoint *endpoint)
{
    return (endpoint->medium & (MEDIUM_FILE | MEDIUM_REMOTE | MEDIUM_BLOCK | MEDIUM_DIRECT)) &&
           strcmp(endpoint->name, "tmpfs") != 0 && strcmp(endpoint->name, "ramfs") != 0;
}

int alignment_open(const struct sluice_endpoint *endpoint)
{
    int fd;

    if (endpoint->flags & O_DIRECT)
        return endpoint->fd;
    do
        fd = endpoint_reopen(endpoint, (endpoint->flags & O_ACCMODE) | O_DIRECT);
    while (fd == -EINTR);
    return fd;
}

/* Doubles the alignment until a read of one piece is taken. Nothing is taken from the source by it:
 * it has an offset of its own. */
static int try(int direct, size_t *align)
{
    void *memory;
    ssize_t value = 0;

    if (posix_memalign(&memory, MOST, MOST) != 0)
        return -ENOMEM;
    while (*align <= MOST) {
        value = sys_pread(direct, memory, *align, 0);
        if (value == -EINTR)
            continue;
        if (value != -EINVAL)
            break;
        *align *= 2;
    }
    free(memory);
    return value == -EINVAL ? -EINVAL : 0; /* another error is told by the transfer's own reads */
}

/* The file system's block is one that it surely takes; a device's own may be smaller. */
static size_t guess(const struct sluice_endpoint *endpoint, int direct)
{
    size_t guessed = endpoint->block;
    int block = 0;

    if (endpoint->kind == SLUICE_KIND_BLOCK && sys_ioctl(direct, BLKSSZGET, &block) >= 0)
        guessed = (size_t)block;
    size_t align = LEAST;
    while (align < guessed && align < MOST)
        align *= 2;
    return align;
}

int alignment_find(const struct sluice_endpoint *endpoint, int direct, size_t *ret)
{
    uint32_t memory = 0, offset = 0;

    if (sys_direct_alignment(direct, &memory, &offset) >= 0) {
        *ret = memory > offset ? memory : offset;
        return offset == 0 || *ret > MOST ? -EINVAL : 0;
    }
    *ret = guess(endpoint, direct);
    return (endpoint->flags & O_ACCMODE) == O_WRONLY ? 0 : try(direct, ret);
}

int alignment_check(const struct sluice_endpoint *endpoint)
{
    uint32_t memory = 0, offset = 0;
    const int fd = alignment_open(endpoint);

    if (fd < 0)
        return fd;
    const int error = sys_direct_alignment(fd, &memory, &offset);
    if (fd != endpoint->fd)
        sys_close(fd);
    return error >= 0 && offset == 0 ? -EINVAL : 0;
}

size_t alignment_request(const struct sluice_endpoint *endpoint)
{
    unsigned pieces;
    return sys_device_pieces(endpoint->fd, &pieces) < 0 ? 0
                                                        : pieces * (size_t)sysconf(_SC_PAGESIZE);
}
