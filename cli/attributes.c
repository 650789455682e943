/* SPDX-License-Identifier: MIT */
#include "attributes.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

/* STATX_ATTR_MOUNT_ROOT, which older headers do not have. Linux 5.8. */
#define MOUNT_ROOT 0x2000u

#define SET_ID (S_ISUID | S_ISGID)

static const char access_list[] = "system.posix_acl_access";

/* What the new file takes over besides. Capabilities and checksums of the old bytes are not
 * among it. */
static const char *const taken_too[] = {"user.", "security.selinux", "security.SMACK64"};

/* Neither by us, nor at all: a user namespace does not know everybody. */
static bool not_for_us(int error)
{
    return error == EPERM || error == EINVAL;
}

/* 1, or 0 without the group, or a negative errno. */
static int take_owner(int fd, const struct stat *status)
{
    if (fchown(fd, status->st_uid, status->st_gid) == 0)
        return 1;
    if (!not_for_us(errno))
        return -errno;
    if (fchown(fd, (uid_t)-1, status->st_gid) == 0)
        return 1;
    return not_for_us(errno) ? 0 : -errno;
}

static int no_error_without(int error)
{
    return error == ENODATA || error == EOPNOTSUPP ? 0 : -error;
}

/* The value of an attribute, to be freed. 0: there is none, or it is empty; or a negative errno. */
static ssize_t value_of(const char *path, const char *name, void **ret)
{
    *ret = NULL;
    for (;;) {
        const ssize_t size = getxattr(path, name, NULL, 0);
        if (size <= 0)
            return size < 0 ? no_error_without(errno) : 0;
        *ret = malloc((size_t)size);
        if (!*ret)
            return -ENOMEM;
        const ssize_t length = getxattr(path, name, *ret, (size_t)size);
        if (length > 0)
            return length;
        free(*ret);
        *ret = NULL;
        if (length == 0 || errno != ERANGE) /* it has grown meanwhile */
            return length < 0 ? no_error_without(errno) : 0;
    }
}

/* A mode tells of a list only how much it grants at most: without the list the group would have
 * that. So it is taken whole; and a list that the directory gave the new file goes. */
static int take_access_list(int fd, const char *path, bool wanted)
{
    void *list = NULL;
    const ssize_t size = wanted ? value_of(path, access_list, &list) : 0;
    int error = (int)(size < 0 ? size : 0);

    if (size > 0 && fsetxattr(fd, access_list, list, (size_t)size, 0) < 0)
        error = -errno;
    else if (size == 0 && fremovexattr(fd, access_list) < 0)
        error = no_error_without(errno);
    free(list);
    return error;
}

/* What each entry of a list grants, but the owner's. */
static mode_t granted_to_each(const void *list, size_t size)
{
    const struct posix_acl_xattr_header *header = list;
    const struct posix_acl_xattr_entry *entries = (const void *)(header + 1);
    mode_t all = S_IRWXO;

    if (size < sizeof *header || le32toh(header->a_version) != POSIX_ACL_XATTR_VERSION)
        return 0;
    for (size_t i = 0; i < (size - sizeof *header) / sizeof *entries; i++)
        if (le16toh(entries[i].e_tag) != ACL_USER_OBJ)
            all &= le16toh(entries[i].e_perm);
    return all;
}

/* Where it cannot have the group, nor a list therefore: whom these gave more or less than the
 * others is now one of the others. So they, and the group that it has instead, get what each of
 * all these had. */
static int without_group(const char *path, mode_t *mode)
{
    void *list = NULL;
    const ssize_t size = value_of(path, access_list, &list);
    mode_t all = *mode & *mode >> 3 & S_IRWXO;

    if (size > 0)
        all &= granted_to_each(list, (size_t)size);
    free(list);
    *mode = (*mode & (mode_t) ~(S_IRWXG | S_IRWXO)) | all << 3 | all;
    return size < 0 ? (int)size : 0;
}

static bool is_taken(const char *name)
{
    for (size_t i = 0; i < sizeof taken_too / sizeof *taken_too; i++)
        if (strncmp(name, taken_too[i], strlen(taken_too[i])) == 0)
            return true;
    return false;
}

/* What cannot be had of these is done without: nobody's access hangs on it. */
static void take_others(int fd, const char *path)
{
    const ssize_t size = listxattr(path, NULL, 0);
    char *names = size > 0 ? malloc((size_t)size) : NULL;
    const ssize_t length = names ? listxattr(path, names, (size_t)size) : 0;

    for (ssize_t at = 0; at < length; at += (ssize_t)strlen(names + at) + 1) {
        void *value;
        const ssize_t bytes = is_taken(names + at) ? value_of(path, names + at, &value) : -1;
        if (bytes < 0)
            continue;
        (void)!fsetxattr(fd, names + at, value, (size_t)bytes, 0);
        free(value);
    }
    free(names);
}

int attributes_take(int fd, const char *path, const struct stat *status)
{
    mode_t mode = status->st_mode & 01777;

    const int group = take_owner(fd, status);
    int error = group < 0 ? group : take_access_list(fd, path, group > 0);
    if (group == 0 && error == 0)
        error = without_group(path, &mode);
    if (error == 0 && fchmod(fd, mode) < 0)
        error = -errno;
    if (error == 0)
        take_others(fd, path);
    return error;
}

int attributes_take_set_id(int fd, const struct stat *status)
{
    mode_t bits = status->st_mode & SET_ID;
    struct stat now;

    if (bits == 0)
        return 0;
    if (fstat(fd, &now) < 0)
        return -errno;
    if (now.st_uid != status->st_uid)
        return 0;
    if (now.st_gid != status->st_gid)
        bits &= (mode_t)~S_ISGID;
    return fchmod(fd, (now.st_mode & 07777) | bits) < 0 ? -errno : 0;
}

void attributes_drop_set_id(int fd)
{
    struct stat now;
    if (fstat(fd, &now) == 0 && (now.st_mode & SET_ID))
        (void)!fchmod(fd, now.st_mode & 01777);
}

/* ---- before ---- */

static bool may_remove_others(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};

    return syscall(SYS_capget, &header, data) == 0 &&
           (data[CAP_FOWNER / 32].effective & (1u << (CAP_FOWNER % 32)));
}

/* Of statx(2). Where they cannot be told, the rename will tell. */
static uint64_t attributes_of(const char *path)
{
    struct statx status;
    return statx(AT_FDCWD, path, 0, STATX_BASIC_STATS, &status) == 0 ? status.stx_attributes : 0;
}

int attributes_may_replace(const char *path, const char *directory, const struct stat *status)
{
    struct stat above;
    const uint64_t stays = STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND;
    const uid_t own = geteuid();

    const uint64_t attributes = attributes_of(path);
    if ((attributes | attributes_of(directory)) & stays)
        return -EPERM;
    if (attributes & MOUNT_ROOT)
        return -EBUSY;
    if (stat(directory, &above) < 0 || !(above.st_mode & S_ISVTX) || above.st_uid == own ||
        status->st_uid == own)
        return 0;
    return may_remove_others() ? 0 : -EPERM;
}
