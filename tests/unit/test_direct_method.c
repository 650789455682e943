/* SPDX-License-Identifier: MIT */
/*
 * The method `direct`: the same bytes at every length and offset around a block, from and into
 * everything that it serves, by io_uring and (tests/fault) by threads; and the caller's descriptors
 * are as they were.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/rig.h"

static char bytes[6 << 20];

static int make_bytes(void **state)
{
    (void)state;
    pattern(bytes, sizeof bytes, 0);
    return 0;
}

static bool must_have_direct(void)
{
    if (end_exists(END_DIRECT))
        return true;
    print_message("SKIP: no O_DIRECT in $TMPDIR\n");
    return false;
}

static const size_t lengths[] = {0,      1,     511,   512,           4095,    4096,
                                 4097,   40000, 65536, (1 << 20) - 1, 1 << 20, (1 << 20) + 513,
                                 5000001};

static int step_to_the_end(struct rig *rig)
{
    for (;;) {
        const int step = rig_step(rig, 0);
        if (step <= SLUICE_DONE)
            return step;
        assert_int_equal(step, SLUICE_WAIT);
        struct pollfd fds[] = {{.fd = rig->wait.source_fd, .events = rig->wait.source_events},
                               {.fd = rig->wait.sink_fd, .events = rig->wait.sink_events}};
        assert_true(rig->wait.source_fd >= 0 || rig->wait.sink_fd >= 0);
        assert_true(poll(fds, 2, 5000) > 0);
    }
}

static void check_ledger(const struct rig *rig, size_t length)
{
    const struct sluice_ledger ledger = rig_ledger(rig);

    assert_int_equal(ledger.delivered, length);
    assert_int_equal(ledger.taken, length);
    assert_int_equal(ledger.fallbacks, 0);
    for (unsigned i = 0; i < ledger.rows; i++) {
        struct sluice_row row = {.size = sizeof row};
        sluice_transfer_row(rig->transfer, i, &row);
        assert_true(row.method == SLUICE_METHOD_DIRECT);
    }
    if (length > 0)
        assert_non_null(ledger.engine);
    if (length > 4096)
        assert_true(ledger.depth >= 1);
}

static void run(enum end_kind source, enum end_kind sink, size_t length, bool aligned, bool own,
                bool steps)
{
    const struct end_options end_options = {.aligned = aligned, .capacity = 1 << 20};
    struct sluice_options options = SLUICE_OPTIONS_INIT;
    struct rig rig = {0};

    end_open_source(&rig.source, source, bytes, length, &end_options);
    end_open_sink(&rig.sink, sink, &end_options);
    options.method = SLUICE_METHOD_DIRECT;
    if (!own && end_has_offset(source)) {
        options.flags |= SLUICE_SOURCE_OFFSET;
        options.source_offset = (uint64_t)rig.source.start;
        lseek(rig.source.fd, 3, SEEK_SET);
    }
    rig_start(&rig, &options);
    const int result = steps ? step_to_the_end(&rig) : rig_run(&rig, 10);
    if (result < 0)
        print_error("%s -> %s, %zu bytes%s%s: %d, %s\n", end_name(source), end_name(sink), length,
                    aligned ? ", aligned" : "", own ? ", own offsets" : "", result,
                    rig_error(&rig).operation);
    assert_int_equal(result, 0);
    check_ledger(&rig, length);
    assert_int_equal(fcntl(rig.source.fd, F_GETFL), rig.source.flags);
    assert_int_equal(fcntl(rig.sink.fd, F_GETFL), rig.sink.flags);
    if (end_has_offset(source))
        assert_int_equal(lseek(rig.source.fd, 0, SEEK_CUR),
                         own ? rig.source.start + (off_t)length : 3);
    if (end_has_offset(sink))
        assert_int_equal(lseek(rig.sink.fd, 0, SEEK_CUR), rig.sink.start + (off_t)length);
    if (sink != END_NULL)
        rig_sink_has(&rig, bytes, length);
    rig_stop(&rig);
}

static void run_all(enum end_kind source, enum end_kind sink)
{
    const bool files = end_has_offset(source) && end_has_offset(sink);

    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++)
        for (int variant = 0; variant < 8; variant++)
            if (files || lengths[l] <= 65536) /* a pipe is filled before it starts */
                run(source, sink, lengths[l], variant & 1, variant & 2, variant & 4);
}

static void files_into_files(void **state)
{
    (void)state;
    if (!must_have_direct())
        skip();
    run_all(END_DISK, END_DISK);
    run_all(END_DIRECT, END_DISK);
    run_all(END_DISK, END_DIRECT);
    run_all(END_FILE, END_DISK);
    run_all(END_DISK, END_FILE);
}

static void files_into_streams(void **state)
{
    (void)state;
    if (!must_have_direct())
        skip();
    run_all(END_DISK, END_PIPE);
    run_all(END_DISK, END_UNIX);
    run_all(END_DISK, END_TCP);
    run_all(END_DISK, END_NULL);
}

static void streams_into_files(void **state)
{
    (void)state;
    if (!must_have_direct())
        skip();
    run_all(END_PIPE, END_DISK);
    run_all(END_UNIX, END_DISK);
    run_all(END_TCP, END_DISK);
}

/* ---- odd pieces ---- */

/* A source that gives pieces of all sizes, with pauses in which what is whole is written. */
static void pieces(enum end_kind kind, uint64_t seed, bool aligned)
{
    enum { LENGTH = 300000 };
    const struct end_options end_options = {.open = true, .capacity = 65536, .aligned = aligned};
    struct sluice_options options = SLUICE_OPTIONS_INIT;
    struct rig rig = {0};
    size_t fed = 0;
    int step;

    end_open_source(&rig.source, kind, "", 0, &end_options);
    end_open_sink(&rig.sink, END_DISK, &end_options);
    options.method = SLUICE_METHOD_DIRECT;
    rig_start(&rig, &options);
    while ((step = rig_step(&rig, random_below(&seed, 3) ? 0 : 5000)) > SLUICE_DONE) {
        const struct sluice_ledger ledger = rig_ledger(&rig);
        assert_int_equal(ledger.delivered + ledger.parked, ledger.taken);
        if (step == SLUICE_MORE)
            continue;
        const uint64_t most = random_below(&seed, 4) == 0 ? 20000 : 700;
        size_t piece = 1 + random_below(&seed, most);
        if (random_below(&seed, 3) == 0)
            piece = 4096;
        if (piece > LENGTH - fed)
            piece = LENGTH - fed;
        fed += end_feed(&rig.source, bytes + fed, piece);
        if (fed == LENGTH && rig.source.peer >= 0)
            end_finish(&rig.source);
    }
    assert_int_equal(step, 0);
    check_ledger(&rig, LENGTH);
    rig_sink_has(&rig, bytes, LENGTH);
    rig_stop(&rig);
}

static void pieces_of_all_sizes(void **state)
{
    (void)state;
    if (!must_have_direct())
        skip();
    for (uint64_t seed = 1; seed <= 6; seed++) {
        pieces(END_PIPE, seed * 77, seed & 1);
        pieces(END_UNIX, seed * 99, seed & 1);
    }
}

/* ---- limits ---- */

static void a_length_ends_it(void **state)
{
    static const size_t few[] = {1, 511, 4096, 70000, 1234567};

    (void)state;
    if (!must_have_direct())
        skip();
    for (size_t i = 0; i < sizeof few / sizeof *few; i++)
        for (int sink = 0; sink < 2; sink++) {
            struct sluice_options options = SLUICE_OPTIONS_INIT;
            const struct end_options end_options = {.capacity = 1 << 20};
            struct rig rig = {0};
            const size_t length = sink && few[i] > 70000 ? 70000 : few[i];

            end_open_source(&rig.source, END_DISK, bytes, sizeof bytes, NULL);
            end_open_sink(&rig.sink, sink ? END_PIPE : END_DISK, &end_options);
            options.method = SLUICE_METHOD_DIRECT;
            options.flags = SLUICE_LENGTH;
            options.length = length;
            rig_start(&rig, &options);
            assert_int_equal(rig_run(&rig, 10), 0);
            assert_int_equal(lseek(rig.source.fd, 0, SEEK_CUR), rig.source.start + (off_t)length);
            rig_sink_has(&rig, bytes, length);
            rig_stop(&rig);
        }
}

/* What is behind a sink's range stays, also where the range ends inside a block. */
static void a_sink_is_not_shortened(void **state)
{
    static char got[200000];

    (void)state;
    if (!must_have_direct())
        skip();
    for (size_t length = 0; length < 9000; length += 1237) {
        struct sluice_options options = SLUICE_OPTIONS_INIT;
        struct rig rig = {0};

        end_open_source(&rig.source, END_DISK, bytes, length, NULL);
        end_open_sink(&rig.sink, END_DISK, NULL);
        memset(got, 'x', sizeof got);
        assert_int_equal(pwrite(rig.sink.fd, got, sizeof got, 0), sizeof got);
        options.method = SLUICE_METHOD_DIRECT;
        options.flags = SLUICE_SINK_OFFSET;
        options.sink_offset = 5000;
        rig_start(&rig, &options);
        assert_int_equal(rig_run(&rig, 10), 0);
        assert_int_equal(pread(rig.sink.fd, got, sizeof got, 0), sizeof got);
        assert_memory_equal(got + 5000, bytes, length);
        for (size_t i = 0; i < sizeof got; i++)
            if (i < 5000 || i >= 5000 + length)
                assert_int_equal(got[i], 'x');
        rig_stop(&rig);
    }
}

/* ---- what the plan says ---- */

static const char *refusal(const struct rig *rig, const struct sluice_options *options)
{
    struct sluice_candidate candidate = {.size = sizeof candidate};
    sluice_plan *plan;
    const char *reason = NULL;

    assert_int_equal(sluice_plan_new(rig->context, rig->in, rig->out, options, &plan), 0);
    for (unsigned i = 0; sluice_plan_candidate(plan, i, &candidate) == 0; i++)
        if (candidate.method == SLUICE_METHOD_DIRECT)
            reason = candidate.ruled_out ? candidate.ruled_out : i == 0 ? "first" : "later";
    sluice_plan_free(plan);
    return reason;
}

static void only_who_asks_gets_it(void **state)
{
    struct sluice_options options = SLUICE_OPTIONS_INIT;
    struct rig rig = {0};

    (void)state;
    if (!must_have_direct())
        skip();
    end_open_source(&rig.source, END_DISK, bytes, 100000, NULL);
    end_open_sink(&rig.sink, END_PIPE, &(struct end_options){.capacity = 1 << 20});
    rig_start(&rig, NULL);
    assert_non_null(strstr(refusal(&rig, &options), "waits for the device"));
    options.cache = SLUICE_CACHE_BYPASS;
    assert_string_equal(refusal(&rig, &options), "first");
    options.cache = SLUICE_CACHE_KEEP;
    options.flags = SLUICE_SNAPSHOT;
    assert_string_equal(refusal(&rig, &options), "first");
    options.flags = 0;
    options.method = SLUICE_METHOD_DIRECT;
    assert_string_equal(refusal(&rig, &options), "first");
    rig_stop(&rig);

    rig = (struct rig){0};
    end_open_source(&rig.source, END_FILE, bytes, 100000, NULL);
    end_open_sink(&rig.sink, END_PIPE, &(struct end_options){.capacity = 1 << 20});
    rig_start(&rig, NULL);
    assert_non_null(strstr(refusal(&rig, &options), "tmpfs takes O_DIRECT and copies"));
    rig_stop(&rig);
}

/* ---- a source that changes ---- */

static void a_source_that_shrinks_is_an_error(void **state)
{
    (void)state;
    if (!must_have_direct())
        skip();
    for (int sink = 0; sink < 2; sink++) {
        struct sluice_options options = SLUICE_OPTIONS_INIT;
        struct rig rig = {0};
        int step;

        end_open_source(&rig.source, END_DISK, bytes, sizeof bytes, NULL);
        end_open_sink(&rig.sink, sink ? END_PIPE : END_DISK,
                      &(struct end_options){.capacity = 1 << 20});
        options.method = SLUICE_METHOD_DIRECT;
        options.chunk = 65536;
        rig_start(&rig, &options);
        assert_true(rig_step(&rig, 65536) > SLUICE_DONE);
        assert_int_equal(ftruncate(rig.source.fd, rig.source.start + 200001), 0);
        while ((step = rig_step(&rig, 0)) == SLUICE_WAIT) {
            struct pollfd fds[] = {{.fd = rig.wait.source_fd, .events = rig.wait.source_events},
                                   {.fd = rig.wait.sink_fd, .events = rig.wait.sink_events}};
            assert_true(poll(fds, 2, 5000) > 0);
        }
        assert_int_equal(step, -ENODATA);
        assert_int_equal(rig_error(&rig).side, SLUICE_SIDE_SOURCE);
        const uint64_t delivered = sluice_transfer_delivered(rig.transfer);
        assert_true(delivered >= 65536 && delivered <= sizeof bytes);
        rig_stop(&rig);
    }
}

static int grow_once(const struct sluice_progress *progress, void *data)
{
    struct rig *rig = data;
    struct stat status;

    fstat(rig->source.fd, &status);
    if (progress->delivered > 0 && status.st_size < rig->source.start + 400000)
        return pwrite(rig->source.fd, bytes + 123457, 300000, rig->source.start + 123457) != 300000;
    return 0;
}

/* What is added before the end is reached is moved, too. */
static void a_source_that_grows_is_followed(void **state)
{
    (void)state;
    if (!must_have_direct())
        skip();
    for (int sink = 0; sink < 2; sink++) {
        struct sluice_options options = SLUICE_OPTIONS_INIT;
        struct rig rig = {0};

        end_open_source(&rig.source, END_DISK, bytes, 123457, NULL);
        end_open_sink(&rig.sink, sink ? END_PIPE : END_DISK,
                      &(struct end_options){.capacity = 1 << 20});
        options.method = SLUICE_METHOD_DIRECT;
        options.progress = grow_once;
        options.progress_data = &rig;
        rig_start(&rig, &options);
        assert_int_equal(rig_run(&rig, 10), 0);
        rig_sink_has(&rig, bytes, 423457);
        rig_stop(&rig);
    }
}

/* ---- cancelled with requests in flight ---- */

static int stop_at(const struct sluice_progress *progress, void *data)
{
    return progress->delivered >= *(const uint64_t *)data;
}

/* The sink has what was delivered and nothing beyond, the source stands behind it. */
static void a_cancel_leaves_the_prefix(void **state)
{
    (void)state;
    if (!must_have_direct())
        skip();
    for (uint64_t at = 1; at < sizeof bytes; at = at * 3 + 70001) {
        struct sluice_options options = SLUICE_OPTIONS_INIT;
        struct rig rig = {0};
        struct stat status;

        end_open_source(&rig.source, END_DISK, bytes, sizeof bytes, NULL);
        end_open_sink(&rig.sink, END_DISK, NULL);
        options.method = SLUICE_METHOD_DIRECT;
        options.chunk = 65536;
        options.progress = stop_at;
        options.progress_data = &at;
        rig_start(&rig, &options);
        const int result = rig_run(&rig, 10);
        const uint64_t delivered = sluice_transfer_delivered(rig.transfer);
        assert_true(result == -ECANCELED || delivered == sizeof bytes);
        assert_int_equal(sluice_transfer_parked(rig.transfer), 0);
        assert_int_equal(lseek(rig.source.fd, 0, SEEK_CUR), rig.source.start + (off_t)delivered);
        assert_int_equal(fstat(rig.sink.fd, &status), 0);
        assert_int_equal(status.st_size, rig.sink.start + (off_t)delivered);
        rig_sink_has(&rig, bytes, delivered);
        rig_stop(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_into_files),
        cmocka_unit_test(files_into_streams),
        cmocka_unit_test(streams_into_files),
        cmocka_unit_test(pieces_of_all_sizes),
        cmocka_unit_test(a_length_ends_it),
        cmocka_unit_test(a_sink_is_not_shortened),
        cmocka_unit_test(only_who_asks_gets_it),
        cmocka_unit_test(a_source_that_shrinks_is_an_error),
        cmocka_unit_test(a_source_that_grows_is_followed),
        cmocka_unit_test(a_cancel_leaves_the_prefix),
    };
    return cmocka_run_group_tests(tests, make_bytes, NULL);
}
