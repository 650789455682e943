/* SPDX-License-Identifier: MIT */
/* One leg, looked at by every witness there is, and the verdict. */
#ifndef SLUICE_MEASURE_H
#define SLUICE_MEASURE_H

#include "cache.h"
#include "legs.h"
#include "probe.h"
#include "watch.h"

struct bench {
    struct sluice_probe *probe;
    struct cache cache;
    struct watch *watch;  /* NULL: not permitted, or not wanted */
    double copying_share; /* of samples in copy routines, in a loop of read and write; 0: unknown */
    bool by_reference;    /* splice puts a memfd's pages into a pipe: sources can be fed so */
    const int *pair;      /* the caller's own connection, NULL: loopback */
    const char *through;  /* what it is called */
    bool quick;
    uint64_t now; /* seconds since the epoch */
};

/* Measures, adds the leg and its evidence to the probe. Returns its index or a negative errno. */
int measure_leg(struct bench *bench, const struct leg *leg, const struct place *place, int family);

#endif
