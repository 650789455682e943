/* SPDX-License-Identifier: MIT */
#include "bench_broker.h"

#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "units.h"

const struct broker_row *bench_broker_group(const struct broker *broker, unsigned group,
                                            unsigned *ret_count)
{
    const struct broker_row *first = NULL;

    *ret_count = 0;
    for (unsigned i = 0; broker && i < broker->count; i++)
        if (broker->rows[i].group == group) {
            first = first ? first : &broker->rows[i];
            ++*ret_count;
        }
    return first;
}

const char *bench_broker_title(const struct broker_row *row, char text[static BENCH_TITLE])
{
    static const char *const parts[] = {[BROKER_APPEND] = "append messages of",
                                        [BROKER_SERVE] = "serve messages of",
                                        [BROKER_BEHIND] = "at the tail, batches of"};
    char size[16];

    snprintf(text, BENCH_TITLE, "%s %s, %s", parts[row->way->part], bench_chunk(row->message, size),
             row->way->condition);
    return text;
}

struct interval bench_broker_interval(const struct broker_row *row, enum broker_figure figure)
{
    return statistics_interval(broker_figures(row, figure), row->runs, 0.95);
}

/* No powers of ten: nobody compares these at a glance. */
static const char *number(double value, char text[static UNITS_BUFFER])
{
    if (value >= 1000)
        return units_format_count((uint64_t)(value + 0.5), text);
    snprintf(text, UNITS_BUFFER, "%.3g", value);
    return text;
}

const char *bench_broker_numbers(struct interval interval, double unit,
                                 char text[static BENCH_NUMBERS])
{
    char low[UNITS_BUFFER], middle[UNITS_BUFFER], high[UNITS_BUFFER];

    snprintf(text, BENCH_NUMBERS, "%s [%s %s]", number(interval.middle * unit, middle),
             number(interval.low * unit, low), number(interval.high * unit, high));
    return text;
}

/* ---- words ---- */

enum { MOST_ROWS = 8 };

struct ranking {
    const struct broker_row *row[MOST_ROWS];
    bool told[MOST_ROWS]; /* it differs from the first */
    unsigned count, differing;
};

static void rank(const struct broker *broker, unsigned group, enum broker_figure figure,
                 struct ranking *ret)
{
    const double sign = figure == BROKER_RATE ? -1 : 1;
    unsigned count;
    const struct broker_row *rows = bench_broker_group(broker, group, &count);

    *ret = (struct ranking){0};
    for (unsigned i = 0; i < count && ret->count < MOST_ROWS; i++) {
        if (rows[i].control || rows[i].error < 0 || rows[i].runs < STATISTICS_LEAST)
            continue;
        const double own = sign * bench_broker_interval(&rows[i], figure).middle;
        unsigned at = ret->count++;
        for (; at > 0 && own < sign * bench_broker_interval(ret->row[at - 1], figure).middle; at--)
            ret->row[at] = ret->row[at - 1];
        ret->row[at] = &rows[i];
    }
    for (unsigned i = 1; i < ret->count; i++) {
        ret->told[i] = broker_compare(broker, ret->row[i], ret->row[0], figure) != DIFFERENCE_NONE;
        ret->differing += ret->told[i];
    }
}

static void say_value(double value, enum broker_figure figure, FILE *out)
{
    char count[UNITS_BUFFER];
    if (figure == BROKER_RATE)
        fprintf(out, "%s messages/s", units_format_count((uint64_t)(value + 0.5), count));
    else
        fprintf(out, "%s µs", number(value * 1e6, count));
}

static void say_figure(const struct broker *broker, unsigned group, enum broker_figure figure,
                       const char *name, FILE *out)
{
    struct ranking ranking;

    rank(broker, group, figure, &ranking);
    if (ranking.count < 2)
        return;
    const double best = bench_broker_interval(ranking.row[0], figure).middle;
    if (ranking.differing == 0) {
        fprintf(out, "%s: no difference seen (about ", name);
        say_value(best, figure, out);
        fprintf(out, "). ");
        return;
    }
    fprintf(out, "%s: best %s, ", name, ranking.row[0]->way->name);
    say_value(best, figure, out);
    for (unsigned i = 1; i < ranking.count; i++) {
        fprintf(out, "; %s ", ranking.row[i]->way->name);
        if (ranking.told[i])
            say_value(bench_broker_interval(ranking.row[i], figure).middle, figure, out);
        else
            fprintf(out, "no different");
    }
    fprintf(out, ". ");
}

void bench_broker_words(const struct broker *broker, unsigned group, FILE *out)
{
    unsigned count;
    const struct broker_row *rows = bench_broker_group(broker, group, &count);

    if (rows->way->part != BROKER_BEHIND)
        say_figure(broker, group, BROKER_CPU, "CPU per message", out);
    say_figure(broker, group, BROKER_RATE, "Rate", out);
    say_figure(broker, group, BROKER_P50, "Median time", out);
    say_figure(broker, group, BROKER_P99, "99 % within", out);
    for (unsigned i = 0; i < count; i++)
        if (rows[i].error < 0 && !rows[i].control)
            fprintf(out, "%s: %s. ", rows[i].way->name,
                    *rows[i].reason ? rows[i].reason : strerror(-rows[i].error));
}

/* ---- text ---- */

static void print_interval(struct interval interval, double unit, FILE *out)
{
    char text[BENCH_NUMBERS];
    fprintf(out, " %-28s", bench_broker_numbers(interval, unit, text));
}

static void print_row(const struct broker_row *row, FILE *out)
{
    char name[48];

    snprintf(name, sizeof name, "%s%s", row->way->name, row->control ? " again" : "");
    fprintf(out, "  %-28s", name);
    print_interval(bench_broker_interval(row, BROKER_CPU), 1e6, out);
    print_interval(bench_broker_interval(row, BROKER_RATE), 1, out);
    print_interval(bench_broker_interval(row, BROKER_P50), 1e6, out);
    print_interval(bench_broker_interval(row, BROKER_P99), 1e6, out);
    fputc('\n', out);
}

void bench_broker_text(const struct broker *broker, FILE *out)
{
    unsigned count;
    const struct broker_row *rows;
    char title[BENCH_TITLE], *words = NULL;
    size_t length;

    for (unsigned group = 0; (rows = bench_broker_group(broker, group, &count)); group++) {
        fprintf(out, "\n%s\n", bench_broker_title(rows, title));
        fprintf(out, "  %-28s %-29s %-28s %-29s %s\n", "", "CPU µs/message", "messages/s", "p50 µs",
                "p99 µs");
        for (unsigned i = 0; i < count; i++)
            if (rows[i].error == 0 && rows[i].runs > 0)
                print_row(&rows[i], out);
        FILE *stream = open_memstream(&words, &length);
        if (!stream)
            continue;
        bench_broker_words(broker, group, stream);
        fclose(stream);
        bench_print_wrapped(words, "  ", out);
        free(words);
    }
}

/* ---- JSON ---- */

#ifdef HAVE_JANSSON
static json_t *figure_json(const struct broker_row *row, enum broker_figure figure)
{
    const struct interval interval = bench_broker_interval(row, figure);
    const double *values = broker_figures(row, figure);
    json_t *runs = json_array();

    for (unsigned i = 0; i < row->runs; i++)
        json_array_append_new(runs, json_real(values[i]));
    return json_pack("{sf sf sf so}", "low", interval.low, "median", interval.middle, "high",
                     interval.high, "runs", runs);
}

static json_t *row_json(const struct broker_row *row)
{
    json_t *object = json_pack("{ss sb}", "method", row->way->name, "control", row->control);

    if (row->error < 0) {
        json_object_set_new(object, "error", json_string(errno_name(row->error)));
        json_object_set_new(object, "reason",
                            json_name(*row->reason ? row->reason : strerror(-row->error)));
        return object;
    }
    json_object_set_new(object, "cpu", figure_json(row, BROKER_CPU));
    json_object_set_new(object, "rate", figure_json(row, BROKER_RATE));
    json_object_set_new(object, "p50", figure_json(row, BROKER_P50));
    json_object_set_new(object, "p99", figure_json(row, BROKER_P99));
    return object;
}

json_t *bench_broker_json(const struct broker *broker)
{
    json_t *groups = json_array();
    unsigned count;
    const struct broker_row *rows;

    for (unsigned group = 0; (rows = bench_broker_group(broker, group, &count)); group++) {
        json_t *list = json_array();
        char *words = NULL;
        size_t length;
        for (unsigned i = 0; i < count; i++)
            json_array_append_new(list, row_json(&rows[i]));
        FILE *stream = open_memstream(&words, &length);
        if (stream) {
            bench_broker_words(broker, group, stream);
            fclose(stream);
        }
        json_array_append_new(groups, json_pack("{ss sI ss so so}", "part",
                                                broker_part_name(rows->way->part), "message",
                                                (json_int_t)rows->message, "condition",
                                                rows->way->condition, "methods", list, "words",
                                                json_name(words ? words : "")));
        free(words);
    }
    return groups;
}
#endif
