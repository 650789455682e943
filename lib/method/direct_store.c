/* SPDX-License-Identifier: MIT */
/*
 * direct, into a file. Slots are filled one after the other and written several at once:
 *   from a file   read into aligned memory, several at once as well, and written from there
 *   from a pipe   its pages move to a private pipe, and the device takes them from a second one that
 *                 shares them: so the bytes are still here when a write fails in the middle
 *   from others   read into aligned memory
 * A slot begins where the sink's blocks begin. What a pipe holds in odd pieces goes through memory;
 * what is no whole block at the sink's beginning or end is written when everything before it was,
 * and nothing is in flight: at the end by a whole block that is cut off again, else through the page
 * cache.
 */
#include <errno.h>

#include "../sys.h"
#include "direct.h"

/* The source has failed: what it gave before is delivered first. */
static bool tell_failure(const struct sluice_transfer *transfer, struct move *ret)
{
    *ret = transfer->direct->failed;
    return ret->value < 0 && transfer_parked(transfer) == 0;
}

/* What is no whole block meets the page cache, or is cut off: nothing behind it is written before it
 * is delivered. */
static bool is_at_edge(struct direct *direct)
{
    for (uint64_t number = direct->head; number < direct->taken; number++) {
        const struct slot *slot = direct_slot(direct, number);
        if (direct_outside_blocks(direct, slot->at) || slot->length % direct->align != 0)
            return true;
    }
    return false;
}

static bool store_turn(struct sluice_transfer *transfer, size_t want, struct move *ret)
{
    *ret = (struct move){.call = CALL_DIRECT_OPEN_OUT};
    ret->value = direct_begin(transfer, &ret->call);
    if (ret->value < 0)
        return true;
    struct direct *direct = transfer->direct;
    for (;;) {
        direct_collect(direct, false);
        direct_retry_in_memory(transfer);
        if (direct_deliver(transfer, ret))
            return true;
        if (tell_failure(transfer, ret))
            return true;
        if (want > 0 && direct->failed.value == 0 && !is_at_edge(direct) &&
            direct_take(transfer, want, ret))
            return true;
        if (direct_flush(transfer, want))
            continue;
        if (direct->flight->in_flight == 0)
            return false;
        /* Where the source may give meanwhile, both are waited for. */
        const bool inside =
            transfer->may_wait && (direct_from_file(direct) || !transfer->in.blocked);
        if (!inside) {
            transfer->out.blocked = direct->head < direct->taken;
            transfer->in.blocked = transfer->in.blocked || direct_from_file(direct);
            return false;
        }
        if (!direct_collect(direct, true)) {
            *ret = (struct move){.call = CALL_DIRECT_WRITE, .value = -EINTR};
            return true;
        }
    }
}

const struct method method_direct_store = {
    .id = SLUICE_METHOD_DIRECT,
    .chunk = 1 << 30,
    .turn = store_turn,
    .leave = direct_leave,
};
