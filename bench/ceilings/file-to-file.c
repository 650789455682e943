// SPDX-License-Identifier: MIT
/*
 * A file into a file, one copy: page references into a private pipe, and from there into the other
 * page cache in pieces of 1 MiB, which lets the file system use large folios. copy_file_range and
 * sendfile do the same inside, in pieces of 64 KiB.
 */
#include "ends.h"

int main(int argc, char **argv)
{
    struct ends ends = open_ends(argc, argv);
    splice_through_private_pipe(&ends);
    end_ends(&ends);
    return 0;
}
