/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <stdbool.h>
#include <string.h>

#include "message.h"

enum { LONG_ONLY = 256 }; /* values of long options: beyond every letter */

static bool known(const struct option_table *table, const struct option_row *row)
{
    return (row->users & table->user) != 0;
}

/* ---- help ---- */

static void print_row(const struct option_row *row, FILE *out)
{
    const bool optional = row->has_argument == optional_argument;
    char left[64] = "";
    size_t at = 0;

    if (row->name)
        at = (size_t)snprintf(left, sizeof left, "--%s", row->name);
    if (row->argument && at < sizeof left)
        snprintf(left + at, sizeof left - at, "%s%s%s", optional ? "[=" : " ", row->argument,
                 optional ? "]" : "");
    fprintf(out, "  %c%c%c %-28s %s\n", row->letter ? '-' : ' ', row->letter ? row->letter : ' ',
            row->letter && row->name ? ',' : ' ', left, row->help);
}

void options_help(const struct option_table *table, FILE *out)
{
    for (unsigned i = 0; i < table->count; i++)
        if (known(table, &table->rows[i]))
            print_row(&table->rows[i], out);
}

/* ---- mistakes ---- */

static void say_unknown(const struct option_table *table, const char *given, char *ret)
{
    const char *names[OPTIONS_MOST + 1] = {0};
    unsigned count = 0;

    for (unsigned i = 0; i < table->count; i++)
        if (table->rows[i].name && known(table, &table->rows[i]))
            names[count++] = table->rows[i].name;
    const char *near = nearest_option(given, names);
    const int length = snprintf(ret, OPTIONS_WORDS, "unknown option '%.1000s'", given);
    if (near)
        snprintf(ret + length, (size_t)(OPTIONS_WORDS - length), "; did you mean '--%s'?", near);
}

static void say_wrong(const struct option_row *row, const char *argument, const char *wrong,
                      char *ret)
{
    const char letter[] = {(char)row->letter, '\0'};

    snprintf(ret, OPTIONS_WORDS, "-%s%s%s%.1000s: %s", row->name ? "-" : "",
             row->name ? row->name : letter, argument ? "=" : "", argument ? argument : "", wrong);
}

/* ---- reading ---- */

static void build_tables(const struct option_table *table, struct option *longs, char *shorts)
{
    if (!table->plain)
        *shorts++ = ':';
    for (unsigned i = 0; i < table->count; i++) {
        const struct option_row *row = &table->rows[i];
        if (!known(table, row))
            continue;
        if (row->name)
            *longs++ = (struct option){
                .name = row->name, .has_arg = row->has_argument, .val = LONG_ONLY + (int)i};
        if (!row->letter)
            continue;
        *shorts++ = (char)row->letter;
        if (row->has_argument == required_argument)
            *shorts++ = ':';
    }
    *longs = (struct option){0};
    *shorts = '\0';
}

static const struct option_row *row_for(const struct option_table *table, int value)
{
    if (value >= LONG_ONLY)
        return &table->rows[value - LONG_ONLY];
    for (unsigned i = 0; i < table->count; i++)
        if (table->rows[i].letter == value && known(table, &table->rows[i]))
            return &table->rows[i];
    return NULL;
}

enum options_outcome options_parse(const struct option_table *table, int argc, char **argv,
                                   void *into, char ret[static OPTIONS_WORDS])
{
    struct option longs[OPTIONS_MOST + 1];
    char shorts[2 * OPTIONS_MOST + 2];
    int value;

    build_tables(table, longs, shorts);
    opterr = table->plain;
    optind = 1;
    *ret = '\0';
    while ((value = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        const char *given = argv[optind - 1];
        const char letter[] = {'-', (char)optopt, '\0'};
        const struct option_row *row = row_for(table, value);
        if (!row && table->plain)
            return OPTIONS_WRONG;
        if (value == ':') {
            snprintf(ret, OPTIONS_WORDS, "option '%.1000s' wants an argument", given);
            return OPTIONS_WRONG;
        }
        if (!row) {
            say_unknown(table, optopt && optopt < LONG_ONLY ? letter : given, ret);
            return OPTIONS_WRONG;
        }
        if (!row->function)
            return strcmp(row->name, "version") == 0 ? OPTIONS_VERSION : OPTIONS_HELP;
        const char *wrong = row->function(into, optarg);
        if (wrong) {
            say_wrong(row, optarg, wrong, ret);
            return OPTIONS_WRONG;
        }
    }
    return OPTIONS_READ;
}
