/* SPDX-License-Identifier: MIT */
/* Pairs and options that are refused before a byte moves: the errno, the side, and the words. */
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

static void check_refused(struct end *source, struct end *sink,
                          const struct sluice_options *options, int result, enum sluice_side side)
{
    struct rig rig = {.source = *source, .sink = *sink};
    struct sluice_error error = {.size = sizeof error};
    const unsigned open = descriptors_open();

    assert_int_equal(rig_try(&rig, options, &error), result);
    assert_int_equal(error.error, result);
    assert_int_equal(error.side, side);
    assert_non_null(error.operation);
    assert_int_equal(error.delivered, 0);
    assert_int_equal(descriptors_open(), open);
    rig_stop(&rig);
}

static struct end end_of(int fd)
{
    return (struct end){.kind = END_FILE, .fd = fd, .peer = -1};
}

static void wrong_access_is_refused(void **state)
{
    int fds[2];

    (void)state;
    for (int as_source = 0; as_source < 2; as_source++) {
        struct end null = end_of(open("/dev/null", O_RDWR | O_CLOEXEC)), wrong;
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        wrong = end_of(fds[as_source]); /* a write end as the source, a read end as the sink */
        check_refused(as_source ? &wrong : &null, as_source ? &null : &wrong, NULL, -EBADF,
                      as_source ? SLUICE_SIDE_SOURCE : SLUICE_SIDE_SINK);
        close(fds[!as_source]);
    }
    struct end source = end_of(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
    struct end sink = end_of(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
    check_refused(&source, &sink, NULL, -EBADF, SLUICE_SIDE_SINK);
}

/* The same file, however it was opened; the same pipe; never a device that drops or makes bytes. */
static void the_same_file_is_refused(void **state)
{
    char path[64];
    struct end source, sink;
    int fds[2];

    (void)state;
    source = end_of(memfd_create("same", MFD_CLOEXEC));
    sink = end_of(dup(source.fd));
    check_refused(&source, &sink, NULL, -EINVAL, SLUICE_SIDE_SETUP);

    source = end_of(memfd_create("same", MFD_CLOEXEC));
    snprintf(path, sizeof path, "/proc/self/fd/%d", source.fd);
    sink = end_of(open(path, O_WRONLY | O_CLOEXEC | O_APPEND));
    check_refused(&source, &sink, NULL, -EINVAL, SLUICE_SIDE_SETUP);

    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    source = end_of(fds[0]);
    sink = end_of(fds[1]);
    check_refused(&source, &sink, NULL, -EINVAL, SLUICE_SIDE_SETUP);

    struct rig rig = {.source = end_of(open("/dev/null", O_RDWR | O_CLOEXEC)),
                      .sink = end_of(open("/dev/null", O_RDWR | O_CLOEXEC))};
    rig_start(&rig, NULL);
    assert_int_equal(rig_run(&rig, 5), 0);
    rig_stop(&rig);
}

static void bad_offsets_are_refused(void **state)
{
    static const struct {
        enum end_kind source, sink;
        uint32_t flags;
        uint64_t source_offset, sink_offset, length;
        int result;
        enum sluice_side side;
    } rows[] = {
        {END_PIPE, END_FILE, SLUICE_SOURCE_OFFSET, 0, 0, 0, -ESPIPE, SLUICE_SIDE_SOURCE},
        {END_TCP, END_FILE, SLUICE_SOURCE_OFFSET, 5, 0, 0, -ESPIPE, SLUICE_SIDE_SOURCE},
        {END_FILE, END_PIPE, SLUICE_SINK_OFFSET, 0, 0, 0, -ESPIPE, SLUICE_SIDE_SINK},
        {END_FILE, END_NULL, SLUICE_SINK_OFFSET, 0, 0, 0, -ESPIPE, SLUICE_SIDE_SINK},
        {END_FILE, END_UNIX, SLUICE_SINK_OFFSET, 5, 0, 0, -ESPIPE, SLUICE_SIDE_SINK},
        {END_FILE, END_FILE, SLUICE_SOURCE_OFFSET, UINT64_MAX, 0, 0, -EOVERFLOW,
         SLUICE_SIDE_SOURCE},
        {END_FILE, END_FILE, SLUICE_SOURCE_OFFSET, (uint64_t)INT64_MAX + 1, 0, 0, -EOVERFLOW,
         SLUICE_SIDE_SOURCE},
        {END_FILE, END_FILE, SLUICE_SINK_OFFSET, 0, UINT64_MAX, 0, -EOVERFLOW, SLUICE_SIDE_SINK},
        {END_FILE, END_FILE, SLUICE_SOURCE_OFFSET | SLUICE_LENGTH, INT64_MAX, 0, 1, -EOVERFLOW,
         SLUICE_SIDE_SOURCE},
        {END_FILE, END_FILE, SLUICE_SINK_OFFSET | SLUICE_LENGTH, 0, INT64_MAX - 5, 6, -EOVERFLOW,
         SLUICE_SIDE_SINK},
        {END_FILE, END_FILE, SLUICE_SINK_OFFSET | SLUICE_LENGTH, 0, 5, UINT64_MAX, -EOVERFLOW,
         SLUICE_SIDE_SINK},
        {END_FILE, END_APPEND, SLUICE_SINK_OFFSET, 0, 5, 0, -EINVAL, SLUICE_SIDE_SINK},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sluice_options options = SLUICE_OPTIONS_INIT;
        struct end source, sink;
        options.flags = rows[i].flags;
        options.source_offset = rows[i].source_offset;
        options.sink_offset = rows[i].sink_offset;
        options.length = rows[i].length;
        end_open_source(&source, rows[i].source, "", 0, NULL);
        end_open_sink(&sink, rows[i].sink, NULL);
        check_refused(&source, &sink, &options, rows[i].result, rows[i].side);
    }
}

static void methods_that_cannot_serve_are_refused(void **state)
{
    static const struct {
        enum end_kind source, sink;
        enum sluice_method method;
    } rows[] = {
        {END_PIPE, END_FILE, SLUICE_METHOD_SENDFILE},
        {END_PIPE, END_FILE, SLUICE_METHOD_COPY_RANGE},
        {END_PIPE, END_FILE, SLUICE_METHOD_MMAP_WRITE},
        {END_UDP, END_FILE, SLUICE_METHOD_SPLICE},
        {END_FILE, END_UDP, SLUICE_METHOD_SPLICE},
        {END_NULL, END_FILE, SLUICE_METHOD_SPLICE},
        {END_FILE, END_APPEND, SLUICE_METHOD_SPLICE},
        {END_FILE, END_APPEND, SLUICE_METHOD_SENDFILE},
        {END_FILE, END_APPEND, SLUICE_METHOD_COPY_RANGE},
        {END_FILE, END_TCP, SLUICE_METHOD_COPY_RANGE},
        {END_FILE, END_FILE, SLUICE_METHOD_REFLINK},
        {END_FILE, END_FILE, SLUICE_METHOD_DIRECT},
        {END_DISK, END_FILE, SLUICE_METHOD_COPY_RANGE}, /* a memfd is of a file system of its own */
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sluice_options options = SLUICE_OPTIONS_INIT;
        struct end source, sink;
        options.method = rows[i].method;
        end_open_source(&source, rows[i].source, "", 0, NULL);
        end_open_sink(&sink, rows[i].sink, NULL);
        check_refused(&source, &sink, &options, -EOPNOTSUPP, SLUICE_SIDE_SETUP);
    }
}

static void requirements_that_cannot_be_met_are_refused(void **state)
{
    static const struct {
        enum end_kind source, sink;
        enum sluice_method method;
        enum sluice_require require;
        int result;
    } rows[] = {
        {END_PIPE, END_FILE, SLUICE_METHOD_AUTO, SLUICE_REQUIRE_ZERO_COPY, -EOPNOTSUPP},
        {END_FILE, END_FILE, SLUICE_METHOD_AUTO, SLUICE_REQUIRE_ZERO_COPY, -EOPNOTSUPP},
        {END_UDP, END_FILE, SLUICE_METHOD_AUTO, SLUICE_REQUIRE_NO_USER_COPY, -EOPNOTSUPP},
        {END_FILE, END_TCP, SLUICE_METHOD_READ_WRITE, SLUICE_REQUIRE_NO_USER_COPY, -EOPNOTSUPP},
        {END_FILE, END_TCP, SLUICE_METHOD_AUTO, SLUICE_REQUIRE_ZERO_COPY, 0},
        {END_PIPE, END_FILE, SLUICE_METHOD_AUTO, SLUICE_REQUIRE_NO_USER_COPY, 0},
        {END_PIPE, END_TCP, SLUICE_METHOD_SPLICE, SLUICE_REQUIRE_ZERO_COPY, 0},
    };
    const char *const temporary = getenv("TMPDIR"), *directory = temporary ? temporary : "/var/tmp";
    const struct sluice_probe_options probing = {.size = sizeof probing,
                                                 .flags = SLUICE_PROBE_QUICK | SLUICE_PROBE_MEMORY |
                                                          SLUICE_PROBE_SOCKETS,
                                                 .directories = 1,
                                                 .directory = &directory};
    sluice_probe *probe;

    (void)state;
    assert_int_equal(sluice_probe_new(&probe), 0);
    assert_int_equal(sluice_probe_run(probe, context, &probing), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sluice_options options = SLUICE_OPTIONS_INIT;
        struct sluice_error error = {.size = sizeof error};
        struct rig rig = {.context = sluice_context_new(NULL, NULL)};
        options.method = rows[i].method;
        options.require = rows[i].require;
        sluice_context_use_probe(rig.context, probe);
        end_open_source(&rig.source, rows[i].source, "abc", 3, NULL);
        end_open_sink(&rig.sink, rows[i].sink, NULL);
        assert_int_equal(rig_try(&rig, &options, &error), rows[i].result);
        if (rows[i].result < 0) {
            assert_string_equal(error.operation, "require");
            assert_non_null(error.reason);
        }
        rig_stop(&rig);
    }
    sluice_probe_free(probe);
}

static void kinds_without_descriptors_are_refused(void **state)
{
    sluice_endpoint *source, *sink;
    sluice_transfer *transfer = NULL;

    (void)state;
    assert_int_equal(sluice_endpoint_from_kind(context, "file", &source), 0);
    assert_int_equal(sluice_endpoint_from_kind(context, "tcp", &sink), 0);
    struct sluice_endpoint_info info = {.size = sizeof info};
    assert_int_equal(sluice_endpoint_describe(source, &info), 0);
    assert_int_equal(info.fd, -1);
    assert_int_equal(sluice_transfer_new(context, source, sink, NULL, &transfer, NULL), -EINVAL);
    assert_null(transfer);
    sluice_endpoint_free(source);
    sluice_endpoint_free(sink);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_access_is_refused),
        cmocka_unit_test(the_same_file_is_refused),
        cmocka_unit_test(bad_offsets_are_refused),
        cmocka_unit_test(methods_that_cannot_serve_are_refused),
        cmocka_unit_test(requirements_that_cannot_be_met_are_refused),
        cmocka_unit_test(kinds_without_descriptors_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
