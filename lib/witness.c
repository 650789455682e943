/* SPDX-License-Identifier: MIT */
#include "witness.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "plan.h"
#include "sys.h"

static bool read_account(struct witness *ret)
{
    char text[512];
    unsigned long long rchar, syscr;
    const char *at;

    const int fd = sys_open("/proc/thread-self/io", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    const ssize_t length = sys_read(fd, text, sizeof text - 1);
    sys_close(fd);
    if (length <= 0)
        return false;
    text[length] = '\0';
    if (!(at = strstr(text, "rchar:")) || sscanf(at, "rchar: %llu", &rchar) != 1 ||
        !(at = strstr(text, "syscr:")) || sscanf(at, "syscr: %llu", &syscr) != 1)
        return false;
    *ret = (struct witness){.valid = true, .rchar = rchar, .syscr = syscr};
    return true;
}

void witness_begin(struct witness *witness)
{
    if (!read_account(witness))
        witness->valid = false;
}

/* Calls whose bytes the kernel adds to rchar by itself. sendfile and copy_file_range are there too,
 * with one read call each. */
#define COUNTED_BY_KERNEL                                                                          \
    (CALL_BIT(READ) | CALL_BIT(READ_CACHED) | CALL_BIT(READ_BACK) | CALL_BIT(SENDFILE) |           \
     CALL_BIT(COPY_RANGE) | CALL_BIT(DIRECT_READ) | CALL_BIT(DIRECT_EDGE_IN) |                     \
     CALL_BIT(DIRECT_COPY_IN) | CALL_BIT(DIRECT_BOUNCE))

void witness_end(const struct witness *witness, struct ledger *ledger)
{
    struct witness now;
    uint64_t bytes = 0, calls = 1, in_kernel = 0; /* the reading of the account is itself a call */

    if (!witness->valid || !read_account(&now))
        return;
    for (int call = 0; call < CALL_COUNT; call++) {
        const struct sluice_row *row = &ledger->row[call];
        if (COUNTED_BY_KERNEL >> call & 1) {
            bytes += row->bytes;
            calls += row->calls + row->eagain;
        }
        if (row->leg.class_ != SLUICE_CLASS_USER_COPY && call != CALL_MAP && row->bytes > in_kernel)
            in_kernel = row->bytes;
    }
    const uint64_t seen = now.rchar - witness->rchar, reads = now.syscr - witness->syscr;
    /* Some slack: a page or two is read for other reasons, an end is asked for twice. */
    const bool more_bytes = seen > bytes + 65536 && seen - bytes > in_kernel / 2;
    const bool more_calls = reads > 2 * calls + 16;
    if (!in_kernel || (!more_bytes && !more_calls))
        return;
    for (int call = 0; call < CALL_COUNT; call++) {
        struct sluice_row *row = &ledger->row[call];
        if (row->bytes && call != CALL_MAP && row->leg.class_ != SLUICE_CLASS_USER_COPY) {
            row->leg.class_ = SLUICE_CLASS_USER_COPY;
            row->leg.copies = 1;
            row->leg.known = SLUICE_PROVEN;
        }
    }
}
