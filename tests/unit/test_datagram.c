/* SPDX-License-Identifier: MIT */
/*
 * Datagrams and packets: each stays whole, the empty ones too, none is cut without a word, and a
 * length of zero is not the end.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/rig.h"

static char bytes[400000], got[400000];

static int make_bytes(void **state)
{
    (void)state;
    pattern(bytes, sizeof bytes, 0);
    return 0;
}

static const enum end_kind kinds[] = {END_UDP, END_DGRAM, END_SEQPACKET};
#define KINDS 3

/* Sends messages of these lengths, one after another out of `bytes`. */
static void send_messages(struct end *end, const size_t *lengths, size_t count)
{
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(send(end->peer, bytes + at, lengths[i], MSG_NOSIGNAL), lengths[i]);
        at += lengths[i];
    }
}

static void expect_messages(struct end *end, const size_t *lengths, size_t count)
{
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        const ssize_t value = recv(end->peer, got, sizeof got, 0);
        assert_int_equal(value, lengths[i]);
        if (value > 0)
            assert_memory_equal(got, bytes + at, (size_t)value);
        at += lengths[i];
    }
    assert_int_equal(recv(end->peer, got, sizeof got, 0), -1); /* and no more */
}

static size_t sum(const size_t *lengths, size_t count)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += lengths[i];
    return total;
}

static const size_t some[] = {1, 1000, 0, 7, 8192, 0, 0, 1472, 20000};
#define SOME (sizeof some / sizeof *some)

/* ---- whole ---- */

static void open_pair(struct rig *rig, enum end_kind source, enum end_kind sink)
{
    end_open_source(&rig->source, source, "", 0, &(struct end_options){.open = true});
    end_open_sink(&rig->sink, sink, NULL);
}

static void messages_stay_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++)
        for (size_t k = 0; k < KINDS; k++)
            for (int by_step = 0; by_step < 2; by_step++) {
                struct sluice_options options = SLUICE_OPTIONS_INIT;
                struct rig rig = {0};
                open_pair(&rig, kinds[i], kinds[k]);
                send_messages(&rig.source, some, SOME);
                options.idle_timeout = 30000000;
                rig_start(&rig, &options);
                if (by_step)
                    assert_int_equal(rig_step(&rig, 0), SLUICE_WAIT);
                else
                    assert_int_equal(rig_run(&rig, 5), -ETIMEDOUT);
                assert_int_equal(sluice_transfer_delivered(rig.transfer), sum(some, SOME));
                assert_int_equal(sluice_transfer_parked(rig.transfer), 0);
                expect_messages(&rig.sink, some, SOME);
                rig_stop(&rig);
            }
}

/* Into a stream of bytes they go one after another, and the empty ones leave nothing. */
static void messages_become_a_stream(void **state)
{
    static const enum end_kind sinks[] = {END_FILE, END_PIPE, END_TCP, END_UNIX};

    (void)state;
    for (size_t i = 0; i < KINDS; i++)
        for (size_t k = 0; k < 4; k++) {
            struct sluice_options options = SLUICE_OPTIONS_INIT;
            struct rig rig = {0};
            open_pair(&rig, kinds[i], sinks[k]);
            send_messages(&rig.source, some, SOME);
            options.idle_timeout = 30000000;
            rig_start(&rig, &options);
            assert_int_equal(rig_run(&rig, 5), -ETIMEDOUT);
            rig_sink_has(&rig, bytes, sum(some, SOME));
            rig_stop(&rig);
        }
}

/* A stream is cut into messages of the length asked for, the last one being what is left. */
static void a_stream_becomes_messages(void **state)
{
    static const enum end_kind sources[] = {END_FILE, END_PIPE, END_TCP, END_UNIX};
    static const uint32_t chunks[] = {100, 1400, 9000};

    (void)state;
    for (size_t i = 0; i < 4; i++)
        for (size_t k = 0; k < KINDS; k++)
            for (size_t c = 0; c < 3; c++) {
                struct sluice_options options = SLUICE_OPTIONS_INIT;
                struct rig rig = {0};
                size_t lengths[8], count = 0;
                const size_t total = 5 * chunks[c] + 33;

                for (size_t left = total; left > 0; count++) {
                    lengths[count] = left < chunks[c] ? left : chunks[c];
                    left -= lengths[count];
                }
                end_open_source(&rig.source, sources[i], bytes, total, NULL);
                end_open_sink(&rig.sink, kinds[k], NULL);
                options.chunk = chunks[c];
                rig_start(&rig, &options);
                assert_int_equal(rig_run(&rig, 5), 0);
                expect_messages(&rig.sink, lengths, count);
                rig_stop(&rig);
            }
}

/* Without a length asked for, messages are such as the sink takes. */
static void a_stream_becomes_messages_that_fit(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        struct rig rig = {0};
        size_t done = 0;
        int step;

        end_open_source(&rig.source, END_FILE, bytes, sizeof bytes, NULL);
        end_open_sink(&rig.sink, kinds[k], NULL);
        rig_start(&rig, NULL);
        for (int turns = 0; (step = rig_step(&rig, 20000)) > 0; turns++) {
            for (size_t piece; (piece = end_drain(&rig.sink, got + done, sizeof got - done)) > 0;)
                done += piece;
            assert_true(turns < 100000);
        }
        assert_int_equal(step, SLUICE_DONE);
        for (size_t piece; (piece = end_drain(&rig.sink, got + done, sizeof got - done)) > 0;)
            done += piece;
        assert_int_equal(done, sizeof bytes);
        assert_memory_equal(got, bytes, sizeof bytes);
        rig_stop(&rig);
    }
}

/* The largest that there are. */
static void large_messages_stay_whole(void **state)
{
    static const struct {
        enum end_kind kind;
        size_t length;
    } rows[] = {{END_UDP, 65507}, {END_DGRAM, 150000}, {END_SEQPACKET, 150000}};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct sluice_options options = SLUICE_OPTIONS_INIT;
        struct rig rig = {0};
        open_pair(&rig, rows[i].kind, rows[i].kind);
        send_messages(&rig.source, &rows[i].length, 1);
        options.idle_timeout = 30000000;
        rig_start(&rig, &options);
        assert_int_equal(rig_run(&rig, 5), -ETIMEDOUT);
        expect_messages(&rig.sink, &rows[i].length, 1);
        rig_stop(&rig);
    }
}

/* A message that its sink cannot take is an error of the sink, and is not lost. */
static void a_message_too_long_for_the_sink(void **state)
{
    const size_t length = 100000;
    struct rig rig = {0};

    (void)state;
    open_pair(&rig, END_DGRAM, END_UDP);
    send_messages(&rig.source, &length, 1);
    rig_start(&rig, NULL);
    assert_int_equal(rig_step(&rig, 0), -EMSGSIZE);
    assert_int_equal(rig_error(&rig).side, SLUICE_SIDE_SINK);
    assert_int_equal(rig_error(&rig).parked, length);
    assert_int_equal(sluice_transfer_salvage(rig.transfer, got, sizeof got), length);
    assert_memory_equal(got, bytes, length);
    rig_stop(&rig);
}

/* A message longer than what is kept for one: never cut without a word. */
static void the_longest_message_stays_whole(void **state)
{
    const int huge = 64 << 20;
    const size_t length = (4 << 20) + 65536; /* the kernel's own bound for UNIX sockets */
    char *message = calloc(1, length);
    struct rig rig = {0};

    (void)state;
    open_pair(&rig, END_DGRAM, END_FILE);
    setsockopt(rig.source.peer, SOL_SOCKET, SO_SNDBUFFORCE, &huge, sizeof huge);
    const bool sent = send(rig.source.peer, message, length, 0) >= 0;
    free(message);
    rig_start(&rig, NULL);
    if (sent) {
        assert_int_equal(rig_step(&rig, 0), SLUICE_WAIT);
        assert_int_equal(sluice_transfer_delivered(rig.transfer), length);
    } else {
        print_message("SKIP: only root may send a message as large as that\n");
    }
    rig_stop(&rig);
}

/* ---- ends ---- */

/* A packet of no bytes is a packet; the end comes when the other side is shut down. */
static void an_empty_packet_is_not_the_end(void **state)
{
    static const size_t lengths[] = {0, 5, 0};
    struct rig rig = {0};

    (void)state;
    open_pair(&rig, END_SEQPACKET, END_SEQPACKET);
    rig_start(&rig, NULL);
    send_messages(&rig.source, lengths, 2);
    assert_int_equal(rig_step(&rig, 0), SLUICE_WAIT);
    assert_int_equal(rig.wait.mask & SLUICE_WAIT_SOURCE_IN, SLUICE_WAIT_SOURCE_IN);
    assert_int_equal(send(rig.source.peer, "", 0, 0), 0);
    assert_int_equal(rig_step(&rig, 0), SLUICE_WAIT);
    expect_messages(&rig.sink, lengths, 3);
    end_finish(&rig.source);
    assert_int_equal(rig_step(&rig, 0), SLUICE_DONE);
    rig_stop(&rig);
}

/* The last packets, and then the end at once. */
static void packets_before_the_end_are_not_lost(void **state)
{
    struct rig rig = {0};

    (void)state;
    open_pair(&rig, END_SEQPACKET, END_FILE);
    send_messages(&rig.source, some, SOME);
    end_finish(&rig.source);
    rig_start(&rig, NULL);
    assert_int_equal(rig_run(&rig, 5), 0);
    rig_sink_has(&rig, bytes, sum(some, SOME));
    rig_stop(&rig);
}

/* A length ends it: at that byte if messages end there, else with the message that reaches it or
 * before it. In any case it ends, and no message is cut in two. */
static void a_length_ends_it(void **state)
{
    static const size_t lengths[] = {5000, 5000, 5000, 5000};
    static const uint64_t limits[] = {1, 100, 5000, 5001, 12000, 15000, 20000};

    (void)state;
    for (size_t i = 0; i < KINDS; i++)
        for (size_t l = 0; l < sizeof limits / sizeof *limits; l++)
            for (int to_file = 0; to_file < 2; to_file++) {
                struct sluice_options options = SLUICE_OPTIONS_INIT;
                struct rig rig = {0};
                options.flags = SLUICE_LENGTH;
                options.length = limits[l];
                options.idle_timeout = 200000000;
                open_pair(&rig, kinds[i], to_file ? END_FILE : kinds[i]);
                send_messages(&rig.source, lengths, 4);
                rig_start(&rig, &options);
                assert_int_equal(rig_run(&rig, 5), 0);
                const uint64_t delivered = sluice_transfer_delivered(rig.transfer);
                assert_in_range(delivered, limits[l] - limits[l] % 5000,
                                (limits[l] + 4999) / 5000 * 5000);
                if (to_file) {
                    rig_sink_has(&rig, bytes, delivered);
                } else {
                    assert_int_equal(delivered % 5000, 0);
                    expect_messages(&rig.sink, lengths, delivered / 5000);
                }
                rig_stop(&rig);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_stay_whole),
        cmocka_unit_test(messages_become_a_stream),
        cmocka_unit_test(a_stream_becomes_messages),
        cmocka_unit_test(a_stream_becomes_messages_that_fit),
        cmocka_unit_test(large_messages_stay_whole),
        cmocka_unit_test(a_message_too_long_for_the_sink),
        cmocka_unit_test(the_longest_message_stays_whole),
        cmocka_unit_test(an_empty_packet_is_not_the_end),
        cmocka_unit_test(packets_before_the_end_are_not_lost),
        cmocka_unit_test(a_length_ends_it),
    };
    return cmocka_run_group_tests(tests, make_bytes, NULL);
}
