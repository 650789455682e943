/* SPDX-License-Identifier: MIT */
/*
 * A device whose alignment nobody tells: statx does not say, and reads of what the file system's block
 * suggests are refused. Then it is doubled while that goes on; one that takes nothing has no O_DIRECT,
 * and the next method serves, or the refusal is told.
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
#include "tests/unit/ends.h"

#include "sluice.h"

enum {
    SIZE = (3 << 20) + 777,
    TRIES = 5, /* 4096 to 65536 */
};

static char bytes[SIZE], found[SIZE];

static int open_temporary(void)
{
    const char *directory = getenv("TMPDIR");
    const int fd = open(directory ? directory : "/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    return fd;
}

static bool has_direct(int fd)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const int direct = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
    struct stat status;
    if (direct < 0 || fstat(fd, &status) < 0 || status.st_blksize != 4096)
        return false;
    close(direct);
    return true;
}

struct outcome {
    int error;
    struct sluice_result result;
    uint64_t shifted; /* bytes that lay otherwise in their block than they must */
};

/* `refused`: so many reads say EINVAL at first. */
static void run(unsigned refused, enum sluice_method method, uint64_t offset, struct outcome *ret)
{
    struct sluice_options options = {.size = sizeof options,
                                     .flags = SLUICE_SOURCE_OFFSET | SLUICE_SINK_OFFSET,
                                     .source_offset = offset,
                                     .method = method,
                                     .cache = SLUICE_CACHE_BYPASS,
                                     .reflink = SLUICE_NEVER};
    const int in = open_temporary(), out = open_temporary();
    sluice_endpoint *source, *sink;
    struct sluice_error error = {.size = sizeof error};
    sluice_transfer *transfer;

    if (!has_direct(in)) {
        print_message("SKIP: no O_DIRECT of 4096 bytes in $TMPDIR\n");
        skip();
    }
    assert_int_equal(pwrite(in, bytes, SIZE, 0), SIZE);
    inject_none();
    inject(
        &(struct fault){.point = POINT_ALIGNMENT, .from = 1, .times = ALWAYS, .error = EOPNOTSUPP});
    if (refused)
        inject(&(struct fault){.point = POINT_READ, .from = 1, .times = refused, .error = EINVAL});
    inject_begin(in, out);
    sluice_context *context = sluice_context_new(NULL, NULL);
    assert_int_equal(sluice_endpoint_from_fd(context, in, SLUICE_BORROW, &source), 0);
    assert_int_equal(sluice_endpoint_from_fd(context, out, SLUICE_BORROW, &sink), 0);
    *ret = (struct outcome){.result.size = sizeof ret->result};
    ret->result.ledger.size = sizeof ret->result.ledger;
    ret->error = sluice_transfer_new(context, source, sink, &options, &transfer, &error);
    assert_int_equal(ret->error, 0);
    ret->error = sluice_transfer_run(transfer);
    sluice_transfer_ledger(transfer, &ret->result.ledger);
    for (unsigned i = 0; i < ret->result.ledger.rows; i++) {
        struct sluice_row row = {.size = sizeof row};
        assert_int_equal(sluice_transfer_row(transfer, i, &row), 0);
        if (strcmp(row.leg.call, "memmove") == 0)
            ret->shifted += row.bytes;
    }
    sluice_transfer_discard(transfer);
    inject_end();
    inject_none();
    const size_t length = SIZE - offset;
    if (ret->error == 0) {
        assert_int_equal(ret->result.ledger.delivered, length);
        assert_int_equal(pread(out, found, sizeof found, 0), (ssize_t)length);
        assert_memory_equal(found, bytes + offset, length);
    }
    sluice_endpoint_free(source);
    sluice_endpoint_free(sink);
    sluice_context_free(context);
    close(in);
    close(out);
}

/* 8192 is a whole block of a device that takes 4096, and none of one that refuses 4096 and 8192. */
static void it_is_doubled_while_reads_are_refused(void **state)
{
    struct outcome outcome;

    (void)state;
    for (unsigned refused = 0; refused < TRIES; refused++) {
        run(refused, SLUICE_METHOD_DIRECT, 8192, &outcome);
        assert_int_equal(outcome.error, 0);
        assert_int_equal(outcome.result.ledger.method, SLUICE_METHOD_DIRECT);
        assert_int_equal(outcome.result.ledger.fallbacks, 0);
        if (refused >= 2)
            assert_in_range(outcome.shifted, 1, SIZE);
        else
            assert_int_equal(outcome.shifted, 0);
    }
}

static void one_that_takes_nothing_is_left(void **state)
{
    struct outcome outcome;

    (void)state;
    run(TRIES, SLUICE_METHOD_AUTO, 0, &outcome);
    assert_int_equal(outcome.error, 0);
    assert_int_equal(outcome.result.ledger.fallbacks, 1);
    assert_int_not_equal(outcome.result.ledger.method, SLUICE_METHOD_DIRECT);
    run(TRIES, SLUICE_METHOD_DIRECT, 0, &outcome);
    assert_int_equal(outcome.error, -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_doubled_while_reads_are_refused),
        cmocka_unit_test(one_that_takes_nothing_is_left),
    };
    pattern(bytes, SIZE, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
