/* SPDX-License-Identifier: MIT */
#include "measure.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/sys.h"
#include "mover.h"
#include "statistics.h"

#define MIB 1048576u
#define GIB 1073741824.0

static double now(void)
{
    return (double)sys_now() / 1e9;
}

/* What a run costs beside the moving: processes, sockets, the cache brought into its state. */
static const double around = 0.004;

struct plan {
    struct measuring *measuring;
    double begun;
    double round; /* seconds that a round is expected to take */
};

/* ---- one cell ---- */

static int run_cell(struct plan *plan, struct cell *cell, enum mover_run how, struct sample *sample)
{
    struct measuring *measuring = plan->measuring;

    if (measuring->stage->stopped())
        return -EINTR;
    if (measuring->progress)
        measuring->progress(measuring->progress_data, cell,
                            (now() - plan->begun) / measuring->budget);
    const int error = mover_run(measuring->stage, cell, how, sample);
    if (measuring->stage->stopped())
        return -EINTR;
    if (error < 0)
        cell->error = error;
    return 0;
}

/* Files are needed that are not there, or a cold one that cannot be had. */
static bool impossible(const struct stage *stage, struct cell *cell)
{
    if (((cell->path->from | cell->path->to) & END_FILE) && stage->source < 0) {
        cell->error = -ENOSPC;
        snprintf(cell->reason, sizeof cell->reason, "no room for the files");
    } else if (cell->warmth != WARMTH_HOT && !stage->cold) {
        cell->error = -EOPNOTSUPP;
        snprintf(cell->reason, sizeof cell->reason, "the file cannot be cold: %.64s",
                 stage->not_cold);
    }
    return cell->error < 0;
}

static uint64_t fitting(const struct stage *stage, uint64_t bytes, uint32_t chunk)
{
    uint64_t ret = MIB;
    while (ret * 2 <= bytes && ret * 2 <= stage->size)
        ret *= 2;
    while (ret < chunk && ret * 2 <= stage->size)
        ret *= 2;
    return ret < stage->size ? ret : stage->size;
}

/* A first run says how many bytes are worth a run. */
static int pilot(struct plan *plan, struct cell *cell)
{
    struct measuring *measuring = plan->measuring;
    struct sample sample;

    if (impossible(measuring->stage, cell))
        return 0;
    const bool cold = cell->warmth != WARMTH_HOT;
    cell->bytes = cold ? measuring->stage->cold_size
                       : fitting(measuring->stage, cell->chunk < 4096 ? MIB : 4 * MIB, cell->chunk);
    measure_copies(measuring->stage, cell);
    const int error = run_cell(plan, cell, MOVER_TIMED, &sample);
    if (error < 0 || cell->error < 0)
        return error;
    const double speed = (double)cell->bytes / (sample.seconds > 1e-6 ? sample.seconds : 1e-6);
    if (!cold)
        cell->bytes =
            fitting(measuring->stage, (uint64_t)(speed * measuring->aim * 1.41), cell->chunk);
    plan->round += (double)cell->bytes / speed + around;
    return 0;
}

/* The counting run waits until all is written: that is the writing. What was read is the median of the
 * timed runs', since others read, too. */
static double blocks(const struct stage *stage, const struct cell *cell)
{
    double values[MOST_RUNS];

    if (!stage->place.device)
        return -1;
    for (unsigned i = 0; i < cell->runs; i++)
        values[i] = (double)cell->sample[i].device_read / (double)cell->bytes;
    return statistics_median(values, cell->runs) + (cell->path->to == END_FILE ? cell->device : 0);
}

static int count(struct plan *plan, struct cell *cell)
{
    struct sample sample;
    const int error = run_cell(plan, cell, MOVER_COUNTED, &sample);

    cell->device = (double)sample.device_written / (double)cell->bytes;
    return error;
}

/* ---- all cells ---- */

static void leave_out(struct measuring *measuring, unsigned first)
{
    unsigned group = UINT32_MAX;

    for (unsigned i = first; i < measuring->count; i++) {
        struct cell *cell = &measuring->cells[i];
        measuring->left_out += cell->group != group;
        group = cell->group;
        cell->error = -ETIME;
        snprintf(cell->reason, sizeof cell->reason, "left out: the time was short");
    }
}

/* Group by group, as long as there will be time enough for the fewest rounds. */
static int pilot_all(struct plan *plan)
{
    struct measuring *measuring = plan->measuring;

    for (unsigned first = 0, end; first < measuring->count; first = end) {
        const double rounds = STATISTICS_LEAST + 1; /* and one to count */
        for (end = first;
             end < measuring->count && measuring->cells[end].group == measuring->cells[first].group;
             end++) {
            const int error = pilot(plan, &measuring->cells[end]);
            if (error < 0)
                return error;
        }
        if (now() - plan->begun + rounds * plan->round > measuring->budget && end > first &&
            end < measuring->count) {
            leave_out(measuring, end);
            break;
        }
    }
    return 0;
}

static int count_all(struct plan *plan)
{
    struct measuring *measuring = plan->measuring;
    const struct cell *first = NULL; /* of the group */

    for (unsigned i = 0; i < measuring->count; i++) {
        struct cell *cell = &measuring->cells[i];
        if (!first || first->group != cell->group)
            first = cell;
        if (cell->control) { /* it was counted under its own name */
            cell->bytes = first->bytes;
            cell->error = first->error;
            cell->counter = first->counter;
            cell->calls = first->calls;
            cell->device = first->device;
            cell->copies = first->copies;
            cell->proven = first->proven;
            continue;
        }
        const int error = cell->error < 0 ? 0 : count(plan, cell);
        if (error < 0)
            return error;
    }
    return 0;
}

static void shuffle(unsigned *order, unsigned count, uint64_t *state)
{
    for (unsigned i = count; i > 1; i--) {
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        const unsigned other = (unsigned)((*state >> 33) % i), kept = order[i - 1];
        order[i - 1] = order[other];
        order[other] = kept;
    }
}

static int round_once(struct plan *plan, const unsigned *order, unsigned round)
{
    struct measuring *measuring = plan->measuring;

    for (unsigned i = 0; i < measuring->count; i++) {
        struct cell *cell = &measuring->cells[order[i]];
        if (cell->error < 0)
            continue;
        struct sample sample;
        const int error = run_cell(plan, cell, MOVER_TIMED, &sample);
        if (error < 0)
            return error;
        sample.round = round;
        if (cell->error == 0)
            cell->sample[cell->runs++] = sample;
    }
    return 0;
}

static int rounds(struct plan *plan)
{
    struct measuring *measuring = plan->measuring;
    unsigned *order = calloc(measuring->count, sizeof *order);
    uint64_t state = 1;
    int error = order ? 0 : -ENOMEM;
    double longest = plan->round;

    for (unsigned i = 0; order && i < measuring->count; i++)
        order[i] = i;
    while (error == 0 && measuring->done < measuring->rounds && measuring->done < MOST_RUNS) {
        const double begun = now();
        if (measuring->done >= STATISTICS_LEAST &&
            begun - plan->begun + longest > measuring->budget)
            break;
        shuffle(order, measuring->count, &state);
        error = round_once(plan, order, measuring->done);
        measuring->done += error == 0;
        const double took = now() - begun;
        longest = measuring->done == 1 || took > longest ? took : longest;
    }
    free(order);
    return error;
}

int measure_run(struct measuring *measuring)
{
    struct plan plan = {.measuring = measuring, .begun = now()};
    int error = pilot_all(&plan);

    if (error == 0)
        error = count_all(&plan);
    if (error == 0)
        error = rounds(&plan);
    unsigned measured = 0;
    for (unsigned i = 0; i < measuring->count && error == 0; i++) {
        measuring->cells[i].device = blocks(measuring->stage, &measuring->cells[i]);
        measured += measuring->cells[i].error == 0;
    }
    if (error == 0 && measured == 0)
        error = measuring->count ? measuring->cells[0].error : -EINVAL;
    return error;
}

/* ---- copies ---- */

struct own_leg {
    const char *way;
    enum end to, from; /* 0: any */
    const char *from_name, *to_name, *call, *variant;
    unsigned expected;
};

#define DISK "*" /* the name of the file system */

/* The hops of the ways that are not the library's. Reading past the page cache is a device's work, where
 * there is a device: no probe measures that leg alone. */
static const struct own_leg own_legs[] = {
    {.way = "write",
     .to = END_PIPE,
     .from_name = "memory",
     .to_name = "pipe",
     .call = "write",
     .variant = "",
     .expected = 1},
    {.way = "write",
     .to = END_TCP,
     .from_name = "memory",
     .to_name = "tcp",
     .call = "send",
     .variant = "",
     .expected = 1},
    {.way = "write",
     .to = END_UNIX,
     .from_name = "memory",
     .to_name = "unix",
     .call = "send",
     .variant = "",
     .expected = 1},
    {.way = "write",
     .to = END_FILE,
     .from_name = "memory",
     .to_name = DISK,
     .call = "write",
     .variant = "",
     .expected = 1},
    {.way = "vmsplice",
     .from_name = "memory",
     .to_name = "pipe",
     .call = "vmsplice",
     .variant = ""},
    {.way = "vmsplice",
     .to = END_TCP,
     .from_name = "pipe",
     .to_name = "tcp",
     .call = "splice",
     .variant = ""},
    {.way = "vmsplice",
     .to = END_UNIX,
     .from_name = "pipe",
     .to_name = "unix",
     .call = "splice",
     .variant = ""},
    {.way = "vmsplice",
     .to = END_FILE,
     .from_name = "pipe",
     .to_name = DISK,
     .call = "splice",
     .variant = "",
     .expected = 1},
    {.way = "msg-zerocopy",
     .from_name = "memory",
     .to_name = "tcp",
     .call = "send",
     .variant = "MSG_ZEROCOPY"},
    {.way = "send-zc",
     .from_name = "memory",
     .to_name = "tcp",
     .call = "send",
     .variant = "SEND_ZC"},
    {.way = "read",
     .from = END_FILE,
     .from_name = DISK,
     .to_name = "memory",
     .call = "read",
     .variant = "",
     .expected = 1},
    {.way = "read",
     .from = END_PIPE,
     .from_name = "pipe",
     .to_name = "memory",
     .call = "read",
     .variant = "",
     .expected = 1},
    {.way = "read",
     .from = END_TCP,
     .from_name = "tcp",
     .to_name = "memory",
     .call = "recv",
     .variant = "",
     .expected = 1},
    {.way = "read",
     .from = END_UNIX,
     .from_name = "unix",
     .to_name = "memory",
     .call = "recv",
     .variant = "",
     .expected = 1},
    {.way = "vmsplice-in",
     .from_name = "pipe",
     .to_name = "memory",
     .call = "vmsplice",
     .variant = "",
     .expected = 1},
    {.way = "mmap", /* no probe asks that: the pages are the page cache's */
     .from_name = DISK,
     .to_name = "memory",
     .call = "mmap",
     .variant = ""},
};

static bool same_leg(const struct own_leg *leg, const struct sluice_probe_leg *measured,
                     const char *disk)
{
    const char *to = strcmp(leg->to_name, DISK) == 0 ? disk : leg->to_name;
    const char *from = strcmp(leg->from_name, DISK) == 0 ? disk : leg->from_name;
    return strcmp(measured->from, from) == 0 && strcmp(measured->to, to) == 0 &&
           strcmp(measured->call, leg->call) == 0 && strcmp(measured->variant, leg->variant) == 0 &&
           measured->error == 0 && measured->verdict != SLUICE_VERDICT_UNKNOWN;
}

static void add_leg(const struct stage *stage, const struct own_leg *leg, struct cell *cell)
{
    struct sluice_probe_leg measured = {.size = sizeof measured};
    const bool tcp = ((cell->path->from | cell->path->to) & END_TCP) != 0;
    const bool elsewhere = tcp && stage->connect; /* loopback says nothing */

    for (unsigned i = 0; stage->probe && sluice_probe_leg(stage->probe, i, &measured) == 0; i++)
        if (!elsewhere && same_leg(leg, &measured, stage->place.name)) {
            cell->copies += measured.verdict == SLUICE_VERDICT_COPIED;
            return;
        }
    cell->copies += leg->expected;
    cell->proven = false;
}

void measure_copies(const struct stage *stage, struct cell *cell)
{
    cell->copies = 0;
    cell->proven = true;
    for (const struct own_leg *leg = own_legs; leg < own_legs + sizeof own_legs / sizeof *own_legs;
         leg++)
        if (strcmp(leg->way, cell->way->name) == 0 && (!leg->to || leg->to == cell->path->to) &&
            (!leg->from || leg->from == cell->path->from))
            add_leg(stage, leg, cell);
    if (cell->way->direct) { /* the device, or a copy where there is none; and the write */
        const bool device = stage->place.device && !stage->place.loop;
        cell->copies = (device ? 0 : 1) + (cell->path->to == END_MEMORY ? 0 : 1);
        cell->proven = false;
    }
    cell->network = stage->card ? ((cell->path->from == END_TCP) + (cell->path->to == END_TCP)) : 0;
}

/* ---- figures ---- */

double measure_figure(const struct cell *cell, unsigned run, enum figure figure)
{
    const struct sample *sample = &cell->sample[run];
    const double gib = (double)cell->bytes / GIB;

    switch (figure) {
    case FIGURE_CPU:
        return (sample->user + sample->system) / gib;
    case FIGURE_USER:
        return sample->user / gib;
    case FIGURE_SYSTEM:
        return sample->system / gib;
    case FIGURE_THROUGHPUT:
        return sample->seconds > 0 ? (double)cell->bytes / sample->seconds : 0;
    case FIGURE_VOLUNTARY:
        return (double)sample->voluntary / gib;
    case FIGURE_INVOLUNTARY:
        return (double)sample->involuntary / gib;
    case FIGURE_MINOR:
        return (double)sample->minor / gib;
    case FIGURE_MAJOR:
        return (double)sample->major / gib;
    case FIGURE_CACHED:
        return sample->cached < 0 ? -1 : (double)sample->cached / (double)cell->bytes;
    case FIGURE_COUNT:
        break;
    }
    return 0;
}

unsigned measure_figures(const struct cell *cell, enum figure figure, double ret[MOST_RUNS])
{
    for (unsigned i = 0; i < cell->runs; i++)
        ret[i] = measure_figure(cell, i, figure);
    return cell->runs;
}

double measure_calls(const struct cell *cell)
{
    return cell->counter == COUNTER_NONE ? -1 : (double)cell->calls / ((double)cell->bytes / GIB);
}
