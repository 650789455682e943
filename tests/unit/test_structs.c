/* SPDX-License-Identifier: MIT */
/*
 * Structures carry their size: a caller of an older version gives and gets less, one of a newer
 * version more, and not a byte is written beyond what was stated. NULL options are all zero.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/rig.h"

static char bytes[50000];

/* A structure of a stated size with known bytes around it. */
union padded {
    size_t size;
    unsigned char byte[2048];
    struct sluice_options options;
    struct sluice_context_options context;
    struct sluice_result result;
};

static void prepare(union padded *padded, size_t size, unsigned char with)
{
    memset(padded, with, sizeof *padded);
    padded->size = size;
}

static void check_untouched(const union padded *padded, size_t size, unsigned char with)
{
    assert_int_equal(padded->size, size); /* it stays what was stated */
    for (size_t i = size > sizeof size ? size : sizeof size; i < sizeof *padded; i++)
        assert_int_equal(padded->byte[i], with);
}

static int run(struct rig *rig)
{
    end_open_source(&rig->source, END_FILE, bytes, sizeof bytes, NULL);
    end_open_sink(&rig->sink, END_FILE, NULL);
    rig_start(rig, NULL);
    return rig_run(rig, 5);
}

/* Everything that is received through a structure, at every size from too small to too large. */
static void nothing_is_written_beyond_the_size(void **state)
{
    struct rig rig = {0};

    (void)state;
    assert_int_equal(run(&rig), 0);
    for (size_t size = sizeof(size_t); size <= 1024; size++)
        for (int what = 0; what < 6; what++) {
            union padded padded, full;
            int result = 0;
            prepare(&padded, size, 0xa5);
            prepare(&full, 1024, 0);
            for (int pass = 0; pass < 2; pass++) {
                void *into = pass ? &full : &padded;
                switch (what) {
                case 0:
                    result = sluice_endpoint_describe(rig.in, into);
                    break;
                case 1:
                    sluice_transfer_error(rig.transfer, into);
                    break;
                case 2:
                    sluice_transfer_ledger(rig.transfer, into);
                    break;
                case 3:
                    result = sluice_transfer_row(rig.transfer, 0, into);
                    break;
                case 4:
                    assert_int_equal(sluice_transfer_step(rig.transfer, 0, into), SLUICE_DONE);
                    break;
                case 5:
                    result = sluice_transfer_fallback(rig.transfer, 0, into);
                    assert_int_equal(result, -ERANGE);
                    result = 0;
                    break;
                }
                assert_int_equal(result, 0);
            }
            check_untouched(&padded, size, 0xa5);
            /* What an older caller gets is the beginning of what a newer one gets. */
            if (what < 4)
                for (size_t i = sizeof(size_t); i < size && full.byte[i]; i++)
                    assert_int_equal(padded.byte[i], full.byte[i]);
        }
    rig_stop(&rig);
}

static void a_size_of_zero_is_refused(void **state)
{
    struct rig rig = {0};
    union padded padded;

    (void)state;
    assert_int_equal(run(&rig), 0);
    prepare(&padded, 0, 0xa5);
    assert_int_equal(sluice_endpoint_describe(rig.in, (void *)&padded), -EINVAL);
    assert_int_equal(sluice_transfer_row(rig.transfer, 0, (void *)&padded), -EINVAL);
    check_untouched(&padded, 0, 0xa5);
    rig_stop(&rig);
}

/* An older caller's options end somewhere in the middle: the rest is as if it were zero. */
static void older_options_are_read(void **state)
{
    (void)state;
    for (size_t size = sizeof(size_t); size <= sizeof(struct sluice_options); size += 4) {
        struct rig rig = {0};
        union padded padded;
        prepare(&padded, size, 0);
        /* Beyond the size there is nonsense that must not be looked at. */
        memset(padded.byte + size, 0xff, sizeof padded - size);
        end_open_source(&rig.source, END_FILE, bytes, sizeof bytes, NULL);
        end_open_sink(&rig.sink, END_FILE, NULL);
        rig_start(&rig, &padded.options);
        assert_int_equal(rig_run(&rig, 5), 0);
        rig_sink_has(&rig, bytes, sizeof bytes);
        rig_stop(&rig);
    }
}

static void options_that_are_there_are_heard(void **state)
{
    struct rig rig = {0};
    union padded padded;

    (void)state;
    prepare(&padded, offsetof(struct sluice_options, method) + sizeof(enum sluice_method), 0);
    memset(padded.byte + padded.size, 0xff, sizeof padded - padded.size);
    padded.options.method = SLUICE_METHOD_MMAP_WRITE;
    end_open_source(&rig.source, END_FILE, bytes, sizeof bytes, NULL);
    end_open_sink(&rig.sink, END_FILE, NULL);
    rig_start(&rig, &padded.options);
    assert_int_equal(rig_run(&rig, 5), 0);
    assert_int_equal(rig_ledger(&rig).method, SLUICE_METHOD_MMAP_WRITE);
    rig_stop(&rig);
}

/* A newer caller's options: what we do not know must be zero, or we would ignore what it asks. */
static void newer_options_are_read_if_zero(void **state)
{
    const size_t size = sizeof(struct sluice_options) + 64;
    struct rig rig = {0};
    union padded padded;

    (void)state;
    prepare(&padded, size, 0);
    end_open_source(&rig.source, END_FILE, bytes, sizeof bytes, NULL);
    end_open_sink(&rig.sink, END_FILE, NULL);
    rig_start(&rig, &padded.options);
    assert_int_equal(rig_run(&rig, 5), 0);
    sluice_transfer_free(rig.transfer);
    rig.transfer = NULL;
    for (size_t i = sizeof(struct sluice_options); i < size; i += 7) {
        struct sluice_error error = {.size = sizeof error};
        prepare(&padded, size, 0);
        padded.byte[i] = 1;
        assert_int_equal(sluice_transfer_new(rig.context, rig.in, rig.out, &padded.options,
                                             &rig.transfer, &error),
                         -EINVAL);
        assert_int_equal(error.side, SLUICE_SIDE_SETUP);
        assert_null(rig.transfer);
    }
    prepare(&padded, sizeof(size_t) - 1, 0);
    assert_int_equal(
        sluice_transfer_new(rig.context, rig.in, rig.out, &padded.options, &rig.transfer, NULL),
        -EINVAL);
    rig_stop(&rig);
}

static void context_options_are_read(void **state)
{
    union padded padded;
    int error = 7;

    (void)state;
    sluice_context *context = sluice_context_new(NULL, &error);
    assert_non_null(context);
    assert_int_equal(error, 0);
    sluice_context_free(context);
    prepare(&padded, sizeof(size_t), 0xff);
    context = sluice_context_new(&padded.context, NULL);
    assert_non_null(context);
    sluice_context_free(context);
    prepare(&padded, sizeof(struct sluice_context_options) + 8, 0);
    context = sluice_context_new(&padded.context, &error);
    assert_non_null(context);
    sluice_context_free(context);
    padded.byte[sizeof(struct sluice_context_options) + 3] = 1;
    context = sluice_context_new(&padded.context, &error);
    assert_null(context);
    assert_true(error < 0);
    sluice_context_free(NULL);
}

/* ---- all of it in one call ---- */

static void copy_tells_all(void **state)
{
    struct rig rig = {0};
    struct sluice_result result = {.size = sizeof result};

    (void)state;
    assert_int_equal(run(&rig), 0);
    sluice_transfer_free(rig.transfer);
    rig.transfer = NULL;
    assert_int_equal(lseek(rig.source.fd, rig.source.start, SEEK_SET), rig.source.start);
    assert_int_equal(sluice_copy(rig.context, rig.in, rig.out, NULL, &result), 0);
    assert_int_equal(result.size, sizeof result);
    assert_int_equal(result.ledger.size, sizeof result.ledger);
    assert_int_equal(result.error.size, sizeof result.error);
    assert_int_equal(result.ledger.delivered, sizeof bytes);
    assert_int_equal(result.ledger.taken, sizeof bytes);
    assert_int_equal(result.ledger.parked, 0);
    assert_true(result.ledger.rows > 0);
    assert_int_equal(result.error.error, 0);
    assert_null(result.error.operation);
    /* And nothing of it is asked for. */
    assert_int_equal(lseek(rig.source.fd, rig.source.start, SEEK_SET), rig.source.start);
    assert_int_equal(sluice_copy(rig.context, rig.in, rig.out, NULL, NULL), 0);
    rig_stop(&rig);
}

static void copy_tells_of_refusals_and_failures(void **state)
{
    struct sluice_options options = SLUICE_OPTIONS_INIT;
    struct rig rig = {0};
    struct sluice_result result = {.size = sizeof result};

    (void)state;
    assert_int_equal(run(&rig), 0);
    sluice_transfer_free(rig.transfer);
    rig.transfer = NULL;
    assert_int_equal(sluice_copy(rig.context, rig.in, rig.in, NULL, &result), -EINVAL);
    assert_int_equal(result.error.error, -EINVAL);
    assert_int_equal(result.error.side, SLUICE_SIDE_SETUP);
    assert_non_null(result.error.reason);
    assert_int_equal(result.ledger.delivered, 0);

    options.flags = SLUICE_LENGTH | SLUICE_EXACT;
    options.length = 10;
    assert_int_equal(sluice_copy(rig.context, rig.in, rig.out, &options, &result), -ENODATA);
    assert_int_equal(result.error.error, -ENODATA);
    assert_int_equal(result.error.side, SLUICE_SIDE_SOURCE);
    assert_int_equal(result.error.delivered, 0); /* the source stands at its end */
    rig_stop(&rig);
}

/* A flag that a newer library may know is no flag here. */
static void unknown_flags_are_refused(void **state)
{
    sluice_context *context = sluice_context_new(NULL, NULL);
    sluice_endpoint *endpoint = NULL;
    sluice_cancel *cancel = NULL;

    (void)state;
    for (unsigned bit = 1; bit; bit <<= 1) {
        if (bit > SLUICE_CANCEL_SIGNAL)
            assert_int_equal(sluice_cancel_new(bit, &cancel), -EINVAL);
        if (bit > SLUICE_NONBLOCK)
            assert_int_equal(sluice_endpoint_from_fd(context, 0, SLUICE_OWN | bit, &endpoint),
                             -EINVAL);
    }
    assert_null(cancel);
    assert_null(endpoint);
    sluice_context_free(context);
}

static int make_bytes(void **state)
{
    (void)state;
    pattern(bytes, sizeof bytes, 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_written_beyond_the_size),
        cmocka_unit_test(a_size_of_zero_is_refused),
        cmocka_unit_test(older_options_are_read),
        cmocka_unit_test(options_that_are_there_are_heard),
        cmocka_unit_test(newer_options_are_read_if_zero),
        cmocka_unit_test(context_options_are_read),
        cmocka_unit_test(unknown_flags_are_refused),
        cmocka_unit_test(copy_tells_all),
        cmocka_unit_test(copy_tells_of_refusals_and_failures),
    };
    return cmocka_run_group_tests(tests, make_bytes, NULL);
}
