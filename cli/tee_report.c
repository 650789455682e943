/* SPDX-License-Identifier: MIT */
/* The ledger of a fan-out, for people and for programs. */
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "json.h"
#include "printable.h"
#include "report.h"
#include "tee.h"
#include "units.h"

static const char *const states[] = {
    [SLUICE_SINK_RUNNING] = "running",
    [SLUICE_SINK_DONE] = "done",
    [SLUICE_SINK_FAILED] = "failed",
    [SLUICE_SINK_DETACHED] = "detached",
};

static double cpu_seconds(const struct tee *tee, double *user, double *system)
{
    const struct report both = {.before = tee->before, .after = tee->after};

    report_cpu(&both, user, system);
    return *user + *system;
}

/* Per byte and sink. */
static double copies(const struct sluice_fanout_ledger *ledger, uint64_t delivered)
{
    return delivered ? (double)ledger->copied / (double)delivered : 0;
}

static bool sink_info(const struct tee *tee, const struct tee_sink *sink,
                      struct sluice_sink_info *ret)
{
    *ret = (struct sluice_sink_info){.size = sizeof *ret};
    return sink->added && sluice_fanout_sink(tee->fanout, sink->id, ret) == 0;
}

/* The class by which most bytes went. */
static const char *class_of(const struct sluice_sink_info *info)
{
    if (info->delivered == 0)
        return "-";
    if (info->by_reference >= info->by_kernel && info->by_reference >= info->by_user)
        return sluice_class_name(SLUICE_CLASS_REFERENCE);
    return sluice_class_name(info->by_kernel >= info->by_user ? SLUICE_CLASS_KERNEL_COPY
                                                              : SLUICE_CLASS_USER_COPY);
}

static uint64_t delivered_to_all(const struct tee *tee)
{
    struct sluice_sink_info info;
    uint64_t sum = 0;

    for (unsigned i = 0; i < tee->options.sinks; i++)
        if (sink_info(tee, &tee->options.sink[i], &info))
            sum += info.delivered;
    return sum;
}

/* ---- text ---- */

static void print_sink(const struct tee *tee, const struct tee_sink *sink, FILE *out)
{
    char delivered[UNITS_BUFFER], dropped[UNITS_BUFFER], now[UNITS_BUFFER], most[UNITS_BUFFER];
    char shown[PRINTABLE_SIZE(PATH_MAX)];
    struct sluice_sink_info info;

    printable(sink->text, shown, sizeof shown);
    if (!sink_info(tee, sink, &info)) {
        fprintf(out, "%-20s not opened\n", shown);
        return;
    }
    fprintf(out, "%-20s %-9s %11s %10s %10s %11s  %-11s %s\n", shown, states[info.state],
            units_format_bytes(info.delivered, delivered),
            units_format_bytes(info.dropped, dropped), units_format_bytes(info.lag, now),
            units_format_bytes(info.lag_most, most), class_of(&info),
            sluice_known_name(info.leg.known));
    if (info.spilled > 0)
        fprintf(out, "  %s spilled to '%s', %" PRIu64 " bytes of it not delivered\n",
                units_format_bytes(info.spilled, now),
                printable(sink->spill_path, shown, sizeof shown),
                info.spill_end - info.spill_begin);
    if (info.error)
        fprintf(out, "  %s: %s%s%s\n", info.operation, strerror(-info.error),
                info.reason ? "; " : "", info.reason ? info.reason : "");
    else if (info.reason)
        fprintf(out, "  %s\n", info.reason);
    if (info.isolated)
        fprintf(out, "  it has a thread of its own: it cannot be driven without waiting\n");
    if (info.not_isolated)
        fprintf(out, "  it may hold up the others: %s\n", info.not_isolated);
}

static void print_fallbacks(const struct tee *tee, unsigned count, FILE *out)
{
    struct sluice_fallback row = {.size = sizeof row};

    if (count == 0)
        fprintf(out, "fallbacks     none\n");
    for (unsigned i = 0; i < count && sluice_fanout_fallback(tee->fanout, i, &row) == 0; i++)
        fprintf(out, "fallback      at byte %" PRIu64 ": %s%s%s; %s\n", row.at, row.call,
                row.error ? ": " : "", row.error ? strerror(-row.error) : "", row.reason);
}

void tee_report_text(const struct tee *tee, FILE *out)
{
    struct sluice_fanout_ledger ledger = {.size = sizeof ledger};
    char bytes[UNITS_BUFFER], rate[UNITS_BUFFER], calls[UNITS_BUFFER], polls[UNITS_BUFFER];
    char shown[PRINTABLE_SIZE(sizeof tee->source_name)];
    double user, system;

    sluice_fanout_ledger(tee->fanout, &ledger);
    const double cpu = cpu_seconds(tee, &user, &system);
    const double gib = (double)ledger.taken / (double)(1 << 30);
    fprintf(out, "%s -> %u sinks   %s in %.2f s   %s\n\n",
            printable(tee->source_name, shown, sizeof shown), tee->options.sinks,
            units_format_bytes(ledger.taken, bytes), tee->seconds,
            units_format_rate(tee->seconds > 0 ? (double)ledger.taken / tee->seconds : 0, rate));
    fprintf(out, "%-20s %-9s %11s %10s %10s %11s  %-11s %s\n", "sink", "state", "delivered",
            "dropped", "lag now", "lag at most", "class", "known");
    for (unsigned i = 0; i < tee->options.sinks; i++)
        print_sink(tee, &tee->options.sink[i], out);
    fprintf(out, "\ncopies/byte   %.2f for each sink   (read+write %.2f)\n",
            copies(&ledger, delivered_to_all(tee)), 1 + 1 / (double)tee->options.sinks);
    fprintf(out, "cpu           %.2f s (%.2f s/GiB), user %.2f, system %.2f\n", cpu,
            gib > 0 ? cpu / gib : 0, user, system);
    fprintf(out, "calls         %s (and %s polls)\n", units_format_count(ledger.calls, calls),
            units_format_count(ledger.polls, polls));
    fprintf(out, "rounds        %" PRIu64 ", %" PRIu64 " of them shared by tee\n", ledger.rounds,
            ledger.rounds_by_pipe);
    if (ledger.pipes)
        fprintf(out, "pipes         %u, %s asked, %s got\n", ledger.pipes,
                units_format_bytes(ledger.pipe_asked, bytes),
                units_format_bytes(ledger.pipe_got, rate));
    print_fallbacks(tee, ledger.fallbacks, out);
}

/* ---- JSON ---- */

#ifdef HAVE_JANSSON
static json_int_t integer(uint64_t value)
{
    return (json_int_t)value;
}

static json_t *sink_json(const struct tee *tee, const struct tee_sink *sink)
{
    struct sluice_sink_info info;

    if (!sink_info(tee, sink, &info))
        return json_pack("{so ss}", "sink", json_name(sink->text), "state", "not opened");
    json_t *object = json_pack(
        "{so ss sI sI sI sI sI si s{sI sI sI} ss ss sb sI sI}", "sink", json_name(sink->text),
        "state", states[info.state], "delivered", integer(info.delivered), "dropped",
        integer(info.dropped), "spilled", integer(info.spilled), "lag", integer(info.lag),
        "lag_most", integer(info.lag_most), "pipes_most", (int)info.pipes_most, "bytes",
        "reference", integer(info.by_reference), "kernel_copy", integer(info.by_kernel),
        "user_copy", integer(info.by_user), "class", class_of(&info), "known",
        sluice_known_name(info.leg.known), "isolated", info.isolated, "calls", integer(info.calls),
        "eagain", integer(info.eagain));
    if (info.not_isolated)
        json_object_set_new(object, "not_isolated", json_string(info.not_isolated));
    if (info.error)
        json_object_set_new(object, "error",
                            json_pack("{ss ss ss?}", "operation", info.operation, "errno",
                                      errno_name(info.error), "reason", info.reason));
    return object;
}

static json_t *fallbacks_json(const struct tee *tee, unsigned count)
{
    struct sluice_fallback row = {.size = sizeof row};
    json_t *list = json_array();

    for (unsigned i = 0; i < count && sluice_fanout_fallback(tee->fanout, i, &row) == 0; i++)
        json_array_append_new(list, json_pack("{ss ss? ss sI ss?}", "call", row.call, "error",
                                              row.error ? errno_name(row.error) : NULL, "side",
                                              sluice_side_name(row.side), "at", integer(row.at),
                                              "reason", row.reason));
    return list;
}

void tee_report_json(const struct tee *tee, FILE *out)
{
    struct sluice_fanout_ledger ledger = {.size = sizeof ledger};
    double user, system;

    sluice_fanout_ledger(tee->fanout, &ledger);
    cpu_seconds(tee, &user, &system);
    json_t *sinks = json_array();
    for (unsigned i = 0; i < tee->options.sinks; i++)
        json_array_append_new(sinks, sink_json(tee, &tee->options.sink[i]));
    json_t *object = json_pack(
        "{si so ss sI sf s{sf sf} sf sI sI sI sI sI so so}", "version", 1, "source",
        json_name(tee->source_name), "status",
        tee->error.error                                  ? "error"
        : tee->status == STATUS_DONE && !tee->broken_pipe ? "done"
                                                          : "incomplete",
        "taken", integer(ledger.taken), "seconds", tee->seconds, "cpu", "user", user, "system",
        system, "copies_per_byte", copies(&ledger, delivered_to_all(tee)), "calls",
        integer(ledger.calls), "polls", integer(ledger.polls), "rounds", integer(ledger.rounds),
        "rounds_by_pipe", integer(ledger.rounds_by_pipe), "pipes", integer(ledger.pipes), "sinks",
        sinks, "fallbacks", fallbacks_json(tee, ledger.fallbacks));
    if (*tee->digest)
        json_object_set_new(object, "checksum",
                            json_pack("{ss ss ss}", "algorithm",
                                      checksum_name(tee->options.checksum), "value", tee->digest,
                                      "of", "the bytes as they were read"));
    if (tee->error.error)
        json_object_set_new(object, "error",
                            json_pack("{ss ss ss}", "side", sluice_side_name(tee->error.side),
                                      "operation", tee->error.operation, "errno",
                                      errno_name(tee->error.error)));
    json_print(object, JSON_COMPACT, out);
}
#else
void tee_report_json(const struct tee *tee, FILE *out)
{
    (void)tee, (void)out;
}
#endif
