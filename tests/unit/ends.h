/* SPDX-License-Identifier: MIT */
/*
 * What tests move bytes between: a source that holds known bytes, and a sink that is read back. An
 * end owns the descriptor that is given to the library and, where there is one, the other end of
 * it, which belongs to the test alone.
 *
 * The same file serves the unit tests and the fault tests. Its functions make no use of the
 * library, and abort the test where the system refuses them: they say what is wrong with the
 * machine, not with what is tested.
 */
#ifndef TEST_ENDS_H
#define TEST_ENDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum end_kind {
    END_FILE,   /* a memfd */
    END_DISK,   /* a file in $TMPDIR, without a name */
    END_DIRECT, /* the same with O_DIRECT */
    END_APPEND, /* a memfd with O_APPEND: sinks only */
    END_PIPE,
    END_TCP,
    END_UNIX,
    END_UDP,
    END_DGRAM,     /* UNIX */
    END_SEQPACKET, /* UNIX */
    END_ZERO,
    END_NULL,
    END_COUNT,
};

/* How an end is made; all zero is the usual way. */
struct end_options {
    bool blocking;   /* the library's descriptor lacks O_NONBLOCK */
    size_t capacity; /* bytes that pipes and sockets hold, as nearly as the kernel allows; 0: enough
                        for small tests */
    size_t message;  /* length of the messages that a source of messages is filled with */
    bool open;       /* the source is not ended: the test feeds it */
    bool aligned;    /* files begin at an offset that O_DIRECT takes, too */
};

struct end {
    enum end_kind kind;
    int fd;        /* the library's */
    int peer;      /* the test's, -1: none */
    int flags;     /* of fd, as it was made */
    int pipe_size; /* of a pipe, as it was made */
    off_t start;   /* where the bytes begin, in what has an offset */
    size_t message;
};

const char *end_name(enum end_kind kind);
bool end_has_offset(enum end_kind kind);
bool end_has_messages(enum end_kind kind);
bool end_is_socket(enum end_kind kind);
/* Whether the end of the bytes is told; else a transfer needs a length. */
bool end_is_told(enum end_kind kind);

/* Whether this machine has it: O_DIRECT needs a file system that takes it. */
bool end_exists(enum end_kind kind);

/* A source that holds `bytes`, and then ends. */
void end_open_source(struct end *end, enum end_kind kind, const void *bytes, size_t length,
                     const struct end_options *options);
void end_open_sink(struct end *end, enum end_kind kind, const struct end_options *options);

/* For sources that were left open: adds bytes without waiting, and says how many; ends them. */
size_t end_feed(struct end *end, const void *bytes, size_t length);
void end_finish(struct end *end);

/* Takes out of a sink what is there now, `most` at most. */
size_t end_drain(struct end *end, void *into, size_t most);

/* What a sink has been given in all. Ends it: nothing can be written afterwards. Returns the number
 * of bytes, or SIZE_MAX if they are more than `most`. */
size_t end_received(struct end *end, void *into, size_t most);

/* What is left in a source, `most` at most. */
size_t end_rest(struct end *end, void *into, size_t most);

void end_close(struct end *end);

/* Bytes of which no two stretches are alike, so that a loss, a double or a swap shows. */
void pattern(void *into, size_t length, uint64_t from);

/* Random numbers from a seed: xorshift. */
uint64_t random_next(uint64_t *seed);
/* 0 … bound - 1. */
uint64_t random_below(uint64_t *seed, uint64_t bound);

/* Descriptors of this process that are open. */
unsigned descriptors_open(void);

/* A file without a name in $TMPDIR or /var/tmp. */
int scratch_file(int flags);

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t clock_now(void);

#endif
