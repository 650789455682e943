/* SPDX-License-Identifier: MIT */
/*
 * The plan: which methods can serve a pair of endpoints, best first, and why the others cannot.
 * All of it is data (its tables: plan_*.c); a transfer walks down the list when a method falls away.
 */
#ifndef SLUICE_PLAN_H
#define SLUICE_PLAN_H

#include <stdbool.h>

#include "endpoint.h"
#include "probe/place.h"
#include "probe/probe.h"

/* How splice gets from source to sink. */
enum splice_route {
    SPLICE_THROUGH_PIPE = 0, /* two calls, a private pipe between them */
    SPLICE_STRAIGHT,         /* one call: one end is the user's pipe, and nobody can be held up */
};

struct sluice_plan {
    unsigned count, usable;
    unsigned fewest;
    bool located; /* the next are known: what a probe's legs are looked up by */
    char source_place[PLACE_TEXT], sink_place[PLACE_TEXT];
    bool source_direct, sink_direct;
    struct sluice_candidate candidate[SLUICE_METHOD_COUNT - 1];
};

/* probe: NULL, or what was measured. How much is to be moved, where that is known: the size of a regular file decides whether the
 * machinery pays. UINT64_MAX: unknown. */
void plan_make(struct sluice_plan *plan, const struct sluice_endpoint *source,
               const struct sluice_endpoint *sink, const struct sluice_options *options,
               uint64_t expected, const struct sluice_probe *probe);

/* Finds out what the ends stand on, by which a probe's legs are looked up. */
void plan_locate(struct sluice_plan *plan, const struct sluice_endpoint *source,
                 const struct sluice_endpoint *sink);

/* All legs of a candidate, whose copies are summed up. */
void plan_prove_all(const struct sluice_plan *plan, const struct sluice_probe *probe,
                    struct sluice_candidate *candidate);

/* What was measured of a leg of this plan takes the place of what was expected. */
void plan_prove(const struct sluice_plan *plan, const struct sluice_probe *probe,
                struct sluice_leg *leg);

enum splice_route plan_splice_route(const struct sluice_endpoint *source,
                                    const struct sluice_endpoint *sink);

/* One hop of a method, as it is expected to go. `via_user` legs have user memory at one end. */
struct sluice_leg plan_leg_splice(const struct sluice_endpoint *from,
                                  const struct sluice_endpoint *to);
/* What reflink copies: pieces that are no whole block. */
struct sluice_leg plan_leg_edge(const struct sluice_endpoint *from,
                                const struct sluice_endpoint *to);
/* A hole: no byte is moved. */
struct sluice_leg plan_leg_hole(const char *from, const char *to, const char *call);
/* The clone that a snapshot reads. */
struct sluice_leg plan_leg_clone(const char *from);
struct sluice_leg plan_leg_read(const struct sluice_endpoint *from);
struct sluice_leg plan_leg_write(const struct sluice_endpoint *to);
/* By RWF_DONTCACHE. */
struct sluice_leg plan_leg_uncached(struct sluice_leg leg);

/* Whether files of this file system can share extents, or are copied at a server. */
bool plan_shares_extents(const struct sluice_endpoint *endpoint);
/* Of `direct` (plan_direct.c): why it cannot serve the pair, or NULL. Only with `look` are the
 * descriptors tried. */
const char *plan_direct_refusal(const struct sluice_endpoint *source,
                                const struct sluice_endpoint *sink, bool look);
void plan_direct_legs(struct sluice_candidate *candidate, const struct sluice_endpoint *source,
                      const struct sluice_endpoint *sink);
struct sluice_leg plan_leg_direct_read(const struct sluice_endpoint *from);
struct sluice_leg plan_leg_direct_write(const struct sluice_endpoint *to);
struct sluice_leg plan_leg_direct_in(const struct sluice_endpoint *from);
struct sluice_leg plan_leg_direct_out(const struct sluice_endpoint *to);
/* What goes through user memory beside that. */
struct sluice_leg plan_leg_copied(const char *from, const char *to, const char *call,
                                  const char *path);

/* CPU copies per byte of a leg of this class. */
unsigned class_copies(enum sluice_class class_);

/* Whether a leg may be used under this requirement. */
bool class_allowed(enum sluice_class class_, enum sluice_require require);

#endif
