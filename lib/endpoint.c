/* SPDX-License-Identifier: MIT */
#include "endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include "context.h"
#include "probe/place.h"
#include "sys.h"

/* From linux/magic.h where it has them; the rest are in the file systems' own sources. */
static const struct {
    uint32_t magic;
    enum medium medium;
    const char *name;
} file_systems[] = {
    {0x0000EF53, MEDIUM_FILE, "ext4"},         {0x58465342, MEDIUM_FILE, "xfs"},
    {0x9123683E, MEDIUM_FILE, "btrfs"},        {0x01021994, MEDIUM_FILE, "tmpfs"},
    {0x858458F6, MEDIUM_FILE, "ramfs"},        {0xF2F52010, MEDIUM_FILE, "f2fs"},
    {0x794C7630, MEDIUM_REMOTE, "overlay"},    {0x2FC12FC1, MEDIUM_FILE, "zfs"},
    {0xCA451A4E, MEDIUM_FILE, "bcachefs"},     {0xE0F5E1E2, MEDIUM_FILE, "erofs"},
    {0x73717368, MEDIUM_FILE, "squashfs"},     {0x00009660, MEDIUM_FILE, "iso9660"},
    {0x00004D44, MEDIUM_FILE, "vfat"},         {0x2011BAB0, MEDIUM_FILE, "exfat"},
    {0x7366746E, MEDIUM_FILE, "ntfs3"},        {0x15013346, MEDIUM_FILE, "udf"},
    {0x3153464A, MEDIUM_FILE, "jfs"},          {0x00003434, MEDIUM_FILE, "nilfs2"},
    {0x24051905, MEDIUM_FILE, "ubifs"},        {0x28CD3D45, MEDIUM_FILE, "cramfs"},
    {0x5346544E, MEDIUM_FILE, "ntfs"},         {0x958458F6, MEDIUM_FILE, "hugetlbfs"},
    {0x65735546, MEDIUM_REMOTE, "fuse"},       {0x00006969, MEDIUM_REMOTE, "nfs"},
    {0xFF534D42, MEDIUM_REMOTE, "cifs"},       {0xFE534D42, MEDIUM_REMOTE, "smb2"},
    {0x00C36400, MEDIUM_REMOTE, "ceph"},       {0x01021997, MEDIUM_REMOTE, "9p"},
    {0x5346414F, MEDIUM_REMOTE, "afs"},        {0x0BD00BD0, MEDIUM_REMOTE, "lustre"},
    {0x00009FA0, MEDIUM_PSEUDO, "procfs"},     {0x62656572, MEDIUM_PSEUDO, "sysfs"},
    {0x63677270, MEDIUM_PSEUDO, "cgroup2"},    {0x0027E0EB, MEDIUM_PSEUDO, "cgroup"},
    {0x64626720, MEDIUM_PSEUDO, "debugfs"},    {0x74726163, MEDIUM_PSEUDO, "tracefs"},
    {0x73636673, MEDIUM_PSEUDO, "securityfs"}, {0x62656570, MEDIUM_PSEUDO, "configfs"},
    {0x6165676C, MEDIUM_PSEUDO, "pstore"},     {0xDE5E81E4, MEDIUM_PSEUDO, "efivarfs"},
};

/* Endpoints that are only a kind, by the name a user gives them. Socket families by the same names
 * are recognised from their descriptors below. */
static const struct {
    const char *name;
    enum sluice_kind kind;
    enum medium medium;
    int family, type;
} kinds[] = {
    {"tcp", SLUICE_KIND_STREAM, MEDIUM_STREAM, AF_INET, SOCK_STREAM},
    {"tcp", SLUICE_KIND_STREAM, MEDIUM_STREAM, AF_INET6, SOCK_STREAM},
    {"unix", SLUICE_KIND_STREAM, MEDIUM_STREAM, AF_UNIX, SOCK_STREAM},
    {"udp", SLUICE_KIND_DATAGRAM, MEDIUM_MESSAGE, AF_INET, SOCK_DGRAM},
    {"udp", SLUICE_KIND_DATAGRAM, MEDIUM_MESSAGE, AF_INET6, SOCK_DGRAM},
    {"unix-dgram", SLUICE_KIND_DATAGRAM, MEDIUM_MESSAGE, AF_UNIX, SOCK_DGRAM},
    {"unix-seqpacket", SLUICE_KIND_DATAGRAM, MEDIUM_MESSAGE, AF_UNIX, SOCK_SEQPACKET},
    {"pipe", SLUICE_KIND_PIPE, MEDIUM_PIPE, 0, 0},
    {"null", SLUICE_KIND_CHAR, MEDIUM_NULL, 0, 0},
    {"zero", SLUICE_KIND_CHAR, MEDIUM_ZERO, 0, 0},
    {"tty", SLUICE_KIND_TERMINAL, MEDIUM_TERMINAL, 0, 0},
    {"char", SLUICE_KIND_CHAR, MEDIUM_CHAR, 0, 0},
    {"file", SLUICE_KIND_REGULAR, MEDIUM_FILE, 0, 0},
    {"block", SLUICE_KIND_BLOCK, MEDIUM_BLOCK, 0, 0},
};

#define COUNT(table) (sizeof(table) / sizeof *(table))

static int describe_file(struct sluice_endpoint *endpoint)
{
    uint64_t magic = 0;

    /* What is not known to be local may wait for a machine or a process. */
    endpoint->kind = SLUICE_KIND_REGULAR;
    endpoint->medium = MEDIUM_REMOTE;
    endpoint->name = "file";
    int error;
    do /* a file system in user space can be interrupted */
        error = sys_fstatfs_magic(endpoint->fd, &magic);
    while (error == -EINTR);
    if (error < 0)
        return error == -ENOSYS ? 0 : error;
    for (size_t i = 0; i < COUNT(file_systems); i++)
        if (file_systems[i].magic == magic) {
            endpoint->medium = file_systems[i].medium;
            endpoint->name = file_systems[i].name;
            return 0;
        }
    return 0;
}

static int describe_block(struct sluice_endpoint *endpoint)
{
    endpoint->kind = SLUICE_KIND_BLOCK;
    endpoint->medium = MEDIUM_BLOCK;
    endpoint->name = "block";
    return endpoint_size(endpoint, &endpoint->bytes);
}

static int describe_socket(struct sluice_endpoint *endpoint)
{
    int error = sys_getsockopt(endpoint->fd, SOL_SOCKET, SO_TYPE, &endpoint->type);
    if (error >= 0)
        error = sys_getsockopt(endpoint->fd, SOL_SOCKET, SO_DOMAIN, &endpoint->family);
    if (error < 0)
        return error;
    const bool stream = endpoint->type == SOCK_STREAM;
    int protocol = IPPROTO_TCP;
    if (stream && (endpoint->family == AF_INET || endpoint->family == AF_INET6))
        error = sys_getsockopt(endpoint->fd, SOL_SOCKET, SO_PROTOCOL, &protocol);
    if (error < 0)
        return error;
    endpoint->kind = stream ? SLUICE_KIND_STREAM : SLUICE_KIND_DATAGRAM;
    endpoint->medium = stream ? MEDIUM_SOCKET : MEDIUM_MESSAGE;
    endpoint->name = stream ? "stream" : "datagram";
    if (protocol != IPPROTO_TCP) /* SCTP and MPTCP are streams of their own kinds */
        return 0;
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (kinds[i].family == endpoint->family && kinds[i].type == endpoint->type) {
            endpoint->medium = kinds[i].medium;
            endpoint->name = kinds[i].name;
        }
    return 0;
}

static bool is_terminal(int fd)
{
    struct winsize size; /* what every terminal has, and nothing else */
    return sys_ioctl(fd, TIOCGWINSZ, &size) >= 0;
}

static void describe_char(struct sluice_endpoint *endpoint, dev_t device)
{
    endpoint->kind = SLUICE_KIND_CHAR;
    endpoint->medium = MEDIUM_CHAR;
    endpoint->name = "char";
    if (device == makedev(1, 3)) {
        endpoint->medium = MEDIUM_NULL;
        endpoint->name = "null";
    } else if (device == makedev(1, 5)) {
        endpoint->medium = MEDIUM_ZERO;
        endpoint->name = "zero";
    } else if (major(device) != 1 && is_terminal(endpoint->fd)) {
        endpoint->kind = SLUICE_KIND_TERMINAL;
        endpoint->medium = MEDIUM_TERMINAL;
        endpoint->name = "tty";
        /* The master of a pseudo-terminal is a new one each time it is opened. */
        endpoint->reopenable =
            device != makedev(5, 2) && !(major(device) >= 128 && major(device) <= 135);
    }
}

static int describe(struct sluice_endpoint *endpoint)
{
    struct stat status;
    int error = sys_fstat(endpoint->fd, &status);
    if (error < 0)
        return error;
    endpoint->device = status.st_dev;
    endpoint->inode = status.st_ino;
    endpoint->medium = MEDIUM_OTHER;
    endpoint->name = "other";
    switch (status.st_mode & S_IFMT) {
    case S_IFREG:
        endpoint->bytes = (uint64_t)status.st_size;
        endpoint->block = status.st_blksize > 0 ? (uint32_t)status.st_blksize : 512;
        return describe_file(endpoint);
    case S_IFBLK:
        endpoint->device = status.st_rdev; /* two nodes of one device are the same device */
        endpoint->inode = 0;
        return describe_block(endpoint);
    case S_IFIFO:
        endpoint->kind = SLUICE_KIND_PIPE;
        endpoint->medium = MEDIUM_PIPE;
        endpoint->name = "pipe";
        endpoint->reopenable = true;
        return 0;
    case S_IFSOCK:
        return describe_socket(endpoint);
    case S_IFCHR:
        describe_char(endpoint, status.st_rdev);
        return 0;
    case S_IFDIR:
        endpoint->name = "directory";
        return 0;
    default:
        return 0;
    }
}

int endpoint_refresh(struct sluice_endpoint *endpoint)
{
    const int flags = sys_fcntl(endpoint->fd, F_GETFL, 0);
    if (flags < 0)
        return flags;
    if (flags & O_PATH)
        return -EBADF;
    endpoint->flags = flags;
    if (endpoint->medium == MEDIUM_PIPE) {
        const int capacity = sys_fcntl(endpoint->fd, F_GETPIPE_SZ, 0);
        endpoint->capacity = capacity > 0 ? (uint64_t)capacity : 0;
    }
    /* tmpfs takes the flag and copies all the same; what a remote file system does is its own. */
    const bool to_device =
        (endpoint->medium & (MEDIUM_FILE | MEDIUM_BLOCK)) && strcmp(endpoint->name, "tmpfs") != 0;
    if ((flags & O_DIRECT) && to_device)
        endpoint->medium = MEDIUM_DIRECT;
    return 0;
}

int endpoint_size(const struct sluice_endpoint *endpoint, uint64_t *ret)
{
    struct stat status;

    *ret = 0;
    if (endpoint->kind == SLUICE_KIND_BLOCK)
        return sys_ioctl(endpoint->fd, BLKGETSIZE64, ret);
    if (endpoint->kind != SLUICE_KIND_REGULAR)
        return 0;
    int error = sys_fstat(endpoint->fd, &status);
    if (error >= 0)
        *ret = (uint64_t)status.st_size;
    return error;
}

int endpoint_measure(struct sluice_endpoint *endpoint)
{
    struct stat status;

    if (endpoint->kind != SLUICE_KIND_REGULAR)
        return endpoint_size(endpoint, &endpoint->bytes);
    int error = sys_fstat(endpoint->fd, &status);
    if (error < 0)
        return error;
    endpoint->bytes = (uint64_t)status.st_size;
    endpoint->has_holes = (uint64_t)status.st_blocks * 512 < endpoint->bytes;
    return 0;
}

bool endpoint_immutable(const struct sluice_endpoint *endpoint)
{
    static const char *const names[] = {"squashfs", "iso9660", "erofs", "cramfs", "romfs"};

    if (endpoint->kind != SLUICE_KIND_REGULAR)
        return false;
    if (endpoint->stands_still)
        return true;
    for (size_t i = 0; i < COUNT(names); i++)
        if (strcmp(endpoint->name, names[i]) == 0)
            return true;
    if (endpoint->fd < 0 || strcmp(endpoint->name, "tmpfs") != 0)
        return false;
    const int seals = sys_fcntl(endpoint->fd, F_GET_SEALS, 0);
    return seals >= 0 && (seals & F_SEAL_WRITE);
}

int fd_above_standard(int fd)
{
    if (fd < 0 || fd > 2)
        return fd;
    const int higher = sys_fcntl(fd, F_DUPFD_CLOEXEC, 3);
    sys_close(fd);
    return higher;
}

int endpoint_reopen(const struct sluice_endpoint *endpoint, int flags)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", endpoint->fd);
    return fd_above_standard(sys_open(path, flags | O_CLOEXEC | O_NOCTTY));
}

bool endpoint_same(const struct sluice_endpoint *a, const struct sluice_endpoint *b)
{
    const bool comparable = a->kind == SLUICE_KIND_REGULAR || a->kind == SLUICE_KIND_BLOCK ||
                            a->kind == SLUICE_KIND_PIPE;
    return comparable && a->fd >= 0 && b->fd >= 0 && a->kind == b->kind && a->device == b->device &&
           a->inode == b->inode;
}

static int keep(const struct sluice_endpoint *model, sluice_endpoint **ret)
{
    struct sluice_endpoint *endpoint = malloc(sizeof *endpoint);
    if (!endpoint) {
        free(model->place);
        return -ENOMEM;
    }
    *endpoint = *model;
    *ret = endpoint;
    return 0;
}

int sluice_endpoint_from_fd(sluice_context *context, int fd, unsigned ownership,
                            sluice_endpoint **ret)
{
    (void)context;
    struct sluice_endpoint model = {.fd = fd, .ownership = ownership};
    const unsigned ours = SLUICE_OWN | SLUICE_NONBLOCK;

    if (ownership & ~ours)
        return -EINVAL;
    int error = describe(&model);
    if (error >= 0)
        error = endpoint_refresh(&model);
    if (error >= 0 && (ownership & ours) == ours && !(model.flags & O_NONBLOCK) &&
        !(model.medium & MEDIA_ALWAYS_READY)) {
        model.flags |= O_NONBLOCK;
        error = sys_fcntl(fd, F_SETFL, model.flags);
    }
    return error < 0 ? error : keep(&model, ret);
}

int sluice_endpoint_from_kind(sluice_context *context, const char *name, sluice_endpoint **ret)
{
    struct sluice_endpoint model = {.fd = -1, .flags = O_RDWR | O_NONBLOCK};
    const char *at = strchr(name, '@');
    char bare[32];

    (void)context;
    if (at) {
        snprintf(bare, sizeof bare, "%.*s", (int)(at - name), name);
        name = bare;
    }
    for (size_t i = 0; i < COUNT(kinds) && !model.name; i++)
        if (strcmp(kinds[i].name, name) == 0) {
            model.name = kinds[i].name;
            model.kind = kinds[i].kind;
            model.medium = kinds[i].medium;
            model.family = kinds[i].family;
            model.type = kinds[i].type;
        }
    for (size_t i = 0; i < COUNT(file_systems) && !model.name; i++)
        if (strcmp(file_systems[i].name, name) == 0) {
            model.name = file_systems[i].name;
            model.kind = SLUICE_KIND_REGULAR;
            model.medium = file_systems[i].medium;
        }
    if (!model.name)
        return -EINVAL;
    if (at && !(model.place = strdup(at + 1)))
        return -ENOMEM;
    return keep(&model, ret);
}

int sluice_endpoint_from_directory(sluice_context *context, int directory, int open_flags,
                                   sluice_endpoint **ret)
{
    struct sluice_endpoint model = {.fd = directory, .flags = open_flags};
    struct stat status;

    (void)context;
    int error = sys_fstat(directory, &status);
    if (error >= 0 && !S_ISDIR(status.st_mode))
        error = -ENOTDIR;
    if (error >= 0)
        error = describe_file(&model);
    if (error < 0)
        return error;
    model.device = status.st_dev;
    char place[PLACE_TEXT];
    place_of(&model, place);
    model.place = strdup(place);
    model.fd = -1;
    return model.place ? keep(&model, ret) : -ENOMEM;
}

int sluice_endpoint_free(sluice_endpoint *endpoint)
{
    int error = 0;
    if (endpoint && (endpoint->ownership & SLUICE_OWN))
        error = sys_close(endpoint->fd);
    if (endpoint)
        free(endpoint->place);
    free(endpoint);
    return error;
}

int sluice_endpoint_describe(const sluice_endpoint *endpoint, struct sluice_endpoint_info *ret)
{
    struct sluice_endpoint_info info = {
        .kind = endpoint->kind,
        .fd = endpoint->fd,
        .name = endpoint->name,
        .open_flags = endpoint->flags,
        .seekable = (endpoint->medium & MEDIA_SEEKABLE) != 0,
        .bytes = endpoint->bytes,
        .pipe_capacity = endpoint->capacity,
        .device = endpoint->device,
        .inode = endpoint->inode,
    };
    return SIZED_COPY(ret, info);
}
