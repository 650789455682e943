/* SPDX-License-Identifier: MIT */
#include "refusal.h"

#include <errno.h>
#include <fcntl.h>

#include "context.h"

int refuse(struct sluice_error *ret, int error, enum sluice_side side, const char *operation,
           const char *reason)
{
    const struct sluice_error refusal = {
        .error = error, .side = side, .operation = operation, .reason = reason};
    if (ret)
        SIZED_COPY(ret, refusal);
    return error;
}

int refuse_end(struct sluice_endpoint *endpoint, enum sluice_side side, int wrong_access,
               struct sluice_error *ret)
{
    if (endpoint->fd < 0)
        return refuse(ret, -EINVAL, side, "open", "it is only a kind, with no descriptor");
    const int error = endpoint_refresh(endpoint);
    if (error < 0)
        return refuse(ret, error, side, "fcntl", NULL);
    if (endpoint->medium == MEDIUM_OTHER)
        return endpoint->name[0] == 'd'
                   ? refuse(ret, -EISDIR, side, "open", NULL)
                   : refuse(ret, -EINVAL, side, "open", "bytes cannot be moved to or from it");
    if ((endpoint->flags & O_ACCMODE) == wrong_access)
        return refuse(ret, -EBADF, side, "open",
                      side == SLUICE_SIDE_SOURCE ? "it is not open for reading"
                                                 : "it is not open for writing");
    return 0;
}
