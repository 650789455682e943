/* SPDX-License-Identifier: MIT */
#include "context.h"

#include <stdlib.h>

sluice_context *sluice_context_new(const struct sluice_context_options *options, int *ret_error)
{
    struct sluice_context_options own = {0};
    int error = options ? sized_read(&own, sizeof own, options) : 0;
    sluice_context *context = error < 0 ? NULL : calloc(1, sizeof *context);

    if (context) {
        context->pool.max_count = own.max_pipes ? own.max_pipes : 64;
        context->pool.max_idle = own.max_idle ? own.max_idle : 8;
    } else if (error == 0) {
        error = -ENOMEM;
    }
    if (ret_error)
        *ret_error = error;
    return context;
}

void sluice_context_free(sluice_context *context)
{
    if (context)
        pipe_pool_close(&context->pool);
    free(context);
}

int sluice_context_pipes(const sluice_context *context, struct sluice_pipes *ret)
{
    const struct pipe_pool *pool = &context->pool;
    const struct sluice_pipes pipes = {
        .open = pool->count,
        .idle = pool->idle_count,
        .most = pool->max_count,
        .refused = pool->refused,
        .small = pool->small,
    };
    return SIZED_COPY(ret, pipes);
}

void sluice_context_use_probe(sluice_context *context, const sluice_probe *probe)
{
    context->probe = probe;
}
