/* SPDX-License-Identifier: MIT */
/* The result of a probe: kept and read back, refused where it is damaged, and what plans make of it. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/ends.h"
#include "tests/unit/rig.h"

#include "sluice.h"

/* ---- a result made by hand ---- */

static const char *head(void)
{
    static char text[512];
    struct utsname kernel;
    uname(&kernel);
    snprintf(text, sizeof text, "sluice probe 1\nkernel %s %s %s\nuser %u\n", kernel.release,
             kernel.version, kernel.machine, (unsigned)geteuid());
    return text;
}

static int load_text(sluice_probe *probe, const char *first, const char *second)
{
    const int fd = memfd_create("probe", MFD_CLOEXEC);
    assert_true(fd >= 0);
    dprintf(fd, "%s%s", first, second);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    const int error = sluice_probe_load(probe, fd);
    close(fd);
    return error;
}

static sluice_probe *probe_of(const char *legs)
{
    sluice_probe *probe;
    assert_int_equal(sluice_probe_new(&probe), 0);
    assert_int_equal(load_text(probe, head(), legs), 0);
    return probe;
}

/* from, to, call, variant, place, verdict, error, witnesses, observed, at, path, note */
#define LEG(from, to, call, place, verdict)                                                        \
    from "\t" to "\t" call "\t\t" place "\t" verdict "\t0\t1\t0\t1700000000\tpath\t\n"

/* ---- keeping ---- */

static void what_is_saved_is_what_is_loaded(void **state)
{
    sluice_probe *probe = probe_of(LEG("pipe", "pipe", "splice", "", "reference") LEG(
        "pipe", "xfs", "splice", "xfs rw,noatime", "copied") "end 2\n");
    sluice_probe *again;
    struct sluice_probe_leg a = {.size = sizeof a}, b = {.size = sizeof b};
    const int fd = memfd_create("probe", MFD_CLOEXEC);

    (void)state;
    assert_int_equal(sluice_probe_save(probe, fd), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(sluice_probe_new(&again), 0);
    assert_int_equal(sluice_probe_load(again, fd), 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(sluice_probe_leg(probe, i, &a), 0);
        assert_int_equal(sluice_probe_leg(again, i, &b), 0);
        assert_string_equal(a.from, b.from);
        assert_string_equal(a.to, b.to);
        assert_string_equal(a.call, b.call);
        assert_string_equal(a.place, b.place);
        assert_int_equal(a.verdict, b.verdict);
        assert_int_equal(a.witnesses, b.witnesses);
        assert_int_equal(a.at, b.at);
    }
    assert_int_equal(sluice_probe_leg(again, 2, &b), -ERANGE);
    assert_int_equal(b.verdict, SLUICE_VERDICT_COPIED);
    close(fd);
    sluice_probe_free(probe);
    sluice_probe_free(again);
}

static void a_leg_is_there_once(void **state)
{
    sluice_probe *probe = probe_of(LEG("pipe", "pipe", "splice", "", "reference") "end 1\n");
    struct sluice_probe_leg leg = {.size = sizeof leg};

    (void)state;
    assert_int_equal(
        load_text(probe, head(), LEG("pipe", "pipe", "splice", "", "copied") "end 1\n"), 0);
    assert_int_equal(sluice_probe_leg(probe, 0, &leg), 0);
    assert_int_equal(leg.verdict, SLUICE_VERDICT_COPIED);
    assert_int_equal(sluice_probe_leg(probe, 1, &leg), -ERANGE);
    sluice_probe_free(probe);
}

static void what_is_damaged_is_refused_whole(void **state)
{
    static const char *const bodies[] = {
        "",
        "end 1\n",
        LEG("pipe", "pipe", "splice", "", "reference"),
        LEG("pipe", "pipe", "splice", "", "reference") "end 2\n",
        LEG("pipe", "pipe", "splice", "", "reference") "end 1\nmore\n",
        LEG("pipe", "pipe", "splice", "", "perhaps") "end 1\n",
        LEG("", "pipe", "splice", "", "reference") "end 1\n",
        LEG("pipe", "pipe", "splice", "\t", "reference") "end 1\n",
        "pipe\tpipe\tsplice\t\t\treference\t0\t1\t0\t1700000000\tpath\nend 1\n",
        "pipe\tpipe\tsplice\t\t\treference\t5\t1\t0\t1700000000\tpath\t\nend 1\n",
        "pipe\tpipe\tsplice\t\t\treference\t0\t-1\t0\t1700000000\tpath\t\nend 1\n",
        "pipe\tpipe\tsplice\t\t\treference\t0\t1\t2\t1700000000\tpath\t\nend 1\n",
        "pipe\tpipe\tsplice\t\t\treference\t0\t1\t0\tnow\tpath\t\nend 1\n",
        "end x\n",
        "end 99999999999999999999\n",
    };
    struct sluice_probe_leg leg = {.size = sizeof leg};
    sluice_probe *probe;

    (void)state;
    assert_int_equal(sluice_probe_new(&probe), 0);
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        if (load_text(probe, head(), bodies[i]) != -EINVAL)
            print_error("accepted: %s\n", bodies[i]);
        assert_int_equal(load_text(probe, head(), bodies[i]), -EINVAL);
        assert_int_equal(sluice_probe_leg(probe, 0, &leg), -ERANGE);
    }
    assert_int_equal(load_text(probe, "", "end 0\n"), -EINVAL);
    assert_int_equal(load_text(probe, "sluice probe 2\n", "end 0\n"), -EINVAL);
    assert_int_equal(load_text(probe, "sluice probe 1\nkernel 5.10 x y\nuser 0\n", "end 0\n"),
                     -ESTALE);
    assert_int_equal(load_text(probe, head(), "end 0\n"), 0);
    sluice_probe_free(probe);
}

/* Cut anywhere, or with any byte changed, it does no harm. */
static void no_damage_does_harm(void **state)
{
    char text[1024];
    sluice_probe *probe;

    (void)state;
    assert_int_equal(sluice_probe_new(&probe), 0);
    const int length = snprintf(text, sizeof text, "%s%s%s%s", head(),
                                LEG("pipe", "xfs", "splice", "xfs rw", "copied"),
                                LEG("tcp", "pipe", "splice", "loopback", "reference"), "end 2\n");
    for (int at = 0; at < length; at++) {
        char kept = text[at];
        for (int byte = 0; byte < 256; byte += 17) {
            text[at] = (char)byte;
            const int fd = memfd_create("probe", MFD_CLOEXEC);
            assert_int_equal(write(fd, text, (size_t)length), length);
            assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
            const int error = sluice_probe_load(probe, fd);
            assert_true(error == 0 || error == -EINVAL || error == -ESTALE);
            close(fd);
        }
        text[at] = '\0';
        assert_int_not_equal(load_text(probe, text, ""), 0);
        text[at] = kept;
    }
    sluice_probe_free(probe);
}

/* ---- plans ---- */

static struct sluice_candidate best_of(sluice_context *context, const char *from, const char *to,
                                       enum sluice_require require, unsigned *usable)
{
    struct sluice_options options = SLUICE_OPTIONS_INIT;
    struct sluice_candidate best = {.size = sizeof best};
    sluice_endpoint *source, *sink;
    sluice_plan *plan;

    options.require = require;
    assert_int_equal(sluice_endpoint_from_kind(context, from, &source), 0);
    assert_int_equal(sluice_endpoint_from_kind(context, to, &sink), 0);
    assert_int_equal(sluice_plan_new(context, source, sink, &options, &plan), 0);
    assert_int_equal(sluice_plan_candidate(plan, 0, &best), 0);
    if (usable)
        *usable = sluice_plan_usable(plan);
    sluice_plan_free(plan);
    sluice_endpoint_free(source);
    sluice_endpoint_free(sink);
    return best;
}

static void what_was_measured_is_proven(void **state)
{
    sluice_context *context = sluice_context_new(NULL, NULL);
    sluice_probe *probe = probe_of(LEG("ext4", "pipe", "splice", "ext4 rw", "reference") LEG(
        "pipe", "tcp", "splice", "loopback", "reference") "end 2\n");

    (void)state;
    struct sluice_candidate best =
        best_of(context, "ext4@ext4 rw", "tcp@loopback", SLUICE_REQUIRE_ANY, NULL);
    assert_int_equal(best.leg[0].known, SLUICE_EXPECTED);
    assert_int_equal(best.leg[0].at, 0);
    sluice_context_use_probe(context, probe);
    best = best_of(context, "ext4@ext4 rw", "tcp@loopback", SLUICE_REQUIRE_ANY, NULL);
    assert_int_equal(best.method, SLUICE_METHOD_SPLICE);
    assert_int_equal(best.leg[0].known, SLUICE_PROVEN);
    assert_int_equal(best.leg[1].known, SLUICE_PROVEN);
    assert_int_equal(best.leg[0].at, 1700000000);
    /* Other mount options, another way on the network, or one that is not known: expected. */
    best = best_of(context, "ext4@ext4 ro", "tcp@eth0", SLUICE_REQUIRE_ANY, NULL);
    assert_int_equal(best.leg[0].known, SLUICE_EXPECTED);
    assert_int_equal(best.leg[1].known, SLUICE_EXPECTED);
    best = best_of(context, "ext4", "tcp", SLUICE_REQUIRE_ANY, NULL);
    assert_int_equal(best.leg[0].known, SLUICE_EXPECTED);
    assert_int_equal(best.leg[1].known, SLUICE_EXPECTED);
    sluice_context_use_probe(context, NULL);
    best = best_of(context, "ext4@ext4 rw", "tcp@loopback", SLUICE_REQUIRE_ANY, NULL);
    assert_int_equal(best.leg[0].known, SLUICE_EXPECTED);
    sluice_context_free(context);
    sluice_probe_free(probe);
}

static void a_copy_that_was_measured_changes_the_plan(void **state)
{
    sluice_context *context = sluice_context_new(NULL, NULL);
    sluice_probe *probe = probe_of(
        LEG("ext4", "pipe", "splice", "ext4 rw", "copied")
            LEG("pipe", "tcp", "splice", "loopback", "reference")
                LEG("ext4", "tcp", "sendfile", "ext4 rw; loopback", "reference") "end 3\n");
    unsigned usable;

    (void)state;
    struct sluice_candidate best =
        best_of(context, "ext4@ext4 rw", "tcp@loopback", SLUICE_REQUIRE_ANY, NULL);
    assert_int_equal(best.method, SLUICE_METHOD_SPLICE);
    sluice_context_use_probe(context, probe);
    best = best_of(context, "ext4@ext4 rw", "tcp@loopback", SLUICE_REQUIRE_ANY, NULL);
    assert_int_equal(best.method, SLUICE_METHOD_SENDFILE);
    assert_int_equal(best.copies, 0);
    best = best_of(context, "ext4@ext4 rw", "tcp@loopback", SLUICE_REQUIRE_ZERO_COPY, &usable);
    assert_int_equal(usable, 1);
    assert_int_equal(best.method, SLUICE_METHOD_SENDFILE);
    assert_int_equal(
        load_text(probe, head(),
                  LEG("ext4", "tcp", "sendfile", "ext4 rw; loopback", "copied") "end 1\n"),
        0);
    best = best_of(context, "ext4@ext4 rw", "tcp@loopback", SLUICE_REQUIRE_ZERO_COPY, &usable);
    assert_int_equal(usable, 0);
    assert_non_null(strstr(best.ruled_out, "it copies"));
    sluice_context_free(context);
    sluice_probe_free(probe);
}

/* What is only expected, or of unknown verdict, is not enough. */
static void zero_copy_takes_a_proof(void **state)
{
    sluice_context *context = sluice_context_new(NULL, NULL);
    sluice_probe *probe = probe_of(LEG("pipe", "pipe", "splice", "", "unknown") "end 1\n");
    unsigned usable;

    (void)state;
    struct sluice_candidate best =
        best_of(context, "pipe", "pipe", SLUICE_REQUIRE_ZERO_COPY, &usable);
    assert_int_equal(usable, 0);
    assert_non_null(strstr(best.ruled_out, "no probe"));
    sluice_context_use_probe(context, probe);
    best_of(context, "pipe", "pipe", SLUICE_REQUIRE_ZERO_COPY, &usable);
    assert_int_equal(usable, 0);
    assert_int_equal(
        load_text(probe, head(), LEG("pipe", "pipe", "splice", "", "reference") "end 1\n"), 0);
    best = best_of(context, "pipe", "pipe", SLUICE_REQUIRE_ZERO_COPY, &usable);
    assert_int_equal(usable, 1);
    assert_int_equal(best.method, SLUICE_METHOD_SPLICE);
    sluice_context_free(context);
    sluice_probe_free(probe);
}

/* A file that reaches what it was measured on is told by its mount, not by its name. */
static void a_real_transfer_goes_by_a_real_probe(void **state)
{
    const char *const temporary = getenv("TMPDIR"), *directory = temporary ? temporary : "/var/tmp";
    struct sluice_options options = SLUICE_OPTIONS_INIT;
    struct sluice_error error = {.size = sizeof error};
    static char bytes[300000];
    struct rig rig = {0};
    sluice_probe *probe;

    (void)state;
    options.require = SLUICE_REQUIRE_ZERO_COPY;
    rig.context = sluice_context_new(NULL, NULL);
    assert_int_equal(sluice_probe_new(&probe), 0);
    const struct sluice_probe_options probing = {.size = sizeof probing,
                                                 .flags = SLUICE_PROBE_QUICK | SLUICE_PROBE_MEMORY |
                                                          SLUICE_PROBE_SOCKETS,
                                                 .directories = 1,
                                                 .directory = &directory};
    assert_int_equal(sluice_probe_run(probe, rig.context, &probing), 0);
    end_open_source(&rig.source, END_FILE, bytes, sizeof bytes, NULL);
    end_open_sink(&rig.sink, END_TCP, NULL);
    assert_int_equal(rig_try(&rig, &options, &error), -EOPNOTSUPP);
    assert_string_equal(error.operation, "require");
    sluice_endpoint_free(rig.in);
    sluice_endpoint_free(rig.out);
    sluice_context_use_probe(rig.context, probe);
    const int result = rig_try(&rig, &options, &error);
    if (result < 0)
        print_error("refused: %s\n", error.reason);
    assert_int_equal(result, 0);
    rig_stop(&rig);
    sluice_probe_free(probe);
}

static void options_that_cannot_be_are_refused(void **state)
{
    struct sluice_probe_options options = {.size = sizeof options, .flags = 1u << 20};
    sluice_probe *probe;

    (void)state;
    assert_int_equal(sluice_probe_new(&probe), 0);
    assert_int_equal(sluice_probe_run(probe, NULL, &options), -EINVAL);
    options.flags = 0;
    options.directories = 1;
    assert_int_equal(sluice_probe_run(probe, NULL, &options), -EINVAL);
    options.size = 4;
    assert_int_equal(sluice_probe_run(probe, NULL, &options), -EINVAL);
    sluice_probe_free(probe);
}

static int stop_at_once(const char *what, void *data)
{
    (void)what;
    return ++*(int *)data == 3;
}

static void progress_can_stop_it(void **state)
{
    int calls = 0;
    const struct sluice_probe_options options = {.size = sizeof options,
                                                 .flags = SLUICE_PROBE_QUICK,
                                                 .progress = stop_at_once,
                                                 .progress_data = &calls};
    sluice_probe *probe;

    (void)state;
    assert_int_equal(sluice_probe_new(&probe), 0);
    assert_int_equal(sluice_probe_run(probe, NULL, &options), -ECANCELED);
    assert_int_equal(calls, 3);
    sluice_probe_free(probe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_saved_is_what_is_loaded),
        cmocka_unit_test(a_leg_is_there_once),
        cmocka_unit_test(what_is_damaged_is_refused_whole),
        cmocka_unit_test(no_damage_does_harm),
        cmocka_unit_test(what_was_measured_is_proven),
        cmocka_unit_test(a_copy_that_was_measured_changes_the_plan),
        cmocka_unit_test(zero_copy_takes_a_proof),
        cmocka_unit_test(a_real_transfer_goes_by_a_real_probe),
        cmocka_unit_test(options_that_cannot_be_are_refused),
        cmocka_unit_test(progress_can_stop_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
