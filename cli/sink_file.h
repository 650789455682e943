/* SPDX-License-Identifier: MIT */
/*
 * A sink that is named by a path: how it is opened, when it is emptied, and how a new one gets its
 * name only when it is whole.
 */
#ifndef CLI_SINK_FILE_H
#define CLI_SINK_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct sink_request {
    const char *path;
    bool append;
    bool keep;                 /* other bytes of an existing file are kept: an offset was given */
    bool atomic;               /* also over an existing file */
    const struct stat *source; /* not to be replaced by its own copy; NULL: no regular file */
    bool resume;               /* as atomic; and what an earlier run kept is gone on with */
    bool in_place;             /* also an absent file gets its name at once */
};

struct sink_file {
    int fd;
    char *path;       /* where it ends: links followed; owned */
    char *temporary;  /* its name until then; owned, NULL: it has none, or its own */
    char *partial;    /* SINK.partial, where a failure keeps what there is; owned, NULL: nowhere */
    bool resumed;     /* it was there already */
    bool unnamed;     /* O_TMPFILE */
    bool made;        /* it was absent, and stands in place */
    bool empty_first; /* an existing file, to be rewritten */
    bool replaces;    /* an existing file is to be replaced */
    struct stat old;  /* of that file */
};

/* Opens it without changing what is there. Returns 0 or a negative errno, and `operation`. */
int sink_file_open(const struct sink_request *request, struct sink_file *ret,
                   const char **operation);

/* The transfer is about to begin: an existing file is emptied. */
int sink_file_begin(struct sink_file *sink);

/* The file is whole: it gets its name. 0 or a negative errno. */
int sink_file_commit(struct sink_file *sink);

/* It is not whole, or did not get its name, but its first *bytes are to be gone on with: they
 * stay, as SINK.partial, or so many of them as can. 0 or a negative errno. */
int sink_file_keep(struct sink_file *sink, uint64_t *bytes);

/* What it has is had from nowhere else: it is SINK.partial from now on, whatever comes, and no other run goes on
 * with it. 0 or a negative errno. */
int sink_file_show(struct sink_file *sink);

/* It is not whole: what has no name yet goes away. `refused`: nothing was moved, and a file that
 * was made for it goes too. Also after a commit, to free. Does not close fd. */
void sink_file_leave(struct sink_file *sink, bool refused);

#endif
