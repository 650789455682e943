/* SPDX-License-Identifier: MIT */
/* Descriptors of the command's own are never 0 to 2, also if it was started with those closed: what is
 * written to a standard stream must not end in somebody's file. */
#ifndef CLI_DESCRIPTOR_H
#define CLI_DESCRIPTOR_H

/* Takes what open(2), socket(2) … returned, and errno with it. Consumes the descriptor. Returns one
 * above 2, or a negative errno. */
int own_descriptor(int fd);

#endif
