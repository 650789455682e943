/* SPDX-License-Identifier: MIT */
#include "probe_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* "" if this user has no place for it. */
static void directory_of_cache(char path[PATH_MAX], bool make)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char parent[PATH_MAX / 2] = "";

    path[0] = '\0';
    if (cache && cache[0] == '/')
        snprintf(parent, sizeof parent, "%s", cache);
    else if (home && home[0] == '/')
        snprintf(parent, sizeof parent, "%s/.cache", home);
    if (!parent[0])
        return;
    snprintf(path, PATH_MAX, "%s/sluice", parent);
    if (make) {
        mkdir(parent, 0700);
        mkdir(path, 0700);
    }
}

static bool path_of_cache(char path[PATH_MAX], bool make)
{
    char directory[PATH_MAX];
    struct utsname kernel;

    directory_of_cache(directory, make);
    uname(&kernel);
    return directory[0] && snprintf(path, PATH_MAX, "%s/probe-%s-%u", directory, kernel.release,
                                    (unsigned)geteuid()) < PATH_MAX - 16;
}

int probe_cache_load(sluice_probe *probe)
{
    char path[PATH_MAX];
    struct stat status;

    if (!path_of_cache(path, false))
        return -ENOENT;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    int error = fstat(fd, &status) < 0 ? -errno : 0;
    if (error == 0 && (status.st_uid != geteuid() || !S_ISREG(status.st_mode)))
        error = -EPERM; /* what somebody else put there decides nothing here */
    if (error == 0)
        error = sluice_probe_load(probe, fd);
    close(fd);
    return error;
}

/* The old legs under the new ones: saving and loading is the way to add them. */
static int merge(const sluice_probe *probe, int fd)
{
    sluice_probe *all;
    int error = sluice_probe_new(&all);

    if (error < 0)
        return error;
    probe_cache_load(all);
    error = sluice_probe_save(probe, fd);
    if (error == 0)
        error = lseek(fd, 0, SEEK_SET) < 0 ? -errno : sluice_probe_load(all, fd);
    if (error == 0)
        error = lseek(fd, 0, SEEK_SET) < 0 || ftruncate(fd, 0) < 0 ? -errno
                                                                   : sluice_probe_save(all, fd);
    sluice_probe_free(all);
    return error;
}

int probe_cache_save(const sluice_probe *probe)
{
    char path[PATH_MAX], temporary[PATH_MAX];

    if (!path_of_cache(path, true))
        return 0;
    snprintf(temporary, sizeof temporary, "%.*s.XXXXXX", PATH_MAX - 8, path);
    const int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int error = merge(probe, fd);
    if (close(fd) < 0 && error == 0)
        error = -errno;
    if (error == 0 && rename(temporary, path) < 0)
        error = -errno;
    if (error < 0)
        unlink(temporary);
    return error;
}

sluice_probe *probe_cache_use(sluice_context *context)
{
    sluice_probe *probe = NULL;

    if (sluice_probe_new(&probe) < 0)
        return NULL;
    if (probe_cache_load(probe) == 0)
        sluice_context_use_probe(context, probe);
    return probe;
}

const char *probe_cache_age(uint64_t at, char text[static 32])
{
    static const struct {
        uint64_t seconds;
        const char *name;
    } units[] = {{86400, "day"}, {3600, "hour"}, {60, "minute"}};
    const uint64_t now = (uint64_t)time(NULL), age = now > at ? now - at : 0;

    snprintf(text, 32, "just now");
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        const uint64_t count = age / units[i].seconds;
        if (count > 0) {
            snprintf(text, 32, "%u %s%s ago", (unsigned)count, units[i].name,
                     count == 1 ? "" : "s");
            break;
        }
    }
    return text;
}

const char *probe_cache_known(unsigned legs, unsigned proven, uint64_t at, char text[static 64])
{
    char age[32];

    if (proven)
        snprintf(text, 64, "%slegs probed %s", proven < legs ? "some " : "",
                 probe_cache_age(at, age));
    else
        snprintf(text, 64, "classes are expected, from a table");
    return text;
}
