/* SPDX-License-Identifier: MIT */
/*
 * The hops that a plan's legs are made of: what it costs to get from a medium into a pipe, out of
 * one, into memory and out of it; and the legs of each method.
 */
#include <fcntl.h>
#include <string.h>

#include "plan_pair.h"

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

/* File systems where copy_file_range moves no byte: it shares extents, or the server copies. */
bool plan_shares_extents(const struct sluice_endpoint *endpoint)
{
    static const char *const names[] = {"btrfs", "xfs", "bcachefs", "nfs", "cifs", "smb2", "ceph"};
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

void plan_fill_legs(struct sluice_candidate *candidate, const struct sluice_endpoint *source,
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

unsigned plan_expected_copies(const struct sluice_candidate *candidate)
{
    unsigned copies = 0;
    for (unsigned i = 0; i < candidate->legs; i++)
        copies += candidate->leg[i].copies;
    return copies;
}
