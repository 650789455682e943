/* SPDX-License-Identifier: MIT */
/*
 * Where connections are sent on to: a list of targets, shared by all loops. One that fails connects
 * is set aside, and tried again after a time that doubles. The list can be replaced while connections
 * to its targets live: each holds a reference.
 */
#ifndef SERVER_TARGET_H
#define SERVER_TARGET_H

#include <stdatomic.h>
#include <stdint.h>

#include "peer.h"

enum target_policy { TARGET_ROUND_ROBIN = 0, TARGET_LEAST_CONNECTIONS };

struct target {
    struct peer peer;
    char name[PEER_TEXT];
    atomic_uint active;                /* connections, being made or made */
    atomic_uint failures;              /* in a row */
    _Atomic uint64_t aside_until;      /* nanoseconds; 0: it is in use */
    _Atomic uint64_t connects, failed; /* in all */
};

struct target_list {
    atomic_uint references;
    atomic_uint next; /* round robin */
    enum target_policy policy;
    unsigned count;
    struct target target[];
};

struct target_list *target_list_new(unsigned count, enum target_policy policy);
struct target_list *target_list_hold(struct target_list *list);
void target_list_release(struct target_list *list);

/* The next target, other than those of `tried` (a bit each; beyond 64 all are untried). One that is
 * aside is taken only if its time has come, or if there is no other. NULL: all were tried. */
struct target *target_choose(struct target_list *list, uint64_t tried, uint64_t now);
void target_worked(struct target *target);
/* Returns whether it is set aside by this. */
bool target_failed(struct target *target, uint64_t now);

#endif
