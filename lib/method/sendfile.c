/* SPDX-License-Identifier: MIT */
/* sendfile: one call, one leg. Inside it is splice through a pipe that belongs to the task, so
 * nobody's pipe is held while it waits. */
#include "../sys.h"
#include "../transfer.h"

static struct move sendfile_pump(struct sluice_transfer *transfer, size_t want)
{
    struct side *in = &transfer->in;
    const ssize_t value = sys_sendfile(transfer->out.fd, in->fd, side_offset(in), want);
    return (struct move){.call = CALL_SENDFILE, .value = value};
}

const struct method method_sendfile = {
    .id = SLUICE_METHOD_SENDFILE,
    .chunk = 4 << 20,
    .bounded = true,
    .elastic = true,
    .pump = sendfile_pump,
};
