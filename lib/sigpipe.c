/* SPDX-License-Identifier: MIT */
#include "sigpipe.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

void sigpipe_block(struct sigpipe_guard *guard)
{
    sigset_t sigpipe, pending;

    sigemptyset(&sigpipe);
    sigaddset(&sigpipe, SIGPIPE);
    guard->unraised = guard->was_pending = false;
    guard->on = pthread_sigmask(SIG_BLOCK, &sigpipe, &guard->before) == 0;
    /* What is not blocked is delivered, and never pending. */
    if (guard->on && sigismember(&guard->before, SIGPIPE) > 0) {
        sigpending(&pending);
        guard->was_pending = sigismember(&pending, SIGPIPE) > 0;
    }
}

void sigpipe_restore(struct sigpipe_guard *guard)
{
    if (!guard->on)
        return;
    if (!guard->was_pending && !guard->unraised) {
        const int saved = errno;
        const struct timespec now = {0};
        sigset_t sigpipe;
        sigemptyset(&sigpipe);
        sigaddset(&sigpipe, SIGPIPE);
        while (sigtimedwait(&sigpipe, NULL, &now) < 0 && errno == EINTR)
            ;
        errno = saved;
    }
    pthread_sigmask(SIG_SETMASK, &guard->before, NULL);
    guard->on = false;
}
