/* SPDX-License-Identifier: MIT */
#include "descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int own_descriptor(int fd)
{
    if (fd < 0)
        return -errno;
    if (fd > 2)
        return fd;
    const int higher = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    const int error = -errno;
    close(fd);
    return higher < 0 ? error : higher;
}
