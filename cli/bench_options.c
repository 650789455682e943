/* SPDX-License-Identifier: MIT */
#include "bench_options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "json.h"
#include "options.h"
#include "units.h"

/* ---- each option ---- */

static const char *add_name(const char *names[BENCH_MOST + 1], const char *name)
{
    unsigned at = 0;

    while (names[at] && strcmp(names[at], name) != 0)
        at++;
    if (at == BENCH_MOST)
        return "that is one of a kind too many";
    names[at] = name;
    return NULL;
}

static const char *no_such_name(struct bench_options *options, const char *kind, const char *word,
                                const char *const *names)
{
    const char *near = nearest_name(word, names);

    snprintf(options->wrong, sizeof options->wrong, "no %s '%.64s'%s%s%s", kind, word,
             near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return options->wrong;
}

static const char *on_only(void *into, const char *word)
{
    struct bench_options *options = into;
    const char *names[32] = {"broker"};

    if (strcmp(word, "broker") == 0) {
        options->broker = true;
        return NULL;
    }
    if (path_named(word))
        return add_name(options->paths, word);
    for (unsigned i = 0; path_at(i) && i < 30; i++)
        names[i + 1] = path_at(i)->name;
    return no_such_name(options, "path", word, names);
}

static const char *on_method(void *into, const char *word)
{
    struct bench_options *options = into;
    const char *names[32] = {0};

    if (way_named(word))
        return add_name(options->ways, word);
    for (unsigned i = 0; way_at(i) && i < 31; i++)
        names[i] = way_at(i)->name;
    return no_such_name(options, "method", word, names);
}

static const char *on_chunk(void *into, const char *word)
{
    struct bench_options *options = into;
    uint64_t size;
    unsigned at = 0;

    if (units_parse_size(word, &size) < 0 || size < 1 || size > 64 << 20)
        return "a size up to 64M is wanted";
    while (options->chunks[at])
        at++;
    if (at == BENCH_MOST)
        return "that is one size too many";
    options->chunks[at] = (uint32_t)size;
    return NULL;
}

static const char *on_size(void *into, const char *word)
{
    struct bench_options *options = into;
    const uint64_t least = 1 << 20, most = UINT64_C(1) << 40;

    if (units_parse_size(word, &options->size) < 0 || options->size < least || options->size > most)
        return "a size from 1M to 1T is wanted";
    options->size &= ~(least - 1);
    return NULL;
}

static const char *on_time(void *into, const char *word)
{
    uint64_t nanoseconds;

    if (units_parse_seconds(word, &nanoseconds) < 0 || nanoseconds == 0)
        return "a time is wanted, as 90 or 5m";
    ((struct bench_options *)into)->budget = (double)nanoseconds / 1e9;
    return NULL;
}

static const char *on_rounds(void *into, const char *word)
{
    char *end;
    const unsigned long count = strtoul(word, &end, 10);

    _Static_assert(MOST_RUNS == 64, "what is said of --rounds");
    if (*word < '0' || *word > '9' || *end || count < 1 || count > MOST_RUNS)
        return "a number from 1 to 64 is wanted";
    ((struct bench_options *)into)->rounds = (unsigned)count;
    return NULL;
}

static const char *on_disk(void *into, const char *word)
{
    struct stat status;

    if (stat(word, &status) < 0)
        return strerror(errno);
    if (!S_ISDIR(status.st_mode))
        return "a directory is wanted";
    ((struct bench_options *)into)->disk = word;
    return NULL;
}

static const char *on_json(void *into, const char *unused)
{
    (void)unused;
    ((struct bench_options *)into)->json = true;
    return JSON_REFUSED;
}

static const char *on_quick(void *into, const char *unused)
{
    (void)unused;
    ((struct bench_options *)into)->extent = EXTENT_QUICK;
    return NULL;
}

static const char *on_full(void *into, const char *unused)
{
    (void)unused;
    ((struct bench_options *)into)->extent = EXTENT_FULL;
    return NULL;
}

static const char *on_to(void *into, const char *word)
{
    ((struct bench_options *)into)->to = word;
    return NULL;
}

static const char *on_peer(void *into, const char *word)
{
    ((struct bench_options *)into)->peer = word;
    return NULL;
}

static const char *on_html(void *into, const char *word)
{
    ((struct bench_options *)into)->html = word;
    return NULL;
}

static const char *on_quiet(void *into, const char *unused)
{
    (void)into, (void)unused;
    message_quiet = true;
    return NULL;
}

enum { ANY = 1 };

static const struct option_row rows[] = {
    {"quick", 0, ANY, no_argument, NULL, on_quick, "in under a minute (the default)"},
    {"full", 0, ANY, no_argument, NULL, on_full,
     "every path, size and state of the cache: half an hour"},
    {"time", 0, ANY, required_argument, "SECONDS", on_time, "take so long"},
    {"only", 0, ANY, required_argument, "PATH", on_only,
     "this path alone, as file-tcp; again for more"},
    {"method", 0, ANY, required_argument, "NAME", on_method, "this method alone; again for more"},
    {"chunk", 0, ANY, required_argument, "SIZE", on_chunk,
     "calls of this size alone; again for more"},
    {"rounds", 0, ANY, required_argument, "N", on_rounds, "at most so many rounds"},
    {"size", 0, ANY, required_argument, "SIZE", on_size, "of the files, and of a run at most"},
    {"disk", 0, ANY, required_argument, "DIR", on_disk, "where the files are made (.)"},
    {"to", 0, ANY, required_argument, "HOST:PORT", on_to,
     "TCP leads to another machine, where there is:"},
    {"peer", 0, ANY, required_argument, "[HOST:]PORT", on_peer,
     "take and give bytes for such a one"},
    {"json", 0, ANY, no_argument, NULL, on_json, "one JSON object"},
    {"html", 0, ANY, required_argument, "FILE", on_html,
     "also a page with charts, which needs nothing else"},
    {"quiet", 'q', ANY, no_argument, NULL, on_quiet, "no progress, no notices"},
    {"help", 'h', ANY, no_argument, NULL, NULL, "this text"},
};

#define ROWS (sizeof rows / sizeof *rows)
_Static_assert(ROWS <= OPTIONS_MOST, "enlarge OPTIONS_MOST");

/* ---- help ---- */

static void print_names(const char *title, const char *(*name)(unsigned index), const char *last)
{
    int column = printf("%s", title);

    for (unsigned i = 0; name(i) || last; i++) {
        const char *word = name(i) ? name(i) : last;
        if (column + (int)strlen(word) > 95)
            column = printf("\n%*s", (int)strlen(title), "") - 1;
        column += printf(" %s", word);
        if (!name(i))
            break;
    }
    putchar('\n');
}

static const char *path_name(unsigned index)
{
    return path_at(index) ? path_at(index)->name : NULL;
}

static const char *way_name(unsigned index)
{
    return way_at(index) ? way_at(index)->name : NULL;
}

static void print_help(const struct option_table *table)
{
    fputs("usage: sluice bench [OPTIONS]\n\n"
          "Measures what each way of moving bytes costs on this machine: CPU, throughput, system\n"
          "calls, switches, copies, page faults, page cache. Every way takes its turn, in rounds;\n"
          "what cannot be told apart is not. 'broker' is a log of messages, appended to and "
          "served.\n\n",
          stdout);
    options_help(table, stdout);
    putchar('\n');
    print_names("paths:  ", path_name, "broker");
    print_names("methods:", way_name, NULL);
}

/* What was not said goes by the extent. */
static void complete(struct bench_options *options)
{
    const bool full = options->extent == EXTENT_FULL;

    options->only_broker = options->broker && !*options->paths;
    options->broker |= full && !*options->paths && !options->to;

    if (options->budget == 0)
        options->budget = full ? 1800 : 52;
    if (options->size == 0)
        options->size = full ? 256 << 20 : 64 << 20;
    if (options->rounds == 0)
        options->rounds = full ? 31 : 21;
    options->aim = full ? 0.15 : 0.04;
    options->progress = isatty(STDERR_FILENO) && !message_quiet;
}

/* The page's place is looked at before a minute is spent. */
static enum status check_page(const struct bench_options *options)
{
    if (!options->html)
        return STATUS_DONE;
    FILE *out = fopen(options->html, "ae");
    if (!out)
        return usage_error("bench", "cannot write to '%s': %s", options->html, strerror(errno));
    fclose(out);
    return STATUS_DONE;
}

enum status bench_options_parse(struct bench_options *options, int argc, char **argv,
                                bool *ret_over)
{
    const struct option_table table = {.rows = rows, .count = ROWS, .user = ANY};
    char wrong[OPTIONS_WORDS];

    options->disk = ".";
    const enum options_outcome outcome = options_parse(&table, argc, argv, options, wrong);
    if (outcome == OPTIONS_WRONG)
        return usage_error("bench", "%s", wrong);
    if (outcome == OPTIONS_HELP) {
        print_help(&table);
        *ret_over = true;
        return STATUS_DONE;
    }
    if (optind < argc)
        return usage_error("bench", "unexpected word '%s'", argv[optind]);
    complete(options);
    return check_page(options);
}
