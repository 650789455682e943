/* SPDX-License-Identifier: MIT */
/*
 * A queue of requests to files, of which several are in flight at once: by io_uring, or by threads
 * where that is refused or not built in. Opened, fed, emptied and closed by one thread, through
 * sys.h (sys_flight_open() and its neighbours); a request is its owner's again once it was reaped.
 */
#ifndef SLUICE_FLIGHT_H
#define SLUICE_FLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum flight_engine { FLIGHT_RING = 0, FLIGHT_THREADS };

enum flight_operation {
    FLIGHT_NOTHING = 0, /* is done with the value that it has */
    FLIGHT_READ,        /* file -> memory */
    FLIGHT_WRITE,       /* memory -> file */
    FLIGHT_SPLICE_IN,   /* file -> pipe */
    FLIGHT_SPLICE_OUT,  /* pipe -> file */
};

struct request {
    enum flight_operation operation;
    int file;
    int pipe; /* the end of it that the operation needs */
    void *memory;
    size_t length;
    int64_t offset;       /* in the file */
    ssize_t value;        /* bytes, or a negative errno; set when it is reaped */
    struct request *next; /* the queue's own */
};

struct flight;

/* The threads' part (flight.c) and the ring's (flight_ring.c): each has one of these. */
struct flight_driver {
    const char *name;
    int (*submit)(struct flight *flight, struct request *request);
    /* The next one that is done: NULL if none is, and `wait` is false or was interrupted. */
    struct request *(*reap)(struct flight *flight, bool wait);
    void (*close)(struct flight *flight);
};

struct flight {
    const struct flight_driver *driver;
    int event;          /* readable when a request is done */
    unsigned in_flight; /* submitted and not yet reaped */
    unsigned most;      /* that ever were */
};

int flight_ring_open(unsigned depth, struct flight **ret);
int flight_threads_open(unsigned depth, struct flight **ret);

/* Makes the call that a request stands for, and waits for it. sys.c. */
ssize_t flight_perform(const struct request *request);

#endif
