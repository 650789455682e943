/* SPDX-License-Identifier: MIT */
/*
 * What makes a method impossible for a pair, and what rules it out by what was asked for, with the
 * reason that is shown.
 */
#include <fcntl.h>
#include <unistd.h>

#include "alignment.h"
#include "plan_pair.h"
#include "sys.h"

#define METHODS_ALL      0xffff
#define METHODS_SPLICING (METHOD(SPLICE) | METHOD(SENDFILE))
#define METHODS_SHARING  (METHOD(REFLINK) | METHOD(COPY_RANGE))

/* These surely share no extents; others are asked. */
static bool shares_nothing(const struct pair *pair)
{
    static const char *const names[] = {"ext4", "tmpfs",   "ramfs",   "vfat",
                                        "f2fs", "iso9660", "squashfs"};
    return name_among(pair->source->name, names, COUNT(names));
}

static uint64_t begin_of(const struct sluice_endpoint *endpoint, bool given, uint64_t offset)
{
    if (given)
        return offset;
    const int64_t at = endpoint->fd < 0 ? 0 : sys_lseek(endpoint->fd, 0, SEEK_CUR);
    return at < 0 ? 0 : (uint64_t)at;
}

/* No block of the one is a block of the other. */
static bool lies_otherwise(const struct pair *pair)
{
    const struct sluice_options *options = pair->options;
    const uint32_t in = pair->source->block, out = pair->sink->block, block = in > out ? in : out;

    return block > 0 &&
           begin_of(pair->source, options->flags & SLUICE_SOURCE_OFFSET, options->source_offset) %
                   block !=
               begin_of(pair->sink, options->flags & SLUICE_SINK_OFFSET, options->sink_offset) %
                   block;
}

static bool sink_device_appends(const struct pair *pair)
{
    return (pair->sink->flags & O_APPEND) != 0;
}

static bool same_end(const struct pair *pair)
{
    return endpoint_same(pair->source, pair->sink);
}

static bool sink_offset_given(const struct pair *pair)
{
    return (pair->options->flags & SLUICE_SINK_OFFSET) != 0;
}

static bool must_not_copy(const struct pair *pair)
{
    return pair->options->require != SLUICE_REQUIRE_ANY;
}

/* A rule rules its methods out if source and sink are in these sets, and the test, if there is one,
 * is true. The first that fits is the reason shown. */
static const struct rule {
    int methods;
    int source, sink;
    bool (*test)(const struct pair *);
    const char *reason;
} rules[] = {
    {METHODS_ALL, MEDIUM_OTHER, MEDIA_ALL, NULL, "source is nothing that bytes come from"},
    {METHODS_ALL, MEDIA_ALL, MEDIUM_OTHER, NULL, "sink is nothing that bytes go to"},
    {METHODS_ALL, MEDIA_ALL, MEDIA_ALL, same_end, "source and sink are the same"},

    {METHODS_SHARING, ~MEDIA_SEEKABLE, MEDIA_ALL, NULL, "source is not a file"},
    {METHODS_SHARING, MEDIA_ALL, ~MEDIA_SEEKABLE, NULL, "sink is not a file"},
    {METHODS_SHARING, MEDIUM_BLOCK, MEDIA_ALL, NULL, "source is a block device"},
    {METHODS_SHARING, MEDIA_ALL, MEDIUM_BLOCK, NULL, "sink is a block device"},
    {METHODS_SHARING, MEDIUM_PSEUDO, MEDIA_ALL, NULL,
     "source is made while it is read: its size says nothing"},
    {METHODS_SHARING, MEDIA_ALL, MEDIUM_PSEUDO, NULL, "sink takes whole writes only"},
    {METHODS_SHARING, MEDIA_ALL, MEDIA_ALL, pair_sink_appends, "sink is O_APPEND (EBADF)"},
    {METHODS_SHARING, MEDIA_ALL, MEDIA_ALL, pair_across_file_systems,
     "source and sink are on different file systems (EXDEV)"},
    {METHOD(REFLINK), MEDIA_ALL, MEDIA_ALL, shares_nothing,
     "this file system shares no extents (EOPNOTSUPP)"},
    {METHOD(REFLINK), MEDIA_ALL, MEDIA_ALL, lies_otherwise,
     "the range lies otherwise in the source's blocks than in the sink's: whole ones are shared "
     "(EINVAL)"},

    {METHODS_SPLICING | METHOD(DIRECT) | METHOD(MMAP_WRITE), MEDIUM_MESSAGE, MEDIA_ALL, NULL,
     "a datagram longer than the call would lose its rest: only recvmsg keeps it whole"},
    {METHODS_SPLICING, MEDIUM_NULL, MEDIA_ALL, NULL, "source /dev/null cannot be spliced (EINVAL)"},
    {METHODS_SPLICING | METHOD(DIRECT) | METHOD(MMAP_WRITE), MEDIA_ALL, MEDIUM_MESSAGE, NULL,
     "sink is a datagram socket: only read-write cuts messages that it takes"},
    {METHODS_SPLICING | METHOD(DIRECT), MEDIA_ALL, MEDIUM_PSEUDO, NULL,
     "sink takes whole writes only"},
    {METHODS_SPLICING | METHOD(DIRECT), MEDIA_ALL, MEDIA_ALL, sink_device_appends,
     "sink is O_APPEND (EINVAL)"},

    {METHOD(SPLICE), MEDIUM_FILE | MEDIUM_REMOTE | MEDIUM_BLOCK | MEDIUM_PIPE | MEDIUM_STREAM,
     MEDIA_ALL, pair_must_not_refer,
     "it hands on pages that somebody can write to, and a snapshot is wanted"},
    {METHOD(DIRECT), ~MEDIA_SEEKABLE, MEDIA_ALL, must_not_copy,
     "what comes in pieces that are no whole blocks is copied, and that cannot be known before"},
    {METHOD(DIRECT), MEDIUM_PIPE, MEDIA_ALL, pair_must_not_refer,
     "it hands on pages that somebody can write to, and a snapshot is wanted"},
    {METHOD(SENDFILE), MEDIUM_FILE | MEDIUM_REMOTE | MEDIUM_BLOCK, ~(MEDIA_SEEKABLE),
     pair_must_not_refer, "it hands on pages that somebody can write to, and a snapshot is wanted"},

    {METHOD(SENDFILE), ~(MEDIA_SEEKABLE | MEDIUM_ZERO), MEDIA_ALL, NULL,
     "source has no offset (EINVAL)"},
    {METHOD(SENDFILE), MEDIA_ALL, MEDIA_ALL, sink_offset_given, "sendfile has no sink offset"},
    {METHOD(SENDFILE), ~MEDIUM_FILE, MEDIUM_PIPE, NULL,
     "a read that waits would hold the sink's pipe"},

    {METHOD(MMAP_WRITE), ~MEDIA_FILES, MEDIA_ALL, NULL, "source cannot be mapped"},
    {METHOD(MMAP_WRITE), ~MEDIUM_FILE, MEDIUM_PIPE, NULL,
     "a page that is waited for would hold the sink's pipe"},
};

/* direct waits for the device, whatever the page cache has: it is for those who want what it alone
 * gives. */
static bool wants_direct(const struct pair *pair)
{
    const struct sluice_options *options = pair->options;
    return options->method == SLUICE_METHOD_DIRECT || options->cache == SLUICE_CACHE_BYPASS ||
           options->require == SLUICE_REQUIRE_ZERO_COPY ||
           (pair_must_not_refer(pair) && alignment_matters(pair->source) &&
            !(pair->sink->medium & MEDIA_SEEKABLE));
}

const char *plan_ruled_out(enum sluice_method method, const struct pair *pair)
{
    for (const struct rule *rule = rules; rule < rules + COUNT(rules); rule++)
        if ((rule->methods & (1 << method)) && (rule->source & (int)pair->source->medium) &&
            (rule->sink & (int)pair->sink->medium) && (!rule->test || rule->test(pair)))
            return rule->reason;
    return method == SLUICE_METHOD_DIRECT
               ? plan_direct_refusal(pair->source, pair->sink, wants_direct(pair))
               : NULL;
}

/* Whether the sink can be given holes. */
static bool sink_takes_holes(const struct pair *pair)
{
    return pair->sink->kind == SLUICE_KIND_REGULAR && pair->sink->medium != MEDIUM_PSEUDO &&
           !pair_sink_appends(pair);
}

static const char *ruled_out_by_holes(const struct sluice_candidate *candidate,
                                      const struct pair *pair)
{
    const enum sluice_when sparse = pair->options->sparse;

    if (sparse == SLUICE_ALWAYS && !sink_takes_holes(pair))
        return "sink can have no holes, and sparse=always";
    if (sparse == SLUICE_ALWAYS && candidate->method != SLUICE_METHOD_READ_WRITE)
        return "it does not look for zeros, and sparse=always";
    if (sparse == SLUICE_NEVER && candidate->leg[0].class_ == SLUICE_CLASS_OFFLOAD)
        return "it keeps holes, and sparse=never";
    return NULL;
}

const char *plan_ruled_out_by_policy(const struct sluice_candidate *candidate,
                                     const struct pair *pair)
{
    const struct sluice_options *options = pair->options;
    const char *holes = ruled_out_by_holes(candidate, pair);

    if (holes)
        return holes;
    if (options->method != SLUICE_METHOD_AUTO && options->method != candidate->method)
        return "another method was asked for";
    if (candidate->method == SLUICE_METHOD_DIRECT && !wants_direct(pair))
        return "it waits for the device: only by name, for cache=bypass, a snapshot or zero-copy";
    if (options->reflink == SLUICE_ALWAYS && candidate->method != SLUICE_METHOD_REFLINK)
        return "it shares no extents, and reflink=always";
    if (options->reflink == SLUICE_NEVER && candidate->leg[0].class_ == SLUICE_CLASS_OFFLOAD)
        return "it shares extents, and reflink=never";
    for (unsigned i = 0; i < candidate->legs; i++)
        if (!class_allowed(candidate->leg[i].class_, options->require))
            return options->require == SLUICE_REQUIRE_ZERO_COPY
                       ? "it copies, and zero-copy is required"
                       : "it copies through user memory, and no-user-copy is required";
    for (unsigned i = 0; i < candidate->legs; i++)
        if (options->require == SLUICE_REQUIRE_ZERO_COPY &&
            candidate->leg[i].known != SLUICE_PROVEN)
            return "no probe has proven that it does not copy, and zero-copy is required";
    return NULL;
}
