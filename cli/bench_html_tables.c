/* SPDX-License-Identifier: MIT */
/* The page's other tables: the classic one, the broker's, the probe's. */
#include <stdlib.h>
#include <string.h>

#include "bench_broker.h"
#include "bench_html.h"
#include "report.h"

/* ---- the classic table ---- */

void bench_html_classic(const struct bench_report *report, FILE *out)
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
        html_element("th", "scope=\"row\"", row->way, out);
        html_number(row->modes, 0, out);
        html_number(row->seen_modes, 2, out);
        html_number(row->copies, 0, out);
        html_number(row->seen_copies, 2, out);
        html_number(row->dma, 0, out);
        html_number(row->seen_dma, 2, out);
        html_number(row->seen_dma_cold, 2, out);
        html_number(row->network, 0, out);
        html_element("td", "class=\"why\"", row->why, out);
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
    char text[BENCH_NUMBERS];

    if (row->error < 0 || row->runs == 0) {
        html_element("th", "scope=\"row\"", row->way->name, out);
        html_element("td", "colspan=\"4\" class=\"left\"",
                     *row->reason ? row->reason : strerror(-row->error), out);
        return;
    }
    snprintf(text, sizeof text, "%s%s", row->way->name, row->control ? " again" : "");
    html_element("th", "scope=\"row\"", text, out);
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        const struct interval interval = bench_broker_interval(row, columns[i].figure);
        bench_broker_numbers(interval, columns[i].unit, text);
        html_element("td", "", text, out);
    }
}

static void put_broker_group(const struct broker *broker, unsigned group, FILE *out)
{
    unsigned count;
    const struct broker_row *rows = bench_broker_group(broker, group, &count);
    static const char *const columns[] = {"method", "CPU µs/message", "messages/s", "p50 µs",
                                          "p99 µs"};
    const bool behind = rows->way->part == BROKER_BEHIND;
    char title[BENCH_TITLE], id[16], *words = NULL;
    size_t length;

    html_element("h3", "", bench_broker_title(rows, title), out);
    FILE *stream = open_memstream(&words, &length);
    if (stream) {
        bench_broker_words(broker, group, stream);
        fclose(stream);
        html_element("p", "", words, out);
    }
    free(words);
    fprintf(out,
            "<div class=\"charts two\"><figure data-figure=\"cost\" data-table=\"b%u\" "
            "data-unit=\"µs\"><figcaption>%s: less is better</figcaption></figure>"
            "<figure data-figure=\"late\" data-table=\"b%u\" data-unit=\"µs\"><figcaption>99 %% "
            "within: less is better</figcaption></figure></div>\n",
            group, behind ? "Median time" : "CPU per message", group);
    snprintf(id, sizeof id, "b%u", group);
    html_table(id, title, out);
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        html_element("th", i ? "scope=\"col\"" : "scope=\"col\" class=\"left\"", columns[i], out);
    fputs("</tr></thead><tbody>\n", out);
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

void bench_html_broker(const struct bench_report *report, FILE *out)
{
    const struct broker *const broker = report->broker;
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
    html_text(leg->error ? errno_name(leg->error) : sluice_verdict_name(leg->verdict), out);
    fputs("</b> ", out);
    html_text(leg->call, out);
    if (*leg->variant) {
        fputc(' ', out);
        html_text(leg->variant, out);
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

void bench_html_probe(const struct bench_report *report, FILE *out)
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
        html_element("th", "scope=\"col\" class=\"left\"", to[i], out);
    fputs("</tr></thead><tbody>\n", out);
    for (unsigned i = 0; i < rows; i++) {
        fputs("<tr>", out);
        html_element("th", "scope=\"row\"", from[i], out);
        for (unsigned k = 0; k < columns; k++)
            put_legs(report->probe, from[i], to[k], out);
        fputs("</tr>\n", out);
    }
    fputs("</tbody></table></div></section>\n", out);
}
