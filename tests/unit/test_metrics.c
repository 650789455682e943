/* SPDX-License-Identifier: MIT */
/* What is counted is what is printed; and the line for agent-check. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "server/admin.h"
#include "server/metrics.h"

static char *text;

static void expect_line(const char *line)
{
    const size_t length = strlen(line);

    for (const char *at = text; (at = strstr(at, line)); at++)
        if ((at == text || at[-1] == '\n') && at[length] == '\n')
            return;
    fail_msg("no line '%s' in:\n%s", line, text);
}

static void print(const struct relay_totals *totals, const struct target_list *targets)
{
    const struct metrics_process process = {1764056348.5, 1.25, 17};
    size_t length;
    FILE *out = open_memstream(&text, &length);

    assert_non_null(out);
    metrics_print(out, totals, targets, &process);
    assert_int_equal(fclose(out), 0);
}

static void numbers_stand_where_they_belong(void **state)
{
    struct relay_totals totals = {
        .accepted = 1,
        .active = 2,
        .ended = {[RELAY_ENDED] = 3, [RELAY_IDLE] = 4},
        .accept_failures = 5,
        .bytes = {6, UINT64_MAX},
        .calls = {8, 9},
        .source_eagain = {10, 11},
        .sink_eagain = {12, 13},
        .parked = {14, 15},
        .pipes_used = 16,
        .pipes_free = 17,
        .pipes_most = 18,
        .pipes_refused = 19,
        .pipes_small = 20,
        .idle_units = 26,
        .draining = true,
        .fallback = {{"splice", "EINVAL", 21}},
    };

    (void)state;
    totals.bytes_class[RELAY_TO_TARGET][SLUICE_CLASS_REFERENCE] = 22;
    totals.bytes_class[RELAY_TO_CLIENT][SLUICE_CLASS_KERNEL_COPY] = 23;
    print(&totals, NULL);
    expect_line("sluice_relay_connections_accepted_total 1");
    expect_line("sluice_relay_connections_active 2");
    expect_line("sluice_relay_connections_ended_total{reason=\"ended\"} 3");
    expect_line("sluice_relay_connections_ended_total{reason=\"reset\"} 0");
    expect_line("sluice_relay_accept_failures_total 5");
    expect_line("sluice_relay_bytes_total{direction=\"to_target\"} 6");
    expect_line("sluice_relay_bytes_total{direction=\"to_client\"} 18446744073709551615");
    expect_line("sluice_relay_calls_total{direction=\"to_client\"} 9");
    expect_line("sluice_relay_eagain_total{direction=\"to_target\",side=\"source\"} 10");
    expect_line("sluice_relay_eagain_total{direction=\"to_client\",side=\"source\"} 11");
    expect_line("sluice_relay_eagain_total{direction=\"to_target\",side=\"sink\"} 12");
    expect_line("sluice_relay_eagain_total{direction=\"to_client\",side=\"sink\"} 13");
    expect_line("sluice_relay_parked_bytes{direction=\"to_target\"} 14");
    expect_line("sluice_relay_pipes{state=\"used\"} 16");
    expect_line("sluice_relay_pipes{state=\"free\"} 17");
    expect_line("sluice_relay_pipes_max 18");
    expect_line("sluice_relay_pipes_refused_total 19");
    expect_line("sluice_relay_pipes_small_total 20");
    expect_line("sluice_relay_transfers_idle 26");
    expect_line("sluice_relay_draining 1");
    expect_line("sluice_relay_fallbacks_total{call=\"splice\",reason=\"EINVAL\"} 21");
    expect_line("sluice_relay_leg_bytes_total{direction=\"to_target\",class=\"reference\"} 22");
    expect_line("sluice_relay_leg_bytes_total{direction=\"to_target\",class=\"user-copy\"} 0");
    expect_line("sluice_relay_leg_bytes_total{direction=\"to_client\",class=\"kernel-copy\"} 23");
    expect_line("sluice_relay_log_lines_lost_total 17");
    expect_line("process_start_time_seconds 1764056348.500");
    expect_line("process_cpu_seconds_total 1.250000");
    free(text);
}

static void histogram_is_cumulative(void **state)
{
    struct relay_totals totals = {.connect_microseconds = 2500000};
    char line[128];
    uint64_t below = 0;

    (void)state;
    for (unsigned i = 0; i < RELAY_LATENCIES; i++)
        totals.connect_latency[i] = i + 1;
    print(&totals, NULL);
    for (unsigned i = 0; i < RELAY_LATENCIES - 1; i++) {
        below += i + 1;
        snprintf(line, sizeof line, "sluice_relay_connect_seconds_bucket{le=\"%g\"} %ju",
                 relay_latency_bound[i] / 1e6, (uintmax_t)below);
        expect_line(line);
    }
    below += RELAY_LATENCIES;
    snprintf(line, sizeof line, "sluice_relay_connect_seconds_bucket{le=\"+Inf\"} %ju",
             (uintmax_t)below);
    expect_line(line);
    snprintf(line, sizeof line, "sluice_relay_connect_seconds_count %ju", (uintmax_t)below);
    expect_line(line);
    expect_line("sluice_relay_connect_seconds_sum 2.500000");
    free(text);
}

static void targets_are_escaped(void **state)
{
    struct target_list *list = target_list_new(2, TARGET_ROUND_ROBIN);
    const struct relay_totals totals = {0};

    (void)state;
    assert_non_null(list);
    list->count = 2;
    strcpy(list->target[0].name, "unix:/a \"b\"\\c\nd");
    strcpy(list->target[1].name, "127.0.0.1:80");
    list->target[0].connects = 7;
    list->target[1].aside_until = UINT64_MAX;
    print(&totals, list);
    expect_line("sluice_relay_target_connects_total"
                "{target=\"unix:/a \\\"b\\\"\\\\c\\nd\",place=\"0\"} 7");
    expect_line("sluice_relay_target_set_aside{target=\"127.0.0.1:80\",place=\"1\"} 1");
    free(text);
    target_list_release(list);
}

static void agent_is_told_what_is_left(void **state)
{
    static const struct {
        uint64_t used, most, age; /* seconds */
        bool is_short, draining;
        const char *line;
    } lines[] = {
        {0, 100, 0, false, false, "ready 100%\n"}, {25, 100, 59, false, false, "ready 75%\n"},
        {25, 100, 60, false, false, "75%\n"},      {1, 1000, 60, false, false, "99%\n"},
        {999, 1000, 60, false, false, "1%\n"},     {1000, 1000, 60, false, false, "1%\n"},
        {1001, 1000, 60, false, false, "1%\n"},    {0, 0, 60, false, false, "100%\n"},
        {0, 100, 60, true, false, "50%\n"},        {99, 100, 60, true, false, "1%\n"},
        {0, 100, 0, false, true, "drain\n"},       {100, 100, 999, true, true, "drain\n"},
    };
    char line[AGENT_LINE];

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        const struct relay_totals totals = {.pipes_used = lines[i].used,
                                            .pipes_most = lines[i].most,
                                            .draining = lines[i].draining};
        agent_line(&totals, lines[i].age * 1000000000, lines[i].is_short, line);
        assert_string_equal(line, lines[i].line);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_stand_where_they_belong),
        cmocka_unit_test(histogram_is_cumulative),
        cmocka_unit_test(targets_are_escaped),
        cmocka_unit_test(agent_is_told_what_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
