/* SPDX-License-Identifier: MIT */
/* The page, in its parts: each writes sections to it. */
#ifndef CLI_BENCH_HTML_H
#define CLI_BENCH_HTML_H

#include "bench_report.h"

/* What was measured, path by path. */
void bench_html_paths(const struct bench_report *report, FILE *out);
/* The contents' links to these. */
void bench_html_path_links(const struct bench_report *report, FILE *out);

/* The table that everybody draws; the broker's question; what the probe found. */
void bench_html_classic(const struct bench_report *report, FILE *out);
void bench_html_broker(const struct bench_report *report, FILE *out);
void bench_html_probe(const struct bench_report *report, FILE *out);

/* ---- what they write with ---- */

void html_text(const char *text, FILE *out);
/* "<tag>text</tag>" */
void html_element(const char *tag, const char *attributes, const char *text, FILE *out);
/* A table that can be scrolled, by keyboard, too: up to where the cells of its head begin. id: may be "". */
void html_table(const char *id, const char *title, FILE *out);
/* Cells. Negative: not known. */
void html_count(double value, FILE *out);
void html_number(double value, int digits, FILE *out);

#endif
