/* SPDX-License-Identifier: MIT */
/* Where in the kernel an address is, as far as a probe wants to know. */
#ifndef SLUICE_SYMBOLS_H
#define SLUICE_SYMBOLS_H

#include <stdbool.h>
#include <stdint.h>

#define MOST_SYMBOLS 128

struct symbol {
    uint64_t begin, end;
    const char *wanted; /* the name that was asked for, or NULL: a routine that copies memory */
};

struct symbols {
    struct symbol symbol[MOST_SYMBOLS];
    unsigned count;
};

/* Reads /proc/kallsyms for the wanted names (ended by NULL, borrowed) and for the routines that copy
 * memory. Returns 0; -EPERM if the addresses are hidden from this user; what open(2) returns. */
int symbols_read(const char *const *wanted, struct symbols *ret);

/* The symbol that the address is in, or NULL if it is none of these. */
const struct symbol *symbols_find(const struct symbols *symbols, uint64_t address);

#endif
