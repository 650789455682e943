/* SPDX-License-Identifier: MIT */
/*
 * Whether a file may be replaced by another, and who may do what with that: as with the one that it
 * replaces, and never more.
 */
#ifndef CLI_ATTRIBUTES_H
#define CLI_ATTRIBUTES_H

#include <sys/stat.h>

/* The new file gets the owner and group where that is permitted, the mode, the access list (or
 * none, also in a directory that gives its files one), and the user's own attributes of the file
 * at `path`. Not set-user-ID and set-group-ID. 0 or a negative errno. */
int attributes_take(int fd, const char *path, const struct stat *status);

/* It is whole and gets its name next: set-user-ID and set-group-ID of the old one, where it has
 * the owner (and group) that they were meant for. A write would take them away again, and part of
 * a program is not to run as somebody else. 0 or a negative errno. */
int attributes_take_set_id(int fd, const struct stat *status);

/* It did not get its name. */
void attributes_drop_set_id(int fd);

/* Whether the file at `path` may be replaced by another that is renamed to it, as far as that is
 * known before: 0, -EPERM or -EBUSY. Not if it or its directory is marked immutable or
 * append-only (chattr), nor in a sticky directory, unless one of the two is ours; nor if something
 * is mounted on it. */
int attributes_may_replace(const char *path, const char *directory, const struct stat *status);

#endif
