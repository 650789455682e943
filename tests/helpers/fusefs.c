/* SPDX-License-Identifier: MIT */
/*
 * A file system for the tests: a directory shown through FUSE, as it is or with faults.
 *
 *     fusefs [-f] [-o OPTION,…] DIRECTORY MOUNTPOINT
 *
 *     direct_io          bytes pass the page cache by
 *     delay_ms=N         each read waits so long first
 *     write_delay_ms=N   each write does
 *     fail_read_at=BYTE  a read that reaches this byte of a file fails with EIO; under direct_io
 *                        the bytes before it still come, as a short read
 *     fail_write_at=BYTE a write that reaches this byte fails, whatever was written before
 *     fail_fsync=1       so does each fsync: what a disk says that could not write
 *     fail_with=ERRNO    with this errno, as a number, instead of EIO
 *
 * and the options of FUSE itself (allow_other, default_permissions, …). What an ordinary user makes
 * through the mount of root is that user's. There is no copy_file_range and no O_TMPFILE here.
 */
#define FUSE_USE_VERSION 35

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

static struct settings {
    char *directory;
    int direct_io;
    unsigned delay_ms, write_delay_ms;
    long long fail_read_at, fail_write_at; /* -1: nowhere */
    int fail_fsync, fail_with;
    int root; /* the directory, opened */
} settings = {.fail_read_at = -1, .fail_write_at = -1, .fail_with = EIO, .root = -1};

static const struct fuse_opt options[] = {
    {"direct_io", offsetof(struct settings, direct_io), 1},
    {"delay_ms=%u", offsetof(struct settings, delay_ms), 0},
    {"write_delay_ms=%u", offsetof(struct settings, write_delay_ms), 0},
    {"fail_read_at=%lld", offsetof(struct settings, fail_read_at), 0},
    {"fail_write_at=%lld", offsetof(struct settings, fail_write_at), 0},
    {"fail_fsync=%d", offsetof(struct settings, fail_fsync), 0},
    {"fail_with=%d", offsetof(struct settings, fail_with), 0},
    FUSE_OPT_END,
};

/* FUSE names everything from "/"; the *at calls want it relative to the directory. */
static const char *inside(const char *path)
{
    return path[1] ? path + 1 : ".";
}

static int result(int value)
{
    return value < 0 ? -errno : 0;
}

/* Gives what was just made to whoever asked for it. */
static int handed_over(int value, const char *path)
{
    if (value < 0)
        return -errno;
    const struct fuse_context *caller = fuse_get_context();
    if (geteuid() == 0 &&
        fchownat(settings.root, inside(path), caller->uid, caller->gid, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    return 0;
}

/* ---- names ----------------------------------------------------------------------------------- */

static int fs_getattr(const char *path, struct stat *status, struct fuse_file_info *file)
{
    if (file)
        return result(fstat((int)file->fh, status));
    return result(fstatat(settings.root, inside(path), status, AT_SYMLINK_NOFOLLOW));
}

static int fs_readlink(const char *path, char *target, size_t size)
{
    const ssize_t length = readlinkat(settings.root, inside(path), target, size - 1);
    if (length < 0)
        return -errno;
    target[length] = '\0';
    return 0;
}

static int fs_mknod(const char *path, mode_t mode, dev_t device)
{
    return handed_over(mknodat(settings.root, inside(path), mode, device), path);
}

static int fs_mkdir(const char *path, mode_t mode)
{
    return handed_over(mkdirat(settings.root, inside(path), mode), path);
}

static int fs_symlink(const char *target, const char *path)
{
    return handed_over(symlinkat(target, settings.root, inside(path)), path);
}

static int fs_unlink(const char *path)
{
    return result(unlinkat(settings.root, inside(path), 0));
}

static int fs_rmdir(const char *path)
{
    return result(unlinkat(settings.root, inside(path), AT_REMOVEDIR));
}

static int fs_rename(const char *from, const char *to, unsigned flags)
{
    return result(renameat2(settings.root, inside(from), settings.root, inside(to), flags));
}

static int fs_link(const char *from, const char *to)
{
    return result(linkat(settings.root, inside(from), settings.root, inside(to), 0));
}

static int fs_chmod(const char *path, mode_t mode, struct fuse_file_info *file)
{
    if (file)
        return result(fchmod((int)file->fh, mode));
    return result(fchmodat(settings.root, inside(path), mode, 0));
}

static int fs_chown(const char *path, uid_t user, gid_t group, struct fuse_file_info *file)
{
    if (file)
        return result(fchown((int)file->fh, user, group));
    return result(fchownat(settings.root, inside(path), user, group, AT_SYMLINK_NOFOLLOW));
}

static int fs_utimens(const char *path, const struct timespec times[2], struct fuse_file_info *file)
{
    if (file)
        return result(futimens((int)file->fh, times));
    return result(utimensat(settings.root, inside(path), times, AT_SYMLINK_NOFOLLOW));
}

static int fs_readdir(const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset,
                      struct fuse_file_info *file, enum fuse_readdir_flags flags)
{
    (void)offset;
    (void)file;
    (void)flags;
    const int fd = openat(settings.root, inside(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (!directory)
        return -errno;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (fill(buffer, entry->d_name, NULL, 0, 0) != 0)
            break;
    closedir(directory);
    return 0;
}

static int fs_statfs(const char *path, struct statvfs *status)
{
    (void)path;
    return result(fstatvfs(settings.root, status));
}

/* ---- content --------------------------------------------------------------------------------- */

/* The kernel itself places each write (O_APPEND) and minds alignment (O_DIRECT). */
enum { FLAGS_OF_THE_KERNEL = O_APPEND | O_DIRECT | O_NOFOLLOW };

static int adopt(int fd, struct fuse_file_info *file)
{
    if (fd < 0)
        return -errno;
    file->fh = (uint64_t)fd;
    file->direct_io = settings.direct_io != 0;
    return 0;
}

static int fs_open(const char *path, struct fuse_file_info *file)
{
    const int flags = file->flags & ~FLAGS_OF_THE_KERNEL;
    return adopt(openat(settings.root, inside(path), flags | O_CLOEXEC), file);
}

static int fs_create(const char *path, mode_t mode, struct fuse_file_info *file)
{
    const int flags = file->flags & ~FLAGS_OF_THE_KERNEL;
    const int error =
        adopt(openat(settings.root, inside(path), flags | O_CREAT | O_CLOEXEC, mode), file);
    return error ? error : handed_over(0, path);
}

static void wait_first(unsigned milliseconds)
{
    const struct timespec delay = {.tv_sec = milliseconds / 1000,
                                   .tv_nsec = milliseconds % 1000 * 1000000L};
    if (milliseconds > 0)
        nanosleep(&delay, NULL);
}

static int fs_read(const char *path, char *buffer, size_t size, off_t offset,
                   struct fuse_file_info *file)
{
    (void)path;
    wait_first(settings.delay_ms);
    const long long wall = settings.fail_read_at;
    if (wall >= 0 && offset + (off_t)size > wall) {
        /* A short read into the page cache would stand for zeros, so there it is all or nothing. */
        if (!settings.direct_io || offset >= wall)
            return -EIO;
        size = (size_t)(wall - offset);
    }
    const ssize_t got = pread((int)file->fh, buffer, size, offset);
    return got < 0 ? -errno : (int)got;
}

static int fs_write(const char *path, const char *buffer, size_t size, off_t offset,
                    struct fuse_file_info *file)
{
    (void)path;
    wait_first(settings.write_delay_ms);
    if (settings.fail_write_at >= 0 && offset + (off_t)size > settings.fail_write_at)
        return -settings.fail_with;
    const ssize_t written = pwrite((int)file->fh, buffer, size, offset);
    return written < 0 ? -errno : (int)written;
}

static int fs_truncate(const char *path, off_t size, struct fuse_file_info *file)
{
    if (file)
        return result(ftruncate((int)file->fh, size));
    const int fd = openat(settings.root, inside(path), O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    const int error = result(ftruncate(fd, size));
    close(fd);
    return error;
}

static int fs_fallocate(const char *path, int mode, off_t offset, off_t length,
                        struct fuse_file_info *file)
{
    (void)path;
    return result(fallocate((int)file->fh, mode, offset, length));
}

static off_t fs_lseek(const char *path, off_t offset, int whence, struct fuse_file_info *file)
{
    (void)path;
    const off_t found = lseek((int)file->fh, offset, whence);
    return found < 0 ? -errno : found;
}

static int fs_fsync(const char *path, int data_only, struct fuse_file_info *file)
{
    (void)path;
    if (settings.fail_fsync)
        return -settings.fail_with;
    return result(data_only ? fdatasync((int)file->fh) : fsync((int)file->fh));
}

static int fs_release(const char *path, struct fuse_file_info *file)
{
    (void)path;
    close((int)file->fh);
    return 0;
}

static const struct fuse_operations operations = {
    .getattr = fs_getattr,
    .readlink = fs_readlink,
    .mknod = fs_mknod,
    .mkdir = fs_mkdir,
    .symlink = fs_symlink,
    .unlink = fs_unlink,
    .rmdir = fs_rmdir,
    .rename = fs_rename,
    .link = fs_link,
    .chmod = fs_chmod,
    .chown = fs_chown,
    .utimens = fs_utimens,
    .readdir = fs_readdir,
    .statfs = fs_statfs,
    .open = fs_open,
    .create = fs_create,
    .read = fs_read,
    .write = fs_write,
    .truncate = fs_truncate,
    .fallocate = fs_fallocate,
    .lseek = fs_lseek,
    .fsync = fs_fsync,
    .release = fs_release,
};

/* The first name on the command line is the directory; all else is FUSE's. */
static int take_directory(void *data, const char *argument, int key, struct fuse_args *rest)
{
    struct settings *all = data;
    (void)rest;
    if (key != FUSE_OPT_KEY_NONOPT || all->directory)
        return 1;
    all->directory = strdup(argument);
    return 0;
}

int main(int argc, char **argv)
{
    struct fuse_args arguments = FUSE_ARGS_INIT(argc, argv);
    if (fuse_opt_parse(&arguments, &settings, options, take_directory) < 0 || !settings.directory) {
        fputs("usage: fusefs [-f] [-o OPTION,…] DIRECTORY MOUNTPOINT\n", stderr);
        return 2;
    }
    settings.root = open(settings.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (settings.root < 0) {
        fprintf(stderr, "fusefs: '%s': %s\n", settings.directory, strerror(errno));
        return 1;
    }
    umask(0); /* the kernel has applied the caller's already */
    return fuse_main(arguments.argc, arguments.argv, &operations, NULL);
}
