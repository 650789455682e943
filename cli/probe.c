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
#include "config.h"
#include "message.h"
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

static const char help[] =
    "usage: sluice probe [OPTIONS] [PATH…]\n"
    "       sluice probe --diff OLD NEW\n\n"
    "Measures, on scratch objects of its own, which legs this kernel moves without a copy:\n"
    "on the file systems of the PATHs (the current and the temporary directory), between pipes,\n"
    "memory and sockets. Each verdict comes with the witness that says so.\n\n"
    "      --explain LEG  all the evidence for one leg, as 'ext4 -> pipe' or\n"
    "                     'pipe -> ext4 splice SPLICE_F_MOVE'\n"
    "      --json         one JSON object\n"
    "      --diff OLD NEW compare two outputs of --json; exit status 3 if a leg went from no\n"
    "                     copy to a copy\n"
    "      --through NAME=FD,FD  measure TCP on the connection between two descriptors of mine,\n"
    "                     sender first, instead of loopback\n"
    "      --scratch-device DEV  measure on this block device, too; what is on it is LOST\n"
    "      --cached       show what is kept, measure nothing\n"
    "      --no-cache     do not keep what is found\n"
    "  -q, --quiet        no notices\n"
    "  -h, --help         this text\n";

/* ---- words ---- */

enum {
    OPTION_EXPLAIN = 256,
    OPTION_JSON,
    OPTION_DIFF,
    OPTION_CACHED,
    OPTION_NO_CACHE,
    OPTION_THROUGH,
    OPTION_DEVICE
};

static const struct option long_options[] = {
    {"explain", required_argument, NULL, OPTION_EXPLAIN},
    {"json", no_argument, NULL, OPTION_JSON},
    {"diff", no_argument, NULL, OPTION_DIFF},
    {"through", required_argument, NULL, OPTION_THROUGH},
    {"scratch-device", required_argument, NULL, OPTION_DEVICE},
    {"cached", no_argument, NULL, OPTION_CACHED},
    {"no-cache", no_argument, NULL, OPTION_NO_CACHE},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static enum status no_such_option(const char *word)
{
    const char *names[sizeof long_options / sizeof *long_options] = {0};

    for (size_t i = 0; long_options[i].name; i++)
        names[i] = long_options[i].name;
    return unknown_option("probe", word, names);
}

/* "veth0=3,4" */
static int parse_through(struct probing *probing, const char *argument)
{
    const char *equals = strchr(argument, '=');
    int length = 0;

    if (!equals || equals == argument || strpbrk(argument, "\t\n;") ||
        sscanf(equals + 1, "%d,%d%n", &probing->pair[0], &probing->pair[1], &length) != 2 ||
        equals[1 + length])
        return -EINVAL;
    for (int i = 0; i < 2; i++) {
        struct stat status;
        if (fstat(probing->pair[i], &status) < 0 || !S_ISSOCK(status.st_mode))
            return -EINVAL;
    }
    free(probing->through);
    probing->through = strndup(argument, (size_t)(equals - argument));
    return probing->through ? 0 : -ENOMEM;
}

/* Returns STATUS_DONE and *ret_over where there is nothing left to do. */
static enum status parse_options(struct probing *probing, int argc, char **argv, bool *ret_over)
{
    opterr = 0;
    optind = 1;
    for (;;) {
        const char *word = optind < argc ? argv[optind] : "";
        switch (getopt_long(argc, argv, ":qh", long_options, NULL)) {
        case -1:
            return STATUS_DONE;
        case OPTION_EXPLAIN:
            probing->leg = optarg;
            break;
        case OPTION_JSON:
#ifndef HAVE_JANSSON
            return usage_error("probe", "--json is not in this build: it was made without jansson");
#endif
            probing->json = true;
            break;
        case OPTION_DIFF:
#ifndef HAVE_JANSSON
            return usage_error("probe", "--diff is not in this build: it was made without jansson");
#endif
            probing->diff = true;
            break;
        case OPTION_THROUGH:
            if (parse_through(probing, optarg) < 0)
                return usage_error("probe",
                                   "--through '%s': a name and two descriptors of sockets are "
                                   "wanted, as eth0=3,4",
                                   optarg);
            break;
        case OPTION_DEVICE: {
            struct stat status;
            if (stat(optarg, &status) < 0 || !S_ISBLK(status.st_mode))
                return usage_error("probe", "--scratch-device '%s': a block device is wanted",
                                   optarg);
            probing->device = optarg;
            break;
        }
        case OPTION_CACHED:
            probing->cached = true;
            break;
        case OPTION_NO_CACHE:
            probing->keep = false;
            break;
        case 'q':
            message_quiet = true;
            break;
        case 'h':
            fputs(help, stdout);
            *ret_over = true;
            return STATUS_DONE;
        case ':':
            return usage_error("probe", "'%s' needs an argument", word);
        default:
            return no_such_option(word);
        }
    }
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
