/* SPDX-License-Identifier: MIT */
/*
 * A connection: a client, a target, and the two directions between them. It begins with accept4(2),
 * and frees itself when it is over.
 *
 * Each direction ends by itself, when its source has ended and nothing of it is parked; the end is
 * passed on (shutdown). What a peer sent before it reset the connection is delivered; then the other
 * side is reset, too, so that what is cut off is never taken for whole.
 *
 *   connection.c   its life: header, timers, the end
 *   connect.c      connecting to a target
 *   direction.c    moving bytes
 */
#ifndef SERVER_CONNECTION_H
#define SERVER_CONNECTION_H

#include "worker.h"

enum phase {
    PHASE_HEADER = 0, /* the client is to send a header first */
    PHASE_CONNECTING,
    PHASE_RELAYING,
    PHASE_CLOSING,   /* the client was told the end, and its input is thrown away until its own */
    PHASE_RESETTING, /* `reset_end` is reset as soon as what was sent to it has got there */
};

enum { END_CLIENT = 0, END_TARGET, ENDS };

/* What of an end is watched, once and for all, by edges. */
enum { END_WATCHED = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI };

/* What `urgent` begins with. */
enum { END_URGENT = 2 };

/* Nanoseconds before it is tried again: a connect that found no descriptor, or a UNIX target's queue
 * full; and whether what was sent to a side that is to be reset has got there. */
#define CONNECTION_RETRY UINT64_C(5000000)

struct end {
    struct watch watch;
    bool readable, writable; /* told by an edge, and not called back by an EAGAIN since */
    bool hup;                /* it has ended, or failed: reading on comes to that */
    unsigned char urgent; /* TCP's urgent data has come: so often it is yet to be asked past it */
    bool is_unix;
    bool watched;
    bool reset; /* it failed: to its peer the connection was reset */
    bool dead;  /* it cannot be told the end: nothing more is to be expected from it */
    bool left;  /* it was hung up on both ways, or failed */
    bool gone;  /* a UNIX socket that was closed: nobody takes what would be sent to it */
};

struct direction {
    struct unit *unit;  /* NULL: nothing is parked, and no byte is being moved */
    struct tap *tap;    /* it is tapped: then it has no unit */
    unsigned char wait; /* what the unit waits for, enum sluice_wait_mask */
    unsigned char thin; /* bursts in a row that were small */
    bool bulk, ended;
};

/* What few connections need. */
struct limits {
    struct rate rate[RELAY_DIRECTIONS];
    struct timer timer;
    struct connection *connection;
};

struct pending {
    size_t length, sent;
    char bytes[];
};

struct connection {
    struct worker *worker;
    struct connection *next, **link;
    struct end end[ENDS];
    struct direction direction[RELAY_DIRECTIONS];
    struct timer timer;
    struct task task;
    struct target_list *targets; /* held while `target` is used */
    struct target *target;
    struct limits *limits;   /* NULL: no rate limit */
    struct pending *pending; /* what the target is sent first, NULL: all of it was */
    uint64_t id, tried;
    uint64_t began, moved; /* when; when bytes last moved, or a connect began */
    uint64_t deadline;     /* of a connect that `waiting` is to be tried again */
    struct ends *ends;     /* while they are needed */
    struct small_peer client;
    unsigned char phase;
    unsigned char reset_end; /* in RESETTING and CLOSING: the side that is left */
    unsigned char thrown;    /* pieces of input thrown away, in CLOSING */
    unsigned char reason;
    uint16_t attempts; /* targets tried in a row */
    bool waiting;
    bool timed; /* there is an idle timeout: `moved` is kept */
};

/* Takes over an accepted descriptor, which the worker and the relay count already. */
void connection_begin(struct worker *worker, int fd, const struct peer *peer);

/* Ends it now, whatever it holds. */
void connection_kill(struct connection *connection, enum relay_reason reason);

/* ---- between its files ---- */

/* Watches it, unless it is watched already. 0, or what epoll_ctl(2) returned. */
int end_watch(struct loop *loop, struct end *end);

/* An edge is told once: what it says is kept until it is wanted. */
void end_keep(struct end *end, uint32_t events);

/* Connects to a target, or to the next one; goes on by itself to connection_relay(), or to the end.
 * The connection may be gone afterwards, as after each of these. */
void connection_connect(struct connection *connection);
void connection_connect_event(struct connection *connection, uint32_t events);
void connection_connect_late(struct connection *connection); /* its timer has fired */

/* Both ends are there: bytes may move. */
void connection_relay(struct connection *connection);

/* The client is turned away: said in the log, and to the client by a close in good order. */
void connection_refuse(struct connection *connection, enum relay_reason reason, const char *why);

/* Something of ours is lacking: said in the log, and both ends are reset. */
void connection_fail(struct connection *connection, int error);

/* Makes connection->ends: the socket's own, where nobody said better. 0 or -ENOMEM. */
int connection_know_ends(struct connection *connection);

/* A direction is not to go on: what it holds is thrown away, and counted as lost in the result. */
uint64_t direction_drop(struct connection *connection, int which);
/* Whether it holds bytes that its sink has not taken yet. */
bool direction_is_parked(const struct connection *connection, int which);

/* Moves what can be moved, both ways. The connection may be gone afterwards. */
void connection_run(struct connection *connection);

/* Both directions have ended; or one end failed, and what it had sent has been delivered. */
void connection_over(struct connection *connection);

/* Sends what is to be sent first. 0: done; -EAGAIN; or the target's error. */
int connection_send_pending(struct connection *connection);

static inline bool end_is_tcp(const struct end *end)
{
    return !end->is_unix;
}

static inline struct loop *connection_loop(const struct connection *connection)
{
    return connection->worker->loop;
}

#endif
