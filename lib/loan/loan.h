/* SPDX-License-Identifier: MIT */
/*
 * Memory lent to the kernel: the parts that make it up, seen from inside.
 *
 *   pool.c     gives loans out and takes them back; what may be given out again, and when
 *   slab.c     the memory they are cut from, and its replacement by fresh pages
 *   sink.c     the ways of a sink, and the choice among them
 *   send.c     one send
 *   notice.c   which zero-copy send of a socket is answered by which notification
 *   ring.c     zero-copy sends by io_uring
 *
 * A loan's memory is written by its owner only, and only while nobody else can read it: `pending`
 * and `referenced` are all that is known of the others.
 */
#ifndef SLUICE_LOAN_H
#define SLUICE_LOAN_H

#include <stdbool.h>
#include <stdint.h>

#include "../context.h"
#include "../side.h"

enum loan_state {
    LOAN_IDLE = 0, /* may be given out */
    LOAN_HELD,     /* with the caller */
    LOAN_DUE,      /* put back, notifications are awaited */
    LOAN_SPENT,    /* put back, somebody may have its pages for ever: they must be replaced */
};

struct loan_slab;

struct sluice_loan {
    struct sluice_loan_pool *pool;
    struct loan_slab *slab;
    struct sluice_loan *next; /* idle in the pool */
    char *data;
    enum loan_state state;
    uint32_t pending; /* zero-copy sends that are not answered yet */
    bool referenced;  /* its pages were handed on, and nobody will tell when they are let go */
    bool constant, sealed;
    uint64_t sent;   /* bytes that sinks have taken of it, all together */
    int memfd;       /* what a sealed loan holds, as a sealed file; -1: not made */
    size_t in_memfd; /* bytes of it from the beginning */
};

/* ---- slab ---- */

/* One mapping, cut into loans. */
struct loan_slab {
    struct loan_slab *next;
    void *mapping;
    size_t mapped; /* with what was needed to align it */
    char *memory;
    size_t size;
    unsigned count, spent, idle;
    bool huge; /* it asks for huge pages */
    struct sluice_loan loan[];
};

/* A slab of `count` loans of `size` bytes each, for data that is sent afresh each time or for a
 * constant loan alone. 0, -ENOMEM. */
int loan_slab_new(struct sluice_loan_pool *pool, size_t size, unsigned count, bool constant,
                  struct loan_slab **ret);
void loan_slab_free(struct loan_slab *slab);

/* Fresh pages for the whole of it, where no loan of it is out. False: it has no memory any more. */
bool loan_slab_replace(struct loan_slab *slab);

/* Fresh pages for one spent loan. False if the kernel refuses. */
bool loan_slab_replace_one(struct sluice_loan *loan);

/* ---- pool ---- */

struct loan_ring;

struct sluice_loan_pool {
    struct sluice_context *context;
    size_t loan_size;
    unsigned max, count;
    struct loan_slab *slabs;
    struct sluice_loan *idle;
    struct sluice_loan_sink *sinks;
    struct loan_ring *ring; /* NULL: not needed yet, or there is none */
    int epoll;              /* -1: nobody has asked for it */
    uint32_t awaited;       /* notifications, of all sinks */
    struct sluice_loan_stats stats;
};

/* A zero-copy send of it is answered (or never will be: given up). Returns true if it is back. */
bool loan_answered(struct sluice_loan *loan, bool given_up);

/* ---- notices ---- */

/*
 * The kernel numbers the MSG_ZEROCOPY sends of a socket, and notifies ranges of these numbers, in
 * any order. Where the count stood when we came is not known: the first notification tells, and
 * until it has come there is one send only.
 */
struct loan_notices {
    struct sluice_loan **loan; /* a ring, by number; NULL: answered */
    uint32_t room;             /* a power of two */
    uint32_t first, next; /* numbers of ours: the first one that is not answered, the next one */
    uint32_t base;        /* the kernel's number of our number 0 */
    bool based;
};

/* Room for one more. -ENOMEM; -EAGAIN: not before the first one is answered. */
int loan_notices_reserve(struct loan_notices *notices);
/* The send was made. */
void loan_notices_add(struct loan_notices *notices, struct sluice_loan *loan);
/* The kernel's numbers low to high are answered. Returns how many of ours these are; *ret_back: the
 * loans that came back. */
unsigned loan_notices_answer(struct loan_notices *notices, uint32_t low, uint32_t high,
                             unsigned *ret_back);
/* Nobody will answer any more. Returns how many were open. */
unsigned loan_notices_give_up(struct loan_notices *notices);

/* ---- sink ---- */

/* What a socket has said of zero-copy sends. */
enum loan_trial {
    TRIAL_NONE = 0, /* not asked */
    TRIAL_ASKED,    /* the first one is on its way: until it is answered the others are copied */
    TRIAL_TRUE,     /* it was not copied */
};

struct loan_way_state {
    struct sluice_loan_choice choice;
    enum loan_trial trial;
    uint64_t most; /* bytes of a send: more of them is more than may be lent */
};

struct sluice_loan_sink {
    struct sluice_loan_pool *pool;
    struct sluice_loan_sink *next;
    struct side side;
    bool guard;        /* SIGPIPE is ours to prevent */
    bool zerocopy_set; /* SO_ZEROCOPY was set by us */
    bool watched;      /* by the pool's epoll */
    uint64_t polls;
    enum sluice_loan_way order[SLUICE_LOAN_WAY_COUNT - 1];
    struct loan_way_state way[SLUICE_LOAN_WAY_COUNT]; /* by name */
    struct loan_notices notices;
};

/* Fills in what is known of the ways of this sink. */
void loan_sink_plan(struct sluice_loan_sink *sink, enum sluice_loan_way prefer);

/* The way for this send, from place `from` of the order on; *ret_place. Never fails: write is
 * the last, and takes everything. */
enum sluice_loan_way loan_sink_choose(const struct sluice_loan_sink *sink,
                                      const struct sluice_loan *loan, uint64_t offset,
                                      uint64_t length, bool wait, unsigned from,
                                      unsigned *ret_place);

/* The sink does without this way from now on. */
void loan_sink_rule_out(struct sluice_loan_sink *sink, enum sluice_loan_way way, const char *reason,
                        int error);

/* Prepares the socket for MSG_ZEROCOPY, once. 0 or a negative errno. */
int loan_sink_enable_zerocopy(struct sluice_loan_sink *sink);

/* The pool's epoll watches it, if there is one. 0 or a negative errno. */
int loan_sink_watch(struct sluice_loan_sink *sink);

/* Takes what is in the error queue. Returns how many loans came back. */
unsigned loan_sink_reap(struct sluice_loan_sink *sink);

/* The kernel has answered a zero-copy send of this sink. */
void loan_sink_answered(struct sluice_loan_sink *sink, enum sluice_loan_way way, unsigned sends,
                        bool copied);

/* ---- ring ---- */

int loan_ring_new(struct sluice_loan_pool *pool);
void loan_ring_free(struct loan_ring *ring); /* NULL is ignored */
int loan_ring_fd(const struct loan_ring *ring);
/* A zero-copy send without waiting. Returns what the sink took, or a negative errno; *ret_notice: a
 * notification will come. */
ssize_t loan_ring_send(struct loan_ring *ring, struct sluice_loan_sink *sink,
                       struct sluice_loan *loan, const void *bytes, size_t length,
                       bool *ret_notice);
/* Takes the notifications that are there. Returns how many loans came back. */
unsigned loan_ring_reap(struct loan_ring *ring);
/* A sink goes: its sends are answered still, but not to it. */
void loan_ring_forget(struct loan_ring *ring, const struct sluice_loan_sink *sink);

#endif
