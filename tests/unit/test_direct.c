/* SPDX-License-Identifier: MIT */
/*
 * O_DIRECT takes aligned pieces only: heads, tails and odd places go through the page cache, the
 * bytes are the same, and the descriptor's flag stays where it was.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/rig.h"

static char bytes[2000000];

static int make_bytes(void **state)
{
    (void)state;
    pattern(bytes, sizeof bytes, 0);
    return 0;
}

static const enum sluice_method methods[] = {
    SLUICE_METHOD_AUTO,       SLUICE_METHOD_SENDFILE,   SLUICE_METHOD_SPLICE,
    SLUICE_METHOD_MMAP_WRITE, SLUICE_METHOD_READ_WRITE,
};
static const size_t lengths[] = {1, 511, 4095, 4096, 4097, 12288 + 777, 1 << 20, (1 << 20) + 1};

static bool must_have_direct(void)
{
    if (end_exists(END_DIRECT))
        return true;
    print_message("SKIP: no O_DIRECT in $TMPDIR\n");
    return false;
}

/* By name a method may say that it cannot; auto may not. What was delivered is right in any
 * case. */
static void run(enum end_kind source, enum end_kind sink, enum sluice_method method, size_t length,
                bool aligned, bool own_offsets)
{
    const struct end_options end_options = {.aligned = aligned, .capacity = 1 << 20};
    struct sluice_options options = SLUICE_OPTIONS_INIT;
    struct sluice_error error = {.size = sizeof error};
    struct rig rig = {0};

    end_open_source(&rig.source, source, bytes, length, &end_options);
    end_open_sink(&rig.sink, sink, &end_options);
    options.method = method;
    if (!own_offsets && end_has_offset(source)) {
        options.flags |= SLUICE_SOURCE_OFFSET;
        options.source_offset = (uint64_t)rig.source.start;
        lseek(rig.source.fd, 3, SEEK_SET);
    }
    if (rig_try(&rig, &options, &error) == 0) {
        const int result = rig_run(&rig, 10);
        if (result < 0 && method == SLUICE_METHOD_AUTO)
            print_error("%s -> %s, %zu bytes%s: %d, %s\n", end_name(source), end_name(sink), length,
                        aligned ? ", aligned" : "", result, rig_error(&rig).operation);
        const uint64_t delivered = sluice_transfer_delivered(rig.transfer);
        if (method == SLUICE_METHOD_AUTO || method == SLUICE_METHOD_READ_WRITE)
            assert_int_equal(result, 0);
        assert_true(result == 0 || result == -EINVAL);
        assert_true(result < 0 || delivered == length);
        assert_int_equal(fcntl(rig.source.fd, F_GETFL), rig.source.flags);
        assert_int_equal(fcntl(rig.sink.fd, F_GETFL), rig.sink.flags);
        if (end_has_offset(source))
            assert_int_equal(lseek(rig.source.fd, 0, SEEK_CUR),
                             own_offsets ? rig.source.start + (off_t)delivered : 3);
        if (end_has_offset(sink))
            assert_int_equal(lseek(rig.sink.fd, 0, SEEK_CUR), rig.sink.start + (off_t)delivered);
        rig_sink_has(&rig, bytes, delivered);
    } else {
        assert_int_not_equal(method, SLUICE_METHOD_AUTO);
        assert_int_equal(error.error, -EOPNOTSUPP);
    }
    rig_stop(&rig);
}

static void run_all(enum end_kind source, enum end_kind sink)
{
    for (size_t m = 0; m < sizeof methods / sizeof *methods; m++)
        for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++)
            for (int variant = 0; variant < 4; variant++)
                if (end_has_offset(source) || lengths[l] < 60000)
                    run(source, sink, methods[m], lengths[l], variant & 1, variant & 2);
}

static void a_direct_source_has_a_tail(void **state)
{
    (void)state;
    if (!must_have_direct())
        skip();
    run_all(END_DIRECT, END_FILE);
    run_all(END_DIRECT, END_DISK);
}

static void a_direct_source_feeds_a_stream(void **state)
{
    static const enum end_kind sinks[] = {END_PIPE, END_UNIX, END_TCP};
    static const size_t few[] = {777, 40960, 50001};

    (void)state;
    if (!must_have_direct())
        skip();
    for (size_t s = 0; s < 3; s++)
        for (size_t m = 0; m < sizeof methods / sizeof *methods; m++)
            for (size_t l = 0; l < 3; l++)
                run(END_DIRECT, sinks[s], methods[m], few[l], true, l % 2);
}

static void a_direct_sink_has_a_tail(void **state)
{
    (void)state;
    if (!must_have_direct())
        skip();
    run_all(END_FILE, END_DIRECT);
    run_all(END_PIPE, END_DIRECT);
    run_all(END_UNIX, END_DIRECT);
}

static void both_are_direct(void **state)
{
    (void)state;
    if (!must_have_direct())
        skip();
    run_all(END_DIRECT, END_DIRECT);
}

/* An offset that is not aligned cannot be read directly at all. */
static void a_direct_source_at_an_odd_place(void **state)
{
    (void)state;
    if (!must_have_direct())
        skip();
    for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
        struct sluice_options options = SLUICE_OPTIONS_INIT;
        struct rig rig = {0};
        end_open_source(&rig.source, END_DIRECT, bytes, 100000, NULL);
        end_open_sink(&rig.sink, END_FILE, NULL);
        options.method = methods[m];
        options.flags = SLUICE_SOURCE_OFFSET;
        options.source_offset = (uint64_t)rig.source.start + 1234;
        rig_start(&rig, &options);
        const int result = rig_run(&rig, 5);
        assert_true(result == 0 || (result == -EINVAL && methods[m] != SLUICE_METHOD_AUTO));
        const uint64_t delivered = sluice_transfer_delivered(rig.transfer);
        assert_true(result < 0 || delivered == 100000 - 1234);
        rig_sink_has(&rig, bytes + 1234, delivered);
        rig_stop(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_direct_source_has_a_tail),
        cmocka_unit_test(a_direct_source_feeds_a_stream),
        cmocka_unit_test(a_direct_sink_has_a_tail),
        cmocka_unit_test(both_are_direct),
        cmocka_unit_test(a_direct_source_at_an_odd_place),
    };
    return cmocka_run_group_tests(tests, make_bytes, NULL);
}
