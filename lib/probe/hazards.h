/* SPDX-License-Identifier: MIT */
/* What becomes of a file's pages that a pipe holds when the file is closed, truncated or punched. */
#ifndef SLUICE_HAZARDS_H
#define SLUICE_HAZARDS_H

#include "place.h"
#include "probe.h"

/* Tries each on scratch files in the place, and adds what it finds as facts. */
void hazards_measure(struct sluice_probe *probe, const struct place *place);

#endif
