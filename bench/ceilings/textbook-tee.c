// SPDX-License-Identifier: MIT
/*
 * What the manual page of tee(2) teaches, written anew: standard input to standard output by tee, and then the same
 * bytes to FILE by splice. It is no ceiling but a baseline: without input it spins (SPLICE_F_NONBLOCK says EAGAIN at
 * once), standard input and output must be pipes, and a reader that takes nothing holds up the file.
 *
 *     textbook-tee FILE
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc != 2)
        errx(2, "usage: textbook-tee FILE");
    const int file = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0)
        err(1, "%s", argv[1]);
    for (;;) {
        ssize_t length = tee(STDIN_FILENO, STDOUT_FILENO, INT_MAX, SPLICE_F_NONBLOCK);
        if (length == 0)
            return 0;
        if (length < 0 && errno == EAGAIN)
            continue;
        if (length < 0)
            err(1, "tee");
        while (length > 0) {
            const ssize_t moved =
                splice(STDIN_FILENO, NULL, file, NULL, (size_t)length, SPLICE_F_MOVE);
            if (moved < 0)
                err(1, "splice");
            length -= moved;
        }
    }
}
