/* SPDX-License-Identifier: MIT */
/* `sluice bench`: what each way of moving bytes costs on this machine. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bench_options.h"
#include "bench_peer.h"
#include "bench_report.h"
#include "commands.h"
#include "config.h"
#include "measure/peer.h"
#include "message.h"
#include "signals.h"
#include "units.h"

enum { MOST_NOTES = 16, NOTE = 256 };

struct bench {
    struct bench_options options;
    struct stage stage;
    struct address to;
    struct measuring measuring;
    struct broker broker;
    struct machine machine;
    struct bench_report report;
    unsigned groups;
    sluice_probe *probe;
    char note[MOST_NOTES][NOTE];
    const char *notes[MOST_NOTES + 1];
    unsigned note_count;
};

/* What cannot be done: said at once, and once more in the report. */
__attribute__((format(printf, 2, 3))) static void add_note(struct bench *bench, const char *format,
                                                           ...)
{
    va_list arguments;

    if (bench->note_count == MOST_NOTES)
        return;
    char *text = bench->note[bench->note_count];
    va_start(arguments, format);
    vsnprintf(text, NOTE, format, arguments);
    va_end(arguments);
    bench->notes[bench->note_count++] = text;
    notice("sluice: %s", text);
}

static bool stopped(void)
{
    return signals_caught() != 0;
}

/* ---- what it stands on ---- */

static int on_probe(const char *what, void *data)
{
    (void)what, (void)data;
    return signals_caught();
}

/* Verdicts for the copies: well under a second. */
static void probe(struct bench *bench)
{
    const char *const directory = bench->options.disk;
    const struct sluice_probe_options options = {
        .size = sizeof options,
        .flags = SLUICE_PROBE_QUICK | SLUICE_PROBE_MEMORY | SLUICE_PROBE_SOCKETS,
        .directories = 1,
        .directory = &directory,
        .progress = on_probe,
    };

    int error = sluice_probe_new(&bench->probe);
    if (error == 0)
        error = sluice_probe_run(bench->probe, NULL, &options);
    if (error == 0 && sluice_probe_controls(bench->probe, NULL, NULL)) {
        bench->stage.probe = bench->probe;
        return;
    }
    if (!stopped())
        add_note(bench, "copies are as expected, from a table: the probe %s",
                 error < 0 ? strerror(-error) : "contradicts itself");
    sluice_probe_free(bench->probe);
    bench->probe = NULL;
}

/* --to: one connection shows whether anybody is there. */
static enum status find_peer(struct bench *bench)
{
    const char *const to = bench->options.to;
    char why[256];

    if (!to)
        return STATUS_DONE;
    if (bench_peer_address(to, false, &bench->to, why, sizeof why) < 0)
        return usage_error("bench", "--to '%s': %s", to, why);
    const int fd = bench_peer_connect(&bench->to, 1);
    if (fd < 0) {
        message("cannot connect to '%s': %s; is 'sluice bench --peer' there?", to,
                address_failure(fd));
        return STATUS_FAILED;
    }
    bench->stage.card = peer_behind_card(fd);
    close(fd);
    bench->stage.connect = bench_peer_connect;
    bench->stage.connect_data = &bench->to;
    if (!bench->stage.card)
        add_note(bench, "'%s' is not behind a network card: no DMA of one is derived", to);
    return STATUS_DONE;
}

static enum status open_stage(struct bench *bench)
{
    struct stage *stage = &bench->stage;
    char wanted[UNITS_BUFFER], got[UNITS_BUFFER];
    const uint64_t size = bench->options.size;

    stage->stopped = stopped;
    const int error = stage_open(stage, bench->options.disk, size);
    if (error < 0 && stage->mapped == NULL) {
        message("cannot measure on '%s': %s", bench->options.disk, strerror(-error));
        return STATUS_FAILED;
    }
    if (error < 0)
        add_note(bench, "no file can be made in '%s' (%s): paths with files are left out",
                 bench->options.disk, strerror(-error));
    else if (stage->size < size)
        add_note(bench, "the disk of '%s' has room for files of %s only, not %s: runs are shorter",
                 bench->options.disk, units_format_bytes(stage->size, got),
                 units_format_bytes(size, wanted));
    if (error == 0 && !stage->cold)
        add_note(bench, "a cold page cache is not possible in '%s': %s", bench->options.disk,
                 stage->not_cold);
    machine_describe(stage, &bench->machine);
    if (bench->machine.cpus == 1)
        add_note(bench, "there is one CPU only: the mover and its neighbours take turns on it, and "
                        "throughput is that of both");
    return STATUS_DONE;
}

/* ---- measuring ---- */

static void on_progress(void *data, const struct cell *cell, double part)
{
    const struct bench *bench = data;
    char chunk[16];

    if (!bench->options.progress)
        return;
    fprintf(stderr, "\r\x1b[K%3.0f %%  %s %s, %s", part < 1 ? 100 * part : 99, cell->path->name,
            bench_chunk(cell->chunk, chunk), cell->way->name);
    fflush(stderr);
}

static enum status measure(struct bench *bench)
{
    struct bench_options *options = &bench->options;
    const struct choice choice = {.extent = options->extent,
                                  .paths = options->paths,
                                  .ways = options->ways,
                                  .chunks = options->chunks,
                                  .remote = options->to != NULL};
    struct measuring *measuring = &bench->measuring;

    *measuring = (struct measuring){.stage = &bench->stage,
                                    .budget = options->budget,
                                    .aim = options->aim,
                                    .rounds = options->rounds,
                                    .progress = on_progress,
                                    .progress_data = bench};
    int error = cells_make(&choice, &measuring->cells, &measuring->count, &bench->groups);
    if (error == 0 && measuring->count == 0) {
        message("none of these methods serves any of these paths");
        return STATUS_USAGE;
    }
    if (error == 0)
        error = measure_run(measuring);
    if (options->progress)
        fprintf(stderr, "\r\x1b[K");
    if (stopped()) {
        message("stopped by SIG%s: nothing is shown", sigabbrev_np(signals_caught()));
        return (enum status)(128 + signals_caught());
    }
    if (error < 0) {
        char text[160];
        const struct cell *first = measuring->count ? measuring->cells : NULL;
        message("nothing could be measured: %s",
                first && first->error == error ? bench_error(first, text) : strerror(-error));
        return STATUS_FAILED;
    }
    if (measuring->left_out)
        add_note(bench, "%u of %u comparisons are left out: the time was short (give --time)",
                 measuring->left_out, bench->groups);
    return STATUS_DONE;
}

static void on_broker_progress(void *data, const struct broker_row *row, double part)
{
    const struct bench *bench = data;

    if (!bench->options.progress)
        return;
    fprintf(stderr, "\r\x1b[K%3.0f %%  broker: %s, %s", part < 1 ? 100 * part : 99, row->way->name,
            row->way->condition);
    fflush(stderr);
}

static enum status measure_broker(struct bench *bench)
{
    const bool full = bench->options.extent == EXTENT_FULL;

    bench->broker = (struct broker){.stage = &bench->stage,
                                    .budget = full ? 150 : bench->options.budget,
                                    .rounds = bench->options.rounds,
                                    .progress = on_broker_progress,
                                    .progress_data = bench};
    const int error = broker_run(&bench->broker);
    if (bench->options.progress)
        fprintf(stderr, "\r\x1b[K");
    if (stopped()) {
        message("stopped by SIG%s: nothing is shown", sigabbrev_np(signals_caught()));
        return (enum status)(128 + signals_caught());
    }
    if (error < 0) {
        message("nothing of a broker could be measured: %s", strerror(-error));
        return STATUS_FAILED;
    }
    return STATUS_DONE;
}

/* ---- showing ---- */

static enum status write_page(const struct bench *bench)
{
    FILE *out = fopen(bench->options.html, "we");
    int error = out ? 0 : errno;

    if (out) {
        bench_html(&bench->report, out);
        if (ferror(out))
            error = EIO;
        if (fclose(out) != 0)
            error = errno;
    }
    if (error == 0)
        return STATUS_DONE;
    message("cannot write to '%s': %s", bench->options.html, strerror(error));
    return STATUS_FAILED;
}

static enum status show(struct bench *bench)
{
    if (!signals_sigpipe_ignored())
        signal(SIGPIPE, SIG_DFL); /* the reader of our output may leave, as others' may */
    if (bench->options.json)
        bench_json(&bench->report, stdout);
    else
        bench_text(&bench->report, stdout);
    return bench->options.html ? write_page(bench) : STATUS_DONE;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static enum status run(struct bench *bench)
{
    const double begun = now();

    signals_install();
    enum status status = find_peer(bench);
    if (status == STATUS_DONE)
        status = open_stage(bench);
    if (status == STATUS_DONE)
        probe(bench);
    if (status == STATUS_DONE) {
        bench->options.budget -= now() - begun;
        if (!bench->options.only_broker)
            status = measure(bench);
        if (status == STATUS_DONE && bench->options.broker)
            status = measure_broker(bench);
    }
    bench->report = (struct bench_report){
        .measuring = &bench->measuring,
        .machine = &bench->machine,
        .probe = bench->probe,
        .broker = bench->options.broker ? &bench->broker : NULL,
        .rounds = bench->measuring.done ? bench->measuring.done : bench->broker.done,
        .peer = bench->options.to,
        .extent = bench->options.extent == EXTENT_FULL ? "full" : "quick",
        .seconds = now() - begun,
        .notes = bench->notes,
    };
    if (status == STATUS_DONE)
        status = show(bench);
    stage_close(&bench->stage);
    address_free(&bench->to);
    sluice_probe_free(bench->probe);
    free(bench->measuring.cells);
    broker_free(&bench->broker);
    return status;
}

int command_bench(int argc, char **argv)
{
    struct bench *bench = calloc(1, sizeof *bench);
    bool over = false;

    if (!bench) {
        message("not enough memory");
        return STATUS_FAILED;
    }
    bench->stage = (struct stage){.source = -1, .cold_source = -1, .sink = -1, .memory = -1};
    enum status status = bench_options_parse(&bench->options, argc, argv, &over);
    if (!over && status == STATUS_DONE)
        status = bench->options.peer ? bench_peer_serve(bench->options.peer) : run(bench);
    free(bench);
    return (int)status;
}
