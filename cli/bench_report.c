/* SPDX-License-Identifier: MIT */
#include "bench_report.h"

#include <math.h>
#include <string.h>

#include "report.h"
#include "units.h"

#define GIB 1073741824.0

const struct cell *bench_group(const struct bench_report *report, unsigned group,
                               unsigned *ret_count)
{
    const struct measuring *measuring = report->measuring;
    const struct cell *first = NULL;

    *ret_count = 0;
    for (unsigned i = 0; i < measuring->count; i++)
        if (measuring->cells[i].group == group) {
            first = first ? first : &measuring->cells[i];
            ++*ret_count;
        }
    return first;
}

const char *bench_chunk(uint32_t chunk, char text[static 16])
{
    if (chunk >= 1 << 20 && chunk % (1 << 20) == 0)
        snprintf(text, 16, "%u MiB", chunk >> 20);
    else if (chunk >= 1 << 10 && chunk % (1 << 10) == 0)
        snprintf(text, 16, "%u KiB", chunk >> 10);
    else
        snprintf(text, 16, "%u B", chunk);
    return text;
}

static const char *end_name(enum end end)
{
    switch (end) {
    case END_FILE:
        return "file";
    case END_PIPE:
        return "pipe";
    case END_TCP:
        return "tcp";
    case END_UNIX:
        return "unix";
    case END_MEMORY:
        return "memory";
    }
    return "?";
}

const char *bench_setting(const struct cell *cell, char text[static BENCH_TITLE])
{
    char chunk[16];
    const bool file = cell->path->from == END_FILE;

    snprintf(text, BENCH_TITLE, "%s calls%s%s", bench_chunk(cell->chunk, chunk),
             file ? ", page cache " : "", file ? warmth_name(cell->warmth) : "");
    return text;
}

const char *bench_title(const struct cell *cell, char text[static BENCH_TITLE])
{
    char setting[BENCH_TITLE];

    snprintf(text, BENCH_TITLE, "%s -> %s, %.64s", end_name(cell->path->from),
             end_name(cell->path->to), bench_setting(cell, setting));
    return text;
}

const char *bench_error(const struct cell *cell, char text[static 160])
{
    snprintf(text, 160, "%s%s%s", cell->reason,
             *cell->reason ? "" : "not here: ", *cell->reason ? "" : strerror(-cell->error));
    return text;
}

struct interval bench_interval(const struct cell *cell, enum figure figure)
{
    double values[MOST_RUNS];
    const unsigned count = measure_figures(cell, figure, values);
    return statistics_interval(values, count, 0.95);
}

/* ---- the classic table ---- */

/* Per buffer from a disk to a network card: mode switches, CPU copies, and DMA transfers, as whiteboards
 * have them. */
static const struct {
    const char *way;
    double modes, copies, dma;
} classics[CLASSIC_ROWS] = {
    {"read-write", 4, 2, 2},
    {"mmap-write", 4, 1, 2},
    {"sendfile", 2, 0, 2},
    {"splice", -1, -1, -1},
};

static const struct cell *find_cell(const struct bench_report *report, const char *way,
                                    enum warmth warmth)
{
    const struct measuring *measuring = report->measuring;

    for (unsigned i = 0; i < measuring->count; i++) {
        const struct cell *cell = &measuring->cells[i];
        if (cell->path->from == END_FILE && cell->path->to == END_TCP && cell->warmth == warmth &&
            strcmp(cell->way->name, way) == 0 && !cell->control && cell->error == 0 &&
            cell->runs > 0 && cell->chunk == 64 << 10)
            return cell;
    }
    return NULL;
}

static double modes_per_chunk(const struct cell *cell)
{
    const double calls = measure_calls(cell);
    return calls < 0 ? -1 : 2 * calls * (double)cell->chunk / GIB;
}

static void add_words(struct classic_row *row, const char *words)
{
    const size_t at = strlen(row->why);
    snprintf(row->why + at, sizeof row->why - at, "%s%s", at ? "; " : "", words);
}

static bool differs(double seen, double said)
{
    return seen >= 0 && said >= 0 && fabs(seen - said) > 0.05 * (said > 1 ? said : 1);
}

static void explain_modes(struct classic_row *row)
{
    char words[200];

    if (row->modes < 0 && row->seen_modes >= 0 && row->seen_modes < 3.8)
        add_words(
            row,
            "a call into the pipe may be asked for more than one out of it moves: fewer than two "
            "calls for each buffer");
    if (!differs(row->seen_modes, row->modes))
        return;
    if (strcmp(row->way, "mmap-write") == 0) {
        add_words(row,
                  "one mmap(2) serves a window of many writes, not one, and the file's size is "
                  "asked for about each write, since what was truncated would go out as zeros");
        return;
    }
    snprintf(words, sizeof words,
             "%.2f mode switches for a buffer, not %.0f: calls moved %s than they "
             "were asked for",
             row->seen_modes, row->modes, row->seen_modes > row->modes ? "less" : "more");
    add_words(row, words);
}

static void explain_row(struct classic_row *row, bool loopback)
{
    char words[200];

    explain_modes(row);
    if (differs(row->seen_copies, row->copies)) {
        snprintf(words, sizeof words, "%.2f CPU copies, not %.0f, by the probe's verdicts",
                 row->seen_copies, row->copies);
        add_words(row, words);
    }
    if (row->dma >= 0 && row->seen_dma >= 0 && row->seen_dma < 0.05)
        add_words(row, "no DMA from the disk while the page cache has the file");
    if (row->dma >= 0 && row->seen_dma_cold >= 0 && fabs(row->seen_dma_cold - 1) > 0.05) {
        snprintf(words, sizeof words,
                 "%.2f bytes read from the disk for each, not 1, when it is cold",
                 row->seen_dma_cold);
        add_words(row, words);
    }
    if (row->dma >= 0 && row->network == 0)
        add_words(row, loopback ? "no DMA to a network card: loopback has none"
                                : "no DMA to a network card: there is none on the way");
}

unsigned bench_classic(const struct bench_report *report,
                       struct classic_row rows[static CLASSIC_ROWS])
{
    unsigned found = 0;

    for (unsigned i = 0; i < CLASSIC_ROWS; i++) {
        struct classic_row *row = &rows[i];
        const struct cell *cold = find_cell(report, classics[i].way, WARMTH_COLD);
        *row = (struct classic_row){.way = classics[i].way,
                                    .modes = classics[i].modes,
                                    .copies = classics[i].copies,
                                    .dma = classics[i].dma,
                                    .cell = find_cell(report, classics[i].way, WARMTH_HOT),
                                    .seen_modes = -1,
                                    .seen_copies = -1,
                                    .seen_dma = -1,
                                    .seen_dma_cold = cold ? cold->device : -1};
        if (!row->cell)
            continue;
        found++;
        row->seen_modes = modes_per_chunk(row->cell);
        row->seen_copies = row->cell->copies;
        row->seen_dma = row->cell->device;
        row->network = row->cell->network;
        explain_row(row, !report->peer);
    }
    return found ? CLASSIC_ROWS : 0;
}
