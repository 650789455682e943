/* SPDX-License-Identifier: MIT */
/* One page that needs nothing but itself. The tables are made here, so that they are there without a
 * script; the script draws them as charts (bench_page/). */
#include "bench_html.h"

#include <string.h>

#include "bench_embedded.h"
#include "units.h"

void html_text(const char *text, FILE *out)
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

void html_element(const char *tag, const char *attributes, const char *text, FILE *out)
{
    fprintf(out, "<%s%s%s>", tag, *attributes ? " " : "", attributes);
    html_text(text, out);
    fprintf(out, "</%s>", tag);
}

void html_count(double value, FILE *out)
{
    char text[UNITS_BUFFER];
    html_element("td", "", value < 0 ? "-" : units_format_count((uint64_t)(value + 0.5), text),
                 out);
}

void html_number(double value, int digits, FILE *out)
{
    char text[32];
    snprintf(text, sizeof text, "%.*f", digits, value);
    html_element("td", "", value < 0 ? "-" : text, out);
}

void html_table(const char *id, const char *title, FILE *out)
{
    fputs("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"", out);
    html_text(title, out);
    fprintf(out, "\"><table%s%s%s><caption>", *id ? " id=\"" : "", id, *id ? "\"" : "");
    html_text(title, out);
    fputs("</caption><thead><tr>", out);
}

/* ---- the top ---- */

static void put_fact(const char *name, const char *text, FILE *out)
{
    html_element("dt", "", name, out);
    html_element("dd", "", text, out);
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
    html_element("p", "", words, data);
    fputc('\n', data);
}

static void put_words(const struct bench_report *report, FILE *out)
{
    fputs("<section id=\"words\"><h2>In words</h2>\n", out);
    bench_words(report, put_line, out);
    if (*report->notes) {
        fputs("<ul>", out);
        for (const char *const *note = report->notes; *note; note++)
            html_element("li", "", *note, out);
        fputs("</ul>\n", out);
    }
    fputs("<p>Dots are medians, the lines through them 95 % intervals; the axis goes by powers of "
          "ten. A "
          "difference is one only if the intervals are apart, and further than the same thing, run "
          "twice "
          "(\"again\"), is from itself. CPU is the mover's alone.</p></section>\n",
          out);
}

/* ---- all of it ---- */

static void put_links(const struct bench_report *report, FILE *out)
{
    fputs("<nav aria-label=\"Contents\"><ul><li><a href=\"#words\">In words</a></li>", out);
    bench_html_path_links(report, out);
    if (bench_classic(report, (struct classic_row[CLASSIC_ROWS]){0}) > 0)
        fputs("<li><a href=\"#classic\">The table that everybody draws</a></li>", out);
    if (report->broker)
        fputs("<li><a href=\"#broker\">A broker</a></li>", out);
    if (report->probe)
        fputs("<li><a href=\"#probe\">What copies</a></li>", out);
    fputs("</ul></nav>\n<button type=\"button\" id=\"all\" hidden></button>\n", out);
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
    bench_html_paths(report, out);
    bench_html_classic(report, out);
    bench_html_broker(report, out);
    bench_html_probe(report, out);
    fprintf(out, "</main>\n<footer>Made by <code>sluice bench</code> %s%s</footer>\n",
            sluice_version(),
            embedded_chart_length ? "; charts by Chart.js, MIT License" : "; built without charts");
    put_scripts(out);
    fputs("</body></html>\n", out);
}
