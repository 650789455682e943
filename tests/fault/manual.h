/* SPDX-License-Identifier: MIT */
/*
 * What the manual pages say can go wrong with a call, and what a user of the library is to see
 * then. This is written from the pages and from the promises of sluice.h, and knows nothing of the
 * library's own table: an errno that is missing there fails a test.
 */
#ifndef TEST_MANUAL_H
#define TEST_MANUAL_H

#include <stddef.h>

#include "sluice.h"
#include "tests/fault/inject.h"

enum expected {
    EXPECT_DONE = 1,      /* nothing comes of it: asked again, waited for, or done without */
    EXPECT_FALLBACK,      /* the next method goes on; without one, the error */
    EXPECT_BUFFERED,      /* an O_DIRECT end goes on without it; any other: the error */
    EXPECT_CACHED,        /* the same method goes on by plain calls */
    EXPECT_ERROR,         /* this error, of this side */
    EXPECT_ERROR_OR_DONE, /* either, for calls that are made for several purposes */
};

struct manual_row {
    uint64_t points;
    int error;
    enum expected expected;
};

/* Each errno of each point's page, in the order of the points. Ends with points == 0. */
extern const struct manual_row manual[];

/* The row for an errno at a point, or NULL. */
const struct manual_row *manual_find(enum point point, int error);

/* Whose an error is. SETUP where the call touches both ends and the errno does not tell. */
enum sluice_side manual_side(enum point point, int error);

/* The operation that is named in an error. */
const char *manual_operation(enum point point);

/* The method whose call this is; AUTO: of none. */
enum sluice_method manual_method(enum point point);

const char *errno_name(int error);

#endif
