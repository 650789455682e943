/* SPDX-License-Identifier: MIT */
/*
 * The result of a probe: legs with their evidence, and facts. It owns every string in it. What
 * measures (run.c, facts.c) adds; what asks (the plan, the public accessors) reads.
 */
#ifndef SLUICE_PROBE_H
#define SLUICE_PROBE_H

#include <stdbool.h>

#include "sluice.h"

#define PROBE_TEXT 256 /* longest text of a fact or a piece of evidence */

struct probe_evidence {
    enum sluice_witness witness;
    int says;
    char *text;
};

struct probe_leg {
    struct sluice_probe_leg leg;
    struct probe_evidence *evidence;
};

struct sluice_probe {
    struct probe_leg *leg;
    struct sluice_fact *fact;
    unsigned legs, facts;
    unsigned controls, passed;
    bool trusted; /* false after a run whose controls contradicted themselves */
    bool failed;  /* memory ran out while adding */
};

/* Adds a leg, or replaces the one of the same from, to, call, variant and place with its evidence.
 * Strings are copied. Returns its index, or -ENOMEM. */
int probe_add_leg(struct sluice_probe *probe, const struct sluice_probe_leg *leg);

/* Replaces what is known of the leg at that index; its evidence stays. Returns the index or -ENOMEM. */
int probe_settle_leg(struct sluice_probe *probe, int index, const struct sluice_probe_leg *leg);

/* Adds a piece of evidence to that leg. */
void probe_add_evidence(struct sluice_probe *probe, int leg, enum sluice_witness witness, int says,
                        const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Adds a fact. number: -1 if it is none. error: 0, or a negative errno: then the text says what
 * could not be found out. */
void probe_add_fact(struct sluice_probe *probe, const char *group, const char *name, int64_t number,
                    int error, const char *format, ...) __attribute__((format(printf, 6, 7)));

/* The leg of that name, call and variant "" on that place (or on any place, if it has none), or
 * NULL. Legs of a probe that cannot be trusted are not found. */
const struct sluice_probe_leg *probe_find(const struct sluice_probe *probe, const char *from,
                                          const char *to, const char *call, const char *variant,
                                          const char *place);

#endif
