/* SPDX-License-Identifier: MIT */
/* `sluice copy`: opens two ends, runs a transfer between them, and says how it went. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "checksum.h"
#include "commands.h"
#include "copy_options.h"
#include "descriptor.h"
#include "end.h"
#include "explain.h"
#include "progress.h"
#include "report.h"
#include "salvage.h"
#include "signals.h"
#include "sink_file.h"
#include "units.h"

enum { NAME_SIZE = 512 };

/* Everything a copy holds, so that one place can let it go. */
struct copy {
    struct copy_options options;
    sluice_context *context;
    sluice_cancel *cancel;
    sluice_endpoint *source, *sink;
    sluice_transfer *transfer;
    char source_name[NAME_SIZE], sink_name[NAME_SIZE];
    bool sink_is_file;
    struct sink_file file;
    struct salvage salvage;
    struct progress progress;
    uint64_t expected; /* for the display */
    time_t last_line;  /* --json=lines */
    struct timespec begun;
    struct report report;
    char checksum[CHECKSUM_HEX];
    char words[256]; /* what went wrong, as it is said */
    bool moved;      /* the transfer was run */
};

static double seconds_since(const struct timespec *begun)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - begun->tv_sec) + (double)(now.tv_nsec - begun->tv_nsec) / 1e9;
}

/* The stream that belongs to the ledger: standard output, unless bytes go there. */
static FILE *ledger_stream(const struct copy *copy)
{
    const struct address *sink = &copy->options.sink;
    const bool taken = sink->scheme == ADDRESS_STANDARD ||
                       (sink->scheme == ADDRESS_FD && sink->fd == STDOUT_FILENO);
    return taken ? stderr : stdout;
}

/* ---- opening ---- */

/* A failure before anything could move; also kept for --json. */
static enum status cannot(struct copy *copy, enum sluice_side side, const char *operation,
                          const char *name, int error)
{
    const bool stopped = error == -EINTR && signals_caught();

    copy->report.error = (struct sluice_error){.size = sizeof copy->report.error,
                                               .error = stopped ? -ECANCELED : error,
                                               .side = side,
                                               .operation = operation};
    copy->report.error_endpoint = name;
    copy->report.errno_words = error == -ENOTSUP
                                   ? "Not a regular file: it can only be written in place"
                               : error == -EALREADY ? "source and sink are the same file"
                                                    : address_failure(error);
    if (stopped) {
        copy->report.errno_words = "stopped by a signal";
        message("stopped by SIG%s %s", sigabbrev_np(signals_caught()),
                copy->moved ? "after the transfer, before its end was seen to"
                            : "before anything was moved");
        return STATUS_FAILED;
    }
    message("cannot %s '%s': %s", operation, name, copy->report.errno_words);
    return STATUS_FAILED;
}

/* What needs no work to open: a descriptor, or a device. -ENOENT: not one of those. */
static int open_simple(const struct address *address, int standard, int access, bool *ret_borrowed)
{
    int fd;

    *ret_borrowed = false;
    switch (address->scheme) {
    case ADDRESS_STANDARD:
    case ADDRESS_FD:
        *ret_borrowed = true;
        fd = address->scheme == ADDRESS_FD ? address->fd : standard;
        return fcntl(fd, F_GETFD) < 0 ? -errno : fd;
    case ADDRESS_NULL:
    case ADDRESS_ZERO:
        return own_descriptor(
            open(address->scheme == ADDRESS_NULL ? "/dev/null" : "/dev/zero", access | O_CLOEXEC));
    default:
        return -ENOENT;
    }
}

static bool is_simple(const struct address *address)
{
    return address->scheme <= ADDRESS_ZERO && address->scheme != ADDRESS_PATH;
}

static enum status make_endpoint(struct copy *copy, enum sluice_side side, int fd, bool borrowed)
{
    const bool source = side == SLUICE_SIDE_SOURCE;
    sluice_endpoint **endpoint = source ? &copy->source : &copy->sink;
    const char *name = source ? copy->source_name : copy->sink_name;

    const int error =
        sluice_endpoint_from_fd(copy->context, fd, borrowed ? SLUICE_BORROW : SLUICE_OWN, endpoint);
    if (error < 0) {
        if (!borrowed)
            close(fd);
        return cannot(copy, side, source ? "read" : "write to", name, error);
    }
    return STATUS_DONE;
}

static int open_source_path(const char *path)
{
    int fd;
    do /* a FIFO waits for its writer; another signal than a deadly one is no reason to stop */
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    while (fd < 0 && errno == EINTR && !signals_caught());
    return own_descriptor(fd);
}

static enum status open_source(struct copy *copy)
{
    const struct address *address = &copy->options.source;
    const char *operation = "open";
    bool borrowed = false;
    int fd;

    if (is_simple(address))
        fd = open_simple(address, STDIN_FILENO, O_RDONLY, &borrowed);
    else if (address->scheme == ADDRESS_PATH)
        fd = open_source_path(address->path);
    else
        fd = address_connect(address, copy->source_name, NAME_SIZE, &operation);
    if (fd < 0)
        return cannot(copy, SLUICE_SIDE_SOURCE, operation, address->text, fd);
    return make_endpoint(copy, SLUICE_SIDE_SOURCE, fd, borrowed);
}

/* Whether what is lost with a failure can be read again. */
static bool source_repeats(const struct copy *copy)
{
    struct sluice_endpoint_info info = {.size = sizeof info};
    sluice_endpoint_describe(copy->source, &info);
    return info.seekable;
}

static int open_sink_path(struct copy *copy, const char **operation)
{
    const struct copy_options *options = &copy->options;
    struct sluice_endpoint_info info = {.size = sizeof info};
    struct stat source;

    sluice_endpoint_describe(copy->source, &info);
    const bool regular = fstat(info.fd, &source) == 0 && S_ISREG(source.st_mode);
    const struct sink_request request = {
        .source = regular ? &source : NULL,
        .path = options->sink.path,
        .append = options->append,
        .keep = options->library.flags & SLUICE_SINK_OFFSET,
        .atomic = options->atomic == ATOMIC_ALWAYS,
        .in_place = options->atomic == ATOMIC_NEVER ||
                    (options->atomic == ATOMIC_DEFAULT && !source_repeats(copy)),
    };
    const int error = sink_file_open(&request, &copy->file, operation);
    if (error < 0)
        return error;
    copy->sink_is_file = true;
    return copy->file.fd;
}

static enum status open_sink(struct copy *copy)
{
    const struct address *address = &copy->options.sink;
    const char *operation = "open";
    bool borrowed = false;
    int fd;

    if (copy->options.atomic == ATOMIC_ALWAYS && address->scheme != ADDRESS_PATH)
        return cannot(copy, SLUICE_SIDE_SINK, "replace", address->text, -ENOTSUP);
    if (is_simple(address))
        fd = open_simple(address, STDOUT_FILENO, O_WRONLY, &borrowed);
    else if (address->scheme == ADDRESS_PATH)
        fd = open_sink_path(copy, &operation);
    else
        fd = address_connect(address, copy->sink_name, NAME_SIZE, &operation);
    if (fd < 0)
        return cannot(copy, SLUICE_SIDE_SINK, operation, address->text, fd);
    return make_endpoint(copy, SLUICE_SIDE_SINK, fd, borrowed);
}

/* ---- the transfer ---- */

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
                                 ledger_stream(copy));
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

static enum status explain_before(const struct copy *copy)
{
    struct explanation explanation = {
        .source_name = copy->source_name,
        .sink_name = copy->sink_name,
        .source = copy->source,
        .sink = copy->sink,
        .sink_is_new = copy->file.unnamed || copy->file.made || copy->file.temporary,
    };
    sluice_plan *plan;

    if (sluice_plan_new(copy->context, copy->source, copy->sink, &copy->options.library, &plan) < 0)
        return STATUS_FAILED;
    explanation.plan = plan;
    explain_text(&explanation, stderr);
    sluice_plan_free(plan);
    return STATUS_DONE;
}

/* The source's size is known, and it ends before what was asked for: refused before a byte moves. */
static enum status check_length(struct copy *copy)
{
    const struct sluice_options *options = &copy->options.library;
    struct sluice_endpoint_info info = {.size = sizeof info};

    sluice_endpoint_describe(copy->source, &info);
    if (!(options->flags & SLUICE_LENGTH) || !info.seekable || info.bytes == 0 ||
        !(options->flags & SLUICE_SOURCE_OFFSET || copy->options.source.scheme == ADDRESS_PATH))
        return STATUS_DONE;
    if (options->source_offset <= info.bytes &&
        options->length <= info.bytes - options->source_offset)
        return STATUS_DONE;
    message("cannot read %" PRIu64 " bytes from byte %" PRIu64 " of '%s': it has %" PRIu64,
            options->length, options->source_offset, copy->source_name, info.bytes);
    copy->report.error = (struct sluice_error){.size = sizeof copy->report.error,
                                               .error = -ENODATA,
                                               .side = SLUICE_SIDE_SOURCE,
                                               .operation = "read",
                                               .offset = info.bytes};
    copy->report.error_endpoint = copy->source_name;
    copy->report.errno_words = "it ends before the length asked for";
    return STATUS_FAILED;
}

static bool stopped_by_requirement(const struct sluice_error *error)
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
            found = class_ == SLUICE_CLASS_USER_COPY ||
                    (class_ == SLUICE_CLASS_KERNEL_COPY &&
                     copy->options.library.require == SLUICE_REQUIRE_ZERO_COPY);
            *ret = best.leg[i];
        }
    sluice_plan_free(plan);
    return found;
}

static enum status tell_requirement(struct copy *copy, const char *words)
{
    struct sluice_leg leg;

    if (offending_leg(copy, &leg))
        snprintf(copy->words, sizeof copy->words, "%s -> %s by %s is a %s", leg.from, leg.to,
                 leg.call, sluice_class_name(leg.class_));
    else
        snprintf(copy->words, sizeof copy->words, "%s", words);
    copy->report.errno_words = copy->words;
    message(
        "cannot copy '%s' to '%s' as %s demands: %s (expected, from a table: nothing measured); "
        "nothing was moved",
        copy->source_name, copy->sink_name,
        copy->options.library.require == SLUICE_REQUIRE_ZERO_COPY ? "zero-copy" : "no-user-copy",
        copy->words);
    return STATUS_REQUIRED;
}

/* Why no transfer could be made, with what the library said. */
static enum status refused(struct copy *copy, int error)
{
    const struct sluice_error *why = &copy->report.error;
    const char *words = why->reason ? why->reason : strerror(-error);

    copy->report.errno_words = words;
    if (stopped_by_requirement(why))
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

static enum status make_transfer(struct copy *copy)
{
    struct sluice_options *options = &copy->options.library;

    enum status status = check_length(copy);
    if (status != STATUS_DONE)
        return status;
    options->flags |= SLUICE_NO_SIGPIPE;
    if (copy->options.stats || copy->options.json)
        options->flags |= SLUICE_TIME_CALLS | SLUICE_WITNESS;
    options->cancel = copy->cancel;
    options->progress = on_progress;
    options->progress_data = copy;
    copy->report.error.size = sizeof copy->report.error;
    int error = sluice_transfer_new(copy->context, copy->source, copy->sink, options,
                                    &copy->transfer, &copy->report.error);
    if (error < 0)
        return refused(copy, error);
    if (copy->options.verbose)
        status = explain_before(copy);
    if (status == STATUS_DONE && options->require)
        notice("sluice: the requirement is met by what is expected, from a table: nothing was "
               "measured");
    if (status == STATUS_DONE && copy->options.salvage) {
        error = salvage_open(&copy->salvage, copy->options.salvage, options->pipe_size);
        if (error == 0 && copy->sink_is_file && salvage_is(&copy->salvage, copy->file.path)) {
            message("'%s' cannot be both the sink and the salvage file", copy->options.salvage);
            return STATUS_USAGE;
        }
        if (error < 0)
            return cannot(copy, SLUICE_SIDE_SETUP, "create", copy->options.salvage, error);
    }
    if (status == STATUS_DONE && signals_caught())
        return cannot(copy, SLUICE_SIDE_SETUP, "begin", copy->sink_name, -EINTR);
    if (status == STATUS_DONE && copy->sink_is_file) {
        error = sink_file_begin(&copy->file);
        if (error < 0)
            return cannot(copy, SLUICE_SIDE_SINK, "empty", copy->sink_name, error);
    }
    return status;
}

/* ---- after the transfer ---- */

/* "(1.20 GiB delivered; 256 KiB taken from '-' and not delivered, lost: give --salvage …)" */
static void fate(const struct copy *copy, uint64_t parked, char *text, size_t size)
{
    char delivered[32], held[32];

    units_format_bytes(copy->report.error.delivered, delivered);
    units_format_bytes(parked, held);
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

static void tell_failure(struct copy *copy, uint64_t parked)
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

static enum status failed(struct copy *copy)
{
    const uint64_t parked = sluice_transfer_parked(copy->transfer);

    sluice_transfer_error(copy->transfer, &copy->report.error);
    copy->report.error.parked = parked;
    if (copy->options.salvage)
        copy->report.salvaged = salvage_write(&copy->salvage, copy->transfer);
    /* The reader of standard output has left: die as others do, without a word. */
    if (copy->report.error.error == -EPIPE && copy->report.error.side == SLUICE_SIDE_SINK &&
        copy->options.sink.scheme == ADDRESS_STANDARD && !signals_sigpipe_ignored())
        return (enum status)(128 + SIGPIPE);
    tell_failure(copy, parked);
    if (copy->report.error.error == -ECANCELED && signals_caught())
        return (enum status)(128 + signals_caught());
    return stopped_by_requirement(&copy->report.error) ? STATUS_REQUIRED : STATUS_FAILED;
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
    copy->report.error =
        (struct sluice_error){.size = sizeof copy->report.error,
                              .error = error,
                              .side = SLUICE_SIDE_SINK,
                              .operation = "shutdown",
                              .delivered = sluice_transfer_delivered(copy->transfer)};
    copy->report.error.offset = copy->report.error.delivered;
    copy->report.error_endpoint = copy->sink_name;
    copy->report.errno_words = strerror(-error);
    message("the peer '%s' did not take everything: %s (%" PRIu64 " bytes delivered to the kernel, "
            "%" PRIu64 " of them not acknowledged)",
            copy->sink_name, strerror(-error), copy->report.error.delivered, unsent);
    return STATUS_FAILED;
}

/* A descriptor to read back what was delivered: the sink's file, else the source's. Returns it, to
 * be closed, with the offset of the first delivered byte. */
static int reread(const struct copy *copy, const sluice_endpoint *endpoint, uint64_t offset,
                  bool offset_given, uint64_t *ret_offset)
{
    struct sluice_endpoint_info info = {.size = sizeof info};
    char path[32];

    sluice_endpoint_describe(endpoint, &info);
    if (!info.seekable)
        return -ESPIPE;
    snprintf(path, sizeof path, "/proc/self/fd/%d", info.fd);
    const int fd = own_descriptor(open(path, O_RDONLY | O_CLOEXEC));
    if (fd < 0)
        return fd;
    *ret_offset = offset;
    if (!offset_given) {
        const off_t at = lseek(info.fd, 0, SEEK_CUR);
        *ret_offset = (uint64_t)at - sluice_transfer_delivered(copy->transfer);
    }
    return fd;
}

static enum status compute_checksum(struct copy *copy)
{
    const struct sluice_options *options = &copy->options.library;
    const char *of = copy->sink_name;
    uint64_t offset;

    int fd = reread(copy, copy->sink, options->sink_offset, options->flags & SLUICE_SINK_OFFSET,
                    &offset);
    if (fd < 0) {
        of = copy->source_name;
        fd = reread(copy, copy->source, options->source_offset,
                    options->flags & SLUICE_SOURCE_OFFSET, &offset);
    }
    int error = fd < 0 ? fd : 0;
    if (fd >= 0) {
        checksum_stop_when(signals_caught);
        error = checksum_of_range(fd, offset, sluice_transfer_delivered(copy->transfer),
                                  copy->options.checksum, copy->checksum);
        close(fd);
    }
    if (error < 0)
        return cannot(copy, SLUICE_SIDE_SETUP, "compute the checksum of", of, error);
    copy->report.checksum = copy->checksum;
    copy->report.checksum_name = checksum_name(copy->options.checksum);
    copy->report.checksum_of = of;
    if (!copy->options.json)
        fprintf(ledger_stream(copy), "%s  %s  (%s)\n", copy->checksum, of,
                copy->report.checksum_name);
    return STATUS_DONE;
}

/* Known before a byte moves: no end is there to be read again. */
static enum status check_checksum(struct copy *copy)
{
    struct sluice_endpoint_info source = {.size = sizeof source}, sink = {.size = sizeof sink};

    sluice_endpoint_describe(copy->source, &source);
    sluice_endpoint_describe(copy->sink, &sink);
    if (!copy->options.checksum || source.seekable || sink.seekable)
        return STATUS_DONE;
    return cannot(copy, SLUICE_SIDE_SETUP, "compute the checksum, reading again", copy->sink_name,
                  -ESPIPE);
}

static enum status finish(struct copy *copy)
{
    enum status status = end_socket(copy);

    if (status == STATUS_DONE && copy->options.checksum)
        status = compute_checksum(copy);
    if (status == STATUS_DONE && copy->sink_is_file) {
        const int error = sink_file_commit(&copy->file);
        if (error < 0)
            status = cannot(copy, SLUICE_SIDE_SINK, "give its name to", copy->sink_name, error);
    }
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
               ? cannot(copy, SLUICE_SIDE_SINK, "close", copy->sink_name, error)
               : status;
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
    return error < 0 ? failed(copy) : finish(copy);
}

static void print_ledger(struct copy *copy)
{
    copy->report.source = copy->source_name;
    copy->report.sink = copy->sink_name;
    copy->report.transfer = copy->transfer;
    if (copy->options.stats && copy->moved)
        report_text(&copy->report, stderr);
    if (copy->options.json)
        report_json(&copy->report, copy->options.json == JSON_LINES, ledger_stream(copy));
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
        return STATUS_FAILED;
    }
    signals_set_cancel(copy->cancel);
    snprintf(copy->source_name, NAME_SIZE, "%s", copy->options.source.text);
    snprintf(copy->sink_name, NAME_SIZE, "%s", copy->options.sink.text);
    enum status status = open_source(copy);
    if (status == STATUS_DONE)
        status = open_sink(copy);
    if (status == STATUS_DONE)
        status = check_checksum(copy);
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
