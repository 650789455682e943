/* SPDX-License-Identifier: MIT */
/*
 * Conversations through a relay, whose both ends are here: so what each side was told is known. Two
 * exchanges of a few bytes, then a stream both ways at once, then the ends, one after the other.
 */
#ifndef TEST_RELAY_TALK_H
#define TEST_RELAY_TALK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "server/peer.h"

enum { TALK_ASK = 100, TALK_MOST = 300000 };
#define TALK_HEADER_IN  "HELLO" /* what clients send first, if they do */
#define TALK_HEADER_OUT "WORLD" /* what targets get first */

struct talk_options {
    size_t stream; /* bytes each way */
    bool headers;
    bool client_resets, target_resets; /* in the middle of the stream */
};

/* How a side saw it end. */
enum told {
    TOLD_NOTHING = 0, /* it never began */
    TOLD_END,
    TOLD_RESET,
    TOLD_BY_ITSELF, /* it has reset the connection */
};

struct talk {
    enum told client, target;
    size_t client_got, target_got; /* bytes of the other's stream */
    bool client_whole, target_whole;
    const char *wrong; /* what must never be: other bytes, no end. NULL: nothing */
};

/* Listens, without waiting, at any port of the loopback, or at `path`. */
int talk_listen(const char *path, struct peer *ret);
/* Connects to the relay; a connection may be there before its conversation. Returns the descriptor, or -1. */
int talk_connect(const struct peer *relay);
/* Has a conversation; closes `client`. */
struct talk talk_over(int client, int listener, const struct talk_options *options);

/* What clients say, or targets: 2 * TALK_ASK bytes and the stream. */
const char *talk_words(bool of_target);

#endif
