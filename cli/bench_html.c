/* SPDX-License-Identifier: MIT */
/* One page that needs nothing but itself. The tables are made here, so that they are there without a
 * script; the script draws them as charts (bench_page/). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench_broker.h"
#include "bench_embedded.h"
#include "measure/paths.h"
#include "report.h"
#include "units.h"

#define GIB 1073741824.0

static void escape(const char *text, FILE *out)
{
    for (; *text; text++)
        switch (*text) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            fputc(*text, out);
        }
}

/* "<tag>text</tag>" */
static void element(const char *tag, const char *attributes, const char *text, FILE *out)
{
    fprintf(out, "<%s%s%s>", tag, *attributes ? " " : "", attributes);
    escape(text, out);
    fprintf(out, "</%s>", tag);
}

static void count_cell(double value, FILE *out)
{
    char text[UNITS_BUFFER];
    element("td", "", value < 0 ? "-" : units_format_count((uint64_t)(value + 0.5), text), out);
}

static void number_cell(double value, int digits, FILE *out)
{
    char text[32];
    snprintf(text, sizeof text, "%.*f", digits, value);
    element("td", "", value < 0 ? "-" : text, out);
}

/* ---- the top ---- */

static void put_fact(const char *name, const char *text, FILE *out)
{
    element("dt", "", name, out);
    element("dd", "", text, out);
}

static void put_machine(const struct bench_report *report, FILE *out)
{
    const struct machine *machine = report->machine;
    char text[512], memory[UNITS_BUFFER];

    fputs("<dl class=\"machine\">", out);
    snprintf(text, sizeof text, "%s %s %s", machine->kernel.sysname, machine->kernel.release,
             machine->kernel.machine);
    put_fact("kernel", text, out);
    snprintf(text, sizeof text, "%u × %s, %s of memory", machine->cpus,
             *machine->cpu ? machine->cpu : "model unknown",
             units_format_bytes(machine->memory, memory));
    put_fact("machine", text, out);
    snprintf(text, sizeof text, "%s%s%s%s", machine->disk, *machine->device ? ", on " : "",
             machine->device, machine->loop ? " (a file itself)" : "");
    put_fact("disk", text, out);
    snprintf(text, sizeof text, "%s, %s", report->peer ? report->peer : "loopback",
             report->peer ? machine->congestion : "cubic or reno");
    put_fact("TCP", text, out);
    snprintf(text, sizeof text, "%s, as user %u; %u rounds in %.0f s, load before %.2f",
             machine->when, machine->user, report->rounds, report->seconds, machine->load);
    put_fact("measured", text, out);
    fputs("</dl>\n", out);
}

static void put_line(const char *words, void *data)
{
    element("p", "", words, data);
    fputc('\n', data);
}

static void put_words(const struct bench_report *report, FILE *out)
{
    fputs("<section id=\"words\"><h2>In words</h2>\n", out);
    bench_words(report, put_line, out);
    if (*report->notes) {
        fputs("<ul>", out);
        for (const char *const *note = report->notes; *note; note++)
            element("li", "", *note, out);
        fputs("</ul>\n", out);
    }
    fputs("<p>Dots are medians, the lines through them 95 % intervals; the axis goes by powers of "
          "ten. A "
          "difference is one only if the intervals are apart, and further than the same thing, run "
          "twice "
          "(\"again\"), is from itself. CPU is the mover's alone.</p></section>\n",
          out);
}

/* ---- groups ---- */

static void interval_cell(struct interval interval, double unit, int digits, FILE *out)
{
    char text[96];
    snprintf(text, sizeof text, "%.*f [%.*f %.*f]", digits, interval.middle / unit, digits,
             interval.low / unit, digits, interval.high / unit);
    element("td", "", text, out);
}

static void put_cell(const struct cell *cell, FILE *out)
{
    const struct interval cpu = bench_interval(cell, FIGURE_CPU);
    const struct interval rate = bench_interval(cell, FIGURE_THROUGHPUT);
    const double calls = measure_calls(cell);
    char text[64];

    fprintf(out, "<tr%s data-cpu=\"%.4g %.4g %.4g\" data-rate=\"%.4g %.4g %.4g\">",
            cell->control ? " class=\"control\"" : "", cpu.low, cpu.middle, cpu.high,
            rate.low / GIB, rate.middle / GIB, rate.high / GIB);
    snprintf(text, sizeof text, "%s%s", cell->way->name, cell->control ? " again" : "");
    element("th", "scope=\"row\"", text, out);
    interval_cell(cpu, 1, 3, out);
    number_cell(bench_interval(cell, FIGURE_USER).middle, 3, out);
    number_cell(bench_interval(cell, FIGURE_SYSTEM).middle, 3, out);
    interval_cell(rate, GIB, 2, out);
    count_cell(calls, out);
    count_cell(calls < 0 ? -1 : 2 * calls, out);
    count_cell(bench_interval(cell, FIGURE_VOLUNTARY).middle, out);
    count_cell(bench_interval(cell, FIGURE_INVOLUNTARY).middle, out);
    count_cell(
        bench_interval(cell, FIGURE_MINOR).middle + bench_interval(cell, FIGURE_MAJOR).middle, out);
    snprintf(text, sizeof text, "%.2f %s", cell->copies, cell->proven ? "proven" : "expected");
    element("td", "", text, out);
    number_cell(cell->device, 2, out);
    number_cell(cell->network, 0, out);
    number_cell(bench_interval(cell, FIGURE_CACHED).middle, 2, out);
    fputs("</tr>\n", out);
}

static void put_refusal(const struct cell *cell, FILE *out)
{
    char text[160];

    if (cell->control)
        return;
    fputs("<tr>", out);
    element("th", "scope=\"row\"", cell->way->name, out);
    element("td", "colspan=\"13\" class=\"left\"", bench_error(cell, text), out);
    fputs("</tr>\n", out);
}

static void put_figure(unsigned group, const char *figure, const char *unit, const char *title,
                       FILE *out)
{
    fprintf(out, "<figure data-figure=\"%s\" data-table=\"t%u\" data-unit=\"%s\"><figcaption>",
            figure, group, unit);
    escape(title, out);
    fprintf(out, "</figcaption></figure>");
}

static void put_group(const struct bench_report *report, unsigned group, const struct cell *cells,
                      unsigned count, FILE *out)
{
    static const char *const columns[] = {"method",
                                          "CPU s/GiB",
                                          "user",
                                          "system",
                                          "GiB/s",
                                          "system calls/GiB",
                                          "mode switches/GiB",
                                          "voluntary switches/GiB",
                                          "involuntary/GiB",
                                          "page faults/GiB",
                                          "CPU copies/byte",
                                          "disk DMA/byte",
                                          "network DMA/byte, derived",
                                          "left in page cache/byte"};
    char title[BENCH_TITLE], *words = NULL;
    size_t length;

    fprintf(out, "<section id=\"g%u\">", group);
    element("h2", "", bench_title(cells, title), out);
    FILE *stream = open_memstream(&words, &length);
    if (stream) {
        bench_words_group(report, group, stream);
        fclose(stream);
        element("p", "", words, out);
    }
    free(words);
    fputs("<div class=\"charts two\">", out);
    put_figure(group, "cpu", "CPU s/GiB", "CPU per GiB: less is better", out);
    put_figure(group, "rate", "GiB/s", "Throughput: more is better", out);
    fprintf(out, "</div>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"");
    escape(title, out);
    fprintf(out, "\"><table id=\"t%u\"><caption>", group);
    escape(title, out);
    fputs("</caption><thead><tr>", out);
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        element("th", i ? "scope=\"col\"" : "scope=\"col\" class=\"left\"", columns[i], out);
    fputs("</tr></thead><tbody>\n", out);
    for (unsigned i = 0; i < count; i++)
        if (cells[i].error == 0 && cells[i].runs > 0)
            put_cell(&cells[i], out);
        else
            put_refusal(&cells[i], out);
    fputs("</tbody></table></div></section>\n", out);
}

/* ---- by the size of the calls ---- */

struct sizes {
    uint32_t chunk[16];
    const struct cell *first[16]; /* of the group */
    unsigned members[16];
    unsigned count;
};

static void collect_sizes(const struct bench_report *report, const struct path *path,
                          struct sizes *ret)
{
    unsigned members;
    const struct cell *cells;

    ret->count = 0;
    for (unsigned group = 0; ret->count < 16 && (cells = bench_group(report, group, &members));
         group++) {
        if (cells->path != path || cells->warmth != WARMTH_HOT || cells->error == -ETIME)
            continue;
        unsigned at = ret->count++;
        for (; at > 0 && ret->chunk[at - 1] > cells->chunk; at--) {
            ret->chunk[at] = ret->chunk[at - 1];
            ret->first[at] = ret->first[at - 1];
            ret->members[at] = ret->members[at - 1];
        }
        ret->chunk[at] = cells->chunk;
        ret->first[at] = cells;
        ret->members[at] = members;
    }
}

static const struct cell *member(const struct sizes *sizes, unsigned at, const struct way *way)
{
    for (unsigned i = 0; i < sizes->members[at]; i++) {
        const struct cell *cell = &sizes->first[at][i];
        if (cell->way == way && !cell->control && cell->error == 0 && cell->runs > 0)
            return cell;
    }
    return NULL;
}

static void put_way_by_size(const struct sizes *sizes, const struct way *way, FILE *out)
{
    fputs("<tr>", out);
    element("th", "scope=\"row\"", way->name, out);
    for (unsigned i = 0; i < sizes->count; i++) {
        const struct cell *cell = member(sizes, i, way);
        if (!cell) {
            element("td", "", "-", out);
            continue;
        }
        const struct interval cpu = bench_interval(cell, FIGURE_CPU);
        char data[96], text[96];
        snprintf(data, sizeof data, "data-cpu=\"%.4g %.4g %.4g\"", cpu.low, cpu.middle, cpu.high);
        snprintf(text, sizeof text, "%.3f [%.3f %.3f]", cpu.middle, cpu.low, cpu.high);
        element("td", data, text, out);
    }
    fputs("</tr>\n", out);
}

static void put_sizes(const struct bench_report *report, FILE *out)
{
    for (unsigned i = 0; path_at(i); i++) {
        const struct path *path = path_at(i);
        struct sizes sizes;
        char chunk[16];
        collect_sizes(report, path, &sizes);
        if (sizes.count < 2)
            continue;
        fprintf(out, "<section id=\"s%u\"><h2>%s: CPU by the size of the calls</h2>\n", i,
                path->name);
        fprintf(
            out,
            "<div class=\"charts\"><figure data-sizes data-table=\"st%u\"><figcaption>%s, CPU per "
            "GiB: less is better</figcaption></figure></div>\n",
            i, path->name);
        fprintf(out,
                "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"%s by size\">"
                "<table id=\"st%u\"><caption>%s, CPU s/GiB</caption><thead><tr><th scope=\"col\" "
                "class=\"left\">method</th>",
                path->name, i, path->name);
        for (unsigned k = 0; k < sizes.count; k++)
            element("th", "scope=\"col\"", bench_chunk(sizes.chunk[k], chunk), out);
        fputs("</tr></thead><tbody>\n", out);
        for (unsigned k = 0; way_at(k); k++) {
            bool any = false;
            for (unsigned size = 0; size < sizes.count; size++)
                any |= member(&sizes, size, way_at(k)) != NULL;
            if (any)
                put_way_by_size(&sizes, way_at(k), out);
        }
        fputs("</tbody></table></div></section>\n", out);
    }
}

/* ---- the classic table ---- */

static void put_classic(const struct bench_report *report, FILE *out)
{
    struct classic_row rows[CLASSIC_ROWS];
    const unsigned count = bench_classic(report, rows);

    if (count == 0)
        return;
    fputs("<section id=\"classic\"><h2>The table that everybody draws</h2><p>From a file to a "
          "network card, for "
          "each buffer; and what was seen here, file to TCP in calls of 64 KiB.</p><div "
          "class=\"scroll\" "
          "tabindex=\"0\" role=\"region\" aria-label=\"The classic table\"><table><caption>Drawn, "
          "and "
          "seen</caption><thead><tr><th scope=\"col\" class=\"left\">method</th><th "
          "scope=\"col\">mode "
          "switches, drawn</th><th scope=\"col\">seen</th><th scope=\"col\">CPU copies, "
          "drawn</th><th "
          "scope=\"col\">seen</th><th scope=\"col\">DMA, drawn</th><th scope=\"col\">disk, "
          "hot</th><th "
          "scope=\"col\">disk, cold</th><th scope=\"col\">network, derived</th><th scope=\"col\" "
          "class=\"left\">where they differ</th></tr></thead><tbody>\n",
          out);
    for (unsigned i = 0; i < count; i++) {
        const struct classic_row *row = &rows[i];
        if (!row->cell)
            continue;
        fputs("<tr>", out);
        element("th", "scope=\"row\"", row->way, out);
        number_cell(row->modes, 0, out);
        number_cell(row->seen_modes, 2, out);
        number_cell(row->copies, 0, out);
        number_cell(row->seen_copies, 2, out);
        number_cell(row->dma, 0, out);
        number_cell(row->seen_dma, 2, out);
        number_cell(row->seen_dma_cold, 2, out);
        number_cell(row->network, 0, out);
        element("td", "class=\"why\"", row->why, out);
        fputs("</tr>\n", out);
    }
    fputs("</tbody></table></div></section>\n", out);
}

/* ---- the broker ---- */

static void put_broker_row(const struct broker_row *row, FILE *out)
{
    static const struct {
        enum broker_figure figure;
        double unit;
    } columns[] = {{BROKER_CPU, 1e6}, {BROKER_RATE, 1}, {BROKER_P50, 1e6}, {BROKER_P99, 1e6}};
    char text[64];

    if (row->error < 0 || row->runs == 0) {
        element("th", "scope=\"row\"", row->way->name, out);
        element("td", "colspan=\"4\" class=\"left\"",
                *row->reason ? row->reason : strerror(-row->error), out);
        return;
    }
    snprintf(text, sizeof text, "%s%s", row->way->name, row->control ? " again" : "");
    element("th", "scope=\"row\"", text, out);
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        const struct interval interval = bench_broker_interval(row, columns[i].figure);
        snprintf(text, sizeof text, "%.4g [%.4g %.4g]", interval.middle * columns[i].unit,
                 interval.low * columns[i].unit, interval.high * columns[i].unit);
        element("td", "", text, out);
    }
}

static void put_broker_group(const struct broker *broker, unsigned group, FILE *out)
{
    unsigned count;
    const struct broker_row *rows = bench_broker_group(broker, group, &count);
    const bool behind = rows->way->part == BROKER_BEHIND;
    char title[BENCH_TITLE], *words = NULL;
    size_t length;

    element("h3", "", bench_broker_title(rows, title), out);
    FILE *stream = open_memstream(&words, &length);
    if (stream) {
        bench_broker_words(broker, group, stream);
        fclose(stream);
        element("p", "", words, out);
    }
    free(words);
    fprintf(out,
            "<div class=\"charts two\"><figure data-figure=\"cost\" data-table=\"b%u\" "
            "data-unit=\"µs\"><figcaption>%s: less is better</figcaption></figure>"
            "<figure data-figure=\"late\" data-table=\"b%u\" data-unit=\"µs\"><figcaption>99 %% "
            "within: less is better</figcaption></figure></div>\n",
            group, behind ? "Median time" : "CPU per message", group);
    fprintf(out, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"");
    escape(title, out);
    fprintf(out, "\"><table id=\"b%u\"><caption>", group);
    escape(title, out);
    fputs("</caption><thead><tr><th scope=\"col\" class=\"left\">method</th><th scope=\"col\">CPU "
          "µs/message</th><th scope=\"col\">messages/s</th><th scope=\"col\">p50 µs</th><th "
          "scope=\"col\">p99 µs</th></tr></thead><tbody>\n",
          out);
    for (unsigned i = 0; i < count; i++) {
        const struct interval cost =
            bench_broker_interval(&rows[i], behind ? BROKER_P50 : BROKER_CPU);
        const struct interval late = bench_broker_interval(&rows[i], BROKER_P99);
        fprintf(out, "<tr%s", rows[i].control ? " class=\"control\"" : "");
        if (rows[i].error == 0 && rows[i].runs > 0)
            fprintf(out, " data-cost=\"%.4g %.4g %.4g\" data-late=\"%.4g %.4g %.4g\"",
                    cost.low * 1e6, cost.middle * 1e6, cost.high * 1e6, late.low * 1e6,
                    late.middle * 1e6, late.high * 1e6);
        fputc('>', out);
        put_broker_row(&rows[i], out);
        fputs("</tr>\n", out);
    }
    fputs("</tbody></table></div>\n", out);
}

static void put_broker(const struct broker *broker, FILE *out)
{
    unsigned count;

    if (!broker)
        return;
    fputs("<section id=\"broker\"><h2>A broker: mmap, sendfile or splice</h2>\n", out);
    for (unsigned group = 0; bench_broker_group(broker, group, &count); group++)
        put_broker_group(broker, group, out);
    fputs("</section>\n", out);
}

/* ---- the probe ---- */

enum { MOST_ENDS = 24 };

static unsigned find_name(const char *names[MOST_ENDS], unsigned *count, const char *name)
{
    unsigned at = 0;
    while (at < *count && strcmp(names[at], name) != 0)
        at++;
    if (at == *count && at < MOST_ENDS)
        names[(*count)++] = name;
    return at;
}

static void put_leg(const struct sluice_probe_leg *leg, FILE *out)
{
    static const char *const kinds[] = {"unknown", "free", "free", "free", "copied"};
    static const char *const marks[] = {"?", "∅", "→", "⇉", "▣"};
    const unsigned verdict = leg->verdict <= SLUICE_VERDICT_COPIED ? (unsigned)leg->verdict : 0;

    fprintf(out, "<span class=\"leg %s\">%s <b>", leg->error ? "refused" : kinds[verdict],
            leg->error ? "×" : marks[verdict]);
    escape(leg->error ? errno_name(leg->error) : sluice_verdict_name(leg->verdict), out);
    fputs("</b> ", out);
    escape(leg->call, out);
    if (*leg->variant) {
        fputc(' ', out);
        escape(leg->variant, out);
    }
    fputs("</span>", out);
}

static void put_legs(const sluice_probe *probe, const char *from, const char *to, FILE *out)
{
    struct sluice_probe_leg leg = {.size = sizeof leg};

    fputs("<td>", out);
    for (unsigned i = 0; sluice_probe_leg(probe, i, &leg) == 0; i++)
        if (strcmp(leg.from, from) == 0 && strcmp(leg.to, to) == 0)
            put_leg(&leg, out);
    fputs("</td>", out);
}

static void put_matrix(const struct bench_report *report, FILE *out)
{
    const char *from[MOST_ENDS], *to[MOST_ENDS];
    unsigned rows = 0, columns = 0;
    struct sluice_probe_leg leg = {.size = sizeof leg};

    if (!report->probe)
        return;
    for (unsigned i = 0; sluice_probe_leg(report->probe, i, &leg) == 0; i++) {
        find_name(from, &rows, leg.from);
        find_name(to, &columns, leg.to);
    }
    fputs("<section id=\"probe\"><h2>What copies, and what does not</h2><p>By <code>sluice "
          "probe</code>, on this "
          "kernel. → reference: pages are handed on. ⇉ dma: a device moves them. ∅ offload: no "
          "byte moves. "
          "▣ copied: the CPU copies. ? unknown. × refused, with the errno. A double border is free "
          "of "
          "copies.</p><div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Verdicts "
          "of the "
          "probe\"><table class=\"matrix\"><caption>From the row's end to the "
          "column's</caption><thead><tr>"
          "<th scope=\"col\" class=\"left\">from</th>",
          out);
    for (unsigned i = 0; i < columns; i++)
        element("th", "scope=\"col\" class=\"left\"", to[i], out);
    fputs("</tr></thead><tbody>\n", out);
    for (unsigned i = 0; i < rows; i++) {
        fputs("<tr>", out);
        element("th", "scope=\"row\"", from[i], out);
        for (unsigned k = 0; k < columns; k++)
            put_legs(report->probe, from[i], to[k], out);
        fputs("</tr>\n", out);
    }
    fputs("</tbody></table></div></section>\n", out);
}

/* ---- all of it ---- */

static void put_links(const struct bench_report *report, FILE *out)
{
    unsigned count;
    const struct cell *cells;
    char title[BENCH_TITLE];

    fputs("<nav aria-label=\"Contents\"><ul><li><a href=\"#words\">In words</a></li>", out);
    for (unsigned group = 0; (cells = bench_group(report, group, &count)); group++)
        if (cells->error != -ETIME) {
            fprintf(out, "<li><a href=\"#g%u\">", group);
            escape(bench_title(cells, title), out);
            fputs("</a></li>", out);
        }
    if (report->broker)
        fputs("<li><a href=\"#broker\">A broker</a></li>", out);
    if (report->probe)
        fputs("<li><a href=\"#probe\">What copies</a></li>", out);
    fputs("</ul></nav>\n", out);
}

static void put_scripts(FILE *out)
{
    fputs("<script>\n", out);
    fwrite(embedded_chart, 1, embedded_chart_length, out);
    fputs("\n</script>\n<script>\n", out);
    fwrite(embedded_script, 1, embedded_script_length, out);
    fputs("</script>\n", out);
}

void bench_html(const struct bench_report *report, FILE *out)
{
    unsigned count;
    const struct cell *cells;

    fputs("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
          "'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">\n"
          "<link rel=\"icon\" href=\"data:,\">\n<title>sluice bench</title>\n<style>\n",
          out);
    fwrite(embedded_style, 1, embedded_style_length, out);
    fputs("</style></head><body>\n<a class=\"skip\" href=\"#main\">To the figures</a>\n<header>"
          "<h1>What moving bytes costs on this machine</h1>\n",
          out);
    put_machine(report, out);
    put_links(report, out);
    fputs("</header>\n<main id=\"main\">\n", out);
    put_words(report, out);
    put_sizes(report, out);
    for (unsigned group = 0; (cells = bench_group(report, group, &count)); group++)
        if (cells->error != -ETIME)
            put_group(report, group, cells, count, out);
    put_classic(report, out);
    put_broker(report->broker, out);
    put_matrix(report, out);
    fprintf(out, "</main>\n<footer>Made by <code>sluice bench</code> %s%s</footer>\n",
            sluice_version(),
            embedded_chart_length ? "; charts by Chart.js, MIT License" : "; built without charts");
    put_scripts(out);
    fputs("</body></html>\n", out);
}
