/* SPDX-License-Identifier: MIT */
/*
 * A transfer: a plan being run. It owns the two sides at work, the parking place between them (a
 * private pipe, or memory), the ledger and the error. The methods (method/) move bytes with it;
 * transfer.c decides which is called when, and what its result means.
 */
#ifndef SLUICE_TRANSFER_H
#define SLUICE_TRANSFER_H

#include <signal.h>

#include "context.h"
#include "footprint.h"
#include "holes.h"
#include "ledger.h"
#include "method/method.h"
#include "plan.h"
#include "rate.h"
#include "readahead.h"
#include "side.h"
#include "snapshot.h"

/* After so many waits in vain, an end that says it is ready and is not is asked again after so many
 * nanoseconds only. */
enum { TRANSFER_FRUITLESS = 8, TRANSFER_NAP = 10000000 };

enum state { STATE_RUNNING = 0, STATE_DONE, STATE_FAILED };

/* Bytes in memory: [start, end) of a page-aligned block. */
struct buffer {
    char *bytes;
    size_t capacity, start, end;
    bool message; /* it holds one datagram, which leaves whole, also if it is empty */
};

/* The window of the source that mmap-write has mapped. */
struct window {
    void *address;
    size_t mapped;      /* bytes of address space */
    int64_t begin, end; /* of the source */
    bool unseen;        /* the source's size was not looked at since the last write */
};

/* A failure of the source that is told when what is parked has been delivered; error 0: none. */
struct late {
    int error;
    const char *operation, *reason;
};

struct sluice_transfer {
    sluice_context *context;
    struct sluice_options options;
    struct sluice_plan plan;
    unsigned current; /* candidate of the plan in use */
    const struct method *method;
    struct side in, out;
    struct pipe *pipe; /* NULL: none borrowed */
    struct buffer buffer;
    struct window window;
    struct direct *direct; /* what the method `direct` holds; NULL: nothing */
    struct holes holes;
    struct footprint footprint;
    struct readahead readahead;
    struct snapshot snapshot;
    uint64_t source_begin, sink_begin; /* with cache=drop */

    uint64_t taken, delivered;
    uint64_t allowance; /* of this step: bytes it may still deliver */
    uint64_t expected;  /* to be delivered in all, UINT64_MAX: unknown */
    uint32_t chunk;   /* most bytes that a call of an elastic method is asked for now; 0: not yet */
    bool ended;       /* the source has */
    bool may_wait;    /* calls may wait inside the kernel: nothing else has to be watched */
    bool prepared;    /* for steps that never wait: blocking descriptors were looked after */
    bool held_back;   /* the last wait was for the rate limit */
    bool never_hup;   /* the sink has notifications for somebody: its POLLERR says nothing */
    bool watched_hup; /* the last wait watched the sink's hang-up, and nothing has moved since */
    unsigned fruitless; /* times an end was called ready and was not, since bytes last moved */
    bool in_vain;       /* splice(2) from the source said EAGAIN last */
    bool truncated;     /* mmap-write saw the source end inside what it had written */
    enum state state;

    struct late late;
    struct rate rate;
    uint64_t last_moved; /* when bytes last moved, for the idle timeout */
    struct ledger ledger;
    struct sluice_error error;
};

/* The method of the plan's current candidate. */
const struct method *transfer_method(const struct sluice_transfer *transfer);

/* Bytes that may still be taken: of the length asked for; UINT64_MAX without one. */
uint64_t transfer_left(const struct sluice_transfer *transfer);

/* Moves until a side is blocked or the budget is used; transfer.c. Returns enum sluice_step or a
 * negative errno. */
int transfer_advance(struct sluice_transfer *transfer, uint64_t budget, struct sluice_wait *ret);

/* What the last call did (settle.c): counts, marks, falls back, fails. 0 or a negative errno. */
int transfer_settle(struct sluice_transfer *transfer, const struct move *move);

/* The ledger's row for a call, made when it is first asked for. */
struct sluice_row *transfer_row(struct sluice_transfer *transfer, enum call call);

/* The next method goes on at this byte; or the transfer fails, if there is none. error is 0 where
 * the call said something that is not true. */
int transfer_fall_back(struct sluice_transfer *transfer, enum call call, int error,
                       const char *reason);

/* The source has ended, or the limit is reached, and nothing is parked. SLUICE_DONE, or a negative
 * errno if that is too early. */
int transfer_finish(struct sluice_transfer *transfer);

/* Gives the private pipe back, if one is borrowed. */
void transfer_return_pipe(struct sluice_transfer *transfer);

/* Ends the transfer with an error. Parked bytes go back to a source that can be read again. Returns
 * the error. */
int transfer_stop(struct sluice_transfer *transfer, enum sluice_side side, const char *operation,
                  int error, const char *reason);

/* Calls the progress function. Returns 0 or a negative errno. */
int transfer_report(struct sluice_transfer *transfer);

static inline bool transfer_in_memory(const struct sluice_transfer *transfer)
{
    return transfer->buffer.start < transfer->buffer.end || transfer->buffer.message;
}

static inline bool transfer_in_pipe(const struct sluice_transfer *transfer)
{
    return transfer->pipe && transfer->pipe->parked > 0;
}

/* Whether what this side's calls bring into the page cache leaves it by itself. */
static inline bool transfer_uncached(const struct sluice_transfer *transfer,
                                     const struct side *side)
{
    return side->uncached && transfer->method->id == SLUICE_METHOD_READ_WRITE;
}

static inline uint64_t transfer_parked(const struct sluice_transfer *transfer)
{
    return transfer->taken - transfer->delivered;
}

/* Also an empty datagram, and what a method with a turn of its own keeps. */
static inline bool transfer_holds_bytes(const struct sluice_transfer *transfer)
{
    return transfer_in_memory(transfer) || transfer_parked(transfer) > 0;
}

#endif
