/* SPDX-License-Identifier: MIT */
/*
 * Who comes in, and in whose name: the lists of networks and the PROXY protocol, as hooks of the relay.
 *
 * Without PROXY headers the lists judge the peer. With them, --trust judges the peer (nobody else's
 * headers are believed, or even read) and the lists judge the client whom the header names. A header
 * that names nobody (LOCAL, UNKNOWN) is let in from a peer that is trusted by name; where all are
 * trusted, the lists judge the peer.
 */
#ifndef SERVER_GATE_H
#define SERVER_GATE_H

#include "cidr.h"
#include "proxy_protocol.h"
#include "relay.h"

struct gate_options {
    /* Words of the command line, as often as they were given; ending with NULL. */
    const char *const *allow, *const *deny, *const *trust;
    const char *file; /* lines "allow CIDR" and "deny CIDR"; NULL: none */
    bool accept_proxy;
    enum proxy_version send_proxy; /* 0: none */
};

struct gate;

/* Returns 0; -EINVAL: a word or a line is wrong; -ENOMEM; or what opening the file said; with the words
 * for it in `why`, which name the option or the file and the line. */
int gate_new(const struct gate_options *options, struct gate **ret, char *why, size_t why_size);
void gate_free(struct gate *gate);

/* The hooks, for relay_options; they refer to the gate. */
struct relay_hooks gate_hooks(struct gate *gate);

/* Reads the file again; on failure everything stays as it is. From the control loop. As gate_new(). */
int gate_reload(struct gate *gate, struct relay *relay, char *why, size_t why_size);

#endif
