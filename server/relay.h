/* SPDX-License-Identifier: MIT */
/*
 * The relay: listeners, targets and connections in several loops, a thread each, and what is common
 * to them. connection.c has one connection; relay.c starts, stops, drains, reloads and counts.
 *
 * The first loop belongs to the thread that called relay_run(), and serves signals, metrics and
 * agent-check, too (the control loop): with one loop the process has one thread, and its system calls
 * cost less (no counting of references to descriptors). Nothing in it may wait.
 */
#ifndef SERVER_RELAY_H
#define SERVER_RELAY_H

#include <stdatomic.h>

#include "listener.h"
#include "loop.h"
#include "peer.h"
#include "sluice.h"
#include "target.h"

/* Who speaks to whom, as the client sees it. From accept4(2) and getsockname(2), or from a header
 * (PROXY protocol) that the client's side sent first. */
struct ends {
    struct peer client; /* length 0: not known */
    struct peer server; /* the address that the client connected to */
    bool from_header;   /* the header named them */
    bool local;         /* it said that the proxy itself connects: a health check */
};

/* What others hang in. Each may be NULL, and is called in the thread of a loop, never waiting. */
struct relay_hooks {
    void *data;
    /* May this peer come in? Asked after accept4(2) with header NULL, and again, of the client, with what
     * header_read() made of the header. 0, or a negative errno with the reason in *why (static). */
    int (*admit)(void *data, const struct peer *peer, const struct ends *header, const char **why);
    /*
     * The header that a client sends first. Called with all that has come so far, at most
     * header_most bytes, whenever more came. Returns the header's length, if it is complete: so many
     * bytes are taken away, and `ret`, which holds the socket's own ends, is set to what it says, if it
     * names any; 0: more is needed; a negative errno with the reason in *why: the connection is closed.
     */
    ssize_t (*header_read)(void *data, const void *bytes, size_t length, struct ends *ret,
                           const char **why);
    size_t header_most; /* at most 64 KiB */
    /* The header that a target gets first. Returns its length, at most `size` (at least 536), or 0
     * for none. */
    size_t (*header_write)(void *data, const struct ends *ends, void *buffer, size_t size);
};

enum relay_reason {                   /* why a connection ended */
                    RELAY_ENDED = 0,  /* both directions came to their end */
                    RELAY_RESET,      /* by one side; passed on to the other */
                    RELAY_FAILED,     /* another error of one side */
                    RELAY_NO_TARGET,  /* none could be connected to */
                    RELAY_IDLE,       /* --idle-timeout */
                    RELAY_DENIED,     /* by admit() */
                    RELAY_BAD_HEADER, /* header_read() refused it, or it did not come in time */
                    RELAY_DRAINED,    /* --drain-timeout */
                    RELAY_NO_MEMORY,  /* or no descriptor of our own */
                    RELAY_REASONS,
};
/* "ended", "reset" … */
const char *relay_reason_name(enum relay_reason reason);

struct tap_list;

struct relay_options {
    unsigned threads;                                      /* loops with connections; 0: 1 */
    struct target_list *targets;                           /* a reference is taken */
    uint64_t connect_timeout, idle_timeout, drain_timeout; /* nanoseconds; idle 0: none */
    uint64_t header_timeout;
    uint64_t rate, rate_all; /* bytes a second and direction, of a connection and of all; 0: none */
    unsigned max_connections; /* 0: as many as there are descriptors for */
    struct tap_list *taps;    /* a reference is taken; NULL: none */
    struct relay_hooks hooks;
};

enum { RELAY_TO_TARGET = 0, RELAY_TO_CLIENT, RELAY_DIRECTIONS };
enum { RELAY_LATENCIES = 12, RELAY_FALLBACKS = 16 };

/* Upper bounds of the buckets of connect latency, in microseconds; the last has none. */
extern const uint32_t relay_latency_bound[RELAY_LATENCIES - 1];

enum relay_tap_failure {
    RELAY_TAP_NOT_OPENED = 0,
    RELAY_TAP_BROKEN,   /* a call to it failed */
    RELAY_TAP_TOO_SLOW, /* its policy took it off */
    RELAY_TAP_FAILURES,
};
/* "not opened" … */
const char *relay_tap_failure_name(enum relay_tap_failure failure);

/* Everything that is counted, summed over the loops. */
struct relay_totals {
    uint64_t accepted, active, idle_units; /* connections so far; now; transfers kept for reuse */
    uint64_t fewest,
        most; /* connections now of the loop that has fewest, and of the one that has most */
    uint64_t handed_over; /* by the loop that accepted them to another one */
    uint64_t ended[RELAY_REASONS];
    uint64_t accept_failures;
    uint64_t bytes[RELAY_DIRECTIONS];                             /* delivered */
    uint64_t bytes_class[RELAY_DIRECTIONS][SLUICE_CLASS_MAP + 1]; /* by copy class, on all legs */
    uint64_t calls[RELAY_DIRECTIONS];                             /* that move data */
    uint64_t source_eagain[RELAY_DIRECTIONS], sink_eagain[RELAY_DIRECTIONS];
    uint64_t parked[RELAY_DIRECTIONS]; /* bytes now */
    uint64_t pipes_used, pipes_free;   /* now */
    uint64_t pipes_most;               /* that may be, by our bound */
    uint64_t pipes_refused;            /* a pipe was wanted and not to be had: bytes were copied */
    uint64_t pipes_small;              /* pipes that were granted less than was asked for */
    uint64_t connects, connect_failures;
    uint64_t connect_microseconds; /* sum */
    uint64_t connect_latency[RELAY_LATENCIES];
    struct relay_fallback {
        const char *call, *reason; /* static; NULL: unused */
        uint64_t count;
    } fallback[RELAY_FALLBACKS];
    uint64_t taps; /* sinks of taps that are open now */
    uint64_t tap_class[RELAY_DIRECTIONS]
                      [SLUICE_CLASS_MAP + 1]; /* delivered to them, by copy class */
    uint64_t tap_dropped[RELAY_DIRECTIONS];   /* what they missed */
    uint64_t tap_lag[RELAY_DIRECTIONS];       /* bytes that wait for them, now */
    uint64_t tap_failures[RELAY_TAP_FAILURES];
    bool draining;
};

/* One more fallback, or `count`, of that call for that reason; static words. */
void relay_count_fallback(struct relay_totals *totals, const char *call, const char *reason,
                          uint64_t count);

struct relay;

/* 0, -ENOMEM, or what loop_new() returned. */
int relay_new(const struct relay_options *options, struct relay **ret);
void relay_free(struct relay *relay);

/* Adds a listening descriptor, which becomes the relay's. index: the loop that accepts from it, or
 * -1: all do (one socket, passed or UNIX). Before relay_run(). */
int relay_listen(struct relay *relay, int fd, int index);

/* Listening descriptor number `i`, of those that the control loop accepts from; -1: there are no more. */
int relay_listening(const struct relay *relay, unsigned i);

/* The loop of the thread that calls relay_run(): for metrics and the like. */
struct loop *relay_control(const struct relay *relay);

/* Starts the other threads and runs the control loop until every connection is gone after relay_drain(),
 * or relay_stop(). 0 or a negative errno. */
int relay_run(struct relay *relay);

/* From the control loop: */
void relay_drain(struct relay *relay); /* accept no more, finish, at most drain_timeout */
bool relay_draining(const struct relay *relay);
void relay_stop(struct relay *relay); /* at once */
/* New connections go there, and are tapped so; those that live are left alone. Takes references. taps: NULL:
 * none. */
void relay_set_lists(struct relay *relay, struct target_list *targets, struct tap_list *taps);
/* Calls a function in each connection loop's thread, one after another, and returns when all have: to replace
 * what hooks look at. 0, or -ETIMEDOUT: one is busy for long, and does not call it any more; -ENOMEM. */
int relay_each_loop(struct relay *relay, void (*function)(struct loop *, void *), void *data);
/* The counters; asks each loop. 0 or -ETIMEDOUT: what could be read is filled in. */
int relay_read(struct relay *relay, struct relay_totals *ret);
/* The targets in use; a reference, to be released. */
struct target_list *relay_targets(struct relay *relay);

#endif
