/* SPDX-License-Identifier: MIT */
/* The same for programs: the object that sluice-copy(1) describes. */
#include "report.h"

#include "json.h"

#ifdef HAVE_JANSSON
#include <math.h>
#include <stdlib.h>
#include <string.h>

static json_int_t integer(uint64_t value)
{
    return (json_int_t)value; /* bytes: never beyond 63 bits */
}

/* To the microsecond: no long tails of binary fractions. */
static json_t *seconds_json(double value)
{
    return json_real(floor(value * 1e6 + 0.5) / 1e6);
}

json_t *json_name(const char *name)
{
    char clean[3 * 512 + 1];
    size_t at = 0;
    json_t *string = json_string(name);

    if (string)
        return string;
    for (; *name && at < sizeof clean - 4; name++) {
        if ((unsigned char)*name < 0x80)
            clean[at++] = *name;
        else
            at += (size_t)sprintf(clean + at, "\xef\xbf\xbd");
    }
    clean[at] = '\0';
    return json_string(clean);
}

static json_t *leg_json(const struct sluice_row *row)
{
    char leg[64];
    snprintf(leg, sizeof leg, "%s -> %s", row->leg.from, row->leg.to);
    return json_pack("{ss ss ss ss ss sI sI sI so ss*}", "leg", leg, "method",
                     sluice_method_name(row->method), "call", row->leg.call, "class",
                     sluice_class_name(row->leg.class_), "known", sluice_known_name(row->leg.known),
                     "bytes", integer(row->bytes), "calls", integer(row->calls), "eagain",
                     integer(row->eagain), "seconds", seconds_json((double)row->nanoseconds / 1e9),
                     "variant", row->leg.variant);
}

static json_t *legs_json(const struct report *report, unsigned rows)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < rows; i++) {
        struct sluice_row row = {.size = sizeof row};
        if (sluice_transfer_row(report->transfer, i, &row) == 0)
            json_array_append_new(list, leg_json(&row));
    }
    return list;
}

static json_t *fallbacks_json(const struct report *report, unsigned fallbacks)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < fallbacks; i++) {
        struct sluice_fallback row = {.size = sizeof row};
        if (sluice_transfer_fallback(report->transfer, i, &row) < 0)
            break;
        json_array_append_new(list, json_pack("{ss ss ss ss? ss sI ss?}", "from",
                                              sluice_method_name(row.from), "to",
                                              sluice_method_name(row.to), "call", row.call, "error",
                                              row.error ? errno_name(row.error) : NULL, "side",
                                              sluice_side_name(row.side), "at", integer(row.at),
                                              "reason", row.reason));
    }
    return list;
}

static json_t *error_json(const struct report *report)
{
    const struct sluice_error *error = &report->error;
    const char *endpoint = report->error_endpoint;
    return json_pack("{ss ss? so ss ss? ss? sI}", "side", sluice_side_name(error->side),
                     "operation", error->operation, "endpoint",
                     endpoint ? json_name(endpoint) : json_null(), "errno",
                     errno_name(error->error), "message", report->errno_words, "reason",
                     error->reason, "offset", integer(error->offset));
}

static void add_transfer(json_t *object, const struct report *report)
{
    /* All zero if it was refused: nothing was moved. */
    struct sluice_ledger ledger = {.size = sizeof ledger};
    const uint64_t out = report->salvaged + report->unsaved;
    if (report->transfer)
        sluice_transfer_ledger(report->transfer, &ledger);

    json_t *more = json_pack(
        "{sI sI sI sI sI ss sf sI sI s{sI sI} so so}", "bytes", integer(ledger.delivered), "taken",
        integer(ledger.taken), "delivered", integer(ledger.delivered), "parked",
        integer(ledger.parked + out), "lost", integer(ledger.parked + report->unsaved), "method",
        sluice_method_name(ledger.method), "copies_per_byte", report_copies(&ledger), "calls",
        integer(ledger.calls), "polls", integer(ledger.polls), "eagain", "source",
        integer(ledger.source_eagain), "sink", integer(ledger.sink_eagain), "legs",
        legs_json(report, ledger.rows), "fallbacks", fallbacks_json(report, ledger.fallbacks));
    json_object_set_new(more, "taken", json_integer(integer(ledger.taken + out)));
    if (ledger.pipe_got)
        json_object_set_new(more, "pipe",
                            json_pack("{sI sI}", "asked", integer(ledger.pipe_asked), "got",
                                      integer(ledger.pipe_got)));
    if (ledger.read_ahead)
        json_object_set_new(more, "read_ahead", json_integer(integer(ledger.read_ahead)));
    if (ledger.engine)
        json_object_set_new(
            more, "in_flight",
            json_pack("{sI ss ss?}", "most", integer(ledger.depth), "engine", ledger.engine,
                      "io_uring_refused",
                      ledger.engine_refused ? errno_name((int)ledger.engine_refused) : NULL));
    json_object_update(object, more);
    json_decref(more);
}

void json_print(json_t *object, size_t flags, FILE *out)
{
    char *text = json_dumps(object, flags | JSON_REAL_PRECISION(9));

    /* In one piece also on standard error, which has no buffer. */
    if (text) {
        const size_t length = strlen(text);
        text[length] = '\n'; /* instead of its end */
        fwrite(text, 1, length + 1, out);
    }
    fflush(out);
    free(text);
    json_decref(object);
}

void report_json(const struct report *report, bool lines, FILE *out)
{
    const char *status = report->error.error ? "error" : "done";
    const struct rusage *after = &report->after, *before = &report->before;
    double user, system;

    report_cpu(report, &user, &system);
    json_t *object =
        json_pack("{si so so ss sI so s{so so} s{sI sI}}", "version", 1, "source",
                  json_name(report->source), "sink", json_name(report->sink), "status", status,
                  "salvaged", integer(report->salvaged), "seconds", seconds_json(report->seconds),
                  "cpu", "user", seconds_json(user), "system", seconds_json(system), "switches",
                  "voluntary", (json_int_t)(after->ru_nvcsw - before->ru_nvcsw), "involuntary",
                  (json_int_t)(after->ru_nivcsw - before->ru_nivcsw));

    if (lines)
        json_object_set_new(object, "event", json_string(status));
    add_transfer(object, report);
    if (report->uncached)
        json_object_set_new(object, "cache_left",
                            report->cache_left == UINT64_MAX
                                ? json_null()
                                : json_integer((json_int_t)report->cache_left));
    if (report->kept)
        json_object_set_new(object, "kept",
                            json_pack("{so sI}", "name", json_name(report->kept), "bytes",
                                      (json_int_t)report->kept_bytes));
    if (report->verified)
        json_object_set_new(object, "verified", json_true());
    if (report->checksum)
        json_object_set_new(object, "checksum",
                            json_pack("{ss ss so}", "algorithm", report->checksum_name, "value",
                                      report->checksum, "of", json_name(report->checksum_of)));
    if (report->error.error)
        json_object_set_new(object, "error", error_json(report));
    json_print(object, JSON_COMPACT, out);
}

void report_json_progress(uint64_t delivered, uint64_t expected, double seconds, FILE *out)
{
    json_t *object = json_pack("{si ss sI so}", "version", 1, "event", "progress", "delivered",
                               integer(delivered), "seconds", seconds_json(seconds));
    if (expected != UINT64_MAX)
        json_object_set_new(object, "expected", json_integer(integer(expected)));
    json_print(object, JSON_COMPACT, out);
}

#else

void report_json(const struct report *report, bool lines, FILE *out)
{
    (void)report, (void)lines, (void)out; /* --json was refused */
}

void report_json_progress(uint64_t delivered, uint64_t expected, double seconds, FILE *out)
{
    (void)delivered, (void)expected, (void)seconds, (void)out;
}

#endif
