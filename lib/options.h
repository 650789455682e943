/* SPDX-License-Identifier: MIT */
/* Options as the library uses them: read from the caller's structure, checked once. */
#ifndef SLUICE_OPTIONS_H
#define SLUICE_OPTIONS_H

#include "endpoint.h"

/* given may be NULL. Returns 0, or -EINVAL for values outside their ranges. */
int options_read(struct sluice_options *own, const struct sluice_options *given);

/* How many bytes there are to move, where that can be known without reading: what is left of a
 * regular file or block device, and the limit. UINT64_MAX: unknown. */
uint64_t options_expected(const struct sluice_options *options,
                          const struct sluice_endpoint *source);

#endif
