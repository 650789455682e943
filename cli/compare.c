/* SPDX-License-Identifier: MIT */
#include "compare.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "signals.h"

enum { PIECE = 1 << 20 };

/* Reads `length` bytes from `at` on, and what lies before them in their block. Returns the first
 * byte asked for, or NULL with *ret_error. */
static const char *read_at(const struct compare_end *end, char *bytes, uint64_t at, size_t length,
                           int *ret_error)
{
    const uint64_t position = end->offset + at, begin = position - position % COMPARE_ALIGNMENT;
    const size_t wanted = (size_t)(position - begin) + length;
    const size_t whole = (wanted + COMPARE_ALIGNMENT - 1) / COMPARE_ALIGNMENT * COMPARE_ALIGNMENT;
    size_t have = 0;

    while (have < wanted) {
        const ssize_t value = pread(end->fd, bytes + have, whole - have, (off_t)(begin + have));
        if (value < 0 && errno == EINTR && !signals_caught())
            continue;
        if (value <= 0) {
            *ret_error = value < 0 ? -errno : -ENODATA;
            return NULL;
        }
        have += (size_t)value;
    }
    return bytes + (position - begin);
}

static size_t first_difference(const char *a, const char *b, size_t length)
{
    size_t at = 0;
    while (at < length && a[at] == b[at])
        at++;
    return at;
}

static int compare_pieces(const struct compare_end ends[2], char *const buffers[2], uint64_t length,
                          unsigned *ret_end, uint64_t *ret_at)
{
    int error = 0;

    for (uint64_t at = 0; at < length;) {
        const size_t piece = length - at < PIECE ? (size_t)(length - at) : PIECE;
        const char *bytes[2];
        *ret_at = at;
        for (unsigned i = 0; i < 2; i++) {
            *ret_end = i;
            if (signals_caught())
                return -EINTR;
            if (!(bytes[i] = read_at(&ends[i], buffers[i], at, piece, &error)))
                return error;
        }
        if (memcmp(bytes[0], bytes[1], piece) != 0) {
            *ret_at = at + first_difference(bytes[0], bytes[1], piece);
            return -EBADMSG;
        }
        at += piece;
    }
    return 0;
}

int compare_ranges(const struct compare_end ends[2], uint64_t length, unsigned *ret_end,
                   uint64_t *ret_at)
{
    const size_t room = PIECE + 2 * COMPARE_ALIGNMENT;
    void *buffers[2] = {NULL, NULL};
    int error = 0;

    for (unsigned i = 0; i < 2 && error == 0; i++)
        error = -posix_memalign(&buffers[i], COMPARE_ALIGNMENT, room);
    if (error == 0)
        error = compare_pieces(ends, (char *[2]){buffers[0], buffers[1]}, length, ret_end, ret_at);
    free(buffers[0]);
    free(buffers[1]);
    return error;
}
