/* SPDX-License-Identifier: MIT */
/* What a probe has found, put into a plan in the place of what the tables expect. */
#include <string.h>

#include "plan.h"

void plan_locate(struct sluice_plan *plan, const struct sluice_endpoint *source,
                 const struct sluice_endpoint *sink)
{
    place_of(source, plan->source_place);
    place_of(sink, plan->sink_place);
    plan->source_direct = (source->medium & MEDIUM_DIRECT) != 0;
    plan->sink_direct = (sink->medium & MEDIUM_DIRECT) != 0;
    plan->located = true;
}

/* What is ours between source and sink has no place. */
static bool is_between(const char *name)
{
    return strcmp(name, "pipe") == 0 || strcmp(name, "user") == 0;
}

static enum sluice_class measured_class(enum sluice_verdict verdict, enum sluice_class expected)
{
    switch (verdict) {
    case SLUICE_VERDICT_OFFLOAD:
        return SLUICE_CLASS_OFFLOAD;
    case SLUICE_VERDICT_REFERENCE:
        return SLUICE_CLASS_REFERENCE;
    case SLUICE_VERDICT_DMA:
        return SLUICE_CLASS_DMA;
    default: /* where user memory is at one end it stays at that end */
        return class_copies(expected) ? expected : SLUICE_CLASS_KERNEL_COPY;
    }
}

/* What a probe calls the end of a leg. */
static const char *measured_end(const char *name, const char *place)
{
    return strcmp(name, "user") == 0         ? "memory"
           : strcmp(place, PLACE_MEMFD) == 0 ? PLACE_MEMFD
                                             : name;
}

static const char *without_memfd(const char *place)
{
    return strcmp(place, PLACE_MEMFD) == 0 ? "" : place;
}

void plan_prove(const struct sluice_plan *plan, const struct sluice_probe *probe,
                struct sluice_leg *leg)
{
    const bool in = !is_between(leg->from), out = !is_between(leg->to);
    const bool direct = (leg->variant && strcmp(leg->variant, "O_DIRECT") == 0) ||
                        (in && plan->source_direct) || (out && plan->sink_direct);
    char place[PLACE_TEXT];

    if (!probe || !plan->located)
        return;
    place_join(in ? without_memfd(plan->source_place) : "",
               out ? without_memfd(plan->sink_place) : "", place);
    const struct sluice_probe_leg *found =
        probe_find(probe, measured_end(leg->from, in ? plan->source_place : ""),
                   measured_end(leg->to, out ? plan->sink_place : ""), leg->call,
                   direct ? "O_DIRECT" : "", place);
    if (!found || found->error || found->verdict == SLUICE_VERDICT_UNKNOWN)
        return;
    leg->class_ = measured_class(found->verdict, leg->class_);
    leg->known = SLUICE_PROVEN;
    leg->at = found->at;
    if (!class_copies(leg->class_))
        leg->copies = 0;
    else if (leg->copies == 0)
        leg->copies = 1;
}

void plan_prove_all(const struct sluice_plan *plan, const struct sluice_probe *probe,
                    struct sluice_candidate *candidate)
{
    for (unsigned i = 0; i < candidate->legs; i++) {
        plan_prove(plan, probe, &candidate->leg[i]);
        candidate->copies += candidate->leg[i].copies;
    }
}
