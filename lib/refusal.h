/* SPDX-License-Identifier: MIT */
/* A refusal: why something is not begun, told to whoever asked for it. */
#ifndef SLUICE_REFUSAL_H
#define SLUICE_REFUSAL_H

#include "endpoint.h"

/* Fills in what is to be told, if somebody wants to know. Returns the error. */
int refuse(struct sluice_error *ret, int error, enum sluice_side side, const char *operation,
           const char *reason);

/* Looks at an end again, and refuses it if no byte can be moved to or from it. wrong_access: O_WRONLY
 * for a source, O_RDONLY for a sink. 0 or a negative errno. */
int refuse_end(struct sluice_endpoint *endpoint, enum sluice_side side, int wrong_access,
               struct sluice_error *ret);

#endif
