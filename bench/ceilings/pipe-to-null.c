// SPDX-License-Identifier: MIT
/*
 * Somebody's pipe into /dev/null. From a large pipe by way of a private one: giving pages back takes
 * longer than taking references, and the writer need not wait for it.
 */
#include "ends.h"

#include <fcntl.h>

enum { SMALL_PIPE = 64 << 10, CHUNK = 1 << 20 };

static void splice_straight(const struct ends *ends)
{
    ssize_t moved;
    while ((moved = splice(ends->source, NULL, ends->sink, NULL, CHUNK, 0)) > 0)
        ;
    if (moved < 0)
        fail("splice");
}

int main(int argc, char **argv)
{
    struct ends ends = open_ends(argc, argv);
    if (pipe_capacity(ends.source) <= SMALL_PIPE)
        splice_straight(&ends);
    else
        splice_through_private_pipe(&ends);
    end_ends(&ends);
    return 0;
}
