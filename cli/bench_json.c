/* SPDX-License-Identifier: MIT */
/* The object that sluice-bench(1) describes: version 1. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "bench_broker.h"
#include "json.h"
#include "report.h"

#ifdef HAVE_JANSSON
/* No more digits than a measurement has. */
static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *known(double value)
{
    return value < 0 ? json_null() : number(value);
}

static json_t *interval_json(struct interval interval)
{
    return json_pack("{so so so}", "low", number(interval.low), "median", number(interval.middle),
                     "high", number(interval.high));
}

static json_t *runs_json(const struct cell *cell)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < cell->runs; i++) {
        const struct sample *sample = &cell->sample[i];
        json_array_append_new(
            list,
            json_pack("{si so so so sI sI sI sI sI sI so}", "round", (int)sample->round, "seconds",
                      number(sample->seconds), "user", number(sample->user), "system",
                      number(sample->system), "voluntary", (json_int_t)sample->voluntary,
                      "involuntary", (json_int_t)sample->involuntary, "minor",
                      (json_int_t)sample->minor, "major", (json_int_t)sample->major, "device_read",
                      (json_int_t)sample->device_read, "device_written",
                      (json_int_t)sample->device_written, "cached",
                      sample->cached < 0 ? json_null() : json_integer(sample->cached)));
    }
    return list;
}

static json_t *cell_json(const struct cell *cell)
{
    const double calls = measure_calls(cell);
    json_t *object = json_pack("{ss sb sI}", "method", cell->way->name, "control", cell->control,
                               "bytes", (json_int_t)cell->bytes);

    if (cell->error < 0) {
        char text[160];
        json_object_set_new(object, "error", json_string(errno_name(cell->error)));
        json_object_set_new(object, "reason", json_name(bench_error(cell, text)));
        return object;
    }
    json_t *more = json_pack(
        "{so so so so so so so so so so sI ss so ss so so so so}", "cpu",
        interval_json(bench_interval(cell, FIGURE_CPU)), "user",
        interval_json(bench_interval(cell, FIGURE_USER)), "system",
        interval_json(bench_interval(cell, FIGURE_SYSTEM)), "throughput",
        interval_json(bench_interval(cell, FIGURE_THROUGHPUT)), "voluntary",
        interval_json(bench_interval(cell, FIGURE_VOLUNTARY)), "involuntary",
        interval_json(bench_interval(cell, FIGURE_INVOLUNTARY)), "minor_faults",
        interval_json(bench_interval(cell, FIGURE_MINOR)), "major_faults",
        interval_json(bench_interval(cell, FIGURE_MAJOR)), "calls", known(calls), "mode_switches",
        known(calls < 0 ? -1 : 2 * calls), "calls_counted", (json_int_t)cell->calls, "counted_by",
        counter_name(cell->counter), "copies", number(cell->copies), "known",
        cell->proven ? "proven" : "expected", "device_bytes", known(cell->device),
        "network_bytes_derived", number(cell->network), "cache_left",
        known(bench_interval(cell, FIGURE_CACHED).middle), "runs", runs_json(cell));
    json_object_update(object, more);
    json_decref(more);
    return object;
}

static json_t *ranks_json(const struct judgement *judgement)
{
    static const char *const words[] = {"none seen", "less", "more"};
    json_t *list = json_array();

    for (unsigned i = 0; i < judgement->count; i++)
        json_array_append_new(list,
                              json_pack("{ss so ss}", "method", judgement->ranked[i]->way->name,
                                        "ratio", interval_json(judgement->ratio[i]), "difference",
                                        words[judgement->worse[i]]));
    return list;
}

static json_t *judgement_json(const struct cell *cells, unsigned count, enum figure figure)
{
    struct judgement judgement;

    judgement_make(cells, count, figure, &judgement);
    return json_pack("{so so so sb}", "ranks", ranks_json(&judgement), "control",
                     interval_json(judgement.same), "floor", number(judgement.floor), "disturbed",
                     judgement.disturbed);
}

static json_t *group_json(const struct bench_report *report, const struct cell *cells,
                          unsigned count)
{
    json_t *list = json_array();
    char *words = NULL;
    size_t length;

    for (unsigned i = 0; i < count; i++)
        json_array_append_new(list, cell_json(&cells[i]));
    FILE *stream = open_memstream(&words, &length);
    if (stream) {
        bench_words_group(report, cells->group, stream);
        fclose(stream);
    }
    json_t *object = json_pack("{ss sI ss so so so so}", "path", cells->path->name, "chunk",
                               (json_int_t)cells->chunk, "cache", warmth_name(cells->warmth),
                               "methods", list, "cpu", judgement_json(cells, count, FIGURE_CPU),
                               "throughput", judgement_json(cells, count, FIGURE_THROUGHPUT),
                               "words", json_name(words ? words : ""));
    free(words);
    return object;
}

static json_t *classic_json(const struct bench_report *report)
{
    struct classic_row rows[CLASSIC_ROWS];
    json_t *list = json_array();

    for (unsigned i = 0, count = bench_classic(report, rows); i < count; i++)
        json_array_append_new(
            list,
            json_pack("{ss s{so so so} s{so so so so so} ss}", "method", rows[i].way, "drawn",
                      "mode_switches", known(rows[i].modes), "copies", known(rows[i].copies), "dma",
                      known(rows[i].dma), "seen", "mode_switches", known(rows[i].seen_modes),
                      "copies", known(rows[i].seen_copies), "disk_dma_hot", known(rows[i].seen_dma),
                      "disk_dma_cold", known(rows[i].seen_dma_cold), "network_dma_derived",
                      number(rows[i].network), "differences", rows[i].why));
    return list;
}

static json_t *machine_json(const struct bench_report *report)
{
    const struct machine *machine = report->machine;

    return json_pack("{ss ss ss so si sI so so sb ss so si ss}", "kernel", machine->kernel.release,
                     "build", machine->kernel.version, "machine", machine->kernel.machine, "cpu",
                     json_name(machine->cpu), "cpus", (int)machine->cpus, "memory",
                     (json_int_t)machine->memory, "disk", json_name(machine->disk), "device",
                     json_name(machine->device), "loop", machine->loop, "congestion",
                     machine->congestion, "load", number(machine->load), "user", (int)machine->user,
                     "at", machine->when);
}

static void add_line(const char *words, void *data)
{
    json_array_append_new(data, json_name(words));
}

void bench_json(const struct bench_report *report, FILE *out)
{
    const struct measuring *measuring = report->measuring;
    json_t *groups = json_array(), *words = json_array(), *notes = json_array();
    unsigned count;
    const struct cell *cells;

    for (unsigned group = 0; (cells = bench_group(report, group, &count)); group++)
        if (cells->error != -ETIME)
            json_array_append_new(groups, group_json(report, cells, count));
    bench_words(report, add_line, words);
    for (const char *const *note = report->notes; *note; note++)
        json_array_append_new(notes, json_name(*note));
    json_print(json_pack("{si ss ss so ss? so so si si so so so so}", "version", 1, "schema",
                         "sluice-bench", "extent", report->extent, "machine", machine_json(report),
                         "peer", report->peer, "seconds", number(report->seconds), "notes", notes,
                         "rounds", (int)report->rounds, "groups_left_out", (int)measuring->left_out,
                         "groups", groups, "classic", classic_json(report), "broker",
                         bench_broker_json(report->broker), "words", words),
               JSON_INDENT(1), out);
}
#else
void bench_json(const struct bench_report *report, FILE *out)
{
    (void)report, (void)out; /* --json was refused */
}
#endif
