/* SPDX-License-Identifier: MIT */
/* What `sluice probe` found, kept for explain and for the ledger: a file for each kernel release
 * and user, in $XDG_CACHE_HOME/sluice or ~/.cache/sluice. */
#ifndef CLI_PROBE_CACHE_H
#define CLI_PROBE_CACHE_H

#include "sluice.h"

/* Adds what is kept. Returns 0, or why there is nothing: -ENOENT, -ESTALE (another kernel's build),
 * -EPERM (not ours), -EINVAL (damaged). */
int probe_cache_load(sluice_probe *probe);

/* Keeps what is kept already, and the probe's legs over it. Returns 0 or a negative errno; 0 also
 * where there is no home to keep it in. */
int probe_cache_save(const sluice_probe *probe);

/* What is kept, if anything is, for this context's plans. Returns the probe, or NULL; it is to be
 * freed after the context. */
sluice_probe *probe_cache_use(sluice_context *context);

/* How the classes of so many legs are known, of which some are proven, the oldest of those at `at`:
 * "legs probed 2 days ago", "classes are expected, from a table". */
const char *probe_cache_known(unsigned legs, unsigned proven, uint64_t at, char text[static 64]);

/* "2 days ago", "just now". */
const char *probe_cache_age(uint64_t at, char text[static 32]);

#endif
