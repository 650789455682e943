/* SPDX-License-Identifier: MIT */
/*
 * A side is an endpoint at work: the descriptor and offset in use, whether it is ready, and how it
 * is called without waiting when its descriptor is a blocking one that is not ours to change.
 */
#ifndef SLUICE_SIDE_H
#define SLUICE_SIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "endpoint.h"

struct side {
    struct sluice_endpoint *endpoint;
    enum sluice_side which;
    int fd;           /* in use: the endpoint's, or `reopened` */
    int reopened;     /* a private open file description, -1: none */
    int event;        /* what is polled for reading instead of fd, -1: fd itself */
    bool has_offset;  /* `offset` is used; else the descriptor's own */
    bool restore;     /* ... and set as the descriptor's own at the end */
    bool never_waits; /* calls on it return EAGAIN instead of waiting, or cannot wait at all */
    bool guarded;     /* the descriptor's own offset was `own`, and is to be so again */
    bool left_direct; /* O_DIRECT was given up for an unaligned piece */
    bool
        uncached; /* pages that its reads or writes bring into the page cache can go by themselves */
    bool blocked; /* it said so in this step */
    int64_t offset, own;
    int home; /* whose offset is given back: the endpoint's own descriptor, but for a stand-in */
};

void side_init(struct side *side, enum sluice_side which, struct sluice_endpoint *endpoint,
               bool offset_given, uint64_t offset);

/* For a call that takes an offset by pointer: NULL where the descriptor's own is used. */
static inline int64_t *side_offset(struct side *side)
{
    return side->has_offset ? &side->offset : NULL;
}

/* Makes calls on it return instead of waiting, where that needs a descriptor of our own. What
 * cannot be reopened (a socket, another user's terminal) stays as it is: then side_ready() and
 * side_bound() stand in. */
void side_stop_waiting(struct side *side);

/* Whether a call can be made now without waiting. Asks poll(2) only where the call itself could
 * wait. Marks the side as blocked if not; *polls counts. */
bool side_ready(struct side *side, uint64_t *polls);

/* poll(2) without waiting, whatever the descriptor's flags. Marks the side as blocked if not. */
bool side_poll(struct side *side, uint64_t *polls);

/* Most bytes that a write to a ready but blocking sink surely takes without waiting. */
size_t side_bound(const struct side *side);

/* Takes the offset from the descriptor's own into `offset`, to be given back at the end. */
int side_take_offset(struct side *side);

/* The endpoint stands in for this descriptor, whose own offset is used unless one was given, and moved
 * on at the end. */
void side_stand_in_for(struct side *side, int fd);

/* The descriptor's own offset may be moved from now on: it is put back at the end. */
int side_guard_offset(struct side *side);

/* Goes on without O_DIRECT, through a private descriptor. -EINVAL if it has no O_DIRECT. */
int side_leave_direct(struct side *side);

/* Moves the source back by bytes that were taken and not delivered. Returns 0 or a negative errno:
 * then the bytes stay parked. */
int side_untake(struct side *side, uint64_t bytes);

/* Moves on by bytes that no call has moved. 0 or a negative errno. */
int side_advance(struct side *side, int64_t bytes);

/* Gives the descriptor its offset, and closes what is ours. */
void side_finish(struct side *side);

/* The position for messages: the offset where it has one, else 0. */
uint64_t side_position(const struct side *side);

/* Whether it is a stream of which recv(2) would give something now. */
bool side_has_stream_bytes(const struct side *side);

/* Whether splice(2) halts here before TCP's urgent data, and there is more behind it, for recv(2). */
bool side_halts_at_urgent(const struct side *side);

/* What is said then. */
#define SIDE_HALTS_AT_URGENT "it halts before urgent data"

#endif
