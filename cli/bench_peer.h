/* SPDX-License-Identifier: MIT */
/* `sluice bench` on two machines. */
#ifndef CLI_BENCH_PEER_H
#define CLI_BENCH_PEER_H

#include "address.h"
#include "message.h"

/* The address of --to and --peer: [HOST:]PORT, with or without "tcp:" before it. 0, or -EINVAL and why. */
int bench_peer_address(const char *text, bool listening, struct address *ret, char *why,
                       size_t size);

/* --peer: listens there, and serves until a signal ends it. Returns the exit status. */
enum status bench_peer_serve(const char *address);

/* --to: a connection on which the peer was asked, for struct stage. data: a struct address. */
int bench_peer_connect(void *data, uint64_t give);

#endif
