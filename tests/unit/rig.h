/* SPDX-License-Identifier: MIT */
/* A transfer between two ends, set up and taken down in one line each. What cannot be set up fails
 * the test. */
#ifndef TEST_RIG_H
#define TEST_RIG_H

#include "sluice.h"
#include "tests/unit/ends.h"

struct rig {
    sluice_context *context;
    struct end source, sink;
    sluice_endpoint *in, *out;
    sluice_transfer *transfer;
    struct sluice_wait wait; /* of the last step */
};

/* The ends are opened by the test, in rig->source and rig->sink; everything else here. `options`
 * may be NULL. */
void rig_start(struct rig *rig, const struct sluice_options *options);

/* The same up to sluice_transfer_new(), whose result it returns. */
int rig_try(struct rig *rig, const struct sluice_options *options, struct sluice_error *error);

/* A step that is given a second: one that waits ends the test. Returns what the step returned. */
int rig_step(struct rig *rig, uint64_t budget);

/* Runs to the end, for at most so many seconds. */
int rig_run(struct rig *rig, unsigned seconds);

struct sluice_ledger rig_ledger(const struct rig *rig);
struct sluice_error rig_error(const struct rig *rig);

/* Frees all; what is parked is thrown away. The ends are closed, too. */
void rig_stop(struct rig *rig);

/* Fails unless the sink has received these bytes, and no others. Ends the sink. */
void rig_sink_has(struct rig *rig, const void *bytes, size_t length);

/* Fills a sink until write() takes no byte more. Other calls may find some room still: sockets
 * count page references otherwise than bytes. A sink that was made with a small capacity is soon
 * full; TCP without a fixed one grows. */
void rig_fill_sink(struct end *sink);

#endif
