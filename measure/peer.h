/* SPDX-License-Identifier: MIT */
/* The other machine: takes bytes and says how many came, or gives as many as it is asked for. Nothing of
 * what it is sent is kept, and nothing of its machine is told. */
#ifndef MEASURE_PEER_H
#define MEASURE_PEER_H

#include <stdbool.h>
#include <stdint.h>

/* Serves until it is stopped: accepts on the listening socket, a process for each connection, a few at
 * once. Who is silent for half a minute is left. Returns 0 when stopped, or a negative errno. */
int peer_serve(int listener, bool (*stopped)(void));

/* The other side, on a fresh connection: asks it to take what comes, or (give > 0) to give so many bytes.
 * 0 or a negative errno. */
int peer_ask(int fd, uint64_t give);

/* Whether the connection leaves by a network card: not by loopback, veth or another device that is none. */
bool peer_behind_card(int fd);

#endif
