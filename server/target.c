/* SPDX-License-Identifier: MIT */
#include "target.h"

#include <stdlib.h>

#include "loop.h"

enum {
    FAILURES = 3,   /* in a row, until a target is set aside */
    ASIDE_MOST = 6, /* doublings: 64 seconds */
};

struct target_list *target_list_new(unsigned count, enum target_policy policy)
{
    struct target_list *list = calloc(1, sizeof *list + count * sizeof(struct target));
    if (!list)
        return NULL;
    list->references = 1;
    list->policy = policy;
    list->count = count;
    return list;
}

struct target_list *target_list_hold(struct target_list *list)
{
    list->references++;
    return list;
}

void target_list_release(struct target_list *list)
{
    if (list && --list->references == 0)
        free(list);
}

static bool was_tried(uint64_t tried, unsigned index)
{
    return index < 64 && (tried & (UINT64_C(1) << index));
}

/* Of those that may be tried, the next in turn, or the one with the fewest connections from there
 * on. */
static struct target *choose(struct target_list *list, uint64_t tried, uint64_t now, bool aside)
{
    const unsigned first = list->next++ % list->count;
    struct target *best = NULL;

    for (unsigned i = 0; i < list->count; i++) {
        const unsigned index = (first + i) % list->count;
        struct target *target = &list->target[index];
        if (was_tried(tried, index) || (!aside && target->aside_until > now))
            continue;
        if (list->policy == TARGET_ROUND_ROBIN)
            return target;
        if (!best || target->active < best->active)
            best = target;
    }
    return best;
}

struct target *target_choose(struct target_list *list, uint64_t tried, uint64_t now)
{
    struct target *target = choose(list, tried, now, false);
    return target ? target : choose(list, tried, now, true);
}

void target_worked(struct target *target)
{
    target->connects++;
    if (target->failures) {
        target->failures = 0;
        target->aside_until = 0;
    }
}

bool target_failed(struct target *target, uint64_t now)
{
    const unsigned row = ++target->failures;

    target->failed++;
    if (row < FAILURES)
        return false;
    const unsigned doublings = row - FAILURES < ASIDE_MOST ? row - FAILURES : ASIDE_MOST;
    const bool was_aside = target->aside_until != 0;
    target->aside_until = now + (SECOND << doublings);
    return !was_aside;
}
