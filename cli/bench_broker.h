/* SPDX-License-Identifier: MIT */
/* The broker's question, as it was answered: for people, for programs, and on the page. */
#ifndef CLI_BENCH_BROKER_H
#define CLI_BENCH_BROKER_H

#include "bench_report.h"
#include "json.h"
#include "measure/broker.h"

/* The rows of a group, the control the last; NULL beyond the last group. */
const struct broker_row *bench_broker_group(const struct broker *broker, unsigned group,
                                            unsigned *ret_count);
/* "append messages of 100 B, no sync". */
const char *bench_broker_title(const struct broker_row *row, char text[static BENCH_TITLE]);
struct interval bench_broker_interval(const struct broker_row *row, enum broker_figure figure);
/* "0.107 [0.0987 0.113]", "122,000 [118,000 127,000]": in that unit. */
#define BENCH_NUMBERS 112
const char *bench_broker_numbers(struct interval interval, double unit,
                                 char text[static BENCH_NUMBERS]);

/* Plain words on a group. */
void bench_broker_words(const struct broker *broker, unsigned group, FILE *out);

void bench_broker_text(const struct broker *broker, FILE *out);
#ifdef HAVE_JANSSON
json_t *bench_broker_json(const struct broker *broker);
#endif

#endif
