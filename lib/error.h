/* SPDX-License-Identifier: MIT */
/*
 * What an errno means. One table, here and nowhere else: for each call that moves bytes or prepares
 * it, what to do about an errno, and whose it is. A method never looks at an errno itself.
 */
#ifndef SLUICE_ERROR_H
#define SLUICE_ERROR_H

#include <stdbool.h>

#include "sluice.h"

/* The calls of the methods, each the call of one leg: a row of the ledger. */
enum call {
    CALL_READ = 0,     /* read, pread, recv or recvmsg: source -> memory */
    CALL_WRITE,        /* write, pwrite or send: memory -> sink */
    CALL_MAP,          /* mmap of the source */
    CALL_WRITE_MAPPED, /* write, pwrite or send from the mapping */
    CALL_SENDFILE,     /* source -> sink */
    CALL_COPY_RANGE,   /* source -> sink */
    CALL_SPLICE,       /* source -> sink, one of them the user's pipe */
    CALL_SPLICE_IN,    /* source -> private pipe */
    CALL_SPLICE_OUT,   /* private pipe -> sink */
    CALL_READ_BACK,    /* private pipe -> memory, after splicing out of it has failed */
    CALL_PIPE,         /* pipe2: getting a private pipe */
    CALL_BUFFER,       /* getting memory */
    CALL_SEEK,         /* lseek: the source's own offset */
    CALL_READ_CACHED,  /* CALL_READ and CALL_WRITE, after O_DIRECT was left: rows of their own */
    CALL_WRITE_CACHED,
    CALL_READ_UNCACHED, /* CALL_READ and CALL_WRITE of what leaves the page cache by itself */
    CALL_WRITE_UNCACHED,
    CALL_REFLINK,      /* source -> sink, no byte moves */
    CALL_REFLINK_EDGE, /* copy_file_range of what is no whole block */
    CALL_HOLE,         /* lseek: a hole of the source has become one of the sink */
    CALL_ZEROS,        /* fallocate, ftruncate: zeros in memory have become a hole of the sink */
    CALL_CLONE,        /* FICLONERANGE: the source's extents are those of a clone, for a snapshot */
    CALL_DIRECT_OPEN_IN, /* open of the source, and of the sink, for O_DIRECT */
    CALL_DIRECT_OPEN_OUT,
    CALL_DIRECT_QUEUE,    /* making a queue of requests: io_uring or threads */
    CALL_DIRECT_READ,     /* source -> memory, several in flight */
    CALL_DIRECT_IN,       /* source -> private pipes, several in flight */
    CALL_DIRECT_EDGE_IN,  /* source -> private pipe, what is no whole block */
    CALL_DIRECT_TAKE,     /* source, a pipe -> private pipe */
    CALL_DIRECT_COPY_IN,  /* source -> aligned memory */
    CALL_DIRECT_BOUNCE,   /* private pipe -> aligned memory: its pieces are odd */
    CALL_DIRECT_SHIFT,    /* memory -> memory: source and sink lie differently in their blocks */
    CALL_DIRECT_WRITE,    /* memory -> sink, several in flight */
    CALL_DIRECT_OUT,      /* private pipes -> sink, several in flight */
    CALL_DIRECT_EDGE_OUT, /* memory -> sink, what is no whole block */
    CALL_DIRECT_GIVE,     /* private pipe -> sink */
    CALL_COUNT,
};

/* A set of calls. */
#define CALL_BIT(name) ((uint64_t)1 << CALL_##name)

enum action {
    ACTION_FAIL = 0, /* the transfer ends with this error */
    ACTION_AGAIN,    /* the same call again, after a look at the cancel */
    ACTION_WAIT,     /* a side is not ready */
    ACTION_FALLBACK, /* the next method goes on at this byte */
    ACTION_CACHED,   /* the same method goes on, by calls whose pages stay until they are dropped */
    ACTION_BUFFERED, /* the same method goes on, without O_DIRECT; if the end has none, it fails */
};

/* What to do about `error` (negative) from `call`. */
enum action error_action(enum call call, int error);

/* Whose error it is, for calls that touch both ends; false if the errno alone does not tell. */
bool error_side(enum call call, int error, enum sluice_side *ret);

const char *call_name(enum call call);
enum sluice_method call_method(enum call call);

#endif
