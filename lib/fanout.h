/* SPDX-License-Identifier: MIT */
/*
 * A fan-out: one source, many sinks.
 *
 * What one fill of the master pipe took is a *round*. It is teed whole to every sink: straight into
 * a sink that is a pipe and has nothing waiting, and what did not fit, or has to wait behind older
 * bytes, into an *empty* private pipe with at least as many slots as the master, so that this tee
 * is never short. The last sink takes the master itself. Each sink then empties its own queue of
 * pipes at its own pace. A small round is read once into memory and written to each sink, or to the
 * last pipe of its queue, where writes merge: slots are not spent on bytes.
 *
 *   fanout_round.c    takes rounds and hands them out
 *   fanout_queue.c    the private pipes: which are idle, which wait in whose queue
 *   fanout_sink.c     one sink: drains its queue, dies, is taken off
 *   fanout_policy.c   what becomes of a sink that is too slow
 *   fanout_spill.c    the file behind the queue of a sink that spills
 *   fanout_spiller.c  the thread that writes and reads it
 *   fanout_drainer.c  a thread for a sink that cannot be driven without waiting
 *   fanout_run.c      what is done next, what is waited for
 *   fanout.c          the object as its owner sees it
 */
#ifndef SLUICE_FANOUT_H
#define SLUICE_FANOUT_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "context.h"
#include "error.h"
#include "plan.h"
#include "rate.h"
#include "side.h"

/* A part of a sink's backlog: a private pipe, or a range of the fan-out's one buffer. */
struct parcel {
    struct parcel *next;
    struct pipe *pipe; /* NULL: [start, end) of the buffer */
    size_t start, end;
    uint64_t used; /* of the pipe's capacity, slots by their nominal size: at most so much */
    /* Once submitted to the thread of a spill file: what it is to do, where in the file, with how much. */
    enum errand { ERRAND_WRITE = 0, ERRAND_READ, ERRAND_EMPTY } errand;
    uint64_t at, bytes;
};

/* The private pipes of a fan-out that hold nothing, the smallest first. All have O_NONBLOCK on the
 * end that is written to: bytes are merged into them by write(2), which nothing else keeps from
 * waiting. */
struct stash {
    struct parcel *idle;
    unsigned idle_count, made;
    uint32_t size; /* asked for each; 0: not yet chosen */
    int refused;   /* why there are no more: negative errno, 0: there may be */
    int null;      /* /dev/null, where bytes are dropped by reference; -1: not opened */
};

struct queue {
    struct parcel *head, *tail;
    unsigned pipes;
    uint64_t bytes;
};

/* How bytes get from a private pipe into a sink. */
enum way {
    WAY_TEE = 0, /* it is a pipe: the master may be teed straight into it; else as the next */
    WAY_SPLICE,
    WAY_WRITE,    /* read back and written: what splice(2) cannot write to */
    WAY_FUNCTION, /* read back and given to a function of the caller's */
    WAYS,
};

/* Bytes of one sink that were read back and not taken yet. */
enum { SCRATCH_SIZE = 65536 };
struct scratch {
    char *bytes;
    size_t start, end;
};

struct spiller;

/* What did not fit into a lagging sink's queue: [begin, end) of a file is still to come, then what the
 * thread is to write, then what waits for that. */
struct spill {
    struct sluice_endpoint *file; /* NULL: none */
    uint64_t begin, end;
    struct spiller *spiller; /* NULL: not needed yet, or none can be had */
    bool inline_;            /* none can be had: the file is written and read at once */
    bool runs_out;           /* the sink has caught up with the file: nothing more goes to it */
    bool reading;            /* the thread has a pipe for what begins at `begin` */
    bool stops;              /* nothing more comes from it */
    struct parcel emptying;  /* the thread has it, while `bytes` is not 0 */
    unsigned in_hand;        /* pipes that the thread is to write, and what they held */
    uint64_t in_hand_bytes;
    struct queue waiting; /* pipes */
};

struct drainer;

struct fanout_sink {
    unsigned id;
    enum sluice_sink_state state;
    enum way way;
    struct sluice_endpoint *endpoint; /* NULL: a function */
    struct side out;                  /* the endpoint's; or, if there is a drainer, the feed's */
    struct sluice_endpoint *feed;     /* the pipe to the drainer; NULL: none, or closed */
    struct drainer *drainer;
    const char *not_isolated; /* why there is none although there should be: static */
    sluice_sink_function function;
    void *function_data;

    enum sluice_slow slow;
    unsigned flags;
    uint64_t lag;       /* bounds of the queue */
    unsigned lag_pipes; /* 0: its share */
    bool few_fills;     /* no bound was given, and it waits: some fills of the source's pipe */
    struct rate rate;
    uint64_t not_before; /* by its rate; 0: now */
    bool blocked;        /* it said so in this step */
    bool stalled;        /* it is at its bound and its policy is to wait */
    bool drops;          /* it gets nothing of the next round */
    bool spills;         /* the next round goes to its file */
    bool watched;        /* whether its reader leaves was watched in the last wait */
    bool never_hup;

    enum sluice_slow spill_slow; /* what is done when the file is behind, too */
    uint64_t spill_most;         /* bytes in the file; 0: no bound */

    struct queue queue;
    struct parcel held; /* in the queue if it holds bytes; at most one */
    struct scratch scratch;
    struct spill spill;

    struct sluice_leg leg[WAYS]; /* into it, by way */
    enum way last_way;           /* by which bytes were delivered last */
    uint64_t given;              /* of the rounds: delivered, lagging, dropped */
    uint64_t delivered;          /* with a drainer: handed to that */
    uint64_t dropped, spilled;
    uint64_t lag_most;
    unsigned pipes_most;
    uint64_t by_way[WAYS]; /* of the delivered */
    uint64_t calls, eagain;
    int error; /* why it failed */
    const char *operation, *reason;
};

struct sluice_fanout {
    sluice_context *context;
    struct sluice_fanout_options options;
    struct side in;
    struct fanout_sink **sink; /* by id; NULL: removed */
    unsigned sinks, running;
    struct stash stash;

    char *buffer; /* of the rounds through memory */
    size_t buffer_size;
    unsigned buffer_users; /* sinks whose backlog has a part of it */

    bool by_memory;    /* the next round is: the last one was small */
    bool cannot_tee;   /* a call that rounds through pipes need is refused: never again */
    bool confirms_end; /* splice said "end": read has to agree */
    bool ended;        /* nothing more is taken */
    bool idle;         /* the source was waited for: have sinks left meanwhile? */
    bool in_vain;      /* splice said EAGAIN last */
    bool failed;
    bool stopped;          /* by the owner's answer to an event */
    unsigned small_rounds; /* by pipe, one after another */
    struct rate rate;
    uint64_t not_before;
    uint64_t drain_until; /* with the end and `linger`: sinks that do not wait are cut off then */

    uint64_t moves; /* turns of the loop in which anything moved */
    uint64_t taken, rounds, by_pipe, in_calls, in_eagain, polls, read_bytes, spliced_bytes;
    unsigned fallbacks;
    struct sluice_fallback fallback[8];
    struct sluice_error error;

    struct pollfd *fds; /* what the last step waits for, and for whom: -1 the source */
    int *fd_sink;
    unsigned fd_count, fd_room;
    uint64_t deadline;
};

/* ---- fanout_queue.c ---- */

/* Makes pipes until `count` are idle, each with SLOTS_LEAST slots or more. 0, or the errno for which
 * there are not so many; the pipes there are stay. */
int stash_reserve(struct sluice_fanout *fanout, unsigned count);
/* How many pipes may wait for one sink, unless it was told. */
unsigned stash_share(const struct sluice_fanout *fanout);
/* The smallest idle pipe, or NULL. */
struct parcel *stash_take(struct stash *stash);
/* An idle pipe, one made for it, or NULL. */
struct parcel *stash_get(struct sluice_fanout *fanout);
/* Puts it back: it must be empty, and is closed if it is not. */
void stash_put(struct sluice_fanout *fanout, struct parcel *parcel);
void stash_close(struct sluice_fanout *fanout);
/* Lends its idle pipes to others: back to the context's pool. */
void stash_rest(struct sluice_fanout *fanout);
/* Throws away `length` bytes from the head of a private pipe. 0, or a negative errno: then it still
 * holds some. */
int stash_drop(struct sluice_fanout *fanout, struct pipe *pipe, size_t length);

/* Into one of the sink's two: `queue`, or what waits for its file. */
void queue_push(struct fanout_sink *sink, struct queue *queue, struct parcel *parcel,
                uint64_t bytes);
/* The head of it, or NULL. The bytes are the caller's to count. */
struct parcel *queue_shift(struct queue *queue);
/* The head is empty: to the stash. */
void queue_pop(struct sluice_fanout *fanout, struct fanout_sink *sink);
/* Everything in it is thrown away; returns how many bytes that were. */
uint64_t queue_discard(struct sluice_fanout *fanout, struct fanout_sink *sink);

/* ---- fanout_sink.c ---- */

/* Delivers until the sink is blocked or nothing waits for it. Returns whether a byte moved. */
bool sink_drain(struct sluice_fanout *fanout, struct fanout_sink *sink);
/* Gives bytes in memory straight to a sink that nothing waits for; returns how many it took. */
size_t sink_give(struct sluice_fanout *fanout, struct fanout_sink *sink, const char *bytes,
                 size_t length);
/* Memory for its scratch. 0, or -ENOMEM. */
int scratch_get(struct fanout_sink *sink);
/* Bytes were delivered. */
void sink_delivered(struct fanout_sink *sink, uint64_t bytes, enum way way);
/* Bytes for it are in the queue, or on their way there. */
void sink_given(struct fanout_sink *sink, uint64_t bytes);
/* Of all that it was given: what its kernel has accepted. */
uint64_t sink_accepted(const struct fanout_sink *sink);
/* A call to it has failed: waits, goes on in another way, or fails. */
void sink_settle_error(struct sluice_fanout *fanout, struct fanout_sink *sink, enum call call,
                       const char *operation, int error);
/* It has got everything. */
void sink_done(struct sluice_fanout *fanout, struct fanout_sink *sink);
/* It is over with this sink: its backlog is dropped, nobody else notices. */
void sink_fail(struct sluice_fanout *fanout, struct fanout_sink *sink, const char *operation,
               int error, const char *reason);
/* The same without an error: its policy, or its owner, has it so. */
void sink_detach(struct sluice_fanout *fanout, struct fanout_sink *sink, const char *reason);
/* What it has been given and has not delivered. */
uint64_t sink_lag(const struct fanout_sink *sink);
/* Whether its backlog is empty, with all that is on the way. */
bool sink_is_drained(struct fanout_sink *sink);
/* The source has ended and the queue is empty: it, or its drainer, is to end. */
void sink_finish(struct fanout_sink *sink);
bool sink_takes_references(const struct fanout_sink *sink);
void sink_free(struct sluice_fanout *fanout, struct fanout_sink *sink);

/* ---- fanout_policy.c ---- */

/* Before a round of `want` bytes at most: asks each sink that is at its bound for its policy.
 * Returns false if one waits. */
bool policy_admits(struct sluice_fanout *fanout, uint64_t want);
/* Whether as much waits for the file as may wait for the sink. */
bool policy_file_is_slow(const struct sluice_fanout *fanout, const struct fanout_sink *sink);

/* ---- fanout_spill.c ---- */

/* Whether there is anything between the queue and newer bytes. */
bool spill_holds(const struct fanout_sink *sink);
/* What is not in the file yet: bytes, and the pipes they are in. */
uint64_t spill_pending(const struct fanout_sink *sink);
unsigned spill_pipes(const struct fanout_sink *sink);
/* Whether pipes may wait for the file. If not, it is written at once. */
bool spill_has_thread(struct fanout_sink *sink);
/* Towards the file: a pipe, which is not the caller's any more; bytes in memory, written at once; the
 * whole queue, which is to be discarded then. */
void spill_pipe(struct sluice_fanout *fanout, struct fanout_sink *sink, struct parcel *parcel);
void spill_memory(struct sluice_fanout *fanout, struct fanout_sink *sink, const char *bytes,
                  size_t length);
void spill_queue(struct sluice_fanout *fanout, struct fanout_sink *sink);
/* Takes back what the thread has written, and gives it more. */
void spill_turn(struct sluice_fanout *fanout, struct fanout_sink *sink);
/* Waits until everything is in the file. 0, or a negative errno. */
int spill_settle(struct sluice_fanout *fanout, struct fanout_sink *sink);
/* The sink's queue is empty: the next part of the file. Whether it is there already; the thread may be
 * about to read it. */
bool spill_refill(struct sluice_fanout *fanout, struct fanout_sink *sink);
/* Nothing more is written, but what the thread is at. */
void spill_stop(struct sluice_fanout *fanout, struct fanout_sink *sink);
/* Waits for that: then nobody uses the file. */
void spill_free(struct sluice_fanout *fanout, struct fanout_sink *sink);
/* Whether anything is to come back from the thread. */
bool spill_is_at_work(const struct fanout_sink *sink);
/* All that the pipe holds, into the file at `at`. 0, or a negative errno: the rest is still parked. */
int spill_write(int fd, struct pipe *pipe, uint64_t at);
/* `length` bytes of the file at `at`, or less, into an empty pipe. 0 or a negative errno. */
int spill_read(int fd, struct pipe *pipe, uint64_t at, uint64_t length);

/* ---- fanout_spiller.c ---- */

/* A thread that writes, reads and empties the file, by a private copy of its descriptor. 0 or a
 * negative errno. */
int spiller_start(const struct sluice_endpoint *file, struct spiller **ret);
/* Readable while something may be reaped. */
int spiller_event(const struct spiller *spiller);
/* Its errand is to be done: it and its pipe are the thread's until it is reaped. */
void spiller_submit(struct spiller *spiller, struct parcel *parcel);
/* The next one that is done, in order: with an error, it may hold what was not written. NULL: none, and
 * `wait` is false; with it something has to be submitted. */
struct parcel *spiller_reap(struct spiller *spiller, bool wait, int *ret_error);
/* What was submitted comes back as it is. */
void spiller_stop(struct spiller *spiller);
/* Lets it go: everything is reaped. */
void spiller_release(struct spiller *spiller);

/* ---- fanout_round.c ---- */

/* Takes a round, `most` bytes at most, and hands it out. Bytes taken; 0: the source is blocked, or
 * has ended; a negative errno, with the fan-out's error filled in. */
ssize_t round_take(struct sluice_fanout *fanout, uint64_t most);
/* With one sink there is nobody to be kept from waiting: nothing is taken for it while it has no room. */
bool round_waits_for_the_sink(const struct sluice_fanout *fanout);
/* Most bytes of a round. */
uint64_t round_size(const struct sluice_fanout *fanout);
void fanout_fell_back(struct sluice_fanout *fanout, enum sluice_side side, const char *call,
                      int error, const char *reason);

/* ---- fanout_drainer.c ---- */

/* A thread that empties a pipe into the descriptor of `endpoint`, a private copy of it. `ret_feed` is
 * the end of that pipe to write to: O_NONBLOCK, the caller's, closed to end it. 0 or a negative errno. */
int drainer_start(const struct sluice_endpoint *endpoint, uint32_t pipe_size, struct drainer **ret,
                  int *ret_feed);
/* Readable once it is over. */
int drainer_event(const struct drainer *drainer);
bool drainer_is_over(const struct drainer *drainer);
/* Bytes that the descriptor took; how many of these were spliced; what ended it, 0: nothing. */
uint64_t drainer_delivered(const struct drainer *drainer);
uint64_t drainer_spliced(const struct drainer *drainer);
int drainer_error(const struct drainer *drainer, const char **ret_operation);
/* It is not to deliver what it still holds. */
void drainer_stop(struct drainer *drainer);
/* Lets it go: it ends by itself as soon as its descriptor lets it. */
void drainer_release(struct drainer *drainer);

#endif
