/* SPDX-License-Identifier: MIT */
/* What was measured, path by path: an overview, and then each comparison. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench_html.h"
#include "measure/paths.h"
#include "units.h"

#define GIB 1073741824.0

/* ---- groups ---- */

static void interval_cell(struct interval interval, double unit, int digits, FILE *out)
{
    char text[96];
    snprintf(text, sizeof text, "%.*f [%.*f %.*f]", digits, interval.middle / unit, digits,
             interval.low / unit, digits, interval.high / unit);
    html_element("td", "", text, out);
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
    html_element("th", "scope=\"row\"", text, out);
    interval_cell(cpu, 1, 3, out);
    html_number(bench_interval(cell, FIGURE_USER).middle, 3, out);
    html_number(bench_interval(cell, FIGURE_SYSTEM).middle, 3, out);
    interval_cell(rate, GIB, 2, out);
    html_count(calls, out);
    html_count(calls < 0 ? -1 : 2 * calls, out);
    html_count(bench_interval(cell, FIGURE_VOLUNTARY).middle, out);
    html_count(bench_interval(cell, FIGURE_INVOLUNTARY).middle, out);
    html_count(
        bench_interval(cell, FIGURE_MINOR).middle + bench_interval(cell, FIGURE_MAJOR).middle, out);
    snprintf(text, sizeof text, "%.2f %s", cell->copies, cell->proven ? "proven" : "expected");
    html_element("td", "", text, out);
    html_number(cell->device, 2, out);
    html_number(cell->network, 0, out);
    html_number(bench_interval(cell, FIGURE_CACHED).middle, 2, out);
    fputs("</tr>\n", out);
}

static void put_refusal(const struct cell *cell, FILE *out)
{
    char text[160];

    if (cell->control)
        return;
    fputs("<tr>", out);
    html_element("th", "scope=\"row\"", cell->way->name, out);
    html_element("td", "colspan=\"13\" class=\"left\"", bench_error(cell, text), out);
    fputs("</tr>\n", out);
}

static void put_figure(unsigned group, const char *figure, const char *unit, const char *title,
                       FILE *out)
{
    fprintf(out, "<figure data-figure=\"%s\" data-table=\"t%u\" data-unit=\"%s\"><figcaption>",
            figure, group, unit);
    html_text(title, out);
    fprintf(out, "</figcaption></figure>");
}

static void put_cells(unsigned group, const struct cell *cells, unsigned count, FILE *out)
{
    static const char *const columns[] = {"method",
                                          "CPU s/GiB",
                                          "user",
                                          "system",
                                          "GiB/s",
                                          "system calls/GiB",
                                          "mode switches/GiB",
                                          "voluntary switches/GiB",
                                          "involuntary switches/GiB",
                                          "page faults/GiB",
                                          "CPU copies/byte",
                                          "disk DMA/byte",
                                          "network DMA/byte, derived",
                                          "left in page cache/byte"};
    char title[BENCH_TITLE], id[16];

    snprintf(id, sizeof id, "t%u", group);
    html_table(id, bench_title(cells, title), out);
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        html_element("th", i ? "scope=\"col\"" : "scope=\"col\" class=\"left\"", columns[i], out);
    fputs("</tr></thead><tbody>\n", out);
    for (unsigned i = 0; i < count; i++)
        if (cells[i].error == 0 && cells[i].runs > 0)
            put_cell(&cells[i], out);
        else
            put_refusal(&cells[i], out);
    fputs("</tbody></table></div>", out);
}

static void put_group(const struct bench_report *report, unsigned group, bool open, FILE *out)
{
    char title[BENCH_TITLE], *words = NULL;
    size_t length;
    unsigned count;
    const struct cell *cells = bench_group(report, group, &count);

    fprintf(out, "<details class=\"group\" id=\"g%u\"%s><summary>", group, open ? " open" : "");
    html_element("h3", "", bench_setting(cells, title), out);
    fputs("</summary>", out);
    FILE *stream = open_memstream(&words, &length);
    if (stream) {
        bench_words_group(report, group, stream);
        fclose(stream);
        html_element("p", "", words, out);
    }
    free(words);
    fputs("<div class=\"charts two\">", out);
    put_figure(group, "cpu", "CPU s/GiB", "CPU per GiB: less is better", out);
    put_figure(group, "rate", "GiB/s", "Throughput: more is better", out);
    fputs("</div>\n", out);
    put_cells(group, cells, count, out);
    fputs("</details>\n", out);
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
    html_element("th", "scope=\"row\"", way->name, out);
    for (unsigned i = 0; i < sizes->count; i++) {
        const struct cell *cell = member(sizes, i, way);
        if (!cell) {
            html_element("td", "", "-", out);
            continue;
        }
        const struct interval cpu = bench_interval(cell, FIGURE_CPU);
        char data[96], text[96];
        snprintf(data, sizeof data, "data-cpu=\"%.4g %.4g %.4g\"", cpu.low, cpu.middle, cpu.high);
        snprintf(text, sizeof text, "%.3f [%.3f %.3f]", cpu.middle, cpu.low, cpu.high);
        html_element("td", data, text, out);
    }
    fputs("</tr>\n", out);
}

static void put_sizes(const struct bench_report *report, const struct path *path, FILE *out)
{
    struct sizes sizes;
    char chunk[16], id[64], title[64];

    collect_sizes(report, path, &sizes);
    if (sizes.count < 2)
        return;
    snprintf(id, sizeof id, "sizes-%s", path->name);
    snprintf(title, sizeof title, "%s, CPU s/GiB by the size of the calls", path->name);
    fprintf(out,
            "<div class=\"charts\"><figure data-sizes data-table=\"%s\"><figcaption>CPU per GiB by "
            "the size of the calls: less is better</figcaption></figure></div>\n",
            id);
    html_table(id, title, out);
    fputs("<th scope=\"col\" class=\"left\">method</th>", out);
    for (unsigned k = 0; k < sizes.count; k++)
        html_element("th", "scope=\"col\"", bench_chunk(sizes.chunk[k], chunk), out);
    fputs("</tr></thead><tbody>\n", out);
    for (unsigned k = 0; way_at(k); k++) {
        bool any = false;
        for (unsigned size = 0; size < sizes.count; size++)
            any |= member(&sizes, size, way_at(k)) != NULL;
        if (any)
            put_way_by_size(&sizes, way_at(k), out);
    }
    fputs("</tbody></table></div>\n", out);
}

/* ---- a path ---- */

enum { MOST_SETTINGS = 64, MOST_OPEN = 16 }; /* as many comparisons as can be looked through */

static bool before(const struct bench_report *report, unsigned group, unsigned other)
{
    unsigned count;
    const struct cell *one = bench_group(report, group, &count);
    const struct cell *two = bench_group(report, other, &count);

    return one->warmth != two->warmth ? one->warmth < two->warmth : one->chunk < two->chunk;
}

/* The groups of a path, by the state of the page cache and the size of the calls. */
static unsigned find_groups(const struct bench_report *report, const struct path *path,
                            unsigned ret[static MOST_SETTINGS])
{
    unsigned found = 0, count;
    const struct cell *cells;

    for (unsigned group = 0; found < MOST_SETTINGS && (cells = bench_group(report, group, &count));
         group++) {
        if (cells->path != path || cells->error == -ETIME)
            continue;
        unsigned at = found++;
        for (; at > 0 && before(report, group, ret[at - 1]); at--)
            ret[at] = ret[at - 1];
        ret[at] = group;
    }
    return found;
}

static void put_best(const struct bench_report *report, unsigned group, enum figure figure,
                     FILE *out)
{
    char *words = NULL;
    size_t length;
    FILE *stream = open_memstream(&words, &length);

    if (stream) {
        bench_words_best(report, group, figure, stream);
        fclose(stream);
    }
    html_element("td", "class=\"why\"", stream ? words : "", out);
    free(words);
}

static void put_overview(const struct bench_report *report, const struct path *path,
                         const unsigned *groups, unsigned count, FILE *out)
{
    char title[64], setting[BENCH_TITLE];

    snprintf(title, sizeof title, "%s: what is best", path->name);
    html_table("", title, out);
    fputs("<th scope=\"col\" class=\"left\">comparison</th><th scope=\"col\" class=\"left\">least "
          "CPU</th><th scope=\"col\" class=\"left\">greatest throughput</th></tr></thead><tbody>\n",
          out);
    for (unsigned i = 0; i < count; i++) {
        unsigned members;
        const struct cell *cells = bench_group(report, groups[i], &members);
        fprintf(out, "<tr><th scope=\"row\"><a href=\"#g%u\">", groups[i]);
        html_text(bench_setting(cells, setting), out);
        fputs("</a></th>", out);
        put_best(report, groups[i], FIGURE_CPU, out);
        put_best(report, groups[i], FIGURE_THROUGHPUT, out);
        fputs("</tr>\n", out);
    }
    fputs("</tbody></table></div>\n", out);
}

void bench_html_paths(const struct bench_report *report, FILE *out)
{
    unsigned groups[MOST_SETTINGS], total = 0;

    for (unsigned i = 0; path_at(i); i++)
        total += find_groups(report, path_at(i), groups);
    for (unsigned i = 0; path_at(i); i++) {
        const unsigned count = find_groups(report, path_at(i), groups);
        if (count == 0)
            continue;
        fprintf(out, "<section id=\"%s\">", path_at(i)->name);
        html_element("h2", "", path_at(i)->name, out);
        if (count > 1)
            put_overview(report, path_at(i), groups, count, out);
        put_sizes(report, path_at(i), out);
        for (unsigned k = 0; k < count; k++)
            put_group(report, groups[k], total <= MOST_OPEN, out);
        fputs("</section>\n", out);
    }
}

void bench_html_path_links(const struct bench_report *report, FILE *out)
{
    unsigned groups[MOST_SETTINGS];

    for (unsigned i = 0; path_at(i); i++)
        if (find_groups(report, path_at(i), groups) > 0)
            fprintf(out, "<li><a href=\"#%s\">%s</a></li>", path_at(i)->name, path_at(i)->name);
}
