// SPDX-License-Identifier: MIT
/*
 * straight SOURCE SINK: a file or somebody's pipe into somebody's pipe. The references change hands
 * in one call, as many as there is room for.
 */
#include "ends.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>

enum { CHUNK = 1 << 20 };

static bool has_room(int pipe)
{
    struct pollfd room = {.fd = pipe, .events = POLLOUT};
    return poll(&room, 1, 0) > 0;
}

/* After EAGAIN: the sink is full, or else the source is empty. */
static void wait_for_the_side(const struct ends *ends)
{
    if (has_room(ends->sink) && ends->source_kind == END_PIPE)
        let_others_run_until(ends->source, POLLIN);
    else
        let_others_run_until(ends->sink, POLLOUT);
}

int main(int argc, char **argv)
{
    struct ends ends = open_ends(argc, argv);
    ssize_t moved;
    while ((moved = splice(ends.source, NULL, ends.sink, NULL, CHUNK, SPLICE_F_NONBLOCK)) != 0) {
        if (moved < 0 && errno != EAGAIN)
            fail("splice");
        if (moved < 0)
            wait_for_the_side(&ends);
    }
    end_ends(&ends);
    return 0;
}
