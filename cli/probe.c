/* SPDX-License-Identifier: MIT */
/* `sluice probe`: measures what this kernel does on each leg, and shows the evidence. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "json.h"
#include "message.h"
#include "options.h"
#include "probe_cache.h"
#include "probe_report.h"
#include "signals.h"

#define MOST_DIRECTORIES 16

struct probing {
    const char *directory[MOST_DIRECTORIES];
    char *own[MOST_DIRECTORIES]; /* those of them that were made from a file's path */
    unsigned directories;
    const char *leg;    /* --explain */
    const char *device; /* --scratch-device */
    char *through;      /* --through, its name */
    int pair[2];
    bool json, cached, keep; /* keep: what is found goes into the cache */
    bool diff;
};

/* ---- options ---- */

static const char *on_explain(void *into, const char *word)
{
    ((struct probing *)into)->leg = word;
    return NULL;
}

static const char *on_json(void *into, const char *unused)
{
    (void)unused;
    ((struct probing *)into)->json = true;
    return JSON_REFUSED;
}

static const char *on_diff(void *into, const char *unused)
{
    (void)unused;
    ((struct probing *)into)->diff = true;
    return JSON_REFUSED;
}

/* "veth0=3,4" */
static const char *on_through(void *into, const char *word)
{
    static const char wanted[] = "a name and two descriptors of sockets are wanted, as eth0=3,4";
    struct probing *probing = into;
    const char *equals = strchr(word, '=');
    int length = 0;

    if (!equals || equals == word || strpbrk(word, "\t\n;") ||
        sscanf(equals + 1, "%d,%d%n", &probing->pair[0], &probing->pair[1], &length) != 2 ||
        equals[1 + length])
        return wanted;
    for (int i = 0; i < 2; i++) {
        struct stat status;
        if (fstat(probing->pair[i], &status) < 0 || !S_ISSOCK(status.st_mode))
            return wanted;
    }
    free(probing->through);
    probing->through = strndup(word, (size_t)(equals - word));
    return probing->through ? NULL : "not enough memory";
}

static const char *on_device(void *into, const char *word)
{
    struct stat status;

    if (stat(word, &status) < 0 || !S_ISBLK(status.st_mode))
        return "a block device is wanted";
    ((struct probing *)into)->device = word;
    return NULL;
}

static const char *on_cached(void *into, const char *unused)
{
    (void)unused;
    ((struct probing *)into)->cached = true;
    return NULL;
}

static const char *on_no_cache(void *into, const char *unused)
{
    (void)unused;
    ((struct probing *)into)->keep = false;
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
    {"explain", 0, ANY, required_argument, "LEG", on_explain,
     "all the evidence for one leg, as 'ext4 -> pipe' or"},
    {NULL, 0, ANY, no_argument, NULL, NULL, "'pipe -> ext4 splice SPLICE_F_MOVE'"},
    {"json", 0, ANY, no_argument, NULL, on_json, "one JSON object"},
    {"diff", 0, ANY, no_argument, NULL, on_diff,
     "compare two outputs of --json, OLD and NEW; exit"},
    {NULL, 0, ANY, no_argument, NULL, NULL, "status 3 if a leg went from no copy to a copy"},
    {"through", 0, ANY, required_argument, "NAME=FD,FD", on_through,
     "measure TCP on the connection between two descriptors"},
    {NULL, 0, ANY, no_argument, NULL, NULL, "of mine, sender first, instead of loopback"},
    {"scratch-device", 0, ANY, required_argument, "DEV", on_device,
     "measure on this block device, too; what is on it is LOST"},
    {"cached", 0, ANY, no_argument, NULL, on_cached, "show what is kept, measure nothing"},
    {"no-cache", 0, ANY, no_argument, NULL, on_no_cache, "do not keep what is found"},
    {"quiet", 'q', ANY, no_argument, NULL, on_quiet, "no notices"},
    {"help", 'h', ANY, no_argument, NULL, NULL, "this text"},
};

#define ROWS (sizeof rows / sizeof *rows)
_Static_assert(ROWS <= OPTIONS_MOST, "enlarge OPTIONS_MOST");

/* Returns STATUS_DONE and *ret_over where there is nothing left to do. */
static enum status parse_options(struct probing *probing, int argc, char **argv, bool *ret_over)
{
    const struct option_table table = {.rows = rows, .count = ROWS, .user = ANY};
    char wrong[OPTIONS_WORDS];
    const enum options_outcome outcome = options_parse(&table, argc, argv, probing, wrong);

    if (outcome == OPTIONS_WRONG)
        return usage_error("probe", "%s", wrong);
    if (outcome == OPTIONS_HELP) {
        fputs("usage: sluice probe [OPTIONS] [PATH…]\n"
              "       sluice probe --diff OLD NEW\n\n"
              "Measures, on scratch objects of its own, which legs this kernel moves without a "
              "copy:\n"
              "on the file systems of the PATHs (the current and the temporary directory), between "
              "pipes,\n"
              "memory and sockets. Each verdict comes with the witness that says so.\n\n",
              stdout);
        options_help(&table, stdout);
        *ret_over = true;
    }
    return STATUS_DONE;
}

/* A file stands for its directory. */
static enum status add_path(struct probing *probing, const char *path)
{
    struct stat status;

    if (probing->directories == MOST_DIRECTORIES)
        return usage_error("probe", "more than %d paths", MOST_DIRECTORIES);
    if (stat(path, &status) < 0)
        return usage_error("probe", "cannot measure on '%s': %s", path, strerror(errno));
    const char *directory = path;
    if (!S_ISDIR(status.st_mode)) {
        char *own = strdup(path), *slash = own ? strrchr(own, '/') : NULL;
        if (!own)
            return usage_error("probe", "not enough memory");
        if (slash)
            slash[slash == own] = '\0';
        probing->own[probing->directories] = own;
        directory = slash ? own : ".";
    }
    probing->directory[probing->directories++] = directory;
    return STATUS_DONE;
}

static enum status parse_paths(struct probing *probing, int count, char **paths)
{
    const char *temporary = getenv("TMPDIR");
    enum status status = STATUS_DONE;

    for (int i = 0; i < count && status == STATUS_DONE; i++)
        status = add_path(probing, paths[i]);
    if (count == 0) {
        probing->directory[probing->directories++] = ".";
        probing->directory[probing->directories++] = temporary && *temporary ? temporary : "/tmp";
    }
    return status;
}

/* ---- legs by name ---- */

/* Without blanks: "pipe->ext4splice". */
static void squeeze(const char *text, char *ret, size_t size)
{
    size_t at = 0;
    for (; *text && at + 1 < size; text++)
        if (*text != ' ')
            ret[at++] = *text;
    ret[at] = '\0';
}

/* How well the words name the leg: 0 not at all, 1 its ends and call, 2 it alone. */
static int names_leg(const char *words, const struct sluice_probe_leg *leg)
{
    char name[LEG_NAME], wanted[LEG_NAME], ends[LEG_NAME];

    squeeze(words, wanted, sizeof wanted);
    squeeze(probe_leg_name(leg, name), ends, sizeof ends);
    if (strcmp(wanted, ends) == 0)
        return 2;
    snprintf(ends, sizeof ends, "%s->%s%s", leg->from, leg->to, leg->variant);
    snprintf(name, sizeof name, "%s->%s", leg->from, leg->to);
    char bare[LEG_NAME];
    squeeze(ends, bare, sizeof bare);
    if (strcmp(wanted, bare) == 0)
        return 2;
    return strcmp(wanted, name) == 0;
}

static enum status no_such_leg(const sluice_probe *probe, const char *words)
{
    const char *names[256] = {0};
    static char texts[255][LEG_NAME];
    struct sluice_probe_leg leg = {.size = sizeof leg};

    for (unsigned i = 0; i < 255 && sluice_probe_leg(probe, i, &leg) == 0; i++) {
        snprintf(texts[i], LEG_NAME, "%s -> %s", leg.from, leg.to);
        names[i] = texts[i];
    }
    const char *near = nearest_name(words, names);
    return near ? usage_error("probe", "no leg '%s' was measured; did you mean '%s'?", words, near)
                : usage_error("probe", "no leg '%s' was measured", words);
}

static enum status explain_leg(const struct probe_report *report, const char *words)
{
    struct sluice_probe_leg leg = {.size = sizeof leg};
    int best = 0;
    unsigned shown = 0;

    for (unsigned i = 0; sluice_probe_leg(report->probe, i, &leg) == 0; i++) {
        const int named = names_leg(words, &leg);
        best = named > best ? named : best;
    }
    for (unsigned i = 0; best && sluice_probe_leg(report->probe, i, &leg) == 0; i++)
        if (names_leg(words, &leg) == best) {
            if (shown++)
                putchar('\n');
            probe_evidence(report, i, stdout);
        }
    return best ? STATUS_DONE : no_such_leg(report->probe, words);
}

/* ---- measuring ---- */

static int on_progress(const char *what, void *data)
{
    (void)what, (void)data;
    return signals_caught();
}

static enum status measure(struct probing *probing, sluice_probe *probe, double *ret_seconds)
{
    const struct sluice_probe_options options = {.size = sizeof options,
                                                 .directories = probing->directories,
                                                 .directory = probing->directory,
                                                 .progress = on_progress,
                                                 .device = probing->device,
                                                 .through = probing->through,
                                                 .pair = {probing->pair[0], probing->pair[1]}};
    struct timespec begun, ended;

    signals_install();
    clock_gettime(CLOCK_MONOTONIC, &begun);
    const int error = sluice_probe_run(probe, NULL, &options);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    *ret_seconds =
        (double)(ended.tv_sec - begun.tv_sec) + (double)(ended.tv_nsec - begun.tv_nsec) / 1e9;
    if (error == -ECANCELED && signals_caught()) {
        message("stopped by SIG%s: nothing is shown, nothing is kept",
                sigabbrev_np(signals_caught()));
        return (enum status)(128 + signals_caught());
    }
    if (error < 0) {
        message("cannot measure: %s", strerror(-error));
        return STATUS_FAILED;
    }
    if (!signals_sigpipe_ignored())
        signal(SIGPIPE, SIG_DFL); /* the reader of our output may leave, as others' may */
    if (!sluice_probe_controls(probe, NULL, NULL)) {
        message("the controls contradict themselves: no verdict of this run can be trusted, and "
                "none is kept");
        return STATUS_VERIFY;
    }
    const int kept = probing->keep ? probe_cache_save(probe) : 0;
    if (kept < 0)
        notice("sluice: what was found cannot be kept: %s", strerror(-kept));
    return STATUS_DONE;
}

static enum status take_cached(sluice_probe *probe)
{
    const int error = probe_cache_load(probe);
    if (error == 0)
        return STATUS_DONE;
    message("nothing is kept of this kernel and user: %s", strerror(-error));
    return STATUS_FAILED;
}

static enum status show(const struct probing *probing, const struct probe_report *report)
{
    if (probing->leg)
        return explain_leg(report, probing->leg);
    if (probing->json)
        probe_json(report, stdout);
    else
        probe_text(report, stdout);
    return STATUS_DONE;
}

static enum status run(struct probing *probing)
{
    struct probe_report report = {0};
    sluice_probe *probe;

    if (sluice_probe_new(&probe) < 0) {
        message("not enough memory");
        return STATUS_FAILED;
    }
    report.probe = probe;
    enum status status =
        probing->cached ? take_cached(probe) : measure(probing, probe, &report.seconds);
    if (status == STATUS_DONE || status == STATUS_VERIFY) {
        const enum status shown = show(probing, &report);
        status = status == STATUS_DONE ? shown : status;
    }
    sluice_probe_free(probe);
    return status;
}

int command_probe(int argc, char **argv)
{
    struct probing probing = {.keep = true};
    bool over = false;
    enum status status = parse_options(&probing, argc, argv, &over);

    if (over || status != STATUS_DONE)
        return (int)status;
    if (probing.diff)
        return argc - optind == 2
                   ? probe_diff(argv[optind], argv[optind + 1], stdout)
                   : (int)usage_error("probe", "--diff needs two files: OLD and NEW");
    status = parse_paths(&probing, argc - optind, argv + optind);
    if (status == STATUS_DONE)
        status = run(&probing);
    free(probing.through);
    for (unsigned i = 0; i < MOST_DIRECTORIES; i++)
        free(probing.own[i]);
    return (int)status;
}
