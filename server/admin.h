/* SPDX-License-Identifier: MIT */
/*
 * What watches over a relay: a listener for HTTP (/metrics, /healthz) and one for HAProxy's
 * agent-check, both in the control loop. No byte of a connection passes here, and nobody who talks
 * to these ports, however slowly or wrongly, holds up anything: few clients at a time, each for a few
 * seconds, and the one that has been silent the longest makes room for the next.
 */
#ifndef SERVER_ADMIN_H
#define SERVER_ADMIN_H

#include <stdint.h>

#include "relay.h"

struct admin;

/* The relay is to outlive it. 0 or -ENOMEM. */
int admin_new(struct relay *relay, struct admin **ret);

/* Answers on a listening descriptor, which becomes the admin's, also on failure. Before relay_run().
 * 0 or what listener_start() returned. */
int admin_serve_http(struct admin *admin, int fd);
int admin_serve_agent(struct admin *admin, int fd);

/* From now on /healthz and agent-check say that the relay is draining, though it still accepts: so that
 * nobody sends it anything new when it stops. */
void admin_announce_drain(struct admin *admin);

/* Lets all clients go and stops listening. NULL is ignored. */
void admin_free(struct admin *admin);

/*
 * The line that agent-check reads. "drain" when draining. Else a weight in percent, never 0: the share of
 * the pipes that is left, and half of that while the kernel grants this user only small pipes or none
 * (is_short): then others use up the budget. For the first minute "ready" stands before it, which takes back a
 * "drain" of the relay that was here before. (Said for ever it would take back what an operator told HAProxy.)
 * age: nanoseconds since the start. Returns line.
 */
enum { AGENT_LINE = 32 };
const char *agent_line(const struct relay_totals *totals, uint64_t age, bool is_short,
                       char line[static AGENT_LINE]);

#endif
