/* SPDX-License-Identifier: MIT */
/* Two ends of one thing: what goes into the first comes out of the second. */
#ifndef SLUICE_PAIR_H
#define SLUICE_PAIR_H

#include "scene.h"

/* Connected sockets of that kind, O_NONBLOCK; TCP and UDP on loopback of that family, or TCP
 * duplicated from a given pair. On failure too, what is not negative in *ret_send and *ret_receive
 * is the caller's to close. Returns 0 or more, or a negative errno. */
int pair_of_sockets(enum scene_end end, int family, const int *pair, int *ret_send,
                    int *ret_receive);

/* A raw terminal, and the master that sees what is written to it. The same on failure. */
int pair_of_terminal(int *ret_slave, int *ret_master);

#endif
