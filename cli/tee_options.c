/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "options.h"
#include "sink_words.h"
#include "tee.h"
#include "units.h"

static const char *const output_errors[] = {
    [OUTPUT_WARN] = "warn",
    [OUTPUT_WARN_NOPIPE] = "warn-nopipe",
    [OUTPUT_EXIT] = "exit",
    [OUTPUT_EXIT_NOPIPE] = "exit-nopipe",
};

/* ---- options of the command ---- */

static const char *on_append(void *into, const char *argument)
{
    struct tee *tee = into;
    (void)argument;
    tee->options.append = true;
    return NULL;
}

static const char *on_ignore(void *into, const char *argument)
{
    struct tee *tee = into;
    (void)argument;
    tee->options.ignore_interrupts = true;
    return NULL;
}

/* As GNU takes it: also the beginning of a word, if no other begins so. */
static const char *on_output_error(void *into, const char *argument)
{
    struct tee *tee = into;
    const size_t length = argument ? strlen(argument) : 0;
    enum output_error found = OUTPUT_SIGPIPE;

    if (!argument)
        found = OUTPUT_WARN_NOPIPE;
    for (int mode = OUTPUT_WARN; argument && mode <= OUTPUT_EXIT_NOPIPE; mode++) {
        if (strcmp(output_errors[mode], argument) == 0) {
            found = (enum output_error)mode;
            break;
        }
        if (strncmp(output_errors[mode], argument, length) == 0)
            found = found ? OUTPUT_EXIT_NOPIPE + 1 : (enum output_error)mode;
    }
    if (found == OUTPUT_SIGPIPE || found > OUTPUT_EXIT_NOPIPE)
        return "warn, warn-nopipe, exit or exit-nopipe is wanted";
    tee->options.output_error = found;
    return NULL;
}

static const char *on_from(void *into, const char *argument)
{
    struct tee *tee = into;
    static char why[1024];

    address_free(&tee->options.source);
    if (address_parse(argument, &tee->options.source, why, sizeof why) < 0)
        return why;
    return address_is_kind(&tee->options.source) ? "it is only a kind: there is nothing to open"
                                                 : NULL;
}

static const char *on_slow(void *into, const char *argument)
{
    struct tee *tee = into;
    return sink_words_slow(argument, &tee->options.defaults.slow, &tee->options.spill);
}

static const char *on_lag(void *into, const char *argument)
{
    struct tee *tee = into;
    return sink_words_size(argument, &tee->options.defaults.lag);
}

static const char *on_lag_pipes(void *into, const char *argument)
{
    struct tee *tee = into;
    return sink_words_pipes(argument, &tee->options.defaults.lag_pipes);
}

static const char *on_spill_slow(void *into, const char *argument)
{
    struct tee *tee = into;
    return sink_words_spill_slow(argument, &tee->options.defaults.spill_slow);
}

static const char *on_spill_most(void *into, const char *argument)
{
    struct tee *tee = into;
    return sink_words_size(argument, &tee->options.defaults.spill_most);
}

static const char *on_rate(void *into, const char *argument)
{
    struct tee *tee = into;
    return sink_words_size(argument, &tee->options.library.rate);
}

static const char *on_pipe_size(void *into, const char *argument)
{
    struct tee *tee = into;
    uint64_t size = 0;
    const char *wrong = sink_words_size(argument, &size);

    tee->options.library.pipe_size = (uint32_t)size;
    return !wrong && size > (1U << 30) ? "a size from 1 to 1G is wanted" : wrong;
}

static const char *on_linger(void *into, const char *argument)
{
    struct tee *tee = into;
    const int error = units_parse_seconds(argument, &tee->options.linger);
    return error < 0 ? "seconds are wanted, as 10, 0.5, 200ms or 2m" : NULL;
}

static const char *on_require(void *into, const char *argument)
{
    struct tee *tee = into;
    static const char *const names[] = {"any", "no-user-copy", "zero-copy"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(argument, names[i]) == 0) {
            tee->options.library.require = (enum sluice_require)i;
            return NULL;
        }
    return "any, no-user-copy or zero-copy is wanted";
}

static const char *on_checksum(void *into, const char *argument)
{
    struct tee *tee = into;
    const int error = checksum_kind_from_name(argument, &tee->options.checksum);
    return error == -EOPNOTSUPP ? "this build has no such checksum"
           : error < 0          ? "xxh3 or sha256 is wanted"
                                : NULL;
}

static const char *on_progress(void *into, const char *argument)
{
    struct tee *tee = into;
    (void)argument;
    tee->options.progress = true;
    return NULL;
}

static const char *on_quiet(void *into, const char *argument)
{
    struct tee *tee = into;
    (void)argument;
    tee->options.quiet = true;
    return NULL;
}

static const char *on_stats(void *into, const char *argument)
{
    struct tee *tee = into;
    (void)argument;
    tee->options.stats = true;
    return NULL;
}

static const char *on_json(void *into, const char *argument)
{
    struct tee *tee = into;
    (void)argument;
    tee->options.json = true;
    return JSON_REFUSED;
}

/* Under the name tee the options of GNU tee are known, and no others. */
enum { SLUICE = 1, ALONE = 2, BOTH = SLUICE | ALONE };

static const struct option_row rows[] = {
    {"append", 'a', BOTH, no_argument, NULL, on_append, "add to the end of files"},
    {"ignore-interrupts", 'i', BOTH, no_argument, NULL, on_ignore, "ignore SIGINT"},
    {NULL, 'p', BOTH, no_argument, NULL, on_output_error, "the same as --output-error"},
    {"output-error", 0, BOTH, optional_argument, "MODE", on_output_error,
     "warn, warn-nopipe, exit, exit-nopipe"},
    {"from", 0, SLUICE, required_argument, "SOURCE", on_from,
     "read SOURCE instead of standard input"},
    {"slow", 0, SLUICE, required_argument, "POLICY", on_slow,
     "slow sinks: wait, drop, detach, spill=FILE"},
    {"lag", 0, SLUICE, required_argument, "SIZE", on_lag,
     "a sink is slow when it lags so far (16M)"},
    {"lag-pipes", 0, SLUICE, required_argument, "N", on_lag_pipes, "or in so many pipes (2 to 16)"},
    {"spill-slow", 0, SLUICE, required_argument, "POLICY", on_spill_slow,
     "spill files that are slow, too: wait, drop, detach"},
    {"spill-most", 0, SLUICE, required_argument, "SIZE", on_spill_most,
     "or that are so large (no bound)"},
    {"rate", 'L', SLUICE, required_argument, "RATE", on_rate, "at most RATE bytes a second"},
    {"pipe-size", 0, SLUICE, required_argument, "SIZE", on_pipe_size,
     "capacity asked for each private pipe"},
    {"linger", 0, SLUICE, required_argument, "SECONDS", on_linger,
     "wait so long for slow sinks and peers at the end (10)"},
    {"require", 0, SLUICE, required_argument, "WHAT", on_require, "any, no-user-copy, zero-copy"},
    {"checksum", 0, SLUICE, required_argument, "NAME", on_checksum,
     "xxh3 or sha256 of all that was read"},
    {"progress", 0, SLUICE, no_argument, NULL, on_progress, "show progress"},
    {"quiet", 'q', SLUICE, no_argument, NULL, on_quiet, "no progress, no notices"},
    {"stats", 0, SLUICE, no_argument, NULL, on_stats, "print what became of each sink at the end"},
    {"json", 0, SLUICE, no_argument, NULL, on_json, "the same as JSON, on standard error"},
    {"help", 'h', SLUICE, no_argument, NULL, NULL, "this text"},
    {"help", 0, ALONE, no_argument, NULL, NULL, "this text"}, /* GNU tee's has no letter */
    {"version", 0, ALONE, no_argument, NULL, NULL, "the version"},
};

#define ROWS (sizeof rows / sizeof *rows)
_Static_assert(ROWS <= OPTIONS_MOST, "enlarge OPTIONS_MOST");

static void print_help(const struct tee *tee, const struct option_table *table)
{
    printf(tee->alone ? "usage: %s [OPTIONS] [FILE…]\n\n"
                      : "usage: sluice tee [OPTIONS] [SINK…]\n\n",
           tee->alone);
    options_help(table, stdout);
    if (tee->alone)
        return;
    printf("\nSINK  PATH  file:NAME  fd:N  null:  tcp:HOST:PORT  tcp-listen:[HOST:]PORT\n"
           "      unix:PATH  unix-listen:PATH\n"
           "      each with ,slow=POLICY  ,lag=SIZE  ,lag-pipes=N  ,rate=RATE  ,spill-slow=POLICY\n"
           "      ,spill-most=SIZE\n"
           "\nSizes: 4096, 64K (powers of 1024), 10MB (of 1000). See sluice-tee(1).\n");
}

/* Under the name tee a mistake is told, and ends, as there. */
static int mistake(const struct tee *tee, const char *words)
{
    if (!tee->alone)
        return (int)usage_error("tee", "%s", words);
    if (*words)
        fprintf(stderr, "%s: %s\n", tee->alone, words);
    fprintf(stderr, "Try '%s --help' for more information.\n", tee->alone);
    return STATUS_FAILED;
}

/* ---- sinks ---- */

static const char *sink_option(const char *word, void *data)
{
    struct tee_sink *sink = data;
    return sink_words_option(word, &sink->options, &sink->spill_path);
}

static int parse_sink(struct tee *tee, struct tee_sink *sink)
{
    char why[1024];

    sink->options = tee->options.defaults;
    if (tee->options.spill)
        sink->spill_path = strdup(tee->options.spill);
    if (tee->alone) { /* every operand is a file's name, and no address is recognised */
        sink->address = (struct address){
            .scheme = ADDRESS_PATH, .text = sink->text, .path = strdup(sink->text)};
        return STATUS_DONE;
    }
    const char *wrong = sink_words_split(sink->text, &sink->plain, sink_option, sink);
    if (wrong)
        return (int)usage_error("tee", "'%s': %s", sink->text, wrong);
    if (address_parse(sink->plain, &sink->address, why, sizeof why) < 0)
        return (int)usage_error("tee", "%s", why);
    if (address_is_kind(&sink->address))
        return (int)usage_error("tee", "'%s' is only a kind: there is nothing to open", sink->text);
    if (sink->address.scheme == ADDRESS_STANDARD)
        return (int)usage_error("tee",
                                "'-': standard output is a sink without being named; a file of "
                                "that name is './-'");
    sink->address.text = sink->text;
    return STATUS_DONE;
}

/* Two sinks cannot spill into one file, and one that does not spill has no file to speak of. */
static int check_spills(const struct tee *tee)
{
    const struct sluice_sink_options *defaults = &tee->options.defaults;

    for (unsigned i = 0; i < tee->options.sinks; i++) {
        const struct tee_sink *sink = &tee->options.sink[i];
        if (!sink->spill_path && (sink->options.spill_slow != defaults->spill_slow ||
                                  sink->options.spill_most != defaults->spill_most))
            return (int)usage_error("tee", "'%s': spill-slow and spill-most need slow=spill=FILE",
                                    sink->text);
        for (unsigned j = i + 1; j < tee->options.sinks; j++) {
            const char *a = tee->options.sink[i].spill_path, *b = tee->options.sink[j].spill_path;
            if (a && b && strcmp(a, b) == 0)
                return (int)usage_error(
                    "tee",
                    "two sinks cannot both spill into '%s': give each its own, as "
                    "in 'PATH,slow=spill=FILE'",
                    a);
        }
    }
    return STATUS_DONE;
}

static int parse_sinks(struct tee *tee, int count, char **words)
{
    struct tee_options *options = &tee->options;

    options->sink = calloc((size_t)count + 1, sizeof *options->sink);
    if (!options->sink)
        return (int)tee_cannot(tee, "remember", "the sinks", -ENOMEM);
    options->sink[0] = (struct tee_sink){.text = "-", .options = options->defaults};
    options->sink[0].address = (struct address){.scheme = ADDRESS_STANDARD, .text = "-"};
    if (options->spill)
        options->sink[0].spill_path = strdup(options->spill);
    options->sinks = 1;
    for (int i = 0; i < count; i++) {
        struct tee_sink *sink = &options->sink[options->sinks++];
        sink->text = words[i];
        const int status = parse_sink(tee, sink);
        if (status != STATUS_DONE)
            return status;
    }
    return check_spills(tee);
}

int tee_options_parse(struct tee *tee, int argc, char **argv)
{
    const struct option_table table = {
        .rows = rows, .count = ROWS, .user = tee->alone ? ALONE : SLUICE, .plain = tee->alone};
    char wrong[OPTIONS_WORDS];

    tee->options.source = (struct address){.scheme = ADDRESS_STANDARD, .text = "-"};
    tee->options.library = (struct sluice_fanout_options)SLUICE_FANOUT_OPTIONS_INIT;
    tee->options.defaults = (struct sluice_sink_options)SLUICE_SINK_OPTIONS_INIT;
    tee->options.linger = 10 * UINT64_C(1000000000);
    const enum options_outcome outcome = options_parse(&table, argc, argv, tee, wrong);
    if (outcome == OPTIONS_WRONG)
        return mistake(tee, wrong);
    if (outcome == OPTIONS_HELP)
        print_help(tee, &table);
    if (outcome == OPTIONS_VERSION)
        printf("tee (sluice) %s\n", sluice_version());
    if (outcome != OPTIONS_READ)
        return -1;
    if (tee->options.checksum && tee->options.library.require)
        return (int)usage_error("tee",
                                "--checksum reads every byte into memory: --require excludes it");
    return parse_sinks(tee, argc - optind, argv + optind);
}

void tee_options_free(struct tee_options *options)
{
    address_free(&options->source);
    for (unsigned i = 0; i < options->sinks; i++) {
        address_free(&options->sink[i].address);
        free(options->sink[i].plain);
        free(options->sink[i].spill_path);
    }
    free(options->sink);
    free(options->spill);
}
