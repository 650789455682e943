/* SPDX-License-Identifier: MIT */
/* `sluice copy --checksum`: what was delivered is read again, from the sink where that can be read. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "copy.h"
#include "descriptor.h"
#include "printable.h"
#include "signals.h"

int copy_reread(const struct copy *copy, enum sluice_side side, int flags, uint64_t *ret_offset)
{
    const struct sluice_options *options = &copy->options.library;
    const bool source = side == SLUICE_SIDE_SOURCE;
    struct sluice_endpoint_info info = {.size = sizeof info};
    char path[32];

    sluice_endpoint_describe(source ? copy->source : copy->sink, &info);
    if (!info.seekable)
        return -ESPIPE;
    snprintf(path, sizeof path, "/proc/self/fd/%d", info.fd);
    const int fd = own_descriptor(open(path, O_RDONLY | O_CLOEXEC | flags));
    if (fd < 0)
        return fd;
    *ret_offset = source ? options->source_offset : options->sink_offset;
    if (!(options->flags & (source ? SLUICE_SOURCE_OFFSET : SLUICE_SINK_OFFSET))) {
        const off_t at = lseek(info.fd, 0, SEEK_CUR);
        *ret_offset = (uint64_t)at - sluice_transfer_delivered(copy->transfer);
    }
    return fd;
}

/* Of a sink that was gone on with: all of it. */
enum status copy_checksum(struct copy *copy)
{
    const char *of = copy->sink_name;
    char shown[PRINTABLE_SIZE(NAME_SIZE)];
    uint64_t before = copy->resumed_at, offset;

    int fd = copy_reread(copy, SLUICE_SIDE_SINK, 0, &offset);
    if (fd < 0) {
        of = copy->source_name;
        before = 0;
        fd = copy_reread(copy, SLUICE_SIDE_SOURCE, 0, &offset);
    }
    int error = fd < 0 ? fd : 0;
    if (fd >= 0) {
        checksum_stop_when(signals_caught);
        error = checksum_of_range(fd, offset - before,
                                  before + sluice_transfer_delivered(copy->transfer),
                                  copy->options.checksum, copy->checksum);
        close(fd);
    }
    if (error < 0)
        return copy_cannot(copy, SLUICE_SIDE_SETUP, "compute the checksum of", of, error);
    copy->report.checksum = copy->checksum;
    copy->report.checksum_name = checksum_name(copy->options.checksum);
    copy->report.checksum_of = of;
    if (!copy->options.json)
        fprintf(copy_ledger_stream(copy), "%s  %s  (%s)\n", copy->checksum,
                printable(of, shown, sizeof shown), copy->report.checksum_name);
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
