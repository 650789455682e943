/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench_broker.h"
#include "units.h"

#define GIB 1073741824.0

/* "32,771", "-" for what is not known. */
static const char *count_words(double value, char text[static UNITS_BUFFER])
{
    return value < 0 ? "-" : units_format_count((uint64_t)(value + 0.5), text);
}

static const char *ratio_words(double value, char text[static 16])
{
    if (value < 0)
        return "-";
    snprintf(text, 16, "%.2f", value);
    return text;
}

static void print_cell(const struct cell *cell, FILE *out)
{
    const struct interval cpu = bench_interval(cell, FIGURE_CPU);
    const struct interval rate = bench_interval(cell, FIGURE_THROUGHPUT);
    char name[40], cost[40], speed[40], calls[UNITS_BUFFER], modes[UNITS_BUFFER];
    char voluntary[UNITS_BUFFER], involuntary[UNITS_BUFFER], faults[UNITS_BUFFER], device[16],
        left[16];
    const double counted = measure_calls(cell);

    snprintf(name, sizeof name, "%s%s", cell->way->name, cell->control ? " again" : "");
    snprintf(cost, sizeof cost, "%.3f [%.3f %.3f]", cpu.middle, cpu.low, cpu.high);
    snprintf(speed, sizeof speed, "%.2f [%.2f %.2f]", rate.middle / GIB, rate.low / GIB,
             rate.high / GIB);
    fprintf(out, "  %-16s %-20s %-20s %9s %9s %7s %6s %8s %4.2f%s %5s %5s\n", name, cost, speed,
            count_words(counted, calls), count_words(counted < 0 ? -1 : 2 * counted, modes),
            count_words(bench_interval(cell, FIGURE_VOLUNTARY).middle, voluntary),
            count_words(bench_interval(cell, FIGURE_INVOLUNTARY).middle, involuntary),
            count_words(bench_interval(cell, FIGURE_MINOR).middle +
                            bench_interval(cell, FIGURE_MAJOR).middle,
                        faults),
            cell->copies, cell->proven ? " " : "~", ratio_words(cell->device, device),
            ratio_words(bench_interval(cell, FIGURE_CACHED).middle, left));
}

void bench_print_wrapped(const char *text, const char *indent, FILE *out)
{
    enum { WIDTH = 100 };
    size_t at = 0;

    while (*text) {
        const size_t length = strcspn(text, " ");
        if (at && at + 1 + length > WIDTH) {
            fputc('\n', out);
            at = 0;
        }
        at += (size_t)fprintf(out, "%s%.*s", at ? " " : indent, (int)length, text);
        text += length;
        text += strspn(text, " ");
    }
    if (at)
        fputc('\n', out);
}

static void print_group(const struct bench_report *report, const struct cell *cells, unsigned count,
                        FILE *out)
{
    char title[BENCH_TITLE], *words = NULL;
    size_t length;

    fprintf(out, "\n%s\n", bench_title(cells, title));
    fprintf(out, "  %-16s %-20s %-20s %9s %9s %7s %6s %8s %5s %5s %5s\n", "", "CPU s/GiB", "GiB/s",
            "calls", "modes", "vol.", "inv.", "faults", "copy", "disk", "left");
    for (unsigned i = 0; i < count; i++)
        if (cells[i].error == 0 && cells[i].runs > 0)
            print_cell(&cells[i], out);
    FILE *stream = open_memstream(&words, &length);
    if (!stream)
        return;
    bench_words_group(report, cells->group, stream);
    fclose(stream);
    bench_print_wrapped(words, "  ", out);
    free(words);
}

static const char *said(double value, char text[static 16])
{
    if (value < 0)
        return "-";
    snprintf(text, 16, "%.0f", value);
    return text;
}

static void print_classic(const struct bench_report *report, FILE *out)
{
    struct classic_row rows[CLASSIC_ROWS];
    const unsigned count = bench_classic(report, rows);
    char a[16], b[16], c[16], d[16], e[16], f[16], g[16];

    if (count == 0)
        return;
    fprintf(out, "\nThe table that everybody draws, from a file to a network card, for each "
                 "buffer; and what "
                 "was seen\nhere, file -> tcp in calls of 64 KiB\n");
    fprintf(out, "  %-12s %15s %15s %15s %20s\n", "", "mode switches", "CPU copies", "DMA",
            "disk DMA, hot/cold");
    fprintf(out, "  %-12s %15s %15s %15s %20s\n", "", "drawn  seen", "drawn  seen", "drawn  card",
            "seen");
    for (unsigned i = 0; i < count; i++) {
        const struct classic_row *row = &rows[i];
        if (!row->cell)
            continue;
        fprintf(out, "  %-12s %9s %5s %9s %5s %9s %5.0f %13s %6s\n", row->way, said(row->modes, a),
                ratio_words(row->seen_modes, b), said(row->copies, c),
                ratio_words(row->seen_copies, d), said(row->dma, e), row->network,
                ratio_words(row->seen_dma, f), ratio_words(row->seen_dma_cold, g));
    }
    for (unsigned i = 0; i < count; i++)
        if (rows[i].cell && *rows[i].why) {
            char *line = NULL;
            if (asprintf(&line, "%s: %s.", rows[i].way, rows[i].why) >= 0)
                bench_print_wrapped(line, "  ", out);
            free(line);
        }
}

static void print_line(const char *words, void *data)
{
    bench_print_wrapped(words, "", data);
}

static void print_head(const struct bench_report *report, FILE *out)
{
    const struct machine *machine = report->machine;
    char memory[UNITS_BUFFER];

    fprintf(out, "%s %s %s, %u CPU%s (%s), %s of memory, uid %u\n", machine->kernel.sysname,
            machine->kernel.release, machine->kernel.machine, machine->cpus,
            machine->cpus == 1 ? "" : "s", *machine->cpu ? machine->cpu : "model unknown",
            units_format_bytes(machine->memory, memory), machine->user);
    fprintf(out, "disk: %s%s%s%s; tcp: %s, %s; %u rounds in %.0f s, load before %.2f\n",
            machine->disk, *machine->device ? ", on " : "", machine->device,
            machine->loop ? " (a file itself)" : "", report->peer ? report->peer : "loopback",
            report->peer ? machine->congestion : "cubic or reno", report->rounds, report->seconds,
            machine->load);
    for (const char *const *note = report->notes; *note; note++)
        bench_print_wrapped(*note, "note: ", out);
}

void bench_text(const struct bench_report *report, FILE *out)
{
    unsigned count;
    const struct cell *cells;

    print_head(report, out);
    for (unsigned group = 0; (cells = bench_group(report, group, &count)); group++)
        if (cells->error != -ETIME)
            print_group(report, cells, count, out);
    print_classic(report, out);
    bench_broker_text(report->broker, out);
    fputc('\n', out);
    bench_words(report, print_line, out);
    bench_print_wrapped(
        "Medians, with 95 % intervals. CPU is the mover's, its neighbours' is not in it; calls, "
        "mode "
        "switches, switches by the scheduler (voluntary, involuntary) and page faults are per "
        "GiB; copy: by the CPU, for each byte (~: expected, not proven here); disk: bytes that the "
        "device moved for each; left: in the page cache. A difference is one only if the intervals "
        "are apart, and further than the same thing is from itself.",
        "", out);
}
