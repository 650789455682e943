/* SPDX-License-Identifier: MIT */
#include "bench_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "units.h"

static const char help[] =
    "usage: sluice bench [OPTIONS]\n\n"
    "Measures what each way of moving bytes costs on this machine: CPU, throughput, system calls,\n"
    "switches, copies, page faults, page cache. Every way takes its turn, in rounds; what cannot "
    "be\n"
    "told apart is not.\n\n"
    "      --quick           in under a minute (the default)\n"
    "      --full            every path, size and state of the cache: half an hour\n"
    "      --time=SECONDS    take so long\n"
    "      --only=PATH       measure this path alone, as file-tcp; again for more. 'broker': a log "
    "of\n"
    "                        messages, appended to and served\n"
    "      --method=NAME     measure this method alone; again for more\n"
    "      --chunk=SIZE      calls of this size alone; again for more\n"
    "      --rounds=N        at most so many rounds\n"
    "      --size=SIZE       of the files, and of a run at most\n"
    "      --disk=DIR        where the files are made (the current directory)\n"
    "      --to=HOST:PORT    TCP leads to another machine, where there is:\n"
    "      --peer=[HOST:]PORT  take and give bytes for such a one, until interrupted\n"
    "      --json            one JSON object\n"
    "      --html=FILE       also a page with charts, which needs nothing else\n"
    "  -q, --quiet           no progress, no notices\n"
    "  -h, --help            this text\n\n"
    "paths: ";

enum {
    OPTION_QUICK = 256,
    OPTION_FULL,
    OPTION_TIME,
    OPTION_ONLY,
    OPTION_METHOD,
    OPTION_CHUNK,
    OPTION_ROUNDS,
    OPTION_SIZE,
    OPTION_DISK,
    OPTION_TO,
    OPTION_PEER,
    OPTION_JSON,
    OPTION_HTML,
};

static const struct option long_options[] = {
    {"quick", no_argument, NULL, OPTION_QUICK},
    {"full", no_argument, NULL, OPTION_FULL},
    {"time", required_argument, NULL, OPTION_TIME},
    {"only", required_argument, NULL, OPTION_ONLY},
    {"method", required_argument, NULL, OPTION_METHOD},
    {"chunk", required_argument, NULL, OPTION_CHUNK},
    {"rounds", required_argument, NULL, OPTION_ROUNDS},
    {"size", required_argument, NULL, OPTION_SIZE},
    {"disk", required_argument, NULL, OPTION_DISK},
    {"to", required_argument, NULL, OPTION_TO},
    {"peer", required_argument, NULL, OPTION_PEER},
    {"json", no_argument, NULL, OPTION_JSON},
    {"html", required_argument, NULL, OPTION_HTML},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static void print_help(FILE *out)
{
    unsigned column = 7; /* after "paths: " */

    fputs(help, out);
    for (unsigned i = 0; path_at(i); i++) {
        if (column + strlen(path_at(i)->name) > 90)
            column = (unsigned)fprintf(out, "\n       ") - 1;
        column += (unsigned)fprintf(out, "%s ", path_at(i)->name);
    }
    fprintf(out, "broker \nmethods: ");
    column = 9;
    for (unsigned i = 0; way_at(i); i++) {
        if (column + strlen(way_at(i)->name) > 90)
            column = (unsigned)fprintf(out, "\n         ") - 1;
        column += (unsigned)fprintf(out, "%s ", way_at(i)->name);
    }
    fputc('\n', out);
}

static enum status no_such_option(const char *word)
{
    const char *names[sizeof long_options / sizeof *long_options] = {0};

    for (size_t i = 0; long_options[i].name; i++)
        names[i] = long_options[i].name;
    return unknown_option("bench", word, names);
}

/* ---- arguments ---- */

static enum status add_name(const char *names[BENCH_MOST + 1], const char *name)
{
    unsigned at = 0;

    while (names[at] && strcmp(names[at], name) != 0)
        at++;
    if (at == BENCH_MOST)
        return usage_error("bench", "more than %d of one kind", BENCH_MOST);
    names[at] = name;
    return STATUS_DONE;
}

static enum status parse_path(struct bench_options *options, const char *word)
{
    const char *names[32] = {"broker"};

    if (strcmp(word, "broker") == 0) {
        options->broker = true;
        return STATUS_DONE;
    }
    if (path_named(word))
        return add_name(options->paths, word);
    for (unsigned i = 0; path_at(i) && i < 30; i++)
        names[i + 1] = path_at(i)->name;
    const char *near = nearest_name(word, names);
    return near ? usage_error("bench", "--only: no path '%s'; did you mean '%s'?", word, near)
                : usage_error("bench", "--only: no path '%s'", word);
}

static enum status parse_way(struct bench_options *options, const char *word)
{
    const char *names[32] = {0};

    if (way_named(word))
        return add_name(options->ways, word);
    for (unsigned i = 0; way_at(i) && i < 31; i++)
        names[i] = way_at(i)->name;
    const char *near = nearest_name(word, names);
    return near ? usage_error("bench", "--method: no method '%s'; did you mean '%s'?", word, near)
                : usage_error("bench", "--method: no method '%s'", word);
}

static enum status parse_chunk(struct bench_options *options, const char *word)
{
    uint64_t size;
    unsigned at = 0;

    if (units_parse_size(word, &size) < 0 || size < 1 || size > 64 << 20)
        return usage_error("bench", "--chunk '%s': a size up to 64M is wanted", word);
    while (options->chunks[at])
        at++;
    if (at == BENCH_MOST)
        return usage_error("bench", "more than %d of one kind", BENCH_MOST);
    options->chunks[at] = (uint32_t)size;
    return STATUS_DONE;
}

static enum status parse_size(struct bench_options *options, const char *word)
{
    const uint64_t least = 1 << 20, most = UINT64_C(1) << 40;

    if (units_parse_size(word, &options->size) < 0 || options->size < least || options->size > most)
        return usage_error("bench", "--size '%s': a size from 1M to 1T is wanted", word);
    options->size &= ~(least - 1);
    return STATUS_DONE;
}

static enum status parse_time(struct bench_options *options, const char *word)
{
    uint64_t nanoseconds;

    if (units_parse_seconds(word, &nanoseconds) < 0 || nanoseconds == 0)
        return usage_error("bench", "--time '%s': a time is wanted, as 90 or 5m", word);
    options->budget = (double)nanoseconds / 1e9;
    return STATUS_DONE;
}

static enum status parse_rounds(struct bench_options *options, const char *word)
{
    char *end;
    const unsigned long count = strtoul(word, &end, 10);

    if (*word < '0' || *word > '9' || *end || count < 1 || count > MOST_RUNS)
        return usage_error("bench", "--rounds '%s': a number from 1 to %d is wanted", word,
                           MOST_RUNS);
    options->rounds = (unsigned)count;
    return STATUS_DONE;
}

static enum status parse_disk(struct bench_options *options, const char *word)
{
    struct stat status;

    if (stat(word, &status) < 0)
        return usage_error("bench", "--disk '%s': %s", word, strerror(errno));
    if (!S_ISDIR(status.st_mode))
        return usage_error("bench", "--disk '%s': a directory is wanted", word);
    options->disk = word;
    return STATUS_DONE;
}

static enum status parse_json(struct bench_options *options)
{
#ifndef HAVE_JANSSON
    return usage_error("bench", "--json is not in this build: it was made without jansson");
#endif
    options->json = true;
    return STATUS_DONE;
}

static enum status parse_one(struct bench_options *options, int option, const char *word,
                             bool *ret_over)
{
    switch (option) {
    case OPTION_QUICK:
    case OPTION_FULL:
        options->extent = option == OPTION_FULL ? EXTENT_FULL : EXTENT_QUICK;
        return STATUS_DONE;
    case OPTION_TIME:
        return parse_time(options, optarg);
    case OPTION_ONLY:
        return parse_path(options, optarg);
    case OPTION_METHOD:
        return parse_way(options, optarg);
    case OPTION_CHUNK:
        return parse_chunk(options, optarg);
    case OPTION_ROUNDS:
        return parse_rounds(options, optarg);
    case OPTION_SIZE:
        return parse_size(options, optarg);
    case OPTION_DISK:
        return parse_disk(options, optarg);
    case OPTION_TO:
        options->to = optarg;
        return STATUS_DONE;
    case OPTION_PEER:
        options->peer = optarg;
        return STATUS_DONE;
    case OPTION_JSON:
        return parse_json(options);
    case OPTION_HTML:
        options->html = optarg;
        return STATUS_DONE;
    case 'q':
        message_quiet = true;
        return STATUS_DONE;
    case 'h':
        print_help(stdout);
        *ret_over = true;
        return STATUS_DONE;
    case ':':
        return usage_error("bench", "'%s' needs an argument", word);
    default:
        return no_such_option(word);
    }
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
    enum status status = STATUS_DONE;

    options->disk = ".";
    opterr = 0;
    optind = 1;
    while (status == STATUS_DONE && !*ret_over) {
        const char *word = optind < argc ? argv[optind] : "";
        const int option = getopt_long(argc, argv, ":qh", long_options, NULL);
        if (option == -1)
            break;
        status = parse_one(options, option, word, ret_over);
    }
    if (status != STATUS_DONE || *ret_over)
        return status;
    if (optind < argc)
        return usage_error("bench", "unexpected word '%s'", argv[optind]);
    complete(options);
    return check_page(options);
}
