/* SPDX-License-Identifier: MIT */
/* What `sluice relay` gives up when all is open: its user and, by the sandbox, the rest. */
#ifndef CLI_RELAY_CONFINE_H
#define CLI_RELAY_CONFINE_H

#include "relay_options.h"

/* Becomes --user and enters the sandbox. What is read again at SIGHUP stays readable, and made_path (NULL:
 * none), a UNIX socket of ours, removable. Says what failed; returns an exit status. */
int relay_confine(const struct relay_words *words, const char *made_path);

#endif
