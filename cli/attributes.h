/* SPDX-License-Identifier: MIT */
/*
 * Who may do what with a file that replaces another: as with the one that it replaces, and never more.
 */
#ifndef CLI_ATTRIBUTES_H
#define CLI_ATTRIBUTES_H

#include <sys/stat.h>

/* The new file gets the owner and group where that is permitted, the mode, the access list (or none, also
 * in a directory that gives its files one), and the user's own attributes of the file at `path`. 0 or a
 * negative errno. */
int attributes_take(int fd, const char *path, const struct stat *status);

#endif
