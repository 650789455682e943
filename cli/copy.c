/* SPDX-License-Identifier: MIT */
/* `sluice copy`: opens two ends, runs a transfer between them, and says how it went. */
#include "copy.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "commands.h"
#include "end.h"
#include "explain.h"
#include "probe_cache.h"
#include "signals.h"
#include "units.h"

static double seconds_since(const struct timespec *begun)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - begun->tv_sec) + (double)(now.tv_nsec - begun->tv_nsec) / 1e9;
}

FILE *copy_ledger_stream(const struct copy *copy)
{
    return copy->sink_is_stdout ? stderr : stdout;
}

static int on_progress(const struct sluice_progress *at, void *data)
{
    struct copy *copy = data;

    progress_update(&copy->progress, at->delivered);
    if (signals_take_line())
        progress_line(&copy->progress, at->delivered, false);
    if (copy->options.json == JSON_LINES) {
        const time_t now = time(NULL);
        if (now != copy->last_line)
            report_json_progress(at->delivered, copy->expected, seconds_since(&copy->begun),
                                 copy_ledger_stream(copy));
        copy->last_line = now;
    }
    return 0;
}

/* The bar is for people: on a terminal, or where it was asked for. */
static void begin_progress(struct copy *copy)
{
    const struct copy_options *options = &copy->options;
    const bool shown =
        !options->quiet && (options->progress || options->numeric || isatty(STDERR_FILENO));
    const enum progress_style style = !shown             ? PROGRESS_NONE
                                      : options->numeric ? PROGRESS_NUMERIC
                                                         : PROGRESS_BAR;
    const bool delayed = !options->progress && !options->numeric;

    progress_begin(&copy->progress, style, copy->expected, delayed);
    copy->last_line = time(NULL);
    if (shown || options->json == JSON_LINES)
        signals_tick(100);
}

/* What is expected to be delivered, for the display: as given, or the source's size. */
static uint64_t expected_size(const struct copy *copy)
{
    const struct sluice_options *options = &copy->options.library;
    struct sluice_endpoint_info info = {.size = sizeof info};
    uint64_t left = UINT64_MAX;

    if (copy->options.size != UINT64_MAX)
        return copy->options.size;
    sluice_endpoint_describe(copy->source, &info);
    if (info.seekable && info.bytes > 0) {
        uint64_t from = options->source_offset;
        if (!(options->flags & SLUICE_SOURCE_OFFSET)) {
            const off_t at = lseek(info.fd, 0, SEEK_CUR);
            from = at > 0 ? (uint64_t)at : 0;
        }
        left = info.bytes > from ? info.bytes - from : 0;
    }
    if ((options->flags & SLUICE_LENGTH) && options->length < left)
        left = options->length;
    return left;
}

static enum status explain_before(struct copy *copy)
{
    struct explanation explanation = {
        .source_name = copy->source_name,
        .sink_name = copy->sink_name,
        .source = copy->source,
        .sink = copy->sink,
        .sink_is_new = copy->file.unnamed || copy->file.made || copy->file.temporary,
    };
    sluice_plan *plan;

    const int error =
        sluice_plan_new(copy->context, copy->source, copy->sink, &copy->options.library, &plan);
    if (error < 0)
        return copy_cannot(copy, SLUICE_SIDE_SETUP, "plan for", copy->sink_name, error);
    explanation.plan = plan;
    explain_text(&explanation, stderr);
    sluice_plan_free(plan);
    return STATUS_DONE;
}

/* The source's size is known, and it ends before what was asked for, or before it begins: refused before
 * a byte moves. */
static enum status check_extent(struct copy *copy)
{
    const struct sluice_options *options = &copy->options.library;
    struct sluice_endpoint_info info = {.size = sizeof info};
    const uint64_t from = options->source_offset;
    const bool bounded = options->flags & SLUICE_LENGTH;

    sluice_endpoint_describe(copy->source, &info);
    if (!info.seekable || info.bytes == 0 ||
        !(options->flags & SLUICE_SOURCE_OFFSET || copy->options.source.scheme == ADDRESS_PATH))
        return STATUS_DONE;
    if (from <= info.bytes && (!bounded || options->length <= info.bytes - from))
        return STATUS_DONE;
    if (bounded)
        message("cannot read %" PRIu64 " bytes from byte %" PRIu64 " of '%s': it has %" PRIu64,
                options->length, from, copy->source_name, info.bytes);
    else
        message("cannot read from byte %" PRIu64 " of '%s': it has %" PRIu64, from,
                copy->source_name, info.bytes);
    copy_record(copy, SLUICE_SIDE_SOURCE, "read", copy->source_name, -ENODATA,
                bounded ? "it ends before the length asked for"
                        : "it ends before the offset asked for");
    copy->report.error.offset = info.bytes;
    return STATUS_FAILED;
}

/* Between two ends that others feed and drain, our own sockets do not make a call wait: the library
 * waits better itself. Next to a file they do, which takes the fewest calls. */
static void relay_without_waiting(const struct copy *copy)
{
    const struct address *const addresses[] = {&copy->options.source, &copy->options.sink};
    struct sluice_endpoint_info info[] = {{.size = sizeof *info}, {.size = sizeof *info}};

    sluice_endpoint_describe(copy->source, &info[0]);
    sluice_endpoint_describe(copy->sink, &info[1]);
    if (info[0].seekable || info[1].seekable)
        return;
    for (int i = 0; i < 2; i++)
        if (address_is_socket(addresses[i]))
            fcntl(info[i].fd, F_SETFL, info[i].open_flags | O_NONBLOCK);
}

static bool is_sink(const struct copy *copy, const struct salvage *salvage)
{
    const struct sink_file *file = &copy->file;
    return copy->sink_is_file && (salvage_is(salvage, file->path) ||
                                  (file->partial && salvage_is(salvage, file->partial)));
}

static enum status two_in_one(struct copy *copy)
{
    static const char why[] = "it cannot be both the sink and the salvage file";

    message("cannot create '%s': %s", copy->options.salvage, why);
    copy_record(copy, SLUICE_SIDE_SETUP, "create", copy->options.salvage, -EBUSY, why);
    return STATUS_USAGE;
}

static enum status make_transfer(struct copy *copy)
{
    struct sluice_options *options = &copy->options.library;

    enum status status = check_extent(copy);
    if (status != STATUS_DONE)
        return status;
    relay_without_waiting(copy);
    options->flags |= SLUICE_NO_SIGPIPE;
    if (copy->options.stats || copy->options.json)
        options->flags |= SLUICE_TIME_CALLS | SLUICE_WITNESS;
    options->cancel = copy->cancel;
    options->progress = on_progress;
    options->progress_data = copy;
    if (options->require == SLUICE_REQUIRE_ZERO_COPY)
        status = copy_probe(copy);
    if (status != STATUS_DONE)
        return status;
    copy->report.error.size = sizeof copy->report.error;
    int error = sluice_transfer_new(copy->context, copy->source, copy->sink, options,
                                    &copy->transfer, &copy->report.error);
    if (error < 0)
        return copy_refused(copy, error);
    if (copy->options.verbose)
        status = explain_before(copy);
    if (status == STATUS_DONE && options->require == SLUICE_REQUIRE_NO_USER_COPY)
        notice("sluice: the requirement is met by what is expected, from a table: nothing was "
               "measured");
    if (status == STATUS_DONE && copy->options.salvage) {
        error = salvage_open(&copy->salvage, copy->options.salvage, options->pipe_size);
        if (error == 0 && is_sink(copy, &copy->salvage))
            return two_in_one(copy);
        if (error < 0)
            return copy_cannot(copy, SLUICE_SIDE_SETUP, "create", copy->options.salvage, error);
    }
    if (status == STATUS_DONE && signals_caught())
        return copy_cannot(copy, SLUICE_SIDE_SETUP, "begin", copy->sink_name, -EINTR);
    if (status == STATUS_DONE && copy->sink_is_file) {
        error = sink_file_begin(&copy->file);
        if (error < 0)
            return copy_cannot(copy, SLUICE_SIDE_SINK, "empty", copy->sink_name, error);
    }
    return status;
}

static enum status failed(struct copy *copy)
{
    const uint64_t parked = sluice_transfer_parked(copy->transfer);

    sluice_transfer_error(copy->transfer, &copy->report.error);
    copy->report.error.parked = parked;
    if (copy->options.salvage)
        salvage_write(&copy->salvage, copy->transfer);
    copy->report.salvaged = copy->salvage.kept;
    copy->report.unsaved = copy->salvage.lost;
    copy_keep_partial(copy);
    /* The reader of standard output has left: die as others do, without a word. */
    if (copy->report.error.error == -EPIPE && copy->report.error.side == SLUICE_SIDE_SINK &&
        copy->options.sink.scheme == ADDRESS_STANDARD && !signals_sigpipe_ignored())
        return (enum status)(128 + SIGPIPE);
    copy_tell_failure(copy, parked);
    if (copy->report.error.error == -ECANCELED && signals_caught())
        return (enum status)(128 + signals_caught());
    return copy_stopped_by_requirement(&copy->report.error) ? STATUS_REQUIRED : STATUS_FAILED;
}

static enum status end_socket(struct copy *copy)
{
    struct sluice_endpoint_info info = {.size = sizeof info};
    uint64_t unsent = 0;

    sluice_endpoint_describe(copy->sink, &info);
    if (info.kind != SLUICE_KIND_STREAM || !address_is_socket(&copy->options.sink))
        return STATUS_DONE;
    const int error = end_stream(info.fd, copy->options.linger, &unsent);
    if (error >= 0)
        return STATUS_DONE;
    copy_record(copy, SLUICE_SIDE_SINK, "shutdown", copy->sink_name, error, strerror(-error));
    copy->report.error.delivered = sluice_transfer_delivered(copy->transfer);
    copy->report.error.offset = copy->report.error.delivered;
    message("the peer '%s' did not take everything: %s (%" PRIu64 " bytes delivered to the kernel, "
            "%" PRIu64 " of them not acknowledged)",
            copy->sink_name, strerror(-error), copy->report.error.delivered, unsent);
    return STATUS_FAILED;
}

static enum status finish(struct copy *copy)
{
    enum status status = end_socket(copy);

    if (status == STATUS_DONE && (copy->options.sync || copy->options.verify))
        status = copy_sync(copy);
    if (status == STATUS_DONE && copy->options.verify)
        status = copy_verify(copy);
    if (status == STATUS_DONE && copy->options.checksum)
        status = copy_checksum(copy);
    if (status == STATUS_DONE && copy->sink_is_file) {
        const int error = sink_file_commit(&copy->file);
        if (error < 0)
            status =
                copy_cannot(copy, SLUICE_SIDE_SINK, "give its name to", copy->sink_name, error);
    }
    if (status != STATUS_DONE && status != STATUS_VERIFY) /* else it is not what the source has */
        copy_keep_partial(copy);
    if (status == STATUS_DONE && copy->options.sync)
        status = copy_sync_name(copy);
    return status;
}

/* The sink's close has the last word, and the ledger is to know it. */
static enum status close_sink(struct copy *copy, enum status status)
{
    if (!copy->moved) { /* it was never run: it is to end before what it stands on */
        sluice_transfer_discard(copy->transfer);
        copy->transfer = NULL;
    }
    const int error = sluice_endpoint_free(copy->sink);
    copy->sink = NULL;
    return error < 0 && status == STATUS_DONE
               ? copy_cannot(copy, SLUICE_SIDE_SINK, "close", copy->sink_name, error)
               : status;
}

/* What a socket held at the end it may have let go by now. */
static void uncache(struct copy *copy)
{
    char text[32];

    if (copy->options.library.cache == SLUICE_CACHE_KEEP)
        return;
    copy->report.uncached = true;
    copy->report.cache_left = sluice_transfer_uncache(copy->transfer);
    if (copy->report.cache_left == UINT64_MAX)
        notice("sluice: what stayed in the page cache cannot be told");
    else if (copy->report.cache_left > 0)
        notice("sluice: %s stayed in the page cache",
               units_format_bytes(copy->report.cache_left, text));
}

static enum status run(struct copy *copy)
{
    copy->expected = expected_size(copy);
    begin_progress(copy);
    clock_gettime(CLOCK_MONOTONIC, &copy->begun);
    getrusage(RUSAGE_SELF, &copy->report.before);
    copy->moved = true;
    const int error = sluice_transfer_run(copy->transfer);
    getrusage(RUSAGE_SELF, &copy->report.after);
    copy->report.seconds = seconds_since(&copy->begun);
    signals_tick(0);
    progress_end(&copy->progress, sluice_transfer_delivered(copy->transfer));
    if (signals_take_line())
        progress_line(&copy->progress, sluice_transfer_delivered(copy->transfer), true);
    const enum status status = error < 0 ? failed(copy) : finish(copy);
    uncache(copy);
    return status;
}

static void print_ledger(struct copy *copy)
{
    copy->report.source = copy->source_name;
    copy->report.sink = copy->sink_name;
    copy->report.transfer = copy->transfer;
    if (copy->options.stats && copy->moved)
        report_text(&copy->report, stderr);
    if (copy->options.json)
        report_json(&copy->report, copy->options.json == JSON_LINES, copy_ledger_stream(copy));
}

static void let_go(struct copy *copy)
{
    signals_set_cancel(NULL);
    sluice_transfer_discard(copy->transfer);
    if (copy->sink_is_file)
        sink_file_leave(&copy->file, !copy->moved);
    salvage_close(&copy->salvage);
    sluice_endpoint_free(copy->source);
    sluice_cancel_free(copy->cancel);
    sluice_context_free(copy->context);
    sluice_probe_free(copy->probe);
    copy_options_free(&copy->options);
}

static enum status prepare(struct copy *copy)
{
    int error;

    message_quiet = copy->options.quiet;
    signals_install();
    copy->context = sluice_context_new(NULL, &error);
    if (!copy->context || sluice_cancel_new(SLUICE_CANCEL_SIGNAL, &copy->cancel) < 0) {
        message("not enough memory");
        copy_record(copy, SLUICE_SIDE_SETUP, "begin", NULL, -ENOMEM, "not enough memory");
        return STATUS_FAILED;
    }
    signals_set_cancel(copy->cancel);
    if (copy->options.stats || copy->options.json || copy->options.verbose)
        copy->probe = probe_cache_use(copy->context);
    snprintf(copy->source_name, NAME_SIZE, "%s", copy->options.source.text);
    snprintf(copy->sink_name, NAME_SIZE, "%s", copy->options.sink.text);
    enum status status = copy_open_source(copy);
    if (status == STATUS_DONE)
        status = copy_open_sink(copy);
    if (status == STATUS_DONE)
        status = copy_check_checksum(copy);
    if (status == STATUS_DONE)
        status = copy_check_sync(copy);
    if (status == STATUS_DONE)
        status = copy_resume(copy);
    return status == STATUS_DONE ? make_transfer(copy) : status;
}

int command_copy(int argc, char **argv)
{
    struct copy copy = {.salvage.fd = -1};
    const int parsed = copy_options_parse("copy", argc, argv, &copy.options);

    if (parsed != STATUS_DONE) {
        copy_options_free(&copy.options);
        return parsed < 0 ? STATUS_DONE : parsed;
    }
    enum status status = prepare(&copy);
    if (status == STATUS_DONE)
        status = run(&copy);
    status = close_sink(&copy, status);
    print_ledger(&copy);
    let_go(&copy);
    if (status == (enum status)(128 + SIGPIPE))
        signals_die_of(SIGPIPE);
    return signals_caught() && status != STATUS_DONE ? 128 + signals_caught() : (int)status;
}
