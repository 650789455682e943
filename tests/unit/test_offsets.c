/* SPDX-License-Identifier: MIT */
/*
 * Offsets and lengths, by every method: an explicit offset leaves the descriptor's own where it
 * was; without one, the descriptor's own stands after the last delivered byte, also when the
 * transfer failed, was cancelled or was limited.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/rig.h"

static char bytes[200000];

static int make_bytes(void **state)
{
    (void)state;
    pattern(bytes, sizeof bytes, 0);
    return 0;
}

static const enum sluice_method methods[] = {
    SLUICE_METHOD_AUTO,   SLUICE_METHOD_COPY_RANGE, SLUICE_METHOD_SENDFILE,
    SLUICE_METHOD_SPLICE, SLUICE_METHOD_MMAP_WRITE, SLUICE_METHOD_READ_WRITE,
};
#define METHODS (sizeof methods / sizeof *methods)

static const enum end_kind sinks[] = {END_FILE, END_DISK, END_PIPE, END_TCP, END_UNIX, END_NULL};
#define SINKS (sizeof sinks / sizeof *sinks)

/* Whether the method serves a file and this sink, with these options. */
static bool serves(enum end_kind sink, const struct sluice_options *options)
{
    const bool within = sink == END_FILE;
    if (options->method == SLUICE_METHOD_COPY_RANGE)
        return within;
    if (options->method == SLUICE_METHOD_SENDFILE)
        return !(options->flags & SLUICE_SINK_OFFSET);
    return true;
}

static off_t own_offset(int fd)
{
    return lseek(fd, 0, SEEK_CUR);
}

/* ---- done ---- */

static void check_done(enum end_kind sink, struct sluice_options options, size_t length)
{
    const bool given_in = options.flags & SLUICE_SOURCE_OFFSET;
    const bool given_out = options.flags & SLUICE_SINK_OFFSET;
    struct rig rig = {0};

    end_open_source(&rig.source, END_FILE, bytes, sizeof bytes, NULL);
    end_open_sink(&rig.sink, sink, &(struct end_options){.capacity = 1 << 18});
    options.source_offset = (uint64_t)rig.source.start;
    options.sink_offset = (uint64_t)rig.sink.start;
    if (given_in)
        lseek(rig.source.fd, 31, SEEK_SET);
    if (given_out)
        lseek(rig.sink.fd, 37, SEEK_SET);
    rig_start(&rig, &options);
    assert_int_equal(rig_run(&rig, 10), 0);
    assert_int_equal(sluice_transfer_delivered(rig.transfer), length);
    assert_int_equal(own_offset(rig.source.fd), given_in ? 31 : rig.source.start + (off_t)length);
    if (end_has_offset(sink))
        assert_int_equal(own_offset(rig.sink.fd), given_out ? 37 : rig.sink.start + (off_t)length);
    if (sink != END_NULL)
        rig_sink_has(&rig, bytes, length);
    rig_stop(&rig);
}

static void offsets_of_a_transfer_that_is_done(void **state)
{
    static const uint32_t flags[] = {0, SLUICE_SOURCE_OFFSET, SLUICE_SINK_OFFSET,
                                     SLUICE_SOURCE_OFFSET | SLUICE_SINK_OFFSET};
    static const size_t lengths[] = {0, 1, 4095, 4096, 4097, 65536, 65537, 123456};

    (void)state;
    for (size_t m = 0; m < METHODS; m++)
        for (size_t s = 0; s < SINKS; s++)
            for (size_t f = 0; f < 4; f++)
                for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
                    struct sluice_options options = SLUICE_OPTIONS_INIT;
                    options.method = methods[m];
                    options.flags = flags[f] | SLUICE_LENGTH;
                    options.length = lengths[l];
                    if ((flags[f] & SLUICE_SINK_OFFSET) && !end_has_offset(sinks[s]))
                        continue;
                    if (serves(sinks[s], &options))
                        check_done(sinks[s], options, lengths[l]);
                }
}

/* ---- stopped ---- */

/* The sink takes `room` bytes and then fails: a file that may not grow. */
static int limited_file(struct end *end, size_t room)
{
    *end = (struct end){.kind = END_FILE, .peer = -1, .start = 50};
    end->fd = memfd_create("limited", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (ftruncate(end->fd, end->start + (off_t)room) < 0)
        return -1;
    lseek(end->fd, end->start, SEEK_SET);
    end->flags = fcntl(end->fd, F_GETFL);
    return fcntl(end->fd, F_ADD_SEALS, F_SEAL_GROW);
}

static void offsets_after_a_sink_has_failed(void **state)
{
    static const uint32_t flags[] = {0, SLUICE_SOURCE_OFFSET, SLUICE_SINK_OFFSET,
                                     SLUICE_SOURCE_OFFSET | SLUICE_SINK_OFFSET};

    (void)state;
    for (size_t m = 0; m < METHODS; m++)
        for (size_t f = 0; f < 4; f++) {
            struct sluice_options options = SLUICE_OPTIONS_INIT;
            struct rig rig = {0};

            options.method = methods[m];
            options.flags = flags[f];
            options.chunk = 8192;
            if (!serves(END_FILE, &options))
                continue;
            end_open_source(&rig.source, END_FILE, bytes, sizeof bytes, NULL);
            assert_int_equal(limited_file(&rig.sink, 50000), 0);
            options.source_offset = (uint64_t)rig.source.start;
            options.sink_offset = (uint64_t)rig.sink.start;
            if (flags[f] & SLUICE_SOURCE_OFFSET)
                lseek(rig.source.fd, 31, SEEK_SET);
            if (flags[f] & SLUICE_SINK_OFFSET)
                lseek(rig.sink.fd, 37, SEEK_SET);
            rig_start(&rig, &options);
            assert_int_equal(rig_run(&rig, 10), -EPERM);
            const struct sluice_error error = rig_error(&rig);
            assert_int_equal(error.parked, 0); /* the source can be read again */
            assert_in_range(error.delivered, 40000, 50000);
            assert_int_equal(
                own_offset(rig.source.fd),
                flags[f] & SLUICE_SOURCE_OFFSET ? 31 : rig.source.start + (off_t)error.delivered);
            assert_int_equal(
                own_offset(rig.sink.fd),
                flags[f] & SLUICE_SINK_OFFSET ? 37 : rig.sink.start + (off_t)error.delivered);
            static char got[50000];
            assert_int_equal(pread(rig.sink.fd, got, sizeof got, rig.sink.start), 50000);
            assert_memory_equal(got, bytes, error.delivered);
            rig_stop(&rig);
        }
}

/* A sink that is full while bytes are parked, and then the transfer is given up: the source stands
 * after the last delivered byte, and nothing is parked any more. */
static void offsets_after_a_transfer_was_given_up(void **state)
{
    static const enum end_kind kinds[] = {END_PIPE, END_TCP, END_UNIX};

    (void)state;
    for (size_t k = 0; k < 3; k++)
        for (size_t m = 0; m < METHODS; m++)
            for (int own = 0; own < 2; own++) {
                struct sluice_options options = SLUICE_OPTIONS_INIT;
                sluice_cancel *cancel;
                struct rig rig = {0};

                options.method = methods[m];
                options.flags = own ? 0 : SLUICE_SOURCE_OFFSET;
                if (!serves(kinds[k], &options))
                    continue;
                assert_int_equal(sluice_cancel_new(0, &cancel), 0);
                options.cancel = cancel;
                end_open_source(&rig.source, END_FILE, bytes, sizeof bytes, NULL);
                options.source_offset = (uint64_t)rig.source.start;
                if (!own)
                    lseek(rig.source.fd, 31, SEEK_SET);
                end_open_sink(&rig.sink, kinds[k], &(struct end_options){.capacity = 4096});
                rig_start(&rig, &options);
                assert_int_equal(rig_step(&rig, 0), SLUICE_WAIT);
                sluice_cancel_fire(cancel);
                assert_int_equal(rig_step(&rig, 0), -ECANCELED);
                const struct sluice_error error = rig_error(&rig);
                assert_int_equal(error.parked, 0);
                assert_int_equal(own_offset(rig.source.fd),
                                 own ? rig.source.start + (off_t)error.delivered : 31);
                rig_sink_has(&rig, bytes, error.delivered);
                rig_stop(&rig);
                sluice_cancel_free(cancel);
            }
}

/* Freed in mid-flight: bytes of a file go back, and are not said to be lost. */
static void offsets_after_a_transfer_was_discarded(void **state)
{
    (void)state;
    for (int splice = 0; splice < 2; splice++) {
        struct sluice_options options = SLUICE_OPTIONS_INIT;
        struct rig rig = {0};

        options.method = splice ? SLUICE_METHOD_SPLICE : SLUICE_METHOD_READ_WRITE;
        end_open_source(&rig.source, END_FILE, bytes, sizeof bytes, NULL);
        end_open_sink(&rig.sink, END_UNIX, &(struct end_options){.capacity = 4096});
        rig_start(&rig, &options);
        assert_int_equal(rig_step(&rig, 0), SLUICE_WAIT);
        const uint64_t delivered = sluice_transfer_delivered(rig.transfer);
        assert_true(sluice_transfer_parked(rig.transfer) > 0);
        assert_int_equal(sluice_transfer_discard(rig.transfer), 0);
        rig.transfer = NULL;
        assert_int_equal(own_offset(rig.source.fd), rig.source.start + (off_t)delivered);
        rig_stop(&rig);
    }
}

/* ---- lengths ---- */

static void a_length_beyond_the_end(void **state)
{
    static const enum end_kind sources[] = {END_FILE, END_PIPE, END_TCP, END_UNIX};

    (void)state;
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        for (int exact = 0; exact < 2; exact++) {
            struct sluice_options options = SLUICE_OPTIONS_INIT;
            struct rig rig = {0};
            options.flags = SLUICE_LENGTH | (exact ? SLUICE_EXACT : 0);
            options.length = 30001;
            end_open_source(&rig.source, sources[i], bytes, 30000, NULL);
            end_open_sink(&rig.sink, END_FILE, NULL);
            rig_start(&rig, &options);
            assert_int_equal(rig_run(&rig, 5), exact ? -ENODATA : 0);
            assert_int_equal(sluice_transfer_delivered(rig.transfer), 30000);
            if (exact) {
                assert_int_equal(rig_error(&rig).side, SLUICE_SIDE_SOURCE);
                assert_non_null(rig_error(&rig).reason);
            }
            rig_sink_has(&rig, bytes, 30000);
            rig_stop(&rig);
        }
}

/* What is beyond the length stays in the source. */
static void a_length_within_leaves_the_rest(void **state)
{
    static const enum end_kind sources[] = {END_PIPE, END_TCP, END_UNIX};
    static const size_t lengths[] = {0, 1, 5000, 29999, 30000};

    (void)state;
    for (size_t i = 0; i < 3; i++)
        for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++)
            for (int splice = 0; splice < 2; splice++) {
                static char rest[30001];
                struct sluice_options options = SLUICE_OPTIONS_INIT;
                struct rig rig = {0};
                options.flags = SLUICE_LENGTH | SLUICE_EXACT;
                options.length = lengths[l];
                options.method = splice ? SLUICE_METHOD_SPLICE : SLUICE_METHOD_READ_WRITE;
                end_open_source(&rig.source, sources[i], bytes, 30000, NULL);
                end_open_sink(&rig.sink, END_FILE, NULL);
                rig_start(&rig, &options);
                assert_int_equal(rig_run(&rig, 5), 0);
                rig_sink_has(&rig, bytes, lengths[l]);
                assert_int_equal(end_rest(&rig.source, rest, sizeof rest), 30000 - lengths[l]);
                assert_memory_equal(rest, bytes + lengths[l], 30000 - lengths[l]);
                rig_stop(&rig);
            }
}

static void a_source_offset_beyond_the_end_is_the_end(void **state)
{
    (void)state;
    for (size_t m = 0; m < METHODS; m++)
        for (int own = 0; own < 2; own++) {
            struct sluice_options options = SLUICE_OPTIONS_INIT;
            struct rig rig = {0};
            options.method = methods[m];
            options.flags = own ? 0 : SLUICE_SOURCE_OFFSET;
            options.source_offset = 10000;
            end_open_source(&rig.source, END_FILE, bytes, 1000, NULL);
            end_open_sink(&rig.sink, END_FILE, NULL);
            if (own)
                lseek(rig.source.fd, 10000, SEEK_SET);
            rig_start(&rig, &options);
            assert_int_equal(rig_run(&rig, 5), 0);
            assert_int_equal(sluice_transfer_delivered(rig.transfer), 0);
            if (own)
                assert_int_equal(own_offset(rig.source.fd), 10000);
            rig_stop(&rig);
        }
}

/* Beyond 4 GiB, where 32 bits are not enough. */
static void offsets_are_of_64_bits(void **state)
{
    const uint64_t far = UINT64_C(5) << 30;

    (void)state;
    for (size_t m = 0; m < METHODS; m++) {
        static char got[70001];
        struct sluice_options options = SLUICE_OPTIONS_INIT;
        struct rig rig = {0};
        options.method = methods[m];
        options.flags = SLUICE_SOURCE_OFFSET;
        if (methods[m] != SLUICE_METHOD_SENDFILE)
            options.flags |= SLUICE_SINK_OFFSET;
        options.source_offset = far + 123;
        options.sink_offset = 2 * far + 77;
        end_open_source(&rig.source, END_FILE, "", 0, NULL);
        end_open_sink(&rig.sink, END_FILE, NULL);
        assert_int_equal(pwrite(rig.source.fd, bytes, 70000, (off_t)far + 123), 70000);
        if (methods[m] == SLUICE_METHOD_SENDFILE)
            lseek(rig.sink.fd, (off_t)options.sink_offset, SEEK_SET);
        rig_start(&rig, &options);
        assert_int_equal(rig_run(&rig, 5), 0);
        assert_int_equal(lseek(rig.sink.fd, 0, SEEK_END), (off_t)(2 * far + 77 + 70000));
        assert_int_equal(pread(rig.sink.fd, got, 70001, (off_t)(2 * far + 77)), 70000);
        assert_memory_equal(got, bytes, 70000);
        rig_stop(&rig);
    }
}

/* A file that has grown since the transfer was made is moved to where it ends now. */
static void a_file_that_grows_is_moved_whole(void **state)
{
    (void)state;
    for (size_t m = 0; m < METHODS; m++) {
        struct sluice_options options = SLUICE_OPTIONS_INIT;
        struct rig rig = {0};
        options.method = methods[m];
        end_open_source(&rig.source, END_FILE, bytes, 50000, NULL);
        end_open_sink(&rig.sink, END_FILE, NULL);
        rig_start(&rig, &options);
        assert_int_equal(pwrite(rig.source.fd, bytes + 50000, 100000, rig.source.start + 50000),
                         100000);
        assert_int_equal(rig_run(&rig, 5), 0);
        rig_sink_has(&rig, bytes, 150000);
        rig_stop(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_of_a_transfer_that_is_done),
        cmocka_unit_test(offsets_after_a_sink_has_failed),
        cmocka_unit_test(offsets_after_a_transfer_was_given_up),
        cmocka_unit_test(offsets_after_a_transfer_was_discarded),
        cmocka_unit_test(a_length_beyond_the_end),
        cmocka_unit_test(a_length_within_leaves_the_rest),
        cmocka_unit_test(a_source_offset_beyond_the_end_is_the_end),
        cmocka_unit_test(offsets_are_of_64_bits),
        cmocka_unit_test(a_file_that_grows_is_moved_whole),
    };
    return cmocka_run_group_tests(tests, make_bytes, NULL);
}
