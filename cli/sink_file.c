/* SPDX-License-Identifier: MIT */
#include "sink_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "attributes.h"
#include "descriptor.h"
#include "signals.h"

static mode_t new_mode(void)
{
    const mode_t mask = umask(0);
    umask(mask);
    return 0666 & ~mask;
}

/* The directory part of a path, to be freed. "." where there is none. */
static char *directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return strdup(".");
    return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

/* A name beside the path that nothing has, as a template: .NAME.sluice-XXXXXX */
static char *temporary_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    char *text = NULL;

    /* A name has at most 255 bytes; .sluice-XXXXXX and the dot are 15 of them. */
    if (asprintf(&text, "%.*s.%.*s.sluice-XXXXXX", (int)(name - path), path, NAME_MAX - 15, name) <
        0)
        return NULL;
    return text;
}

static int open_named_temporary(struct sink_file *sink, const char **operation)
{
    *operation = "create a file beside";
    sink->temporary = temporary_name(sink->path);
    if (!sink->temporary)
        return -ENOMEM;
    sink->fd = mkostemp(sink->temporary, O_CLOEXEC);
    if (sink->fd < 0) {
        const int error = -errno;
        free(sink->temporary);
        sink->temporary = NULL;
        return error;
    }
    return 0;
}

/* A file without a name in the directory of the path; with one where the file system has no
 * O_TMPFILE (EOPNOTSUPP; EISDIR and ENOENT from kernels that do not know it). */
static int open_unseen(struct sink_file *sink, const char **operation)
{
    char *directory = directory_of(sink->path);
    if (!directory)
        return -ENOMEM;
    *operation = "create a file in the directory of";
    sink->fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
    int error = sink->fd < 0 ? -errno : 0;
    free(directory);
    sink->unnamed = error == 0;
    if (error == -EOPNOTSUPP || error == -EISDIR || error == -ENOENT || error == -EINVAL)
        error = open_named_temporary(sink, operation);
    return error;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Whose the directory is, and whose the file is that will be replaced (which we may have given
 * to him), could change the sink in any case. Some file systems give all their files to one
 * user. */
static bool is_trusted(const struct sink_file *sink, uid_t user)
{
    struct stat status = {0};
    char *directory = directory_of(sink->path);
    const bool owns = directory && stat(directory, &status) == 0 && status.st_uid == user;

    free(directory);
    return owns || user == geteuid() || (sink->replaces && user == sink->old.st_uid);
}

/* Nobody else goes on with it; 0, or a negative errno. 1: meanwhile it is no longer what has the
 * name (the run that had locked it has made it the sink). */
static int lock_partial(const struct sink_file *sink)
{
    struct stat mine, named;

    if (flock(sink->fd, LOCK_EX | LOCK_NB) < 0)
        return -errno;
    if (fstat(sink->fd, &mine) < 0)
        return -errno;
    return lstat(sink->partial, &named) < 0 || !same_file(&mine, &named);
}

static int open_kept(const struct sink_request *request, struct sink_file *sink,
                     const char **operation)
{
    struct stat status;

    *operation = "open what was kept of";
    sink->fd = open(sink->partial, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK);
    if (sink->fd < 0 || fstat(sink->fd, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return -ENOTSUP;
    if (request->source && same_file(request->source, &status))
        return -EALREADY; /* it would be the sink, and the source gone */
    if (!is_trusted(sink, status.st_uid))
        return -EPERM;
    *operation = "lock what was kept of"; /* another run goes on with it */
    return lock_partial(sink);
}

/* What an earlier run has kept, if it has; else a file that nobody sees. */
static int open_partial(const struct sink_request *request, struct sink_file *sink,
                        const char **operation)
{
    int error;

    if (asprintf(&sink->partial, "%s.partial", sink->path) < 0) {
        sink->partial = NULL;
        return -ENOMEM;
    }
    while ((error = open_kept(request, sink, operation)) > 0)
        close(sink->fd);
    if (error == -ENOENT && sink->fd < 0)
        return open_unseen(sink, operation);
    if (error < 0)
        return error;
    sink->resumed = true;
    sink->temporary = strdup(sink->partial);
    return sink->temporary ? 0 : -ENOMEM;
}

static int open_instead(const struct sink_request *request, struct sink_file *sink,
                        const char **operation)
{
    return request->resume ? open_partial(request, sink, operation) : open_unseen(sink, operation);
}

/* A file beside it is to take its name. */
static int open_replacement(const struct sink_request *request, struct sink_file *sink,
                            const struct stat *status, const char **operation)
{
    struct stat now;
    char *real = realpath(request->path, NULL);
    if (!real)
        return -errno;
    free(sink->path);
    sink->path = real;
    if (lstat(real, &now) < 0 || !same_file(&now, status)) {
        *operation = "follow the changing path"; /* a link may stand there by now */
        return -EBUSY;
    }
    sink->replaces = true;
    sink->old = *status;
    if (access(real, W_OK) < 0)
        return -errno;
    char *directory = directory_of(real);
    int error = directory ? attributes_may_replace(real, directory, status) : -ENOMEM;
    free(directory);
    if (error < 0) {
        *operation = "replace";
        return error;
    }
    error = open_instead(request, sink, operation);
    if (error < 0)
        return error;
    *operation = "pass on the owner and permissions of";
    return attributes_take(sink->fd, sink->path, status);
}

static int open_existing(const struct sink_request *request, struct sink_file *sink,
                         const struct stat *status, const char **operation)
{
    const bool regular = S_ISREG(status->st_mode);

    if (request->atomic && !regular) {
        *operation = "replace";
        return S_ISDIR(status->st_mode) ? -EISDIR : -ENOTSUP;
    }
    if (request->source && regular && same_file(request->source, status))
        return -EALREADY;
    if (request->atomic)
        return open_replacement(request, sink, status, operation);
    const int flags = O_WRONLY | O_CLOEXEC | O_NOCTTY | (request->append ? O_APPEND : 0);
    do /* a FIFO waits for its reader; another signal than a deadly one is no reason to stop */
        sink->fd = open(request->path, flags);
    while (sink->fd < 0 && errno == EINTR && !signals_caught());
    if (sink->fd < 0)
        return -errno;
    sink->empty_first = regular && !request->append && !request->keep && status->st_size > 0;
    return 0;
}

/* The kernel's rule (fs.protected_symlinks), which readlink(2) does not keep: where everybody may make
 * links and none but his own remove, only ours are followed, and those of the directory's owner. */
static bool may_follow(const struct stat *link, const char *directory)
{
    const mode_t everybodys = S_ISVTX | S_IWOTH;
    struct stat above;

    if (link->st_uid == geteuid())
        return true;
    return stat(directory, &above) == 0 &&
           ((above.st_mode & everybodys) != everybodys || link->st_uid == above.st_uid);
}

/* The path that the link stands for becomes the sink's. */
static int follow_link(struct sink_file *sink, const struct stat *link, const char *directory)
{
    char target[PATH_MAX], *next;

    if (!may_follow(link, directory))
        return -EACCES;
    const ssize_t length = readlink(sink->path, target, sizeof target - 1);
    if (length < 0)
        return -errno;
    target[length] = '\0';
    const int made = *target == '/' ? asprintf(&next, "%s", target)
                                    : asprintf(&next, "%s/%s", directory, target);
    if (made < 0)
        return -ENOMEM;
    free(sink->path);
    sink->path = next;
    return 0;
}

/* The path that a dangling symbolic link stands for, link by link. 0 or a negative errno; -EEXIST:
 * meanwhile there is something. */
static int follow_dangling(struct sink_file *sink, const char **operation)
{
    enum { MOST = 40 };
    struct stat status;

    *operation = "follow the symbolic link";
    for (int links = 0; lstat(sink->path, &status) == 0; links++) {
        if (!S_ISLNK(status.st_mode)) {
            *operation = "open";
            return -EEXIST;
        }
        char *directory = directory_of(sink->path);
        const int error = !directory     ? -ENOMEM
                          : links > MOST ? -ELOOP
                                         : follow_link(sink, &status, directory);
        free(directory);
        if (error < 0)
            return error;
    }
    *operation = "open";
    return 0;
}

/* -EEXIST: somebody else has made it meanwhile. */
static int open_absent(const struct sink_request *request, struct sink_file *sink,
                       const char **operation)
{
    int error = follow_dangling(sink, operation);

    if (error < 0)
        return error;
    if (!request->in_place && !request->append && !request->keep) {
        error = open_instead(request, sink, operation);
        if (error == 0 && sink->temporary && !sink->resumed && fchmod(sink->fd, new_mode()) < 0)
            error = -errno;
        return error;
    }
    *operation = "create";
    sink->fd =
        open(sink->path,
             O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY | (request->append ? O_APPEND : 0),
             0666);
    sink->made = sink->fd >= 0;
    return sink->fd < 0 ? -errno : 0;
}

int sink_file_open(const struct sink_request *request, struct sink_file *ret,
                   const char **operation)
{
    struct sink_file sink = {.fd = -1, .path = strdup(request->path)};
    struct stat status;
    int error;

    *operation = "open";
    if (!sink.path)
        error = -ENOMEM;
    else if (stat(request->path, &status) == 0)
        error = open_existing(request, &sink, &status, operation);
    else if (errno == ENOENT)
        error = open_absent(request, &sink, operation);
    else
        error = -errno;
    if (error == -EEXIST && sink.fd < 0 && !sink.replaces && stat(request->path, &status) == 0)
        error = open_existing(request, &sink, &status, operation);
    if (error == 0) {
        sink.fd = own_descriptor(sink.fd);
        error = sink.fd < 0 ? sink.fd : 0;
    }
    if (error < 0) {
        sink_file_leave(&sink, true);
        return error;
    }
    *ret = sink;
    return 0;
}

int sink_file_begin(struct sink_file *sink)
{
    return sink->empty_first && ftruncate(sink->fd, 0) < 0 ? -errno : 0;
}

/* Gives a name to a file that has none. Through /proc, or by the descriptor alone, which needs a
 * capability. */
static int link_unnamed(int fd, const char *path)
{
    char link[32];

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (linkat(AT_FDCWD, link, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0)
        return 0;
    if (errno != ENOENT)
        return -errno;
    return linkat(fd, "", AT_FDCWD, path, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

/* Letters for the X at the end of a template. A name that is taken is no harm: another is tried. */
static void fill_in_name(char *template)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz012345";
    unsigned char bytes[6] = {0};
    char *at = template + strlen(template) - sizeof bytes;

    if (getrandom(bytes, sizeof bytes, GRND_NONBLOCK) < 0) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        memcpy(bytes, &now.tv_nsec,
               sizeof now.tv_nsec < sizeof bytes ? sizeof now.tv_nsec : sizeof bytes);
    }
    for (size_t i = 0; i < sizeof bytes; i++)
        at[i] = letters[bytes[i] % (sizeof letters - 1)];
}

/* An unnamed file cannot take a name that is taken: it gets one beside it, and is renamed. */
static int link_beside(struct sink_file *sink)
{
    int error = -EEXIST;

    for (int tries = 0; tries < 100 && error == -EEXIST; tries++) {
        free(sink->temporary);
        sink->temporary = temporary_name(sink->path);
        if (!sink->temporary)
            return -ENOMEM;
        fill_in_name(sink->temporary);
        error = link_unnamed(sink->fd, sink->temporary);
    }
    if (error < 0) { /* the name is nobody's, or another's */
        free(sink->temporary);
        sink->temporary = NULL;
    }
    return error;
}

/* close(2) can have the last word on whether the bytes were taken (network file systems, quotas): it is
 * asked before the file gets its name, on a copy of the descriptor. */
static int ask_close(int fd)
{
    const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    return copy < 0 || close(copy) < 0 ? -errno : 0;
}

static int take_name(const struct sink_file *sink)
{
    const int error = sink->replaces ? attributes_take_set_id(sink->fd, &sink->old) : 0;

    if (error < 0 || rename(sink->temporary, sink->path) == 0)
        return error;
    const int refused = -errno;
    if (sink->replaces) /* it may be kept under another name */
        attributes_drop_set_id(sink->fd);
    return refused;
}

int sink_file_commit(struct sink_file *sink)
{
    int error = sink->unnamed || sink->temporary ? ask_close(sink->fd) : 0;

    if (error < 0)
        return error;

    if (sink->unnamed) {
        error = sink->replaces ? -EEXIST : link_unnamed(sink->fd, sink->path);
        if (error == -EEXIST) /* or somebody made one meanwhile: the whole file wins */
            error = link_beside(sink);
        sink->unnamed = error < 0;
    }
    if (error == 0 && sink->temporary)
        error = take_name(sink);
    if (error == 0) {
        free(sink->temporary);
        sink->temporary = NULL;
    }
    return error;
}

static bool has_no_links(int error)
{
    return error == EPERM || error == EOPNOTSUPP || error == ENOSYS;
}

/* What has a temporary name keeps that for the while, unless the file system (vfat, exfat) knows but
 * one name for a file. */
static int name_partial(struct sink_file *sink)
{
    if (sink->unnamed)
        return link_unnamed(sink->fd, sink->partial);
    if (sink->resumed || link(sink->temporary, sink->partial) == 0)
        return 0;
    if (!has_no_links(errno))
        return -errno;
    if (renameat2(AT_FDCWD, sink->temporary, AT_FDCWD, sink->partial, RENAME_NOREPLACE) < 0)
        return -errno;
    free(sink->temporary);
    sink->temporary = NULL;
    return 0;
}

static int shorten(const struct sink_file *sink, uint64_t bytes)
{
    struct stat status;

    if (fstat(sink->fd, &status) == 0 && (uint64_t)status.st_size == bytes)
        return 0;
    return ftruncate(sink->fd, (off_t)bytes) < 0 ? -errno : 0;
}

/* A directory may have to grow by a name, on a full disk: the room is made of the last bytes. */
int sink_file_keep(struct sink_file *sink, uint64_t *bytes)
{
    enum { ROOM = 1 << 20, TRIES = 4 };
    int error = shorten(sink, *bytes);

    if (error == 0)
        error = name_partial(sink);
    for (int i = 0; i < TRIES && (error == -ENOSPC || error == -EDQUOT) && *bytes > ROOM; i++) {
        const uint64_t left = *bytes - ROOM;
        error = shorten(sink, left);
        if (error < 0)
            return error;
        fsync(sink->fd); /* what was freed can be used once it is on the disk (ext4) */
        *bytes = left;
        error = name_partial(sink);
    }
    return error;
}

int sink_file_show(struct sink_file *sink)
{
    if (sink->resumed)
        return 0;
    char *name = strdup(sink->partial);
    if (!name)
        return -ENOMEM;
    int error = flock(sink->fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
    if (error == 0)
        error = name_partial(sink);
    if (error < 0) {
        free(name);
        return error;
    }
    if (sink->temporary)
        unlink(sink->temporary);
    free(sink->temporary);
    sink->temporary = name;
    sink->unnamed = false;
    sink->resumed = true;
    return 0;
}

void sink_file_leave(struct sink_file *sink, bool refused)
{
    if (sink->temporary && !sink->resumed)
        unlink(sink->temporary);
    if (refused && sink->made)
        unlink(sink->path);
    free(sink->temporary);
    free(sink->partial);
    free(sink->path);
    sink->temporary = sink->partial = sink->path = NULL;
}
