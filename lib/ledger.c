/* SPDX-License-Identifier: MIT */
#include "ledger.h"

#include <stddef.h>

#include "plan.h"

void ledger_fell_back(struct ledger *ledger, const struct sluice_fallback *fallback)
{
    const unsigned room = sizeof ledger->fallback / sizeof *ledger->fallback;
    const unsigned index = ledger->fallbacks < room ? ledger->fallbacks++ : room - 1;
    ledger->fallback[index] = *fallback;
}

static bool used(const struct sluice_row *row)
{
    return row->calls + row->eagain > 0;
}

uint64_t ledger_calls(const struct ledger *ledger)
{
    uint64_t calls = 0;
    for (int call = 0; call < CALL_COUNT; call++)
        if (call != CALL_MAP && call != CALL_DIRECT_SHIFT) /* what moves nothing, or is no call */
            calls += ledger->row[call].calls + ledger->row[call].eagain;
    return calls;
}

uint64_t ledger_copied(const struct ledger *ledger)
{
    uint64_t bytes = 0;
    for (int call = 0; call < CALL_COUNT; call++)
        bytes += ledger->row[call].bytes * ledger->row[call].leg.copies;
    return bytes;
}

unsigned ledger_rows(const struct ledger *ledger)
{
    unsigned rows = 0;
    for (int call = 0; call < CALL_COUNT; call++)
        rows += used(&ledger->row[call]);
    return rows;
}

const struct sluice_row *ledger_row(const struct ledger *ledger, unsigned index)
{
    for (int call = 0; call < CALL_COUNT; call++)
        if (used(&ledger->row[call]) && index-- == 0)
            return &ledger->row[call];
    return NULL;
}
