/* SPDX-License-Identifier: MIT */
#include "place.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../sys.h"

#ifndef STATX_MNT_ID
#define STATX_MNT_ID 0x1000U
#endif

/* ---- mounts ---- */

struct mount {
    char options[PLACE_TEXT]; /* the mount's, then the file system's that say more */
    char source[PLACE_TEXT];
};

/* "36 35 98:0 /root /mnt rw,noatime shared:1 - ext4 /dev/vda rw,errors=continue" */
static bool parse_mount(char *line, unsigned long long id, struct mount *ret)
{
    char options[PLACE_TEXT], more[PLACE_TEXT];
    unsigned long long own;
    const char *rest = strstr(line, " - ");

    if (!rest || sscanf(line, "%llu %*s %*s %*s %*s %255s", &own, options) != 2 || own != id)
        return false;
    const int found = sscanf(rest, " - %*s %255s %255s", ret->source, more);
    if (found < 1)
        return false;
    const char *extra = found == 2 ? strchr(more, ',') : NULL; /* after "rw" or "ro" */
    snprintf(ret->options, sizeof ret->options, "%s%s", options, extra ? extra : "");
    return true;
}

static int find_mount(unsigned long long id, struct mount *ret)
{
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    char *line = NULL;
    size_t room = 0;
    bool found = false;

    if (!mounts)
        return -errno;
    while (!found && getline(&line, &room, mounts) > 0)
        found = parse_mount(line, id, ret);
    free(line);
    fclose(mounts);
    return found ? 0 : -ENOENT;
}

static int mount_of(int fd, struct mount *ret)
{
    struct statx status;

    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &status) < 0)
        return -errno;
    return status.stx_mask & STATX_MNT_ID ? find_mount(status.stx_mnt_id, ret) : -ENOSYS;
}

/* Without /proc it is the file system's name alone. */
static void describe_mount(int fd, const char *name, char text[PLACE_TEXT])
{
    struct mount mount;

    const int error = mount_of(fd, &mount);
    if (error == -ENOENT && strcmp(name, "tmpfs") == 0 && access("/proc/self/mountinfo", R_OK) == 0)
        snprintf(text, PLACE_TEXT, PLACE_MEMFD);
    else if (error == 0)
        snprintf(text, PLACE_TEXT, "%s %.*s", name, 80, mount.options);
    else
        snprintf(text, PLACE_TEXT, "%s", name);
}

/* ---- devices ---- */

static bool loop_behind(const char *directory, int depth)
{
    char path[512];
    bool found = false;

    snprintf(path, sizeof path, "%s/loop", directory);
    if (access(path, F_OK) == 0)
        return true;
    snprintf(path, sizeof path, "%s/../loop", directory); /* of a partition */
    if (access(path, F_OK) == 0)
        return true;
    snprintf(path, sizeof path, "%s/slaves", directory);
    DIR *slaves = depth < 8 ? opendir(path) : NULL;
    for (const struct dirent *entry; slaves && !found && (entry = readdir(slaves));)
        if (entry->d_name[0] != '.' && snprintf(path, sizeof path, "%s/slaves/%s", directory,
                                                entry->d_name) < (int)sizeof path)
            found = loop_behind(path, depth + 1);
    if (slaves)
        closedir(slaves);
    return found;
}

/* btrfs and its like have an st_dev of their own: then the mount says which device it is. */
static dev_t device_behind(int fd)
{
    struct stat status;
    struct mount mount;

    if (fstat(fd, &status) < 0)
        return 0;
    if (major(status.st_dev) != 0)
        return status.st_dev;
    const bool named = mount_of(fd, &mount) == 0 && mount.source[0] == '/';
    return named && stat(mount.source, &status) == 0 && S_ISBLK(status.st_mode) ? status.st_rdev
                                                                                : 0;
}

static void describe_device(struct place *place)
{
    char path[64];

    if (!place->device)
        return;
    snprintf(path, sizeof path, "/sys/dev/block/%u:%u", major(place->device), minor(place->device));
    /* What /sys does not show is taken for the worse. */
    place->loop = access(path, F_OK) != 0 || loop_behind(path, 0);
}

int place_sectors(const struct place *place, unsigned long long ret[2])
{
    char path[64];

    if (!place->device)
        return -ENODEV;
    snprintf(path, sizeof path, "/sys/dev/block/%u:%u/stat", major(place->device),
             minor(place->device));
    FILE *file = fopen(path, "re");
    if (!file)
        return -errno;
    const int found = fscanf(file, "%*u %*u %llu %*u %*u %*u %llu", &ret[0], &ret[1]);
    fclose(file);
    return found == 2 ? 0 : -EINVAL;
}

/* ---- scratch ---- */

int place_open(const char *directory, struct place *ret)
{
    sluice_endpoint *endpoint;
    struct sluice_endpoint_info info = {.size = sizeof info};
    const int fd =
        fd_above_standard(open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK));

    if (fd < 0)
        return -errno;
    int error = sluice_endpoint_from_directory(NULL, fd, O_RDWR, &endpoint);
    if (error < 0) {
        sys_close(fd);
        return error;
    }
    sluice_endpoint_describe(endpoint, &info);
    sluice_endpoint_free(endpoint);
    *ret = (struct place){.directory = fd, .path = directory, .name = info.name};
    describe_mount(fd, info.name, ret->text);
    ret->device = device_behind(fd);
    describe_device(ret);
    return 0;
}

static void name_device(dev_t device, char text[PLACE_TEXT])
{
    snprintf(text, PLACE_TEXT, "block %u:%u", major(device), minor(device));
}

int place_open_device(const char *path, struct place *ret)
{
    struct stat status;

    if (stat(path, &status) < 0)
        return -errno;
    if (!S_ISBLK(status.st_mode))
        return -ENOTBLK;
    *ret = (struct place){.directory = -1, .path = path, .name = "block", .device = status.st_rdev};
    name_device(status.st_rdev, ret->text);
    describe_device(ret);
    return 0;
}

void place_close(struct place *place)
{
    if (place->directory >= 0)
        sys_close(place->directory);
}

/* Where there is no O_TMPFILE (FUSE, NFS) the file has a name for a moment. */
static int named_scratch(const struct place *place)
{
    char name[64];

    for (int attempt = 0; attempt < 100; attempt++) {
        snprintf(name, sizeof name, ".sluice-probe.%d.%d", (int)getpid(), attempt);
        const int fd = openat(place->directory, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd >= 0)
            return unlinkat(place->directory, name, 0) == 0 ? fd : (close(fd), -EIO);
        if (errno != EEXIST)
            return -errno;
    }
    return -EEXIST;
}

int place_scratch(const struct place *place)
{
    if (place->directory < 0) /* O_EXCL: nobody else's, mounted or not */
        return fd_above_standard(sys_open(place->path, O_RDWR | O_EXCL | O_CLOEXEC));
    const int fd = openat(place->directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd_above_standard(fd);
    const int error = -errno;
    const bool lacking = error == -EOPNOTSUPP || error == -EISDIR || error == -ENOSYS ||
                         error == -ENOENT || error == -EINVAL;
    return lacking ? fd_above_standard(named_scratch(place)) : error;
}

/* ---- endpoints ---- */

static bool is_loopback(const struct sockaddr_storage *address)
{
    const struct sockaddr_in *four = (const void *)address;
    const struct sockaddr_in6 *six = (const void *)address;

    return address->ss_family == AF_INET ? ntohl(four->sin_addr.s_addr) >> 24 == 127
                                         : IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
}

static bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)b;
    const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;

    return a->ss_family == AF_INET ? a4->sin_addr.s_addr == b4->sin_addr.s_addr
                                   : IN6_ARE_ADDR_EQUAL(&a6->sin6_addr, &b6->sin6_addr);
}

/* To an address of this machine it is by loopback, whatever interface has the address. */
static const char *place_of_socket(const struct sluice_endpoint *endpoint)
{
    struct sockaddr_storage own, peer;
    socklen_t own_length = sizeof own, peer_length = sizeof peer;

    if (endpoint->family != AF_INET && endpoint->family != AF_INET6)
        return "";
    if (getsockname(endpoint->fd, (struct sockaddr *)&own, &own_length) < 0 ||
        getpeername(endpoint->fd, (struct sockaddr *)&peer, &peer_length) < 0)
        return "?";
    if (own.ss_family != peer.ss_family || !(is_loopback(&own) || same_address(&own, &peer)))
        return "?";
    return own.ss_family == AF_INET ? PLACE_LOOPBACK : PLACE_IPV6;
}

static bool depends_on_place(const struct sluice_endpoint *endpoint)
{
    return endpoint->kind == SLUICE_KIND_REGULAR || endpoint->family == AF_INET ||
           endpoint->family == AF_INET6;
}

void place_of(const struct sluice_endpoint *endpoint, char text[PLACE_TEXT])
{
    if (endpoint->place)
        snprintf(text, PLACE_TEXT, "%s", endpoint->place);
    else if (endpoint->fd < 0)
        snprintf(text, PLACE_TEXT, "%s", depends_on_place(endpoint) ? "?" : "");
    else if (endpoint->kind == SLUICE_KIND_BLOCK)
        name_device(endpoint->device, text);
    else if (endpoint->kind == SLUICE_KIND_REGULAR)
        describe_mount(endpoint->fd, endpoint->name, text);
    else if (endpoint->medium & MEDIA_SOCKETS)
        snprintf(text, PLACE_TEXT, "%s", place_of_socket(endpoint));
    else
        text[0] = '\0';
}

void place_join(const char *from, const char *to, char text[PLACE_TEXT])
{
    const bool both = *from && *to && strcmp(from, to) != 0;
    snprintf(text, PLACE_TEXT, "%.120s%s%.120s", from, both ? "; " : "", both || !*from ? to : "");
}
