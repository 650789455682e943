/* SPDX-License-Identifier: MIT */
/* `sluice copy --checksum`: what was delivered is read again, from the sink where that can be read. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "copy.h"
#include "descriptor.h"
#include "signals.h"

/* A descriptor to read back what was delivered: the sink's file, else the source's. Returns it, to
 * be closed, with the offset of the first delivered byte. */
static int reread(const struct copy *copy, const sluice_endpoint *endpoint, uint64_t offset,
                  bool offset_given, uint64_t *ret_offset)
{
    struct sluice_endpoint_info info = {.size = sizeof info};
    char path[32];

    sluice_endpoint_describe(endpoint, &info);
    if (!info.seekable)
        return -ESPIPE;
    snprintf(path, sizeof path, "/proc/self/fd/%d", info.fd);
    const int fd = own_descriptor(open(path, O_RDONLY | O_CLOEXEC));
    if (fd < 0)
        return fd;
    *ret_offset = offset;
    if (!offset_given) {
        const off_t at = lseek(info.fd, 0, SEEK_CUR);
        *ret_offset = (uint64_t)at - sluice_transfer_delivered(copy->transfer);
    }
    return fd;
}

enum status copy_checksum(struct copy *copy)
{
    const struct sluice_options *options = &copy->options.library;
    const char *of = copy->sink_name;
    uint64_t offset;

    int fd = reread(copy, copy->sink, options->sink_offset, options->flags & SLUICE_SINK_OFFSET,
                    &offset);
    if (fd < 0) {
        of = copy->source_name;
        fd = reread(copy, copy->source, options->source_offset,
                    options->flags & SLUICE_SOURCE_OFFSET, &offset);
    }
    int error = fd < 0 ? fd : 0;
    if (fd >= 0) {
        checksum_stop_when(signals_caught);
        error = checksum_of_range(fd, offset, sluice_transfer_delivered(copy->transfer),
                                  copy->options.checksum, copy->checksum);
        close(fd);
    }
    if (error < 0)
        return copy_cannot(copy, SLUICE_SIDE_SETUP, "compute the checksum of", of, error);
    copy->report.checksum = copy->checksum;
    copy->report.checksum_name = checksum_name(copy->options.checksum);
    copy->report.checksum_of = of;
    if (!copy->options.json)
        fprintf(copy_ledger_stream(copy), "%s  %s  (%s)\n", copy->checksum, of,
                copy->report.checksum_name);
    return STATUS_DONE;
}

/* Known before a byte moves: no end is there to be read again. */
enum status copy_check_checksum(struct copy *copy)
{
    struct sluice_endpoint_info source = {.size = sizeof source}, sink = {.size = sizeof sink};

    sluice_endpoint_describe(copy->source, &source);
    sluice_endpoint_describe(copy->sink, &sink);
    if (!copy->options.checksum || source.seekable || sink.seekable)
        return STATUS_DONE;
    return copy_cannot(copy, SLUICE_SIDE_SETUP, "compute the checksum, reading again",
                       copy->sink_name, -ESPIPE);
}
