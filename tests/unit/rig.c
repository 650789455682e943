/* SPDX-License-Identifier: MIT */
#include "tests/unit/rig.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

int rig_try(struct rig *rig, const struct sluice_options *options, struct sluice_error *error)
{
    if (!rig->context)
        rig->context = sluice_context_new(NULL, NULL);
    assert_non_null(rig->context);
    assert_int_equal(sluice_endpoint_from_fd(rig->context, rig->source.fd, SLUICE_BORROW, &rig->in),
                     0);
    assert_int_equal(sluice_endpoint_from_fd(rig->context, rig->sink.fd, SLUICE_BORROW, &rig->out),
                     0);
    return sluice_transfer_new(rig->context, rig->in, rig->out, options, &rig->transfer, error);
}

void rig_start(struct rig *rig, const struct sluice_options *options)
{
    struct sluice_error error = {.size = sizeof error};
    const int result = rig_try(rig, options, &error);
    if (result < 0)
        print_error("%s -> %s: refused: %s\n", end_name(rig->source.kind), end_name(rig->sink.kind),
                    error.reason ? error.reason : "-");
    assert_int_equal(result, 0);
}

static void set_timer(unsigned seconds)
{
    const struct itimerval timer = {.it_value.tv_sec = seconds};
    setitimer(ITIMER_REAL, &timer, NULL); /* SIGALRM ends the process */
}

/* Instrumented programs are slow. */
static unsigned patience(unsigned seconds)
{
    const char *times = getenv("TEST_PATIENCE");
    return seconds * (times ? (unsigned)strtoul(times, NULL, 10) : 1);
}

int rig_step(struct rig *rig, uint64_t budget)
{
    memset(&rig->wait, 0, sizeof rig->wait);
    rig->wait.size = sizeof rig->wait;
    set_timer(patience(1));
    const int step = sluice_transfer_step(rig->transfer, budget, &rig->wait);
    set_timer(0);
    return step;
}

int rig_run(struct rig *rig, unsigned seconds)
{
    set_timer(patience(seconds));
    const int result = sluice_transfer_run(rig->transfer);
    set_timer(0);
    return result;
}

struct sluice_ledger rig_ledger(const struct rig *rig)
{
    struct sluice_ledger ledger = {.size = sizeof ledger};
    sluice_transfer_ledger(rig->transfer, &ledger);
    return ledger;
}

struct sluice_error rig_error(const struct rig *rig)
{
    struct sluice_error error = {.size = sizeof error};
    sluice_transfer_error(rig->transfer, &error);
    return error;
}

void rig_stop(struct rig *rig)
{
    sluice_transfer_discard(rig->transfer);
    sluice_endpoint_free(rig->in);
    sluice_endpoint_free(rig->out);
    sluice_context_free(rig->context);
    end_close(&rig->source);
    end_close(&rig->sink);
    memset(rig, 0, sizeof *rig);
}

void rig_sink_has(struct rig *rig, const void *bytes, size_t length)
{
    char *got = malloc(length + 1);
    assert_non_null(got);
    assert_int_equal(end_received(&rig->sink, got, length), length);
    if (length > 0)
        assert_memory_equal(got, bytes, length);
    free(got);
}

/* To the last byte: what does not take a page may still take less. */
static size_t fill(int fd)
{
    static const char junk[65536];
    size_t filled = 0;

    for (size_t piece = sizeof junk; piece > 0; piece /= 16)
        for (ssize_t value; (value = write(fd, junk, piece)) > 0;)
            filled += (size_t)value;
    return filled;
}

void rig_fill_sink(struct end *sink)
{
    const int flags = fcntl(sink->fd, F_GETFL);
    const struct timespec moment = {.tv_nsec = 20000000};

    fcntl(sink->fd, F_SETFL, flags | O_NONBLOCK);
    for (int quiet = 0; quiet < 3; quiet++) {
        if (fill(sink->fd) > 0)
            quiet = 0;
        if (sink->kind != END_TCP)
            break;
        nanosleep(&moment, NULL); /* meanwhile TCP makes room by moving bytes to the peer */
    }
    fcntl(sink->fd, F_SETFL, flags);
}
