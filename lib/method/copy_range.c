/* SPDX-License-Identifier: MIT */
/* copy-range: copy_file_range(2) between two files of one file system. */
#include "../sys.h"
#include "../transfer.h"

static struct move copy_range_pump(struct sluice_transfer *transfer, size_t want)
{
    struct side *in = &transfer->in, *out = &transfer->out;
    const ssize_t value =
        sys_copy_file_range(in->fd, side_offset(in), out->fd, side_offset(out), want);
    return (struct move){.call = CALL_COPY_RANGE, .value = value};
}

const struct method method_copy_range = {
    .id = SLUICE_METHOD_COPY_RANGE,
    .chunk = 16 << 20,
    .elastic = true,
    .pump = copy_range_pump,
};
