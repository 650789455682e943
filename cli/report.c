/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "printable.h"
#include "probe_cache.h"
#include "units.h"

static double timeval_seconds(struct timeval after, struct timeval before)
{
    return (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_usec - before.tv_usec) / 1e6;
}

void report_cpu(const struct report *report, double *user, double *system)
{
    *user = timeval_seconds(report->after.ru_utime, report->before.ru_utime);
    *system = timeval_seconds(report->after.ru_stime, report->before.ru_stime);
}

const char *errno_name(int error)
{
    const char *name = strerrorname_np(error < 0 ? -error : error);
    return name ? name : "?";
}

double report_copies(const struct sluice_ledger *ledger)
{
    return ledger->delivered ? (double)ledger->copied / (double)ledger->delivered : 0;
}

static void print_legs(const struct report *report, unsigned rows, FILE *out)
{
    char bytes[32], calls[32], eagain[32], leg[64];

    fprintf(out, "%-18s %-15s  %-11s  %-8s  %10s  %10s  %6s\n", "leg", "call", "class", "known",
            "bytes", "calls", "EAGAIN");
    for (unsigned i = 0; i < rows; i++) {
        struct sluice_row row = {.size = sizeof row};
        if (sluice_transfer_row(report->transfer, i, &row) < 0)
            break;
        snprintf(leg, sizeof leg, "%s -> %s", row.leg.from, row.leg.to);
        fprintf(out, "%-18s %-15s  %-11s  %-8s  %10s  %10s  %6s\n", leg, row.leg.call,
                sluice_class_name(row.leg.class_), sluice_known_name(row.leg.known),
                units_format_bytes(row.bytes, bytes), units_format_count(row.calls, calls),
                units_format_count(row.eagain, eagain));
    }
}

static void print_fallbacks(const struct report *report, unsigned fallbacks, FILE *out)
{
    if (!fallbacks)
        fprintf(out, "fallbacks     none\n");
    for (unsigned i = 0; i < fallbacks; i++) {
        struct sluice_fallback fallback = {.size = sizeof fallback};
        if (sluice_transfer_fallback(report->transfer, i, &fallback) < 0)
            break;
        fprintf(out, "%-13s %s -> %s at byte %" PRIu64 ": %s: %s%s%s\n", i ? "" : "fallbacks",
                sluice_method_name(fallback.from), sluice_method_name(fallback.to), fallback.at,
                fallback.call, fallback.error ? strerror(-fallback.error) : "",
                fallback.error && fallback.reason ? "; " : "",
                fallback.reason ? fallback.reason : "");
    }
}

static void print_pipe(const struct sluice_ledger *ledger, FILE *out)
{
    char asked[32], got[32];
    if (ledger->pipe_got)
        fprintf(out, "pipe          %s asked, %s got\n",
                units_format_bytes(ledger->pipe_asked, asked),
                units_format_bytes(ledger->pipe_got, got));
}

static void print_readahead(const struct sluice_ledger *ledger, FILE *out)
{
    char text[32];
    if (ledger->read_ahead)
        fprintf(out, "readahead     %s asked for ahead of the cursor\n",
                units_format_bytes(ledger->read_ahead, text));
}

static void print_depth(const struct sluice_ledger *ledger, FILE *out)
{
    if (ledger->engine)
        fprintf(out, "in flight     %" PRIu64 " requests at most, by %s%s%s%s\n", ledger->depth,
                ledger->engine, ledger->engine_refused ? " (io_uring: " : "",
                ledger->engine_refused ? strerror(-(int)ledger->engine_refused) : "",
                ledger->engine_refused ? ")" : "");
}

/* Where the page cache is to be left as it was found: by which of the two ways. */
static void print_cache(const struct report *report, unsigned rows, FILE *out)
{
    uint64_t read = 0, written = 0;
    char texts[2][32];

    if (!report->uncached)
        return;
    for (unsigned i = 0; i < rows; i++) {
        struct sluice_row row = {.size = sizeof row};
        if (sluice_transfer_row(report->transfer, i, &row) < 0 || !row.leg.variant ||
            strcmp(row.leg.variant, "RWF_DONTCACHE") != 0)
            continue;
        *(strcmp(row.leg.to, "user") == 0 ? &read : &written) += row.bytes;
    }
    fprintf(out, "page cache    left as it was: %s read and %s written by RWF_DONTCACHE\n",
            units_format_bytes(read, texts[0]), units_format_bytes(written, texts[1]));
}

static const char *known_words(const struct report *report, unsigned rows, char text[static 64])
{
    unsigned proven = 0;
    uint64_t oldest = 0;

    for (unsigned i = 0; i < rows; i++) {
        struct sluice_row row = {.size = sizeof row};
        if (sluice_transfer_row(report->transfer, i, &row) < 0 || row.leg.known != SLUICE_PROVEN ||
            !row.leg.at)
            continue;
        oldest = proven++ && oldest < row.leg.at ? oldest : row.leg.at;
    }
    return probe_cache_known(rows, proven, oldest, text);
}

void report_text(const struct report *report, FILE *out)
{
    struct sluice_ledger ledger = {.size = sizeof ledger};
    const struct rusage *after = &report->after, *before = &report->before;
    char bytes[32], rate[32], calls[32], polls[32], parked[32], known[64];
    char names[2][PRINTABLE_SIZE(PATH_MAX)];
    double user, system;

    if (!report->transfer)
        return;
    sluice_transfer_ledger(report->transfer, &ledger);
    report_cpu(report, &user, &system);
    const double gib = (double)ledger.delivered / (1 << 30);
    fprintf(out, "%s -> %s   %s in %.2f s   %s\n\n",
            printable(report->source, names[0], sizeof names[0]),
            printable(report->sink, names[1], sizeof names[1]),
            units_format_bytes(ledger.delivered, bytes), report->seconds,
            units_format_rate(report->seconds > 0 ? (double)ledger.delivered / report->seconds : 0,
                              rate));
    print_legs(report, ledger.rows, out);
    fprintf(out, "\ncopies/byte   %.2f   (read+write 2.00); %s\n", report_copies(&ledger),
            known_words(report, ledger.rows, known));
    fprintf(out, "cpu           %.2f s (%.2f s/GiB), user %.2f, system %.2f\n", user + system,
            gib > 0 ? (user + system) / gib : 0, user, system);
    fprintf(out, "calls         %s (and %s polls); two mode switches each\n",
            units_format_count(ledger.calls, calls), units_format_count(ledger.polls, polls));
    fprintf(out, "scheduler     %ld voluntary, %ld involuntary switches\n",
            after->ru_nvcsw - before->ru_nvcsw, after->ru_nivcsw - before->ru_nivcsw);
    print_pipe(&ledger, out);
    print_readahead(&ledger, out);
    print_depth(&ledger, out);
    print_cache(report, ledger.rows, out);
    print_fallbacks(report, ledger.fallbacks, out);
    fprintf(out, "lost          %" PRIu64 " bytes, parked %s, salvaged %" PRIu64 "\n",
            ledger.parked + report->unsaved,
            units_format_count(ledger.parked + report->salvaged + report->unsaved, parked),
            report->salvaged);
}
