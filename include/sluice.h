/* SPDX-License-Identifier: MIT */
/*
 * libsluice: move bytes between two Linux descriptors with the fewest copies that the running
 * kernel allows, and say what happened.
 *
 * In the order in which bytes flow: an *endpoint* is a descriptor and what is known of it; a *plan*
 * is the list of methods that can serve a pair of endpoints, best first, with the reasons; a
 * *transfer* is a plan being run; its *ledger* is what the calls really did.
 *
 * Conventions, true of every function unless its comment says otherwise:
 *   - Functions return 0 or a non-negative value on success and a negative errno value on failure.
 *     What they return through `ret` is written on success only, except where "filled on error too"
 *     is said.
 *   - Nothing is global. Two threads may use two objects at once; one object is used by one thread
 *     at a time. Only sluice_cancel_fire() may be called from anywhere at any time.
 *   - A descriptor given to the library stays the caller's: its flags, and its offset where an
 *     explicit one is given, are as they were found. Descriptors that the library makes are
 *     O_CLOEXEC and never 0, 1 or 2.
 *   - Structures that the caller fills or receives begin with `size`: set it to sizeof the
 *     structure (or use the initializer). Fields that a newer library knows and the caller does not
 *     are taken as zero. All zero is the sensible default of every option.
 *   - Sizes and offsets are 64-bit, in bytes. Times are in nanoseconds of CLOCK_MONOTONIC.
 *   - No signal is raised in the caller: SIGPIPE is blocked around the calls that could raise it
 *     and taken back if it was not pending before (no flag of splice(2) or sendfile(2) suppresses
 *     it). At RLIMIT_FSIZE the kernel raises SIGXFSZ, as in any write. No signal disposition is
 *     touched.
 *   - Linux 5.10 or newer. A call that the running kernel lacks or refuses leads to the next
 *     method.
 */
#ifndef SLUICE_H
#define SLUICE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SLUICE_VERSION_MAJOR 0
#define SLUICE_VERSION_MINOR 1
#define SLUICE_VERSION_PATCH 0

#if defined(__GNUC__)
#define SLUICE_PUBLIC __attribute__((visibility("default")))
#else
#define SLUICE_PUBLIC
#endif

typedef struct sluice_context sluice_context;
typedef struct sluice_endpoint sluice_endpoint;
typedef struct sluice_plan sluice_plan;
typedef struct sluice_transfer sluice_transfer;
typedef struct sluice_cancel sluice_cancel;

/* ---- vocabulary ------------------------------------------------------------------------------ */

/* What an endpoint is. */
enum sluice_kind {
    SLUICE_KIND_OTHER = 0, /* eventfd, timerfd, directory …: nothing can be moved */
    SLUICE_KIND_REGULAR,   /* a regular file, a memfd, a file of procfs or sysfs */
    SLUICE_KIND_BLOCK,     /* a block device */
    SLUICE_KIND_PIPE,      /* a pipe or FIFO */
    SLUICE_KIND_STREAM,    /* a stream socket: TCP, UNIX, vsock … */
    SLUICE_KIND_DATAGRAM,  /* a datagram or seqpacket socket: message boundaries are kept */
    SLUICE_KIND_CHAR,      /* a character device that is not a terminal */
    SLUICE_KIND_TERMINAL,  /* a terminal or pseudo-terminal */
};

/* One kernel way of moving bytes. */
enum sluice_method {
    SLUICE_METHOD_AUTO = 0,   /* the library chooses, and may fall back */
    SLUICE_METHOD_REFLINK,    /* FICLONERANGE: extents are shared; copy_file_range at the edges */
    SLUICE_METHOD_COPY_RANGE, /* copy_file_range(2) */
    SLUICE_METHOD_SENDFILE,   /* sendfile(2) */
    SLUICE_METHOD_SPLICE,     /* splice(2), through a private pipe where the pair needs one */
    SLUICE_METHOD_MMAP_WRITE, /* mmap(2) of the source, write(2) or send(2) from the mapping */
    SLUICE_METHOD_READ_WRITE, /* read(2) or recvmsg(2), write(2) or send(2) */
    SLUICE_METHOD_DIRECT,     /* O_DIRECT, several requests in flight, past the page cache */
    SLUICE_METHOD_COUNT,
};

/* What a leg (one hop) costs the CPU. */
enum sluice_class {
    SLUICE_CLASS_OFFLOAD = 0, /* no byte moves (reflink, server-side copy): 0 copies */
    SLUICE_CLASS_REFERENCE,   /* page references move: 0 copies */
    SLUICE_CLASS_DMA,         /* a device moves the bytes: 0 copies */
    SLUICE_CLASS_KERNEL_COPY, /* the CPU copies once, inside the kernel: 1 copy */
    SLUICE_CLASS_USER_COPY,   /* bytes cross into or out of user memory: 1 copy */
    SLUICE_CLASS_MAP,         /* pages are mapped into user memory, not touched there: 0 copies */
};

/* How a class is known. */
enum sluice_known {
    SLUICE_EXPECTED = 0, /* from the table in this library */
    SLUICE_PROVEN,       /* measured on this kernel */
};

/* Who an error, a wait or an EAGAIN belongs to. */
enum sluice_side {
    SLUICE_SIDE_SETUP = 0, /* the arguments, the plan, a resource of our own */
    SLUICE_SIDE_SOURCE,
    SLUICE_SIDE_SINK,
    SLUICE_SIDE_PIPE, /* the private pipe between them */
};

/* What a transfer must satisfy, or it is refused (see sluice_transfer_new). */
enum sluice_require {
    SLUICE_REQUIRE_ANY = 0,
    SLUICE_REQUIRE_NO_USER_COPY, /* no leg of class user-copy */
    SLUICE_REQUIRE_ZERO_COPY,    /* no leg that copies */
};

/* When to do what is not always wanted. */
enum sluice_when {
    SLUICE_AUTO = 0, /* where it can be done, and costs less */
    SLUICE_ALWAYS,   /* or the transfer is refused */
    SLUICE_NEVER,
};

/* What becomes of the page cache. */
enum sluice_cache {
    SLUICE_CACHE_KEEP = 0, /* what is moved stays there, as long as the kernel likes */
    SLUICE_CACHE_DROP,     /* it is left as it was found */
    SLUICE_CACHE_BYPASS,   /* files are read and written past it (`direct`), where that can be done;
                              else as with drop */
};

/* The lower-case name of a value ("regular", "copy-range", "kernel-copy", "expected", "source"), or
 * "?" for a value that does not exist. The string is static. Never fails. */
SLUICE_PUBLIC const char *sluice_kind_name(enum sluice_kind kind);
SLUICE_PUBLIC const char *sluice_method_name(enum sluice_method method);
SLUICE_PUBLIC const char *sluice_class_name(enum sluice_class class_);
SLUICE_PUBLIC const char *sluice_known_name(enum sluice_known known);
SLUICE_PUBLIC const char *sluice_side_name(enum sluice_side side);

/* The method of that name. Returns 0, or -EINVAL for a name that is no method ("auto" is one). */
SLUICE_PUBLIC int sluice_method_from_name(const char *name, enum sluice_method *ret);

/* "MAJOR.MINOR.PATCH" of the library that is running. The string is static. */
SLUICE_PUBLIC const char *sluice_version(void);

/* ---- context --------------------------------------------------------------------------------- */

struct sluice_context_options {
    size_t size;
    uint32_t max_pipes; /* private pipes in existence at once; 0: 64. Beyond it a transfer copies
                           through memory instead, and its ledger says so */
    uint32_t max_idle;  /* of these, kept open while unused; 0: 8 */
};

/*
 * A context owns the pool of private pipes. It must outlive the endpoints, plans and transfers made
 * with it, and be used by one thread at a time; make one a thread. After fork() a child makes its
 * own: a context and what was made with it belong to the process that made them.
 *
 * options: may be NULL. ret_error: may be NULL; receives 0, -ENOMEM, or -EINVAL (a size that cannot
 * be, or fields that this library does not know).
 * Returns the context, or NULL. No system call is made. Free it with sluice_context_free().
 */
SLUICE_PUBLIC sluice_context *sluice_context_new(const struct sluice_context_options *options,
                                                 int *ret_error);

/* Closes the pool and frees the context. NULL is ignored. Everything made with it must be freed
 * before. */
SLUICE_PUBLIC void sluice_context_free(sluice_context *context);

/* The private pipes of a context. */
struct sluice_pipes {
    size_t size;
    uint32_t open, idle; /* in existence; of these, unused */
    uint32_t most;       /* that may be: max_pipes */
    uint64_t refused;    /* wanted and not to be had: bytes were copied instead */
    uint64_t small;      /* granted less than was asked for: the user's pipe budget is spent */
};

/* What there is, and was, of them. Returns 0, or -EINVAL (a size that cannot be). */
SLUICE_PUBLIC int sluice_context_pipes(const sluice_context *context, struct sluice_pipes *ret);

/* ---- endpoints ------------------------------------------------------------------------------- */

/* Who closes the descriptor. */
enum sluice_ownership {
    SLUICE_BORROW = 0,        /* the caller closes it, after the endpoint is freed */
    SLUICE_OWN = 1 << 0,      /* sluice_endpoint_free() closes it */
    SLUICE_NONBLOCK = 1 << 1, /* with SLUICE_OWN: O_NONBLOCK may be set on it, now and for good */
};

struct sluice_endpoint_info {
    size_t size;
    enum sluice_kind kind;
    int fd;           /* -1 for an endpoint that is only a kind */
    const char *name; /* "ext4", "tmpfs", "pipe", "tcp", "unix", "udp", "null", "tty" …: static */
    int open_flags; /* O_ACCMODE, O_APPEND, O_DIRECT, O_NONBLOCK … as fcntl(F_GETFL) gave them */
    int seekable;   /* 1 if the descriptor has an offset that can be set and reads repeat */
    uint64_t bytes; /* regular: st_size; block: the device's size; else 0 */
    uint64_t pipe_capacity; /* pipe: F_GETPIPE_SZ; else 0 */
    uint64_t device, inode; /* st_dev, st_ino; 0 for an endpoint that is only a kind */
};

/*
 * Describes a descriptor: fstat(2), fstatfs(2) or getsockopt(2), fcntl(2); nothing is read from it,
 * and nothing is changed but what `ownership` allows. The flags are read again when a transfer
 * starts, since O_APPEND and O_NONBLOCK can be set after opening.
 *
 * fd: any open descriptor. ownership: enum sluice_ownership, or'ed. ret: the endpoint; free it with
 * sluice_endpoint_free() after the transfers that use it.
 * Returns 0; -EBADF (fd is not open; O_PATH); -EINVAL (an ownership that does not exist); -ENOMEM;
 * what fstat(2) returns. On failure the descriptor is not closed, whatever the ownership.
 */
SLUICE_PUBLIC int sluice_endpoint_from_fd(sluice_context *context, int fd, unsigned ownership,
                                          sluice_endpoint **ret);

/*
 * An endpoint that is only a kind, for sluice_plan_new(): no descriptor stands behind it.
 *
 * name: "tcp", "unix", "udp", "unix-dgram", "unix-seqpacket", "pipe", "null", "zero", "tty",
 * "char", "file", "block", or a file system's name ("ext4"). After an "@" may follow where it is,
 * as a probe's legs call their place: "tcp@loopback".
 * Returns 0; -EINVAL (no such name); -ENOMEM.
 */
SLUICE_PUBLIC int sluice_endpoint_from_kind(sluice_context *context, const char *name,
                                            sluice_endpoint **ret);

/*
 * An endpoint that is a regular file yet to be made in a directory, for sluice_plan_new(): nothing
 * is made.
 *
 * directory: a descriptor of the directory, open for reading; the caller's, not kept. open_flags: those
 * it would be opened with: O_WRONLY, O_APPEND …
 * Returns 0; -ENOTDIR; -ENOMEM; what fstat(2) and fstatfs(2) return.
 */
SLUICE_PUBLIC int sluice_endpoint_from_directory(sluice_context *context, int directory,
                                                 int open_flags, sluice_endpoint **ret);

/* Frees the endpoint; closes the descriptor if it is owned. NULL is ignored. Returns 0, or what
 * close(2) returned for an owned descriptor (-EIO, -ENOSPC, -EDQUOT on network file systems: the
 * last word on whether the bytes were taken). */
SLUICE_PUBLIC int sluice_endpoint_free(sluice_endpoint *endpoint);

/* What is known of the endpoint. Returns 0, or -EINVAL if ret->size is 0. */
SLUICE_PUBLIC int sluice_endpoint_describe(const sluice_endpoint *endpoint,
                                           struct sluice_endpoint_info *ret);

/* ---- options --------------------------------------------------------------------------------- */

/* Flags of sluice_cancel_new(). */
enum sluice_cancel_flags {
    SLUICE_CANCEL_EVENT = 0,  /* a descriptor of its own wakes a transfer that waits */
    SLUICE_CANCEL_SIGNAL = 1, /* the one who fires also interrupts the thread with a signal, again
                                 and again until the call has returned: so a transfer may wait
                                 inside the kernel, with fewer system calls */
};

/* A thing to stop transfers with. Returns 0; -EINVAL (no such flag); -ENOMEM; what eventfd(2)
 * returns: -EMFILE, -ENFILE. Free it after the transfers that were given it. */
SLUICE_PUBLIC int sluice_cancel_new(unsigned flags, sluice_cancel **ret);

/* Stops every transfer that was given this object: the step or run under way, or the next, returns
 * -ECANCELED at the next chunk boundary. Async-signal-safe and thread-safe; errno is preserved. */
SLUICE_PUBLIC void sluice_cancel_fire(sluice_cancel *cancel);

/* 1 if it was fired. Async-signal-safe and thread-safe. */
SLUICE_PUBLIC int sluice_cancel_fired(const sluice_cancel *cancel);

/* NULL is ignored. */
SLUICE_PUBLIC void sluice_cancel_free(sluice_cancel *cancel);

struct sluice_progress {
    size_t size;
    uint64_t delivered; /* bytes accepted by the sink */
    uint64_t parked;    /* bytes taken from the source and not yet delivered */
    uint64_t expected;  /* bytes that are to be delivered in all, UINT64_MAX if unknown */
    enum sluice_method method;
};

/* Called by sluice_transfer_run() and sluice_transfer_step() after each chunk, and when a wait was
 * interrupted by a signal. Returns 0 to go on, anything else to cancel (-ECANCELED). */
typedef int (*sluice_progress_function)(const struct sluice_progress *progress, void *data);

enum sluice_option_flags {
    SLUICE_LENGTH = 1 << 0,        /* `length` is given */
    SLUICE_SOURCE_OFFSET = 1 << 1, /* `source_offset` is given: the descriptor's own is not used and
                                      not moved. Without it the descriptor's offset is used and
                                      stands after the last delivered byte at the end */
    SLUICE_SINK_OFFSET = 1 << 2,   /* `sink_offset` is given: likewise */
    SLUICE_EXACT = 1 << 3,         /* a source that ends before `length` is an error, -ENODATA */
    SLUICE_TIME_CALLS = 1 << 4,    /* the ledger's rows have times: two clock readings a call */
    SLUICE_NO_SIGPIPE = 1 << 5,    /* the caller ignores or blocks SIGPIPE in this thread for as
                                      long as the transfer runs: it need not be blocked here */
    SLUICE_WITNESS = 1 << 6,       /* compare the thread's I/O accounting with the ledger, and mark
                                      legs that crossed user memory although they should not have */
    SLUICE_EDGE_TRIGGERED =
        1 << 16,              /* the caller of sluice_transfer_step() waits for a stream socket by
                                      edge triggers, its end among them (EPOLLRDHUP): a read that
                                      brings less than was asked for says that the source is dry, and
                                      the call that would say EAGAIN is saved. Told of the end, step
                                      until it comes. While the sink waits, nothing
                                      more is taken */
    SLUICE_SNAPSHOT = 1 << 7, /* bytes do not change once they are taken, whatever is done to the
                                     source then: no reference to its pages is handed on */
    SLUICE_NO_READAHEAD = 1 << 8, /* a cold source file is not asked for ahead of the cursor: what
                                      the kernel reads ahead by itself is all */
    SLUICE_READAHEAD = 1 << 9,    /* it is, also where the kernel itself reads far ahead of it */
};

struct sluice_options {
    size_t size;
    uint32_t flags;            /* enum sluice_option_flags, or'ed */
    enum sluice_method method; /* auto, or the one that moves every byte: then its failure is an
                                    error, never a fallback */
    enum sluice_require require;
    uint32_t chunk;         /* most bytes a call is asked to move, 0: chosen for the pair. For a
                                    datagram sink, the size of a message made from a byte stream */
    uint32_t pipe_size;     /* capacity to ask for a private pipe, 0: 1 MiB */
    uint64_t length;        /* with SLUICE_LENGTH: stop after so many bytes */
    uint64_t source_offset; /* regular and block only, else -ESPIPE */
    uint64_t sink_offset;   /* likewise */
    uint64_t rate;          /* bytes a second at most, by token bucket; 0: no limit */
    uint64_t idle_timeout;  /* nanoseconds without a byte until -ETIMEDOUT; 0: none */
    sluice_cancel *cancel;  /* may be NULL; borrowed */
    sluice_progress_function progress; /* may be NULL */
    void *progress_data;
    enum sluice_when reflink; /* share extents: always, where copying them is no substitute; never,
                                    where the copy is to be one */
    enum sluice_when sparse;  /* holes. auto: those of a source file are holes in a sink file, too.
                                    always: and every whole block of zeros becomes one, from any
                                    source (by read-write, which looks at the bytes; the sink is a
                                    file that is not O_APPEND). never: they are written as zeros */
    enum sluice_cache cache;  /* drop: pages of the files that were not in the page cache before are
                                    dropped behind the cursor, dirty ones once they are written;
                                    by RWF_DONTCACHE, from file to file, where that can be had.
                                    bypass: `direct` is the first choice, and what it cannot take
                                    (pieces that are no whole block) is dropped likewise */
};

#ifdef __cplusplus
static inline struct sluice_options sluice_options_init(void)
{
    struct sluice_options options = {};
    options.size = sizeof options;
    return options;
}
#define SLUICE_OPTIONS_INIT sluice_options_init()
#else
#define SLUICE_OPTIONS_INIT                                                                        \
    {                                                                                              \
        .size = sizeof(struct sluice_options)                                                      \
    }
#endif

/* ---- plans ----------------------------------------------------------------------------------- */

#define SLUICE_MAX_LEGS 2

struct sluice_leg {
    const char *from, *to; /* "ext4", "pipe", "tcp", "user" …: static */
    const char *call;      /* "splice", "sendfile", "read" …: static */
    const char *path;      /* kernel function the bytes are expected to go through: static */
    const char *path_out;  /* and a second one, for a call that is two hops in one; or NULL */
    enum sluice_class class_;
    enum sluice_known known;
    unsigned copies;      /* per byte; 2 where one call is two hops that both copy */
    uint64_t at;          /* when it was proven, seconds since the epoch; 0: it is expected */
    const char *variant;  /* "O_DIRECT" where the library opens the end again for that, or
                             "RWF_DONTCACHE": static; or NULL */
    uint64_t reserved[2]; /* room to grow inside other structures: zero */
};

struct sluice_candidate {
    size_t size;
    enum sluice_method method;
    unsigned copies; /* copies per byte, summed over the legs */
    unsigned legs;
    const char *ruled_out; /* why not: static; NULL if it can serve the pair */
    const char *why;       /* why it stands where it stands: static; NULL if ruled out */
    struct sluice_leg leg[SLUICE_MAX_LEGS];
};

/*
 * The methods that could serve this pair, best first, then those ruled out, each with the reason.
 * Nothing is moved and nothing is changed.
 *
 * options: may be NULL. ret: free it with sluice_plan_free().
 * Returns 0, also if every method is ruled out; -EINVAL (options that contradict each other);
 * -ENOMEM.
 */
SLUICE_PUBLIC int sluice_plan_new(sluice_context *context, const sluice_endpoint *source,
                                  const sluice_endpoint *sink, const struct sluice_options *options,
                                  sluice_plan **ret);
SLUICE_PUBLIC void sluice_plan_free(sluice_plan *plan);

/* How many candidates there are, and how many of them (the first ones) can serve. */
SLUICE_PUBLIC unsigned sluice_plan_count(const sluice_plan *plan);
SLUICE_PUBLIC unsigned sluice_plan_usable(const sluice_plan *plan);

/* The candidate at `index`, 0 being the best. Returns 0, or -ERANGE. */
SLUICE_PUBLIC int sluice_plan_candidate(const sluice_plan *plan, unsigned index,
                                        struct sluice_candidate *ret);

/* The least copies per byte that any method has for this pair, whatever policy forbids. */
SLUICE_PUBLIC unsigned sluice_plan_fewest_copies(const sluice_plan *plan);

/* ---- transfers ------------------------------------------------------------------------------- */

/*
 * Makes a transfer: reads the descriptors' flags again, plans, and checks. No byte moves.
 *
 * source, sink: borrowed until sluice_transfer_free(). options: may be NULL; copied.
 * Returns 0; or
 *   -EBADF       the source is not open for reading, or the sink not for writing
 *   -EISDIR, -EINVAL  an end is a directory; no method serves the pair; source and sink are the
 *                same regular file, block device or pipe; options contradict each other
 *   -ESPIPE      an offset was given for an end that has none
 *   -EOVERFLOW   offset plus length is beyond the largest offset
 *   -EOPNOTSUPP  the named method cannot serve the pair
 *   -ENOTSUP     (the same value) `require` cannot be met
 *   -ENOMEM
 * ret_error: may be NULL; filled on error, with the side and the reason in words.
 */
struct sluice_error;
SLUICE_PUBLIC int sluice_transfer_new(sluice_context *context, sluice_endpoint *source,
                                      sluice_endpoint *sink, const struct sluice_options *options,
                                      sluice_transfer **ret, struct sluice_error *ret_error);

/* What sluice_transfer_step() waits for. */
enum sluice_wait_mask {
    SLUICE_WAIT_SOURCE_IN = 1 << 0, /* the source said EAGAIN: wait until it is readable */
    SLUICE_WAIT_SINK_OUT = 1 << 1,  /* the sink said EAGAIN: wait until it is writable */
    SLUICE_WAIT_SINK_HUP = 1 << 2,  /* while the sink is not waited for: its reader may leave */
    SLUICE_WAIT_TIMER = 1 << 3,     /* `deadline` is set */
};

struct sluice_wait {
    size_t size;
    unsigned mask;
    int source_fd, sink_fd;           /* to wait on; -1 where that side is not waited for. Not
                                           always the endpoint's own: a terminal may be reopened */
    short source_events, sink_events; /* for poll(2); POLLERR and POLLHUP come by themselves */
    uint64_t deadline;                /* with SLUICE_WAIT_TIMER: CLOCK_MONOTONIC, nanoseconds */
};

enum sluice_step {
    SLUICE_DONE = 0, /* the source has ended, or the limit is reached, and nothing is parked */
    SLUICE_WAIT = 1, /* wait for what `ret` says, then call again */
    SLUICE_MORE = 2, /* the budget is used up: call again without waiting */
};

/*
 * Moves bytes without ever waiting, until the budget is used or a side says EAGAIN. A side is in
 * the mask only after that side itself said so: safe with edge triggers. Filling goes on while
 * draining waits.
 *
 * budget: bytes to deliver at most in this call, 0: no bound but the call's own chunk.
 * Returns enum sluice_step, or a negative errno: then sluice_transfer_error() tells the rest, and
 * the transfer can only be salvaged and freed.
 */
SLUICE_PUBLIC int sluice_transfer_step(sluice_transfer *transfer, uint64_t budget,
                                       struct sluice_wait *ret);

/* Runs the transfer to its end, waiting as needed. Where nothing else has to be watched (no cancel
 * by event, no idle timeout) it waits inside the moving calls themselves, which takes the fewest
 * system calls. Returns 0, or a negative errno as sluice_transfer_step(). */
SLUICE_PUBLIC int sluice_transfer_run(sluice_transfer *transfer);

/*
 * Sets a transfer up for another pair of descriptors, as if it were made anew, without a system call:
 * for a server, where thousands of connections have few bytes to move at a time.
 *
 * transfer: between two sockets or pipes, with nothing parked, whether it waits, has come to its end
 * or has failed. source_fd, sink_fd: of the same kinds as those before, and as blocking; the
 * endpoints get them, and close none. What the options said holds on; the first method of the plan
 * is tried again; the ledger goes on counting, but its fallbacks begin anew.
 * Returns 0; -EBUSY while bytes are parked; -EINVAL (an end is a file or device; a length was given; an
 * endpoint owns its descriptor).
 */
SLUICE_PUBLIC int sluice_transfer_reuse(sluice_transfer *transfer, int source_fd, int sink_fd);

/* Bytes accepted by the sink's kernel; bytes taken from the source and not delivered. */
SLUICE_PUBLIC uint64_t sluice_transfer_delivered(const sluice_transfer *transfer);
SLUICE_PUBLIC uint64_t sluice_transfer_parked(const sluice_transfer *transfer);

/*
 * Takes parked bytes back, in order, after a failure or a cancel (a source that can be read again
 * has none: its offset stands after the last delivered byte). Parked bytes are those that follow
 * the last delivered one.
 * Returns the number of bytes written to buf (0: nothing is parked), -EBUSY while the transfer can
 * still go on, or what read(2) returned.
 */
SLUICE_PUBLIC ssize_t sluice_transfer_salvage(sluice_transfer *transfer, void *buf, size_t length);

/*
 * With SLUICE_CACHE_DROP, after the end: drops once more what could not be dropped then, because a
 * pipe or a socket still held it, and counts what is left. Both endpoints must still be there.
 * Returns bytes of the two files that are in the page cache and were not before; UINT64_MAX where
 * that cannot be told (another user's file; Linux before 6.5), or the transfer is not over.
 */
SLUICE_PUBLIC uint64_t sluice_transfer_uncache(sluice_transfer *transfer);

struct sluice_error {
    size_t size;
    int error; /* negative errno, 0: none */
    enum sluice_side side;
    const char *operation; /* "read", "splice", "poll", "require" …: static */
    const char *reason;    /* static words for what the errno does not say, or NULL */
    uint64_t offset;       /* where in the source (its own offset) or sink it happened */
    uint64_t delivered, parked;
    uint64_t reserved[8]; /* room to grow inside struct sluice_result: zero */
};

/* Why the transfer failed: filled with zeros if it did not. */
SLUICE_PUBLIC void sluice_transfer_error(const sluice_transfer *transfer, struct sluice_error *ret);

/* Frees the transfer. Returns 0, or -EBUSY while bytes are parked: salvage them, or say
 * sluice_transfer_discard(). NULL is ignored. */
SLUICE_PUBLIC int sluice_transfer_free(sluice_transfer *transfer);

/* Frees the transfer and throws away what is parked. Returns the number of bytes thrown away. */
SLUICE_PUBLIC uint64_t sluice_transfer_discard(sluice_transfer *transfer);

/* ---- ledger ---------------------------------------------------------------------------------- */

/* What one call did on one leg. Each row comes from the calls that moved those bytes. */
struct sluice_row {
    size_t size;
    enum sluice_method method;
    uint64_t bytes;
    uint64_t calls;       /* that moved bytes or met the end */
    uint64_t eagain;      /* that found nothing to do */
    uint64_t nanoseconds; /* in these calls, with SLUICE_TIME_CALLS */
    struct sluice_leg leg;
};

struct sluice_fallback {
    size_t size;
    enum sluice_method from, to;
    int error; /* negative errno, 0: the call said "end" where there was none */
    enum sluice_side side;
    const char *call;   /* static */
    const char *reason; /* static words, or NULL */
    uint64_t at;        /* delivered bytes at that moment */
};

struct sluice_ledger {
    size_t size;
    uint64_t taken, delivered, parked;
    uint64_t calls; /* data-moving calls, EAGAINs included */
    uint64_t polls;
    uint64_t source_eagain, sink_eagain;
    uint64_t pipe_asked, pipe_got; /* capacity of the private pipe, 0: none was used */
    uint64_t copied; /* CPU copies, in bytes: divided by `delivered`, copies per byte */
    unsigned rows, fallbacks;
    enum sluice_method method; /* the one in use at the end */
    uint64_t read_ahead;       /* bytes of the source that were asked for ahead of the cursor, since
                                  they were not in the page cache */
    uint64_t depth;            /* most direct requests in flight at once; 0: none was made */
    const char *engine;        /* what kept them so, "io_uring" or "threads"; or NULL */
    int64_t engine_refused;    /* negative errno of io_uring, where threads stood in; 0: none */
    uint64_t reserved[4];      /* room to grow inside struct sluice_result: zero */
};

SLUICE_PUBLIC void sluice_transfer_ledger(const sluice_transfer *transfer,
                                          struct sluice_ledger *ret);
/* Row or fallback number `index`. Return 0, or -ERANGE. */
SLUICE_PUBLIC int sluice_transfer_row(const sluice_transfer *transfer, unsigned index,
                                      struct sluice_row *ret);
SLUICE_PUBLIC int sluice_transfer_fallback(const sluice_transfer *transfer, unsigned index,
                                           struct sluice_fallback *ret);

/* ---- fan-out --------------------------------------------------------------------------------- */

/*
 * One source, many sinks: the page references of what the source gives are shared by tee(2), and no
 * byte is copied for a further sink that takes references (a pipe, a stream socket). Each sink is
 * emptied at its own pace; one that fails is taken off, and the others do not notice.
 */
typedef struct sluice_fanout sluice_fanout;

/* What is done about a sink whose backlog has reached its bound. */
enum sluice_slow {
    SLUICE_SLOW_WAIT =
        0,            /* nothing more is taken from the source until it has room: nothing is lost */
    SLUICE_SLOW_DROP, /* it misses what it has no room for: counted, whole rounds at a time */
    SLUICE_SLOW_DETACH, /* it is taken off */
    SLUICE_SLOW_SPILL,  /* the rest waits for it in a file: nothing is lost */
};

/* The lower-case name of a value ("wait"), or "?". The string is static. Never fails. */
SLUICE_PUBLIC const char *sluice_slow_name(enum sluice_slow slow);

enum sluice_sink_state {
    SLUICE_SINK_RUNNING = 0,
    SLUICE_SINK_DONE,     /* the source has ended, and it has got everything it was to get */
    SLUICE_SINK_FAILED,   /* `error` says why; nothing more is given to it */
    SLUICE_SINK_DETACHED, /* it was too slow, or its owner took it off */
};

/* What a step has to say about a sink: it failed, or was detached. Called from within the step, once
 * for each sink. Returns 0 to go on without it, anything else to end the step (-ECANCELED). */
typedef int (*sluice_sink_event)(sluice_fanout *fanout, unsigned sink, void *data);

/* A sink that is a function: gets the bytes in order. Returns 0, or a negative errno, of which the
 * sink dies. */
typedef int (*sluice_sink_function)(const void *bytes, size_t length, void *data);

enum sluice_fanout_flags {
    /* While the source is waited for, nobody asks whether the sinks' readers are still there. */
    SLUICE_FANOUT_NO_HUP = 1 << 0,
    /* While the source is waited for and nothing waits for a sink, it holds neither a pipe nor a
     * buffer: for many that are idle. */
    SLUICE_FANOUT_REST = 1 << 1,
};

struct sluice_fanout_options {
    size_t size;
    uint32_t flags;              /* enum sluice_fanout_flags, or'ed; also SLUICE_NO_SIGPIPE */
    enum sluice_require require; /* of every leg from the source to each sink */
    /* Capacity to ask for each private pipe, 0: by the number of sinks, 1 MiB at most. */
    uint32_t pipe_size;
    uint64_t rate; /* bytes a second at most from the source; 0: no limit */
    /* Nanoseconds after the source's end until what waits for sinks that are not to be waited for is
     * dropped; 0: 10 s. */
    uint64_t linger;
    sluice_cancel *cancel;   /* may be NULL; borrowed */
    sluice_sink_event event; /* may be NULL */
    void *event_data;
    /* May be NULL. `delivered` is what was taken, `parked` what waits for the sink that lags most. */
    sluice_progress_function progress;
    void *progress_data;
};

#ifdef __cplusplus
static inline struct sluice_fanout_options sluice_fanout_options_init(void)
{
    struct sluice_fanout_options options = {};
    options.size = sizeof options;
    return options;
}
#define SLUICE_FANOUT_OPTIONS_INIT sluice_fanout_options_init()
#else
#define SLUICE_FANOUT_OPTIONS_INIT                                                                 \
    {                                                                                              \
        .size = sizeof(struct sluice_fanout_options)                                               \
    }
#endif

struct sluice_sink_options {
    size_t size;
    uint32_t flags; /* none yet */
    enum sluice_slow slow;
    /* Most bytes of its backlog; 0: 16 MiB, or three fills of the source's pipe if it is waited for. A page at
     * least, and rounds are a quarter of it at most. */
    uint64_t lag;
    uint32_t lag_pipes; /* most private pipes of its backlog, 0: by the number of sinks, 2 to 16 */
    uint64_t rate;      /* bytes a second at most; 0: no limit */
    /* With SLUICE_SLOW_SPILL: a file that can be read and written, borrowed. It is used from its beginning, and
     * emptied whenever all of it was fed to the sink. */
    sluice_endpoint *spill;
    /* What is done when the file is behind, too: as much waits for it as may wait for the sink, or
     * `spill_most` is reached. WAIT, DROP or DETACH. */
    enum sluice_slow spill_slow;
    uint64_t spill_most; /* most bytes in the file; 0: no bound. Rounds are whole */
};

#ifdef __cplusplus
static inline struct sluice_sink_options sluice_sink_options_init(void)
{
    struct sluice_sink_options options = {};
    options.size = sizeof options;
    return options;
}
#define SLUICE_SINK_OPTIONS_INIT sluice_sink_options_init()
#else
#define SLUICE_SINK_OPTIONS_INIT                                                                   \
    {                                                                                              \
        .size = sizeof(struct sluice_sink_options)                                                 \
    }
#endif

/*
 * Makes a fan-out without sinks. No byte moves.
 *
 * source: open for reading; borrowed until sluice_fanout_free(). options: may be NULL; copied.
 * ret: free it with sluice_fanout_free(). ret_error: may be NULL; filled on error.
 * Returns 0; -EBADF (not open for reading); -EISDIR; -EINVAL (nothing that bytes come from; options
 * out of range); -ENOMEM.
 */
SLUICE_PUBLIC int sluice_fanout_new(sluice_context *context, sluice_endpoint *source,
                                    const struct sluice_fanout_options *options,
                                    sluice_fanout **ret, struct sluice_error *ret_error);

/*
 * Adds a sink, before the first step or between two: it gets what is taken from then on.
 *
 * A descriptor that cannot be driven without waiting (a blocking socket or terminal that is not ours to
 * change, a file of a network file system) gets a thread of its own, which works on a duplicate of the
 * descriptor and blocks all signals.
 *
 * sink: open for writing; borrowed until it is removed or the fan-out is freed. options: may be NULL;
 * copied. ret: the number by which it is known, never used again; may be NULL. ret_error: may be NULL;
 * filled on error.
 * Returns 0; -EBADF (not open for writing); -EISDIR, -EINVAL (nothing that bytes go to; the source
 * itself; options out of range); -EBUSY (a spill file is the source, a sink, or another's spill file, too);
 * -EOPNOTSUPP (the fan-out's requirement cannot be met); -ENOMEM.
 */
SLUICE_PUBLIC int sluice_fanout_add(sluice_fanout *fanout, sluice_endpoint *sink,
                                    const struct sluice_sink_options *options, unsigned *ret,
                                    struct sluice_error *ret_error);

/* Adds a function as a sink: each byte is read into memory once for it. Returns 0, -EINVAL (no function
 * either), -EBUSY, -EOPNOTSUPP (the requirement forbids it), -ENOMEM. */
SLUICE_PUBLIC int sluice_fanout_add_function(sluice_fanout *fanout, sluice_sink_function function,
                                             void *data, const struct sluice_sink_options *options,
                                             unsigned *ret);

/* Takes a sink off at once, with what waits for it. Returns 0, -ERANGE (no such sink). */
SLUICE_PUBLIC int sluice_fanout_remove(sluice_fanout *fanout, unsigned sink);

/* Nothing more is taken from the source: what was taken is still to be delivered, and then a step says
 * SLUICE_DONE. */
SLUICE_PUBLIC void sluice_fanout_end(sluice_fanout *fanout);

/*
 * Moves bytes without ever waiting (a regular file's own waiting for its device excepted), until
 * nobody is ready or the budget is used.
 *
 * budget: bytes to take at most in this call, 0: no bound.
 * Returns enum sluice_step: SLUICE_DONE once the source has ended and each sink has got everything, or
 * no sink is left; SLUICE_WAIT: wait for any of what sluice_fanout_watch() lists, or until *ret_deadline
 * (CLOCK_MONOTONIC, nanoseconds, 0: none); SLUICE_MORE. Or a negative errno: the source's (once what it gave is delivered), -ECANCELED,
 * -EOPNOTSUPP (the requirement broke), -ENOMEM; sluice_fanout_error() tells the rest. A sink's error
 * ends that sink alone.
 */
SLUICE_PUBLIC int sluice_fanout_step(sluice_fanout *fanout, uint64_t budget,
                                     uint64_t *ret_deadline);

enum { SLUICE_WATCH_SOURCE = -1 };

struct sluice_fanout_watch {
    size_t size;
    int sink;     /* whom it is waited for: a sink's number, or SLUICE_WATCH_SOURCE */
    int fd;       /* not always the endpoint's own. It may be listed again for other events */
    short events; /* for poll(2); 0: only POLLERR and POLLHUP, which come by themselves */
};

/* Number `index` of what the last step waits for. Returns 0, or -ERANGE. */
SLUICE_PUBLIC int sluice_fanout_watch(const sluice_fanout *fanout, unsigned index,
                                      struct sluice_fanout_watch *ret);

/* Steps and waits until it is done. Returns 0, also if sinks have failed; or a negative errno as
 * sluice_fanout_step(). */
SLUICE_PUBLIC int sluice_fanout_run(sluice_fanout *fanout);

/* What became of a sink. */
struct sluice_sink_info {
    size_t size;
    enum sluice_sink_state state;
    uint64_t delivered; /* accepted by its kernel, right to the byte */
    uint64_t dropped;   /* missed: by its policy, or because it failed or was detached meanwhile */
    uint64_t spilled;   /* went through the file */
    uint64_t spill_begin, spill_end;           /* what of the file is still to be delivered */
    uint64_t lag, lag_most;                    /* bytes that wait for it: now, and at most */
    unsigned pipes, pipes_most;                /* private pipes they wait in */
    uint64_t by_reference, by_kernel, by_user; /* of the delivered: no copy, one in the kernel, from
                                                    user memory */
    uint64_t calls, eagain;
    struct sluice_leg leg; /* the last one, into the sink */
    int isolated;          /* 1: it has a thread of its own */
    const char
        *not_isolated;     /* why it has none although it may hold everybody up, or NULL: static */
    int error;             /* negative errno, with SLUICE_SINK_FAILED */
    const char *operation; /* "splice", "write" …: static */
    const char *reason;    /* static words, or NULL */
};

/* Returns 0, or -ERANGE (no such sink, or it was removed). */
SLUICE_PUBLIC int sluice_fanout_sink(const sluice_fanout *fanout, unsigned sink,
                                     struct sluice_sink_info *ret);

struct sluice_fanout_ledger {
    size_t size;
    uint64_t taken;                     /* bytes that the source gave */
    uint64_t rounds, rounds_by_pipe;    /* the others went through memory */
    uint64_t read_bytes, spliced_bytes; /* how they were taken */
    uint64_t calls, eagain;             /* data-moving calls of all, EAGAINs included and apart */
    uint64_t polls;
    uint64_t copied;               /* CPU copies in bytes, the source's own included */
    unsigned pipes;                /* private pipes made */
    uint64_t pipe_asked, pipe_got; /* capacity of the smallest */
    unsigned sinks, running;       /* ever added; not failed, detached or removed */
    unsigned fallbacks;
};

SLUICE_PUBLIC void sluice_fanout_ledger(const sluice_fanout *fanout,
                                        struct sluice_fanout_ledger *ret);
/* Fallback number `index`: `from` and `to` are methods, `at` is a byte of the source. 0, or -ERANGE. */
SLUICE_PUBLIC int sluice_fanout_fallback(const sluice_fanout *fanout, unsigned index,
                                         struct sluice_fallback *ret);

/* Why the fan-out failed: filled with zeros if it did not. */
SLUICE_PUBLIC void sluice_fanout_error(const sluice_fanout *fanout, struct sluice_error *ret);

/* Takes back what waits for a sink, from the oldest byte on: after the fan-out has failed or was
 * cancelled. What a thread of its own holds cannot be had. Returns bytes, 0: nothing waits; -EBUSY
 * while steps can go on; -ERANGE; what read(2) returned. */
SLUICE_PUBLIC ssize_t sluice_fanout_salvage(sluice_fanout *fanout, unsigned sink, void *buf,
                                            size_t length);

/* Frees it, with all that waits for anybody. Threads end by themselves once their descriptors let them,
 * and are not waited for. NULL is ignored. */
SLUICE_PUBLIC void sluice_fanout_free(sluice_fanout *fanout);

/* ---- probe ----------------------------------------------------------------------------------- */

/* What became of the bytes on a leg, as witnessed on this machine. */
enum sluice_verdict {
    SLUICE_VERDICT_UNKNOWN = 0, /* no witness is sure, or they contradict each other */
    SLUICE_VERDICT_OFFLOAD,     /* no byte moved: extents are shared, or a server copied */
    SLUICE_VERDICT_REFERENCE,   /* page references moved */
    SLUICE_VERDICT_DMA,         /* a device moved them */
    SLUICE_VERDICT_COPIED,      /* the CPU copied */
};

/* The kind of evidence. Bits. */
enum sluice_witness {
    SLUICE_WITNESS_ALIAS = 1 << 0, /* a later change of the source's memory was seen at the sink */
    SLUICE_WITNESS_WORD = 1 << 1,  /* the kernel's own statement */
    SLUICE_WITNESS_BLOCK = 1 << 2, /* the block device's byte count */
    SLUICE_WITNESS_CACHE =
        1 << 3, /* whether the CPU's cache holds the source's flushed lines again */
    SLUICE_WITNESS_TRACE = 1 << 4,   /* tracepoints */
    SLUICE_WITNESS_SAMPLES = 1 << 5, /* the share of kernel samples in copy routines */
    SLUICE_WITNESS_COST = 1 << 6,    /* CPU time against a copy of the same bytes */
};

/* The lower-case name of a value ("reference", "alias"), or "?". The string is static. */
SLUICE_PUBLIC const char *sluice_verdict_name(enum sluice_verdict verdict);
SLUICE_PUBLIC const char *sluice_witness_name(enum sluice_witness witness);

typedef struct sluice_probe sluice_probe;

enum sluice_probe_flags {
    SLUICE_PROBE_MEMORY = 1 << 0,  /* legs between memory, pipes and devices */
    SLUICE_PROBE_SOCKETS = 1 << 1, /* legs into and out of sockets, on loopback */
    SLUICE_PROBE_FACTS = 1 << 2,   /* limits, features and interfaces */
    SLUICE_PROBE_HAZARDS = 1 << 3, /* what becomes of shared pages when one holder lets go */
    SLUICE_PROBE_QUICK =
        1 << 4, /* aliases, the kernel's word and the CPU's cache only: well under a second */
    SLUICE_PROBE_ALL = 0xf,
};

/* Called before each leg. Returns 0 to go on, anything else to stop (-ECANCELED). Async signals are
 * the caller's to catch: nothing that the probe makes has a name that outlives the process. */
typedef int (*sluice_probe_function)(const char *what, void *data);

struct sluice_probe_options {
    size_t size;
    uint32_t flags;                 /* enum sluice_probe_flags, or'ed; 0: SLUICE_PROBE_ALL */
    uint32_t directories;           /* how many of these: */
    const char *const *directory;   /* in whose file systems an unnamed scratch file is made */
    const sluice_plan *plan;        /* not NULL: only the legs of the methods that could serve it */
    sluice_probe_function progress; /* may be NULL */
    void *progress_data;
    const char
        *through;       /* not NULL: only legs of TCP, on the caller's own connection, `pair`, which
                            their place is then called by: a way that is not loopback */
    int pair[2];        /* its two ends, where bytes are sent and received, both here: duplicated */
    const char *device; /* not NULL: a block device to be measured too. ITS CONTENT IS LOST */
};

/* A leg that was measured. Strings live as long as the probe. */
struct sluice_probe_leg {
    size_t size;
    const char *from, *to; /* "ext4", "pipe", "memory", "tcp" … */
    const char *call;      /* "splice", "sendfile", "tee", "vmsplice", "send" … */
    const char *variant; /* "" or what is special: "SPLICE_F_MOVE", "O_DIRECT", "MSG_ZEROCOPY" … */
    const char *place;   /* what it holds for: "ext4 rw,relatime", "loopback", "" for any */
    enum sluice_verdict verdict;
    int error;          /* negative errno if it does not work here, else 0 */
    unsigned witnesses; /* those that say so: enum sluice_witness, or'ed */
    int observed;       /* 1 if `path` was seen in sampled stacks, 0 if it is expected */
    const char *path;   /* kernel functions, separated by ", " */
    const char *note;   /* "" or what else was found: "no effect" */
    uint64_t at;        /* when, seconds since the epoch */
    unsigned evidence;  /* how many sluice_probe_evidence() there are; none after loading */
};

struct sluice_evidence {
    size_t size;
    enum sluice_witness witness;
    int says;         /* 1: copied, -1: not copied, 0: nothing that counts */
    const char *text; /* what was measured, in words and figures */
};

/* Something found out beside the legs. */
struct sluice_fact {
    size_t size;
    const char *group; /* "pipes", "memory", "io_uring", "interface eth0", "pages of ext4" … */
    const char *name;  /* "largest", "default left" … */
    const char *text;  /* the value in words */
    int64_t number;    /* the value, where it is one; else -1 */
    int error;         /* negative errno if it could not be found out */
};

/* An empty result. Returns 0 or -ENOMEM. */
SLUICE_PUBLIC int sluice_probe_new(sluice_probe **ret);

/*
 * Measures, with scratch objects of its own: unnamed files in the directories, loopback sockets,
 * pipes, memfds. Nothing of the caller's is read or changed, and nothing is left behind, however it
 * ends. What was known of the same legs is replaced. May take seconds, CPU time of one thread;
 * ordinary users get the same verdicts with fewer witnesses.
 *
 * probe: filled. options: may be NULL.
 * Returns 0 also if single legs cannot be measured (their rows say why); -ECANCELED (progress said
 * so: what was measured stays); -EINVAL; -ENOMEM; -EMFILE, -ENFILE.
 */
SLUICE_PUBLIC int sluice_probe_run(sluice_probe *probe, sluice_context *context,
                                   const struct sluice_probe_options *options);

/* Whether the controls of the last run came out as they must: 1, or 0 and its verdicts cannot be
 * trusted (and none of them is used by a plan). ret_passed, ret_count: may be NULL. */
SLUICE_PUBLIC int sluice_probe_controls(const sluice_probe *probe, unsigned *ret_passed,
                                        unsigned *ret_count);

/* Leg, evidence of a leg, or fact number `index`. Return 0, or -ERANGE. */
SLUICE_PUBLIC int sluice_probe_leg(const sluice_probe *probe, unsigned index,
                                   struct sluice_probe_leg *ret);
SLUICE_PUBLIC int sluice_probe_evidence(const sluice_probe *probe, unsigned leg, unsigned index,
                                        struct sluice_evidence *ret);
SLUICE_PUBLIC int sluice_probe_fact(const sluice_probe *probe, unsigned index,
                                    struct sluice_fact *ret);

/*
 * Writes the legs to a descriptor, in a text format of its own that names the kernel's build; reads
 * them back, and adds them to those there are.
 * Return 0; what write(2) or read(2) return; loading also -EINVAL (no such file, or damaged) and
 * -ESTALE (of another kernel, or another user).
 */
SLUICE_PUBLIC int sluice_probe_save(const sluice_probe *probe, int fd);
SLUICE_PUBLIC int sluice_probe_load(sluice_probe *probe, int fd);

SLUICE_PUBLIC void sluice_probe_free(sluice_probe *probe);

/*
 * Lets the plans made with this context from now on go by the probe: a leg that it measured, on
 * what these endpoints are, is *proven*, and its class is what was measured. A transfer that
 * requires zero-copy needs it: what is only expected does not satisfy that.
 *
 * probe: borrowed until the context is freed or given another; NULL: none.
 */
SLUICE_PUBLIC void sluice_context_use_probe(sluice_context *context, const sluice_probe *probe);

/* ---- memory lent to the kernel --------------------------------------------------------------- */

/*
 * A *loan* is user memory that the kernel is given to send from, without copying it first. While
 * the kernel, or whoever was given the pages next (another pipe, a socket's queue), may still read
 * it, it must not change. When may it be written again? There is one answer:
 *
 *     sluice_loan_get() gives memory that may be written; from the first sluice_loan_send() on it
 *     may not, until sluice_loan_returned() says 1.
 *
 * Who does not want to ask puts the loan back (sluice_loan_put) and gets another: memory that is
 * provably back is given out again, what can never be proved to be back is replaced by fresh pages
 * first. It is never overwritten.
 *
 * The way is chosen for each sink and each send, by what a probe has measured
 * (sluice_context_use_probe) and by break-evens; no way is ever a reason for a send to fail.
 */
typedef struct sluice_loan_pool sluice_loan_pool;
typedef struct sluice_loan_sink sluice_loan_sink;
typedef struct sluice_loan sluice_loan;

/* One way of sending from memory. */
enum sluice_loan_way {
    SLUICE_LOAN_AUTO = 0,
    SLUICE_LOAN_VMSPLICE, /* vmsplice(2) into a pipe: by reference. Nobody ever tells that the pages
                             are back: they are replaced, not written again */
    SLUICE_LOAN_SENDFILE, /* sendfile(2) of a sealed memfd that holds what a constant loan holds: by
                             reference, and nobody can change it, ever */
    SLUICE_LOAN_SEND_ZC,  /* io_uring's zero-copy send: the kernel tells when the pages are back */
    SLUICE_LOAN_ZEROCOPY, /* send(2) with MSG_ZEROCOPY: likewise, by the socket's error queue */
    SLUICE_LOAN_WRITE,    /* write(2) or send(2): copied, and back at once */
    SLUICE_LOAN_WAY_COUNT,
};

/* The lower-case name of a way ("vmsplice", "send-zc"), or "?". The string is static. */
SLUICE_PUBLIC const char *sluice_loan_way_name(enum sluice_loan_way way);

struct sluice_loan_options {
    size_t size;
    uint32_t max_loans;   /* loans with the caller or lent at once; 0: 64 */
    uint64_t buffer_size; /* bytes of a loan, rounded up to whole pages; 0: 128 KiB, which is the
                             quickest for data that is filled and sent at once. They are cut from
                             pieces of 2 MiB, in huge pages where the system has them */
};

/*
 * A pool of loans. It must not outlive the context, and is used by one thread at a time. No memory
 * is taken until a loan is got.
 *
 * options: may be NULL. ret: free it with sluice_loan_pool_free().
 * Returns 0; -EINVAL (fields that this library does not know; a size beyond 1 TiB); -ENOMEM.
 */
SLUICE_PUBLIC int sluice_loan_pool_new(sluice_context *context,
                                       const struct sluice_loan_options *options,
                                       sluice_loan_pool **ret);

/* Frees the pool. Returns 0; or -EBUSY, and nothing is freed, while a loan is with the caller, a
 * sink exists, or a notification is awaited. NULL is ignored. */
SLUICE_PUBLIC int sluice_loan_pool_free(sluice_loan_pool *pool);

/* Frees the pool with all its sinks and loans, whatever is outstanding. That is safe for the bytes:
 * the kernel keeps the pages for as long as it needs them, and nobody writes to them any more.
 * Returns the number of loans that were with the caller or lent. NULL is ignored. */
SLUICE_PUBLIC unsigned sluice_loan_pool_abandon(sluice_loan_pool *pool);

/*
 * A descriptor that becomes readable when something may have come back: for poll(2) or an epoll of
 * the caller's, level-triggered or edge-triggered. It is the pool's; do not read or close it, call
 * sluice_loan_pool_reap() when it is readable.
 * Returns the descriptor; what epoll_create1(2) and epoll_ctl(2) return: -EMFILE, -ENFILE, -ENOMEM,
 * -ENOSPC.
 */
SLUICE_PUBLIC int sluice_loan_pool_fd(sluice_loan_pool *pool);

/* Takes the notifications that are there, of all sinks, without waiting. Returns how many loans
 * came back. (sluice_loan_get and sluice_loan_returned do it too.) */
SLUICE_PUBLIC unsigned sluice_loan_pool_reap(sluice_loan_pool *pool);

struct sluice_loan_stats {
    size_t size;
    uint32_t held;     /* loans with the caller now */
    uint32_t lent;     /* of all loans, those that wait for notifications now */
    uint32_t idle;     /* that can be got at once */
    uint32_t spent;    /* put back, with pages that must be replaced first */
    uint64_t sent;     /* zero-copy sends: each is to be answered by one notification */
    uint64_t notified; /* answered */
    uint64_t copied;   /* of these, the kernel said that it had copied after all */
    uint64_t given_up; /* the sink was freed before the answer came: the pages were replaced */
    uint64_t replaced; /* bytes of pages that were replaced */
};

/* What is outstanding, and what has become of everything else: sent = notified + given_up + what is
 * awaited still. Returns 0, or -EINVAL if ret->size is 0. */
SLUICE_PUBLIC int sluice_loan_pool_stats(const sluice_loan_pool *pool,
                                         struct sluice_loan_stats *ret);

enum sluice_loan_flags {
    SLUICE_LOAN_CONSTANT = 1 << 0, /* filled once, then sent again and again, to any number of
                                      sinks. From the first send on it is read-only memory, until
                                      it is put back: writing to it is a SIGSEGV */
};

/*
 * Gives a loan whose memory may be written. What is in it is not told.
 *
 * flags: enum sluice_loan_flags, or'ed. ret: give it back with sluice_loan_put().
 * Returns 0; -EAGAIN (all `max_loans` are with the caller or lent: wait for the pool's descriptor);
 * -ENOMEM; -EINVAL (unknown flags).
 */
SLUICE_PUBLIC int sluice_loan_get(sluice_loan_pool *pool, unsigned flags, sluice_loan **ret);

/* The caller is done with it, lent or not: the pool gives its memory out again when that is safe.
 * The handle is invalid afterwards. NULL is ignored. */
SLUICE_PUBLIC void sluice_loan_put(sluice_loan *loan);

/* The memory, aligned to a page, and its size in bytes. */
SLUICE_PUBLIC void *sluice_loan_data(const sluice_loan *loan);
SLUICE_PUBLIC uint64_t sluice_loan_size(const sluice_loan *loan);

/* 1 if the memory may be written (again): it was never sent, was copied, or every notification has
 * come. 0 if not: then wait for the pool's descriptor; or, where it went by a way that never tells
 * (vmsplice), or the loan is a constant one, put it back and get another. Does not wait. */
SLUICE_PUBLIC int sluice_loan_returned(sluice_loan *loan);

enum sluice_loan_sink_flags {
    SLUICE_LOAN_NO_SIGPIPE = 1 << 0, /* the caller ignores or blocks SIGPIPE in this thread: it need
                                        not be blocked here, which saves two system calls a send */
};

struct sluice_loan_sink_options {
    size_t size;
    uint32_t flags;              /* enum sluice_loan_sink_flags, or'ed */
    enum sluice_loan_way prefer; /* not AUTO: this way goes first, at every length and whatever is
                                    expected of it, where sink and loan allow it at all. WRITE: no
                                    other way is tried */
};

/*
 * A sink that loans are sent to: any endpoint that can be written. To send to a fan-out, send to
 * the pipe that is its source.
 *
 * endpoint: borrowed until sluice_loan_sink_free(). options: may be NULL. ret: the sink.
 * Returns 0; -EBADF (not open for writing); -EINVAL (nothing can be written to it; unknown
 * options); -ENOMEM.
 *
 * While the sink exists a socket may have SO_ZEROCOPY set and its error queue read here; not if its
 * error queue is in use already (time stamps, IP_RECVERR, the caller's own zero-copy sends).
 */
SLUICE_PUBLIC int sluice_loan_sink_new(sluice_loan_pool *pool, sluice_endpoint *endpoint,
                                       const struct sluice_loan_sink_options *options,
                                       sluice_loan_sink **ret);

/* Frees the sink; the endpoint and its descriptor stay the caller's. Notifications that have not
 * come will not: what they stood for is never overwritten. Returns how many; NULL is ignored. */
SLUICE_PUBLIC unsigned sluice_loan_sink_free(sluice_loan_sink *sink);

/*
 * Sends bytes of a loan, without waiting, by one call of the best way.
 *
 * offset, length: in the loan. A datagram sink takes them as one message, or refuses.
 * Returns how many bytes the sink's kernel took, perhaps fewer than asked: the rest is the
 * caller's to send. -EAGAIN: the sink takes none now, wait until it is writable. -EINVAL: not
 * within the loan, or of another pool. -EPIPE (no SIGPIPE is raised) and what else write(2) and
 * send(2) return is the sink's failure.
 */
SLUICE_PUBLIC ssize_t sluice_loan_send(sluice_loan *loan, sluice_loan_sink *sink, uint64_t offset,
                                       uint64_t length);

/*
 * Sends all of them, waiting as needed, inside the sending call where that takes fewer calls.
 *
 * ret_sent: may be NULL; filled on error too: bytes that the sink's kernel took.
 * Returns 0; -EINTR (a signal came: send the rest again, or not); else as sluice_loan_send().
 */
SLUICE_PUBLIC int sluice_loan_send_all(sluice_loan *loan, sluice_loan_sink *sink, uint64_t offset,
                                       uint64_t length, uint64_t *ret_sent);

/* A way of a sink: why it is taken or not, and what went by it. */
struct sluice_loan_choice {
    size_t size;
    enum sluice_loan_way way;
    const char *ruled_out; /* why it is not taken, or no longer: static; NULL if it is */
    const char *why;       /* why it stands where it stands: static; NULL if ruled out */
    int error;             /* negative errno with which the kernel refused it for good, else 0 */
    enum sluice_class class_;
    enum sluice_known known;
    uint64_t least_constant; /* bytes of a send from which it is taken, for constant loans */
    uint64_t least_fresh;    /* and for all others; UINT64_MAX: never */
    uint64_t bytes, calls;   /* that went by it */
    uint64_t refused; /* sends that it could not take just then (ENOBUFS, ENOMEM: too much is lent),
                         and that went by the next one */
};

/* Way number `index`, in the order in which they are tried. Returns 0, or -ERANGE. */
SLUICE_PUBLIC int sluice_loan_sink_choice(const sluice_loan_sink *sink, unsigned index,
                                          struct sluice_loan_choice *ret);

/* ---- memory received without copying it ------------------------------------------------------ */

/*
 * The other direction: a *receiver* shows what a source has sent, in memory that is the kernel's or
 * the receiver's until the next call. From TCP, whole pages can be mapped instead of copied, where
 * the sender's segments consist of such; everything else is copied once, and counted as that.
 */
typedef struct sluice_receiver sluice_receiver;

/* One way of receiving into memory. */
enum sluice_receive_way {
    SLUICE_RECEIVE_AUTO = 0,
    SLUICE_RECEIVE_MAP,      /* TCP_ZEROCOPY_RECEIVE: the pages of the segments are mapped */
    SLUICE_RECEIVE_VMSPLICE, /* vmsplice(2) out of a pipe: known to copy, as read does */
    SLUICE_RECEIVE_READ,     /* read(2) or recv(2) */
    SLUICE_RECEIVE_WAY_COUNT,
};

/* The lower-case name of a way ("map"), or "?". The string is static. */
SLUICE_PUBLIC const char *sluice_receive_way_name(enum sluice_receive_way way);

struct sluice_receiver_options {
    size_t size;
    enum sluice_receive_way prefer; /* not AUTO: goes first, whatever is expected of it, where the
                                       source allows it. READ: no other way is tried */
    uint32_t window;                /* bytes shown at once, at most, rounded up to whole pages;
                                       0: 256 KiB */
};

/*
 * A receiver of a source: a pipe, a stream socket, a file, a device. Not a datagram socket, whose
 * messages have boundaries.
 *
 * source: borrowed until sluice_receiver_free(). options: may be NULL. ret: the receiver.
 * Returns 0; -EBADF (not open for reading); -EINVAL (nothing can be received from it; a datagram
 * socket; unknown options); -ENOMEM.
 */
SLUICE_PUBLIC int sluice_receiver_new(sluice_context *context, sluice_endpoint *source,
                                      const struct sluice_receiver_options *options,
                                      sluice_receiver **ret);

/*
 * Shows the next bytes, without waiting.
 *
 * ret: where they are: to be read, not written, until the next call with this receiver.
 * Returns how many; 0: the source has ended; -EAGAIN: wait until the source is readable; what
 * read(2) and recv(2) return.
 */
SLUICE_PUBLIC ssize_t sluice_receiver_next(sluice_receiver *receiver, const void **ret);

/* A way of a receiver: why it is taken or not, and what came by it. */
struct sluice_receiver_choice {
    size_t size;
    enum sluice_receive_way way;
    const char *ruled_out; /* why it is not taken, or not now: static; NULL if it is */
    const char *why;       /* why it stands where it stands: static; NULL if ruled out */
    int error;             /* negative errno with which the kernel refused it, else 0 */
    enum sluice_class class_;
    enum sluice_known known;
    uint64_t bytes, calls; /* that came by it */
    uint64_t missed;       /* calls by which nothing came, since it does not suit the segments */
};

/* Way number `index`, in the order in which they are tried. Returns 0, or -ERANGE. */
SLUICE_PUBLIC int sluice_receiver_choice(const sluice_receiver *receiver, unsigned index,
                                         struct sluice_receiver_choice *ret);

/* Gives the memory back. The endpoint stays the caller's. NULL is ignored. */
SLUICE_PUBLIC void sluice_receiver_free(sluice_receiver *receiver);

/* ---- all of it in one call ------------------------------------------------------------------- */

struct sluice_result {
    size_t size;
    struct sluice_ledger ledger;
    struct sluice_error error;
};

/*
 * Makes a transfer, runs it to its end and frees it.
 *
 * options: may be NULL. ret: may be NULL; filled on error too. What was parked when it failed is
 * counted in ret->error.parked and gone: who needs it uses sluice_transfer_run() and salvage.
 * Returns 0 or a negative errno, as sluice_transfer_new() and sluice_transfer_step().
 */
SLUICE_PUBLIC int sluice_copy(sluice_context *context, sluice_endpoint *source,
                              sluice_endpoint *sink, const struct sluice_options *options,
                              struct sluice_result *ret);

#ifdef __cplusplus
}
#endif

#endif
