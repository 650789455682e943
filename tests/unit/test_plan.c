/* SPDX-License-Identifier: MIT */
/* The plan's tables: every pair of media has its methods or its reasons, and a user's pipe never
 * meets in one call what can wait. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/plan.h"

static sluice_context *context;

static int set_up(void **state)
{
    (void)state;
    context = sluice_context_new(NULL, NULL);
    return context ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    sluice_context_free(context);
    return 0;
}

static const char *const kinds[] = {
    "file",       "ext4",           "xfs",   "btrfs", "tmpfs", "fuse", "nfs",
    "procfs",     "sysfs",          "block", "pipe",  "tcp",   "unix", "udp",
    "unix-dgram", "unix-seqpacket", "null",  "zero",  "tty",
};
#define KINDS (sizeof kinds / sizeof *kinds)

/* ---- every pair ---- */

static unsigned copies_of(const struct sluice_leg *leg)
{
    switch (leg->class_) {
    case SLUICE_CLASS_KERNEL_COPY:
    case SLUICE_CLASS_USER_COPY:
        return 1;
    default:
        return 0;
    }
}

static void check_usable(const struct sluice_candidate *candidate)
{
    unsigned copies = 0;

    assert_null(candidate->ruled_out);
    assert_non_null(candidate->why);
    assert_in_range(candidate->legs, 1, SLUICE_MAX_LEGS);
    for (unsigned i = 0; i < candidate->legs; i++) {
        const struct sluice_leg *leg = candidate->leg + i;
        assert_non_null(leg->from);
        assert_non_null(leg->to);
        assert_non_null(leg->call);
        assert_non_null(leg->path);
        assert_int_equal(leg->known, SLUICE_EXPECTED);
        copies += copies_of(leg);
    }
    /* One call of sendfile may copy twice: into its own pipe, and out of it. */
    if (candidate->method == SLUICE_METHOD_SENDFILE && candidate->legs == 1 && copies == 1)
        assert_in_range(candidate->copies, 1, 2);
    else
        assert_int_equal(candidate->copies, copies);
}

static void check_plan(const sluice_plan *plan)
{
    const unsigned count = sluice_plan_count(plan), usable = sluice_plan_usable(plan);
    unsigned seen = 0, fewest = 100;

    assert_int_equal(count, SLUICE_METHOD_COUNT - 1);
    assert_in_range(usable, 0, count);
    for (unsigned i = 0; i < count; i++) {
        struct sluice_candidate candidate = {.size = sizeof candidate};
        assert_int_equal(sluice_plan_candidate(plan, i, &candidate), 0);
        assert_in_range(candidate.method, SLUICE_METHOD_AUTO + 1, SLUICE_METHOD_COUNT - 1);
        assert_false(seen & (1U << candidate.method));
        seen |= 1U << candidate.method;
        if (i < usable) {
            check_usable(&candidate);
            if (candidate.copies < fewest)
                fewest = candidate.copies;
        } else {
            assert_non_null(candidate.ruled_out);
            assert_true(strlen(candidate.ruled_out) > 5);
            assert_null(candidate.why);
        }
    }
    struct sluice_candidate beyond = {.size = sizeof beyond};
    assert_int_equal(sluice_plan_candidate(plan, count, &beyond), -ERANGE);
    if (usable > 0)
        assert_true(sluice_plan_fewest_copies(plan) <= fewest);
}

static sluice_plan *plan_of(const char *from, const char *to, const struct sluice_options *options)
{
    sluice_endpoint *source, *sink;
    sluice_plan *plan;

    assert_int_equal(sluice_endpoint_from_kind(context, from, &source), 0);
    assert_int_equal(sluice_endpoint_from_kind(context, to, &sink), 0);
    assert_int_equal(sluice_plan_new(context, source, sink, options, &plan), 0);
    sluice_endpoint_free(source);
    sluice_endpoint_free(sink);
    return plan;
}

/* Looks a method up; candidate->why is NULL if it is ruled out. */
static struct sluice_candidate candidate_of(const sluice_plan *plan, enum sluice_method method)
{
    struct sluice_candidate candidate = {.size = sizeof candidate};
    for (unsigned i = 0; i < sluice_plan_count(plan); i++) {
        assert_int_equal(sluice_plan_candidate(plan, i, &candidate), 0);
        if (candidate.method == method)
            return candidate;
    }
    fail();
    return candidate;
}

static void every_pair_has_methods_or_reasons(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++)
        for (size_t k = 0; k < KINDS; k++) {
            sluice_plan *plan = plan_of(kinds[i], kinds[k], NULL);
            check_plan(plan);
            /* Memory serves every pair. */
            assert_non_null(candidate_of(plan, SLUICE_METHOD_READ_WRITE).why);
            assert_null(candidate_of(plan, SLUICE_METHOD_DIRECT).why);
            sluice_plan_free(plan);
        }
}

static void every_requirement_and_name_filters(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++)
        for (size_t k = 0; k < KINDS; k++) {
            struct sluice_options options = SLUICE_OPTIONS_INIT;
            sluice_plan *plan;

            options.require = SLUICE_REQUIRE_ZERO_COPY;
            plan = plan_of(kinds[i], kinds[k], &options);
            check_plan(plan);
            for (unsigned c = 0; c < sluice_plan_usable(plan); c++) {
                struct sluice_candidate candidate = {.size = sizeof candidate};
                sluice_plan_candidate(plan, c, &candidate);
                assert_int_equal(candidate.copies, 0);
            }
            sluice_plan_free(plan);

            options.require = SLUICE_REQUIRE_NO_USER_COPY;
            plan = plan_of(kinds[i], kinds[k], &options);
            check_plan(plan);
            for (unsigned c = 0; c < sluice_plan_usable(plan); c++) {
                struct sluice_candidate candidate = {.size = sizeof candidate};
                sluice_plan_candidate(plan, c, &candidate);
                for (unsigned l = 0; l < candidate.legs; l++)
                    assert_int_not_equal(candidate.leg[l].class_, SLUICE_CLASS_USER_COPY);
            }
            sluice_plan_free(plan);

            options.require = SLUICE_REQUIRE_ANY;
            options.method = SLUICE_METHOD_READ_WRITE;
            plan = plan_of(kinds[i], kinds[k], &options);
            check_plan(plan);
            assert_int_equal(sluice_plan_usable(plan), 1);
            sluice_plan_free(plan);
        }
}

/* ---- reasons ---- */

/* The first thing that is the matter is what is said, in words that name it. */
static void a_reason_names_what_is_the_matter(void **state)
{
    static const struct {
        const char *from, *to;
        enum sluice_method method;
        const char *word;
    } rows[] = {
        {"pipe", "ext4", SLUICE_METHOD_COPY_RANGE, "source is not a file"},
        {"tcp", "ext4", SLUICE_METHOD_COPY_RANGE, "source is not a file"},
        {"ext4", "pipe", SLUICE_METHOD_COPY_RANGE, "sink is not a file"},
        {"block", "block", SLUICE_METHOD_COPY_RANGE, "source is a block device"},
        {"block", "ext4", SLUICE_METHOD_COPY_RANGE, "source is a block device"},
        {"ext4", "block", SLUICE_METHOD_COPY_RANGE, "sink is a block device"},
        {"procfs", "procfs", SLUICE_METHOD_COPY_RANGE, "made while it is read"},
        {"procfs", "ext4", SLUICE_METHOD_COPY_RANGE, "made while it is read"},
        {"ext4", "procfs", SLUICE_METHOD_COPY_RANGE, "whole writes"},
        {"ext4", "xfs", SLUICE_METHOD_COPY_RANGE, "different file systems"},
        {"ext4", "procfs", SLUICE_METHOD_SPLICE, "whole writes"},
        {"ext4", "sysfs", SLUICE_METHOD_SENDFILE, "whole writes"},
        {"null", "ext4", SLUICE_METHOD_SPLICE, "/dev/null"},
        {"null", "ext4", SLUICE_METHOD_SENDFILE, "/dev/null"},
        {"udp", "ext4", SLUICE_METHOD_SPLICE, "datagram"},
        {"ext4", "udp", SLUICE_METHOD_SPLICE, "datagram"},
        {"ext4", "unix-seqpacket", SLUICE_METHOD_MMAP_WRITE, "datagram"},
        {"tcp", "ext4", SLUICE_METHOD_SENDFILE, "no offset"},
        {"fuse", "pipe", SLUICE_METHOD_SENDFILE, "hold the sink's pipe"},
        {"block", "pipe", SLUICE_METHOD_SENDFILE, "hold the sink's pipe"},
        {"nfs", "pipe", SLUICE_METHOD_MMAP_WRITE, "hold the sink's pipe"},
        {"procfs", "ext4", SLUICE_METHOD_MMAP_WRITE, "mapped"},
        {"pipe", "ext4", SLUICE_METHOD_MMAP_WRITE, "mapped"},
        {"ext4", "ext4", SLUICE_METHOD_REFLINK, "shares no extents"},
        {"xfs", "ext4", SLUICE_METHOD_REFLINK, "different file systems"},
        {"xfs", "pipe", SLUICE_METHOD_REFLINK, "sink is not a file"},
        {"ext4", "ext4", SLUICE_METHOD_DIRECT, "waits for the device"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        sluice_plan *plan = plan_of(rows[i].from, rows[i].to, NULL);
        const struct sluice_candidate candidate = candidate_of(plan, rows[i].method);
        if (!candidate.ruled_out || !strstr(candidate.ruled_out, rows[i].word))
            print_error("%s -> %s, %s: '%s'\n", rows[i].from, rows[i].to,
                        sluice_method_name(rows[i].method),
                        candidate.ruled_out ? candidate.ruled_out : "it can serve");
        assert_non_null(candidate.ruled_out);
        assert_non_null(strstr(candidate.ruled_out, rows[i].word));
        sluice_plan_free(plan);
    }
}

/* ---- copies ---- */

static void copies_per_byte_are_as_measured(void **state)
{
    enum { NOT = -1 };
    static const struct {
        const char *from, *to;
        int copy_range, sendfile, splice, mmap_write, read_write;
    } rows[] = {
        {"ext4", "tcp", NOT, 0, 0, 1, 2},       {"tmpfs", "unix", NOT, 0, 0, 1, 2},
        {"ext4", "ext4", 1, 1, 1, 1, 2},        {"tmpfs", "ext4", NOT, 1, 1, 1, 2},
        {"ext4", "pipe", NOT, 0, 0, 1, 2},      {"ext4", "null", NOT, 0, 0, 0, 1},
        {"pipe", "ext4", NOT, NOT, 1, NOT, 2},  {"pipe", "pipe", NOT, NOT, 0, NOT, 2},
        {"pipe", "tcp", NOT, NOT, 0, NOT, 2},   {"pipe", "null", NOT, NOT, 0, NOT, 1},
        {"tcp", "tcp", NOT, NOT, 0, NOT, 2},    {"tcp", "ext4", NOT, NOT, 1, NOT, 2},
        {"unix", "pipe", NOT, NOT, 0, NOT, 2},  {"udp", "udp", NOT, NOT, NOT, NOT, 2},
        {"udp", "file", NOT, NOT, NOT, NOT, 2}, {"file", "udp", NOT, NOT, NOT, NOT, 2},
        {"tty", "pipe", NOT, NOT, 1, NOT, 2},   {"zero", "ext4", NOT, 2, 2, NOT, 2},
        {"procfs", "ext4", NOT, 2, 2, NOT, 2},  {"null", "ext4", NOT, NOT, NOT, NOT, 2},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct {
            enum sluice_method method;
            int copies;
        } wanted[] = {
            {SLUICE_METHOD_COPY_RANGE, rows[i].copy_range},
            {SLUICE_METHOD_SENDFILE, rows[i].sendfile},
            {SLUICE_METHOD_SPLICE, rows[i].splice},
            {SLUICE_METHOD_MMAP_WRITE, rows[i].mmap_write},
            {SLUICE_METHOD_READ_WRITE, rows[i].read_write},
        };
        sluice_plan *plan = plan_of(rows[i].from, rows[i].to, NULL);
        for (size_t k = 0; k < sizeof wanted / sizeof *wanted; k++) {
            const struct sluice_candidate candidate = candidate_of(plan, wanted[k].method);
            const int copies = candidate.why ? (int)candidate.copies : NOT;
            if (copies != wanted[k].copies)
                print_error("%s -> %s, %s: %d copies, not %d\n", rows[i].from, rows[i].to,
                            sluice_method_name(wanted[k].method), copies, wanted[k].copies);
            assert_int_equal(copies, wanted[k].copies);
        }
        sluice_plan_free(plan);
    }
}

/* ---- a user's pipe ---- */

#define MEDIA 14

static struct sluice_endpoint endpoint_of(unsigned bit, uint64_t capacity)
{
    return (struct sluice_endpoint){.fd = -1,
                                    .name = "x",
                                    .kind = SLUICE_KIND_OTHER,
                                    .medium = (enum medium)(1 << bit),
                                    .flags = O_RDWR | O_NONBLOCK,
                                    .capacity = capacity};
}

/* What splice or sendfile may hold a user's pipe for, since it waits for nobody: another pipe, and a
 * file of a local file system. */
static bool may_meet_pipe(enum medium medium)
{
    return medium & (MEDIUM_PIPE | MEDIUM_FILE | MEDIUM_DIRECT);
}

static void a_users_pipe_meets_nothing_that_waits(void **state)
{
    static const uint64_t capacities[] = {4096, 65536, 1 << 20};

    (void)state;
    for (size_t c = 0; c < sizeof capacities / sizeof *capacities; c++)
        for (unsigned i = 0; i < MEDIA; i++)
            for (unsigned k = 0; k < MEDIA; k++) {
                const struct sluice_endpoint source = endpoint_of(i, capacities[c]);
                const struct sluice_endpoint sink = endpoint_of(k, capacities[c]);
                const struct sluice_options options = SLUICE_OPTIONS_INIT;
                struct sluice_plan plan;

                if (source.medium != MEDIUM_PIPE && sink.medium != MEDIUM_PIPE)
                    continue;
                const enum medium other =
                    source.medium == MEDIUM_PIPE ? sink.medium : source.medium;
                plan_make(&plan, &source, &sink, &options, UINT64_MAX, NULL);
                for (unsigned m = 0; m < plan.usable; m++) {
                    const struct sluice_candidate *candidate = plan.candidate + m;
                    const bool in_one_call =
                        candidate->method == SLUICE_METHOD_SENDFILE ||
                        (candidate->method == SLUICE_METHOD_SPLICE && candidate->legs == 1);
                    if (in_one_call && !may_meet_pipe(other))
                        print_error("%s: a pipe meets medium %#x\n",
                                    sluice_method_name(candidate->method), (unsigned)other);
                    assert_false(in_one_call && !may_meet_pipe(other));
                }
                const bool straight = plan_splice_route(&source, &sink) == SPLICE_STRAIGHT;
                assert_false(straight && !may_meet_pipe(other));
            }
}

/* splice(2) wants a pipe: with none among the ends, there are two legs and a private one
 * between. */
static void splice_without_a_pipe_has_two_legs(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++)
        for (size_t k = 0; k < KINDS; k++) {
            if (strcmp(kinds[i], "pipe") == 0 || strcmp(kinds[k], "pipe") == 0)
                continue;
            sluice_plan *plan = plan_of(kinds[i], kinds[k], NULL);
            const struct sluice_candidate splice = candidate_of(plan, SLUICE_METHOD_SPLICE);
            if (splice.why) {
                assert_int_equal(splice.legs, 2);
                assert_string_equal(splice.leg[0].to, "pipe");
                assert_string_equal(splice.leg[1].from, "pipe");
            }
            sluice_plan_free(plan);
        }
}

/* ---- flags and sizes ---- */

static void o_append_rules_methods_out(void **state)
{
    (void)state;
    for (unsigned k = 0; k < MEDIA; k++) {
        const struct sluice_endpoint source = endpoint_of(1, 0);
        struct sluice_endpoint sink = endpoint_of(k, 65536);
        const struct sluice_options options = SLUICE_OPTIONS_INIT;
        struct sluice_plan plan;
        if (sink.medium == MEDIUM_OTHER)
            continue;
        sink.flags |= O_APPEND;
        plan_make(&plan, &source, &sink, &options, UINT64_MAX, NULL);
        assert_true(plan.usable >= 1);
        for (unsigned m = 0; m < plan.usable; m++) {
            assert_int_not_equal(plan.candidate[m].method, SLUICE_METHOD_COPY_RANGE);
            assert_int_not_equal(plan.candidate[m].method, SLUICE_METHOD_SENDFILE);
            assert_int_not_equal(plan.candidate[m].method, SLUICE_METHOD_SPLICE);
        }
    }
}

static void a_sink_offset_rules_sendfile_out(void **state)
{
    struct sluice_options options = SLUICE_OPTIONS_INIT;

    (void)state;
    options.flags = SLUICE_SINK_OFFSET;
    sluice_plan *plan = plan_of("ext4", "ext4", &options);
    assert_non_null(candidate_of(plan, SLUICE_METHOD_SENDFILE).ruled_out);
    sluice_plan_free(plan);
    options.flags = SLUICE_SOURCE_OFFSET;
    plan = plan_of("ext4", "ext4", &options);
    assert_null(candidate_of(plan, SLUICE_METHOD_SENDFILE).ruled_out);
    sluice_plan_free(plan);
}

static void little_is_read_and_written(void **state)
{
    static const char *const names[][2] = {
        {"ext4", "tcp"}, {"tcp", "tcp"}, {"ext4", "ext4"}, {"pipe", "ext4"}};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct sluice_options options = SLUICE_OPTIONS_INIT;
        struct sluice_candidate first = {.size = sizeof first};
        options.flags = SLUICE_LENGTH;
        options.length = 1000;
        sluice_plan *plan = plan_of(names[i][0], names[i][1], &options);
        sluice_plan_candidate(plan, 0, &first);
        assert_int_equal(first.method, SLUICE_METHOD_READ_WRITE);
        sluice_plan_free(plan);
        options.length = 1 << 30;
        plan = plan_of(names[i][0], names[i][1], &options);
        sluice_plan_candidate(plan, 0, &first);
        assert_int_not_equal(first.method, SLUICE_METHOD_READ_WRITE);
        sluice_plan_free(plan);
    }
}

static void what_is_no_end_has_no_method(void **state)
{
    (void)state;
    for (unsigned k = 0; k < MEDIA; k++)
        for (int as_source = 0; as_source < 2; as_source++) {
            const struct sluice_endpoint nothing = endpoint_of(0, 0), other = endpoint_of(k, 65536);
            const struct sluice_options options = SLUICE_OPTIONS_INIT;
            struct sluice_plan plan;
            plan_make(&plan, as_source ? &nothing : &other, as_source ? &other : &nothing, &options,
                      UINT64_MAX, NULL);
            assert_int_equal(plan.usable, 0);
            assert_int_equal(plan.count, SLUICE_METHOD_COUNT - 1);
        }
}

static void bad_options_and_names_are_refused(void **state)
{
    struct sluice_options options = SLUICE_OPTIONS_INIT;
    sluice_endpoint *source, *sink;
    sluice_plan *plan = NULL;
    enum sluice_method method;

    (void)state;
    assert_int_equal(sluice_endpoint_from_kind(context, "nothing-like-it", &source), -EINVAL);
    assert_int_equal(sluice_endpoint_from_kind(context, "", &source), -EINVAL);
    assert_int_equal(sluice_endpoint_from_kind(context, "ext4", &source), 0);
    assert_int_equal(sluice_endpoint_from_kind(context, "tcp", &sink), 0);
    options.method = SLUICE_METHOD_COUNT;
    assert_int_equal(sluice_plan_new(context, source, sink, &options, &plan), -EINVAL);
    options.method = (enum sluice_method) - 1;
    assert_int_equal(sluice_plan_new(context, source, sink, &options, &plan), -EINVAL);
    options.method = SLUICE_METHOD_AUTO;
    options.require = (enum sluice_require)(SLUICE_REQUIRE_ZERO_COPY + 1);
    assert_int_equal(sluice_plan_new(context, source, sink, &options, &plan), -EINVAL);
    options.require = SLUICE_REQUIRE_ANY;
    options.size = 0;
    assert_int_equal(sluice_plan_new(context, source, sink, &options, &plan), -EINVAL);
    assert_null(plan);
    sluice_endpoint_free(source);
    sluice_endpoint_free(sink);
    sluice_endpoint_free(NULL);
    sluice_plan_free(NULL);

    assert_int_equal(sluice_method_from_name("splice", &method), 0);
    assert_int_equal(method, SLUICE_METHOD_SPLICE);
    for (int i = 0; i < SLUICE_METHOD_COUNT; i++) {
        assert_int_equal(
            sluice_method_from_name(sluice_method_name((enum sluice_method)i), &method), 0);
        assert_int_equal(method, i);
    }
    assert_int_equal(sluice_method_from_name("Splice", &method), -EINVAL);
    assert_int_equal(sluice_method_from_name("", &method), -EINVAL);
    assert_string_equal(sluice_method_name((enum sluice_method)1000), "?");
    assert_string_equal(sluice_method_name((enum sluice_method) - 1), "?");
    assert_string_equal(sluice_kind_name((enum sluice_kind)1000), "?");
    assert_string_equal(sluice_class_name((enum sluice_class)1000), "?");
    assert_string_equal(sluice_known_name((enum sluice_known)1000), "?");
    assert_string_equal(sluice_side_name((enum sluice_side)1000), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_has_methods_or_reasons),
        cmocka_unit_test(every_requirement_and_name_filters),
        cmocka_unit_test(a_reason_names_what_is_the_matter),
        cmocka_unit_test(copies_per_byte_are_as_measured),
        cmocka_unit_test(a_users_pipe_meets_nothing_that_waits),
        cmocka_unit_test(splice_without_a_pipe_has_two_legs),
        cmocka_unit_test(o_append_rules_methods_out),
        cmocka_unit_test(a_sink_offset_rules_sendfile_out),
        cmocka_unit_test(little_is_read_and_written),
        cmocka_unit_test(what_is_no_end_has_no_method),
        cmocka_unit_test(bad_options_and_names_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
