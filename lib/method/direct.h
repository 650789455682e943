/* SPDX-License-Identifier: MIT */
/*
 * direct: past the page cache, with several requests in flight. What its parts share: direct.c (the
 * slots and what they stand on), direct_give.c (a file is read ahead of the sink), direct_store.c (a
 * file is written behind the source).
 *
 * A slot is one request's bytes, in a private pipe or in aligned memory. Slots are used in turn, so
 * the oldest is always the next to be taken or delivered, however the requests in flight overtake
 * each other. Of a source that can be read again only what was handed on counts as taken: reads that
 * run ahead are forgotten without a trace.
 */
#ifndef SLUICE_DIRECT_H
#define SLUICE_DIRECT_H

#include "../flight.h"
#include "../transfer.h"

#define DIRECT_MOST_SLOTS 8

enum slot_phase {
    SLOT_FREE = 0,
    SLOT_READING, /* its request is a read */
    SLOT_FILLED,  /* it holds bytes, or an error of the source */
    SLOT_READY,   /* complete: to be written when its turn comes */
    SLOT_WRITING, /* its request is a write */
    SLOT_WRITTEN, /* all that can be written was, or an error of the sink */
};

struct slot {
    struct request request; /* the first member: found again by it */
    enum slot_phase phase;
    struct pipe *pipe;   /* NULL: none yet, or its bytes are in memory */
    struct pipe *shadow; /* holds the same pages while they are written from it */
    char *memory;
    bool in_memory;
    bool padded;     /* written to a whole block: the file's end is to be put right */
    int64_t at;      /* of its first byte: in the source while it is read, then in the sink */
    size_t asked;    /* of the source */
    size_t capacity; /* sink's side: most bytes it is filled with */
    size_t length;   /* bytes it holds */
    size_t body;     /* of these, to be written by requests */
    size_t done;     /* of these, written */
    size_t given;    /* of these, taken (direct_give.c) or delivered (direct_store.c) */
    size_t moved;    /* of its pipe, read out again: they are in memory */
    int error;
    bool pipe_failed; /* the error is of reading the pipe */
};

struct direct {
    struct flight *flight;
    int refused;      /* what io_uring said, where threads stand in */
    int source, sink; /* with O_DIRECT; -1: that end has none */
    int edge;         /* the sink without it */
    bool own_source, own_sink, own_edge;
    size_t align; /* of memory, offsets and lengths */
    size_t size;  /* of a slot */
    unsigned depth;
    bool in_pipes; /* slots are pipes; else memory */
    unsigned
        unaligned; /* slots yet to be filled through memory, since the source's pieces are odd */
    unsigned penalty;
    bool stopped;       /* left, with parked bytes that could not be kept elsewhere */
    char *arena;        /* the slots' memory, and one block beyond */
    int64_t ahead;      /* where the next read begins, or the next slot is written */
    uint64_t sink_size; /* as it was */
    struct move failed; /* of the source: told when all before it is delivered */
    uint64_t head, taken, tail;
    struct slot slot[DIRECT_MOST_SLOTS];
};

static inline struct slot *direct_slot(struct direct *direct, uint64_t number)
{
    return &direct->slot[number % direct->depth];
}

static inline int64_t direct_floor(const struct direct *direct, int64_t at)
{
    return at - at % (int64_t)direct->align;
}

/* Opens what is needed; 0, or a negative errno and the call that it is of. */
int direct_begin(struct sluice_transfer *transfer, enum call *ret_call);

/* Memory for a slot. */
int direct_memory(struct direct *direct, struct slot *slot);

/* Makes a request; where the queue does not take it, at once. */
void direct_submit(struct direct *direct, struct slot *slot);

/* Looks for requests that are done. With `wait` for one at least; false if that was interrupted. */
bool direct_collect(struct direct *direct, bool wait);

/* A slot's request is done: direct_give.c and direct_store.c each know what then. */
void direct_read_done(struct direct *direct, struct slot *slot);
void direct_write_done(struct direct *direct, struct slot *slot);

/* Nothing is in flight, and the method is left: what was written without a gap is delivered. */
void direct_count_written(struct sluice_transfer *transfer);

/* ---- into a file: direct_write.c ---- */

static inline bool direct_outside_blocks(const struct direct *direct, int64_t at)
{
    return at % (int64_t)direct->align != 0;
}

/* Nothing more of the slot will be written by requests. */
static inline void direct_finish(struct slot *slot, int error)
{
    slot->phase = SLOT_WRITTEN;
    slot->error = error;
}

/* Whether bytes may go through user memory. */
bool direct_may_copy(const struct sluice_transfer *transfer);

/* Two pipes for a slot. 0 or a negative errno. */
int direct_get_pipes(struct sluice_transfer *transfer, struct slot *slot);

/* All that the slot's pipe holds is read into memory. 0 or a negative errno: then it holds the rest. */
int direct_bounce(struct sluice_transfer *transfer, struct slot *slot);

/* The slot is complete: its whole blocks are on their way, what is none is for its turn. */
void direct_write_slot(struct sluice_transfer *transfer, struct slot *slot);

/* The kernel refused a pipe's pieces, and moved none of them: they go through memory. */
void direct_retry_in_memory(struct sluice_transfer *transfer);

/* The oldest slot's next bytes, if they can be delivered, or its error. */
bool direct_deliver(struct sluice_transfer *transfer, struct move *ret);

/* ---- and where it comes from: direct_take.c ---- */

static inline bool direct_from_file(const struct direct *direct)
{
    return direct->source >= 0;
}

/* Takes what can be taken now, `want` bytes at most. False if that is nothing. */
bool direct_take(struct sluice_transfer *transfer, size_t want, struct move *ret);

/* A slot that is not full is written when nothing more comes, or nothing more for now and the disk
 * has nothing to do. Returns whether there was one. */
bool direct_flush(struct sluice_transfer *transfer, size_t want);

/* How far the source may be read ahead from its offset: to the end of the file, of the data, or of
 * what is wanted. */
int64_t direct_limit(struct sluice_transfer *transfer);

/* Waits for what is in flight, keeps what is parked, and lets go of all else. */
void direct_leave(struct sluice_transfer *transfer);

#endif
