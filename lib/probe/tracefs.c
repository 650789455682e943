/* SPDX-License-Identifier: MIT */
#include "tracefs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../sys.h"

int tracefs_open(void)
{
    static const char *const paths[] = {"/sys/kernel/tracing/events",
                                        "/sys/kernel/debug/tracing/events"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        const int fd = open(paths[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0)
            return fd;
    }
    const int file_system = (int)syscall(SYS_fsopen, "tracefs", 1 /* FSOPEN_CLOEXEC */);
    if (file_system < 0)
        return -errno;
    int mount = -1, error = 0;
    if (syscall(SYS_fsconfig, file_system, 6 /* FSCONFIG_CMD_CREATE */, NULL, NULL, 0) < 0)
        error = -errno;
    else if ((mount = (int)syscall(SYS_fsmount, file_system, 1 /* FSMOUNT_CLOEXEC */, 0)) < 0)
        error = -errno;
    close(file_system);
    if (error < 0)
        return error;
    const int events = openat(mount, "events", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    error = events < 0 ? -errno : events;
    close(mount);
    return error;
}

int tracefs_read(int events, const char *path, char *text, size_t size)
{
    const int fd = openat(events, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    const ssize_t value = sys_read(fd, text, size - 1);
    sys_close(fd);
    text[value > 0 ? value : 0] = '\0';
    return value < 0 ? (int)value : 0;
}

int tracefs_event(int events, const char *name, struct perf_event_attr *attributes, unsigned ring,
                  struct perf_event *ret)
{
    char path[128], text[32];

    snprintf(path, sizeof path, "%s/id", name);
    const int error = tracefs_read(events, path, text, sizeof text);
    if (error < 0)
        return error;
    attributes->type = PERF_TYPE_TRACEPOINT;
    attributes->config = strtoull(text, NULL, 10);
    return perf_open(ret, attributes, ring);
}

int tracefs_open_event(const char *name, struct perf_event_attr *attributes, unsigned ring,
                       struct perf_event *ret)
{
    const int events = tracefs_open();
    if (events < 0)
        return events;
    const int error = tracefs_event(events, name, attributes, ring, ret);
    close(events);
    return error;
}
