/* SPDX-License-Identifier: MIT */
/* The counters of the relay as Prometheus reads them (text format 0.0.4). */
#ifndef SERVER_METRICS_H
#define SERVER_METRICS_H

#include <stdint.h>
#include <stdio.h>

#include "relay.h"

/* What is not counted by the relay. */
struct metrics_process {
    double start_time;  /* seconds since 1970 */
    double cpu_seconds; /* user and system */
    uint64_t log_lines_lost;
};

void metrics_print(FILE *out, const struct relay_totals *totals, const struct target_list *targets,
                   const struct metrics_process *process);

#endif
