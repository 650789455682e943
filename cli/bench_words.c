/* SPDX-License-Identifier: MIT */
/* Plain words from figures. They never say more than the intervals do. */
#include <stdlib.h>
#include <string.h>

#include "bench_report.h"
#include "units.h"

/* ---- one group ---- */

static void say_figure(const struct cell *cell, enum figure figure, FILE *out)
{
    const struct interval interval = bench_interval(cell, figure);
    char rate[UNITS_BUFFER];

    if (figure == FIGURE_THROUGHPUT)
        fprintf(out, "%s", units_format_rate(interval.middle, rate));
    else
        fprintf(out, "%.3f s/GiB", interval.middle);
}

/* "a, b and c", of those that are or are not told from the best. */
static unsigned say_names(const struct judgement *judgement, bool told, unsigned from, bool ratios,
                          FILE *out)
{
    unsigned count = 0, said = 0;

    for (unsigned i = from; i < judgement->count; i++)
        count += (judgement->worse[i] != DIFFERENCE_NONE) == told;
    for (unsigned i = from; i < judgement->count; i++) {
        if ((judgement->worse[i] != DIFFERENCE_NONE) != told)
            continue;
        fprintf(out, "%s%s",
                said == 0           ? ""
                : said + 1 == count ? " and "
                                    : ", ",
                judgement->ranked[i]->way->name);
        if (ratios)
            fprintf(out, " %.2f times", judgement->ratio[i].middle);
        said++;
    }
    return count;
}

static unsigned count_told(const struct judgement *judgement)
{
    unsigned told = 0;
    for (unsigned i = 1; i < judgement->count; i++)
        told += judgement->worse[i] != DIFFERENCE_NONE;
    return told;
}

static void say_judgement(const struct judgement *judgement, enum figure figure, FILE *out)
{
    const bool cpu = figure == FIGURE_CPU;
    const unsigned told = count_told(judgement), count = judgement->count;
    const char *what = cpu ? "CPU" : "Throughput";

    if (judgement->disturbed) {
        fprintf(
            out,
            "%s: nothing can be said, because %s, run twice, seemed to differ from itself (%.2f "
            "times).",
            what, judgement->control->way->name, judgement->same.middle);
        return;
    }
    if (judgement->ranked[0]->runs < STATISTICS_LEAST) {
        fprintf(out, "%s: too few runs to say anything.", what);
        return;
    }
    if (told == 0) {
        fprintf(out, "%s: no difference seen between ", what);
        say_names(judgement, false, 0, false, out);
        fprintf(out, " (about ");
        say_figure(judgement->ranked[0], figure, out);
        fprintf(out, ").");
        return;
    }
    fprintf(out, "%s: %s %s, ", what, judgement->ranked[0]->way->name,
            cpu ? "costs the least" : "is the fastest");
    say_figure(judgement->ranked[0], figure, out);
    if (told + 1 < count) {
        fprintf(out, "; no difference from it seen in ");
        say_names(judgement, false, 1, false, out);
    }
    fprintf(out, "; ");
    say_names(judgement, true, 1, true, out);
    fprintf(out, "%s.", cpu ? " as much" : " its rate");
}

void bench_words_best(const struct bench_report *report, unsigned group, enum figure figure,
                      FILE *out)
{
    unsigned count;
    struct judgement judgement;
    const struct cell *cells = bench_group(report, group, &count);

    judgement_make(cells, count, figure, &judgement);
    if (judgement.count == 0) {
        fputs("nothing could be measured", out);
        return;
    }
    if (judgement.count == 1)
        fprintf(out, "%s alone", judgement.ranked[0]->way->name);
    else if (judgement.disturbed || judgement.ranked[0]->runs < STATISTICS_LEAST)
        fputs("cannot be told", out);
    else if (count_told(&judgement) == 0)
        fputs("no difference seen", out);
    else
        say_names(&judgement, false, 0, false, out);
    fputs(", ", out);
    say_figure(judgement.ranked[0], figure, out);
}

static void say_refusals(const struct cell *cells, unsigned count, FILE *out)
{
    char text[160];

    for (unsigned i = 0; i < count; i++)
        if (cells[i].error < 0 && !cells[i].control)
            fprintf(out, " %s: %s.", cells[i].way->name, bench_error(&cells[i], text));
}

void bench_words_group(const struct bench_report *report, unsigned group, FILE *out)
{
    unsigned count;
    struct judgement judgement;
    const struct cell *cells = bench_group(report, group, &count);

    judgement_make(cells, count, FIGURE_CPU, &judgement);
    if (judgement.count > 1) {
        say_judgement(&judgement, FIGURE_CPU, out);
        fputc(' ', out);
        judgement_make(cells, count, FIGURE_THROUGHPUT, &judgement);
        say_judgement(&judgement, FIGURE_THROUGHPUT, out);
    } else if (judgement.count == 1) {
        fprintf(out, "Only %s could be measured.", judgement.ranked[0]->way->name);
    } else {
        fprintf(out, "Nothing could be measured.");
    }
    say_refusals(cells, count, out);
}

/* ---- all groups ---- */

struct winners {
    const struct way *way;
    unsigned alone, shared; /* groups where it was the best, alone or with others */
};

/* Credits every way that nothing was seen to be better than. */
static bool credit(struct winners *winners, unsigned room, const struct judgement *judgement)
{
    const bool alone = judgement->count > 1 && count_told(judgement) + 1 == judgement->count;

    for (unsigned i = 0; i < judgement->count; i++) {
        if (judgement->worse[i] != DIFFERENCE_NONE)
            continue;
        unsigned at = 0;
        while (at < room && winners[at].way && winners[at].way != judgement->ranked[i]->way)
            at++;
        if (at == room)
            continue;
        winners[at].way = judgement->ranked[i]->way;
        winners[at].alone += alone;
        winners[at].shared += !alone;
    }
    return count_told(judgement) > 0;
}

static int by_credit(const void *a, const void *b)
{
    const struct winners *left = a, *right = b;
    const unsigned of_left = left->alone * 2 + left->shared;
    const unsigned of_right = right->alone * 2 + right->shared;
    return (of_right > of_left) - (of_right < of_left);
}

static void words_of(const struct bench_report *report, enum figure figure,
                     void (*line)(const char *words, void *data), void *data)
{
    struct winners winners[MOST_WAYS] = {0};
    unsigned groups = 0, told = 0, disturbed = 0, count;
    bool few = false;
    char *words = NULL;
    size_t length;

    for (unsigned group = 0;; group++) {
        struct judgement judgement;
        const struct cell *cells = bench_group(report, group, &count);
        if (!cells)
            break;
        judgement_make(cells, count, figure, &judgement);
        few |= judgement.count > 1 && judgement.ranked[0]->runs < STATISTICS_LEAST;
        if (judgement.count < 2 || judgement.ranked[0]->runs < STATISTICS_LEAST)
            continue;
        disturbed += judgement.disturbed;
        if (judgement.disturbed)
            continue;
        groups++;
        told += credit(winners, MOST_WAYS, &judgement);
    }
    FILE *out = open_memstream(&words, &length);
    if (!out)
        return;
    const char *what = figure == FIGURE_CPU ? "CPU per GiB" : "Throughput";
    if (groups == 0) {
        fprintf(out, "%s: nothing can be said%s.", what,
                few && !disturbed ? ", of so few runs" : "");
    } else if (told == 0) {
        fprintf(out, "%s: in none of %u comparisons was a difference seen; nothing wins here.",
                what, groups);
    } else {
        qsort(winners, MOST_WAYS, sizeof *winners, by_credit);
        fprintf(out,
                "%s: a difference was seen in %u of %u comparisons. Best, alone or with others of "
                "which it could not be told:",
                what, told, groups);
        for (unsigned i = 0; i < MOST_WAYS && winners[i].way; i++) {
            fprintf(out, "%s %s in %u", i ? "," : "", winners[i].way->name,
                    winners[i].alone + winners[i].shared);
            if (winners[i].alone)
                fprintf(out, " (alone in %u)", winners[i].alone);
        }
        fputc('.', out);
    }
    if (disturbed)
        fprintf(out, " In %u more the control differed from itself, and nothing is said.",
                disturbed);
    fclose(out);
    line(words, data);
    free(words);
}

/* How the best of the first path moves with the size of the calls. */
static void words_of_chunks(const struct bench_report *report,
                            void (*line)(const char *words, void *data), void *data)
{
    char *words = NULL, chunk[16];
    size_t length;
    unsigned count, sizes = 0;
    const struct path *path = report->measuring->count ? report->measuring->cells[0].path : NULL;
    uint32_t chunks[16];
    unsigned groups[16];

    for (unsigned group = 0; sizes < 16; group++) {
        const struct cell *cells = bench_group(report, group, &count);
        if (!cells)
            break;
        if (cells->path != path || cells->warmth != WARMTH_HOT)
            continue;
        unsigned at = sizes++;
        for (; at > 0 && chunks[at - 1] > cells->chunk; at--) {
            chunks[at] = chunks[at - 1];
            groups[at] = groups[at - 1];
        }
        chunks[at] = cells->chunk;
        groups[at] = group;
    }
    FILE *out = sizes > 1 ? open_memstream(&words, &length) : NULL;
    if (!out)
        return;
    fprintf(out, "%s, the least CPU by the size of the calls:", path->name);
    for (unsigned i = 0; i < sizes; i++) {
        struct judgement judgement;
        const struct cell *cells = bench_group(report, groups[i], &count);
        judgement_make(cells, count, FIGURE_CPU, &judgement);
        fprintf(out, "%s %s ", i ? ";" : "", bench_chunk(chunks[i], chunk));
        if (judgement.count < 2 || judgement.disturbed ||
            judgement.ranked[0]->runs < STATISTICS_LEAST)
            fprintf(out, "cannot be told");
        else if (count_told(&judgement) == 0)
            fprintf(out, "no difference seen");
        else
            say_names(&judgement, false, 0, false, out);
    }
    fputc('.', out);
    fclose(out);
    line(words, data);
    free(words);
}

void bench_words(const struct bench_report *report, void (*line)(const char *words, void *data),
                 void *data)
{
    if (report->measuring->count == 0)
        return;
    words_of(report, FIGURE_CPU, line, data);
    words_of(report, FIGURE_THROUGHPUT, line, data);
    words_of_chunks(report, line, data);
}
