/* SPDX-License-Identifier: MIT */
/* The options of `sluice copy` and `sluice explain`: one table, which parses, explains itself in
 * --help, and knows what was nearly meant. */
#ifndef CLI_COPY_OPTIONS_H
#define CLI_COPY_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "address.h"
#include "checksum.h"
#include "message.h"
#include "sluice.h"

enum json_style { JSON_NONE = 0, JSON_ONE, JSON_LINES };
enum atomic_choice { ATOMIC_DEFAULT = 0, ATOMIC_ALWAYS, ATOMIC_NEVER };

enum resume_choice {
    RESUME_NEVER = 0,
    RESUME_COMPARE,  /* the source is read again, from its first byte */
    RESUME_CONTINUE, /* it stands at the next unread byte */
};

struct copy_options {
    struct sluice_options library;
    struct address source, sink;
    uint64_t size;   /* expected, for the display; UINT64_MAX: not given */
    uint64_t linger; /* nanoseconds */
    const char *salvage;
    enum atomic_choice atomic;
    enum resume_choice resume;
    enum json_style json;
    enum checksum_kind checksum;
    bool append, sync, verify, progress, numeric, quiet, verbose, stats;
};

/* command: "copy" or "explain". Returns STATUS_DONE with the options filled in, STATUS_USAGE after
 * a message, or -1 after --help. */
int copy_options_parse(const char *command, int argc, char **argv, struct copy_options *ret);
void copy_options_free(struct copy_options *options);

#endif
