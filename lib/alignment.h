/* SPDX-License-Identifier: MIT */
/* What O_DIRECT wants of a file, and whether it can be had at all: by statx where the kernel and the
 * file system say, else by the device's block, else by the file system's, else by trying. */
#ifndef SLUICE_ALIGNMENT_H
#define SLUICE_ALIGNMENT_H

#include "endpoint.h"

/* Whether the page cache stands between this end and a device: tmpfs has its files nowhere else. */
bool alignment_matters(const struct sluice_endpoint *endpoint);

/* The descriptor with O_DIRECT: the endpoint's own if it has that, else a private one with the same
 * access. Returns it or a negative errno. */
int alignment_open(const struct sluice_endpoint *endpoint);

/* What memory, offsets and lengths are to be multiples of; a power of two. Where nobody says it is
 * tried with reads, if the descriptor can read. 0; -EINVAL: the file has no O_DIRECT. */
int alignment_find(const struct sluice_endpoint *endpoint, int direct, size_t *ret);

/* Both of these, and nothing kept: 0, or the negative errno of what would fail. */
int alignment_check(const struct sluice_endpoint *endpoint);

/* Most bytes of scattered pages that the device takes in one request; 0: it is not known. A request
 * for a little more costs the device a second one. */
size_t alignment_request(const struct sluice_endpoint *endpoint);

#endif
