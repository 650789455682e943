/* SPDX-License-Identifier: MIT */
#include "facts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../sys.h"
#include "place.h"

/* Newer than the headers that this may be built with. */
#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif
#ifndef RWF_DONTCACHE
#define RWF_DONTCACHE 0x80
#endif
#ifndef TCP_ULP
#define TCP_ULP 31
#endif

#define MACHINE "this machine"

/* ---- numbers that the kernel keeps in files ---- */

static int read_number(const char *path, int64_t *ret)
{
    char text[32] = "";
    const int fd = sys_open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return fd;
    const ssize_t value = sys_read(fd, text, sizeof text - 1);
    sys_close(fd);
    if (value <= 0)
        return value < 0 ? (int)value : -EINVAL;
    *ret = strtoll(text, NULL, 10);
    return 0;
}

static const struct setting {
    const char *group, *name, *path, *words; /* words: with one %lld */
} settings[] = {
    {"pipes", "largest", "/proc/sys/fs/pipe-max-size", "%lld bytes, without CAP_SYS_RESOURCE"},
    {"pipes", "soft limit of a user", "/proc/sys/fs/pipe-user-pages-soft",
     "%lld pages: beyond them new pipes are small and none can grow"},
    {"pipes", "hard limit of a user", "/proc/sys/fs/pipe-user-pages-hard",
     "%lld pages (0: none): beyond them there are no new pipes"},
    {"memory", "optmem of a socket", "/proc/sys/net/core/optmem_max",
     "%lld bytes for the notifications of zero-copy sends"},
    {"io_uring", "sysctl", "/proc/sys/kernel/io_uring_disabled",
     "kernel.io_uring_disabled is %lld (0: on, 1: for a group, 2: off)"},
    {"tracing", "perf_event_paranoid", "/proc/sys/kernel/perf_event_paranoid",
     "%lld (above 1: no samples of the kernel without CAP_PERFMON)"},
};

static void add_settings(struct sluice_probe *probe)
{
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        const struct setting *setting = &settings[i];
        int64_t number = 0;
        const int error = read_number(setting->path, &number);
        char text[PROBE_TEXT];

        if (error < 0) {
            probe_add_fact(probe, setting->group, setting->name, -1, error, "%s: %s", setting->path,
                           strerror(-error));
            continue;
        }
        const char *rest = strstr(setting->words, "%lld") + 4;
        snprintf(text, sizeof text, "%.*s%lld%s", (int)(rest - 4 - setting->words), setting->words,
                 (long long)number, rest);
        probe_add_fact(probe, setting->group, setting->name, number, 0, "%s", text);
    }
}

/* ---- pipes ---- */

/* What a new pipe gets, and whether it can grow, tells whether this user's budget is spent; how
 * much is left is told only as far as a few pipes show it: taking all would starve others. */
static void add_pipes(struct sluice_probe *probe)
{
    enum { TRIED = 4, LARGE = 1 << 20 };
    int fds[TRIED][2], opened = 0, error = 0;
    int64_t given = -1, grown = 0;

    for (; opened < TRIED; opened++) {
        error = sys_pipe2(fds[opened], O_CLOEXEC);
        if (error < 0)
            break;
        const int size = sys_fcntl(fds[opened][0], F_GETPIPE_SZ, 0);
        given = given < 0 || size < given ? size : given;
        const int larger = sys_fcntl(fds[opened][0], F_SETPIPE_SZ, LARGE);
        grown += larger > 0 ? larger : 0;
        if (larger < 0)
            error = larger;
    }
    for (int i = 0; i < opened; i++) {
        sys_close(fds[i][0]);
        sys_close(fds[i][1]);
    }
    if (given > 0)
        probe_add_fact(probe, "pipes", "a new one has", given, 0, "%lld bytes", (long long)given);
    if (error < 0)
        probe_add_fact(probe, "pipes", "left of the budget", grown, error,
                       "%lld bytes in large pipes, then: %s", (long long)grown, strerror(-error));
    else
        probe_add_fact(probe, "pipes", "left of the budget", grown, 0,
                       "at least %lld bytes in large pipes", (long long)grown);
}

/* ---- memory, and calls that may be forbidden ---- */

static void add_memory(struct sluice_probe *probe)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY)
        probe_add_fact(probe, "memory", "RLIMIT_MEMLOCK", -1, 0, "unlimited");
    else
        probe_add_fact(probe, "memory", "RLIMIT_MEMLOCK", (int64_t)limit.rlim_cur, 0,
                       "%lld bytes may be pinned by zero-copy sends", (long long)limit.rlim_cur);
    probe_add_fact(probe, "memory", "page", sysconf(_SC_PAGESIZE), 0, "%ld bytes",
                   sysconf(_SC_PAGESIZE));
}

static void add_call(struct sluice_probe *probe, const char *name, int error)
{
    /* Nonsense was asked for: what the call itself says of that is that it is there. */
    if (error == -ENOSYS || error == -EPERM)
        probe_add_fact(probe, "calls", name, 0, error, "refused: %s%s", strerror(-error),
                       error == -EPERM ? " (a seccomp filter?)" : "");
    else
        probe_add_fact(probe, "calls", name, 1, 0, "works");
}

static void add_calls(struct sluice_probe *probe)
{
    add_call(probe, "splice", (int)sys_splice(-1, NULL, -1, NULL, 1, 0));
    add_call(probe, "tee", (int)sys_tee(-1, -1, 1, 0));
    add_call(probe, "vmsplice", (int)sys_vmsplice(-1, &(struct iovec){0}, 1, 0));
    add_call(probe, "sendfile", (int)sys_sendfile(-1, -1, NULL, 1));
    add_call(probe, "copy_file_range", (int)sys_copy_file_range(-1, NULL, -1, NULL, 1));
    add_call(probe, "cachestat", syscall(SYS_cachestat, -1, NULL, NULL, 0) < 0 ? -errno : 0);
}

/* ---- io_uring, kTLS, FUSE ---- */

static const char *who_refuses_ring(int error)
{
    int64_t sysctl = -1;
    const bool known = read_number("/proc/sys/kernel/io_uring_disabled", &sysctl) == 0;

    if (error == -ENOSYS)
        return " (not built in, or a seccomp filter)";
    if (error != -EPERM)
        return "";
    return !known        ? " (a sysctl, or a seccomp filter)"
           : sysctl == 0 ? " (a seccomp filter: the sysctl allows it)"
                         : " (the sysctl kernel.io_uring_disabled)";
}

static void add_ring(struct sluice_probe *probe)
{
    struct io_uring_params parameters = {0};
    const int fd = (int)syscall(SYS_io_uring_setup, 1, &parameters);
    const int error = fd < 0 ? -errno : 0;

    if (fd >= 0)
        close(fd);
    if (error < 0)
        probe_add_fact(probe, "io_uring", "works", 0, error, "no: %s%s", strerror(-error),
                       who_refuses_ring(error));
    else
        probe_add_fact(probe, "io_uring", "works", 1, 0, "yes");
}

static int try_tls(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int error = listener < 0 || client < 0 ||
                        bind(listener, (struct sockaddr *)&address, sizeof address) < 0 ||
                        listen(listener, 1) < 0 ||
                        getsockname(listener, (struct sockaddr *)&address, &length) < 0 ||
                        connect(client, (struct sockaddr *)&address, length) < 0 ||
                        setsockopt(client, IPPROTO_TCP, TCP_ULP, "tls", sizeof "tls") < 0
                    ? -errno
                    : 0;
    if (listener >= 0)
        close(listener);
    if (client >= 0)
        close(client);
    return error;
}

static void add_yes_or_no(struct sluice_probe *probe, const char *group, const char *name,
                          int error)
{
    if (error < 0)
        probe_add_fact(probe, group, name, 0, error, "no: %s", strerror(-error));
    else
        probe_add_fact(probe, group, name, 1, 0, "yes");
}

static int try_fuse(void)
{
    const int fd = sys_open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fd >= 0)
        sys_close(fd);
    return fd < 0 ? fd : 0;
}

void facts_of_machine(struct sluice_probe *probe)
{
    add_settings(probe);
    add_pipes(probe);
    add_memory(probe);
    add_ring(probe);
    add_calls(probe);
    add_yes_or_no(probe, MACHINE, "kTLS", try_tls());
    add_yes_or_no(probe, MACHINE, "FUSE", try_fuse());
}

/* ---- a file system ---- */

static int try_dontcache(int fd)
{
    char byte = 1;
    const struct iovec bytes = {.iov_base = &byte, .iov_len = 1};
    return pwritev2(fd, &bytes, 1, 0, RWF_DONTCACHE) < 0 ? -errno : 0;
}

static int try_cachestat(int fd)
{
    struct {
        uint64_t offset, length;
    } range = {0, 4096};
    uint64_t answer[5];
    return syscall(SYS_cachestat, fd, &range, answer, 0) < 0 ? -errno : 0;
}

static int try_direct(int fd)
{
    const int flags = sys_fcntl(fd, F_GETFL, 0);
    return flags < 0 ? flags : sys_fcntl(fd, F_SETFL, flags | O_DIRECT);
}

static void add_alignment(struct sluice_probe *probe, const char *group, int fd)
{
#ifdef STATX_DIOALIGN
    struct statx status;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) == 0 &&
        (status.stx_mask & STATX_DIOALIGN)) {
        probe_add_fact(probe, group, "O_DIRECT alignment", status.stx_dio_offset_align, 0,
                       "offsets by %u, memory by %u bytes", status.stx_dio_offset_align,
                       status.stx_dio_mem_align);
        return;
    }
#endif
    (void)fd;
    probe_add_fact(probe, group, "O_DIRECT alignment", -1, -EOPNOTSUPP,
                   "the kernel or the headers of this build do not tell");
}

static void add_file_facts(struct sluice_probe *probe, const char *group, const struct place *place)
{
    const int fd = place_scratch(place);

    if (fd < 0) {
        probe_add_fact(probe, group, "scratch file", -1, fd, "none can be made: %s", strerror(-fd));
        return;
    }
    add_yes_or_no(probe, group, "RWF_DONTCACHE", try_dontcache(fd));
    add_yes_or_no(probe, group, "cachestat", try_cachestat(fd));
    add_yes_or_no(probe, group, "O_DIRECT", try_direct(fd));
    add_alignment(probe, group, fd);
    sys_close(fd);
}

void facts_of_directory(struct sluice_probe *probe, const char *directory)
{
    struct place place;
    char group[PROBE_TEXT];

    if (place_open(directory, &place) < 0)
        return; /* it has been said that nothing can be measured there */
    snprintf(group, sizeof group, "%.120s at %.100s", place.name, directory);
    probe_add_fact(probe, group, "mount", -1, 0, "%s", place.text);
    probe_add_fact(probe, group, "block device", place.device ? 1 : 0, 0, "%s",
                   !place.device ? "none behind it"
                   : place.loop  ? "a loop device is behind it: its worker copies"
                                 : "yes, and no loop device");
    add_file_facts(probe, group, &place);
    place_close(&place);
}
