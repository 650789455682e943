/* SPDX-License-Identifier: MIT */
/*
 * What is done for files beside moving bytes: sharing extents, seeking holes, punching them, asking
 * for and dropping what is in the page cache. Each errno of each of these calls' manual pages
 * (manual.c) is made to happen, at its first calls and always: the sink holds the right bytes, or the
 * failure is told and nothing is unaccounted for.
 *
 * timeout: 300
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/fault/inject.h"
#include "tests/fault/manual.h"
#include "tests/unit/ends.h"

#include "sluice.h"

enum { SIZE = 900 * 1024 + 77, DATA_AT = 256 * 1024, DATA = 300 * 1024, LATER = 700 * 1024 };

static char bytes[SIZE], found[SIZE + 1];

struct variant {
    const char *name;
    struct sluice_options options;
};

static const struct variant variants[] = {
    {"auto", {.cache = SLUICE_CACHE_KEEP}},
    {"part",
     {.flags = SLUICE_SOURCE_OFFSET | SLUICE_LENGTH, .source_offset = 4097, .length = 600000}},
    {"own extents", {.reflink = SLUICE_NEVER}},
    {"dropped", {.reflink = SLUICE_NEVER, .cache = SLUICE_CACHE_DROP}},
    {"dropped by windows",
     {.reflink = SLUICE_NEVER, .cache = SLUICE_CACHE_DROP, .method = SLUICE_METHOD_SPLICE}},
    {"made holes", {.sparse = SLUICE_ALWAYS}},
    {"no holes", {.sparse = SLUICE_NEVER}},
};

static const enum point points[] = {POINT_CLONE_RANGE,   POINT_FTRUNCATE,       POINT_FALLOCATE,
                                    POINT_SEEK_HOLES,    POINT_CACHESTAT,       POINT_FADVISE,
                                    POINT_READ_NOWAIT,   POINT_SYNC_FILE_RANGE, POINT_COPY_RANGE,
                                    POINT_READ_UNCACHED, POINT_WRITE_UNCACHED};

/* EAGAIN and EINTR for good would be for ever: this is a storm. */
enum { STORM = 25 };

static int open_in(const char *directory, int *ret)
{
    *ret = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    return *ret < 0 ? -errno : 0;
}

static void fill_source(int fd)
{
    assert_int_equal(pwrite(fd, bytes + DATA_AT, DATA, DATA_AT), DATA);
    assert_int_equal(pwrite(fd, bytes + LATER, SIZE - LATER, LATER), SIZE - LATER);
    assert_int_equal(fsync(fd), 0);
}

/* Returns what the transfer returned, after looking at everything. */
static int run(const char *directory, const struct variant *variant, const struct fault *fault)
{
    struct sluice_options options = variant->options;
    struct sluice_result result = {.size = sizeof result};
    sluice_endpoint *source, *sink;
    int in, out;

    options.size = sizeof options;
    options.chunk = options.cache == SLUICE_CACHE_DROP ? 65536 : 0;
    assert_int_equal(open_in(directory, &in), 0);
    assert_int_equal(open_in(directory, &out), 0);
    fill_source(in);
    assert_int_equal(ftruncate(out, 10000), 0); /* something old, to be punched */
    inject_none();
    if (fault)
        inject(fault);
    inject_begin(in, out);
    sluice_context *context = sluice_context_new(NULL, NULL);
    assert_int_equal(sluice_endpoint_from_fd(context, in, SLUICE_BORROW, &source), 0);
    assert_int_equal(sluice_endpoint_from_fd(context, out, SLUICE_BORROW, &sink), 0);
    const int error = sluice_copy(context, source, sink, &options, &result);
    inject_end();
    inject_none();
    const size_t begin = options.flags & SLUICE_SOURCE_OFFSET ? options.source_offset : 0;
    const size_t length = options.flags & SLUICE_LENGTH ? options.length : SIZE;
    const size_t delivered = result.ledger.delivered;
    assert_int_equal(result.ledger.delivered + result.ledger.parked, result.ledger.taken);
    assert_in_range(delivered, error ? 0 : length, length);
    assert_true(pread(out, found, sizeof found, 0) >= (ssize_t)delivered);
    assert_memory_equal(found, bytes + begin, delivered);
    sluice_endpoint_free(source);
    sluice_endpoint_free(sink);
    sluice_context_free(context);
    close(in);
    close(out);
    return error;
}

/* Of a method that was asked for by name there is no next one. */
static bool may_fail(const struct variant *variant, const struct manual_row *row)
{
    const bool named = variant->options.method != SLUICE_METHOD_AUTO;
    return row->expected == EXPECT_ERROR || row->expected == EXPECT_ERROR_OR_DONE ||
           (named && row->expected == EXPECT_FALLBACK);
}

/* One errno of the manual, at a call that was made: as it says. */
static void check(const char *directory, const struct variant *variant,
                  const struct manual_row *row, const struct fault *fault)
{
    const int error = run(directory, variant, fault);
    const char *what = errno_name(row->error), *where = point_name(fault->point);

    if (error < 0 && !may_fail(variant, row))
        fail_msg("%s, %s: %s at call %u of %s: %s", directory, variant->name, what, fault->from,
                 where, strerror(-error));
    if (error == 0 && row->expected == EXPECT_ERROR && seen.struck > 0)
        fail_msg("%s, %s: %s at call %u of %s was not told", directory, variant->name, what,
                 fault->from, where);
}

static unsigned cases_at(const char *directory, const struct variant *variant, enum point point,
                         unsigned calls)
{
    unsigned cases = 0;

    for (const struct manual_row *row = manual; row->points; row++) {
        const bool passes = row->error == EAGAIN || row->error == EINTR;
        if (!(row->points >> point & 1))
            continue;
        for (unsigned from = 1; from <= 3 && from <= calls; from++, cases++)
            check(directory, variant, row,
                  &(struct fault){.point = point, .from = from, .times = 1, .error = row->error});
        check(
            directory, variant, row,
            &(struct fault){
                .point = point, .from = 1, .times = passes ? STORM : ALWAYS, .error = row->error});
        cases++;
    }
    return cases;
}

static unsigned cases_on(const char *directory)
{
    unsigned cases = 0;

    for (size_t v = 0; v < sizeof variants / sizeof *variants; v++) {
        assert_int_equal(run(directory, &variants[v], NULL), 0);
        const struct seen reference = seen;
        for (size_t p = 0; p < sizeof points / sizeof *points; p++)
            if (reference.calls[points[p]] > 0)
                cases += cases_at(directory, &variants[v], points[p], reference.calls[points[p]]);
    }
    return cases;
}

/* On each file system that the tests were given, or where temporary files are. */
static void every_file_call_may_fail(void **state)
{
    const char *given = getenv("SLUICE_FS"), *temporary = getenv("TMPDIR");
    char text[4096];
    unsigned cases = 0, places = 0;

    (void)state;
    pattern(bytes, SIZE, 0);
    memset(bytes, 0, DATA_AT); /* the holes */
    memset(bytes + DATA_AT + DATA, 0, LATER - DATA_AT - DATA);
    snprintf(text, sizeof text, "%s", given ? given : "");
    for (char *rest = text, *word; (word = strtok_r(rest, " ", &rest));) {
        char *directory = strchr(word, ':');
        int fd;
        if (!directory || strncmp(word, "fuse", 4) == 0 || open_in(++directory, &fd) < 0)
            continue;
        close(fd);
        cases += cases_on(directory);
        places++;
    }
    if (places == 0)
        cases += cases_on(temporary ? temporary : "/var/tmp");
    printf("faults of calls for files: %u cases\n", cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_file_call_may_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
