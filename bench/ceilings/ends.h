// SPDX-License-Identifier: MIT
/*
 * What the ceilings share, and nothing more: opening the two ends named on the command line as
 * `sluice copy` would, and finishing the sink as it would. The loop that moves the bytes is each
 * ceiling's own.
 */
#ifndef BENCH_ENDS_H
#define BENCH_ENDS_H

#include <stdbool.h>
#include <sys/types.h>

enum end_kind { END_FILE, END_PIPE, END_SOCKET, END_OTHER };

struct ends {
    int source;
    int sink;
    enum end_kind source_kind;
    enum end_kind sink_kind;
    const char *sink_path; // a new file without a name yet: end_ends() gives it this one
};

/* Opens SOURCE and SINK of "PROGRAM SOURCE SINK": `-`, `null:`, `tcp:HOST:PORT`,
 * `tcp-listen:HOST:PORT`, `unix:PATH`, `unix-listen:PATH`, or a path. Leaves on failure. */
struct ends open_ends(int argc, char **argv);

/* Names a new file; tells a socket's peer that this was all, and waits until it has closed. */
void end_ends(const struct ends *ends);

/* Prints what failed with the errno in words, and leaves. */
_Noreturn void fail(const char *what);

/* Waits, without a limit, until the descriptor is ready; but before it goes to sleep lets others
 * run, for a moment.
 *
 * Where no byte is copied, waiting is what is left to cost anything: whoever is on the other side
 * of a pipe is woken for each few pages, and sleeps again. Given a moment, it fills or empties the
 * whole pipe, and the next call moves all of it. */
void let_others_run_until(int fd, short events);

#endif
