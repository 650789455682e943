// SPDX-License-Identifier: MIT
/*
 * read-write CHUNK: standard input to standard output, so many bytes at a time, by read(2) and write(2): two
 * copies, and nothing else. Half of its CPU time is what one copy costs, to hold other costs against.
 */
#include <err.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    size_t chunk = argc == 2 ? strtoul(argv[1], NULL, 0) : 0;
    char *bytes = NULL;
    ssize_t length, done;

    if (chunk == 0 || posix_memalign((void **)&bytes, 4096, chunk) != 0)
        errx(2, "usage: read-write CHUNK");
    while ((length = read(STDIN_FILENO, bytes, chunk)) > 0)
        for (ssize_t given = 0; given < length; given += done)
            if ((done = write(STDOUT_FILENO, bytes + given, (size_t)(length - given))) < 0)
                err(1, "write");
    if (length < 0)
        err(1, "read");
    free(bytes);
    return 0;
}
