/* SPDX-License-Identifier: MIT */
/*
 * What the tables of the plan are asked about: two ends, and what is wanted of them. The questions
 * here are those of several tables.
 */
#ifndef SLUICE_PLAN_PAIR_H
#define SLUICE_PLAN_PAIR_H

#include "options.h"
#include "plan.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))

#define MEDIA_CACHED (MEDIUM_FILE | MEDIUM_REMOTE | MEDIUM_BLOCK)
#define MEDIA_FILES  (MEDIA_CACHED | MEDIUM_DIRECT)
#define MEDIA_ALL    0x7fffffff

#define METHOD(name) (1 << SLUICE_METHOD_##name)

struct pair {
    const struct sluice_endpoint *source, *sink;
    const struct sluice_options *options;
};

bool name_among(const char *name, const char *const *names, size_t count);

bool pair_across_file_systems(const struct pair *pair);
bool pair_may_share(const struct pair *pair);
bool pair_sink_appends(const struct pair *pair);
/* With a snapshot no page of a source that somebody can write to is handed on, or waits in a pipe. */
bool pair_must_not_refer(const struct pair *pair);
/* What is written to the sink need not stay in the page cache: RWF_DONTCACHE is taken there. */
bool pair_sink_uncached(const struct pair *pair);

/* plan_legs.c */
void plan_fill_legs(struct sluice_candidate *candidate, const struct sluice_endpoint *source,
                    const struct sluice_endpoint *sink);
unsigned plan_expected_copies(const struct sluice_candidate *candidate);

/* plan_rules.c: the reason, or NULL. What the pair makes impossible; what was not asked for. */
const char *plan_ruled_out(enum sluice_method method, const struct pair *pair);
const char *plan_ruled_out_by_policy(const struct sluice_candidate *candidate,
                                     const struct pair *pair);

/* plan_orders.c: all methods, best first, and how many; why the first is. */
unsigned plan_order(const struct pair *pair, uint64_t expected,
                    enum sluice_method ret[SLUICE_METHOD_COUNT], const char **why);

#endif
