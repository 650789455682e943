/* SPDX-License-Identifier: MIT */
/*
 * What the manual pages say can go wrong with a call of the relay, and what its users are to see
 * then. Written from the pages: it knows nothing of the relay's own lists of errnos. For calls that
 * the library makes for the relay, the pages are in tests/fault/manual.c.
 */
#ifndef TEST_RELAY_TABLE_H
#define TEST_RELAY_TABLE_H

#include "server/relay.h"
#include "tests/fault/relay/shim.h"

enum fate {
    GOES_ON = 1, /* nobody notices: done again, later, or without */
    RESTS,       /* nobody is let in for a moment, and that is counted */
    ENDS,        /* one conversation ends, for that reason */
    MAY_END,     /* it may, or nobody notices: a call that is made for several purposes */
    TAPPED,      /* no conversation is affected; a tap may be, and then that is said */
    NOT_STARTED, /* the relay says so before it begins */
    STOPS,       /* the loop ends, and says so */
};

struct row {
    enum call call;
    unsigned who; /* a mask: 1 << WHO_… */
    int error;
    enum fate fate;
    enum relay_reason reason; /* of ENDS */
    bool names_side;          /* the log says whose call failed, and how */
};

/* Calls `each` for every row, those of manual.c among them. */
void table_each(void (*each)(const struct row *row, void *data), void *data);

#endif
