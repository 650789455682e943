/* SPDX-License-Identifier: MIT */
/* The ledger of a finished transfer, for people and for programs. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>

#include "sluice.h"

struct report {
    const char *source, *sink;       /* as messages name them */
    const sluice_transfer *transfer; /* NULL: it was never made */
    struct sluice_error error;       /* .error 0: none */
    const char *error_endpoint;
    const char *errno_words;
    double seconds;
    struct rusage before, after;
    bool uncached; /* --cache=drop: and so much stayed, UINT64_MAX: it cannot be told */
    uint64_t cache_left;
    bool verified;    /* the sink was read back, and is as the source */
    const char *kept; /* SINK.partial, NULL: nothing was kept */
    uint64_t kept_bytes;
    uint64_t salvaged; /* parked bytes that were taken out of the transfer and kept, */
    uint64_t unsaved;  /* and that could not be kept */
    const char *checksum_name, *checksum, *checksum_of; /* NULL: none; of the end that was read */
};

void report_text(const struct report *report, FILE *out);

/* One line, a JSON object. lines: as the last of several, with "event". */
void report_json(const struct report *report, bool lines, FILE *out);

/* A line of progress, as JSON. */
void report_json_progress(uint64_t delivered, uint64_t expected, double seconds, FILE *out);

/* CPU seconds of the process between `before` and `after`; CPU copies per delivered byte. */
void report_cpu(const struct report *report, double *user, double *system);
double report_copies(const struct sluice_ledger *ledger);

/* The name of an errno: "ENOSPC". */
const char *errno_name(int error);

#endif
