/* SPDX-License-Identifier: MIT */
/* The words by which a user names an endpoint, and how they are opened. */
#ifndef CLI_ADDRESS_H
#define CLI_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum address_scheme {
    ADDRESS_STANDARD = 0, /* - */
    ADDRESS_PATH,
    ADDRESS_FD,
    ADDRESS_NULL,
    ADDRESS_ZERO,
    ADDRESS_TCP,
    ADDRESS_TCP_LISTEN,
    ADDRESS_UNIX,
    ADDRESS_UNIX_LISTEN,
    ADDRESS_PIPE, /* only as a kind, for explain */
};

struct address {
    enum address_scheme scheme;
    const char *text;         /* as it was given */
    char *path;               /* ADDRESS_PATH, ADDRESS_UNIX*; owned */
    char *host, *port;        /* ADDRESS_TCP*; owned; an empty port: only a kind */
    int fd;                   /* ADDRESS_FD */
    uint64_t connect_timeout; /* nanoseconds, 0: the kernel's */
};

/* Returns 0, or -EINVAL with the reason in `why`. Frees nothing of `ret` on failure: it is empty. */
int address_parse(const char *text, struct address *ret, char *why, size_t why_size);
void address_free(struct address *address);

/* Only a kind, with nothing to open: "tcp:", "pipe:". */
bool address_is_kind(const struct address *address);
bool address_is_socket(const struct address *address);

/* Connects, or listens and takes one peer. `name` receives who the peer is, for messages. Returns a
 * descriptor or a negative errno; `operation` then says which call it was. -EINTR: a signal came. */
int address_connect(const struct address *address, char *name, size_t name_size,
                    const char **operation);

/* The words for a failure of address_connect(). */
const char *address_failure(int error);

#endif
