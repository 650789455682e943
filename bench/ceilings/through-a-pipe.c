// SPDX-License-Identifier: MIT
/*
 * through-a-pipe SOURCE SINK: everything else. Fill a private pipe of 1 MiB with one splice, empty
 * it, again.
 *
 * Between a file or socket and a socket no byte is copied. Into a file one copy is needed, and then
 * the private pipe is for the producer, who does not wait while the page cache copies, and for the
 * file system, which gets up to 1 MiB in a call and can use large folios. sendfile and
 * copy_file_range are the same loop inside the kernel, but through 64 KiB.
 *
 * Where no byte is copied and somebody is waited for on the source's side (a pipe into /dev/null, a
 * relay between sockets), waiting is what costs; so there it is done patiently. Elsewhere the
 * blocking call measured better.
 */
#include "ends.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

enum { PRIVATE_PIPE = 1 << 20 };

static void open_private_pipe(int through[2])
{
    if (pipe2(through, O_CLOEXEC) < 0)
        fail("pipe2");
    if (fcntl(through[1], F_SETPIPE_SZ, PRIVATE_PIPE) < 0)
        fail("F_SETPIPE_SZ");
}

/* A socket is ours and can be made non-blocking; of a pipe that is asked for in each call. */
static void make_nonblocking(int fd, enum end_kind kind)
{
    if (kind == END_SOCKET && fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        fail("fcntl");
}

static unsigned choose_flags(const struct ends *ends)
{
    if (ends->source_kind == END_FILE || ends->sink_kind == END_FILE)
        return 0;
    make_nonblocking(ends->source, ends->source_kind);
    make_nonblocking(ends->sink, ends->sink_kind);
    return SPLICE_F_NONBLOCK;
}

static size_t fill(const struct ends *ends, int through, unsigned flags)
{
    ssize_t taken;
    while ((taken = splice(ends->source, NULL, through, NULL, PRIVATE_PIPE, flags)) < 0) {
        if (errno != EAGAIN)
            fail("splice from the source");
        let_others_run_until(ends->source, POLLIN);
    }
    return (size_t)taken;
}

static void empty(const struct ends *ends, int through, size_t filled, unsigned flags)
{
    while (filled > 0) {
        ssize_t given = splice(through, NULL, ends->sink, NULL, filled, flags);
        if (given < 0 && errno != EAGAIN)
            fail("splice to the sink");
        if (given < 0)
            let_others_run_until(ends->sink, POLLOUT);
        else
            filled -= (size_t)given;
    }
}

int main(int argc, char **argv)
{
    struct ends ends = open_ends(argc, argv);
    unsigned flags = choose_flags(&ends);
    int through[2];
    open_private_pipe(through);
    size_t filled;
    while ((filled = fill(&ends, through[1], flags)) > 0)
        empty(&ends, through[0], filled, flags);
    end_ends(&ends);
    return 0;
}
