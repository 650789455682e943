/* SPDX-License-Identifier: MIT */
#include "snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "plan.h"
#include "sys.h"
#include "transfer.h"

/* Below this a copy is made sooner than a clone. */
enum { LEAST = 4 << 20 };

static uint64_t position_of(const struct sluice_endpoint *source,
                            const struct sluice_options *options)
{
    if (options->flags & SLUICE_SOURCE_OFFSET)
        return options->source_offset;
    const int64_t position = sys_lseek(source->fd, 0, SEEK_CUR);
    return position < 0 ? 0 : (uint64_t)position;
}

static bool is_cold(const struct sluice_endpoint *source, uint64_t begin, uint64_t length)
{
    uint64_t pages;
    return sys_cachestat(source->fd, begin, length, &pages) >= 0 &&
           pages * (uint64_t)sysconf(_SC_PAGESIZE) < length / 2;
}

bool snapshot_wanted(const struct sluice_endpoint *source, const struct sluice_endpoint *sink,
                     const struct sluice_options *options, uint64_t expected)
{
    const bool named = options->method == SLUICE_METHOD_SPLICE ||
                       options->method == SLUICE_METHOD_SENDFILE ||
                       options->require == SLUICE_REQUIRE_ZERO_COPY;

    /* Into a file bytes are copied by any method, or its extents are the source's. */
    if (!(options->flags & SLUICE_SNAPSHOT) || source->fd < 0 || source->medium != MEDIUM_FILE ||
        !plan_shares_extents(source) || (sink->medium & MEDIA_SEEKABLE) ||
        endpoint_immutable(source) || expected == 0 || expected == UINT64_MAX ||
        options->cache == SLUICE_CACHE_BYPASS)
        return false;
    if (named)
        return true;
    return options->method == SLUICE_METHOD_AUTO && expected >= LEAST &&
           is_cold(source, position_of(source, options), expected);
}

/* A file without a name, on the source's own mount: in its directory. One that has been unlinked, or
 * that somebody else opened, may have none that we can write to. */
static int open_beside(const struct sluice_endpoint *source)
{
    char link[32], path[PATH_MAX];

    snprintf(link, sizeof link, "/proc/self/fd/%d", source->fd);
    const ssize_t length = sys_readlink(link, path, sizeof path - 1);
    if (length < 0)
        return (int)length;
    path[length] = '\0';
    char *slash = strrchr(path, '/');
    if (!slash)
        return -ENOENT;
    slash[slash == path] = '\0';
    return fd_above_standard(sys_open(path, O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC));
}

static int clone_into(const struct sluice_endpoint *source, int fd, uint64_t begin, uint64_t end)
{
    const uint64_t block = source->block, first = begin - begin % block;
    uint64_t length = 0; /* to its end, whatever that is */

    if (end < source->bytes)
        length = (end + block - 1) / block * block - first;
    if (length > 0 && first + length > source->bytes)
        length = 0;
    return sys_clone_range(source->fd, first, length, fd, first);
}

void snapshot_take(struct snapshot *snapshot, const struct sluice_endpoint *source,
                   const struct sluice_endpoint *sink, const struct sluice_options *options,
                   uint64_t expected)
{
    struct sluice_endpoint *clone = &snapshot->clone;
    struct stat status;

    if (!snapshot_wanted(source, sink, options, expected))
        return;
    const uint64_t begin = position_of(source, options);
    const int fd = open_beside(source);
    int error = fd < 0 ? fd : sys_fstat(fd, &status);
    if (error >= 0 && status.st_dev != source->device)
        error = -EXDEV;
    if (error >= 0)
        error = clone_into(source, fd, begin, begin + expected);
    *clone = *source;
    clone->fd = fd;
    clone->inode = fd < 0 ? 0 : status.st_ino;
    clone->flags = O_RDWR;
    clone->ownership = SLUICE_OWN;
    clone->place = NULL;
    clone->stands_still = true;
    if (error >= 0)
        error = endpoint_measure(clone);
    snapshot->taken = error >= 0;
    snapshot->error = error < 0 ? error : 0;
    if (error < 0 && fd >= 0)
        sys_close(fd);
}

void snapshot_record(struct sluice_transfer *transfer, const struct sluice_endpoint *source)
{
    const struct snapshot *snapshot = &transfer->snapshot;
    struct side *in = &transfer->in;

    if (snapshot->taken) {
        struct sluice_row *row = transfer_row(transfer, CALL_CLONE);
        row->bytes = transfer->expected;
        row->calls = 1;
        side_stand_in_for(in, source->fd);
    } else if (snapshot->error < 0) {
        const struct sluice_fallback record = {
            .size = sizeof record,
            .from = transfer->method->id,
            .to = transfer->method->id,
            .error = snapshot->error,
            .side = SLUICE_SIDE_SOURCE,
            .call = call_name(CALL_CLONE),
            .reason = "no clone of the source can be made beside it",
        };
        ledger_fell_back(&transfer->ledger, &record);
    }
}

void snapshot_free(struct snapshot *snapshot)
{
    if (snapshot->taken)
        sys_close(snapshot->clone.fd);
    snapshot->taken = false;
}
