// SPDX-License-Identifier: MIT
/*
 * A file into somebody's pipe. Into a small pipe the page references go straight; into a large one
 * by way of a private pipe, so that the page cache is walked while the reader has the pipe to
 * itself.
 */
#include "ends.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

enum { SMALL_PIPE = 64 << 10, CHUNK = 1 << 20 };

static void splice_straight(const struct ends *ends)
{
    for (;;) {
        ssize_t moved = splice(ends->source, NULL, ends->sink, NULL, CHUNK, SPLICE_F_NONBLOCK);
        if (moved == 0)
            return;
        if (moved < 0 && errno != EAGAIN)
            fail("splice");
        if (moved < 0)
            wait_until(ends->sink, POLLOUT);
    }
}

int main(int argc, char **argv)
{
    struct ends ends = open_ends(argc, argv);
    if (pipe_capacity(ends.sink) <= SMALL_PIPE)
        splice_straight(&ends);
    else
        splice_through_private_pipe(&ends);
    end_ends(&ends);
    return 0;
}
