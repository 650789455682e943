/* SPDX-License-Identifier: MIT */
/* Two files, or parts of them, byte by byte. */
#ifndef CLI_COMPARE_H
#define CLI_COMPARE_H

#include <stdint.h>

enum { COMPARE_ALIGNMENT = 4096 };

/* Read by pread(2), in whole aligned blocks: O_DIRECT descriptors will do. */
struct compare_end {
    int fd;
    uint64_t offset;
};

/* Returns 0 if `length` bytes are the same; -EBADMSG with *ret_at, the first that differs; or a
 * negative errno with *ret_end, the end that it came from (0 or 1): -ENODATA where it ends before,
 * -EINTR after a signal, what pread(2) says. */
int compare_ranges(const struct compare_end ends[2], uint64_t length, unsigned *ret_end,
                   uint64_t *ret_at);

#endif
