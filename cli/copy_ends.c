/* SPDX-License-Identifier: MIT */
/* Opening the two ends of `sluice copy`. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "copy.h"
#include "descriptor.h"
#include "signals.h"

/* What needs no work to open: a descriptor, or a device. -ENOENT: not one of those. */
static int open_simple(const struct address *address, int standard, int access, bool *ret_borrowed)
{
    int fd;

    *ret_borrowed = false;
    switch (address->scheme) {
    case ADDRESS_STANDARD:
    case ADDRESS_FD:
        *ret_borrowed = true;
        fd = address->scheme == ADDRESS_FD ? address->fd : standard;
        return fcntl(fd, F_GETFD) < 0 ? -errno : fd;
    case ADDRESS_NULL:
    case ADDRESS_ZERO:
        return own_descriptor(
            open(address->scheme == ADDRESS_NULL ? "/dev/null" : "/dev/zero", access | O_CLOEXEC));
    default:
        return -ENOENT;
    }
}

static bool is_simple(const struct address *address)
{
    return address->scheme <= ADDRESS_ZERO && address->scheme != ADDRESS_PATH;
}

static enum status make_endpoint(struct copy *copy, enum sluice_side side, int fd, bool borrowed)
{
    const bool source = side == SLUICE_SIDE_SOURCE;
    sluice_endpoint **endpoint = source ? &copy->source : &copy->sink;
    const char *name = source ? copy->source_name : copy->sink_name;

    const int error =
        sluice_endpoint_from_fd(copy->context, fd, borrowed ? SLUICE_BORROW : SLUICE_OWN, endpoint);
    if (error < 0) {
        if (!borrowed)
            close(fd);
        return copy_cannot(copy, side, source ? "read" : "write to", name, error);
    }
    return STATUS_DONE;
}

static int open_source_path(const char *path)
{
    int fd;
    do /* a FIFO waits for its writer; another signal than a deadly one is no reason to stop */
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    while (fd < 0 && errno == EINTR && !signals_caught());
    return own_descriptor(fd);
}

enum status copy_open_source(struct copy *copy)
{
    const struct address *address = &copy->options.source;
    const char *operation = "open";
    bool borrowed = false;
    int fd;

    if (is_simple(address))
        fd = open_simple(address, STDIN_FILENO, O_RDONLY, &borrowed);
    else if (address->scheme == ADDRESS_PATH)
        fd = open_source_path(address->path);
    else
        fd = address_connect(address, copy->source_name, NAME_SIZE, &operation);
    if (fd < 0)
        return copy_cannot(copy, SLUICE_SIDE_SOURCE, operation, address->text, fd);
    return make_endpoint(copy, SLUICE_SIDE_SOURCE, fd, borrowed);
}

/* Whether what is lost with a failure can be read again. */
static bool source_repeats(const struct copy *copy)
{
    struct sluice_endpoint_info info = {.size = sizeof info};
    sluice_endpoint_describe(copy->source, &info);
    return info.seekable;
}

static int open_sink_path(struct copy *copy, const char **operation)
{
    const struct copy_options *options = &copy->options;
    struct sluice_endpoint_info info = {.size = sizeof info};
    struct stat source;

    sluice_endpoint_describe(copy->source, &info);
    const bool regular = fstat(info.fd, &source) == 0 && S_ISREG(source.st_mode);
    const struct sink_request request = {
        .source = regular ? &source : NULL,
        .path = options->sink.path,
        .append = options->append,
        .keep = options->library.flags & SLUICE_SINK_OFFSET,
        .atomic = options->atomic == ATOMIC_ALWAYS || options->resume,
        .resume = options->resume,
        .in_place = options->atomic == ATOMIC_NEVER || (options->atomic == ATOMIC_DEFAULT &&
                                                        !options->resume && !source_repeats(copy)),
    };
    const int error = sink_file_open(&request, &copy->file, operation);
    if (error < 0)
        return error;
    copy->sink_is_file = true;
    return copy->file.fd;
}

/* -, fd:1, /dev/stdout, the name that standard output was redirected to … A terminal or /dev/null takes
 * both. */
static bool same_file(int a, int b)
{
    struct stat first, second;
    return fstat(a, &first) == 0 && fstat(b, &second) == 0 && !S_ISCHR(first.st_mode) &&
           first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

enum status copy_open_sink(struct copy *copy)
{
    const struct address *address = &copy->options.sink;
    const char *operation = "open";
    bool borrowed = false;
    int fd;

    if (copy->options.atomic == ATOMIC_ALWAYS && address->scheme != ADDRESS_PATH)
        return copy_cannot(copy, SLUICE_SIDE_SINK, "replace", address->text, -ENOTSUP);
    if (is_simple(address))
        fd = open_simple(address, STDOUT_FILENO, O_WRONLY, &borrowed);
    else if (address->scheme == ADDRESS_PATH)
        fd = open_sink_path(copy, &operation);
    else
        fd = address_connect(address, copy->sink_name, NAME_SIZE, &operation);
    if (fd < 0)
        return copy_cannot(copy, SLUICE_SIDE_SINK, operation, address->text, fd);
    copy->sink_is_stdout = fd == STDOUT_FILENO || same_file(fd, STDOUT_FILENO);
    return make_endpoint(copy, SLUICE_SIDE_SINK, fd, borrowed);
}
