/* SPDX-License-Identifier: MIT */
/* Opening and closing the ends of `sluice tee`. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "descriptor.h"
#include "end.h"
#include "signals.h"
#include "tee.h"

enum { BEGIN_MODE = 0666 };

static bool is_simple(const struct address *address)
{
    return address->scheme <= ADDRESS_ZERO && address->scheme != ADDRESS_PATH;
}

/* A descriptor that is here already, or a device. */
static int open_simple(const struct address *address, int standard, int access, bool *ret_borrowed)
{
    const bool null = address->scheme == ADDRESS_NULL;

    *ret_borrowed = !null && address->scheme != ADDRESS_ZERO;
    if (!*ret_borrowed)
        return own_descriptor(open(null ? "/dev/null" : "/dev/zero", access | O_CLOEXEC));
    const int fd = address->scheme == ADDRESS_FD ? address->fd : standard;
    return fcntl(fd, F_GETFD) < 0 ? -errno : fd;
}

/* A FIFO waits for its other end, through signals that are not deadly. */
static int open_path(const char *path, int flags)
{
    int fd;
    do
        fd = open(path, flags | O_CLOEXEC | O_NOCTTY, BEGIN_MODE);
    while (fd < 0 && errno == EINTR && !signals_caught());
    return own_descriptor(fd);
}

/* ---- files ---- */

/* Whether writing to it would change what is read. Asked before the file is emptied. */
static bool is_source(const struct tee *tee, int fd)
{
    struct sluice_endpoint_info info = {.size = sizeof info};
    struct stat status;

    if (!tee->source)
        return false;
    sluice_endpoint_describe(tee->source, &info);
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && info.kind == SLUICE_KIND_REGULAR &&
           status.st_dev == info.device && status.st_ino == info.inode;
}

/* Opens and then empties: the source, under whatever name, is not to be lost. */
static int open_file(const struct tee *tee, const char *path)
{
    struct stat status;
    const int fd = open_path(path, O_WRONLY | O_CREAT | (tee->options.append ? O_APPEND : 0));

    if (fd < 0)
        return fd;
    int error = is_source(tee, fd) ? -EALREADY : 0;
    if (error == 0 && !tee->options.append && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
        ftruncate(fd, 0) < 0)
        error = -errno;
    if (error == 0)
        return fd;
    close(fd);
    return error;
}

/* ---- the source ---- */

/* Under the name tee, files are made and emptied, and what is wrong with them is said, also if there is
 * nothing to read. Returns whether that ends all. */
static bool touch_sinks(struct tee *tee)
{
    for (unsigned i = 1; i < tee->options.sinks; i++) {
        struct tee_sink *sink = &tee->options.sink[i];
        const int fd = open_file(tee, sink->address.path);
        if (fd >= 0)
            close(fd);
        else if (tee_sink_trouble(tee, sink, "open", fd))
            return true;
    }
    return false;
}

static enum status no_source(struct tee *tee, const char *operation, const char *name, int error)
{
    if (tee->alone && touch_sinks(tee))
        return STATUS_FAILED;
    return tee_cannot(tee, operation, name, error);
}

enum status tee_open_source(struct tee *tee)
{
    const struct address *address = &tee->options.source;
    const char *operation = "open";
    bool borrowed = false;
    int fd;

    snprintf(tee->source_name, sizeof tee->source_name, "%s", address->text);
    if (is_simple(address))
        fd = open_simple(address, STDIN_FILENO, O_RDONLY, &borrowed);
    else if (address->scheme == ADDRESS_PATH)
        fd = open_path(address->path, O_RDONLY);
    else
        fd = address_connect(address, tee->source_name, sizeof tee->source_name, &operation);
    if (fd < 0)
        return no_source(tee, address->scheme == ADDRESS_STANDARD ? "read" : operation,
                         address->text, fd);
    int error = sluice_endpoint_from_fd(tee->context, fd, borrowed ? SLUICE_BORROW : SLUICE_OWN,
                                        &tee->source);
    if (error < 0 && !borrowed)
        close(fd);
    struct sluice_error why = {.size = sizeof why};
    if (error >= 0)
        error =
            sluice_fanout_new(tee->context, tee->source, &tee->options.library, &tee->fanout, &why);
    return error < 0 ? no_source(tee, "read", tee->source_name, error) : STATUS_DONE;
}

/* ---- sinks ---- */

static int open_sink(struct tee *tee, struct tee_sink *sink, const char **operation)
{
    const struct address *address = &sink->address;
    bool borrowed = false;
    int fd;

    if (is_simple(address))
        fd = open_simple(address, STDOUT_FILENO, O_WRONLY, &borrowed);
    else if (address->scheme == ADDRESS_PATH)
        fd = open_file(tee, address->path);
    else
        fd = address_connect(address, sink->name, sizeof sink->name, operation);
    if (fd < 0)
        return fd;
    const unsigned ownership = borrowed ? SLUICE_BORROW : SLUICE_OWN | SLUICE_NONBLOCK;
    const int error = sluice_endpoint_from_fd(tee->context, fd, ownership, &sink->endpoint);
    if (error < 0 && !borrowed)
        close(fd);
    return error;
}

/* Whether one of the sinks so far, or its spill file, is this file. */
static bool is_sink(const struct tee *tee, const struct stat *status)
{
    for (unsigned i = 0; i < tee->options.sinks; i++) {
        struct sluice_endpoint_info info = {.size = sizeof info};
        const struct sluice_endpoint *ends[] = {tee->options.sink[i].endpoint,
                                                tee->options.sink[i].spill};
        for (int end = 0; end < 2; end++)
            if (ends[end] && sluice_endpoint_describe(ends[end], &info) == 0 &&
                info.device == status->st_dev && info.inode == status->st_ino)
                return true;
    }
    return false;
}

/* The same of a sink that is still to be opened. */
static bool will_be_sink(const struct tee_sink *sink, const struct stat *status)
{
    const struct address *address = &sink->address;
    struct stat own;
    const int error = address->scheme == ADDRESS_PATH       ? stat(address->path, &own)
                      : address->scheme == ADDRESS_STANDARD ? fstat(STDOUT_FILENO, &own)
                      : address->scheme == ADDRESS_FD       ? fstat(address->fd, &own)
                                                            : -1;
    return error == 0 && own.st_dev == status->st_dev && own.st_ino == status->st_ino;
}

/* Opens it as it is. Returns a descriptor, or a negative errno. */
static int open_spill(const struct tee *tee, const struct tee_sink *sink)
{
    struct stat status;
    const int fd = open_path(sink->spill_path, O_RDWR | O_CREAT);

    if (fd < 0)
        return fd;
    const int error = is_source(tee, fd)                                     ? -EALREADY
                      : fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)   ? -EINVAL
                      : is_sink(tee, &status) || will_be_sink(sink, &status) ? -EBUSY
                                                                             : 0;
    if (error == 0)
        return fd;
    close(fd);
    return error;
}

/* Empties it, and takes the descriptor; none: -1. */
static int take_spill(struct tee *tee, struct tee_sink *sink, int fd)
{
    if (fd < 0)
        return 0;
    int error = ftruncate(fd, 0) < 0 ? -errno : 0;
    if (error == 0)
        error = sluice_endpoint_from_fd(tee->context, fd, SLUICE_OWN, &sink->spill);
    if (error < 0)
        close(fd);
    sink->options.spill = sink->spill;
    return error;
}

static int refuse_bytes(const void *bytes, size_t length, void *data)
{
    (void)bytes, (void)length, (void)data;
    return -EBADF;
}

/* Standard output is closed, or only open for reading: no error before there is something to write, as
 * with every tee. */
static int add_closed(struct tee *tee, struct tee_sink *sink)
{
    const struct sluice_sink_options options = SLUICE_SINK_OPTIONS_INIT;

    sink->closed = true;
    return sluice_fanout_add_function(tee->fanout, refuse_bytes, NULL, &options, &sink->id);
}

static int add_sink(struct tee *tee, struct tee_sink *sink, const char **operation,
                    struct sluice_error *why)
{
    snprintf(sink->name, sizeof sink->name, "%s", sink->text);
    /* Opening the sink may empty it: a spill file that cannot be had is found before. */
    *operation = SPILL_FOR;
    const int spill = sink->spill_path ? open_spill(tee, sink) : -1;
    int error = sink->spill_path && spill < 0 ? spill : open_sink(tee, sink, operation);
    if (error >= 0) {
        *operation = SPILL_FOR;
        error = take_spill(tee, sink, spill);
    } else if (spill >= 0) {
        close(spill);
    }
    if (error >= 0) {
        *operation = "write to";
        error = sluice_fanout_add(tee->fanout, sink->endpoint, &sink->options, &sink->id, why);
    }
    if (error == -EINVAL && why->operation && strcmp(why->operation, "compare") == 0)
        error = -EALREADY;
    if (error == -EBADF && sink->address.scheme == ADDRESS_STANDARD &&
        !tee->options.library.require)
        error = add_closed(tee, sink);
    sink->added = error >= 0;
    if (error >= 0)
        return error;
    /* A FIFO that is the source, too, would never end while it is open for writing. */
    sluice_endpoint_free(sink->endpoint);
    sluice_endpoint_free(sink->spill);
    sink->endpoint = sink->spill = NULL;
    return error;
}

static int hash(const void *bytes, size_t length, void *data)
{
    checksum_add(data, bytes, length);
    return 0;
}

enum status tee_open_sinks(struct tee *tee)
{
    struct tee_options *options = &tee->options;
    int error;

    for (unsigned i = 0; i < options->sinks; i++) {
        struct sluice_error why = {.size = sizeof why};
        const char *operation = "open";
        struct tee_sink *sink = &options->sink[i];
        error = add_sink(tee, sink, &operation, &why);
        if (error == -EOPNOTSUPP && options->library.require) {
            message("cannot write to '%s' as %s demands: %s; nothing was moved", sink->text,
                    options->library.require == SLUICE_REQUIRE_ZERO_COPY ? "zero-copy"
                                                                         : "no-user-copy",
                    why.reason ? why.reason : strerror(-error));
            return STATUS_REQUIRED;
        }
        if (error == -EINTR && signals_caught())
            return tee_cannot(tee, operation, sink->text, error);
        if (error < 0 && sink->address.scheme == ADDRESS_STANDARD &&
            strcmp(operation, SPILL_FOR) != 0)
            operation = "write to";
        if (error < 0 && tee_sink_trouble(tee, sink, operation, error))
            return STATUS_FAILED;
        if (signals_caught())
            return STATUS_FAILED;
    }
    if (!options->checksum)
        return STATUS_DONE;
    error = checksum_new(options->checksum, &tee->checksum);
    if (error >= 0)
        error =
            sluice_fanout_add_function(tee->fanout, hash, tee->checksum, NULL, &tee->checksum_id);
    return error < 0 ? tee_cannot(tee, "compute the checksum of", tee->source_name, error)
                     : STATUS_DONE;
}

/* ---- the end ---- */

static void end_socket(struct tee *tee, struct tee_sink *sink)
{
    struct sluice_endpoint_info info = {.size = sizeof info};
    struct sluice_sink_info state = {.size = sizeof state};
    uint64_t unsent = 0;

    sluice_endpoint_describe(sink->endpoint, &info);
    if (!sink->added || info.kind != SLUICE_KIND_STREAM || !address_is_socket(&sink->address) ||
        sluice_fanout_sink(tee->fanout, sink->id, &state) < 0 || state.state != SLUICE_SINK_DONE)
        return;
    const int error = end_stream(info.fd, tee->options.linger, &unsent);
    if (error < 0)
        tee_sink_trouble(tee, sink, "end", error);
}

void tee_close_sinks(struct tee *tee)
{
    for (unsigned i = 0; i < tee->options.sinks; i++)
        if (tee->options.sink[i].endpoint && tee->fanout)
            end_socket(tee, &tee->options.sink[i]);
    if (tee->checksum)
        checksum_end(tee->checksum, tee->digest);
    tee->checksum = NULL;
}
