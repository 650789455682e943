/* SPDX-License-Identifier: MIT */
/* The owner ends the fan-out when a sink has failed, in the middle of a round: what was taken for the sinks
 * behind that one was not delivered, and can be salvaged. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "sluice.h"

enum { SINKS = 5, DEAD = 1, MOST = 300000 };

struct scene {
    sluice_context *context;
    sluice_endpoint *source, *sink[SINKS];
    sluice_fanout *fanout;
    unsigned id[SINKS];
    int in[2], out[SINKS], peer[SINKS]; /* peer: of a pipe, else -1 */
};

static int stop(sluice_fanout *fanout, unsigned sink, void *data)
{
    (void)fanout, (void)sink, (void)data;
    return 1;
}

static void large_pipe(int ends[2])
{
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    assert_true(fcntl(ends[0], F_SETPIPE_SZ, 1 << 20) >= 1 << 20);
}

/* A pipe, a pipe without a reader, then a file, a pipe and a file. */
static void open_scene(struct scene *scene)
{
    struct sluice_fanout_options options = SLUICE_FANOUT_OPTIONS_INIT;

    options.event = stop;
    scene->context = sluice_context_new(NULL, NULL);
    large_pipe(scene->in);
    assert_int_equal(
        sluice_endpoint_from_fd(scene->context, scene->in[0], SLUICE_BORROW, &scene->source), 0);
    assert_int_equal(
        sluice_fanout_new(scene->context, scene->source, &options, &scene->fanout, NULL), 0);
    for (int i = 0; i < SINKS; i++) {
        int ends[2] = {-1, -1};
        if (i == 2 || i == 4)
            ends[1] = memfd_create("sink", MFD_CLOEXEC);
        else
            large_pipe(ends);
        scene->out[i] = ends[1];
        scene->peer[i] = ends[0];
        assert_int_equal(
            sluice_endpoint_from_fd(scene->context, ends[1], SLUICE_BORROW, &scene->sink[i]), 0);
        assert_int_equal(
            sluice_fanout_add(scene->fanout, scene->sink[i], NULL, &scene->id[i], NULL), 0);
    }
    close(scene->peer[DEAD]);
    scene->peer[DEAD] = -1;
}

static void close_scene(struct scene *scene)
{
    sluice_fanout_free(scene->fanout);
    for (int i = 0; i < SINKS; i++) {
        sluice_endpoint_free(scene->sink[i]);
        close(scene->out[i]);
        if (scene->peer[i] >= 0)
            close(scene->peer[i]);
    }
    sluice_endpoint_free(scene->source);
    sluice_context_free(scene->context);
    close(scene->in[0]);
    close(scene->in[1]);
}

/* What the sink has, then what is salvaged for it: all that was taken. */
static void check_sink(struct scene *scene, int i, const char *bytes, uint64_t taken)
{
    struct sluice_sink_info info = {.size = sizeof info};
    char *got = malloc(MOST);

    assert_int_equal(sluice_fanout_sink(scene->fanout, scene->id[i], &info), 0);
    assert_int_equal(info.lag, taken - info.delivered);
    ssize_t there =
        scene->peer[i] >= 0 ? read(scene->peer[i], got, MOST) : pread(scene->out[i], got, MOST, 0);
    there = there < 0 ? 0 : there;
    assert_int_equal(there, info.delivered);
    const ssize_t saved =
        sluice_fanout_salvage(scene->fanout, scene->id[i], got + there, MOST - (size_t)there);
    assert_int_equal(there + saved, taken);
    assert_memory_equal(got, bytes, taken);
    free(got);
}

static void nothing_that_was_taken_is_lost(void **state)
{
    static const size_t sizes[] = {1, 5, 4096, 60000, MOST};
    char *bytes = malloc(MOST);

    (void)state;
    for (size_t i = 0; i < MOST; i++)
        bytes[i] = (char)((unsigned)i * 2654435761U >> 24);
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct sluice_fanout_ledger ledger = {.size = sizeof ledger};
        struct scene scene;
        open_scene(&scene);
        assert_int_equal(write(scene.in[1], bytes, sizes[i]), sizes[i]);
        assert_int_equal(sluice_fanout_run(scene.fanout), -ECANCELED);
        sluice_fanout_ledger(scene.fanout, &ledger);
        assert_true(ledger.taken > 0);
        for (int sink = 0; sink < SINKS; sink++)
            if (sink != DEAD)
                check_sink(&scene, sink, bytes, ledger.taken);
        close_scene(&scene);
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_that_was_taken_is_lost)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
