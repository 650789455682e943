/* SPDX-License-Identifier: MIT */
#include "hazards.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../sys.h"

static int zeros_in(const char *bytes, size_t length)
{
    int found = 0;
    for (size_t i = 0; i < length; i++)
        found += bytes[i] == 0;
    return found;
}

static int close_it(int *fd)
{
    const int error = sys_close(*fd); /* without a name, that is the end of the file */
    *fd = -1;
    return error;
}

static int truncate_it(int *fd)
{
    return ftruncate(*fd, 6000) < 0 ? -errno : 0;
}

static int empty_it(int *fd)
{
    return ftruncate(*fd, 0) < 0 ? -errno : 0;
}

static int punch_it(int *fd)
{
    return fallocate(*fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1000, 10000) < 0 ? -errno : 0;
}

static const struct hazard {
    const char *name;
    int (*happen)(int *fd);
} hazards[] = {
    {"file closed and unlinked", close_it},
    {"file truncated to 0", empty_it},
    {"file truncated to 6,000 bytes", truncate_it},
    {"hole of 10,000 bytes punched", punch_it},
};

enum { HAZARD_BYTES = 16384 };

/* Returns how many of the bytes that a pipe holds have become zero, or a negative errno. */
static int bytes_lost(const struct hazard *hazard, const struct place *place)
{
    char bytes[HAZARD_BYTES];
    int fds[2], fd = place_scratch(place);

    if (fd < 0)
        return fd;
    memset(bytes, 'A', sizeof bytes);
    int error = (int)sys_pwrite(fd, bytes, sizeof bytes, 0);
    if (error >= 0)
        error = error == HAZARD_BYTES ? sys_pipe2(fds, O_CLOEXEC | O_NONBLOCK) : -EIO;
    if (error >= 0) {
        int64_t offset = 0;
        error = (int)sys_splice(fd, &offset, fds[1], NULL, sizeof bytes, SPLICE_F_NONBLOCK);
        if (error >= 0)
            error = hazard->happen(&fd);
        if (error >= 0)
            error = (int)sys_read(fds[0], bytes, sizeof bytes);
        if (error >= 0)
            error = zeros_in(bytes, (size_t)error);
        sys_close(fds[0]);
        sys_close(fds[1]);
    }
    if (fd >= 0)
        sys_close(fd);
    return error;
}

void hazards_measure(struct sluice_probe *probe, const struct place *place)
{
    char group[PROBE_TEXT];

    snprintf(group, sizeof group, "pages of %s in a pipe", place->name);
    for (const struct hazard *hazard = hazards; hazard < hazards + sizeof hazards / sizeof *hazards;
         hazard++) {
        const int lost = bytes_lost(hazard, place);
        if (lost < 0)
            probe_add_fact(probe, group, hazard->name, -1, lost, "not tried: %s", strerror(-lost));
        else
            probe_add_fact(probe, group, hazard->name, lost, 0,
                           lost ? "%d of %d bytes became zero" : "intact", lost, HAZARD_BYTES);
    }
}
