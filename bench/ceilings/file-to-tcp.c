// SPDX-License-Identifier: MIT
/* A file into a TCP socket: page references, no copy, as much in a call as the kernel takes. */
#include "ends.h"

#include <sys/sendfile.h>

enum { CHUNK = 0x7ffff000 };

int main(int argc, char **argv)
{
    struct ends ends = open_ends(argc, argv);
    ssize_t sent;
    while ((sent = sendfile(ends.sink, ends.source, NULL, CHUNK)) > 0)
        ;
    if (sent < 0)
        fail("sendfile");
    end_ends(&ends);
    return 0;
}
