/* SPDX-License-Identifier: MIT */
/* `sluice tee` at work: what its files share. tee.c runs it, tee_options.c reads the words, tee_ends.c
 * opens source and sinks, tee_words.c says what went wrong, tee_report.c the ledger. */
#ifndef CLI_TEE_H
#define CLI_TEE_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

#include "address.h"
#include "checksum.h"
#include "copy_options.h"
#include "message.h"
#include "progress.h"
#include "sluice.h"

/* What an error of a sink leads to, by GNU's names. */
enum output_error {
    OUTPUT_SIGPIPE = 0, /* no --output-error: a broken pipe ends all, quietly; else as warn */
    OUTPUT_WARN,        /* said, and the others go on */
    OUTPUT_WARN_NOPIPE, /* the same; a broken pipe is not said */
    OUTPUT_EXIT,        /* said, and all ends */
    OUTPUT_EXIT_NOPIPE, /* the same; a broken pipe is no error */
};

/* A sink as it was asked for, and as it is. */
struct tee_sink {
    struct address address;
    const char *text; /* as it was given */
    char *plain;      /* without the options of the sink; owned */
    char *spill_path; /* owned */
    struct sluice_sink_options options;
    sluice_endpoint *endpoint, *spill;
    char name[512];
    unsigned id;
    bool added, told; /* its failure */
    bool closed;      /* standard output, not open for writing */
    int close_error;
};

struct tee_options {
    struct address source;
    struct sluice_fanout_options library;
    struct sluice_sink_options defaults;
    char *spill; /* the default policy's file */
    struct tee_sink *sink;
    unsigned sinks; /* the first is standard output */
    enum output_error output_error;
    enum checksum_kind checksum;
    uint64_t linger;
    bool append, ignore_interrupts, progress, quiet, stats, json;
};

struct tee {
    struct tee_options options;
    const char *alone; /* the name it was started under, if that is tee; else NULL */
    sluice_context *context;
    sluice_probe *probe;
    sluice_cancel *cancel;
    sluice_endpoint *source;
    sluice_fanout *fanout;
    char source_name[512];
    struct checksum_state *checksum;
    unsigned checksum_id;
    char digest[CHECKSUM_HEX];
    struct progress display;
    struct timespec begun;
    double seconds;
    struct rusage before, after;
    enum status status;
    uint64_t taken;   /* when it was last shown */
    bool broken_pipe; /* die of SIGPIPE, once the others have got what there is */
    struct sluice_error error;
};

/* STATUS_DONE with the options filled in, a status after a message, or -1 after --help or --version. */
int tee_options_parse(struct tee *tee, int argc, char **argv);
void tee_options_free(struct tee_options *options);

/* Open what the options name, and make the fan-out. A sink that cannot be opened is said, and left
 * out, unless its errors end all. */
enum status tee_open_source(struct tee *tee);
enum status tee_open_sinks(struct tee *tee);
/* Ends sockets, closes all; what a close says counts. */
void tee_close_sinks(struct tee *tee);

/* The operation in which a spill file fails. */
#define SPILL_FOR "spill for"

/* A failure that is not a sink's. */
enum status tee_cannot(struct tee *tee, const char *operation, const char *name, int error);
/* A sink cannot be opened, or closed. Returns whether all is to end. */
bool tee_sink_trouble(struct tee *tee, struct tee_sink *sink, const char *operation, int error);
/* The fan-out says that a sink has failed, or was detached. */
int tee_on_event(sluice_fanout *fanout, unsigned id, void *data);
/* The source's error, or what else ended it. */
void tee_tell_failure(struct tee *tee);

void tee_report_text(const struct tee *tee, FILE *out);
void tee_report_json(const struct tee *tee, FILE *out);

#endif
