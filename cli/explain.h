/* SPDX-License-Identifier: MIT */
/* The plan, for people and for programs; `sluice explain`, and `sluice copy -v` before it moves. */
#ifndef CLI_EXPLAIN_H
#define CLI_EXPLAIN_H

#include <stdbool.h>
#include <stdio.h>

#include "sluice.h"

struct explanation {
    const char *source_name, *sink_name;
    const sluice_endpoint *source, *sink;
    bool source_is_kind, sink_is_kind; /* nothing is behind it but its kind */
    bool sink_is_new;
    const sluice_plan *plan;
};

void explain_text(const struct explanation *explanation, FILE *out);
void explain_json(const struct explanation *explanation, FILE *out);

#endif
