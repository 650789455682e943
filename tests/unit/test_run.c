/* SPDX-License-Identifier: MIT */
/*
 * Runs between two peers with paces of their own: one writes in pieces of random size, the other
 * reads in pieces of random size, both pause at random, and the descriptors of the library block or
 * do not. Whatever waits for whom, the bytes are the same.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/rig.h"

enum { LENGTH = 300000 };

static char bytes[LENGTH];

static int make_bytes(void **state)
{
    (void)state;
    pattern(bytes, sizeof bytes, 0);
    return 0;
}

struct peers {
    struct end *source, *sink;
    uint64_t seed;
    size_t received;
    char got[LENGTH + 1];
};

static size_t piece(uint64_t *seed)
{
    static const size_t bounds[] = {10, 3000, 70000};
    const struct timespec moment = {.tv_nsec = (long)random_below(seed, 300000)};

    if (random_below(seed, 6) == 0)
        nanosleep(&moment, NULL);
    return 1 + random_below(seed, bounds[random_below(seed, 3)]);
}

static void *feed(void *data)
{
    struct peers *peers = data;
    uint64_t seed = peers->seed;
    size_t fed = 0;

    while (fed < LENGTH) {
        struct pollfd fd = {.fd = peers->source->peer, .events = POLLOUT};
        size_t length = piece(&seed);
        if (length > LENGTH - fed)
            length = LENGTH - fed;
        const size_t done = end_feed(peers->source, bytes + fed, length);
        fed += done;
        if (done < length && poll(&fd, 1, 10000) <= 0)
            break;
    }
    end_finish(peers->source);
    return NULL;
}

static void *drain(void *data)
{
    struct peers *peers = data;
    uint64_t seed = peers->seed + 4711;

    while (peers->received < LENGTH) {
        struct pollfd fd = {.fd = peers->sink->peer, .events = POLLIN};
        size_t length = piece(&seed);
        if (length > sizeof peers->got - peers->received)
            length = sizeof peers->got - peers->received;
        const size_t done = end_drain(peers->sink, peers->got + peers->received, length);
        peers->received += done;
        if (done == 0 && (poll(&fd, 1, 10000) <= 0 || fd.revents & (POLLHUP | POLLERR)))
            break;
    }
    return NULL;
}

static void run_between(enum end_kind source, enum end_kind sink, enum sluice_method method,
                        bool source_blocks, bool sink_blocks, bool watched, uint64_t seed)
{
    struct sluice_options options = SLUICE_OPTIONS_INIT;
    struct peers *peers = calloc(1, sizeof *peers);
    struct rig rig = {0};
    pthread_t feeder, drainer;

    assert_non_null(peers);
    end_open_source(
        &rig.source, source, "", 0,
        &(struct end_options){.open = true, .blocking = source_blocks, .capacity = 16384});
    end_open_sink(&rig.sink, sink,
                  &(struct end_options){.blocking = sink_blocks, .capacity = 16384});
    peers->source = &rig.source;
    peers->sink = &rig.sink;
    peers->seed = seed;
    options.method = method;
    if (watched) /* then it waits outside the calls */
        options.idle_timeout = UINT64_C(60000000000);
    rig_start(&rig, &options);
    pthread_create(&feeder, NULL, feed, peers);
    pthread_create(&drainer, NULL, drain, peers);
    const int result = rig_run(&rig, 30);
    pthread_join(feeder, NULL);
    pthread_join(drainer, NULL);
    if (result != 0 || peers->received != LENGTH)
        print_error("%s%s -> %s%s, %s%s, seed %llu: result %d, %zu bytes\n", end_name(source),
                    source_blocks ? " (blocks)" : "", end_name(sink),
                    sink_blocks ? " (blocks)" : "", sluice_method_name(method),
                    watched ? ", watched" : "", (unsigned long long)seed, result, peers->received);
    assert_int_equal(result, 0);
    assert_int_equal(sluice_transfer_delivered(rig.transfer), LENGTH);
    assert_int_equal(peers->received, LENGTH);
    assert_memory_equal(peers->got, bytes, LENGTH);
    rig_stop(&rig);
    free(peers);
}

static void bytes_arrive_whatever_the_paces(void **state)
{
    static const enum end_kind kinds[] = {END_PIPE, END_TCP, END_UNIX};
    static const enum sluice_method methods[] = {SLUICE_METHOD_AUTO, SLUICE_METHOD_READ_WRITE};
    uint64_t seed = 1;

    (void)state;
    for (int source = 0; source < 3; source++)
        for (int sink = 0; sink < 3; sink++)
            for (int method = 0; method < 2; method++)
                for (int variant = 0; variant < 8; variant++)
                    run_between(kinds[source], kinds[sink], methods[method], variant & 1,
                                variant & 2, variant & 4, seed++);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_arrive_whatever_the_paces),
    };
    return cmocka_run_group_tests(tests, make_bytes, NULL);
}
