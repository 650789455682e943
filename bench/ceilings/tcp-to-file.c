// SPDX-License-Identifier: MIT
/* A TCP socket into a file: the packets' pages into a private pipe, and from there on. */
#include "ends.h"

int main(int argc, char **argv)
{
    struct ends ends = open_ends(argc, argv);
    splice_through_private_pipe(&ends);
    end_ends(&ends);
    return 0;
}
