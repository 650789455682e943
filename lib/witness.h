/* SPDX-License-Identifier: MIT */
/*
 * A witness beside the ledger: the kernel's account of this thread's reads (/proc/thread-self/io).
 * splice adds nothing to it; read does. Bytes or calls beyond those that the ledger accounts for
 * crossed user memory behind our back, as when splice is an emulation put before libc's.
 */
#ifndef SLUICE_WITNESS_H
#define SLUICE_WITNESS_H

#include <stdbool.h>
#include <stdint.h>

#include "ledger.h"

struct witness {
    bool valid;
    uint64_t rchar, syscr;
};

void witness_begin(struct witness *witness);

/* Marks the rows that are contradicted as user-copy, proven. */
void witness_end(const struct witness *witness, struct ledger *ledger);

#endif
