/* SPDX-License-Identifier: MIT */
/* What `sluice copy` says when something went wrong: the side, the operation, the endpoint, the error,
 * what was delivered, and what became of the rest. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "copy.h"
#include "signals.h"
#include "units.h"

void copy_record(struct copy *copy, enum sluice_side side, const char *operation, const char *name,
                 int error, const char *words)
{
    copy->report.error = (struct sluice_error){
        .size = sizeof copy->report.error, .error = error, .side = side, .operation = operation};
    copy->report.error_endpoint = name;
    copy->report.errno_words = words;
}

static const char *words_for(int error)
{
    return error == -ENOTSUP    ? "Not a regular file: it can only be written in place"
           : error == -ESPIPE   ? "it is neither a file nor a block device"
           : error == -EALREADY ? "source and sink are the same file"
                                : address_failure(error);
}

/* A failure before anything could move; also kept for --json. */
enum status copy_cannot(struct copy *copy, enum sluice_side side, const char *operation,
                        const char *name, int error)
{
    const bool stopped = error == -EINTR && signals_caught();

    copy_record(copy, side, operation, name, stopped ? -ECANCELED : error,
                stopped ? "stopped by a signal" : words_for(error));
    if (stopped) {
        message("stopped by SIG%s %s", sigabbrev_np(signals_caught()),
                copy->moved ? "after the transfer, before its end was seen to"
                            : "before anything was moved");
        return STATUS_FAILED;
    }
    message("cannot %s '%s': %s", operation, name, copy->report.errno_words);
    return STATUS_FAILED;
}

bool copy_stopped_by_requirement(const struct sluice_error *error)
{
    return error->operation && strcmp(error->operation, "require") == 0;
}

/* The leg that does not meet the requirement: of the method that would be taken without it. */
static bool offending_leg(const struct copy *copy, struct sluice_leg *ret)
{
    struct sluice_options options = copy->options.library;
    struct sluice_candidate best = {.size = sizeof best};
    sluice_plan *plan;
    bool found = false;

    options.require = SLUICE_REQUIRE_ANY;
    if (sluice_plan_new(copy->context, copy->source, copy->sink, &options, &plan) < 0)
        return false;
    if (sluice_plan_usable(plan) > 0 && sluice_plan_candidate(plan, 0, &best) == 0)
        for (unsigned i = 0; i < best.legs && !found; i++) {
            const enum sluice_class class_ = best.leg[i].class_;
            const bool zero_copy = copy->options.library.require == SLUICE_REQUIRE_ZERO_COPY;
            found = class_ == SLUICE_CLASS_USER_COPY ||
                    (zero_copy &&
                     (class_ == SLUICE_CLASS_KERNEL_COPY || best.leg[i].known != SLUICE_PROVEN));
            *ret = best.leg[i];
        }
    sluice_plan_free(plan);
    return found;
}

static enum status tell_requirement(struct copy *copy, const char *words)
{
    struct sluice_leg leg = {0};

    const bool zero_copy = copy->options.library.require == SLUICE_REQUIRE_ZERO_COPY;
    if (offending_leg(copy, &leg))
        snprintf(copy->words, sizeof copy->words, "%s -> %s by %s is a %s (%s)", leg.from, leg.to,
                 leg.call, sluice_class_name(leg.class_),
                 leg.known == SLUICE_PROVEN ? "proven, by a probe just now"
                 : zero_copy ? "expected, from a table: a probe could not prove it here"
                             : "expected, from a table: nothing measured");
    else
        snprintf(copy->words, sizeof copy->words, "%s", words);
    copy->report.errno_words = copy->words;
    message("cannot copy '%s' to '%s' as %s demands: %s; nothing was moved", copy->source_name,
            copy->sink_name, zero_copy ? "zero-copy" : "no-user-copy", copy->words);
    return STATUS_REQUIRED;
}

/* Why no transfer could be made, with what the library said. */
enum status copy_refused(struct copy *copy, int error)
{
    const struct sluice_error *why = &copy->report.error;
    const char *words = why->reason ? why->reason : strerror(-error);

    copy->report.errno_words = words;
    if (copy_stopped_by_requirement(why))
        return tell_requirement(copy, words);
    if (why->side == SLUICE_SIDE_SETUP) {
        message("cannot copy '%s' to '%s'%s%s: %s", copy->source_name, copy->sink_name,
                copy->options.library.method ? " by " : "",
                copy->options.library.method ? sluice_method_name(copy->options.library.method)
                                             : "",
                words);
        return STATUS_FAILED;
    }
    const bool source = why->side == SLUICE_SIDE_SOURCE;
    copy->report.error_endpoint = source ? copy->source_name : copy->sink_name;
    message("cannot %s '%s': %s", source ? "read" : "write to", copy->report.error_endpoint, words);
    return STATUS_FAILED;
}

/* "(1.20 GiB delivered; 256 KiB taken from '-' and not delivered, lost: give --salvage …)" */
static void fate(const struct copy *copy, uint64_t parked, char *text, size_t size)
{
    char delivered[32], held[32];

    units_format_bytes(copy->report.error.delivered, delivered);
    units_format_bytes(parked - copy->report.salvaged, held);
    if (parked == 0)
        snprintf(text, size, "%" PRIu64 " bytes delivered, %s; nothing parked",
                 copy->report.error.delivered, delivered);
    else if (copy->report.salvaged == parked)
        snprintf(text, size,
                 "%" PRIu64 " bytes delivered, %s; %" PRIu64 " bytes taken from '%s' and not "
                 "delivered, kept in '%s'",
                 copy->report.error.delivered, delivered, parked, copy->source_name,
                 copy->options.salvage);
    else
        snprintf(text, size,
                 "%" PRIu64 " bytes delivered, %s; %" PRIu64 " bytes, %s, taken from '%s' and not "
                 "delivered, %s",
                 copy->report.error.delivered, delivered, parked - copy->report.salvaged, held,
                 copy->source_name,
                 copy->options.salvage ? "lost: the salvage file could not be written"
                                       : "lost: give --salvage FILE to keep them");
}

void copy_tell_failure(struct copy *copy, uint64_t parked)
{
    struct sluice_error *error = &copy->report.error;
    const bool source = error->side == SLUICE_SIDE_SOURCE;
    char *words = copy->words, text[2 * NAME_SIZE];

    copy->report.errno_words = words;
    snprintf(words, sizeof copy->words, "%s%s%s", strerror(-error->error),
             error->reason ? "; " : "", error->reason ? error->reason : "");
    fate(copy, parked, text, sizeof text);
    if (error->error == -ECANCELED && signals_caught()) {
        snprintf(words, sizeof copy->words, "stopped by SIG%s", sigabbrev_np(signals_caught()));
        message("%s (%s)", words, text);
        return;
    }
    if (error->side == SLUICE_SIDE_SETUP || error->side == SLUICE_SIDE_PIPE) {
        message("cannot go on from '%s' to '%s' (%s): %s (%s)", copy->source_name, copy->sink_name,
                error->operation, words, text);
        return;
    }
    copy->report.error_endpoint = source ? copy->source_name : copy->sink_name;
    message("cannot %s '%s' (%s, at byte %" PRIu64 "): %s (%s)", source ? "read" : "write to",
            copy->report.error_endpoint, error->operation, error->offset, words, text);
}
