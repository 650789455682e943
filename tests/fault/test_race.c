/* SPDX-License-Identifier: MIT */
/*
 * What another process does to a file in the worst moment: between the library's last look and the
 * kernel's. A source that is cut short there is an error that names it, by every method, and what
 * was delivered is what the file had; a sink that becomes O_APPEND there loses nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/fault/inject.h"
#include "tests/unit/ends.h"

#include "sluice.h"

enum { LENGTH = 500000, CHUNK = 50000 };

static char bytes[LENGTH], got[LENGTH + 1];

static int make_bytes(void **state)
{
    (void)state;
    pattern(bytes, sizeof bytes, 0);
    return 0;
}

struct work {
    struct end source, sink;
    sluice_context *context;
    sluice_endpoint *in, *out;
    sluice_transfer *transfer;
    off_t cut_to;
    bool happened;
};

static void begin(struct work *work, enum end_kind sink, enum sluice_method method)
{
    struct sluice_options options = SLUICE_OPTIONS_INIT;

    end_open_source(&work->source, END_FILE, bytes, LENGTH, NULL);
    end_open_sink(&work->sink, sink, &(struct end_options){.capacity = 1 << 20});
    work->context = sluice_context_new(NULL, NULL);
    options.method = method;
    options.chunk = CHUNK;
    inject_none();
    inject_begin(work->source.fd, work->sink.fd);
    assert_int_equal(sluice_endpoint_from_fd(work->context, work->source.fd, 0, &work->in), 0);
    assert_int_equal(sluice_endpoint_from_fd(work->context, work->sink.fd, 0, &work->out), 0);
    assert_int_equal(
        sluice_transfer_new(work->context, work->in, work->out, &options, &work->transfer, NULL),
        0);
}

static void finish(struct work *work)
{
    inject_end();
    inject_before(POINT_COUNT, 0, NULL, NULL);
    sluice_transfer_discard(work->transfer);
    sluice_endpoint_free(work->in);
    sluice_endpoint_free(work->out);
    sluice_context_free(work->context);
    end_close(&work->source);
    end_close(&work->sink);
}

static const struct {
    enum sluice_method method;
    enum point point;
    enum end_kind sink;
} ways[] = {
    {SLUICE_METHOD_COPY_RANGE, POINT_COPY_RANGE, END_FILE},
    {SLUICE_METHOD_SENDFILE, POINT_SENDFILE, END_FILE},
    {SLUICE_METHOD_SENDFILE, POINT_SENDFILE, END_UNIX},
    {SLUICE_METHOD_SPLICE, POINT_SPLICE_IN, END_FILE},
    {SLUICE_METHOD_SPLICE, POINT_SPLICE_IN, END_PIPE},
    {SLUICE_METHOD_MMAP_WRITE, POINT_MMAP, END_FILE},
    {SLUICE_METHOD_MMAP_WRITE, POINT_WRITE_MAPPED, END_FILE},
    {SLUICE_METHOD_MMAP_WRITE, POINT_WRITE_MAPPED, END_PIPE},
    {SLUICE_METHOD_MMAP_WRITE, POINT_SEND_MAPPED, END_UNIX},
    {SLUICE_METHOD_READ_WRITE, POINT_READ, END_FILE},
    {SLUICE_METHOD_READ_WRITE, POINT_READ, END_UNIX},
};
#define WAYS (sizeof ways / sizeof *ways)

static void cut(void *data)
{
    struct work *work = data;
    if (ftruncate(work->source.fd, work->source.start + work->cut_to) == 0)
        work->happened = true;
}

static void check_cut(struct work *work, int result, uint64_t before, bool by_reference)
{
    struct sluice_error error = {.size = sizeof error};
    const uint64_t delivered = sluice_transfer_delivered(work->transfer);
    const long page = sysconf(_SC_PAGESIZE);

    sluice_transfer_error(work->transfer, &error);
    assert_true(work->happened);
    assert_int_equal(result, -ENODATA);
    assert_int_equal(error.side, SLUICE_SIDE_SOURCE);
    assert_int_equal(error.delivered, delivered);
    assert_int_equal(error.offset, (uint64_t)work->source.start + delivered);
    assert_int_equal(lseek(work->source.fd, 0, SEEK_CUR), work->source.start + (off_t)delivered);
    assert_int_equal(end_received(&work->sink, got, sizeof got), delivered);
    /* What was there before, and what the file still has. Behind it no more than a page's tail.
     * Pages that were passed on by reference and are not yet read lose what the file loses. */
    const uint64_t had = before > (uint64_t)work->cut_to ? before : (uint64_t)work->cut_to;
    const uint64_t sure = by_reference ? (uint64_t)work->cut_to : had;
    assert_memory_equal(got, bytes, sure < delivered ? sure : delivered);
    assert_true(delivered < had + (uint64_t)page);
}

static void a_source_cut_under_a_call(void **state)
{
    /* In the middle, off a page; in the last page, so that all the bytes seem to be there; behind
     * what was delivered; to nothing. */
    static const off_t cuts[] = {300001, 401308, LENGTH - 60, LENGTH - 3000, 10, 0};

    (void)state;
    for (size_t w = 0; w < WAYS; w++)
        for (size_t c = 0; c < sizeof cuts / sizeof *cuts; c++)
            for (unsigned call = 1; call <= 10; call++) {
                struct work work = {.cut_to = cuts[c]};
                if (ways[w].point == POINT_MMAP && call > 1)
                    continue;
                begin(&work, ways[w].sink, ways[w].method);
                inject_before(ways[w].point, call, cut, &work);
                const int result = sluice_transfer_run(work.transfer);
                /* So much had been delivered by the calls before. */
                const uint64_t before =
                    ways[w].point == POINT_MMAP ? 0 : (uint64_t)(call - 1) * CHUNK;
                check_cut(&work, result, before,
                          ways[w].sink != END_FILE && (ways[w].method == SLUICE_METHOD_SENDFILE ||
                                                       ways[w].method == SLUICE_METHOD_SPLICE));
                finish(&work);
            }
}

/* ---- O_APPEND ---- */

static void append(void *data)
{
    struct work *work = data;
    work->happened = fcntl(work->sink.fd, F_SETFL, O_APPEND) == 0;
}

/* The methods that O_APPEND rules out say EINVAL or EBADF then, and fall away at that byte. */
static void a_sink_that_appends_under_a_call(void **state)
{
    static const enum point points[] = {POINT_COPY_RANGE, POINT_SENDFILE, POINT_SPLICE_OUT,
                                        POINT_WRITE_MAPPED, POINT_WRITE};

    (void)state;
    for (size_t p = 0; p < sizeof points / sizeof *points; p++)
        for (unsigned call = 1; call <= 4; call++) {
            struct work work = {0};
            begin(&work, END_FILE, SLUICE_METHOD_AUTO);
            inject_before(points[p], call, append, &work);
            assert_int_equal(sluice_transfer_run(work.transfer), 0);
            assert_int_equal(sluice_transfer_delivered(work.transfer), LENGTH);
            assert_int_equal(end_received(&work.sink, got, sizeof got), LENGTH);
            assert_memory_equal(got, bytes, LENGTH);
            finish(&work);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_source_cut_under_a_call),
        cmocka_unit_test(a_sink_that_appends_under_a_call),
    };
    return cmocka_run_group_tests(tests, make_bytes, NULL);
}
