/* SPDX-License-Identifier: MIT */
/*
 * The plan is made from tables, in the order in which they are asked:
 *   plan_rules.c    what makes a method impossible for a pair, with the reason that is shown
 *   plan_legs.c     what each hop of it costs: into a pipe, out of one, into memory, out of it
 *   plan_proof.c    what a probe measured of these
 *   plan_rules.c    what was not asked for
 *   plan_orders.c   which of the rest is the best, by measurement
 */
#include "plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "context.h"
#include "footprint.h"
#include "plan_pair.h"
#include "snapshot.h"

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
    if (pair_sink_uncached(pair))
        candidate->leg[1] = plan_leg_uncached(candidate->leg[1]);
}

void plan_make(struct sluice_plan *plan, const struct sluice_endpoint *source,
               const struct sluice_endpoint *sink, const struct sluice_options *options,
               uint64_t expected, const struct sluice_probe *probe)
{
    const struct pair pair = {source, sink, options};
    const char *why_best;
    enum sluice_method methods[SLUICE_METHOD_COUNT];
    struct sluice_candidate refused[SLUICE_METHOD_COUNT];
    unsigned refusals = 0;
    bool otherwise = false;
    const unsigned count = plan_order(&pair, expected, methods, &why_best);

    memset(plan, 0, sizeof *plan);
    plan->fewest = 2;
    if (probe)
        plan_locate(plan, source, sink);
    for (unsigned i = 0; i < count; i++) {
        struct sluice_candidate candidate = {.size = sizeof candidate, .method = methods[i]};
        candidate.ruled_out = plan_ruled_out(methods[i], &pair);
        if (!candidate.ruled_out) {
            plan_fill_legs(&candidate, source, sink);
            mark_uncached(&candidate, &pair);
            const unsigned copies = plan_expected_copies(&candidate);
            plan_prove_all(plan, probe, &candidate);
            otherwise = otherwise || candidate.copies != copies;
            if (candidate.copies < plan->fewest)
                plan->fewest = candidate.copies;
            candidate.ruled_out = plan_ruled_out_by_policy(&candidate, &pair);
        }
        if (candidate.ruled_out) {
            refused[refusals++] = candidate;
            continue;
        }
        candidate.why = options->method != SLUICE_METHOD_AUTO ? "asked for by name"
                        : plan->usable > 0                    ? "serves if those above fail"
                        : pair_must_not_refer(&pair) && methods[i] != SLUICE_METHOD_DIRECT
                            ? "it takes bytes by copying them, as a snapshot must"
                        : source->stands_still
                            ? "from a clone of the source, whose pages nobody can write to"
                            : why_best;
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
