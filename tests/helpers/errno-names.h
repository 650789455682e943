/* SPDX-License-Identifier: MIT */
/* The number of an errno that is given by name, for the helpers that make calls fail. */
#ifndef HELPERS_ERRNO_NAMES_H
#define HELPERS_ERRNO_NAMES_H

#include <errno.h>
#include <string.h>

enum { ERRNO_LAST = 133 }; /* EHWPOISON, the highest that Linux has */

/* 0 where there is no such name. */
static inline int errno_from_name(const char *name)
{
    /* Second names, which strerrorname_np() does not give. */
    if (strcmp(name, "EWOULDBLOCK") == 0)
        return EWOULDBLOCK;
    if (strcmp(name, "ENOTSUP") == 0)
        return ENOTSUP;

    for (int number = 1; number <= ERRNO_LAST; number++) {
        const char *known = strerrorname_np(number);
        if (known && strcmp(known, name) == 0)
            return number;
    }
    return 0;
}

#endif
