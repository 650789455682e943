/* SPDX-License-Identifier: MIT */
/*
 * Rates and timeouts in a time of the test's own: exact, and done in no time.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/fault/inject.h"
#include "tests/unit/ends.h"

#include "sluice.h"

#define SECOND UINT64_C(1000000000)

static char bytes[1 << 20];

static int make_bytes(void **state)
{
    (void)state;
    pattern(bytes, sizeof bytes, 0);
    return 0;
}

struct flow {
    uint64_t rate, begun, delivered, chunk;
    bool too_fast;
};

/* At no time has more been delivered than the rate allows, give or take a quarter of a second. */
static int watch(const struct sluice_progress *progress, void *data)
{
    struct flow *flow = data;
    const double seconds = (double)(inject_clock_now() - flow->begun) / (double)SECOND;
    flow->delivered = progress->delivered;
    flow->too_fast |=
        (double)progress->delivered > (double)flow->rate * (seconds + 0.25) + (double)flow->chunk;
    return 0;
}

struct work {
    struct end source, sink;
    sluice_context *context;
    sluice_endpoint *in, *out;
    sluice_transfer *transfer;
};

static void begin(struct work *work, const struct sluice_options *options)
{
    work->context = sluice_context_new(NULL, NULL);
    inject_none();
    inject_begin(work->source.fd, work->sink.fd);
    inject_clock(1000 * SECOND);
    assert_int_equal(sluice_endpoint_from_fd(work->context, work->source.fd, 0, &work->in), 0);
    assert_int_equal(sluice_endpoint_from_fd(work->context, work->sink.fd, 0, &work->out), 0);
    assert_int_equal(
        sluice_transfer_new(work->context, work->in, work->out, options, &work->transfer, NULL), 0);
}

static void end(struct work *work)
{
    inject_end();
    inject_clock(0);
    sluice_transfer_discard(work->transfer);
    sluice_endpoint_free(work->in);
    sluice_endpoint_free(work->out);
    sluice_context_free(work->context);
    end_close(&work->source);
    end_close(&work->sink);
}

/* By steps: waits as told, in no time. */
static int run_steps(struct work *work)
{
    for (;;) {
        struct sluice_wait wait = {.size = sizeof wait};
        const int step = sluice_transfer_step(work->transfer, 0, &wait);
        if (step != SLUICE_WAIT)
            return step;
        if (!(wait.mask & SLUICE_WAIT_TIMER)) {
            print_error("it waits without a deadline (mask %#x)\n", wait.mask);
            return -ETIME;
        }
        assert_true(wait.deadline > inject_clock_now());
        inject_clock(wait.deadline);
    }
}

static const struct {
    enum end_kind source, sink;
    enum sluice_method method;
} ways[] = {
    {END_FILE, END_FILE, SLUICE_METHOD_COPY_RANGE}, {END_FILE, END_FILE, SLUICE_METHOD_SENDFILE},
    {END_FILE, END_FILE, SLUICE_METHOD_SPLICE},     {END_FILE, END_FILE, SLUICE_METHOD_MMAP_WRITE},
    {END_FILE, END_FILE, SLUICE_METHOD_READ_WRITE}, {END_FILE, END_FILE, SLUICE_METHOD_AUTO},
    {END_PIPE, END_FILE, SLUICE_METHOD_SPLICE},     {END_PIPE, END_NULL, SLUICE_METHOD_SPLICE},
    {END_UNIX, END_FILE, SLUICE_METHOD_AUTO},       {END_FILE, END_NULL, SLUICE_METHOD_AUTO},
};

static void run_rate(size_t way, uint64_t rate, size_t length, uint32_t chunk, bool steps)
{
    struct sluice_options options = SLUICE_OPTIONS_INIT;
    struct flow flow = {.rate = rate, .begun = 1000 * SECOND, .chunk = 1};
    struct work work = {0};

    end_open_source(&work.source, ways[way].source, bytes, length, NULL);
    end_open_sink(&work.sink, ways[way].sink, NULL);
    options.method = ways[way].method;
    options.rate = rate;
    options.chunk = chunk;
    options.progress = watch;
    options.progress_data = &flow;
    begin(&work, &options);
    const int result = steps ? run_steps(&work) : sluice_transfer_run(work.transfer);
    const double took = (double)(inject_clock_now() - flow.begun) / (double)SECOND;
    const double wanted = (double)length / (double)rate;
    /* Bytes go in portions of a fiftieth of a second; the end is found after one more. */
    const double most = wanted * 1.05 + (rate > 50 ? 0.021 : 1.1 / (double)rate);
    if (result != 0 || took < wanted * 0.95 || took > most || flow.too_fast)
        print_error(
            "%s -> %s, %s%s, %llu B/s, %zu bytes, chunk %u: result %d, %.3f s, not %.3f%s\n",
            end_name(ways[way].source), end_name(ways[way].sink),
            sluice_method_name(ways[way].method), steps ? ", steps" : "", (unsigned long long)rate,
            length, chunk, result, took, wanted, flow.too_fast ? ", a burst" : "");
    assert_int_equal(result, 0);
    assert_true(took >= wanted * 0.95);
    assert_true(took <= most);
    assert_false(flow.too_fast);
    assert_int_equal(flow.delivered, length);
    struct sluice_ledger ledger = {.size = sizeof ledger};
    sluice_transfer_ledger(work.transfer, &ledger);
    assert_int_equal(ledger.fallbacks, 0); /* a limit costs no method */
    end(&work);
}

static void a_rate_is_kept(void **state)
{
    static const struct {
        uint64_t rate;
        size_t length;
    } rates[] = {{10, 50},         {1000, 3000},       {20000, 50000},
                 {1000000, 60000}, {100000000, 65000}, {UINT64_C(10000000000), 65000}};
    static const uint32_t chunks[] = {0, 700};

    (void)state;
    for (size_t way = 0; way < sizeof ways / sizeof *ways; way++)
        for (size_t r = 0; r < sizeof rates / sizeof *rates; r++)
            for (int c = 0; c < 2; c++)
                for (int steps = 0; steps < 2; steps++)
                    run_rate(way, rates[r].rate, rates[r].length, chunks[c], steps);
}

/* A source that was silent for long is no reason to be fast afterwards. */
static void silence_is_not_saved_up(void **state)
{
    struct sluice_options options = SLUICE_OPTIONS_INIT;
    struct flow flow = {.rate = 10000, .begun = 0, .chunk = 1};
    struct work work = {0};

    (void)state;
    end_open_source(&work.source, END_UNIX, "", 0, &(struct end_options){.open = true});
    end_open_sink(&work.sink, END_FILE, NULL);
    options.rate = flow.rate;
    options.progress = watch;
    options.progress_data = &flow;
    begin(&work, &options);
    struct sluice_wait wait = {.size = sizeof wait};
    assert_int_equal(sluice_transfer_step(work.transfer, 0, &wait), SLUICE_WAIT);
    inject_clock(inject_clock_now() + 3600 * SECOND);
    flow.begun = inject_clock_now();
    assert_int_equal(end_feed(&work.source, bytes, 20000), 20000);
    end_finish(&work.source);
    assert_int_equal(run_steps(&work), SLUICE_DONE);
    assert_false(flow.too_fast);
    const double took = (double)(inject_clock_now() - flow.begun) / (double)SECOND;
    assert_true(took >= 1.7 && took <= 2.1);
    end(&work);
}

/* Bytes that are put back and moved again by another method are not paid for twice. */
static void a_fallback_does_not_slow_down(void **state)
{
    struct sluice_options options = SLUICE_OPTIONS_INIT;
    struct work work = {0};

    (void)state;
    end_open_source(&work.source, END_FILE, bytes, 20000, NULL);
    end_open_sink(&work.sink, END_UNIX, NULL);
    options.rate = 10000;
    options.require = SLUICE_REQUIRE_ANY;
    begin(&work, &options);
    inject(&(struct fault){POINT_SENDFILE, 1, ALWAYS, EINVAL, 0});
    inject(&(struct fault){POINT_SPLICE_OUT, 2, ALWAYS, EINVAL, 0});
    assert_int_equal(sluice_transfer_run(work.transfer), 0);
    const double took = (double)(inject_clock_now() - 1000 * SECOND) / (double)SECOND;
    assert_true(took >= 1.9 && took <= 2.1);
    end(&work);
}

/* ---- timeouts ---- */

static void an_idle_timeout_is_exact(void **state)
{
    static const enum end_kind kinds[] = {END_PIPE, END_TCP, END_UNIX, END_DGRAM};

    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (int steps = 0; steps < 2; steps++) {
            struct sluice_options options = SLUICE_OPTIONS_INIT;
            struct work work = {0};
            end_open_source(&work.source, kinds[i], bytes, 1000,
                            &(struct end_options){.open = true});
            end_open_sink(&work.sink, END_FILE, NULL);
            options.idle_timeout = 90 * SECOND;
            begin(&work, &options);
            const int result = steps ? run_steps(&work) : sluice_transfer_run(work.transfer);
            assert_int_equal(result, -ETIMEDOUT);
            const uint64_t took = inject_clock_now() - 1000 * SECOND;
            assert_in_range(took, 90 * SECOND, 91 * SECOND);
            end(&work);
        }
}

/* A rate so low that there is silence for longer than the timeout: that silence is ours. */
static void a_low_rate_is_not_idleness(void **state)
{
    (void)state;
    for (int steps = 0; steps < 2; steps++) {
        struct sluice_options options = SLUICE_OPTIONS_INIT;
        struct work work = {0};
        end_open_source(&work.source, END_UNIX, bytes, 20, NULL);
        end_open_sink(&work.sink, END_FILE, NULL);
        options.rate = 1;
        options.idle_timeout = SECOND / 2;
        begin(&work, &options);
        assert_int_equal(steps ? run_steps(&work) : sluice_transfer_run(work.transfer), 0);
        assert_in_range((inject_clock_now() - 1000 * SECOND) / SECOND, 18, 22);
        end(&work);
    }
}

/* Nor is the wait that we chose held against the source afterwards: its silence begins then. */
static void silence_begins_after_our_own_wait(void **state)
{
    struct sluice_options options = SLUICE_OPTIONS_INIT;
    struct sluice_wait wait = {.size = sizeof wait};
    struct work work = {0};

    (void)state;
    end_open_source(&work.source, END_UNIX, bytes, 1, &(struct end_options){.open = true});
    end_open_sink(&work.sink, END_FILE, NULL);
    options.rate = 1;
    options.idle_timeout = SECOND / 2;
    begin(&work, &options);
    while (sluice_transfer_delivered(work.transfer) == 0) {
        assert_int_equal(sluice_transfer_step(work.transfer, 0, &wait), SLUICE_WAIT);
        inject_clock(wait.deadline);
    }
    /* The byte that may now be taken is not there yet. */
    assert_int_equal(sluice_transfer_step(work.transfer, 0, &wait), SLUICE_WAIT);
    assert_true(wait.mask & SLUICE_WAIT_SOURCE_IN);
    assert_in_range(wait.deadline, inject_clock_now() + SECOND / 4,
                    inject_clock_now() + SECOND / 2);
    inject_clock(wait.deadline);
    assert_int_equal(sluice_transfer_step(work.transfer, 0, &wait), -ETIMEDOUT);
    end(&work);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rate_is_kept),
        cmocka_unit_test(silence_is_not_saved_up),
        cmocka_unit_test(a_fallback_does_not_slow_down),
        cmocka_unit_test(an_idle_timeout_is_exact),
        cmocka_unit_test(a_low_rate_is_not_idleness),
        cmocka_unit_test(silence_begins_after_our_own_wait),
    };
    return cmocka_run_group_tests(tests, make_bytes, NULL);
}
