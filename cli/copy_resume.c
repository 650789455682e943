/* SPDX-License-Identifier: MIT */
/* `sluice copy --resume`: a copy that failed keeps what it delivered as SINK.partial, and the next
 * one goes on from there, after it has seen that the source begins with just that. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compare.h"
#include "copy.h"
#include "descriptor.h"
#include "signals.h"

static bool source_repeats(const struct copy *copy)
{
    struct sluice_endpoint_info info = {.size = sizeof info};
    sluice_endpoint_describe(copy->source, &info);
    return info.seekable;
}

/* Where the source begins: as given, or where its descriptor stands. */
static int source_begin(const struct copy *copy, int *ret_fd, uint64_t *ret)
{
    const struct sluice_options *options = &copy->options.library;
    struct sluice_endpoint_info info = {.size = sizeof info};

    sluice_endpoint_describe(copy->source, &info);
    *ret_fd = info.fd;
    *ret = options->source_offset;
    if (options->flags & SLUICE_SOURCE_OFFSET)
        return 0;
    const off_t at = lseek(info.fd, 0, SEEK_CUR);
    *ret = at < 0 ? 0 : (uint64_t)at;
    return at < 0 ? -errno : 0;
}

static enum status of_another_source(struct copy *copy, uint64_t at, bool ended)
{
    message("cannot go on with '%s': '%s' %s byte %" PRIu64
            "; nothing was changed. Remove it to begin anew",
            copy->file.partial, copy->source_name, ended ? "ends before its" : "has another", at);
    copy_record(copy, SLUICE_SIDE_SOURCE, "resume", copy->source_name, -EBADMSG,
                "what was kept is of another source");
    copy->report.error.offset = at;
    return STATUS_FAILED;
}

/* Bytes at the end of what was kept that no source has: the last block is written whole past the
 * page cache and cut afterwards, unless kill -9 comes between. Returns what is left without
 * them. */
static uint64_t without_padding(const struct copy *copy, uint64_t kept, uint64_t begin)
{
    const struct sluice_options *options = &copy->options.library;
    struct sluice_endpoint_info info = {.size = sizeof info};
    char bytes[64 << 10]; /* no device is known to want larger blocks */

    sluice_endpoint_describe(copy->source, &info);
    uint64_t end = info.bytes > begin ? info.bytes - begin : 0;
    if ((options->flags & SLUICE_LENGTH) && options->length < end)
        end = options->length;
    if (kept <= end || kept - end >= sizeof bytes)
        return kept;
    const size_t length = (size_t)(kept - end);
    if (pread(copy->file.fd, bytes, length, (off_t)end) != (ssize_t)length)
        return kept;
    for (size_t i = 0; i < length; i++)
        if (bytes[i] != 0)
            return kept;
    return end;
}

/* The source has another byte there, because nothing was written there yet: writes that are
 * under way together (--cache=bypass) do not end in their order, and kill -9 leaves a hole where
 * one did not come. What is before it is the source's. No more is given up for it than is under
 * way at once: the hole may be one of the source's, which has changed. */
static bool is_unwritten(const struct copy *copy, uint64_t at, uint64_t kept)
{
    enum { UNDER_WAY = 16 << 20 };
    if (kept - at > UNDER_WAY || lseek(copy->file.fd, (off_t)at, SEEK_HOLE) != (off_t)at)
        return false;
    notice("sluice: '%s' was not written from byte %" PRIu64 " on, of %" PRIu64 ": it is cut there",
           copy->file.partial, at, kept);
    return true;
}

/* What was kept is compared with the source, from its first byte; *kept: as much as is gone on
 * from. */
static enum status compare_kept(struct copy *copy, uint64_t *kept)
{
    struct sluice_options *options = &copy->options.library;
    struct compare_end ends[2] = {{.fd = -1}, {.fd = copy->file.fd}};
    uint64_t at = 0, end = *kept;
    unsigned which = 0;

    int error = source_begin(copy, &ends[0].fd, &ends[0].offset);
    if (error == 0) {
        end = without_padding(copy, *kept, ends[0].offset);
        error = compare_ranges(ends, end, &which, &at);
    }
    if (error == -EBADMSG && is_unwritten(copy, at, *kept)) {
        end = at;
        error = 0;
    }
    if ((options->flags & SLUICE_LENGTH) && end > options->length && error == 0)
        return of_another_source(copy, options->length, true);
    if (error == -EBADMSG || (error == -ENODATA && which == 0))
        return of_another_source(copy, at, error == -ENODATA);
    if (error == 0 && end < *kept && ftruncate(copy->file.fd, (off_t)end) < 0) {
        which = 1;
        error = -errno;
    }
    if (error < 0)
        return copy_cannot(copy, which ? SLUICE_SIDE_SINK : SLUICE_SIDE_SOURCE, "compare",
                           which ? copy->file.partial : copy->source_name, error);
    *kept = end;
    options->source_offset += *kept;
    if (!(options->flags & SLUICE_SOURCE_OFFSET) && lseek(ends[0].fd, (off_t)*kept, SEEK_CUR) < 0)
        return copy_cannot(copy, SLUICE_SIDE_SOURCE, "seek in", copy->source_name, -errno);
    options->length -= options->flags & SLUICE_LENGTH ? *kept : 0;
    return STATUS_DONE;
}

/* Bytes that were taken from the source and not delivered come before those that it has now. */
static enum status deliver_salvage(struct copy *copy)
{
    const char *name = copy->options.salvage;
    struct sluice_result result = {.size = sizeof result};
    sluice_endpoint *salvage = NULL;

    const int fd = name ? own_descriptor(open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY)) : -ENOENT;
    if (fd == -ENOENT)
        return STATUS_DONE;
    int error = fd < 0 ? fd : sluice_endpoint_from_fd(copy->context, fd, SLUICE_OWN, &salvage);
    if (error < 0 && fd >= 0)
        close(fd);
    if (error == 0)
        error = sluice_copy(copy->context, salvage, copy->sink, NULL, &result);
    sluice_endpoint_free(salvage);
    if (error == 0 &&
        result.ledger.delivered > 0) /* else they would be in no file that has a name */
        error = sink_file_show(&copy->file);
    if (error == 0 && unlink(name) < 0)
        error = -errno;
    if (error == 0)
        copy->resumed_at += result.ledger.delivered;
    else if (ftruncate(copy->file.fd, (off_t)copy->resumed_at) < 0) /* or they would come twice */
        message("cannot shorten '%s': %s", copy->file.partial, strerror(errno));
    return error < 0 ? copy_cannot(copy, SLUICE_SIDE_SETUP, "deliver", name, error) : STATUS_DONE;
}

enum status copy_resume(struct copy *copy)
{
    struct stat status;
    enum status done = STATUS_DONE;

    if (!copy->options.resume)
        return STATUS_DONE;
    if (!copy->sink_is_file)
        return copy_cannot(copy, SLUICE_SIDE_SINK, "resume", copy->sink_name, -ENOTSUP);
    if (copy->options.resume == RESUME_COMPARE && !source_repeats(copy)) {
        message("cannot resume from '%s': it cannot be read again. --resume=continue says that it "
                "stands at the next unread byte",
                copy->source_name);
        copy_record(copy, SLUICE_SIDE_SOURCE, "resume", copy->source_name, -ESPIPE,
                    "it cannot be read again");
        return STATUS_FAILED;
    }
    if (fstat(copy->file.fd, &status) < 0)
        return copy_cannot(copy, SLUICE_SIDE_SINK, "look at", copy->file.partial, -errno);
    uint64_t kept = copy->file.resumed ? (uint64_t)status.st_size : 0;
    if (kept > 0 && copy->options.resume == RESUME_COMPARE)
        done = compare_kept(copy, &kept);
    if (done == STATUS_DONE && lseek(copy->file.fd, (off_t)kept, SEEK_SET) < 0)
        done = copy_cannot(copy, SLUICE_SIDE_SINK, "seek in", copy->file.partial, -errno);
    copy->resumed_at = kept;
    if (done == STATUS_DONE && copy->options.resume == RESUME_CONTINUE)
        done = deliver_salvage(copy);
    if (done == STATUS_DONE && copy->resumed_at > 0)
        notice("sluice: going on from byte %" PRIu64 " of '%s'", copy->resumed_at, copy->sink_name);
    return done;
}

void copy_keep_partial(struct copy *copy)
{
    if (!copy->options.resume || !copy->sink_is_file)
        return;
    uint64_t bytes = copy->resumed_at + sluice_transfer_delivered(copy->transfer);
    if (bytes == 0)
        return;
    const int error = sink_file_keep(&copy->file, &bytes);
    if (error < 0) {
        message("cannot keep what was delivered as '%s': %s", copy->file.partial, strerror(-error));
        return;
    }
    copy->report.kept = copy->file.partial;
    copy->report.kept_bytes = bytes;
    notice("sluice: '%s' keeps %" PRIu64 " bytes: --resume goes on from there", copy->file.partial,
           bytes);
}
