/* SPDX-License-Identifier: MIT */
/*
 * Signals of the command. SIGINT, SIGTERM and SIGHUP cancel the transfer, SIGUSR1 asks for a line,
 * SIGALRM is the tick of the progress display. A signal that arrives just before a call that waits
 * would be lost on it: so each arms a timer that interrupts again and again until it was seen to.
 */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H

#include <stdbool.h>

#include "sluice.h"

/* Installs the handlers; SIGPIPE is ignored, so that an EPIPE can be told. A signal that was
 * ignored when we started (nohup) stays so. */
void signals_install(void);

/* Of the same, only that SIGPIPE is ignored. */
void signals_ignore_sigpipe(void);

/* What the deadly signals cancel; NULL: nothing. */
void signals_set_cancel(sluice_cancel *cancel);

/* Interrupts waiting calls so many times a second, 0: never. */
void signals_tick(int milliseconds);

/* The deadly signal that came, 0: none. */
int signals_caught(void);

/* Whether a line was asked for since the last call. */
bool signals_take_line(void);

/* Whether SIGPIPE was ignored when we started: then an error message is due instead of a death. */
bool signals_sigpipe_ignored(void);

/* Dies of the signal, as if it had never been handled. */
void signals_die_of(int number);

#endif
