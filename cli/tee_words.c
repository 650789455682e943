/* SPDX-License-Identifier: MIT */
/* What `sluice tee` says when something went wrong. Under the name tee it says it as GNU tee does. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "shell_word.h"
#include "signals.h"
#include "tee.h"
#include "units.h"

static const char *words_for(int error)
{
    return error == -EALREADY ? "it is the source"
           : error == -EBUSY  ? "a spill file is one sink's alone"
                              : strerror(-error);
}

enum status tee_cannot(struct tee *tee, const char *operation, const char *name, int error)
{
    if (error == -EINTR && signals_caught())
        message("stopped by SIG%s before anything was moved", sigabbrev_np(signals_caught()));
    else if (tee->alone)
        fprintf(stderr,
                error == -EBADF && !tee->source
                    ? "%1$s: read error: %2$s\n%1$s: standard input: %2$s\n"
                    : "%1$s: read error: %2$s\n",
                tee->alone, strerror(-error));
    else
        message("cannot %s '%s': %s", operation, name, strerror(-error));
    return STATUS_FAILED;
}

static bool ends_all(const struct tee *tee)
{
    return tee->options.output_error == OUTPUT_EXIT ||
           tee->options.output_error == OUTPUT_EXIT_NOPIPE;
}

static void tell_as_gnu(const struct tee *tee, const struct tee_sink *sink, int error)
{
    const char *name = sink->address.scheme == ADDRESS_STANDARD ? "standard output" : sink->text;
    char *word = shell_word(name);

    fprintf(stderr, "%s: %s: %s\n", tee->alone, word ? word : name, words_for(error));
    free(word);
}

bool tee_sink_trouble(struct tee *tee, struct tee_sink *sink, const char *operation, int error)
{
    tee->status = STATUS_FAILED;
    sink->told = true;
    if (tee->alone)
        tell_as_gnu(tee, sink, error);
    else if (strcmp(operation, SPILL_FOR) == 0)
        message("cannot spill for '%s' into '%s': %s", sink->text, sink->spill_path,
                words_for(error));
    else
        message("cannot %s '%s': %s", operation, sink->text,
                error == -EALREADY || error == -EBUSY ? words_for(error) : address_failure(error));
    return ends_all(tee);
}

static struct tee_sink *find(struct tee *tee, unsigned id)
{
    for (unsigned i = 0; i < tee->options.sinks; i++)
        if (tee->options.sink[i].added && tee->options.sink[i].id == id)
            return &tee->options.sink[i];
    return NULL;
}

/* A pipe whose reader has left: by its end, or as a socket that was handed to us. */
static bool is_broken_pipe(const struct tee_sink *sink, const struct sluice_sink_info *info)
{
    return info->error == -EPIPE && !address_is_socket(&sink->address);
}

static int on_broken_pipe(struct tee *tee)
{
    if (tee->options.output_error != OUTPUT_SIGPIPE || signals_sigpipe_ignored())
        return 0;
    /* As the signal would have it, but that the others get what was taken for them. */
    tee->broken_pipe = true;
    sluice_fanout_end(tee->fanout);
    return 0;
}

static void tell_sink(struct tee *tee, struct tee_sink *sink, const struct sluice_sink_info *info)
{
    char delivered[UNITS_BUFFER];

    if (tee->alone || sink->closed) {
        tee_sink_trouble(tee, sink, "write to", info->error);
        return;
    }
    units_format_bytes(info->delivered, delivered);
    message("cannot write to '%s' (%s, at byte %" PRIu64 "): %s%s%s (%s delivered to it, %" PRIu64
            " bytes lost%s)",
            sink->text, info->operation, info->delivered, strerror(-info->error),
            info->reason ? "; " : "", info->reason ? info->reason : "", delivered, info->dropped,
            ends_all(tee) ? "" : "; the others go on");
    tee->status = STATUS_FAILED;
    sink->told = true;
}

static void tell_detached(const struct tee_sink *sink, const struct sluice_sink_info *info)
{
    message("'%s' is detached: %s (%" PRIu64 " bytes delivered to it, %" PRIu64 " lost)",
            sink->text, info->reason ? info->reason : "it was too slow", info->delivered,
            info->dropped);
}

int tee_on_event(sluice_fanout *fanout, unsigned id, void *data)
{
    struct tee *tee = data;
    struct sluice_sink_info info = {.size = sizeof info};
    struct tee_sink *sink = find(tee, id);

    if (!sink || sluice_fanout_sink(fanout, id, &info) < 0)
        return 0;
    progress_end(&tee->display, tee->taken); /* its line ends before a message */
    if (info.state == SLUICE_SINK_DETACHED) {
        tell_detached(sink, &info);
        return 0;
    }
    const enum output_error mode = tee->options.output_error;
    if (is_broken_pipe(sink, &info) && mode != OUTPUT_WARN && mode != OUTPUT_EXIT)
        return on_broken_pipe(tee);
    if (info.operation && strcmp(info.operation, "require") == 0) {
        tell_sink(tee, sink, &info);
        tee->status = STATUS_REQUIRED;
        return 1;
    }
    tell_sink(tee, sink, &info);
    return ends_all(tee);
}

void tee_tell_failure(struct tee *tee)
{
    const struct sluice_error *error = &tee->error;

    if (error->error == -ECANCELED && !signals_caught())
        return; /* by a sink, and that was told */
    if (error->error == -ECANCELED) {
        if (!tee->alone)
            message("stopped by SIG%s (%" PRIu64 " bytes taken)", sigabbrev_np(signals_caught()),
                    error->delivered);
        return;
    }
    tee->status = error->operation && strcmp(error->operation, "require") == 0 ? STATUS_REQUIRED
                                                                               : STATUS_FAILED;
    if (tee->alone)
        fprintf(stderr, "%s: read error: %s\n", tee->alone, strerror(-error->error));
    else if (error->side == SLUICE_SIDE_SOURCE)
        message("cannot read '%s' (%s, at byte %" PRIu64 "): %s; all that was read is delivered",
                tee->source_name, error->operation, error->offset, strerror(-error->error));
    else
        message("cannot go on (%s): %s%s%s (%" PRIu64 " bytes taken)", error->operation,
                strerror(-error->error), error->reason ? "; " : "",
                error->reason ? error->reason : "", error->delivered);
}
