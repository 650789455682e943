/* SPDX-License-Identifier: MIT */
#include "cancel.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "endpoint.h"
#include "sys.h"

/* In a signal handler only a lock-free atomic will do. */
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "atomic_int must be lock-free");

int sluice_cancel_new(unsigned flags, sluice_cancel **ret)
{
    if (flags & ~(unsigned)SLUICE_CANCEL_SIGNAL)
        return -EINVAL;
    struct sluice_cancel *cancel = malloc(sizeof *cancel);
    if (!cancel)
        return -ENOMEM;
    atomic_init(&cancel->fired, 0);
    cancel->event = -1;
    if (!(flags & SLUICE_CANCEL_SIGNAL)) {
        cancel->event = fd_above_standard(sys_eventfd());
        if (cancel->event < 0) {
            const int error = cancel->event;
            free(cancel);
            return error;
        }
    }
    *ret = cancel;
    return 0;
}

void sluice_cancel_fire(sluice_cancel *cancel)
{
    static const uint64_t one = 1;
    atomic_store(&cancel->fired, 1);
    if (cancel->event >= 0)
        sys_write(cancel->event, &one, sizeof one);
}

int sluice_cancel_fired(const sluice_cancel *cancel)
{
    return atomic_load(&cancel->fired);
}

void sluice_cancel_free(sluice_cancel *cancel)
{
    if (cancel && cancel->event >= 0)
        sys_close(cancel->event);
    free(cancel);
}
