/* SPDX-License-Identifier: MIT */
/*
 * A splice that is none: an emulation before libc's reads and writes. The ledger's table would say
 * "reference"; the kernel's account of the thread says otherwise, and the rows say so.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/fault/inject.h"
#include "tests/unit/ends.h"

#include "sluice.h"

static char bytes[1 << 20];

static int make_bytes(void **state)
{
    (void)state;
    pattern(bytes, sizeof bytes, 0);
    return 0;
}

static bool account_is_kept(void)
{
    const int fd = open("/proc/thread-self/io", O_RDONLY | O_CLOEXEC);
    char byte;
    const bool kept = fd >= 0 && read(fd, &byte, 1) == 1;
    if (fd >= 0)
        close(fd);
    if (!kept)
        print_message("SKIP: the kernel keeps no account of a thread's reads\n");
    return kept;
}

/* Runs a transfer and returns how many of its rows are user-copy, and how many of these proven. */
static void run(enum end_kind source_kind, enum end_kind sink_kind, uint32_t flags, bool emulate,
                unsigned *rows, unsigned *user_copy, unsigned *proven)
{
    struct sluice_options options = SLUICE_OPTIONS_INIT;
    const bool files = end_has_offset(source_kind);
    const size_t length = files ? sizeof bytes : 200000;
    struct end source, sink;
    sluice_endpoint *in, *out;
    sluice_transfer *transfer;
    sluice_context *context = sluice_context_new(NULL, NULL);

    end_open_source(&source, source_kind, bytes, length,
                    &(struct end_options){.capacity = 1 << 20});
    end_open_sink(&sink, sink_kind, NULL);
    options.method = SLUICE_METHOD_SPLICE;
    options.flags = flags;
    options.chunk = 65536;
    inject_none();
    inject_emulation(emulate);
    inject_begin(source.fd, sink.fd);
    assert_int_equal(sluice_endpoint_from_fd(context, source.fd, SLUICE_BORROW, &in), 0);
    assert_int_equal(sluice_endpoint_from_fd(context, sink.fd, SLUICE_BORROW, &out), 0);
    assert_int_equal(sluice_transfer_new(context, in, out, &options, &transfer, NULL), 0);
    assert_int_equal(sluice_transfer_run(transfer), 0);
    inject_end();
    inject_emulation(false);
    assert_int_equal(sluice_transfer_delivered(transfer), length);
    struct sluice_row row = {.size = sizeof row};
    *user_copy = *proven = 0;
    for (*rows = 0; sluice_transfer_row(transfer, *rows, &row) == 0; ++*rows) {
        *user_copy += row.leg.class_ == SLUICE_CLASS_USER_COPY;
        *proven += row.leg.known == SLUICE_PROVEN;
    }
    assert_int_equal(sluice_transfer_free(transfer), 0);
    sluice_endpoint_free(in);
    sluice_endpoint_free(out);
    sluice_context_free(context);
    end_close(&source);
    end_close(&sink);
}

static const struct {
    enum end_kind source, sink;
} pairs[] = {
    {END_FILE, END_FILE}, {END_PIPE, END_FILE}, {END_UNIX, END_FILE}, {END_FILE, END_NULL}};

static void an_emulation_is_found_out(void **state)
{
    unsigned rows, user_copy, proven;

    (void)state;
    if (!account_is_kept())
        return;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        run(pairs[i].source, pairs[i].sink, SLUICE_WITNESS, true, &rows, &user_copy, &proven);
        assert_int_equal(rows, 2);
        assert_int_equal(user_copy, 2);
        assert_int_equal(proven, 2);
    }
}

/* Without the emulation nobody is accused. */
static void splice_is_not_accused(void **state)
{
    unsigned rows, user_copy, proven;

    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        run(pairs[i].source, pairs[i].sink, SLUICE_WITNESS, false, &rows, &user_copy, &proven);
        assert_int_equal(rows, 2);
        assert_int_equal(user_copy, 0);
        assert_int_equal(proven, 0);
    }
}

/* Nobody looks who was not asked to. */
static void without_the_witness_the_table_stands(void **state)
{
    unsigned rows, user_copy, proven;

    (void)state;
    run(END_FILE, END_FILE, 0, true, &rows, &user_copy, &proven);
    assert_int_equal(user_copy, 0);
    assert_int_equal(proven, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_emulation_is_found_out),
        cmocka_unit_test(splice_is_not_accused),
        cmocka_unit_test(without_the_witness_the_table_stands),
    };
    return cmocka_run_group_tests(tests, make_bytes, NULL);
}
