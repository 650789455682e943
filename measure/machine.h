/* SPDX-License-Identifier: MIT */
/* What figures were taken on: without it they say nothing. */
#ifndef MEASURE_MACHINE_H
#define MEASURE_MACHINE_H

#include <sys/utsname.h>

#include "stage.h"

struct machine {
    struct utsname kernel;
    char cpu[128];       /* the model's name, "" where the kernel does not say */
    unsigned cpus;       /* that this process may use */
    uint64_t memory;     /* bytes */
    char disk[320];      /* the file system with its options */
    char device[64];     /* the block device behind it: "vda", "" for none */
    bool loop;           /* which is a file itself */
    char congestion[32]; /* TCP's congestion control, unless it is loopback: cubic or reno there */
    double load;         /* of the last minute, before it began */
    unsigned user;       /* effective user id */
    char when[32];       /* ISO 8601, UTC */
};

void machine_describe(const struct stage *stage, struct machine *ret);

#endif
