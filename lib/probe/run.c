/* SPDX-License-Identifier: MIT */
/* A probe from beginning to end: the controls first, then leg by leg, then the facts. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../context.h"
#include "../plan.h"
#include "../sys.h"
#include "facts.h"
#include "hazards.h"
#include "measure.h"

#define MOST_PLACES 16

struct run {
    struct bench bench;
    struct sluice_probe_options options;
    struct place place[MOST_PLACES];
    unsigned places;
    int error; /* -ECANCELED once progress said so */
};

/* ---- places ---- */

static bool place_known(const struct run *run, const struct place *place)
{
    for (unsigned i = 0; i < run->places; i++)
        if (strcmp(run->place[i].text, place->text) == 0)
            return true;
    return false;
}

/* A file for a moment: can legs be measured there at all? */
static int try_scratch(const struct place *place)
{
    const int fd = place_scratch(place);
    if (fd >= 0)
        close(fd);
    return fd < 0 ? fd : 0;
}

static bool plan_needs(const struct sluice_plan *plan, const struct place *place)
{
    return strcmp(plan->source_place, place->text) == 0 ||
           strcmp(plan->sink_place, place->text) == 0;
}

static void open_place(struct run *run, const char *directory,
                       int (*open_it)(const char *path, struct place *ret))
{
    struct place *place = &run->place[run->places];
    int error = run->places < MOST_PLACES ? open_it(directory, place) : -E2BIG;

    if (error == 0 &&
        (place_known(run, place) || (run->options.plan && !plan_needs(run->options.plan, place)))) {
        place_close(place);
        return;
    }
    if (error == 0) {
        error = try_scratch(place);
        if (error < 0)
            place_close(place);
    }
    if (error == 0)
        run->places++;
    else if (!run->options.plan)
        probe_add_fact(run->bench.probe, "not measured", directory, -1, error,
                       "no scratch file can be made on '%s': %s", directory, strerror(-error));
}

/* ---- legs ---- */

static bool same_end(const char *planned, enum scene_end end, const struct place *place)
{
    const char *name = scene_name(end, place);
    if (end == SCENE_MEMFD && strcmp(planned, "tmpfs") == 0)
        return true;
    return strcmp(strcmp(planned, "user") == 0 ? "memory" : planned, name) == 0;
}

static bool planned_leg(const struct sluice_leg *planned, const struct leg *leg,
                        const struct place *place)
{
    return strncmp(leg->variant, "SPLICE_F_", 9) != 0 && !leg->length &&
           same_end(planned->from, leg->source, place) && same_end(planned->to, leg->sink, place) &&
           strcmp(planned->call, leg->call) == 0;
}

static bool is_from_file_to_file(const struct leg *leg)
{
    const bool from = leg->source == SCENE_FILE || leg->source == SCENE_PIPE_OF_FILE;
    return from && leg->sink == SCENE_FILE;
}

/* Of a plan: the legs of every method that could serve, whatever policy says of it. */
static bool wanted(const struct run *run, const struct leg *leg, const struct place *place)
{
    static const uint32_t sockets = SLUICE_PROBE_SOCKETS, memory = SLUICE_PROBE_MEMORY;
    const struct sluice_plan *plan = run->options.plan;

    if (leg->traits & (LEG_CONTROL | LEG_REFERENCE))
        return false; /* they have been measured */
    if (place && place->directory < 0 && is_from_file_to_file(leg))
        return false; /* there is one device */
    if (plan) {
        for (unsigned i = 0; i < plan->count; i++)
            for (unsigned k = 0; k < plan->candidate[i].legs; k++)
                if (planned_leg(&plan->candidate[i].leg[k], leg, place))
                    return true;
        return false;
    }
    if (run->options.through)
        return leg->source == SCENE_TCP || leg->sink == SCENE_TCP;
    if (leg->source >= SCENE_TCP && leg->source <= SCENE_UNIX_SEQPACKET)
        return run->options.flags & sockets;
    if (leg->sink >= SCENE_TCP && leg->sink <= SCENE_UNIX_SEQPACKET)
        return run->options.flags & sockets;
    return scene_uses_place(leg) || run->options.flags & memory;
}

static bool go_on(struct run *run, const char *what)
{
    if (run->error == 0 && run->options.progress &&
        run->options.progress(what, run->options.progress_data) != 0)
        run->error = -ECANCELED;
    return run->error == 0;
}

static int family_of(const struct run *run)
{
    const struct sluice_plan *plan = run->options.plan;
    return plan && (strcmp(plan->source_place, PLACE_IPV6) == 0 ||
                    strcmp(plan->sink_place, PLACE_IPV6) == 0)
               ? AF_INET6
               : AF_INET;
}

static int measure_one(struct run *run, const struct leg *leg, const struct place *place)
{
    return go_on(run, leg->call) ? measure_leg(&run->bench, leg, place, family_of(run))
                                 : run->error;
}

static void measure_legs(struct run *run, const struct place *place)
{
    for (unsigned i = 0; i < probe_leg_count; i++)
        if (scene_uses_place(&probe_legs[i]) == (place != NULL) &&
            wanted(run, &probe_legs[i], place))
            measure_one(run, &probe_legs[i], place);
}

/* ---- controls ---- */

/* A leg whose answer is known, and that comes out as another one: then nothing holds. One that no
 * witness is sure of is not passed, but no contradiction. */
static void judge_control(struct run *run, const struct leg *leg, int row)
{
    struct sluice_probe *probe = run->bench.probe;
    const struct sluice_probe_leg *result = &probe->leg[row].leg;
    const bool must_copy = (leg->traits & LEG_CONTROL) != 0;
    const bool proven = result->verdict == SLUICE_VERDICT_COPIED ||
                        (!must_copy && result->verdict == SLUICE_VERDICT_REFERENCE);

    probe->controls++;
    probe->passed += proven;
    if (result->verdict != SLUICE_VERDICT_UNKNOWN && !proven)
        probe->trusted = false;
    if (!must_copy)
        run->bench.by_reference = result->verdict == SLUICE_VERDICT_REFERENCE;
}

enum { CONTROL_ATTEMPTS = 5 };

static void measure_controls(struct run *run)
{
    struct sluice_probe *probe = run->bench.probe;

    probe->controls = probe->passed = 0;
    probe->trusted = true;
    run->bench.by_reference = true; /* to be seen */
    for (unsigned i = 0; i < probe_leg_count && run->error == 0; i++) {
        const struct leg *leg = &probe_legs[i];
        int row = -1;
        if (!(leg->traits & (LEG_CONTROL | LEG_REFERENCE)))
            continue;
        for (int attempt = 0; attempt < CONTROL_ATTEMPTS; attempt++) {
            row = measure_one(run, leg, NULL);
            if (row < 0 || probe->leg[row].leg.verdict != SLUICE_VERDICT_UNKNOWN)
                break;
        }
        if (row >= 0)
            judge_control(run, leg, row);
    }
}

/* The share of samples in copy routines where everything is copied. */
static void learn_copying_share(struct run *run)
{
    enum { ROUNDS = 2000 };
    char bytes[32768] = {0};
    struct watched seen = {0};
    int fds[2];

    if (!run->bench.watch || watch_sees(run->bench.watch, SLUICE_WITNESS_SAMPLES) < 0 ||
        sys_pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return;
    watch_begin(run->bench.watch);
    for (int round = 0; round < ROUNDS; round++)
        if (sys_write(fds[1], bytes, sizeof bytes) < 0 || sys_read(fds[0], bytes, sizeof bytes) < 0)
            break;
    watch_end(run->bench.watch, &seen);
    sys_close(fds[0]);
    sys_close(fds[1]);
    if (seen.samples >= 50)
        run->bench.copying_share = (double)seen.in_copy / (double)seen.samples;
}

/* ---- all of it ---- */

static void look_inside(struct run *run)
{
    const int error = watch_open(legs_functions(), &run->bench.watch);

    if (error < 0) {
        run->bench.watch = NULL;
        probe_add_fact(run->bench.probe, "unseen", "tracepoints and samples", -1, error,
                       "tracepoints and kernel samples: %s", strerror(-error));
        return;
    }
    static const struct {
        enum sluice_witness witness;
        const char *name;
    } parts[] = {{SLUICE_WITNESS_TRACE, "tracepoints"}, {SLUICE_WITNESS_SAMPLES, "kernel samples"}};
    for (int i = 0; i < 2; i++) {
        const int lacking = watch_sees(run->bench.watch, parts[i].witness);
        if (lacking < 0)
            probe_add_fact(run->bench.probe, "unseen", parts[i].name, -1, lacking, "%s: %s",
                           parts[i].name, strerror(-lacking));
    }
    learn_copying_share(run);
}

static void run_all(struct run *run)
{
    const uint32_t flags = run->options.flags;

    cache_calibrate(&run->bench.cache);
    if (!run->bench.cache.works)
        probe_add_fact(run->bench.probe, "unseen", "cache", -1, -EOPNOTSUPP,
                       "the CPU's cache: flushed and cached loads take the same time here");
    if (!run->bench.quick)
        look_inside(run);
    measure_controls(run);
    if (run->options.through) {
        run->bench.through = run->options.through;
        run->bench.pair = run->options.pair;
    }
    for (unsigned i = 0; i < run->options.directories; i++)
        open_place(run, run->options.directory[i], place_open);
    if (run->options.device)
        open_place(run, run->options.device, place_open_device);
    for (unsigned i = 0; i < run->places; i++)
        measure_legs(run, &run->place[i]);
    measure_legs(run, NULL);
    for (unsigned i = 0; i < run->places && (flags & SLUICE_PROBE_HAZARDS); i++)
        if (run->place[i].directory >= 0 && go_on(run, "hazards"))
            hazards_measure(run->bench.probe, &run->place[i]);
    if ((flags & SLUICE_PROBE_FACTS) && go_on(run, "facts")) {
        facts_of_machine(run->bench.probe);
        for (unsigned i = 0; i < run->places; i++)
            if (run->place[i].directory >= 0)
                facts_of_directory(run->bench.probe, run->place[i].path);
        facts_of_interfaces(run->bench.probe);
    }
    for (unsigned i = 0; i < run->places; i++)
        place_close(&run->place[i]);
    if (run->bench.watch)
        watch_close(run->bench.watch);
}

int sluice_probe_run(sluice_probe *probe, sluice_context *context,
                     const struct sluice_probe_options *options)
{
    struct sluice_probe_options own = {0};
    const int error = options ? sized_read(&own, sizeof own, options) : 0;

    (void)context;
    if (error < 0 || (own.directories && !own.directory) ||
        (own.flags & ~(uint32_t)(SLUICE_PROBE_ALL | SLUICE_PROBE_QUICK)))
        return -EINVAL;
    if (!(own.flags & SLUICE_PROBE_ALL))
        own.flags |= SLUICE_PROBE_ALL;
    struct run *run = calloc(1, sizeof *run);
    if (!run)
        return -ENOMEM;
    run->options = own;
    run->bench.probe = probe;
    run->bench.quick = (own.flags & SLUICE_PROBE_QUICK) != 0;
    run->bench.now = (uint64_t)time(NULL);
    run_all(run);
    const int result = run->error < 0 ? run->error : probe->failed ? -ENOMEM : 0;
    free(run);
    return result;
}
