// SPDX-License-Identifier: MIT
/*
 * Somebody's pipe into a file, through a private pipe: the copy into the page cache then happens
 * while the writer has its pipe to itself.
 */
#include "ends.h"

int main(int argc, char **argv)
{
    struct ends ends = open_ends(argc, argv);
    splice_through_private_pipe(&ends);
    end_ends(&ends);
    return 0;
}
