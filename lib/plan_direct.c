/* SPDX-License-Identifier: MIT */
/* What the plan knows of `direct`: which ends can be read and written past the page cache, why not,
 * and its legs. */
#include <errno.h>
#include <fcntl.h>

#include "alignment.h"
#include "plan.h"

static const struct {
    int error;
    const char *source, *sink;
} refusals[] = {
    {-EINVAL, "source's file system has no O_DIRECT (EINVAL)",
     "sink's file system has no O_DIRECT (EINVAL)"},
    {-EACCES, "source cannot be opened again for O_DIRECT: it is another user's (EACCES)",
     "sink cannot be opened again for O_DIRECT: it is another user's (EACCES)"},
    {-EPERM, "source cannot be opened again for O_DIRECT (EPERM)",
     "sink cannot be opened again for O_DIRECT (EPERM)"},
    {-ENOENT, "source cannot be opened again for O_DIRECT: no /proc here",
     "sink cannot be opened again for O_DIRECT: no /proc here"},
    {0, "source cannot be opened again for O_DIRECT", "sink cannot be opened again for O_DIRECT"},
};

static const char *refusal_of(const struct sluice_endpoint *endpoint, bool source)
{
    const int error = endpoint->fd < 0 ? 0 : alignment_check(endpoint);
    unsigned i = 0;

    if (error >= 0)
        return NULL;
    while (refusals[i].error != error && refusals[i].error != 0)
        i++;
    return source ? refusals[i].source : refusals[i].sink;
}

const char *plan_direct_refusal(const struct sluice_endpoint *source,
                                const struct sluice_endpoint *sink, bool look)
{
    const bool in = alignment_matters(source), out = alignment_matters(sink);
    const char *refusal = NULL;

    if (!in && !out)
        return source->medium & MEDIUM_FILE || sink->medium & MEDIUM_FILE
                   ? "no end is on a device: tmpfs takes O_DIRECT and copies all the same"
                   : "no end is a file";
    if (look && in)
        refusal = refusal_of(source, true);
    if (look && out && !refusal)
        refusal = refusal_of(sink, false);
    return refusal;
}

/* ---- legs ---- */

/* What a remote file system does with O_DIRECT is its own. */
static struct sluice_leg leg_direct(const struct sluice_endpoint *endpoint, const char *between,
                                    bool in, const char *call, const char *path)
{
    const bool remote = endpoint->medium == MEDIUM_REMOTE;
    const bool user = between[0] == 'u';
    const enum sluice_class copy = user ? SLUICE_CLASS_USER_COPY : SLUICE_CLASS_KERNEL_COPY;

    return (struct sluice_leg){.from = in ? endpoint->name : between,
                               .to = in ? between : endpoint->name,
                               .call = call,
                               .path = path,
                               .class_ = remote ? copy : SLUICE_CLASS_DMA,
                               .known = SLUICE_EXPECTED,
                               .copies = remote,
                               .variant = "O_DIRECT"};
}

struct sluice_leg plan_leg_direct_read(const struct sluice_endpoint *from)
{
    return leg_direct(from, "user", true, "read", "iomap_dio_rw");
}

struct sluice_leg plan_leg_direct_write(const struct sluice_endpoint *to)
{
    return leg_direct(to, "user", false, "write", "iomap_dio_rw");
}

struct sluice_leg plan_leg_direct_in(const struct sluice_endpoint *from)
{
    return leg_direct(from, "pipe", true, "splice", "copy_splice_read");
}

struct sluice_leg plan_leg_direct_out(const struct sluice_endpoint *to)
{
    return leg_direct(to, "pipe", false, "splice", "iter_file_splice_write");
}

struct sluice_leg plan_leg_copied(const char *from, const char *to, const char *call,
                                  const char *path)
{
    return (struct sluice_leg){.from = from,
                               .to = to,
                               .call = call,
                               .path = path,
                               .class_ = SLUICE_CLASS_USER_COPY,
                               .known = SLUICE_EXPECTED,
                               .copies = 1};
}

void plan_direct_legs(struct sluice_candidate *candidate, const struct sluice_endpoint *source,
                      const struct sluice_endpoint *sink)
{
    const bool in = alignment_matters(source), out = alignment_matters(sink);

    candidate->legs = 2;
    if (in && out) {
        candidate->leg[0] = plan_leg_direct_read(source);
        candidate->leg[1] = plan_leg_direct_write(sink);
    } else if (in) {
        candidate->leg[0] = plan_leg_direct_in(source);
        candidate->leg[1] = plan_leg_splice(NULL, sink);
    } else if (source->medium == MEDIUM_PIPE) {
        candidate->leg[0] = plan_leg_splice(source, NULL);
        candidate->leg[1] = plan_leg_direct_out(sink);
    } else {
        candidate->leg[0] = plan_leg_read(source);
        candidate->leg[1] = plan_leg_direct_write(sink);
    }
}
