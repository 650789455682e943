/* SPDX-License-Identifier: MIT */
/*
 * An endpoint: a descriptor and what we know of it. Made once, read by the plan and the transfer;
 * nobody but endpoint.c asks the kernel what a descriptor is.
 */
#ifndef SLUICE_ENDPOINT_H
#define SLUICE_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "sluice.h"

/*
 * A medium is a kind as the methods see it: two endpoints of one medium are served by the same
 * methods at the same cost. Bits, so that the plan's tables can name sets of them.
 */
enum medium {
    MEDIUM_OTHER = 1 << 0, /* nothing can be moved */
    MEDIUM_FILE = 1 << 1,  /* a regular file in the page cache of a local file system */
    MEDIUM_REMOTE =
        1 << 2, /* the same, but a call may wait for a machine or a process: NFS, FUSE */
    MEDIUM_DIRECT = 1 << 3, /* a file or device opened with O_DIRECT */
    MEDIUM_PSEUDO = 1 << 4, /* procfs, sysfs …: made while it is read, st_size is no size */
    MEDIUM_BLOCK = 1 << 5,  /* a block device, through its page cache */
    MEDIUM_PIPE = 1 << 6,
    MEDIUM_STREAM = 1 << 7,  /* TCP and UNIX stream sockets: they take and give page references */
    MEDIUM_SOCKET = 1 << 8,  /* stream sockets of another family */
    MEDIUM_MESSAGE = 1 << 9, /* datagram and seqpacket sockets */
    MEDIUM_TERMINAL = 1 << 10,
    MEDIUM_NULL = 1 << 11, /* /dev/null */
    MEDIUM_ZERO = 1 << 12, /* /dev/zero */
    MEDIUM_CHAR = 1 << 13, /* any other character device */
};

/* Regular files and block devices: these have an offset, and can be read again. */
#define MEDIA_SEEKABLE (MEDIUM_FILE | MEDIUM_REMOTE | MEDIUM_DIRECT | MEDIUM_PSEUDO | MEDIUM_BLOCK)
/* Those that never say EAGAIN and for which poll(2) means nothing. */
#define MEDIA_ALWAYS_READY ((MEDIA_SEEKABLE & ~MEDIUM_PSEUDO) | MEDIUM_NULL | MEDIUM_ZERO)
#define MEDIA_SOCKETS      (MEDIUM_STREAM | MEDIUM_SOCKET | MEDIUM_MESSAGE)

struct sluice_endpoint {
    int fd; /* -1: only a kind */
    unsigned ownership;
    enum sluice_kind kind;
    enum medium medium;
    const char *name;
    int flags;        /* F_GETFL */
    int family, type; /* sockets */
    bool reopenable;  /* opening it again gives the same pipe or terminal, not another one */
    dev_t device;
    ino_t inode;
    bool stands_still; /* nobody else has it: it is a clone that was made for a snapshot */
    bool has_holes;    /* regular: it has fewer blocks than bytes */
    uint32_t block;    /* st_blksize, of a regular file; never 0 */
    uint64_t bytes;    /* regular: st_size; block: the device's */
    uint64_t capacity; /* pipe: F_GETPIPE_SZ */
    char *place; /* where it cannot be asked later: what a probe's verdicts hold for; or NULL */
};

/* Reads the flags again: they can change after opening, as O_APPEND on a shared terminal does.
 * Returns 0 or what fcntl(2) returned. */
int endpoint_refresh(struct sluice_endpoint *endpoint);

/* The size now: regular, fstat; block, the device's; 0 where there is none. 0 or a negative errno. */
int endpoint_size(const struct sluice_endpoint *endpoint, uint64_t *ret);

/* The same, into `bytes` and `has_holes`. */
int endpoint_measure(struct sluice_endpoint *endpoint);

/* Whether nobody can write to it any more: a sealed memfd, a file system that is never written. */
bool endpoint_immutable(const struct sluice_endpoint *endpoint);

/* Opens the same file again through /proc/self/fd, with other flags: a private open file
 * description. Never 0, 1 or 2. Returns the descriptor or a negative errno. */
int endpoint_reopen(const struct sluice_endpoint *endpoint, int flags);

/* Whether both are the same regular file, block device or pipe. */
bool endpoint_same(const struct sluice_endpoint *a, const struct sluice_endpoint *b);

/* Moves a descriptor out of 0 to 2, where a program that started with those closed would take it
 * for its standard streams. Consumes fd. Returns the descriptor or a negative errno. */
int fd_above_standard(int fd);

#endif
