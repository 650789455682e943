/* SPDX-License-Identifier: MIT */
/*
 * Where a tap goes, as --tap has it, and how it is opened: anew for each direction of each
 * connection, so that one that fails is no other connection's matter, and one that comes back is
 * used by the next.
 */
#ifndef SERVER_TAP_SINK_H
#define SERVER_TAP_SINK_H

#include <stdatomic.h>

#include "peer.h"
#include "sluice.h"
#include "tap_name.h"

enum tap_kind {
    TAP_PATH = 0, /* a file, which is added to; or a FIFO that somebody reads, or a device */
    TAP_TCP,
    TAP_UNIX,
    TAP_DESCRIPTOR, /* one for all: a pipe, or a file */
};

struct tap_sink {
    enum tap_kind kind;
    char *text;       /* as it was asked for, for messages; owned */
    char *pattern;    /* TAP_PATH, TAP_UNIX: its name (tap_name.h); owned */
    struct peer peer; /* TAP_TCP */
    int fd;           /* TAP_DESCRIPTOR: O_NONBLOCK or a file with O_APPEND; owned. Else -1 */
    unsigned from;    /* whose bytes: 1 << RELAY_TO_TARGET, 1 << RELAY_TO_CLIENT */
    struct sluice_sink_options options; /* without the file of `slow=spill` */
    char *spill;                        /* the directory that this is made in, unnamed; owned */
};

struct tap_list {
    atomic_uint references;
    unsigned count;
    struct tap_sink sink[];
};

struct tap_list *tap_list_new(unsigned count);
struct tap_list *tap_list_hold(struct tap_list *list);
void tap_list_release(struct tap_list *list); /* NULL is ignored */
/* How many descriptors a connection has for its taps. */
unsigned tap_list_descriptors(const struct tap_list *list);

/* Opens it without waiting: a socket may still be connecting. `name` receives what it is called. Returns the
 * descriptor (above 2, O_CLOEXEC, O_NONBLOCK where that means something), or a negative errno with the
 * call in *operation; -ENXIO: a FIFO that nobody reads. */
int tap_sink_open(const struct tap_sink *sink, const struct tap_facts *facts, char *name,
                  size_t name_size, const char **operation);
/* The file of `slow=spill`: it has no name. Returns the descriptor, or a negative errno. */
int tap_sink_open_spill(const struct tap_sink *sink);

#endif
