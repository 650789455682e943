/* SPDX-License-Identifier: MIT */
/*
 * The options of a command: a table with a row for each, from which the help is printed, mistakes are
 * named, and the command line is read. It uses getopt_long(3), whose order of operands it keeps.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>

/* Takes the argument (NULL without one) into what the command keeps. NULL, or what is wanted instead. */
typedef const char *option_function(void *into, const char *argument);

struct option_row {
    const char
        *name;      /* NULL: the letter alone; without one too, the help of the row above goes on */
    int letter;     /* 0: none */
    unsigned users; /* which users of the table know it: a bit for each */
    int has_argument; /* no_argument, required_argument or optional_argument */
    const char *argument;
    option_function *function; /* NULL: help is asked for, or by the name version the version */
    const char *help;
};

enum { OPTIONS_MOST = 48 }; /* rows of a table */

struct option_table {
    const struct option_row *rows;
    unsigned count;
    unsigned user; /* who reads: a bit of `users` */
    bool plain;    /* an option that is unknown is told by getopt_long(3), in its own words */
};

/* A line of help for each option of this user. */
void options_help(const struct option_table *table, FILE *out);

enum options_outcome {
    OPTIONS_READ, /* the operands begin at optind */
    OPTIONS_HELP, /* help was asked for */
    OPTIONS_VERSION,
    OPTIONS_WRONG, /* `ret` says what is; empty: it was told */
};

enum { OPTIONS_WORDS = 1200 };
enum options_outcome options_parse(const struct option_table *table, int argc, char **argv,
                                   void *into, char ret[static OPTIONS_WORDS]);

#endif
