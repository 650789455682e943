/* SPDX-License-Identifier: MIT */
/*
 * The tables that the plan is made of, in the order in which they are asked:
 *   hops     what it costs to get from a medium into a pipe, out of one, into memory, out of it
 *   rules    what makes a method impossible for a pair, with the reason that is shown
 *   orders   which method is the best for a pair of media, by measurement
 */
#include "plan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "alignment.h"
#include "context.h"
#include "footprint.h"
#include "options.h"
#include "snapshot.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))

#define MEDIA_CACHED   (MEDIUM_FILE | MEDIUM_REMOTE | MEDIUM_BLOCK)
#define MEDIA_MAPPABLE (MEDIA_CACHED | MEDIUM_DIRECT)
#define MEDIA_ALL      0x7fffffff

enum { SMALL_PIPE = 65536 }; /* what a pipe has when nobody asks for more */

/* ---- hops ---- */

struct hop {
    int media;
    enum sluice_class class_;
    const char *path;
};

/* splice(2) into a pipe. Verified by aliasing on Linux 6.18; older kernels since 5.10 the same. */
static const struct hop hops_into_pipe[] = {
    {MEDIA_CACHED, SLUICE_CLASS_REFERENCE, "filemap_splice_read"},
    {MEDIUM_DIRECT, SLUICE_CLASS_DMA, "copy_splice_read"},
    {MEDIUM_PIPE, SLUICE_CLASS_REFERENCE, "splice_pipe_to_pipe"},
    {MEDIUM_STREAM, SLUICE_CLASS_REFERENCE, "skb_splice_bits"},
    {MEDIA_ALL, SLUICE_CLASS_KERNEL_COPY, "copy_splice_read"},
};

/* splice(2) out of a pipe. Into a file it is always a copy: F_MOVE has no effect. */
static const struct hop hops_out_of_pipe[] = {
    {MEDIA_CACHED | MEDIUM_PSEUDO, SLUICE_CLASS_KERNEL_COPY, "iter_file_splice_write"},
    {MEDIUM_DIRECT, SLUICE_CLASS_DMA, "iter_file_splice_write"},
    {MEDIUM_PIPE, SLUICE_CLASS_REFERENCE, "splice_pipe_to_pipe"},
    {MEDIUM_STREAM, SLUICE_CLASS_REFERENCE, "splice_to_socket"},
    {MEDIUM_NULL | MEDIUM_ZERO, SLUICE_CLASS_REFERENCE, "splice_write_null"},
    {MEDIUM_SOCKET, SLUICE_CLASS_KERNEL_COPY, "splice_to_socket"},
    {MEDIA_ALL, SLUICE_CLASS_KERNEL_COPY, "iter_file_splice_write"},
};

static const struct hop hops_into_memory[] = {
    {MEDIUM_DIRECT, SLUICE_CLASS_DMA, "iomap_dio_rw"},
    {MEDIA_CACHED, SLUICE_CLASS_USER_COPY, "filemap_read"},
    {MEDIUM_PIPE, SLUICE_CLASS_USER_COPY, "anon_pipe_read"},
    {MEDIUM_STREAM | MEDIUM_SOCKET | MEDIUM_MESSAGE, SLUICE_CLASS_USER_COPY, "sock_recvmsg"},
    {MEDIA_ALL, SLUICE_CLASS_USER_COPY, "vfs_read"},
};

static const struct hop hops_out_of_memory[] = {
    {MEDIUM_DIRECT, SLUICE_CLASS_DMA, "iomap_dio_rw"},
    {MEDIA_CACHED, SLUICE_CLASS_USER_COPY, "generic_perform_write"},
    {MEDIUM_PIPE, SLUICE_CLASS_USER_COPY, "anon_pipe_write"},
    {MEDIUM_STREAM | MEDIUM_SOCKET | MEDIUM_MESSAGE, SLUICE_CLASS_USER_COPY, "sock_sendmsg"},
    /* The device looks at the length and not at the bytes. */
    {MEDIUM_NULL | MEDIUM_ZERO, SLUICE_CLASS_REFERENCE, "write_null"},
    {MEDIA_ALL, SLUICE_CLASS_USER_COPY, "vfs_write"},
};

static const struct hop *hop_of(const struct hop *table, enum medium medium)
{
    while (!(table->media & (int)medium))
        table++; /* the last row serves all */
    return table;
}

unsigned class_copies(enum sluice_class class_)
{
    return class_ == SLUICE_CLASS_KERNEL_COPY || class_ == SLUICE_CLASS_USER_COPY;
}

bool class_allowed(enum sluice_class class_, enum sluice_require require)
{
    switch (require) {
    case SLUICE_REQUIRE_ZERO_COPY:
        return class_copies(class_) == 0;
    case SLUICE_REQUIRE_NO_USER_COPY:
        return class_ != SLUICE_CLASS_USER_COPY;
    default:
        return true;
    }
}

/* ---- legs ---- */

static struct sluice_leg leg_make(const char *from, const char *to, const char *call,
                                  const struct hop *hop)
{
    return (struct sluice_leg){.from = from,
                               .to = to,
                               .call = call,
                               .path = hop->path,
                               .class_ = hop->class_,
                               .known = SLUICE_EXPECTED,
                               .copies = class_copies(hop->class_)};
}

/* NULL stands for the private pipe. */
struct sluice_leg plan_leg_splice(const struct sluice_endpoint *from,
                                  const struct sluice_endpoint *to)
{
    const bool out = from == NULL || (from->medium == MEDIUM_PIPE && to != NULL);
    const struct hop *hop =
        out ? hop_of(hops_out_of_pipe, to->medium) : hop_of(hops_into_pipe, from->medium);
    return leg_make(from ? from->name : "pipe", to ? to->name : "pipe", "splice", hop);
}

struct sluice_leg plan_leg_read(const struct sluice_endpoint *from)
{
    const char *call = from->medium & MEDIUM_MESSAGE                    ? "recvmsg"
                       : from->medium & (MEDIUM_STREAM | MEDIUM_SOCKET) ? "recv"
                                                                        : "read";
    return leg_make(from->name, "user", call, hop_of(hops_into_memory, from->medium));
}

struct sluice_leg plan_leg_write(const struct sluice_endpoint *to)
{
    const char *call = to->medium & MEDIA_SOCKETS ? "send" : "write";
    return leg_make("user", to->name, call, hop_of(hops_out_of_memory, to->medium));
}

struct sluice_leg plan_leg_uncached(struct sluice_leg leg)
{
    leg.variant = "RWF_DONTCACHE";
    return leg;
}

/* sendfile(2) is splice through a pipe that belongs to the task: one call, two hops. */
static struct sluice_leg leg_sendfile(const struct sluice_endpoint *source,
                                      const struct sluice_endpoint *sink)
{
    const struct hop *in = hop_of(hops_into_pipe, source->medium);
    const struct hop *out = hop_of(hops_out_of_pipe, sink->medium);
    struct sluice_leg leg = leg_make(source->name, sink->name, "sendfile", in);

    if (sink->medium == MEDIUM_PIPE) /* the pipe is the sink's own */
        return leg;
    if (!class_copies(in->class_))
        leg.class_ = out->class_;
    leg.copies += class_copies(out->class_);
    leg.path_out = out->path;
    return leg;
}

static bool name_among(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* File systems where copy_file_range moves no byte: it shares extents, or the server copies. */
bool plan_shares_extents(const struct sluice_endpoint *endpoint)
{
    static const char *const names[] = {"btrfs", "xfs", "bcachefs", "nfs", "cifs", "smb2", "ceph"};
    return name_among(endpoint->name, names, COUNT(names));
}

/* Those that surely do not; of others the kernel is asked. */
static bool never_shares_extents(const struct sluice_endpoint *endpoint)
{
    static const char *const names[] = {"ext4", "tmpfs",   "ramfs",   "vfat",
                                        "f2fs", "iso9660", "squashfs"};
    return name_among(endpoint->name, names, COUNT(names));
}

static const struct hop hop_copied = {0, SLUICE_CLASS_KERNEL_COPY, "splice_copy_file_range"};
static const struct hop hop_shared = {0, SLUICE_CLASS_OFFLOAD, "vfs_clone_file_range"};

static struct sluice_leg leg_copy_range(const struct sluice_endpoint *source,
                                        const struct sluice_endpoint *sink)
{
    return leg_make(source->name, sink->name, "copy_file_range",
                    plan_shares_extents(source) ? &hop_shared : &hop_copied);
}

struct sluice_leg plan_leg_hole(const char *from, const char *to, const char *call)
{
    static const struct hop hop = {0, SLUICE_CLASS_OFFLOAD, "vfs_fallocate"};
    return leg_make(from, to, call, &hop);
}

struct sluice_leg plan_leg_clone(const char *from)
{
    return leg_make(from, "clone", "FICLONERANGE", &hop_shared);
}

struct sluice_leg plan_leg_edge(const struct sluice_endpoint *from,
                                const struct sluice_endpoint *to)
{
    return leg_make(from->name, to->name, "copy_file_range", &hop_copied);
}

enum splice_route plan_splice_route(const struct sluice_endpoint *source,
                                    const struct sluice_endpoint *sink)
{
    /* A user's pipe meets in one call only what cannot wait: another pipe, a file of a local file
     * system, or a device that drops all. splice holds the pipe's mutex while it waits on the other
     * side, and everybody else who touches that pipe would hang beyond SIGKILL. */
    if (source->medium == MEDIUM_PIPE && sink->medium == MEDIUM_PIPE)
        return SPLICE_STRAIGHT;
    /* Where both ways are open, a large pipe is kept free for the other process while we walk the
     * page cache, or give pages back (measured: up to twice the throughput at 1 MiB). */
    if (sink->medium == MEDIUM_PIPE && source->medium == MEDIUM_FILE)
        return sink->capacity > SMALL_PIPE ? SPLICE_THROUGH_PIPE : SPLICE_STRAIGHT;
    return SPLICE_THROUGH_PIPE;
}

static void fill_legs(struct sluice_candidate *candidate, const struct sluice_endpoint *source,
                      const struct sluice_endpoint *sink)
{
    static const struct hop map = {0, SLUICE_CLASS_MAP, "filemap_map_pages"};

    candidate->legs = 1;
    switch (candidate->method) {
    case SLUICE_METHOD_REFLINK:
        candidate->leg[0] = leg_make(source->name, sink->name, "FICLONERANGE", &hop_shared);
        break;
    case SLUICE_METHOD_COPY_RANGE:
        candidate->leg[0] = leg_copy_range(source, sink);
        break;
    case SLUICE_METHOD_SENDFILE:
        candidate->leg[0] = leg_sendfile(source, sink);
        break;
    case SLUICE_METHOD_SPLICE:
        if (plan_splice_route(source, sink) == SPLICE_STRAIGHT) {
            candidate->leg[0] = plan_leg_splice(source, sink);
        } else {
            candidate->leg[0] = plan_leg_splice(source, NULL);
            candidate->leg[1] = plan_leg_splice(NULL, sink);
            candidate->legs = 2;
        }
        break;
    case SLUICE_METHOD_MMAP_WRITE:
        candidate->leg[0] = leg_make(source->name, "user", "mmap", &map);
        candidate->leg[1] = plan_leg_write(sink);
        candidate->legs = 2;
        break;
    case SLUICE_METHOD_READ_WRITE:
        candidate->leg[0] = plan_leg_read(source);
        candidate->leg[1] = plan_leg_write(sink);
        candidate->legs = 2;
        break;
    case SLUICE_METHOD_DIRECT:
        plan_direct_legs(candidate, source, sink);
        break;
    default:
        candidate->legs = 0;
        break;
    }
}

static unsigned expected_copies(const struct sluice_candidate *candidate)
{
    unsigned copies = 0;
    for (unsigned i = 0; i < candidate->legs; i++)
        copies += candidate->leg[i].copies;
    return copies;
}

/* ---- rules ---- */

struct pair {
    const struct sluice_endpoint *source, *sink;
    const struct sluice_options *options;
};

#define METHOD(name)     (1 << SLUICE_METHOD_##name)
#define METHODS_ALL      0xffff
#define METHODS_SPLICING (METHOD(SPLICE) | METHOD(SENDFILE))
#define METHODS_SHARING  (METHOD(REFLINK) | METHOD(COPY_RANGE))

/* Two mounts of one of these can share what copy_file_range needs though st_dev differs. */
static bool may_cross_devices(const struct pair *pair)
{
    static const char *const names[] = {"btrfs", "nfs", "cifs", "smb2", "ceph"};
    return strcmp(pair->source->name, pair->sink->name) == 0 &&
           name_among(pair->source->name, names, COUNT(names));
}

static bool across_file_systems(const struct pair *pair)
{
    const bool known = pair->source->device && pair->sink->device;
    return known ? pair->source->device != pair->sink->device && !may_cross_devices(pair)
                 : strcmp(pair->source->name, pair->sink->name) != 0;
}

static bool may_share(const struct pair *pair)
{
    return plan_shares_extents(pair->source) && !across_file_systems(pair);
}

static bool shares_nothing(const struct pair *pair)
{
    return never_shares_extents(pair->source);
}

static bool sink_appends(const struct pair *pair)
{
    return (pair->sink->flags & O_APPEND) != 0 && (pair->sink->medium & MEDIA_SEEKABLE) != 0;
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

/* With a snapshot no page of a source that somebody can write to is handed on, or waits in a pipe. */
static bool must_not_refer(const struct pair *pair)
{
    return (pair->options->flags & SLUICE_SNAPSHOT) != 0 && !endpoint_immutable(pair->source);
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
    {METHODS_SHARING, MEDIA_ALL, MEDIA_ALL, sink_appends, "sink is O_APPEND (EBADF)"},
    {METHODS_SHARING, MEDIA_ALL, MEDIA_ALL, across_file_systems,
     "source and sink are on different file systems (EXDEV)"},
    {METHOD(REFLINK), MEDIA_ALL, MEDIA_ALL, shares_nothing,
     "this file system shares no extents (EOPNOTSUPP)"},

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
     MEDIA_ALL, must_not_refer,
     "it hands on pages that somebody can write to, and a snapshot is wanted"},
    {METHOD(DIRECT), ~MEDIA_SEEKABLE, MEDIA_ALL, must_not_copy,
     "what comes in pieces that are no whole blocks is copied, and that cannot be known before"},
    {METHOD(DIRECT), MEDIUM_PIPE, MEDIA_ALL, must_not_refer,
     "it hands on pages that somebody can write to, and a snapshot is wanted"},
    {METHOD(SENDFILE), MEDIUM_FILE | MEDIUM_REMOTE | MEDIUM_BLOCK, ~(MEDIA_SEEKABLE),
     must_not_refer, "it hands on pages that somebody can write to, and a snapshot is wanted"},

    {METHOD(SENDFILE), ~(MEDIA_SEEKABLE | MEDIUM_ZERO), MEDIA_ALL, NULL,
     "source has no offset (EINVAL)"},
    {METHOD(SENDFILE), MEDIA_ALL, MEDIA_ALL, sink_offset_given, "sendfile has no sink offset"},
    {METHOD(SENDFILE), ~MEDIUM_FILE, MEDIUM_PIPE, NULL,
     "a read that waits would hold the sink's pipe"},

    {METHOD(MMAP_WRITE), MEDIUM_PSEUDO, MEDIA_ALL, NULL, "source cannot be mapped"},
    {METHOD(MMAP_WRITE), ~MEDIA_MAPPABLE, MEDIA_ALL, NULL, "source cannot be mapped"},
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
           (must_not_refer(pair) && alignment_matters(pair->source) &&
            !(pair->sink->medium & MEDIA_SEEKABLE));
}

static const char *ruled_out(enum sluice_method method, const struct pair *pair)
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
           !sink_appends(pair);
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

static const char *ruled_out_by_policy(const struct sluice_candidate *candidate,
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

/* ---- orders ---- */

#define ORDER_LENGTH 7
#define FILES        (MEDIA_CACHED | MEDIUM_DIRECT)

static bool bypasses_cache(const struct pair *pair)
{
    return pair->options->cache == SLUICE_CACHE_BYPASS;
}

static bool wants_private_pages(const struct pair *pair)
{
    return must_not_refer(pair) && alignment_matters(pair->source);
}

/* Of a sink that is not there yet its file system is asked, if the source is on the same. */
static bool sink_uncached(const struct pair *pair)
{
    const bool absent = pair->sink->fd < 0 && pair->sink->medium == MEDIUM_FILE;

    if (sink_appends(pair) || (absent && across_file_systems(pair)))
        return false;
    return footprint_uncached(absent ? pair->source : pair->sink);
}

/* Writing a file begins by itself, and what was written leaves by itself: nobody waits for a window. */
static bool drops_by_itself(const struct pair *pair)
{
    return pair->options->cache == SLUICE_CACHE_DROP && sink_uncached(pair);
}

/* By measurement (docs/benchmarks.md): CPU per byte, then throughput. The first row that has the
 * pair, whose bound is not exceeded and whose test is true, is taken. */
/* clang-format off */
#define DIRECT SLUICE_METHOD_DIRECT
#define REFLINK SLUICE_METHOD_REFLINK
#define COPY_RANGE SLUICE_METHOD_COPY_RANGE
#define SENDFILE SLUICE_METHOD_SENDFILE
#define SPLICE SLUICE_METHOD_SPLICE
#define MMAP_WRITE SLUICE_METHOD_MMAP_WRITE
#define READ_WRITE SLUICE_METHOD_READ_WRITE
static const struct order {
    int source, sink;
    uint64_t at_most; /* bytes to be moved, where known; 0: any number */
    bool (*test)(const struct pair *);
    enum sluice_method method[ORDER_LENGTH];
    const char *why;
} orders[] = {
    {MEDIA_ALL, MEDIA_ALL, 0, bypasses_cache,
     {DIRECT, REFLINK, SPLICE, SENDFILE, COPY_RANGE, READ_WRITE, MMAP_WRITE},
     "the page cache is to be bypassed"},
    {FILES, ~MEDIA_SEEKABLE, 0, wants_private_pages,
     {DIRECT, MMAP_WRITE, READ_WRITE},
     "it takes bytes from the device into pages of its own, as a snapshot must"},
    /* One call, no pipe to be made, and no fresh memory that page faults make dear. */
    {FILES, MEDIUM_PIPE | MEDIUM_NULL | MEDIUM_ZERO, 65536, NULL,
     {SENDFILE, SPLICE, READ_WRITE, MMAP_WRITE},
     "so little is moved soonest by one call"},
    {MEDIA_ALL, MEDIA_ALL, 4096, NULL,
     {READ_WRITE, SENDFILE, SPLICE, COPY_RANGE, MMAP_WRITE},
     "so little is moved soonest by one read and one write"},
    {FILES, FILES, 0, drops_by_itself,
     {REFLINK, READ_WRITE, SPLICE, MMAP_WRITE, SENDFILE, COPY_RANGE},
     "by RWF_DONTCACHE what it brings into the page cache leaves by itself: nothing is waited for"},
    {FILES, FILES, 0, may_share,
     {REFLINK, COPY_RANGE, SPLICE, MMAP_WRITE, SENDFILE, READ_WRITE},
     "this file system can share extents, or copy at the server"},
    {FILES, FILES, 131072, NULL,
     {SENDFILE, SPLICE, COPY_RANGE, READ_WRITE, MMAP_WRITE},
     "so little is moved soonest by one call"},
    {FILES, MEDIUM_STREAM | MEDIUM_SOCKET, 131072, NULL,
     {SENDFILE, SPLICE, MMAP_WRITE, READ_WRITE},
     "so little is moved soonest by one call"},
    {FILES, MEDIUM_STREAM | MEDIUM_SOCKET, 0, NULL,
     {SPLICE, SENDFILE, MMAP_WRITE, READ_WRITE},
     "fewest copies; sendfile goes by 64 KiB inside, which costs more CPU"},
    {FILES, MEDIUM_PIPE, 0, NULL,
     {SPLICE, SENDFILE, READ_WRITE, MMAP_WRITE},
     "fewest copies; and it never waits holding the sink's pipe"},
    {FILES, FILES, 0, NULL,
     {SPLICE, MMAP_WRITE, SENDFILE, COPY_RANGE, READ_WRITE},
     "one copy, in the largest pieces: copy_file_range and sendfile go by 64 KiB inside"},
    {MEDIUM_PIPE | MEDIUM_STREAM, MEDIA_ALL, 0, NULL,
     {SPLICE, READ_WRITE},
     "fewest copies"},
    {FILES, MEDIUM_NULL | MEDIUM_ZERO, 0, NULL,
     {MMAP_WRITE, SPLICE, SENDFILE, READ_WRITE},
     "the sink looks at no byte, so none is even mapped"},
    {FILES, MEDIA_ALL, 0, NULL,
     {SENDFILE, SPLICE, MMAP_WRITE, READ_WRITE},
     "fewest copies"},
    {MEDIA_ALL, MEDIA_ALL, 0, NULL,
     {READ_WRITE, SENDFILE, SPLICE, MMAP_WRITE, COPY_RANGE},
     "no method has fewer copies and fewer calls"},
};
#undef DIRECT
#undef REFLINK
#undef COPY_RANGE
#undef SENDFILE
#undef SPLICE
#undef MMAP_WRITE
#undef READ_WRITE
/* clang-format on */

static const struct order *order_of(const struct pair *pair, uint64_t expected)
{
    const struct order *order = orders;
    while (!(
        (order->source & (int)pair->source->medium) && (order->sink & (int)pair->sink->medium) &&
        (order->at_most == 0 || expected <= order->at_most) && (!order->test || order->test(pair))))
        order++; /* the last row serves all */
    return order;
}

/* The methods in the order's order, then those it does not name. */
static unsigned ranked(const struct order *order, enum sluice_method ret[SLUICE_METHOD_COUNT])
{
    unsigned count = 0;
    int seen = METHOD(AUTO);

    for (unsigned i = 0; i < ORDER_LENGTH && order->method[i] != SLUICE_METHOD_AUTO; i++) {
        ret[count++] = order->method[i];
        seen |= 1 << order->method[i];
    }
    for (int method = SLUICE_METHOD_COUNT - 1; method > SLUICE_METHOD_AUTO; method--)
        if (!(seen & (1 << method)))
            ret[count++] = (enum sluice_method)method;
    return count;
}

/* The table's order rests on what the table expects. Where a probe found otherwise, copies per byte
 * decide: the table's order among those that have as many. */
static void rank_by_copies(struct sluice_plan *plan)
{
    for (unsigned i = 1; i < plan->usable; i++)
        for (unsigned k = i; k > 0; k--) {
            struct sluice_candidate *before = &plan->candidate[k - 1];
            if (before->copies <= before[1].copies)
                break;
            const struct sluice_candidate swapped = *before;
            *before = before[1];
            before[1] = swapped;
        }
    for (unsigned i = 0; i < plan->usable; i++)
        plan->candidate[i].why = i == 0 ? "a probe found other copies than expected: fewest copies"
                                        : "serves if those above fail";
}

/* read-write can leave the page cache as it was by itself: of each end that lets it. */
static void mark_uncached(struct sluice_candidate *candidate, const struct pair *pair)
{
    if (candidate->method != SLUICE_METHOD_READ_WRITE || pair->options->cache == SLUICE_CACHE_KEEP)
        return;
    if (footprint_uncached(pair->source))
        candidate->leg[0] = plan_leg_uncached(candidate->leg[0]);
    if (sink_uncached(pair))
        candidate->leg[1] = plan_leg_uncached(candidate->leg[1]);
}

void plan_make(struct sluice_plan *plan, const struct sluice_endpoint *source,
               const struct sluice_endpoint *sink, const struct sluice_options *options,
               uint64_t expected, const struct sluice_probe *probe)
{
    const struct pair pair = {source, sink, options};
    const struct order *order = order_of(&pair, expected);
    enum sluice_method methods[SLUICE_METHOD_COUNT];
    struct sluice_candidate refused[SLUICE_METHOD_COUNT];
    unsigned refusals = 0;
    bool otherwise = false;
    const unsigned count = ranked(order, methods);

    memset(plan, 0, sizeof *plan);
    plan->fewest = 2;
    if (probe)
        plan_locate(plan, source, sink);
    for (unsigned i = 0; i < count; i++) {
        struct sluice_candidate candidate = {.size = sizeof candidate, .method = methods[i]};
        candidate.ruled_out = ruled_out(methods[i], &pair);
        if (!candidate.ruled_out) {
            fill_legs(&candidate, source, sink);
            mark_uncached(&candidate, &pair);
            const unsigned copies = expected_copies(&candidate);
            plan_prove_all(plan, probe, &candidate);
            otherwise = otherwise || candidate.copies != copies;
            if (candidate.copies < plan->fewest)
                plan->fewest = candidate.copies;
            candidate.ruled_out = ruled_out_by_policy(&candidate, &pair);
        }
        if (candidate.ruled_out) {
            refused[refusals++] = candidate;
            continue;
        }
        candidate.why = options->method != SLUICE_METHOD_AUTO ? "asked for by name"
                        : plan->usable > 0                    ? "serves if those above fail"
                        : must_not_refer(&pair) && methods[i] != SLUICE_METHOD_DIRECT
                            ? "it takes bytes by copying them, as a snapshot must"
                        : source->stands_still
                            ? "from a clone of the source, whose pages nobody can write to"
                            : order->why;
        plan->candidate[plan->usable++] = candidate;
    }
    if (otherwise && options->method == SLUICE_METHOD_AUTO)
        rank_by_copies(plan);
    memcpy(plan->candidate + plan->usable, refused, refusals * sizeof *refused);
    plan->count = plan->usable + refusals;
}

/* ---- the public face ---- */

int sluice_plan_new(sluice_context *context, const sluice_endpoint *source,
                    const sluice_endpoint *sink, const struct sluice_options *options,
                    sluice_plan **ret)
{
    struct sluice_options own;

    const int error = options_read(&own, options);
    if (error < 0)
        return error;
    struct sluice_plan *plan = malloc(sizeof *plan);
    if (!plan)
        return -ENOMEM;
    const uint64_t expected = options_expected(&own, source);
    struct sluice_endpoint clone = *source; /* that a transfer would make */
    clone.stands_still = snapshot_wanted(source, sink, &own, expected);
    plan_make(plan, &clone, sink, &own, expected, context ? context->probe : NULL);
    if (!plan->located) /* sluice_probe_run() is given plans */
        plan_locate(plan, source, sink);
    *ret = plan;
    return 0;
}

void sluice_plan_free(sluice_plan *plan)
{
    free(plan);
}

unsigned sluice_plan_count(const sluice_plan *plan)
{
    return plan->count;
}

unsigned sluice_plan_usable(const sluice_plan *plan)
{
    return plan->usable;
}

int sluice_plan_candidate(const sluice_plan *plan, unsigned index, struct sluice_candidate *ret)
{
    if (index >= plan->count)
        return -ERANGE;
    return SIZED_COPY(ret, plan->candidate[index]);
}

unsigned sluice_plan_fewest_copies(const sluice_plan *plan)
{
    return plan->fewest;
}
