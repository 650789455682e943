/* SPDX-License-Identifier: MIT */
/*
 * A snapshot by a clone, and each call that makes one failing in each way: then bytes are copied, all
 * of them, and the ledger has the reason. Where a clone cannot be done without, it is refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/fault/inject.h"
#include "tests/fault/manual.h"
#include "tests/unit/ends.h"

#include "sluice.h"

enum { SIZE = (4 << 20) + 777 };

static char bytes[SIZE], found[SIZE + 1];

static const enum point points[] = {POINT_READLINK, POINT_OPEN,      POINT_CLONE_RANGE,
                                    POINT_FSTAT,    POINT_CACHESTAT, POINT_DUP};

static const int errors[] = {EIO,    ENOSPC, EDQUOT, EACCES,     ENOSYS, ENOENT,
                             EMFILE, EXDEV,  EINVAL, EOPNOTSUPP, EINTR};

struct drain {
    int fd;
    size_t length;
};

static void *drain(void *data)
{
    struct drain *drain = data;
    for (ssize_t value;
         (value = read(drain->fd, found + drain->length, sizeof found - drain->length)) > 0;)
        drain->length += (size_t)value;
    return NULL;
}

/* The file is in nobody's cache. Returns whether a clone was read. */
static bool run(int in, enum sluice_method method, const struct fault *fault, int *ret_error)
{
    const struct sluice_options options = {
        .size = sizeof options, .flags = SLUICE_SNAPSHOT, .method = method};
    struct sluice_error error = {.size = sizeof error};
    struct sluice_ledger ledger = {.size = sizeof ledger};
    sluice_endpoint *source, *sink;
    sluice_transfer *transfer;
    bool cloned = false;
    pthread_t thread;
    int pipe[2];

    assert_int_equal(lseek(in, 0, SEEK_SET), 0);
    posix_fadvise(in, 0, 0, POSIX_FADV_DONTNEED);
    assert_int_equal(pipe2(pipe, O_CLOEXEC), 0);
    struct drain drained = {.fd = pipe[0]};
    assert_int_equal(pthread_create(&thread, NULL, drain, &drained), 0);
    sluice_context *context = sluice_context_new(NULL, NULL);
    assert_int_equal(sluice_endpoint_from_fd(context, in, SLUICE_BORROW, &source), 0);
    assert_int_equal(sluice_endpoint_from_fd(context, pipe[1], SLUICE_BORROW, &sink), 0);
    inject_none();
    if (fault)
        inject(fault);
    inject_begin(in, pipe[1]);
    *ret_error = sluice_transfer_new(context, source, sink, &options, &transfer, &error);
    if (*ret_error == 0) {
        *ret_error = sluice_transfer_run(transfer);
        sluice_transfer_ledger(transfer, &ledger);
        for (unsigned i = 0; i < ledger.rows; i++) {
            struct sluice_row row = {.size = sizeof row};
            assert_int_equal(sluice_transfer_row(transfer, i, &row), 0);
            cloned |= strcmp(row.leg.to, "clone") == 0;
        }
        if (*ret_error == 0 && !cloned && seen.fired > 0 && fault->point != POINT_CACHESTAT)
            assert_true(ledger.fallbacks > 0);
        sluice_transfer_discard(transfer);
    }
    sluice_endpoint_free(source);
    sluice_endpoint_free(sink);
    sluice_context_free(context);
    assert_int_equal(seen.descriptors, 2); /* those of the test */
    inject_end();
    inject_none();
    close(pipe[1]);
    pthread_join(thread, NULL);
    close(pipe[0]);
    assert_int_equal(drained.length, ledger.delivered);
    assert_memory_equal(found, bytes, drained.length);
    if (*ret_error == 0) {
        assert_int_equal(drained.length, SIZE);
        assert_int_equal(lseek(in, 0, SEEK_CUR), SIZE);
    }
    return cloned;
}

static unsigned on_place(const char *directory)
{
    unsigned cases = 0;
    int error;

    const int in = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    assert_true(in >= 0);
    assert_int_equal(pwrite(in, bytes, SIZE, 0), SIZE);
    assert_int_equal(fsync(in), 0);
    assert_true(run(in, SLUICE_METHOD_AUTO, NULL, &error));
    assert_int_equal(error, 0);
    for (size_t p = 0; p < sizeof points / sizeof *points; p++)
        for (size_t e = 0; e < sizeof errors / sizeof *errors; e++)
            for (unsigned from = 1; from <= 2; from++) {
                const struct fault fault = {
                    .point = points[p], .from = from, .times = 1, .error = errors[e]};
                const bool first = from == 1 && points[p] != POINT_FSTAT;
                const bool cloned = run(in, SLUICE_METHOD_AUTO, &fault, &error);
                if (error < 0 && points[p] != POINT_FSTAT)
                    fail_msg("%s of %s: %s", errno_name(errors[e]), point_name(points[p]),
                             strerror(-error));
                if (first && cloned && points[p] != POINT_CACHESTAT && points[p] != POINT_DUP)
                    fail_msg("%s of %s: a clone?", errno_name(errors[e]), point_name(points[p]));
                if (first && points[p] == POINT_CLONE_RANGE) {
                    assert_false(run(in, SLUICE_METHOD_SPLICE, &fault, &error));
                    assert_int_equal(error, -EOPNOTSUPP);
                }
                cases++;
            }
    close(in);
    return cases;
}

static void a_clone_may_fail(void **state)
{
    const char *given = getenv("SLUICE_FS");
    unsigned cases = 0;
    char text[4096];

    (void)state;
    pattern(bytes, SIZE, 0);
    snprintf(text, sizeof text, "%s", given ? given : "");
    for (char *rest = text, *word; (word = strtok_r(rest, " ", &rest));)
        if (strncmp(word, "xfs:", 4) == 0 || strncmp(word, "btrfs:", 6) == 0)
            cases += on_place(strchr(word, ':') + 1);
    if (cases == 0) {
        printf("SKIP: needs a file system that shares extents\n");
        skip();
    }
    printf("faults of clones: %u cases\n", cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_clone_may_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
