/* SPDX-License-Identifier: MIT */
/* `sluice copy --sync` and `--verify`: what was delivered is on the device, and is what the source
 * has: it is read from there, not from the page cache. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "copy.h"
#include "signals.h"

enum { PIECE = 1 << 20, ALIGNMENT = 4096 };

/* Known before a byte moves. */
enum status copy_check_sync(struct copy *copy)
{
    struct sluice_endpoint_info source = {.size = sizeof source}, sink = {.size = sizeof sink};

    sluice_endpoint_describe(copy->source, &source);
    sluice_endpoint_describe(copy->sink, &sink);
    if ((copy->options.sync || copy->options.verify) && !sink.seekable)
        return copy_cannot(copy, SLUICE_SIDE_SINK, copy->options.verify ? "verify" : "sync",
                           copy->sink_name, -ESPIPE);
    if (copy->options.verify && !source.seekable)
        return copy_cannot(copy, SLUICE_SIDE_SOURCE, "verify, reading again", copy->source_name,
                           -ESPIPE);
    return STATUS_DONE;
}

enum status copy_sync(struct copy *copy)
{
    struct sluice_endpoint_info info = {.size = sizeof info};

    sluice_endpoint_describe(copy->sink, &info);
    return fsync(info.fd) < 0 ? copy_cannot(copy, SLUICE_SIDE_SINK, "sync", copy->sink_name, -errno)
                              : STATUS_DONE;
}

/* A new name is durable once its directory is. */
enum status copy_sync_name(struct copy *copy)
{
    if (!copy->sink_is_file)
        return STATUS_DONE;
    char *path = strdup(copy->file.path);
    const int fd = path ? open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    const int error = fd < 0 || fsync(fd) < 0 ? -errno : 0;

    if (fd >= 0)
        close(fd);
    free(path);
    return error < 0 ? copy_cannot(copy, SLUICE_SIDE_SINK, "sync the directory of", copy->sink_name,
                                   error)
                     : STATUS_DONE;
}

/* ---- comparing ---- */

struct reader {
    int fd;
    uint64_t offset;
    char *bytes;
};

/* Reads `length` bytes from `at` on, and what lies before them in their block: O_DIRECT takes whole
 * blocks. Returns the first byte asked for, or NULL with *ret_error; -ENODATA at the end. */
static const char *read_at(const struct reader *reader, uint64_t at, size_t length, int *ret_error)
{
    const uint64_t position = reader->offset + at, begin = position - position % ALIGNMENT;
    const size_t wanted = (size_t)(position - begin) + length;
    const size_t whole = (wanted + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    size_t have = 0;

    while (have < wanted) {
        const ssize_t value =
            pread(reader->fd, reader->bytes + have, whole - have, (off_t)(begin + have));
        if (value < 0 && errno == EINTR && !signals_caught())
            continue;
        if (value <= 0) {
            *ret_error = value < 0 ? -errno : -ENODATA;
            return NULL;
        }
        have += (size_t)value;
    }
    return reader->bytes + (position - begin);
}

static size_t first_difference(const char *a, const char *b, size_t length)
{
    size_t at = 0;
    while (at < length && a[at] == b[at])
        at++;
    return at;
}

/* Returns 0, or a negative errno with *ret_side; *ret_at is where it stopped: -EBADMSG at the first
 * byte that differs. */
static int compare(const struct reader readers[2], uint64_t length, enum sluice_side *ret_side,
                   uint64_t *ret_at)
{
    static const enum sluice_side sides[2] = {SLUICE_SIDE_SOURCE, SLUICE_SIDE_SINK};
    int error = 0;

    for (uint64_t at = 0; at < length;) {
        const size_t piece = length - at < PIECE ? (size_t)(length - at) : PIECE;
        const char *bytes[2];
        *ret_at = at;
        for (int i = 0; i < 2; i++) {
            *ret_side = sides[i];
            if (signals_caught())
                return -EINTR;
            if (!(bytes[i] = read_at(&readers[i], at, piece, &error)))
                return error;
        }
        if (memcmp(bytes[0], bytes[1], piece) != 0) {
            *ret_at = at + first_difference(bytes[0], bytes[1], piece);
            return -EBADMSG;
        }
        at += piece;
    }
    return 0;
}

/* Past the page cache, where the file system lets us; else what of it can be dropped is. */
static int open_sink_behind_cache(const struct copy *copy, uint64_t *ret_offset)
{
    struct sluice_endpoint_info info = {.size = sizeof info};
    char *probe = NULL;

    int fd = copy_reread(copy, SLUICE_SIDE_SINK, O_DIRECT, ret_offset);
    if (fd >= 0 && posix_memalign((void **)&probe, ALIGNMENT, ALIGNMENT) == 0 &&
        pread(fd, probe, ALIGNMENT, 0) < 0 && errno == EINVAL) { /* refused only now */
        close(fd);
        fd = -EINVAL;
    }
    free(probe);
    if (fd >= 0)
        return fd;
    sluice_endpoint_describe(copy->sink, &info);
    posix_fadvise(info.fd, 0, 0, POSIX_FADV_DONTNEED);
    notice("sluice: '%s' is read back through the page cache, after dropping it from there: %s",
           copy->sink_name, strerror(-fd));
    return copy_reread(copy, SLUICE_SIDE_SINK, 0, ret_offset);
}

static enum status differs(struct copy *copy, uint64_t at)
{
    message("'%s' does not hold what '%s' has: byte %" PRIu64 " of %" PRIu64 " differs; what was "
            "read back is not what is there, or the source has changed meanwhile",
            copy->sink_name, copy->source_name, at, sluice_transfer_delivered(copy->transfer));
    copy->report.error = (struct sluice_error){.size = sizeof copy->report.error,
                                               .error = -EBADMSG,
                                               .side = SLUICE_SIDE_SINK,
                                               .operation = "verify",
                                               .offset = at};
    copy->report.error.delivered = sluice_transfer_delivered(copy->transfer);
    copy->report.error_endpoint = copy->sink_name;
    copy->report.errno_words = "it differs from the source";
    return STATUS_VERIFY;
}

enum status copy_verify(struct copy *copy)
{
    struct reader readers[2] = {{.fd = -1}, {.fd = -1}};
    enum sluice_side side = SLUICE_SIDE_SOURCE;
    uint64_t at = 0;
    int error = 0;

    for (int i = 0; i < 2 && error == 0; i++)
        error = -posix_memalign((void **)&readers[i].bytes, ALIGNMENT, PIECE + 2 * ALIGNMENT);
    if (error == 0) {
        readers[0].fd = copy_reread(copy, SLUICE_SIDE_SOURCE, 0, &readers[0].offset);
        error = readers[0].fd < 0 ? readers[0].fd : 0;
    }
    if (error == 0) {
        side = SLUICE_SIDE_SINK;
        readers[1].fd = open_sink_behind_cache(copy, &readers[1].offset);
        error = readers[1].fd < 0
                    ? readers[1].fd
                    : compare(readers, sluice_transfer_delivered(copy->transfer), &side, &at);
    }
    for (int i = 0; i < 2; i++) {
        if (readers[i].fd >= 0)
            close(readers[i].fd);
        free(readers[i].bytes);
    }
    if (error == -EBADMSG)
        return differs(copy, at);
    copy->report.verified = error == 0;
    return error == 0
               ? STATUS_DONE
               : copy_cannot(copy, side, "verify",
                             side == SLUICE_SIDE_SINK ? copy->sink_name : copy->source_name, error);
}
