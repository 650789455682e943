/* SPDX-License-Identifier: MIT */
/*
 * No SIGPIPE from us. splice, sendfile and write raise it together with EPIPE, and no flag of
 * theirs prevents it: so it is blocked in this thread for the time of a step or run, and taken back
 * if it came from us, that is, if it was not pending before.
 */
#ifndef SLUICE_SIGPIPE_H
#define SLUICE_SIGPIPE_H

#include <signal.h>
#include <stdbool.h>

struct sigpipe_guard {
    bool on, was_pending, unraised;
    sigset_t before;
};

void sigpipe_block(struct sigpipe_guard *guard);
/* No call since then can have raised it: all were complete. Restoring is cheaper. */
static inline void sigpipe_unraised(struct sigpipe_guard *guard)
{
    guard->unraised = true;
}
/* A call that moved a part may have raised it too: so it is taken back whatever was seen. */
void sigpipe_restore(struct sigpipe_guard *guard);

#endif
