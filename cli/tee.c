/* SPDX-License-Identifier: MIT */
/* `sluice tee`: opens one source and many sinks, runs a fan-out, and says how it went. */
#include "tee.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "printable.h"
#include "probe_cache.h"
#include "signals.h"

static double seconds_since(const struct timespec *begun)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - begun->tv_sec) + (double)(now.tv_nsec - begun->tv_nsec) / 1e9;
}

static int on_progress(const struct sluice_progress *at, void *data)
{
    struct tee *tee = data;

    tee->taken = at->delivered;
    progress_update(&tee->display, at->delivered);
    if (signals_take_line())
        progress_line(&tee->display, at->delivered, false);
    return 0;
}

static int on_probe(const char *what, void *data)
{
    (void)what, (void)data;
    return signals_caught();
}

/* What only a measurement can promise is measured before a byte moves. */
static int measure(struct tee *tee)
{
    const char *const directories[] = {".", "/tmp", "/var/tmp", "/dev/shm"};
    const struct sluice_probe_options options = {
        .size = sizeof options,
        .flags = SLUICE_PROBE_MEMORY | SLUICE_PROBE_SOCKETS | SLUICE_PROBE_QUICK,
        .directories = sizeof directories / sizeof *directories,
        .directory = directories,
        .progress = on_probe,
    };

    int error = sluice_probe_new(&tee->probe);
    if (error >= 0)
        error = sluice_probe_run(tee->probe, tee->context, &options);
    if (error >= 0)
        sluice_context_use_probe(tee->context, tee->probe);
    return error;
}

static enum status prepare(struct tee *tee)
{
    struct tee_options *options = &tee->options;
    /* For each sink the pipes of its backlog, and a feed and a hand if it is isolated. */
    const struct sluice_context_options how = {.size = sizeof how,
                                               .max_pipes = 64 + 4 * options->sinks};
    int error;

    if (options->ignore_interrupts)
        signal(SIGINT, SIG_IGN);
    if (tee->alone)
        signals_ignore_sigpipe();
    else
        signals_install();
    tee->context = sluice_context_new(&how, &error);
    if (!tee->context || sluice_cancel_new(SLUICE_CANCEL_SIGNAL, &tee->cancel) < 0)
        return tee_cannot(tee, "begin with", "not enough memory", -ENOMEM);
    signals_set_cancel(tee->cancel);
    if (options->library.require == SLUICE_REQUIRE_ZERO_COPY) {
        error = measure(tee);
        if (error < 0)
            return tee_cannot(tee, "measure for", tee->source_name,
                              signals_caught() ? -EINTR : error);
    } else if (options->stats || options->json) {
        tee->probe = probe_cache_use(tee->context);
    }
    options->library.flags |= SLUICE_NO_SIGPIPE;
    /* As GNU tee has it: whether readers are still there is asked only where it matters. */
    if (options->output_error != OUTPUT_WARN_NOPIPE && options->output_error != OUTPUT_EXIT_NOPIPE)
        options->library.flags |= SLUICE_FANOUT_NO_HUP;
    options->library.linger = options->linger ? options->linger : 1;
    options->library.cancel = tee->cancel;
    options->library.event = tee_on_event;
    options->library.event_data = tee;
    options->library.progress = tee->alone ? NULL : on_progress;
    options->library.progress_data = tee;
    const enum status status = tee_open_source(tee);
    return status == STATUS_DONE ? tee_open_sinks(tee) : status;
}

static void run(struct tee *tee)
{
    const bool shown = tee->options.progress && !tee->options.quiet;

    progress_begin(&tee->display, shown ? PROGRESS_BAR : PROGRESS_NONE, UINT64_MAX, false);
    if (shown)
        signals_tick(100);
    clock_gettime(CLOCK_MONOTONIC, &tee->begun);
    getrusage(RUSAGE_SELF, &tee->before);
    tee->error.size = sizeof tee->error;
    const int error = sluice_fanout_run(tee->fanout);
    getrusage(RUSAGE_SELF, &tee->after);
    tee->seconds = seconds_since(&tee->begun);
    if (shown) {
        struct sluice_fanout_ledger ledger = {.size = sizeof ledger};
        signals_tick(0);
        sluice_fanout_ledger(tee->fanout, &ledger);
        progress_end(&tee->display, ledger.taken);
    }
    if (error >= 0)
        return;
    sluice_fanout_error(tee->fanout, &tee->error);
    tee_tell_failure(tee);
}

/* What was dropped is told, whether anybody asked or not. */
static void tell_dropped(const struct tee *tee)
{
    for (unsigned i = 0; i < tee->options.sinks; i++) {
        const struct tee_sink *sink = &tee->options.sink[i];
        struct sluice_sink_info info = {.size = sizeof info};
        if (!sink->added || sluice_fanout_sink(tee->fanout, sink->id, &info) < 0 ||
            info.state != SLUICE_SINK_DONE)
            continue;
        if (info.dropped > 0)
            notice("sluice: '%s' was too slow for %llu of %llu bytes: they were dropped",
                   sink->text, (unsigned long long)info.dropped,
                   (unsigned long long)(info.dropped + info.delivered));
    }
}

static void report(const struct tee *tee)
{
    char shown[PRINTABLE_SIZE(sizeof tee->source_name)];

    if (tee->alone || !tee->fanout)
        return;
    tell_dropped(tee);
    if (*tee->digest && !tee->options.json)
        fprintf(stderr, "%s  %s  (%s, as it was read)\n", tee->digest,
                printable(tee->source_name, shown, sizeof shown),
                checksum_name(tee->options.checksum));
    if (tee->options.stats)
        tee_report_text(tee, stderr);
    if (tee->options.json)
        tee_report_json(tee, stderr);
}

/* The close of a file has the last word on whether its bytes were taken. */
static void close_sink(struct tee *tee, struct tee_sink *sink)
{
    if (sink->added)
        sluice_fanout_remove(tee->fanout, sink->id);
    const int error = sink->endpoint ? sluice_endpoint_free(sink->endpoint) : 0;
    if (error < 0 && !sink->told)
        tee_sink_trouble(tee, sink, "close", error);
    sluice_endpoint_free(sink->spill);
}

/* Sinks that spill come last: the thread of a file that hangs is waited for. */
static void let_go(struct tee *tee)
{
    signals_set_cancel(NULL);
    for (int spills = 0; spills < 2; spills++)
        for (unsigned i = 0; i < tee->options.sinks; i++)
            if ((tee->options.sink[i].spill != NULL) == spills)
                close_sink(tee, &tee->options.sink[i]);
    sluice_fanout_free(tee->fanout);
    sluice_endpoint_free(tee->source);
    sluice_cancel_free(tee->cancel);
    sluice_context_free(tee->context);
    sluice_probe_free(tee->probe);
}

static int tee_main(struct tee *tee, int argc, char **argv)
{
    const int parsed = tee_options_parse(tee, argc, argv);

    if (parsed != STATUS_DONE) {
        tee_options_free(&tee->options);
        return parsed < 0 ? STATUS_DONE : parsed;
    }
    message_quiet = tee->options.quiet;
    const enum status status = prepare(tee);
    if (status == STATUS_DONE)
        run(tee);
    else
        tee->status = status;
    tee_close_sinks(tee);
    report(tee);
    let_go(tee);
    tee_options_free(&tee->options);
    if (tee->broken_pipe)
        signals_die_of(SIGPIPE);
    if (signals_caught())
        signals_die_of(signals_caught());
    return (int)tee->status;
}

int command_tee(int argc, char **argv)
{
    struct tee tee = {0};
    return tee_main(&tee, argc, argv);
}

int command_tee_alone(int argc, char **argv)
{
    struct tee tee = {.alone = argv[0]};
    const int status = tee_main(&tee, argc, argv);

    /* What --help or --version printed must have got there. */
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    fprintf(stderr, "%s: write error: %s\n", tee.alone, strerror(errno));
    return STATUS_FAILED;
}
