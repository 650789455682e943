/* SPDX-License-Identifier: MIT */
/*
 * A file that is cut short while it is read: an error which names the source and the offset, by
 * every method, and never a signal. What was delivered before is the file's as it was, save that
 * mmap-write may have written zeros up to the end of the page in which the file now ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/rig.h"

enum { LENGTH = 3000000, CHUNK = 100000 };

static char bytes[LENGTH], got[LENGTH + 1];

static int make_bytes(void **state)
{
    (void)state;
    pattern(bytes, sizeof bytes, 0);
    return 0;
}

struct cut {
    struct end *source;
    off_t to;       /* counted from where the transfer begins */
    uint64_t after; /* so many delivered bytes */
    bool done;
};

static int cut_source(const struct sluice_progress *progress, void *data)
{
    struct cut *cut = data;
    if (!cut->done && progress->delivered >= cut->after) {
        cut->done = true;
        if (ftruncate(cut->source->fd, cut->source->start + cut->to) < 0)
            return 1;
    }
    return 0;
}

/* A sink that others read meanwhile, where it would fill up. */
static size_t drained;

static int cut_and_drain(const struct sluice_progress *progress, void *data)
{
    struct {
        struct cut cut;
        struct end *sink;
    } *both = data;
    drained += end_drain(both->sink, got + drained, sizeof got - drained);
    return cut_source(progress, &both->cut);
}

static void run_cut(enum end_kind source, enum end_kind sink, enum sluice_method method, off_t to,
                    uint64_t after, bool own_offset)
{
    struct sluice_options options = SLUICE_OPTIONS_INIT;
    struct rig rig = {0};
    struct {
        struct cut cut;
        struct end *sink;
    } both = {{&rig.source, to, after, false}, &rig.sink};
    const long page = sysconf(_SC_PAGESIZE);

    end_open_source(&rig.source, source, bytes, LENGTH, NULL);
    end_open_sink(&rig.sink, sink, &(struct end_options){.capacity = 1 << 20});
    options.method = method;
    options.chunk = CHUNK;
    options.progress = cut_and_drain;
    options.progress_data = &both;
    if (!own_offset) {
        options.flags = SLUICE_SOURCE_OFFSET;
        options.source_offset = (uint64_t)rig.source.start;
    }
    drained = 0;
    rig_start(&rig, &options);
    const int result = rig_run(&rig, 20);
    const struct sluice_error error = rig_error(&rig);
    assert_true(both.cut.done);
    assert_int_equal(result, -ENODATA);
    assert_int_equal(error.side, SLUICE_SIDE_SOURCE);
    assert_non_null(error.operation);
    assert_non_null(error.reason);
    assert_int_equal(error.parked, 0);
    assert_int_equal(error.offset, (uint64_t)rig.source.start + error.delivered);
    assert_true(error.delivered >= after);
    if (own_offset)
        assert_int_equal(lseek(rig.source.fd, 0, SEEK_CUR),
                         rig.source.start + (off_t)error.delivered);

    drained += end_received(&rig.sink, got + drained, sizeof got - drained);
    assert_int_equal(drained, error.delivered);
    /* What the file still has is as it was; nothing follows but the tail of a page. */
    const uint64_t kept = (uint64_t)to > after ? (uint64_t)to : after;
    const size_t same = kept < error.delivered ? kept : error.delivered;
    assert_memory_equal(got, bytes, same);
    assert_true(error.delivered <= kept + (uint64_t)(page - 1) || to <= (off_t)after);
    rig_stop(&rig);
}

static const enum sluice_method methods[] = {
    SLUICE_METHOD_AUTO,   SLUICE_METHOD_COPY_RANGE, SLUICE_METHOD_SENDFILE,
    SLUICE_METHOD_SPLICE, SLUICE_METHOD_MMAP_WRITE, SLUICE_METHOD_READ_WRITE,
};

static void a_file_cut_short_is_an_error(void **state)
{
    static const enum end_kind sources[] = {END_FILE, END_DISK};
    static const enum end_kind sinks[] = {END_FILE, END_PIPE, END_UNIX, END_TCP, END_NULL};
    /* Ahead of what is delivered: on a page and off it; where it stands; behind it; to nothing. */
    static const off_t cuts[] = {1024000 - 100, 1000001, 600000, 300000, 1000, 0};

    (void)state;
    for (size_t i = 0; i < 2; i++)
        for (size_t s = 0; s < sizeof sinks / sizeof *sinks; s++)
            for (size_t m = 0; m < sizeof methods / sizeof *methods; m++)
                for (size_t c = 0; c < sizeof cuts / sizeof *cuts; c++) {
                    if (methods[m] == SLUICE_METHOD_COPY_RANGE &&
                        !(sources[i] == END_FILE && sinks[s] == END_FILE))
                        continue;
                    if (sinks[s] == END_NULL)
                        continue; /* nothing can be compared, and page references are not read */
                    run_cut(sources[i], sinks[s], methods[m], cuts[c], 200000, (c + m) % 2);
                }
}

/* Cut before the first byte, after the transfer was made. */
static void a_file_emptied_before_the_start_is_an_error(void **state)
{
    (void)state;
    for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
        struct sluice_options options = SLUICE_OPTIONS_INIT;
        struct rig rig = {0};
        options.method = methods[m];
        end_open_source(&rig.source, END_FILE, bytes, 50000, NULL);
        end_open_sink(&rig.sink, END_FILE, NULL);
        rig_start(&rig, &options);
        assert_int_equal(ftruncate(rig.source.fd, rig.source.start), 0);
        assert_int_equal(rig_run(&rig, 5), -ENODATA);
        assert_int_equal(rig_error(&rig).side, SLUICE_SIDE_SOURCE);
        assert_int_equal(rig_error(&rig).offset, rig.source.start);
        assert_int_equal(rig_error(&rig).delivered, 0);
        rig_stop(&rig);
    }
}

/* Cut beyond the length that was asked for: that is nobody's loss. */
static void a_cut_beyond_the_length_is_none(void **state)
{
    (void)state;
    for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
        struct sluice_options options = SLUICE_OPTIONS_INIT;
        struct rig rig = {0};
        struct cut cut = {&rig.source, 700000, 200000, false};
        options.method = methods[m];
        options.chunk = CHUNK;
        options.flags = SLUICE_LENGTH;
        options.length = 650000;
        options.progress = cut_source;
        options.progress_data = &cut;
        end_open_source(&rig.source, END_FILE, bytes, LENGTH, NULL);
        end_open_sink(&rig.sink, END_FILE, NULL);
        rig_start(&rig, &options);
        assert_int_equal(rig_run(&rig, 5), 0);
        assert_true(cut.done);
        rig_sink_has(&rig, bytes, 650000);
        rig_stop(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_cut_short_is_an_error),
        cmocka_unit_test(a_file_emptied_before_the_start_is_an_error),
        cmocka_unit_test(a_cut_beyond_the_length_is_none),
    };
    return cmocka_run_group_tests(tests, make_bytes, NULL);
}
