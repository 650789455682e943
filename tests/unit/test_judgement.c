/* SPDX-License-Identifier: MIT */
/* What `sluice bench` says of comparisons, in figures and in words, made of real runs: the same thing
 * under two names has no winner in a hundred comparisons (five may, by chance), however noisy the
 * machine; and what is slower by a planted factor is said to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "cli/bench_report.c"
#include "cli/bench_words.c"
#include "cli/units.c"
#include "measure/paths.h"

enum { REAL = 64, GROUPS = 100, CELLS = 3, MIB16 = 16 << 20 };

/* Microseconds of CPU and of time that splice took for 16 MiB from a pipe into TCP, 64 runs and 64 of
 * its control, in their rounds, while compilers had both CPUs: one run took nearly seven times the CPU
 * of another. */
static const struct {
    unsigned cpu, time;
} real[2 * REAL] = {
    {1044, 5404},  {1289, 7095},  {1395, 5731},  {1544, 6510},  {1828, 5936},  {1343, 4873},
    {1032, 5194},  {3249, 6602},  {1175, 4484},  {1608, 6465},  {1127, 5076},  {1197, 4692},
    {1094, 6468},  {1938, 17980}, {967, 4892},   {1099, 4566},  {1253, 9778},  {3417, 9732},
    {6502, 19853}, {2101, 16184}, {2061, 23142}, {1345, 10100}, {1902, 7877},  {964, 4985},
    {1277, 4845},  {1041, 5413},  {1120, 4781},  {1117, 4790},  {1089, 4898},  {1031, 5544},
    {1174, 6441},  {1075, 5319},  {2324, 6162},  {1303, 4433},  {1137, 4283},  {1163, 4876},
    {1101, 4781},  {3860, 14258}, {1127, 4626},  {1010, 4300},  {1050, 4330},  {1019, 4180},
    {1694, 13290}, {1207, 10092}, {3718, 14302}, {3885, 9896},  {1790, 15563}, {1361, 8867},
    {2071, 18538}, {1132, 4893},  {962, 5467},   {1123, 4635},  {1026, 4424},  {2741, 6660},
    {3064, 6016},  {2235, 5775},  {1974, 7789},  {3394, 9753},  {3072, 7789},  {5458, 12435},
    {1408, 5843},  {1016, 5315},  {1222, 5576},  {1050, 4737},  {1348, 6840},  {1114, 3989},
    {1090, 4200},  {1132, 5612},  {1694, 6384},  {1144, 5133},  {1651, 6049},  {1062, 4033},
    {1260, 5307},  {1020, 5891},  {3945, 12217}, {1130, 6287},  {1066, 4609},  {1113, 5640},
    {1104, 5534},  {1166, 4316},  {1315, 4449},  {1112, 4461},  {1135, 4840},  {1233, 7016},
    {1426, 28029}, {2267, 23373}, {1063, 4016},  {1033, 4762},  {1352, 5783},  {1282, 6377},
    {1016, 5095},  {967, 4699},   {1076, 4679},  {1162, 4963},  {1098, 4992},  {2908, 9316},
    {3718, 7180},  {1151, 4174},  {1008, 4653},  {3068, 7376},  {1097, 4753},  {1074, 4257},
    {4324, 6531},  {1183, 4859},  {961, 4859},   {1171, 4890},  {1154, 5063},  {4540, 13109},
    {4662, 12606}, {4400, 10699}, {1388, 8343},  {1533, 16285}, {1317, 6015},  {1136, 5544},
    {976, 5471},   {977, 5456},   {961, 4324},   {2052, 6119},  {1062, 5840},  {1231, 4053},
    {1071, 4415},  {4110, 9874},  {3551, 11514}, {1776, 9087},  {1101, 5509},  {1204, 4805},
    {971, 4465},   {1279, 5330},
};

static uint64_t state;
static struct cell cells[GROUPS * CELLS];

/* ---- groups of what was measured ---- */

static unsigned below(unsigned bound)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((state >> 33) % bound);
}

/* A run of that round, or of its neighbours': the machine's mood stays the same for a while. */
static struct sample draw(unsigned round, double factor)
{
    const unsigned at = REAL * below(2) + (round + below(3)) % REAL;

    return (struct sample){.seconds = real[at].time * factor / 1e6,
                           .user = real[at].cpu * factor / 4e6,
                           .system = real[at].cpu * factor * 3 / 4e6};
}

/* Splice, and what is called sendfile, which costs `factor` times as much; and the control. */
static struct bench_report make_groups(struct measuring *measuring, unsigned runs, double factor)
{
    static const char *const none[] = {NULL};

    memset(cells, 0, sizeof cells);
    for (unsigned i = 0; i < GROUPS * CELLS; i++)
        cells[i] = (struct cell){.path = path_named("pipe-tcp"),
                                 .way = way_named(i % CELLS == 1 ? "sendfile" : "splice"),
                                 .chunk = 64 << 10,
                                 .group = i / CELLS,
                                 .control = i % CELLS == 2,
                                 .bytes = MIB16,
                                 .runs = runs};
    for (unsigned group = 0; group < GROUPS; group++)
        for (unsigned run = 0, mood = below(REAL); run < runs; run++, mood++)
            for (unsigned i = 0; i < CELLS; i++)
                cells[group * CELLS + i].sample[run] = draw(mood, i == 1 ? factor : 1);
    *measuring = (struct measuring){.cells = cells, .count = GROUPS * CELLS, .done = runs};
    return (struct bench_report){.measuring = measuring, .rounds = runs, .notes = none};
}

/* How many of the comparisons name `way` as the best, alone. */
static unsigned winners(enum figure figure, const char *way)
{
    unsigned count = 0;

    for (unsigned group = 0; group < GROUPS; group++) {
        struct judgement judgement;
        judgement_make(&cells[group * CELLS], CELLS, figure, &judgement);
        assert_int_equal(judgement.count, 2);
        count += judgement.worse[1] != DIFFERENCE_NONE &&
                 (!way || strcmp(judgement.ranked[0]->way->name, way) == 0);
    }
    return count;
}

/* How many groups have these words. */
static unsigned words_with(const struct bench_report *report, const char *wanted)
{
    unsigned count = 0;

    for (unsigned group = 0; group < GROUPS; group++) {
        char *words = NULL;
        size_t length;
        FILE *out = open_memstream(&words, &length);
        assert_non_null(out);
        bench_words_group(report, group, out);
        fclose(out);
        count += strstr(words, wanted) != NULL;
        free(words);
    }
    return count;
}

static void keep_line(const char *words, void *data)
{
    char *all = data;
    const size_t length = strlen(all);
    snprintf(all + length, 4096 - length, "%s\n", words);
}

/* ---- what is said of them ---- */

static void test_same_thing_twice(void **unused)
{
    static const unsigned runs[] = {5, 9, 21};
    (void)unused;
    for (unsigned i = 0; i < sizeof runs / sizeof *runs; i++) {
        struct measuring measuring;
        state = 1 + i;
        const struct bench_report report = make_groups(&measuring, runs[i], 1);
        const unsigned cpu = winners(FIGURE_CPU, NULL), rate = winners(FIGURE_THROUGHPUT, NULL);
        print_message("%2u rounds: %u and %u false winners of %d\n", runs[i], cpu, rate, GROUPS);
        if (cpu > 5 || rate > 5)
            fail_msg("of %u rounds: false winners: %u by CPU, %u by throughput", runs[i], cpu,
                     rate);
        /* The words name those, and no others. */
        assert_int_equal(words_with(&report, "costs the least"), cpu);
        assert_int_equal(words_with(&report, "is the fastest"), rate);
    }
}

static void test_nothing_wins(void **unused)
{
    char all[4096] = "";
    struct measuring measuring;
    (void)unused;
    state = 5;
    struct bench_report report = make_groups(&measuring, 9, 1);
    while (winners(FIGURE_CPU, NULL) + winners(FIGURE_THROUGHPUT, NULL) > 0)
        report = make_groups(&measuring, 9, 1);
    bench_words(&report, keep_line, all);
    assert_non_null(strstr(all, "CPU per GiB: in none of "));
    assert_non_null(strstr(all, "Throughput: in none of "));
    assert_non_null(strstr(all, "nothing wins here"));
    assert_null(strstr(all, "Best"));
}

static void test_planted_slowdown(void **unused)
{
    char all[4096] = "";
    struct measuring measuring;
    (void)unused;
    state = 3;
    const struct bench_report report = make_groups(&measuring, 21, 2);
    const unsigned seen = winners(FIGURE_CPU, "splice");
    print_message("what costs twice as much: seen in %u and %u of %d\n", seen,
                  winners(FIGURE_THROUGHPUT, "splice"), GROUPS);
    assert_true(seen >= 60 && winners(FIGURE_THROUGHPUT, "splice") >= 60);
    assert_int_equal(winners(FIGURE_CPU, "sendfile"), 0);
    assert_int_equal(winners(FIGURE_THROUGHPUT, "sendfile"), 0);
    assert_int_equal(words_with(&report, "CPU: splice costs the least"), seen);
    bench_words(&report, keep_line, all);
    assert_non_null(
        strstr(all, "Best, alone or with others of which it could not be told: splice"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_thing_twice),
        cmocka_unit_test(test_nothing_wins),
        cmocka_unit_test(test_planted_slowdown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
