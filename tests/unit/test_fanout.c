/* SPDX-License-Identifier: MIT */
/* A fan-out as an event loop uses it: sinks come and go, what is waited for, policies, cancel and salvage. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "sluice.h"

enum { LENGTH = 1 << 20 };

static char reference[LENGTH];

struct rig {
    sluice_context *context;
    sluice_endpoint *source;
    sluice_fanout *fanout;
    int source_fd, producer;
    size_t sent;
    unsigned events, event_sink;
};

struct sink {
    int fd, peer;
    unsigned id;
    sluice_endpoint *endpoint;
    size_t got;
    char bytes[LENGTH];
};

static int on_event(sluice_fanout *fanout, unsigned sink, void *data)
{
    struct rig *rig = data;

    (void)fanout;
    rig->events++;
    rig->event_sink = sink;
    return 0;
}

static void begin(struct rig *rig, const struct sluice_fanout_options *options)
{
    struct sluice_fanout_options own = SLUICE_FANOUT_OPTIONS_INIT;
    int fds[2];

    *rig = (struct rig){0};
    if (options)
        own = *options;
    own.event = on_event;
    own.event_data = rig;
    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    rig->source_fd = fds[0];
    rig->producer = fds[1];
    rig->context = sluice_context_new(NULL, NULL);
    assert_int_equal(
        sluice_endpoint_from_fd(rig->context, rig->source_fd, SLUICE_BORROW, &rig->source), 0);
    assert_int_equal(sluice_fanout_new(rig->context, rig->source, &own, &rig->fanout, NULL), 0);
}

static void end(struct rig *rig)
{
    sluice_fanout_free(rig->fanout);
    sluice_endpoint_free(rig->source);
    sluice_context_free(rig->context);
    close(rig->source_fd);
    if (rig->producer >= 0)
        close(rig->producer);
}

static struct sink *add(struct rig *rig, const struct sluice_sink_options *options)
{
    struct sink *sink = calloc(1, sizeof *sink);
    int fds[2];

    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    sink->fd = fds[1];
    sink->peer = fds[0];
    assert_int_equal(
        sluice_endpoint_from_fd(rig->context, sink->fd, SLUICE_BORROW, &sink->endpoint), 0);
    assert_int_equal(sluice_fanout_add(rig->fanout, sink->endpoint, options, &sink->id, NULL), 0);
    return sink;
}

static void let_go(struct sink *sink)
{
    sluice_endpoint_free(sink->endpoint);
    close(sink->fd);
    if (sink->peer >= 0)
        close(sink->peer);
    free(sink);
}

static void receive(struct sink *sink)
{
    ssize_t value;

    while ((value = read(sink->peer, sink->bytes + sink->got, LENGTH - sink->got)) > 0)
        sink->got += (size_t)value;
}

/* Bytes into the source, and a step. */
static int step(struct rig *rig, size_t length)
{
    if (length > 0) {
        assert_int_equal(write(rig->producer, reference + rig->sent, length), length);
        rig->sent += length;
    }
    return sluice_fanout_step(rig->fanout, 0, NULL);
}

static struct sluice_sink_info info_of(struct rig *rig, const struct sink *sink)
{
    struct sluice_sink_info info = {.size = sizeof info};

    assert_int_equal(sluice_fanout_sink(rig->fanout, sink->id, &info), 0);
    return info;
}

/* Whether the last step waits for this: -1 is the source. */
static bool waits_for(struct rig *rig, int sink, short events)
{
    struct sluice_fanout_watch watch = {.size = sizeof watch};

    for (unsigned i = 0; sluice_fanout_watch(rig->fanout, i, &watch) == 0; i++)
        if (watch.sink == sink && watch.events == events)
            return true;
    return false;
}

static void sinks_come_and_go(void **unused)
{
    struct rig rig;

    (void)unused;
    begin(&rig, NULL);
    struct sink *first = add(&rig, NULL);
    assert_int_equal(step(&rig, 1000), SLUICE_WAIT);
    assert_true(waits_for(&rig, SLUICE_WATCH_SOURCE, POLLIN));
    struct sink *second = add(&rig, NULL);
    assert_int_equal(step(&rig, 500), SLUICE_WAIT);
    assert_int_equal(sluice_fanout_remove(rig.fanout, first->id), 0);
    assert_int_equal(sluice_fanout_remove(rig.fanout, first->id), -ERANGE);
    assert_int_equal(step(&rig, 250), SLUICE_WAIT);
    struct sink *third = add(&rig, NULL);
    assert_int_not_equal(third->id, first->id);
    close(rig.producer);
    rig.producer = -1;
    assert_int_equal(step(&rig, 0), SLUICE_DONE);
    assert_int_equal(step(&rig, 0), SLUICE_DONE);
    receive(first);
    receive(second);
    receive(third);
    assert_int_equal(first->got, 1500);
    assert_int_equal(second->got, 750);
    assert_int_equal(third->got, 0);
    assert_memory_equal(first->bytes, reference, 1500);
    assert_memory_equal(second->bytes, reference + 1000, 750);
    assert_int_equal(info_of(&rig, second).state, SLUICE_SINK_DONE);
    end(&rig);
    let_go(first);
    let_go(second);
    let_go(third);
}

/* A full sink is waited for, the source is not while that is at its bound; and nothing is lost. */
static void a_full_sink_is_waited_for(void **unused)
{
    struct sluice_sink_options options = SLUICE_SINK_OPTIONS_INIT;
    struct rig rig;
    int turns = 0;

    (void)unused;
    begin(&rig, NULL);
    options.lag = 100000;
    struct sink *slow = add(&rig, &options), *quick = add(&rig, NULL);
    for (; turns < 100 && !(waits_for(&rig, (int)slow->id, POLLOUT) &&
                            !waits_for(&rig, SLUICE_WATCH_SOURCE, POLLIN));
         turns++) {
        const ssize_t value = write(rig.producer, reference + rig.sent, 50000);
        rig.sent += value > 0 ? (size_t)value : 0;
        assert_int_equal(step(&rig, 0), SLUICE_WAIT);
        receive(quick);
    }
    assert_true(turns < 100);
    assert_in_range(info_of(&rig, slow).lag, 1, 100000);
    close(rig.producer);
    rig.producer = -1;
    for (int value = SLUICE_WAIT; value > SLUICE_DONE; value = step(&rig, 0)) {
        receive(slow);
        receive(quick);
    }
    receive(slow);
    receive(quick);
    assert_int_equal(slow->got, rig.sent);
    assert_int_equal(quick->got, rig.sent);
    assert_memory_equal(slow->bytes, reference, rig.sent);
    assert_int_equal(info_of(&rig, slow).dropped, 0);
    end(&rig);
    let_go(slow);
    let_go(quick);
}

static void a_slow_sink_is_detached(void **unused)
{
    struct sluice_sink_options options = SLUICE_SINK_OPTIONS_INIT;
    struct rig rig;

    (void)unused;
    begin(&rig, NULL);
    options.slow = SLUICE_SLOW_DETACH;
    options.lag = 4096;
    struct sink *slow = add(&rig, &options), *quick = add(&rig, NULL);
    for (int i = 0; i < 20; i++) {
        step(&rig, 20000);
        receive(quick);
    }
    assert_int_equal(rig.events, 1);
    assert_int_equal(rig.event_sink, slow->id);
    const struct sluice_sink_info info = info_of(&rig, slow);
    assert_int_equal(info.state, SLUICE_SINK_DETACHED);
    assert_non_null(info.reason);
    receive(slow);
    assert_int_equal(slow->got, info.delivered);
    assert_memory_equal(slow->bytes, reference, slow->got);
    assert_int_equal(quick->got, rig.sent);
    end(&rig);
    let_go(slow);
    let_go(quick);
}

/* While the source is idle, a sink's reader leaves: seen without a byte. */
static void a_reader_that_leaves_is_seen(void **unused)
{
    struct sluice_fanout_options options = SLUICE_FANOUT_OPTIONS_INIT;
    struct rig rig;

    (void)unused;
    for (int watched = 1; watched >= 0; watched--) {
        options.flags = watched ? 0 : SLUICE_FANOUT_NO_HUP;
        begin(&rig, &options);
        struct sink *sink = add(&rig, NULL);
        assert_int_equal(step(&rig, 10), SLUICE_WAIT);
        assert_int_equal(waits_for(&rig, (int)sink->id, 0), watched);
        close(sink->peer);
        sink->peer = -1;
        assert_int_equal(step(&rig, 0), watched ? SLUICE_DONE : SLUICE_WAIT);
        assert_int_equal(rig.events, watched);
        assert_int_equal(info_of(&rig, sink).error, watched ? -EPIPE : 0);
        assert_int_equal(info_of(&rig, sink).delivered, 10);
        end(&rig);
        let_go(sink);
    }
}

/* Whoever rests holds no pipe between two bursts, and what comes next is moved all the same. */
static void one_that_rests_holds_no_pipe(void **unused)
{
    struct sluice_fanout_options options = SLUICE_FANOUT_OPTIONS_INIT;
    struct sluice_pipes pipes = {.size = sizeof pipes};
    struct rig rig;

    (void)unused;
    for (int rests = 0; rests < 2; rests++) {
        options.flags = rests ? SLUICE_FANOUT_REST : 0;
        begin(&rig, &options);
        struct sink *first = add(&rig, NULL), *second = add(&rig, NULL);
        for (int burst = 0; burst < 4; burst++) {
            for (int i = 0; i < 3; i++) { /* until it goes through pipes */
                assert_int_equal(step(&rig, 40000), SLUICE_WAIT);
                receive(first);
                if (i == 1) /* meanwhile something waits for one of them */
                    assert_int_equal(step(&rig, 40000), SLUICE_WAIT);
                receive(second);
                assert_int_equal(step(&rig, 0), SLUICE_WAIT);
                receive(second);
            }
            assert_int_equal(info_of(&rig, second).lag, 0);
            sluice_context_pipes(rig.context, &pipes);
            assert_true(pipes.open >= 2);
            assert_int_equal(pipes.open - pipes.idle, rests ? 0 : pipes.open);
        }
        receive(first);
        assert_int_equal(first->got, rig.sent);
        assert_int_equal(second->got, rig.sent);
        assert_memory_equal(first->bytes, reference, rig.sent);
        assert_memory_equal(second->bytes, reference, rig.sent);
        end(&rig);
        let_go(first);
        let_go(second);
    }
}

static void what_waits_is_salvaged(void **unused)
{
    struct sluice_fanout_options options = SLUICE_FANOUT_OPTIONS_INIT;
    struct sluice_sink_options wide = SLUICE_SINK_OPTIONS_INIT;
    struct sluice_error error = {.size = sizeof error};
    struct rig rig;
    ssize_t value;

    (void)unused;
    assert_int_equal(sluice_cancel_new(SLUICE_CANCEL_EVENT, &options.cancel), 0);
    begin(&rig, &options);
    wide.lag = LENGTH;
    struct sink *slow = add(&rig, &wide), *quick = add(&rig, NULL);
    while (rig.sent + 60000 <= LENGTH / 2) {
        step(&rig, 60000);
        receive(quick);
    }
    char *bytes = malloc(LENGTH);
    assert_int_equal(sluice_fanout_salvage(rig.fanout, slow->id, bytes, LENGTH), -EBUSY);
    sluice_cancel_fire(options.cancel);
    assert_int_equal(step(&rig, 0), -ECANCELED);
    assert_int_equal(step(&rig, 0), -ECANCELED);
    sluice_fanout_error(rig.fanout, &error);
    assert_int_equal(error.error, -ECANCELED);
    receive(slow);
    while ((value = sluice_fanout_salvage(rig.fanout, slow->id, bytes, 12345)) > 0) {
        memcpy(slow->bytes + slow->got, bytes, (size_t)value);
        slow->got += (size_t)value;
    }
    assert_int_equal(value, 0);
    assert_int_equal(slow->got, rig.sent);
    assert_memory_equal(slow->bytes, reference, rig.sent);
    assert_int_equal(info_of(&rig, slow).lag, 0);
    end(&rig);
    let_go(slow);
    let_go(quick);
    free(bytes);
    sluice_cancel_free(options.cancel);
}

/* A file that cannot be written to is an error of that sink alone; one that can loses nothing. */
static void what_has_no_room_is_spilled(void **unused)
{
    struct sluice_sink_options options = SLUICE_SINK_OPTIONS_INIT;
    struct rig rig;

    (void)unused;
    for (int sealed = 0; sealed < 2; sealed++) {
        const int file = memfd_create("spill", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        begin(&rig, NULL);
        if (sealed)
            fcntl(file, F_ADD_SEALS, F_SEAL_GROW);
        options.slow = SLUICE_SLOW_SPILL;
        options.lag = 4096;
        assert_int_equal(sluice_endpoint_from_fd(rig.context, file, SLUICE_OWN, &options.spill), 0);
        struct sink *slow = add(&rig, &options), *quick = add(&rig, NULL);
        while (rig.sent + 40000 <= LENGTH / 2) {
            step(&rig, 40000);
            receive(quick);
        }
        /* The file is written by a thread, and with so small a lag it is waited for. */
        struct sluice_fanout_watch watch = {.size = sizeof watch};
        do {
            step(&rig, 0);
            receive(quick);
            usleep(1000);
        } while (sluice_fanout_watch(rig.fanout, 0, &watch) == 0 &&
                 (quick->got < rig.sent || (!sealed && info_of(&rig, slow).pipes > 1)));
        assert_int_equal(quick->got, rig.sent);
        struct sluice_sink_info info = info_of(&rig, slow);
        assert_int_equal(info.state, sealed ? SLUICE_SINK_FAILED : SLUICE_SINK_RUNNING);
        assert_int_equal(info.error, sealed ? -EPERM : 0);
        if (!sealed)
            assert_in_range(info.spilled, LENGTH / 4, LENGTH);
        close(rig.producer);
        rig.producer = -1;
        for (int value = SLUICE_WAIT; value > SLUICE_DONE; value = step(&rig, 0))
            receive(slow);
        receive(slow);
        assert_int_equal(slow->got, sealed ? info.delivered : rig.sent);
        assert_memory_equal(slow->bytes, reference, slow->got);
        end(&rig);
        let_go(slow);
        let_go(quick);
        sluice_endpoint_free(options.spill);
    }
}

static void wrong_arguments_are_refused(void **unused)
{
    struct sluice_fanout_options options = SLUICE_FANOUT_OPTIONS_INIT;
    struct sluice_sink_options sink = SLUICE_SINK_OPTIONS_INIT;
    struct sluice_error error = {.size = sizeof error};
    sluice_endpoint *other = NULL;
    sluice_fanout *none = NULL;
    struct rig rig;

    (void)unused;
    begin(&rig, NULL);
    options.flags = 1U << 31;
    assert_int_equal(sluice_fanout_new(rig.context, rig.source, &options, &none, &error), -EINVAL);
    assert_int_equal(error.side, SLUICE_SIDE_SETUP);
    assert_int_equal(sluice_endpoint_from_fd(rig.context, rig.producer, SLUICE_BORROW, &other), 0);
    assert_int_equal(sluice_fanout_new(rig.context, other, NULL, &none, &error), -EBADF);
    assert_int_equal(sluice_fanout_add(rig.fanout, other, NULL, NULL, &error), -EINVAL);
    assert_int_equal(sluice_fanout_add_function(rig.fanout, NULL, NULL, NULL, NULL), -EINVAL);
    assert_int_equal(sluice_fanout_add(rig.fanout, rig.source, NULL, NULL, &error), -EBADF);
    sluice_endpoint_free(other);
    assert_int_equal(sluice_endpoint_from_kind(rig.context, "tcp", &other), 0);
    assert_int_equal(sluice_fanout_add(rig.fanout, other, NULL, NULL, &error), -EINVAL);
    sluice_endpoint_free(other);
    sink.slow = SLUICE_SLOW_SPILL; /* without a file */
    const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    assert_int_equal(sluice_endpoint_from_fd(rig.context, null, SLUICE_OWN, &other), 0);
    assert_int_equal(sluice_fanout_add(rig.fanout, other, &sink, NULL, &error), -EINVAL);
    sluice_endpoint_free(other);
    const int file = memfd_create("spill", MFD_CLOEXEC);
    const int again = fcntl(file, F_DUPFD_CLOEXEC, 3);
    assert_int_equal(sluice_endpoint_from_fd(rig.context, file, SLUICE_OWN, &sink.spill), 0);
    assert_int_equal(sluice_endpoint_from_fd(rig.context, again, SLUICE_OWN, &other), 0);
    assert_int_equal(sluice_fanout_add(rig.fanout, other, &sink, NULL, &error), -EBUSY);
    sink.spill_slow = SLUICE_SLOW_SPILL;
    assert_int_equal(sluice_fanout_add(rig.fanout, other, &sink, NULL, &error), -EINVAL);
    sluice_endpoint_free(other);
    sluice_endpoint_free(sink.spill);
    assert_string_equal(sluice_slow_name(SLUICE_SLOW_DETACH), "detach");
    assert_string_equal(sluice_slow_name((enum sluice_slow)77), "?");
    assert_int_equal(sluice_fanout_step(rig.fanout, 0, NULL), SLUICE_DONE); /* without a sink */
    sluice_fanout_free(NULL);
    end(&rig);
}

static int set_up(void **unused)
{
    uint64_t state = 3;

    (void)unused;
    signal(SIGPIPE, SIG_DFL); /* none of ours may come through */
    for (size_t i = 0; i < LENGTH; i += 8) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        memcpy(reference + i, &state, 8);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sinks_come_and_go),
        cmocka_unit_test(a_full_sink_is_waited_for),
        cmocka_unit_test(a_slow_sink_is_detached),
        cmocka_unit_test(a_reader_that_leaves_is_seen),
        cmocka_unit_test(one_that_rests_holds_no_pipe),
        cmocka_unit_test(what_waits_is_salvaged),
        cmocka_unit_test(what_has_no_room_is_spilled),
        cmocka_unit_test(wrong_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
