// SPDX-License-Identifier: MIT
/* Somebody's pipe into somebody else's: the buffers change hands, straight. */
#include "ends.h"

#include <fcntl.h>

enum { CHUNK = 1 << 20 };

int main(int argc, char **argv)
{
    struct ends ends = open_ends(argc, argv);
    ssize_t moved;
    while ((moved = splice(ends.source, NULL, ends.sink, NULL, CHUNK, 0)) > 0)
        ;
    if (moved < 0)
        fail("splice");
    end_ends(&ends);
    return 0;
}
