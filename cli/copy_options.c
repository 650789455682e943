/* SPDX-License-Identifier: MIT */
#include "copy_options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "options.h"
#include "units.h"

static const char *wanted(int error, const char *otherwise)
{
    return error == -ERANGE ? "it is too large" : otherwise;
}

static const char *parse_size(const char *argument, uint64_t *ret)
{
    const int error = units_parse_size(argument, ret);
    return error < 0 ? wanted(error, "a size is wanted, as 4096, 64K or 1.5GiB") : NULL;
}

static const char *parse_size32(const char *argument, uint32_t *ret)
{
    uint64_t size = 0;
    const char *wrong = parse_size(argument, &size);
    if (!wrong && (size == 0 || size > (1U << 30)))
        wrong = "a size from 1 to 1G is wanted";
    *ret = (uint32_t)size;
    return wrong;
}

static const char *parse_seconds(const char *argument, uint64_t *ret)
{
    const int error = units_parse_seconds(argument, ret);
    return error < 0 ? wanted(error, "seconds are wanted, as 10, 0.5, 200ms or 2m") : NULL;
}

static const char *on_rate(void *into, const char *argument)
{
    struct copy_options *options = into;
    const char *wrong = parse_size(argument, &options->library.rate);
    return !wrong && options->library.rate == 0 ? "a rate above 0 is wanted" : wrong;
}

static const char *on_size(void *into, const char *argument)
{
    struct copy_options *options = into;
    return parse_size(argument, &options->size);
}

static const char *on_offset(void *into, const char *argument)
{
    struct copy_options *options = into;
    uint64_t offset;
    const bool sink = strncmp(argument, "sink=", 5) == 0;
    const char *wrong;

    if (sink)
        argument += 5;
    else if (strncmp(argument, "source=", 7) == 0)
        argument += 7;
    wrong = parse_size(argument, &offset);
    if (!wrong && offset > INT64_MAX)
        wrong = "it is too large";
    if (wrong)
        return wrong;
    if (sink)
        options->library.sink_offset = offset;
    else
        options->library.source_offset = offset;
    options->library.flags |= sink ? SLUICE_SINK_OFFSET : SLUICE_SOURCE_OFFSET;
    return NULL;
}

static const char *on_length(void *into, const char *argument)
{
    struct copy_options *options = into;
    options->library.flags |= SLUICE_LENGTH | SLUICE_EXACT;
    return parse_size(argument, &options->library.length);
}

static const char *on_append(void *into, const char *argument)
{
    struct copy_options *options = into;
    (void)argument;
    options->append = true;
    return NULL;
}

static const char *on_method(void *into, const char *argument)
{
    struct copy_options *options = into;
    return sluice_method_from_name(argument, &options->library.method) < 0
               ? "auto, reflink, copy-range, sendfile, splice, mmap-write, read-write or direct is "
                 "wanted"
               : NULL;
}

static const char *on_require(void *into, const char *argument)
{
    struct copy_options *options = into;
    static const char *const names[] = {"any", "no-user-copy", "zero-copy"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(argument, names[i]) == 0) {
            options->library.require = (enum sluice_require)i;
            return NULL;
        }
    return "any, no-user-copy or zero-copy is wanted";
}

static const char *parse_when(const char *argument, enum sluice_when *ret)
{
    static const char *const names[] = {"auto", "always", "never"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(argument, names[i]) == 0) {
            *ret = (enum sluice_when)i;
            return NULL;
        }
    return "auto, always or never is wanted";
}

static const char *on_reflink(void *into, const char *argument)
{
    struct copy_options *options = into;
    return parse_when(argument, &options->library.reflink);
}

static const char *on_sparse(void *into, const char *argument)
{
    struct copy_options *options = into;
    return parse_when(argument, &options->library.sparse);
}

static const char *on_cache(void *into, const char *argument)
{
    struct copy_options *options = into;
    static const char *const names[] = {"keep", "drop", "bypass"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(argument, names[i]) == 0) {
            options->library.cache = (enum sluice_cache)i;
            return NULL;
        }
    return "keep, drop or bypass is wanted";
}

static const char *on_snapshot(void *into, const char *argument)
{
    struct copy_options *options = into;
    (void)argument;
    options->library.flags |= SLUICE_SNAPSHOT;
    return NULL;
}

static const char *on_readahead(void *into, const char *argument)
{
    static const struct {
        const char *name;
        unsigned flag;
    } times[] = {{"auto", 0}, {"always", SLUICE_READAHEAD}, {"never", SLUICE_NO_READAHEAD}};
    struct copy_options *options = into;

    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        if (strcmp(argument, times[i].name) == 0) {
            options->library.flags &= ~(unsigned)(SLUICE_READAHEAD | SLUICE_NO_READAHEAD);
            options->library.flags |= times[i].flag;
            return NULL;
        }
    return "auto, always or never is wanted";
}

static const char *on_chunk(void *into, const char *argument)
{
    struct copy_options *options = into;
    return parse_size32(argument, &options->library.chunk);
}

static const char *on_pipe_size(void *into, const char *argument)
{
    struct copy_options *options = into;
    return parse_size32(argument, &options->library.pipe_size);
}

static const char *on_idle_timeout(void *into, const char *argument)
{
    struct copy_options *options = into;
    return parse_seconds(argument, &options->library.idle_timeout);
}

static const char *on_linger(void *into, const char *argument)
{
    struct copy_options *options = into;
    return parse_seconds(argument, &options->linger);
}

static const char *on_atomic(void *into, const char *argument)
{
    struct copy_options *options = into;
    options->atomic = argument && strcmp(argument, "no") == 0 ? ATOMIC_NEVER : ATOMIC_ALWAYS;
    return argument && strcmp(argument, "no") != 0 && strcmp(argument, "yes") != 0
               ? "yes or no is wanted"
               : NULL;
}

static const char *on_salvage(void *into, const char *argument)
{
    struct copy_options *options = into;
    options->salvage = argument;
    return *argument ? NULL : "a file's name is wanted";
}

static const char *on_checksum(void *into, const char *argument)
{
    struct copy_options *options = into;
    const int error = checksum_kind_from_name(argument, &options->checksum);
    return error == -EOPNOTSUPP ? "this build has no such checksum"
           : error < 0          ? "xxh3 or sha256 is wanted"
                                : NULL;
}

static const char *on_resume(void *into, const char *argument)
{
    struct copy_options *options = into;
    options->resume = argument ? RESUME_CONTINUE : RESUME_COMPARE;
    return argument && strcmp(argument, "continue") != 0 ? "--resume or --resume=continue is wanted"
                                                         : NULL;
}

static const char *on_sync(void *into, const char *argument)
{
    struct copy_options *options = into;
    (void)argument;
    options->sync = true;
    return NULL;
}

static const char *on_verify(void *into, const char *argument)
{
    struct copy_options *options = into;
    (void)argument;
    options->verify = true;
    return NULL;
}

static const char *on_progress(void *into, const char *argument)
{
    struct copy_options *options = into;
    (void)argument;
    options->progress = true;
    return NULL;
}

static const char *on_numeric(void *into, const char *argument)
{
    struct copy_options *options = into;
    (void)argument;
    options->numeric = true;
    return NULL;
}

static const char *on_quiet(void *into, const char *argument)
{
    struct copy_options *options = into;
    (void)argument;
    options->quiet = true;
    return NULL;
}

static const char *on_verbose(void *into, const char *argument)
{
    struct copy_options *options = into;
    (void)argument;
    options->verbose = true;
    return NULL;
}

static const char *on_stats(void *into, const char *argument)
{
    struct copy_options *options = into;
    (void)argument;
    options->stats = true;
    return NULL;
}

static const char *on_json(void *into, const char *argument)
{
    struct copy_options *options = into;

    if (argument && strcmp(argument, "lines") != 0)
        return "--json or --json=lines is wanted";
    options->json = argument ? JSON_LINES : JSON_ONE;
    return JSON_REFUSED;
}

/* In explain the same options are taken, where they change the plan. */
enum { COPY = 1, EXPLAIN = 2, BOTH = COPY | EXPLAIN };

static const struct option_row rows[] = {
    {"rate", 'L', COPY, required_argument, "RATE", on_rate, "at most RATE bytes a second"},
    {"size", 's', COPY, required_argument, "SIZE", on_size,
     "how much is expected, for the progress display"},
    {"offset", 0, BOTH, required_argument, "[source=|sink=]N", on_offset,
     "begin at byte N of the source or the sink"},
    {"length", 0, BOTH, required_argument, "N", on_length, "move exactly N bytes"},
    {"append", 0, BOTH, no_argument, NULL, on_append, "add to the end of the sink"},
    {"method", 0, BOTH, required_argument, "NAME", on_method,
     "auto, reflink, copy-range, sendfile, splice, mmap-write, read-write, direct"},
    {"require", 0, BOTH, required_argument, "WHAT", on_require, "any, no-user-copy, zero-copy"},
    {"reflink", 0, BOTH, required_argument, "WHEN", on_reflink,
     "share the source's extents: auto, always, never"},
    {"sparse", 0, BOTH, required_argument, "WHEN", on_sparse,
     "holes: auto keeps them, always makes them of zeros, never writes them"},
    {"cache", 0, BOTH, required_argument, "POLICY", on_cache,
     "the page cache: keep, drop what came into it, bypass it"},
    {"readahead", 0, COPY, required_argument, "WHEN", on_readahead,
     "ask for a cold source ahead of the cursor: auto, always, never"},
    {"snapshot", 0, BOTH, no_argument, NULL, on_snapshot,
     "bytes do not change once they are taken"},
    {"chunk", 0, BOTH, required_argument, "SIZE", on_chunk, "most bytes a call is asked to move"},
    {"pipe-size", 0, BOTH, required_argument, "SIZE", on_pipe_size,
     "capacity asked for a private pipe"},
    {"idle-timeout", 0, COPY, required_argument, "SECONDS", on_idle_timeout,
     "fail when no byte has moved for so long"},
    {"linger", 0, COPY, required_argument, "SECONDS", on_linger,
     "wait so long for the peer of a socket sink to end (10)"},
    {"atomic", 0, COPY, optional_argument, "yes|no", on_atomic,
     "the sink appears whole or not at all"},
    {"salvage", 0, COPY, required_argument, "FILE", on_salvage,
     "keep bytes that were taken and not delivered"},
    {"checksum", 0, COPY, required_argument, "NAME", on_checksum,
     "xxh3 or sha256 of the delivered bytes"},
    {"resume", 0, COPY, optional_argument, "continue", on_resume,
     "keep what a failure leaves, and go on from there"},
    {"sync", 0, COPY, no_argument, NULL, on_sync, "end only when the sink is on its device"},
    {"verify", 0, COPY, no_argument, NULL, on_verify,
     "read the sink back from its device, and compare"},
    {"progress", 'p', COPY, no_argument, NULL, on_progress, "show progress also off a terminal"},
    {"numeric", 'n', COPY, no_argument, NULL, on_numeric, "progress as a number a line"},
    {"quiet", 'q', COPY, no_argument, NULL, on_quiet, "no progress, no notices"},
    {"verbose", 'v', COPY, no_argument, NULL, on_verbose, "print the plan before moving"},
    {"stats", 0, COPY, no_argument, NULL, on_stats, "print the ledger at the end"},
    {"json", 0, BOTH, optional_argument, "lines", on_json, "the ledger as JSON"},
    {"help", 'h', BOTH, no_argument, NULL, NULL, "this text"},
};

#define ROWS (sizeof rows / sizeof *rows)
_Static_assert(ROWS <= OPTIONS_MOST, "enlarge OPTIONS_MOST");

static void print_help(const char *command, const struct option_table *table)
{
    printf("usage: sluice %s [OPTIONS] SOURCE SINK\n\n", command);
    options_help(table, stdout);
    printf("\nSOURCE, SINK  -  PATH  file:NAME  fd:N  null:  zero:  tcp:HOST:PORT\n"
           "              tcp-listen:[HOST:]PORT  unix:PATH  unix-listen:PATH\n"
           "\nSizes: 4096, 64K (powers of 1024), 10MB (of 1000). See sluice-%s(1).\n",
           command);
}

static enum status parse_addresses(const char *command, int count, char **words,
                                   struct copy_options *options)
{
    char why[1024];

    if (count != 2)
        return usage_error(command,
                           count < 2 ? "a SOURCE and a SINK are wanted"
                                     : "'%s' is too much: one SOURCE and one SINK",
                           count < 2 ? "" : words[2]);
    if (address_parse(words[0], &options->source, why, sizeof why) < 0 ||
        address_parse(words[1], &options->sink, why, sizeof why) < 0)
        return usage_error(command, "%s", why);
    const bool copies = strcmp(command, "copy") == 0;
    if (copies && (address_is_kind(&options->source) || address_is_kind(&options->sink)))
        return usage_error(command, "'%s' is only a kind: there is nothing to open",
                           address_is_kind(&options->source) ? words[0] : words[1]);
    return STATUS_DONE;
}

/* Options that contradict each other. */
static enum status check_options(const char *command, const struct copy_options *options)
{
    if (options->append && options->atomic == ATOMIC_ALWAYS)
        return usage_error(command, "--append and --atomic exclude each other");
    if (options->append && (options->library.flags & SLUICE_SINK_OFFSET))
        return usage_error(command, "--append and --offset sink= exclude each other");
    if (options->atomic == ATOMIC_ALWAYS && (options->library.flags & SLUICE_SINK_OFFSET))
        return usage_error(command, "--atomic and --offset sink= exclude each other");
    if (options->resume && (options->append || (options->library.flags & SLUICE_SINK_OFFSET) ||
                            options->atomic == ATOMIC_NEVER))
        return usage_error(command, "--resume excludes --append, --offset sink= and --atomic=no");
    return STATUS_DONE;
}

int copy_options_parse(const char *command, int argc, char **argv, struct copy_options *ret)
{
    const struct option_table table = {
        .rows = rows, .count = ROWS, .user = strcmp(command, "copy") == 0 ? COPY : EXPLAIN};
    char wrong[OPTIONS_WORDS];

    *ret = (struct copy_options){
        .library = SLUICE_OPTIONS_INIT, .size = UINT64_MAX, .linger = 10 * UINT64_C(1000000000)};
    const enum options_outcome outcome = options_parse(&table, argc, argv, ret, wrong);
    if (outcome == OPTIONS_WRONG)
        return (int)usage_error(command, "%s", wrong);
    if (outcome == OPTIONS_HELP) {
        print_help(command, &table);
        return -1;
    }
    enum status status = check_options(command, ret);
    if (status == STATUS_DONE)
        status = parse_addresses(command, argc - optind, argv + optind, ret);
    return (int)status;
}

void copy_options_free(struct copy_options *options)
{
    address_free(&options->source);
    address_free(&options->sink);
}
