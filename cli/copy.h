/* SPDX-License-Identifier: MIT */
/* `sluice copy` at work: what its files share. copy.c runs it, copy_ends.c opens the two ends,
 * copy_words.c says what went wrong, copy_checksum.c and copy_verify.c read again what was
 * delivered, copy_resume.c goes on with what an earlier run kept. */
#ifndef CLI_COPY_H
#define CLI_COPY_H

#include <limits.h>
#include <time.h>

#include "copy_options.h"
#include "progress.h"
#include "report.h"
#include "salvage.h"
#include "sink_file.h"

enum { NAME_SIZE = PATH_MAX }; /* the end included: no path that can be opened is longer */

/* Everything a copy holds, so that one place can let it go. */
struct copy {
    struct copy_options options;
    sluice_context *context;
    sluice_probe *probe; /* what plans go by, NULL: the table alone */
    sluice_cancel *cancel;
    sluice_endpoint *source, *sink;
    sluice_transfer *transfer;
    char source_name[NAME_SIZE], sink_name[NAME_SIZE];
    bool sink_is_file;
    struct sink_file file;
    struct salvage salvage;
    struct progress progress;
    uint64_t resumed_at; /* bytes of the sink that were there already */
    uint64_t expected;   /* for the display */
    time_t last_line;    /* --json=lines */
    struct timespec begun;
    struct report report;
    char checksum[CHECKSUM_HEX];
    char words[256];     /* what went wrong, as it is said */
    bool moved;          /* the transfer was run */
    bool sink_is_stdout; /* under whatever name */
};

/* Keeps a failure for the ledger, beside what is said of it. `words` stay the caller's. */
void copy_record(struct copy *copy, enum sluice_side side, const char *operation, const char *name,
                 int error, const char *words);

/* A failure of an operation on an end, said once and kept for the ledger. Returns STATUS_FAILED. */
enum status copy_cannot(struct copy *copy, enum sluice_side side, const char *operation,
                        const char *name, int error);

/* --require=zero-copy: measures the legs that this pair needs, whatever is kept from before. */
enum status copy_probe(struct copy *copy);

/* Why the library made no transfer. */
enum status copy_refused(struct copy *copy, int error);

/* Why the transfer failed, and what became of the parked bytes. */
void copy_tell_failure(struct copy *copy, uint64_t parked);

bool copy_stopped_by_requirement(const struct sluice_error *error);

/* Open the ends and make their endpoints. Nothing is emptied yet. */
enum status copy_open_source(struct copy *copy);
enum status copy_open_sink(struct copy *copy);

/* Whether the checksum can be had at all; the checksum. */
enum status copy_check_checksum(struct copy *copy);
enum status copy_checksum(struct copy *copy);

/* A descriptor to read back what was delivered, with more open flags: of the sink's file, or the
 * source's. Returns it, to be closed, with the offset of the first delivered byte. */
int copy_reread(const struct copy *copy, enum sluice_side side, int flags, uint64_t *ret_offset);

/* --sync and --verify: whether they can be had at all; what was delivered is on the device; what is
 * on the device is what the source has. */
enum status copy_check_sync(struct copy *copy);
enum status copy_sync(struct copy *copy);
enum status copy_sync_name(struct copy *copy);
enum status copy_verify(struct copy *copy);

/* --resume: goes on with what an earlier run kept; keeps what this one has delivered. */
enum status copy_resume(struct copy *copy);
void copy_keep_partial(struct copy *copy);

/* The stream that belongs to the ledger: standard output, unless bytes go there. */
FILE *copy_ledger_stream(const struct copy *copy);

#endif
