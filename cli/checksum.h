/* SPDX-License-Identifier: MIT */
/* The checksum of bytes that are already in a file, which it reads: nothing is taken from a transfer.
 * Or of bytes that are given to it, one piece after another. */
#ifndef SLUICE_CLI_CHECKSUM_H
#define SLUICE_CLI_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum checksum_kind {
    CHECKSUM_NONE = 0,
    CHECKSUM_XXH3,   /* XXH3, 64 bits, as xxhsum -H3 prints it: 16 hex digits */
    CHECKSUM_SHA256, /* 64 hex digits */
};

#define CHECKSUM_HEX 65 /* the longest, with its NUL */

/* The kind called "xxh3" or "sha256". Returns 0; -EINVAL for any other name; -EOPNOTSUPP if this
 * program was built without it. *ret is untouched on failure. */
int checksum_kind_from_name(const char *name, enum checksum_kind *ret);

/* "xxh3", "sha256"; "none". Static. */
const char *checksum_name(enum checksum_kind kind);

/* Asked between pieces: a computation ends with -EINTR once it returns non-zero. */
void checksum_stop_when(int (*function)(void));

/* Whether this program was built with it. CHECKSUM_NONE is not there to be computed. */
bool checksum_available(enum checksum_kind kind);

/* Begins one that bytes are given to. Returns 0; -EOPNOTSUPP; -EINVAL; -ENOMEM. */
struct checksum_state;
int checksum_new(enum checksum_kind kind, struct checksum_state **ret);
void checksum_add(struct checksum_state *state, const void *bytes, size_t length);
/* Writes the checksum, and frees the state. */
void checksum_end(struct checksum_state *state, char ret_hex[static CHECKSUM_HEX]);

/*
 * Reads `length` bytes from `offset` on by pread(2), which leaves the descriptor's own offset
 * alone, and writes their checksum in lower-case hex. O_DIRECT descriptors will do if `offset` is
 * aligned. Returns 0; -ENODATA if the file ends before; -EOPNOTSUPP if the kind was not built in;
 * -EINVAL for CHECKSUM_NONE; -EOVERFLOW; -ENOMEM; what pread(2) returns, except -EINTR: it goes on
 * after that. ret_hex is untouched on failure.
 */
int checksum_of_range(int fd, uint64_t offset, uint64_t length, enum checksum_kind kind,
                      char ret_hex[static CHECKSUM_HEX]);

#endif
