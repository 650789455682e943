/* SPDX-License-Identifier: MIT */
/*
 * The shape of a method. A method moves bytes for a transfer and knows nothing else: not who
 * called, not what an errno means, not what comes after it. It has either two legs, fill() and
 * drain(), between which bytes are parked, or one, pump(), in which none are; or it has both ends at
 * work at once, and takes its turn().
 */
#ifndef SLUICE_METHOD_H
#define SLUICE_METHOD_H

#include <stdbool.h>
#include <sys/types.h>

#include "../error.h"

/* What one call did. */
struct move {
    enum call call;
    ssize_t value; /* bytes; 0: the end (of a source), negative errno */
    bool message;  /* a datagram was moved whole: 0 bytes are no end */
    bool dry;      /* the source has no more for now: it needs not be asked */
};

struct method {
    enum sluice_method id;
    uint32_t chunk; /* most bytes a call is asked to move */
    bool bounded;   /* pump() could wait on a blocking sink for more than surely fits */
    bool elastic;   /* a call takes any number: the chunk follows the time that a call takes */

    /* Source to parking place, `want` bytes at most; called only if the place has room. */
    struct move (*fill)(struct sluice_transfer *transfer, size_t want);
    /* Private pipe to sink; called only while the pipe holds bytes. NULL: they leave through
     * memory (memory_read_back, memory_drain). */
    struct move (*drain)(struct sluice_transfer *transfer);
    /* Whether fill() can add to what is parked already. */
    bool (*has_room)(struct sluice_transfer *transfer);

    /* Source to sink; called only if nothing is parked. */
    struct move (*pump)(struct sluice_transfer *transfer, size_t want);

    /* Both ends at once: whatever can be done now, one move of it, `want` bytes at most taken from the
     * source (0: none), the allowance at most delivered. False if nothing can be done before a side
     * that it has marked as blocked is ready. Called only if what is parked is the method's own. */
    bool (*turn)(struct sluice_transfer *transfer, size_t want, struct move *ret);

    /* The method is left: let go what it holds beside parked bytes. May be NULL. */
    void (*leave)(struct sluice_transfer *transfer);
};

extern const struct method method_reflink, method_copy_range, method_sendfile, method_mmap_write,
    method_read_write, method_splice, method_splice_straight, method_direct_give,
    method_direct_store;

/* Private pipe to sink (splice.c). */
struct move splice_drain(struct sluice_transfer *transfer);

/* Memory as parking place (read_write.c), used by every method whose own way out has failed. */
struct move memory_drain(struct sluice_transfer *transfer);
struct move memory_read_back(struct sluice_transfer *transfer);
/* direct (direct.c): parked bytes that it keeps after it was left, in order: how many, or a negative
 * errno; and letting go of it. */
ssize_t direct_take_parked(struct sluice_transfer *transfer, char *into, size_t length);
void direct_free(struct sluice_transfer *transfer);

/* Source to memory, by the call that suits it; a stream's bytes. */
ssize_t memory_read(struct sluice_transfer *transfer, void *into, size_t length);
/* Memory to sink, by the call that suits it; no longer than surely fits where it could wait. */
ssize_t memory_write(struct sluice_transfer *transfer, const void *from, size_t length);

#endif
