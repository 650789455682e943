/* SPDX-License-Identifier: MIT */
#include "metrics.h"

#include <inttypes.h>

#include "lib/sys.h"

/* ---- the text ---- */

/* A family of samples, announced once. */
static void announce(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* The value of a label, with what the format wants escaped. */
static void print_label_value(FILE *out, const char *value)
{
    fputc('"', out);
    for (; *value; value++) {
        if (*value == '\n')
            fputs("\\n", out);
        else if (*value == '"' || *value == '\\')
            fprintf(out, "\\%c", *value);
        else
            fputc(*value, out);
    }
    fputc('"', out);
}

struct label {
    const char *name, *value;
};

static void sample(FILE *out, const char *name, const struct label *labels, unsigned count,
                   uint64_t value)
{
    fputs(name, out);
    for (unsigned i = 0; i < count; i++) {
        fprintf(out, "%c%s=", i ? ',' : '{', labels[i].name);
        print_label_value(out, labels[i].value);
    }
    fprintf(out, "%s %" PRIu64 "\n", count ? "}" : "", value);
}

#define SAMPLE(out, name, value, ...)                                                              \
    sample((out), (name), (const struct label[]){__VA_ARGS__},                                     \
           sizeof((const struct label[]){__VA_ARGS__}) / sizeof(struct label), (value))

/* ---- single numbers ---- */

#define AT(member) offsetof(struct relay_totals, member)

static const struct {
    const char *name, *type, *help;
    size_t at;
} numbers[] = {
    {"sluice_relay_connections_accepted_total", "counter", "Connections accepted.", AT(accepted)},
    {"sluice_relay_connections_active", "gauge", "Connections now.", AT(active)},
    {"sluice_relay_thread_connections_min", "gauge",
     "Connections now of the thread that has the fewest.", AT(fewest)},
    {"sluice_relay_thread_connections_max", "gauge",
     "Connections now of the thread that has the most.", AT(most)},
    {"sluice_relay_connections_handed_over_total", "counter",
     "Connections that the thread which accepted them passed on to one that had fewer.",
     AT(handed_over)},
    {"sluice_relay_accept_failures_total", "counter",
     "Times accept failed for want of descriptors or memory.", AT(accept_failures)},
    {"sluice_relay_transfers_idle", "gauge",
     "Transfers that no connection has, kept for the next that has bytes to move.", AT(idle_units)},
    {"sluice_relay_pipes_max", "gauge", "Pipes that may be held at once.", AT(pipes_most)},
    {"sluice_relay_pipes_refused_total", "counter",
     "Times no pipe was to be had and bytes were copied.", AT(pipes_refused)},
    {"sluice_relay_pipes_small_total", "counter",
     "Pipes that the kernel granted smaller than asked: the user's pipe budget is spent.",
     AT(pipes_small)},
};

static void print_numbers(FILE *out, const struct relay_totals *totals)
{
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        uint64_t value;
        announce(out, numbers[i].name, numbers[i].type, numbers[i].help);
        value = *(const uint64_t *)(const void *)((const char *)totals + numbers[i].at);
        sample(out, numbers[i].name, NULL, 0, value);
    }
    announce(out, "sluice_relay_pipes", "gauge",
             "Pipes that hold bytes, and those kept for reuse.");
    SAMPLE(out, "sluice_relay_pipes", totals->pipes_used, {"state", "used"});
    SAMPLE(out, "sluice_relay_pipes", totals->pipes_free, {"state", "free"});
    announce(out, "sluice_relay_draining", "gauge", "1 from SIGTERM on.");
    sample(out, "sluice_relay_draining", NULL, 0, totals->draining);
}

/* ---- by direction ---- */

static const char *const directions[RELAY_DIRECTIONS] = {
    [RELAY_TO_TARGET] = "to_target",
    [RELAY_TO_CLIENT] = "to_client",
};

static const struct {
    const char *name, *type, *help, *side; /* side: NULL, or a label more */
    size_t at;
} by_direction[] = {
    {"sluice_relay_bytes_total", "counter", "Bytes delivered.", NULL, AT(bytes)},
    {"sluice_relay_calls_total", "counter", "System calls that moved them.", NULL, AT(calls)},
    {"sluice_relay_parked_bytes", "gauge", "Bytes taken and not yet delivered.", NULL, AT(parked)},
    {"sluice_relay_eagain_total", "counter", "Calls that found a side not ready.", "source",
     AT(source_eagain)},
    {"sluice_relay_eagain_total", NULL, NULL, "sink", AT(sink_eagain)},
};

static void print_by_direction(FILE *out, const struct relay_totals *totals)
{
    for (size_t i = 0; i < sizeof by_direction / sizeof *by_direction; i++) {
        const char *name = by_direction[i].name;
        const uint64_t *value =
            (const uint64_t *)(const void *)((const char *)totals + by_direction[i].at);
        if (by_direction[i].type)
            announce(out, name, by_direction[i].type, by_direction[i].help);
        for (unsigned d = 0; d < RELAY_DIRECTIONS; d++) {
            const struct label labels[] = {{"direction", directions[d]},
                                           {"side", by_direction[i].side}};
            sample(out, name, labels, by_direction[i].side ? 2 : 1, value[d]);
        }
    }
}

static void print_classes(FILE *out, const struct relay_totals *totals)
{
    const char *name = "sluice_relay_leg_bytes_total";

    announce(out, name, "counter", "Bytes moved on each leg, by what that costs the CPU.");
    for (unsigned d = 0; d < RELAY_DIRECTIONS; d++)
        for (unsigned class_ = 0; class_ <= SLUICE_CLASS_MAP; class_++)
            if (totals->bytes_class[d][class_] || class_ == SLUICE_CLASS_REFERENCE ||
                class_ == SLUICE_CLASS_USER_COPY)
                SAMPLE(out, name, totals->bytes_class[d][class_], {"direction", directions[d]},
                       {"class", sluice_class_name((enum sluice_class)class_)});
}

/* ---- taps ---- */

static void print_taps(FILE *out, const struct relay_totals *totals)
{
    static const enum sluice_class classes[] = {SLUICE_CLASS_REFERENCE, SLUICE_CLASS_KERNEL_COPY,
                                                SLUICE_CLASS_USER_COPY};
    static const struct {
        const char *name, *type, *help;
        size_t at;
    } rows[] = {
        {"sluice_relay_tap_dropped_bytes_total", "counter", "Bytes that taps missed.",
         AT(tap_dropped)},
        {"sluice_relay_tap_lag_bytes", "gauge", "Bytes that wait for taps.", AT(tap_lag)},
    };
    const char *bytes = "sluice_relay_tap_bytes_total";
    const char *failures = "sluice_relay_tap_failures_total";

    announce(out, "sluice_relay_taps", "gauge", "Sinks of taps that are open.");
    sample(out, "sluice_relay_taps", NULL, 0, totals->taps);
    announce(out, bytes, "counter", "Bytes delivered to taps, by what that costs the CPU.");
    for (unsigned d = 0; d < RELAY_DIRECTIONS; d++)
        for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
            SAMPLE(out, bytes, totals->tap_class[d][classes[i]], {"direction", directions[d]},
                   {"class", sluice_class_name(classes[i])});
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const uint64_t *value = (const uint64_t *)(const void *)((const char *)totals + rows[i].at);
        announce(out, rows[i].name, rows[i].type, rows[i].help);
        for (unsigned d = 0; d < RELAY_DIRECTIONS; d++)
            SAMPLE(out, rows[i].name, value[d], {"direction", directions[d]});
    }
    announce(out, failures, "counter", "Taps that were not opened, or taken off, by why.");
    for (unsigned i = 0; i < RELAY_TAP_FAILURES; i++)
        SAMPLE(out, failures, totals->tap_failures[i],
               {"reason", relay_tap_failure_name((enum relay_tap_failure)i)});
}

/* ---- by reason ---- */

static void print_reasons(FILE *out, const struct relay_totals *totals)
{
    const char *ended = "sluice_relay_connections_ended_total";
    const char *fallbacks = "sluice_relay_fallbacks_total";

    announce(out, ended, "counter", "Connections that are over, by why.");
    for (unsigned i = 0; i < RELAY_REASONS; i++)
        SAMPLE(out, ended, totals->ended[i], {"reason", relay_reason_name((enum relay_reason)i)});
    announce(out, fallbacks, "counter", "Times a method was left for the next, by call and errno.");
    for (unsigned i = 0; i < RELAY_FALLBACKS && totals->fallback[i].call; i++)
        SAMPLE(out, fallbacks, totals->fallback[i].count, {"call", totals->fallback[i].call},
               {"reason", totals->fallback[i].reason});
}

/* ---- connecting ---- */

static void print_latency(FILE *out, const struct relay_totals *totals)
{
    const char *name = "sluice_relay_connect_seconds";
    uint64_t below = 0;

    announce(out, name, "histogram", "Time that it took to connect to a target.");
    for (unsigned i = 0; i < RELAY_LATENCIES; i++) {
        below += totals->connect_latency[i];
        if (i < RELAY_LATENCIES - 1)
            fprintf(out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name,
                    (double)relay_latency_bound[i] / 1e6, below);
        else
            fprintf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, below);
    }
    fprintf(out, "%s_sum %.6f\n%s_count %" PRIu64 "\n", name,
            (double)totals->connect_microseconds / 1e6, name, below);
}

static uint64_t active_of(const struct target *target)
{
    return target->active;
}

static uint64_t connects_of(const struct target *target)
{
    return target->connects;
}

static uint64_t failed_of(const struct target *target)
{
    return target->failed;
}

static uint64_t aside_of(const struct target *target)
{
    return target->aside_until > sys_now();
}

static const struct {
    const char *name, *type, *help;
    uint64_t (*value)(const struct target *);
} of_targets[] = {
    {"sluice_relay_target_connections", "gauge", "Connections to a target now.", active_of},
    {"sluice_relay_target_connects_total", "counter", "Connects that succeeded.", connects_of},
    {"sluice_relay_target_connect_failures_total", "counter", "Connects that failed.", failed_of},
    {"sluice_relay_target_set_aside", "gauge", "1 while a target is not tried.", aside_of},
};

/* The same address may be given twice, so each has its place in the list as well. */
static void print_targets(FILE *out, const struct target_list *targets)
{
    char place[16];

    for (size_t i = 0; i < sizeof of_targets / sizeof *of_targets; i++) {
        announce(out, of_targets[i].name, of_targets[i].type, of_targets[i].help);
        for (unsigned k = 0; k < targets->count; k++) {
            snprintf(place, sizeof place, "%u", k);
            SAMPLE(out, of_targets[i].name, of_targets[i].value(&targets->target[k]),
                   {"target", targets->target[k].name}, {"place", place});
        }
    }
}

static void print_process(FILE *out, const struct metrics_process *process)
{
    announce(out, "sluice_relay_log_lines_lost_total", "counter",
             "Lines of the log for which its reader had no room.");
    sample(out, "sluice_relay_log_lines_lost_total", NULL, 0, process->log_lines_lost);
    announce(out, "sluice_build_info", "gauge", "The version that is running.");
    SAMPLE(out, "sluice_build_info", 1, {"version", sluice_version()});
    announce(out, "process_start_time_seconds", "gauge", "When it was started, since 1970.");
    fprintf(out, "process_start_time_seconds %.3f\n", process->start_time);
    announce(out, "process_cpu_seconds_total", "counter", "CPU time, user and system.");
    fprintf(out, "process_cpu_seconds_total %.6f\n", process->cpu_seconds);
}

void metrics_print(FILE *out, const struct relay_totals *totals, const struct target_list *targets,
                   const struct metrics_process *process)
{
    print_numbers(out, totals);
    print_by_direction(out, totals);
    print_classes(out, totals);
    print_taps(out, totals);
    print_reasons(out, totals);
    print_latency(out, totals);
    if (targets)
        print_targets(out, targets);
    print_process(out, process);
}
