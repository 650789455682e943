/* SPDX-License-Identifier: MIT */
/* The address of a socket, and how it is written. */
#ifndef SERVER_PEER_H
#define SERVER_PEER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

struct peer {
    socklen_t length; /* 0: not known */
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    } address;
};

/* The same for a client, of which a path does not matter: small, one a connection. */
struct small_peer {
    union {
        sa_family_t family; /* AF_UNSPEC: not known */
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } address;
};

enum { PEER_TEXT = 128 };

void small_peer_set(struct small_peer *small, const struct peer *peer);

/* "127.0.0.1:80", "[::1]:80", "unix:/path", "unix:" (no name), "?". Returns text. */
const char *peer_text(const struct peer *peer, char text[static PEER_TEXT]);
const char *small_peer_text(const struct small_peer *peer, char text[static PEER_TEXT]);

/*
 * Reads "HOST:PORT", "[HOST]:PORT", ":PORT" (127.0.0.1), "*:PORT" (every address, IPv6 and IPv4),
 * "unix:PATH", each also behind "tcp:". Names are looked up, which may take seconds.
 * ret: the first address. Returns 0, or a negative errno with the reason in *why (static words, or
 * the resolver's).
 */
int peer_parse(const char *text, bool listens, struct peer *ret, const char **why);

/* Why getaddrinfo(3) failed. */
const char *peer_look_up_words(int error);

#endif
