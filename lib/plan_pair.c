/* SPDX-License-Identifier: MIT */
#include "plan_pair.h"

#include <fcntl.h>
#include <string.h>

#include "footprint.h"

bool name_among(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* Two mounts of one of these can share what copy_file_range needs though st_dev differs. */
static bool may_cross_devices(const struct pair *pair)
{
    static const char *const names[] = {"btrfs", "nfs", "cifs", "smb2", "ceph"};
    return strcmp(pair->source->name, pair->sink->name) == 0 &&
           name_among(pair->source->name, names, COUNT(names));
}

bool pair_across_file_systems(const struct pair *pair)
{
    const bool known = pair->source->device && pair->sink->device;
    return known ? pair->source->device != pair->sink->device && !may_cross_devices(pair)
                 : strcmp(pair->source->name, pair->sink->name) != 0;
}

bool pair_may_share(const struct pair *pair)
{
    return plan_shares_extents(pair->source) && !pair_across_file_systems(pair);
}

bool pair_sink_appends(const struct pair *pair)
{
    return (pair->sink->flags & O_APPEND) != 0 && (pair->sink->medium & MEDIA_SEEKABLE) != 0;
}

bool pair_must_not_refer(const struct pair *pair)
{
    return (pair->options->flags & SLUICE_SNAPSHOT) != 0 && !endpoint_immutable(pair->source);
}

/* Of a sink that is not there yet its file system is asked, if the source is on the same. */
bool pair_sink_uncached(const struct pair *pair)
{
    const bool absent = pair->sink->fd < 0 && pair->sink->medium == MEDIUM_FILE;

    if (pair_sink_appends(pair) || (absent && pair_across_file_systems(pair)))
        return false;
    return footprint_uncached(absent ? pair->source : pair->sink);
}
