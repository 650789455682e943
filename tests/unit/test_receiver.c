/* SPDX-License-Identifier: MIT */
/* Receivers: the bytes are those that were sent, by whatever way they came, and the end is told. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/probe/probe.h"
#include "sluice.h"
#include "tests/unit/ends.h"

enum { LENGTH = 200000 };

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

static sluice_receiver *receiver_of(int fd, enum sluice_receive_way prefer, uint32_t window,
                                    sluice_endpoint **ret)
{
    const struct sluice_receiver_options options = {
        .size = sizeof options, .prefer = prefer, .window = window};
    sluice_receiver *receiver;

    assert_int_equal(sluice_endpoint_from_fd(context, fd, SLUICE_BORROW, ret), 0);
    assert_int_equal(sluice_receiver_new(context, *ret, &options, &receiver), 0);
    return receiver;
}

static struct sluice_receiver_choice choice_of(const sluice_receiver *receiver,
                                               enum sluice_receive_way way)
{
    struct sluice_receiver_choice choice = {.size = sizeof choice};
    for (unsigned i = 0; sluice_receiver_choice(receiver, i, &choice) == 0; i++)
        if (choice.way == way)
            return choice;
    fail();
    return choice;
}

static void every_source_by_every_way(void **state)
{
    static const enum end_kind kinds[] = {END_FILE, END_DISK, END_PIPE, END_TCP, END_UNIX};
    char *wanted = malloc(LENGTH);

    (void)state;
    pattern(wanted, LENGTH, 3);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (unsigned way = 0; way < SLUICE_RECEIVE_WAY_COUNT; way++)
            for (int blocking = 0; blocking < 2; blocking++) {
                const struct end_options options = {
                    .blocking = blocking, .open = true, .capacity = 1 << 20};
                struct end end;
                sluice_endpoint *endpoint;
                const void *bytes;
                size_t got = 0, fed = 0;
                const bool stream = end_is_socket(kinds[i]) || kinds[i] == END_PIPE;

                end_open_source(&end, kinds[i], wanted, stream ? 0 : LENGTH, &options);
                sluice_receiver *receiver = receiver_of(end.fd, way, 65536, &endpoint);
                alarm(20);
                if (stream)
                    assert_int_equal(sluice_receiver_next(receiver, &bytes), -EAGAIN);
                while (got < LENGTH) {
                    if (stream && fed < LENGTH)
                        fed += end_feed(&end, wanted + fed, LENGTH - fed);
                    const ssize_t value = sluice_receiver_next(receiver, &bytes);
                    if (value == -EAGAIN)
                        continue;
                    assert_true(value > 0 && got + (size_t)value <= LENGTH);
                    assert_memory_equal(bytes, wanted + got, (size_t)value);
                    got += (size_t)value;
                }
                end_finish(&end);
                ssize_t value;
                while ((value = sluice_receiver_next(receiver, &bytes)) == -EAGAIN)
                    poll(NULL, 0, 1);
                assert_int_equal(value, 0);
                alarm(0);
                uint64_t counted = 0;
                for (unsigned which = 1; which < SLUICE_RECEIVE_WAY_COUNT; which++)
                    counted += choice_of(receiver, which).bytes;
                assert_int_equal(counted, LENGTH);
                if (way == SLUICE_RECEIVE_VMSPLICE && kinds[i] == END_PIPE)
                    assert_int_equal(choice_of(receiver, way).bytes, LENGTH);
                if (way == SLUICE_RECEIVE_READ)
                    assert_non_null(choice_of(receiver, SLUICE_RECEIVE_MAP).ruled_out);
                sluice_receiver_free(receiver);
                sluice_endpoint_free(endpoint);
                end_close(&end);
            }
    free(wanted);
}

/* A sender whose segments are whole pages: they are mapped, and hold the right bytes. */
static void whole_pages_are_mapped(void **state)
{
    enum { MANY = 1 << 20 };
    const struct end_options options = {.open = true, .capacity = 4 << 20};
    struct end end;
    sluice_endpoint *endpoint;
    const void *bytes;
    const int on = 1;
    char *sent = aligned_alloc(4096, MANY), *got = malloc(MANY);
    size_t fed = 0, length = 0;

    (void)state;
    pattern(sent, MANY, 5);
    end_open_source(&end, END_TCP, "", 0, &options);
    if (setsockopt(end.peer, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof on) < 0) {
        print_message("SKIP: no SO_ZEROCOPY\n");
        end_close(&end);
        free(sent);
        free(got);
        return;
    }
    sluice_receiver *receiver = receiver_of(end.fd, SLUICE_RECEIVE_MAP, 0, &endpoint);
    while (length < MANY) {
        if (fed < MANY) {
            const ssize_t value =
                send(end.peer, sent + fed, MANY - fed, MSG_ZEROCOPY | MSG_DONTWAIT);
            fed += value > 0 ? (size_t)value : 0;
        }
        const ssize_t value = sluice_receiver_next(receiver, &bytes);
        if (value == -EAGAIN)
            continue;
        assert_true(value > 0);
        memcpy(got + length, bytes, (size_t)value);
        length += (size_t)value;
    }
    assert_memory_equal(got, sent, MANY);
    const struct sluice_receiver_choice choice = choice_of(receiver, SLUICE_RECEIVE_MAP);
    if (choice.error)
        print_message("SKIP: TCP_ZEROCOPY_RECEIVE: %s\n", strerror(-choice.error));
    else if (sysconf(_SC_PAGESIZE) == 4096)
        assert_true(choice.bytes >= MANY / 2);
    sluice_receiver_free(receiver);
    sluice_endpoint_free(endpoint);
    end_close(&end);
    free(sent);
    free(got);
}

/* Without a probe that saw pages mapped nothing is tried; with one it is; but not on loopback. */
static void mapping_goes_by_the_probe(void **state)
{
    struct end end;
    sluice_endpoint *endpoint;

    (void)state;
    end_open_source(&end, END_TCP, "", 0, NULL);
    sluice_receiver *receiver = receiver_of(end.fd, SLUICE_RECEIVE_AUTO, 0, &endpoint);
    assert_non_null(choice_of(receiver, SLUICE_RECEIVE_MAP).ruled_out);
    assert_null(choice_of(receiver, SLUICE_RECEIVE_READ).ruled_out);
    sluice_receiver_free(receiver);
    sluice_endpoint_free(endpoint);
    end_close(&end);
}

static void what_is_no_source_is_refused(void **state)
{
    static const enum end_kind kinds[] = {END_UDP, END_DGRAM, END_SEQPACKET};
    struct sluice_receiver_options options = {.size = sizeof options, .prefer = 99};
    struct sluice_receiver_choice choice = {.size = sizeof choice};
    sluice_endpoint *endpoint;
    sluice_receiver *receiver;
    struct end end;
    int fds[2];

    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        end_open_sink(&end, kinds[i], NULL);
        assert_int_equal(sluice_endpoint_from_fd(context, end.fd, SLUICE_BORROW, &endpoint), 0);
        assert_int_equal(sluice_receiver_new(context, endpoint, NULL, &receiver), -EINVAL);
        sluice_endpoint_free(endpoint);
        end_close(&end);
    }
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(sluice_endpoint_from_fd(context, fds[1], SLUICE_BORROW, &endpoint), 0);
    assert_int_equal(sluice_receiver_new(context, endpoint, NULL, &receiver), -EBADF);
    sluice_endpoint_free(endpoint);
    assert_int_equal(sluice_endpoint_from_fd(context, fds[0], SLUICE_BORROW, &endpoint), 0);
    assert_int_equal(sluice_receiver_new(context, endpoint, &options, &receiver), -EINVAL);
    options.prefer = SLUICE_RECEIVE_AUTO;
    options.window = UINT32_MAX;
    assert_int_equal(sluice_receiver_new(context, endpoint, &options, &receiver), -EINVAL);
    assert_int_equal(sluice_receiver_new(context, endpoint, NULL, &receiver), 0);
    assert_int_equal(sluice_receiver_choice(receiver, 3, &choice), -ERANGE);
    sluice_receiver_free(receiver);
    sluice_receiver_free(NULL);
    sluice_endpoint_free(endpoint);
    close(fds[0]);
    close(fds[1]);
    assert_string_equal(sluice_receive_way_name(SLUICE_RECEIVE_MAP), "map");
    assert_string_equal(sluice_receive_way_name(SLUICE_RECEIVE_WAY_COUNT), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_source_by_every_way),
        cmocka_unit_test(whole_pages_are_mapped),
        cmocka_unit_test(mapping_goes_by_the_probe),
        cmocka_unit_test(what_is_no_source_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
