/* SPDX-License-Identifier: MIT */
/* What a machine has and allows beside the legs: limits, features, interfaces. */
#ifndef SLUICE_FACTS_H
#define SLUICE_FACTS_H

#include "probe.h"

/* Pipe limits and this user's remaining budget, RLIMIT_MEMLOCK, optmem, io_uring, kTLS, FUSE …;
 * and per directory: RWF_DONTCACHE, cachestat, reflink, O_DIRECT alignment. */
void facts_of_machine(struct sluice_probe *probe);
void facts_of_directory(struct sluice_probe *probe, const char *directory);

/* Each network interface: scatter-gather, checksum offload, GSO, GRO, MTU, and what that means. */
void facts_of_interfaces(struct sluice_probe *probe);

#endif
