/* SPDX-License-Identifier: MIT */
/* The ledger: what the calls of a transfer did. A row a call; each row is written only where that
 * call has returned, so it says what happened and not what was planned. */
#ifndef SLUICE_LEDGER_H
#define SLUICE_LEDGER_H

#include "error.h"

struct ledger {
    struct sluice_row row[CALL_COUNT]; /* by call; unused rows have no calls and no EAGAINs */
    struct sluice_fallback fallback[SLUICE_METHOD_COUNT];
    unsigned fallbacks;
    uint64_t polls, source_eagain, sink_eagain;
    uint64_t pipe_asked, pipe_got;
    uint64_t depth;     /* most requests in flight at once, */
    const char *engine; /* by this, */
    int engine_refused; /* since io_uring said this */
};

/* Beyond the room there is (a method is left once at most) the last one stays. */
void ledger_fell_back(struct ledger *ledger, const struct sluice_fallback *fallback);

/* Sums. */
uint64_t ledger_calls(const struct ledger *ledger);
uint64_t ledger_copied(const struct ledger *ledger);
unsigned ledger_rows(const struct ledger *ledger);
const struct sluice_row *ledger_row(const struct ledger *ledger, unsigned index);

#endif
