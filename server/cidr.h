/* SPDX-License-Identifier: MIT */
/*
 * Networks, and who is in them: --allow and --deny.
 *
 * IPv4 and IPv6 are two worlds here: ::/0 is every IPv6 address and no IPv4 one. An IPv4-mapped
 * IPv6 address (::ffff:192.0.2.1, as a dual-stack socket reports its IPv4 peers) is the IPv4
 * address it stands for, in a list and in a peer alike.
 */
#ifndef SERVER_CIDR_H
#define SERVER_CIDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* An address with its world before it, so that one comparison orders them all. */
struct cidr_key {
    uint8_t bytes[17];
};

/* The addresses from the first to the last, both included. */
struct cidr {
    struct cidr_key first, last;
};

/* Reads "10.0.0.0/8", "2001:db8::/32", or a single address. Returns 0, or -EINVAL with the reason
 * in `why`, which names what is wrong with it but not the text itself. */
int cidr_parse(const char *text, struct cidr *ret, char *why, size_t why_size);

/* A set of networks; all zero is the empty one. Not for use by two threads while it is added to. */
struct cidr_set {
    struct cidr *ranges;
    size_t count, room;
};

/* Adds a network. 0 or -ENOMEM. */
int cidr_set_add(struct cidr_set *set, const struct cidr *network);

/* Sorts and merges what was added; needed before cidr_set_has(), which then is a binary search. */
void cidr_set_seal(struct cidr_set *set);

/* Whether the address is in one of the networks; what is neither IPv4 nor IPv6 is in none. */
bool cidr_set_has(const struct cidr_set *set, const struct sockaddr *address);

void cidr_set_free(struct cidr_set *set);

/* Who may come in. */
struct access_lists {
    struct cidr_set allow, deny;
};

/* Reads a network into a list: what --allow and --deny do. As cidr_parse(), or -ENOMEM. */
int access_add(struct cidr_set *list, const char *text, char *why, size_t why_size);

/* Whether a peer is let in: it is not in `deny`, and in `allow` if that has anything. A peer without
 * an IP address (a UNIX socket) has been let in by the permissions of the path. */
bool access_admits(const struct access_lists *lists, const struct sockaddr *peer);

void access_free(struct access_lists *lists);

#endif
