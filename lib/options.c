/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <errno.h>
#include <unistd.h>

#include "context.h"
#include "sys.h"

int options_read(struct sluice_options *own, const struct sluice_options *given)
{
    if (!given) {
        *own = (struct sluice_options)SLUICE_OPTIONS_INIT;
        return 0;
    }
    const int error = sized_read(own, sizeof *own, given);
    if (error < 0)
        return error;
    const uint32_t known = SLUICE_LENGTH | SLUICE_SOURCE_OFFSET | SLUICE_SINK_OFFSET |
                           SLUICE_EXACT | SLUICE_TIME_CALLS | SLUICE_NO_SIGPIPE | SLUICE_WITNESS |
                           SLUICE_SNAPSHOT | SLUICE_NO_READAHEAD | SLUICE_READAHEAD |
                           SLUICE_EDGE_TRIGGERED;
    if ((own->flags & ~known) || (unsigned)own->method >= SLUICE_METHOD_COUNT ||
        (unsigned)own->require > SLUICE_REQUIRE_ZERO_COPY ||
        (unsigned)own->reflink > SLUICE_NEVER || (unsigned)own->sparse > SLUICE_NEVER ||
        (unsigned)own->cache > SLUICE_CACHE_BYPASS)
        return -EINVAL;
    return 0;
}

uint64_t options_expected(const struct sluice_options *options,
                          const struct sluice_endpoint *source)
{
    uint64_t left = UINT64_MAX;

    if (source->fd >= 0 && (source->medium & MEDIA_SEEKABLE) && source->medium != MEDIUM_PSEUDO) {
        int64_t position = (int64_t)options->source_offset;
        if (!(options->flags & SLUICE_SOURCE_OFFSET))
            position = sys_lseek(source->fd, 0, SEEK_CUR);
        if (position < 0)
            position = 0;
        left = (uint64_t)position < source->bytes ? source->bytes - (uint64_t)position : 0;
    }
    if ((options->flags & SLUICE_LENGTH) && options->length < left)
        left = options->length;
    return left;
}
