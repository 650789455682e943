/* SPDX-License-Identifier: MIT */
/* The context: the pool of private pipes, and the probe that plans go by. Also the one way in which
 * structures with a size cross the interface. */
#ifndef SLUICE_CONTEXT_H
#define SLUICE_CONTEXT_H

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "pipe.h"
#include "sluice.h"

struct sluice_context {
    struct pipe_pool pool;
    const struct sluice_probe *probe; /* NULL: everything is expected, nothing proven */
};

/* Copies a structure to the caller's, which may be of an older, shorter version: no byte beyond the
 * size it states is written, and the size stays what it stated. */
static inline int sized_copy(void *ret, const void *value, size_t full)
{
    size_t stated;
    memcpy(&stated, ret, sizeof stated);
    if (stated < sizeof stated)
        return -EINVAL;
    const size_t length = stated < full ? stated : full;
    memcpy((char *)ret + sizeof stated, (const char *)value + sizeof stated,
           length - sizeof stated);
    return 0;
}
#define SIZED_COPY(ret, value) sized_copy((ret), &(value), sizeof(value))

/* Reads the caller's structure into ours: fields it does not have are zero. A newer caller's extra
 * fields must be zero, else -EINVAL: we would ignore what it asks. */
static inline int sized_read(void *own, size_t full, const void *given)
{
    size_t stated;
    memset(own, 0, full);
    memcpy(&stated, given, sizeof stated);
    if (stated < sizeof stated)
        return -EINVAL;
    for (size_t i = full; i < stated; i++)
        if (((const char *)given)[i])
            return -EINVAL;
    memcpy(own, given, stated < full ? stated : full);
    return 0;
}

#endif
