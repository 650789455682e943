/* SPDX-License-Identifier: MIT */
#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/sys.h"

static int write_file(const char *directory, const char *name, const char *text)
{
    char path[640];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    const int fd = sys_open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return fd;
    const ssize_t written = sys_write(fd, text, strlen(text));
    sys_close(fd);
    return written < 0 ? (int)written : 0;
}

/* "4:memory:/some/where": what follows the second colon, of the line that has the controller; "0::/" is
 * that of version 2. */
static bool own_path(const char *controller, char *ret, size_t size)
{
    char line[512];
    FILE *file = fopen("/proc/self/cgroup", "re");
    bool found = false;

    while (file && !found && fgets(line, sizeof line, file)) {
        char *first = strchr(line, ':'), *second = first ? strchr(first + 1, ':') : NULL;
        if (!second)
            continue;
        *second = '\0';
        found = strcmp(first + 1, controller) == 0;
        if (found)
            snprintf(ret, size, "%.*s", (int)strcspn(second + 1, "\n"), second + 1);
    }
    if (file)
        fclose(file);
    return found;
}

static int start_janitor(struct cgroup *cgroup)
{
    int fds[2];
    int error = sys_pipe2(fds, O_CLOEXEC);

    if (error < 0)
        return error;
    cgroup->janitor = fork();
    if (cgroup->janitor == 0) {
        char byte;
        setsid(); /* what is sent to the group of the others is not meant */
        signal(SIGINT, SIG_IGN);
        signal(SIGTERM, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        sys_close(fds[1]);
        while (sys_read(fds[0], &byte, 1) == -EINTR)
            ;
        for (int tries = 0; tries < 500 && rmdir(cgroup->path) < 0 && errno == EBUSY; tries++)
            usleep(10000);
        _exit(0);
    }
    error = cgroup->janitor < 0 ? -errno : 0;
    sys_close(fds[0]);
    cgroup->alive = fds[1];
    if (error < 0)
        sys_close(fds[1]);
    return error;
}

/* A container may see the root as its own place, whatever it is called. */
static void choose_path(const char *root, const char *own, struct cgroup *ret)
{
    snprintf(ret->path, sizeof ret->path, "%s%.300s", root, strcmp(own, "/") == 0 ? "" : own);
    if (access(ret->path, F_OK) < 0)
        snprintf(ret->path, sizeof ret->path, "%s", root);
    const size_t at = strlen(ret->path);
    snprintf(ret->path + at, sizeof ret->path - at, "/sluice-bench.%d", (int)getpid());
}

int cgroup_new(uint64_t limit, struct cgroup *ret)
{
    char own[512], text[32];
    const bool first = own_path("memory", own, sizeof own); /* version 1 */

    if (!first && !own_path("", own, sizeof own))
        return -ENOENT;
    choose_path(first ? "/sys/fs/cgroup/memory" : "/sys/fs/cgroup", own, ret);
    int error = start_janitor(ret); /* before there is anything to remove */
    if (error < 0)
        return error;
    error = mkdir(ret->path, 0755) < 0 ? -errno : 0;
    snprintf(text, sizeof text, "%llu", (unsigned long long)limit);
    if (error == 0)
        error = write_file(ret->path, first ? "memory.limit_in_bytes" : "memory.max", text);
    if (error < 0)
        cgroup_free(ret);
    return error;
}

int cgroup_join(const struct cgroup *cgroup)
{
    return write_file(cgroup->path, "cgroup.procs", "0");
}

void cgroup_free(struct cgroup *cgroup)
{
    sys_close(cgroup->alive);
    while (waitpid(cgroup->janitor, NULL, 0) < 0 && errno == EINTR)
        ;
}
