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

#include "compare.h"
#include "copy.h"

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

/* Past the page cache, where the file system lets us; else what of it can be dropped is. */
static int open_sink_behind_cache(const struct copy *copy, uint64_t *ret_offset)
{
    struct sluice_endpoint_info info = {.size = sizeof info};
    char *block = NULL;

    int fd = copy_reread(copy, SLUICE_SIDE_SINK, O_DIRECT, ret_offset);
    if (fd >= 0 && posix_memalign((void **)&block, COMPARE_ALIGNMENT, COMPARE_ALIGNMENT) == 0 &&
        pread(fd, block, COMPARE_ALIGNMENT, 0) < 0 && errno == EINVAL) { /* refused only now */
        close(fd);
        fd = -EINVAL;
    }
    free(block);
    if (fd >= 0)
        return fd;
    sluice_endpoint_describe(copy->sink, &info);
    posix_fadvise(info.fd, 0, 0, POSIX_FADV_DONTNEED);
    notice("sluice: '%s' is read back through the page cache, after dropping it from there: %s",
           copy->sink_name, strerror(-fd));
    return copy_reread(copy, SLUICE_SIDE_SINK, 0, ret_offset);
}

static enum status differs(struct copy *copy, uint64_t at, uint64_t length)
{
    message("'%s' does not hold what '%s' has: byte %" PRIu64 " of %" PRIu64 " differs; what was "
            "read back is not what is there, or the source has changed meanwhile",
            copy->sink_name, copy->source_name, at, length);
    copy_record(copy, SLUICE_SIDE_SINK, "verify", copy->sink_name, -EBADMSG,
                "it differs from the source");
    copy->report.error.offset = at;
    copy->report.error.delivered = sluice_transfer_delivered(copy->transfer);
    return STATUS_VERIFY;
}

/* With what an earlier run kept, where the source has that. */
enum status copy_verify(struct copy *copy)
{
    static const enum sluice_side sides[2] = {SLUICE_SIDE_SOURCE, SLUICE_SIDE_SINK};
    const uint64_t before = copy->options.resume == RESUME_COMPARE ? copy->resumed_at : 0;
    const uint64_t length = before + sluice_transfer_delivered(copy->transfer);
    struct compare_end ends[2] = {{.fd = -1}, {.fd = -1}};
    unsigned which = 0;
    uint64_t at = 0;

    ends[0].fd = copy_reread(copy, SLUICE_SIDE_SOURCE, 0, &ends[0].offset);
    int error = ends[0].fd < 0 ? ends[0].fd : 0;
    if (error == 0) {
        which = 1;
        ends[1].fd = open_sink_behind_cache(copy, &ends[1].offset);
        ends[0].offset -= before;
        ends[1].offset -= before;
        error = ends[1].fd < 0 ? ends[1].fd : compare_ranges(ends, length, &which, &at);
    }
    for (int i = 0; i < 2; i++)
        if (ends[i].fd >= 0)
            close(ends[i].fd);
    if (error == -EBADMSG)
        return differs(copy, at, length);
    copy->report.verified = error == 0;
    return error == 0 ? STATUS_DONE
                      : copy_cannot(copy, sides[which], "verify",
                                    which ? copy->sink_name : copy->source_name, error);
}
