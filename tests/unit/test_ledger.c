/* SPDX-License-Identifier: MIT */
/*
 * The ledger says what happened: each row is of calls that were made, by the method that made them,
 * and its sums are the bytes that moved. What is checked here is counted apart from it where it can
 * be: the thread's own account of read and write calls, the sink's bytes, the clock.
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
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/rig.h"

static char bytes[1 << 20];

static int make_bytes(void **state)
{
    (void)state;
    pattern(bytes, sizeof bytes, 0);
    return 0;
}

static struct sluice_row row_of(const struct rig *rig, unsigned index)
{
    struct sluice_row row = {.size = sizeof row};
    assert_int_equal(sluice_transfer_row(rig->transfer, index, &row), 0);
    return row;
}

static unsigned copies_of(enum sluice_class class_)
{
    return class_ == SLUICE_CLASS_KERNEL_COPY || class_ == SLUICE_CLASS_USER_COPY;
}

/* What must be true of every ledger of a transfer that is done. */
static void check_ledger(const struct rig *rig, uint64_t length)
{
    const struct sluice_ledger ledger = rig_ledger(rig);
    uint64_t calls = 0, copied = 0;
    struct sluice_row none = {.size = sizeof none};

    assert_int_equal(ledger.delivered, length);
    assert_int_equal(ledger.taken, length);
    assert_int_equal(ledger.parked, 0);
    for (unsigned i = 0; i < ledger.rows; i++) {
        const struct sluice_row row = row_of(rig, i);
        assert_true(row.calls + row.eagain > 0);
        assert_non_null(row.leg.call);
        assert_non_null(row.leg.from);
        assert_non_null(row.leg.to);
        assert_int_equal(row.leg.known, SLUICE_EXPECTED);
        assert_int_equal(row.nanoseconds, 0);
        if (strcmp(row.leg.call, "mmap") != 0)
            calls += row.calls + row.eagain;
        copied += row.bytes * copies_of(row.leg.class_);
        assert_int_equal(row.bytes, length); /* each leg has moved all of it */
    }
    assert_int_equal(ledger.calls, calls);
    assert_int_equal(ledger.copied, copied);
    assert_int_equal(sluice_transfer_row(rig->transfer, ledger.rows, &none), -ERANGE);
}

/* ---- rows ---- */

static const struct {
    enum end_kind source, sink;
    enum sluice_method method;
    unsigned legs, copies; /* copies per byte */
    const char *call[2];
} rows[] = {
    {END_FILE, END_FILE, SLUICE_METHOD_COPY_RANGE, 1, 1, {"copy_file_range"}},
    {END_FILE, END_FILE, SLUICE_METHOD_SENDFILE, 1, 1, {"sendfile"}},
    {END_FILE, END_FILE, SLUICE_METHOD_SPLICE, 2, 1, {"splice", "splice"}},
    {END_FILE, END_FILE, SLUICE_METHOD_MMAP_WRITE, 2, 1, {"mmap", "write"}},
    {END_FILE, END_FILE, SLUICE_METHOD_READ_WRITE, 2, 2, {"read", "write"}},
    {END_FILE, END_UNIX, SLUICE_METHOD_SENDFILE, 1, 0, {"sendfile"}},
    {END_FILE, END_UNIX, SLUICE_METHOD_SPLICE, 2, 0, {"splice", "splice"}},
    {END_FILE, END_UNIX, SLUICE_METHOD_MMAP_WRITE, 2, 1, {"mmap", "send"}},
    {END_FILE, END_UNIX, SLUICE_METHOD_READ_WRITE, 2, 2, {"read", "send"}},
    {END_FILE, END_PIPE, SLUICE_METHOD_SPLICE, 1, 0, {"splice"}},
    {END_PIPE, END_FILE, SLUICE_METHOD_SPLICE, 2, 1, {"splice", "splice"}},
    {END_PIPE, END_PIPE, SLUICE_METHOD_SPLICE, 1, 0, {"splice"}},
    {END_PIPE, END_NULL, SLUICE_METHOD_SPLICE, 2, 0, {"splice", "splice"}},
    {END_UNIX, END_UNIX, SLUICE_METHOD_SPLICE, 2, 0, {"splice", "splice"}},
    {END_TCP, END_FILE, SLUICE_METHOD_READ_WRITE, 2, 2, {"recv", "write"}},
    {END_UDP, END_FILE, SLUICE_METHOD_READ_WRITE, 2, 2, {"recvmsg", "write"}},
};

static void each_method_writes_its_own_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int by_step = 0; by_step < 2; by_step++) {
            struct sluice_options options = SLUICE_OPTIONS_INIT;
            struct rig rig = {0};
            const size_t length = 40000;

            options.method = rows[i].method;
            if (!end_is_told(rows[i].source)) {
                options.flags = SLUICE_LENGTH;
                options.length = length;
            }
            end_open_source(&rig.source, rows[i].source, bytes, length, NULL);
            end_open_sink(&rig.sink, rows[i].sink, NULL);
            rig_start(&rig, &options);
            assert_int_equal(by_step ? rig_step(&rig, 0) : rig_run(&rig, 5), 0);
            check_ledger(&rig, length);
            const struct sluice_ledger ledger = rig_ledger(&rig);
            assert_int_equal(ledger.method, rows[i].method);
            assert_int_equal(ledger.fallbacks, 0);
            assert_int_equal(ledger.rows, rows[i].legs);
            for (unsigned k = 0; k < ledger.rows; k++) {
                assert_int_equal(row_of(&rig, k).method, rows[i].method);
                assert_string_equal(row_of(&rig, k).leg.call, rows[i].call[k]);
            }
            assert_int_equal(ledger.copied, rows[i].copies * length);
            const bool piped = rows[i].method == SLUICE_METHOD_SPLICE && rows[i].legs == 2;
            assert_int_equal(ledger.pipe_got > 0, piped);
            assert_true(ledger.pipe_asked >= (piped ? 65536 : 0));
            rig_stop(&rig);
        }
}

/* Nothing is in the ledger before anything has happened. */
static void it_begins_empty(void **state)
{
    struct rig rig = {0};
    struct sluice_row row = {.size = sizeof row};
    struct sluice_fallback fallback = {.size = sizeof fallback};

    (void)state;
    end_open_source(&rig.source, END_FILE, bytes, 1000, NULL);
    end_open_sink(&rig.sink, END_FILE, NULL);
    rig_start(&rig, NULL);
    const struct sluice_ledger ledger = rig_ledger(&rig);
    assert_int_equal(ledger.taken + ledger.delivered + ledger.parked + ledger.calls, 0);
    assert_int_equal(ledger.polls + ledger.copied + ledger.rows + ledger.fallbacks, 0);
    assert_int_equal(sluice_transfer_row(rig.transfer, 0, &row), -ERANGE);
    assert_int_equal(sluice_transfer_fallback(rig.transfer, 0, &fallback), -ERANGE);
    assert_int_equal(rig_error(&rig).error, 0);
    /* While it can go on, nothing can be salvaged. */
    assert_int_equal(sluice_transfer_salvage(rig.transfer, bytes, 10), -EBUSY);
    assert_int_equal(sluice_transfer_free(rig.transfer), 0);
    assert_int_equal(sluice_transfer_free(NULL), 0);
    assert_int_equal(sluice_transfer_discard(NULL), 0);
    rig.transfer = NULL;
    rig_stop(&rig);
}

static void calls_are_timed_if_asked(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sluice_options options = SLUICE_OPTIONS_INIT;
        struct rig rig = {0};
        uint64_t in_calls = 0;

        options.method = rows[i].method;
        options.flags = SLUICE_TIME_CALLS | SLUICE_LENGTH;
        options.length = 30000;
        end_open_source(&rig.source, rows[i].source, bytes, 30000, NULL);
        end_open_sink(&rig.sink, rows[i].sink, NULL);
        rig_start(&rig, &options);
        const uint64_t begun = clock_now();
        assert_int_equal(rig_run(&rig, 5), 0);
        const uint64_t took = clock_now() - begun;
        for (unsigned k = 0; k < rig_ledger(&rig).rows; k++) {
            const struct sluice_row row = row_of(&rig, k);
            if (strcmp(row.leg.call, "mmap") != 0)
                assert_true(row.nanoseconds > 0);
            in_calls += row.nanoseconds;
        }
        assert_true(in_calls <= took);
        rig_stop(&rig);
    }
}

/* ---- calls ---- */

/* The kernel's own count of this thread's reads and writes. */
static void read_account(unsigned long long *reads, unsigned long long *writes)
{
    char text[512];
    const int fd = open("/proc/thread-self/io", O_RDONLY | O_CLOEXEC);
    const ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

    *reads = *writes = 0;
    if (fd >= 0)
        close(fd);
    if (length <= 0)
        return;
    text[length] = '\0';
    const char *at = strstr(text, "syscr:");
    if (at)
        sscanf(at, "syscr: %llu syscw: %llu", reads, writes);
}

static bool account_is_exact(void)
{
    unsigned long long reads[2], writes[2];
    char byte;
    const int fd = open("/dev/zero", O_RDWR | O_CLOEXEC);

    read_account(&reads[0], &writes[0]);
    for (int i = 0; i < 10; i++)
        if (read(fd, &byte, 1) != 1 || write(fd, &byte, 1) != 1)
            break;
    read_account(&reads[1], &writes[1]);
    close(fd);
    return reads[1] - reads[0] == 10 + 1 && writes[1] - writes[0] == 10;
}

static void reads_and_writes_are_those_that_were_made(void **state)
{
    unsigned long long reads[2], writes[2];
    struct sluice_options options = SLUICE_OPTIONS_INIT;
    struct rig rig = {0};

    (void)state;
    options.method = SLUICE_METHOD_READ_WRITE;
    options.chunk = 10000;
    end_open_source(&rig.source, END_FILE, bytes, sizeof bytes, NULL);
    end_open_sink(&rig.sink, END_FILE, NULL);
    rig_start(&rig, &options);
    if (!account_is_exact()) {
        print_message("SKIP: the kernel keeps no account of reads, or an emulator reads, too\n");
        rig_stop(&rig);
        return;
    }
    read_account(&reads[0], &writes[0]);
    assert_int_equal(rig_run(&rig, 5), 0);
    read_account(&reads[1], &writes[1]);
    assert_int_equal(row_of(&rig, 0).calls, reads[1] - reads[0] - 1); /* one was the account's */
    assert_int_equal(row_of(&rig, 1).calls, writes[1] - writes[0]);
    rig_stop(&rig);
}

/* A chunk is the most that a call is asked for, with every method. */
static void chunks_are_kept(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sluice_options options = SLUICE_OPTIONS_INIT;
        struct rig rig = {0};

        if (end_has_messages(rows[i].source))
            continue;
        options.method = rows[i].method;
        options.chunk = 1000;
        end_open_source(&rig.source, rows[i].source, bytes, 10000, NULL);
        end_open_sink(&rig.sink, rows[i].sink, NULL);
        rig_start(&rig, &options);
        assert_int_equal(rig_run(&rig, 5), 0);
        for (unsigned k = 0; k < rig_ledger(&rig).rows; k++)
            if (strcmp(row_of(&rig, k).leg.call, "mmap") != 0)
                assert_true(row_of(&rig, k).calls >= 10);
        rig_stop(&rig);
    }
}

/* Few calls where nobody asks for more: a large file goes in large pieces. */
static void large_files_go_in_large_pieces(void **state)
{
    static const enum sluice_method methods[] = {
        SLUICE_METHOD_AUTO,   SLUICE_METHOD_COPY_RANGE, SLUICE_METHOD_SENDFILE,
        SLUICE_METHOD_SPLICE, SLUICE_METHOD_MMAP_WRITE, SLUICE_METHOD_READ_WRITE};

    (void)state;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        struct sluice_options options = SLUICE_OPTIONS_INIT;
        struct rig rig = {0};
        options.method = methods[i];
        end_open_source(&rig.source, END_FILE, bytes, sizeof bytes, NULL);
        end_open_sink(&rig.sink, END_FILE, NULL);
        rig_start(&rig, &options);
        assert_int_equal(rig_run(&rig, 5), 0);
        assert_true(rig_ledger(&rig).calls <= 40);
        check_ledger(&rig, sizeof bytes);
        rig_stop(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_method_writes_its_own_rows),
        cmocka_unit_test(it_begins_empty),
        cmocka_unit_test(calls_are_timed_if_asked),
        cmocka_unit_test(reads_and_writes_are_those_that_were_made),
        cmocka_unit_test(chunks_are_kept),
        cmocka_unit_test(large_files_go_in_large_pieces),
    };
    return cmocka_run_group_tests(tests, make_bytes, NULL);
}
