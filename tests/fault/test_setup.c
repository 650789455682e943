/* SPDX-License-Identifier: MIT */
/*
 * Faults of the calls that prepare: what an end is, non-blocking descriptors of our own, the event
 * of a cancel, private pipes when few descriptors are left, steps on descriptors that block.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/fault/inject.h"
#include "tests/fault/manual.h"
#include "tests/unit/ends.h"

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
    inject_none();
    inject_end();
    sluice_context_free(context);
    return 0;
}

static void fail_at(enum point point, unsigned from, unsigned times, int error)
{
    inject_none();
    inject(&(struct fault){.point = point, .from = from, .times = times, .error = error});
}

/* ---- what an end is ---- */

/* Each call by which an end is recognised, and each of its errnos: the error comes back, and the
 * descriptor is as it was, open and unchanged, also if it was to be owned. */
static void an_end_that_cannot_be_recognised(void **state)
{
    static const enum end_kind kinds[] = {END_FILE, END_PIPE, END_TCP, END_UDP, END_NULL};
    static const enum point points[] = {POINT_FSTAT, POINT_FSTATFS, POINT_GETSOCKOPT,
                                        POINT_GET_FLAGS};
    const struct end_options blocking = {.blocking = true};

    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (size_t k = 0; k < sizeof points / sizeof *points; k++)
            for (const struct manual_row *row = manual; row->points; row++) {
                struct end end;
                sluice_endpoint *endpoint = NULL;
                if (!(row->points >> points[k] & 1) || row->expected == EXPECT_DONE)
                    continue;
                if (points[k] == POINT_FSTATFS && row->error == ENOSYS)
                    continue; /* an unknown file system is an end, too */
                end_open_sink(&end, kinds[i], &blocking);
                const unsigned open = descriptors_open();
                fail_at(points[k], 1, ALWAYS, row->error);
                inject_begin(end.fd, end.fd);
                const int error = sluice_endpoint_from_fd(context, end.fd,
                                                          SLUICE_OWN | SLUICE_NONBLOCK, &endpoint);
                inject_end();
                if (seen.fired) {
                    assert_int_equal(error, -row->error);
                    assert_null(endpoint);
                    assert_int_equal(fcntl(end.fd, F_GETFL), end.flags);
                }
                assert_int_equal(descriptors_open(), open);
                if (endpoint)
                    sluice_endpoint_free(endpoint);
                else
                    close(end.fd);
                end.fd = -1;
                end_close(&end);
            }
}

static void a_descriptor_that_cannot_be_made_nonblocking(void **state)
{
    static const int errors[] = {EBADF, EPERM, EINVAL, EAGAIN};
    const struct end_options blocking = {.blocking = true};

    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        struct end end;
        sluice_endpoint *endpoint = NULL;
        end_open_sink(&end, END_PIPE, &blocking);
        fail_at(POINT_SET_FLAGS, 1, 1, errors[i]);
        inject_begin(end.fd, end.fd);
        assert_int_equal(
            sluice_endpoint_from_fd(context, end.fd, SLUICE_OWN | SLUICE_NONBLOCK, &endpoint),
            -errors[i]);
        inject_end();
        assert_int_equal(seen.fired, 1);
        assert_null(endpoint);
        assert_true(fcntl(end.fd, F_GETFD) >= 0); /* not closed */
        end_close(&end);
    }
}

/* The last word of an owned descriptor is what close says. */
static void close_of_an_owned_descriptor_is_told(void **state)
{
    static const int errors[] = {EIO, ENOSPC, EDQUOT, EINTR};

    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        struct end end;
        sluice_endpoint *endpoint;
        end_open_sink(&end, END_FILE, NULL);
        fail_at(POINT_CLOSE, 1, 1, errors[i]);
        inject_begin(end.fd, end.fd);
        assert_int_equal(sluice_endpoint_from_fd(context, end.fd, SLUICE_OWN, &endpoint), 0);
        assert_int_equal(sluice_endpoint_free(endpoint), -errors[i]);
        inject_end();
        assert_int_equal(fcntl(end.fd, F_GETFD), -1); /* closed all the same */
    }
}

static void a_cancel_without_an_event(void **state)
{
    static const int errors[] = {EMFILE, ENFILE, ENODEV, ENOMEM};

    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        sluice_cancel *cancel = NULL;
        const unsigned open = descriptors_open();
        fail_at(POINT_EVENTFD, 1, 1, errors[i]);
        inject_begin(0, 0);
        assert_int_equal(sluice_cancel_new(SLUICE_CANCEL_EVENT, &cancel), -errors[i]);
        inject_end();
        assert_null(cancel);
        assert_int_equal(descriptors_open(), open);
    }
}

/* ---- capacities ---- */

/* A capacity that is refused is halved until it is granted; what was asked for and what was got
 * is in the ledger. */
static void a_refused_capacity_is_halved(void **state)
{
    static const int errors[] = {EPERM, ENOMEM, EBUSY, EINVAL};
    static char bytes[40000], got[40001];

    (void)state;
    pattern(bytes, sizeof bytes, 0);
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        for (unsigned refusals = 0; refusals <= 5; refusals++) {
            struct sluice_options options = SLUICE_OPTIONS_INIT;
            struct sluice_result result = {.size = sizeof result};
            sluice_endpoint *in, *out;
            struct end source, sink;

            options.method = SLUICE_METHOD_SPLICE;
            options.pipe_size = 1 << 20;
            end_open_source(&source, END_UNIX, bytes, sizeof bytes, NULL);
            end_open_sink(&sink, END_FILE, NULL);
            fail_at(POINT_SET_PIPE_SIZE, 1, refusals, errors[i]);
            inject_begin(source.fd, sink.fd);
            assert_int_equal(sluice_endpoint_from_fd(context, source.fd, SLUICE_BORROW, &in), 0);
            assert_int_equal(sluice_endpoint_from_fd(context, sink.fd, SLUICE_BORROW, &out), 0);
            assert_int_equal(sluice_copy(context, in, out, &options, &result), 0);
            inject_end();
            assert_int_equal(result.ledger.pipe_asked, 1 << 20);
            assert_int_equal(result.ledger.pipe_got, (1 << 20) >> (refusals < 4 ? refusals : 4));
            assert_int_equal(result.ledger.fallbacks, 0);
            sluice_endpoint_free(in);
            sluice_endpoint_free(out);
            assert_int_equal(end_received(&sink, got, sizeof got), sizeof bytes);
            assert_memory_equal(got, bytes, sizeof bytes);
            end_close(&source);
            end_close(&sink);
            /* The next one shall ask anew. */
            sluice_context_free(context);
            context = sluice_context_new(NULL, NULL);
        }
}

/* ---- descriptors 0, 1 and 2 ---- */

/* A program that starts with its standard streams closed: what the library opens never takes their
 * places, and what it cannot move away from there it gives back. */
static void private_pipes_keep_off_the_standard_descriptors(void **state)
{
    (void)state;
    for (unsigned fails_at = 0; fails_at <= 3; fails_at++) {
        struct end source, sink;
        sluice_endpoint *in, *out;
        struct sluice_result result = {.size = sizeof result};
        char bytes[20000], got[20001];
        int kept[3], used = 0;

        pattern(bytes, sizeof bytes, 0);
        end_open_source(&source, END_PIPE, bytes, sizeof bytes, NULL);
        end_open_sink(&sink, END_FILE, NULL);
        for (int fd = 0; fd < 3; fd++) {
            kept[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 250);
            close(fd);
        }
        const unsigned open = descriptors_open();
        inject_none();
        if (fails_at)
            inject(&(struct fault){POINT_DUP, fails_at, 1, EMFILE, 0});
        inject_begin(source.fd, sink.fd);
        int error = sluice_endpoint_from_fd(context, source.fd, SLUICE_BORROW, &in);
        if (error == 0)
            error = sluice_endpoint_from_fd(context, sink.fd, SLUICE_BORROW, &out);
        if (error == 0)
            error = sluice_copy(context, in, out, NULL, &result);
        for (int fd = 0; fd < 3; fd++)
            used += fcntl(fd, F_GETFD) >= 0;
        sluice_endpoint_free(in);
        sluice_endpoint_free(out);
        sluice_context_free(context);
        inject_end();
        const unsigned still_open = descriptors_open();
        for (int fd = 0; fd < 3; fd++) {
            if (kept[fd] >= 0)
                dup2(kept[fd], fd);
            close(kept[fd]);
        }
        context = sluice_context_new(NULL, NULL);
        assert_int_equal(error, 0);
        assert_int_equal(used, 0);
        assert_int_equal(still_open, open);
        assert_int_equal(seen.descriptors, 2);
        assert_true(seen.calls[POINT_DUP] >= 1);
        assert_int_equal(result.ledger.fallbacks, fails_at == 1 || fails_at == 2);
        assert_int_equal(end_received(&sink, got, sizeof got), sizeof bytes);
        assert_memory_equal(got, bytes, sizeof bytes);
        end_close(&source);
        end_close(&sink);
    }
}

/* The event of a cancel and an end that is opened again keep off them, too. */
static void our_descriptors_keep_off_the_standard_ones(void **state)
{
    const struct end_options blocking = {.blocking = true, .open = true};
    struct sluice_wait wait = {.size = sizeof wait};
    struct end source, sink;
    sluice_endpoint *in, *out;
    sluice_transfer *transfer;
    sluice_cancel *cancel;
    int kept[3], used = 0;

    (void)state;
    end_open_source(&source, END_PIPE, "", 0, &blocking);
    end_open_sink(&sink, END_PIPE, &blocking);
    for (int fd = 0; fd < 3; fd++) {
        kept[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 250);
        close(fd);
    }
    inject_none();
    int error = sluice_cancel_new(SLUICE_CANCEL_EVENT, &cancel);
    error = error ? error : sluice_endpoint_from_fd(context, source.fd, SLUICE_BORROW, &in);
    error = error ? error : sluice_endpoint_from_fd(context, sink.fd, SLUICE_BORROW, &out);
    error = error ? error : sluice_transfer_new(context, in, out, NULL, &transfer, NULL);
    const int step = error ? error : sluice_transfer_step(transfer, 0, &wait);
    for (int fd = 0; fd < 3; fd++)
        used += fcntl(fd, F_GETFD) >= 0;
    for (int fd = 0; fd < 3; fd++) {
        if (kept[fd] >= 0)
            dup2(kept[fd], fd);
        close(kept[fd]);
    }
    assert_int_equal(error, 0);
    assert_int_equal(step, SLUICE_WAIT);
    assert_int_equal(used, 0);
    assert_true(wait.source_fd > 2);
    assert_true(wait.source_fd != source.fd); /* it was opened again */
    assert_true(fcntl(wait.source_fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(sluice_transfer_free(transfer), 0);
    sluice_cancel_free(cancel);
    sluice_endpoint_free(in);
    sluice_endpoint_free(out);
    end_close(&source);
    end_close(&sink);
}

/* ---- steps on descriptors that block ---- */

static void begin(struct end *source, struct end *sink, const struct sluice_options *options,
                  sluice_endpoint **in, sluice_endpoint **out, sluice_transfer **transfer)
{
    assert_int_equal(sluice_endpoint_from_fd(context, source->fd, SLUICE_BORROW, in), 0);
    assert_int_equal(sluice_endpoint_from_fd(context, sink->fd, SLUICE_BORROW, out), 0);
    assert_int_equal(sluice_transfer_new(context, *in, *out, options, transfer, NULL), 0);
}

/* A poll that is interrupted, or fails, has not said that a side is ready. The source is empty and
 * blocks: a step that goes on all the same would never come back. */
static void a_failed_poll_is_not_readiness(void **state)
{
    static const int errors[] = {EINTR, ENOMEM, EINVAL, EFAULT};
    static const enum end_kind kinds[] = {END_PIPE, END_TCP, END_UNIX};
    const struct end_options options = {.blocking = true, .open = true};

    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
            struct end source, sink;
            sluice_endpoint *in, *out;
            sluice_transfer *transfer;
            struct sluice_wait wait = {.size = sizeof wait};

            end_open_source(&source, kinds[k], "", 0, &options);
            end_open_sink(&sink, END_FILE, NULL);
            inject_none();
            inject(&(struct fault){POINT_POLL_NOW, 1, 1, errors[i], 0});
            inject(&(struct fault){POINT_OPEN, 1, ALWAYS, EACCES, 0}); /* not opened again */
            inject_begin(source.fd, sink.fd);
            begin(&source, &sink, NULL, &in, &out, &transfer);
            alarm(5);
            const int step = sluice_transfer_step(transfer, 0, &wait);
            alarm(0);
            inject_end();
            if (step >= 0) {
                assert_int_equal(step, SLUICE_WAIT);
                assert_int_equal(wait.mask & ~(unsigned)SLUICE_WAIT_SINK_HUP,
                                 SLUICE_WAIT_SOURCE_IN);
            } else {
                assert_int_equal(step, -errors[i]);
            }
            sluice_transfer_discard(transfer);
            sluice_endpoint_free(in);
            sluice_endpoint_free(out);
            end_close(&source);
            end_close(&sink);
        }
}

/* A blocking pipe that cannot be opened again is driven by poll and small pieces, and nothing is
 * lost by it. */
static void reopening_that_fails_is_done_without(void **state)
{
    static const int errors[] = {EACCES, EMFILE, ENFILE, ENXIO, ENOENT, ENOMEM,
                                 EINTR,  ELOOP,  ENODEV, EPERM, ENOSYS};
    const struct end_options options = {.blocking = true};
    static char bytes[30000], got[30001];

    (void)state;
    pattern(bytes, sizeof bytes, 0);
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        for (unsigned from = 1; from <= 2; from++) {
            struct end source, sink;
            sluice_endpoint *in, *out;
            sluice_transfer *transfer;
            struct sluice_wait wait = {.size = sizeof wait};
            int step;

            end_open_source(&source, END_PIPE, bytes, sizeof bytes, &options);
            end_open_sink(&sink, END_PIPE, &options);
            fail_at(POINT_OPEN, from, ALWAYS, errors[i]);
            inject_begin(source.fd, sink.fd);
            begin(&source, &sink, NULL, &in, &out, &transfer);
            alarm(5);
            while ((step = sluice_transfer_step(transfer, 0, &wait)) > 0)
                ;
            alarm(0);
            inject_end();
            assert_int_equal(step, SLUICE_DONE);
            assert_true(seen.fired > 0);
            assert_int_equal(sluice_transfer_free(transfer), 0);
            assert_int_equal(seen.descriptors, seen.calls[POINT_PIPE2] ? 4 : 2);
            sluice_endpoint_free(in);
            sluice_endpoint_free(out);
            assert_int_equal(fcntl(source.fd, F_GETFL), source.flags);
            assert_int_equal(fcntl(sink.fd, F_GETFL), sink.flags);
            assert_int_equal(end_received(&sink, got, sizeof got), sizeof bytes);
            assert_memory_equal(got, bytes, sizeof bytes);
            end_close(&source);
            end_close(&sink);
        }
}

/* ---- O_DIRECT that cannot be left ---- */

static void direct_that_cannot_be_left_is_an_error(void **state)
{
    struct end source, sink;
    sluice_endpoint *in, *out;
    struct sluice_result result = {.size = sizeof result};
    struct sluice_options options = SLUICE_OPTIONS_INIT;
    static char bytes[16384];

    (void)state;
    if (!end_exists(END_DIRECT)) {
        print_message("SKIP: no O_DIRECT in $TMPDIR\n");
        skip();
    }
    pattern(bytes, sizeof bytes, 0);
    end_open_source(&source, END_DIRECT, bytes, sizeof bytes, NULL);
    end_open_sink(&sink, END_FILE, NULL);
    options.method = SLUICE_METHOD_READ_WRITE;
    options.chunk = 4096;
    inject_none();
    inject(&(struct fault){POINT_READ, 2, 1, EINVAL, 0});
    inject(&(struct fault){POINT_OPEN, 1, 1, EMFILE, 0});
    inject_begin(source.fd, sink.fd);
    assert_int_equal(sluice_endpoint_from_fd(context, source.fd, SLUICE_BORROW, &in), 0);
    assert_int_equal(sluice_endpoint_from_fd(context, sink.fd, SLUICE_BORROW, &out), 0);
    const int error = sluice_copy(context, in, out, &options, &result);
    inject_end();
    assert_true(error == -EINVAL || error == -EMFILE);
    assert_int_equal(result.error.side, SLUICE_SIDE_SOURCE);
    assert_int_equal(result.ledger.delivered, 4096);
    sluice_endpoint_free(in);
    sluice_endpoint_free(out);
    end_close(&source);
    end_close(&sink);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_end_that_cannot_be_recognised, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_descriptor_that_cannot_be_made_nonblocking, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(close_of_an_owned_descriptor_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_cancel_without_an_event, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_refused_capacity_is_halved, set_up, tear_down),
        cmocka_unit_test_setup_teardown(our_descriptors_keep_off_the_standard_ones, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(private_pipes_keep_off_the_standard_descriptors, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_failed_poll_is_not_readiness, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reopening_that_fails_is_done_without, set_up, tear_down),
        cmocka_unit_test_setup_teardown(direct_that_cannot_be_left_is_an_error, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
