/* SPDX-License-Identifier: MIT */
/* What a probe found, for people and for programs. */
#ifndef CLI_PROBE_REPORT_H
#define CLI_PROBE_REPORT_H

#include <stdio.h>

#include "sluice.h"

struct probe_report {
    const sluice_probe *probe;
    double seconds; /* 0: what was kept from before */
};

void probe_text(const struct probe_report *report, FILE *out);
void probe_json(const struct probe_report *report, FILE *out);

/* One leg with all the evidence, the index being that of the leg. */
void probe_evidence(const struct probe_report *report, unsigned index, FILE *out);

/* "pipe -> ext4 splice SPLICE_F_MOVE". */
#define LEG_NAME 192
const char *probe_leg_name(const struct sluice_probe_leg *leg, char text[static LEG_NAME]);

/* The verdict, or the error's name where it does not work. */
const char *probe_leg_verdict(const struct sluice_probe_leg *leg);

/* Compares two outputs of --json. Returns an exit status: 3 if a leg went from no copy to a copy. */
int probe_diff(const char *before, const char *after, FILE *out);

#endif
