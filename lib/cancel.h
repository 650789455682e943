/* SPDX-License-Identifier: MIT */
/* A flag that any thread or signal handler can raise, and a descriptor that wakes who waits. */
#ifndef SLUICE_CANCEL_H
#define SLUICE_CANCEL_H

#include <stdatomic.h>

struct sluice_cancel {
    atomic_int fired;
    int event; /* eventfd, -1: the one who fires interrupts by a signal */
};

#endif
