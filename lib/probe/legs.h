/* SPDX-License-Identifier: MIT */
/* Every leg that a probe looks into. */
#ifndef SLUICE_LEGS_H
#define SLUICE_LEGS_H

#include "scene.h"

extern const struct leg probe_legs[];
extern const unsigned probe_leg_count;

/* The names of all kernel functions that the table expects, ended by NULL: static. */
const char *const *legs_functions(void);

#endif
