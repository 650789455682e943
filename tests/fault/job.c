/* SPDX-License-Identifier: MIT */
#include "tests/fault/job.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/fault/cases.h"
#include "tests/fault/inject.h"
#include "tests/fault/manual.h"

/* ---- words and bytes ---- */

const char *job_words(const struct job *job)
{
    static char words[300];
    snprintf(words, sizeof words, "%s -> %s, %s, %s%s%s, %zu bytes, chunk %u",
             end_name(job->source), end_name(job->sink), sluice_method_name(job->method),
             job->slow    ? "slow"
             : job->steps ? "steps"
                          : "run",
             job->own_offsets ? ", own offsets" : "", job->blocking ? ", blocking" : "",
             job->length, job->chunk);
    if (job->slow || job->capacity || job->limit || job->budget || job->pipe_size)
        snprintf(words + strlen(words), sizeof words - strlen(words),
                 ", limit %llu, pipe %u, capacity %zu, budget %llu, seed %llu",
                 (unsigned long long)job->limit, job->pipe_size, job->capacity,
                 (unsigned long long)job->budget, (unsigned long long)job->seed);
    return words;
}

const uint8_t *job_bytes(enum end_kind source)
{
    static uint8_t *bytes, *zeros;

    if (!bytes) {
        bytes = malloc(JOB_MOST_BYTES);
        zeros = calloc(1, JOB_MOST_BYTES);
        if (!bytes || !zeros)
            abort();
        pattern(bytes, JOB_MOST_BYTES, 0);
    }
    return source == END_ZERO ? zeros : bytes;
}

static uint64_t limit_of(const struct job *job)
{
    return job->limit || end_is_told(job->source) ? job->limit : job->length;
}

uint64_t job_expected(const struct job *job)
{
    const uint64_t limit = limit_of(job);
    return limit && limit < job->length ? limit : job->length;
}

/* ---- a job under way ---- */

struct work {
    const struct job *job;
    struct outcome *outcome;
    struct end source, sink;
    sluice_context *context;
    sluice_endpoint *in, *out;
    sluice_transfer *transfer;
    uint64_t seed;
    size_t fed;                /* bytes given to a slow source */
    size_t received;           /* bytes taken from the sink */
    uint8_t *got;              /* these */
    bool changed_offset_unset; /* a failed lseek may have left an offset where it was */
};

static volatile sig_atomic_t sigpipes;

static void on_sigpipe(int number)
{
    (void)number;
    sigpipes++;
}

static struct sluice_options options_of(const struct work *work)
{
    const struct job *job = work->job;
    struct sluice_options options = SLUICE_OPTIONS_INIT;

    options.method = job->method;
    options.chunk = job->chunk;
    options.pipe_size = job->pipe_size;
    if (limit_of(job)) {
        options.flags |= SLUICE_LENGTH;
        options.length = limit_of(job);
    }
    if (!job->own_offsets && end_has_offset(job->source)) {
        options.flags |= SLUICE_SOURCE_OFFSET;
        options.source_offset = (uint64_t)work->source.start;
    }
    if (!job->own_offsets && end_has_offset(job->sink) && job->sink != END_APPEND) {
        options.flags |= SLUICE_SINK_OFFSET;
        options.sink_offset = (uint64_t)work->sink.start;
    }
    return options;
}

/* Descriptors whose own offset is not used stand somewhere else: there they must stay. */
enum { ELSEWHERE = 7 };

static void open_ends(struct work *work)
{
    const struct job *job = work->job;
    const struct end_options options = {.blocking = job->blocking,
                                        .capacity = job->capacity,
                                        .message = job->message,
                                        .open = job->slow,
                                        .aligned = job->source == END_DIRECT ||
                                                   job->sink == END_DIRECT ||
                                                   job->method == SLUICE_METHOD_DIRECT};
    const bool fed_later = job->slow && !end_has_offset(job->source);

    end_open_source(&work->source, job->source, job_bytes(job->source), fed_later ? 0 : job->length,
                    &options);
    end_open_sink(&work->sink, job->sink, &options);
    if (!fed_later)
        work->fed = job->length;
    if (!job->own_offsets && end_has_offset(job->source))
        lseek(work->source.fd, ELSEWHERE, SEEK_SET);
    if (!job->own_offsets && end_has_offset(job->sink) && job->sink != END_APPEND)
        lseek(work->sink.fd, ELSEWHERE, SEEK_SET);
}

/* ---- moving ---- */

static int set_up(struct work *work)
{
    struct outcome *outcome = work->outcome;
    struct sluice_options options = options_of(work);

    outcome->stage = STAGE_ENDPOINT;
    int error = sluice_endpoint_from_fd(work->context, work->source.fd, SLUICE_BORROW, &work->in);
    if (error >= 0)
        error = sluice_endpoint_from_fd(work->context, work->sink.fd, SLUICE_BORROW, &work->out);
    if (error < 0)
        return error;
    outcome->stage = STAGE_NEW;
    error = sluice_transfer_new(work->context, work->in, work->out, &options, &work->transfer,
                                &outcome->error);
    if (error < 0)
        return error;
    outcome->stage = STAGE_MOVE;
    return 0;
}

static void keep_received(struct work *work, size_t most)
{
    work->received += end_drain(&work->sink, work->got + work->received, most);
}

/* What is waited for comes about, a little of it. */
static void turn_over(struct work *work, const struct sluice_wait *wait)
{
    const struct job *job = work->job;
    size_t piece = 1 + random_below(&work->seed, random_below(&work->seed, 4) ? 300 : 20000);

    if ((wait->mask & SLUICE_WAIT_SINK_OUT) && work->received + piece <= JOB_MOST_BYTES)
        keep_received(work, piece * 2);
    if (!(wait->mask & SLUICE_WAIT_SOURCE_IN) || end_has_offset(job->source))
        return;
    if (work->fed == job->length) {
        end_finish(&work->source);
        return;
    }
    if (piece > job->length - work->fed)
        piece = job->length - work->fed;
    work->fed += end_feed(&work->source, job_bytes(job->source) + work->fed, piece);
}

static void check_wait(const struct sluice_wait *wait)
{
    const unsigned sides = SLUICE_WAIT_SOURCE_IN | SLUICE_WAIT_SINK_OUT;

    if (!(wait->mask & (sides | SLUICE_WAIT_TIMER)))
        case_fail("WAIT for nothing (mask %#x)", wait->mask);
    if ((wait->mask & SLUICE_WAIT_SOURCE_IN) && !seen.source_said_eagain)
        case_fail("SOURCE_IN, but the source did not say EAGAIN");
    if ((wait->mask & SLUICE_WAIT_SINK_OUT) && !seen.sink_said_eagain)
        case_fail("SINK_OUT, but the sink did not say EAGAIN");
    if (((wait->mask & SLUICE_WAIT_SOURCE_IN) != 0) != (wait->source_fd >= 0))
        case_fail("source_fd is %d, the mask %#x", wait->source_fd, wait->mask);
}

/* Waits as an event loop does. Returns false if what is waited for never comes about. */
static bool wait_as_told(struct work *work, const struct sluice_wait *wait)
{
    struct pollfd fds[2] = {{.fd = wait->source_fd, .events = wait->source_events},
                            {.fd = wait->sink_fd, .events = wait->sink_events}};

    const bool timer = wait->mask & SLUICE_WAIT_TIMER;

    if (!work->job->slow)
        return poll(fds, 2, timer ? 12 : 2000) > 0 || timer;
    /* TCP opens its window again only when a good part of it is free. */
    for (int turn = 0; turn < 1000; turn++) {
        turn_over(work, wait);
        if (poll(fds, 2, turn < 20 ? 0 : 2) > 0)
            return true;
    }
    return false;
}

static int step_through(struct work *work)
{
    const struct job *job = work->job;

    for (;;) {
        struct sluice_wait wait = {.size = sizeof wait};
        const uint64_t before = sluice_transfer_delivered(work->transfer);

        inject_step();
        const int step = sluice_transfer_step(work->transfer, job->budget, &wait);
        const uint64_t moved = sluice_transfer_delivered(work->transfer) - before;
        if (job->budget && moved > job->budget && !end_has_messages(job->sink) &&
            !end_has_messages(job->source))
            case_fail("a step delivered %llu bytes with a budget of %llu",
                      (unsigned long long)moved, (unsigned long long)job->budget);
        if (step <= SLUICE_DONE)
            return step;
        if (step == SLUICE_MORE && !job->budget)
            case_fail("MORE without a budget");
        if (step == SLUICE_MORE)
            continue;
        check_wait(&wait);
        if (!wait_as_told(work, &wait)) {
            case_fail("it waits for what does not come: mask %#x, delivered %llu, parked %llu",
                      wait.mask, (unsigned long long)sluice_transfer_delivered(work->transfer),
                      (unsigned long long)sluice_transfer_parked(work->transfer));
            return -ETIME;
        }
    }
}

/* ---- checking ---- */

static void read_ledger(struct work *work)
{
    struct outcome *outcome = work->outcome;
    struct sluice_ledger *ledger = &outcome->ledger;

    ledger->size = sizeof *ledger;
    sluice_transfer_ledger(work->transfer, ledger);
    sluice_transfer_error(work->transfer, &outcome->error);
    for (unsigned i = 0; i < ledger->fallbacks && i < JOB_FALLBACKS; i++) {
        outcome->fallback[i].size = sizeof outcome->fallback[i];
        sluice_transfer_fallback(work->transfer, i, &outcome->fallback[i]);
    }
    if (ledger->delivered + ledger->parked != ledger->taken)
        case_fail("delivered %llu + parked %llu != taken %llu",
                  (unsigned long long)ledger->delivered, (unsigned long long)ledger->parked,
                  (unsigned long long)ledger->taken);
    if (ledger->delivered != seen.delivered)
        case_fail("the ledger has %llu bytes delivered, the sink's kernel took %llu",
                  (unsigned long long)ledger->delivered, (unsigned long long)seen.delivered);
    if (ledger->delivered != sluice_transfer_delivered(work->transfer) ||
        ledger->parked != sluice_transfer_parked(work->transfer))
        case_fail("the ledger's delivered and parked are not the transfer's");
    if (seen.calls[POINT_SPLICE] + seen.calls[POINT_SENDFILE] + seen.calls[POINT_COPY_RANGE] +
                seen.calls[POINT_RING] ==
            0 &&
        (ledger->source_eagain != seen.source_eagains || ledger->sink_eagain != seen.sink_eagains))
        case_fail(
            "the source said EAGAIN %u times, the sink %u times: the ledger has %llu and %llu",
            seen.source_eagains, seen.sink_eagains, (unsigned long long)ledger->source_eagain,
            (unsigned long long)ledger->sink_eagain);
    if (outcome->result < 0 && outcome->error.error != outcome->result)
        case_fail("it returned %d, its error is %d", outcome->result, outcome->error.error);
    if (outcome->result >= 0 && outcome->error.error != 0)
        case_fail("it is done, and has the error %d", outcome->error.error);
    if (outcome->result < 0 &&
        (outcome->error.delivered != ledger->delivered || outcome->error.parked != ledger->parked))
        case_fail("the error's delivered and parked are not the ledger's");
    if (outcome->result >= 0 && ledger->parked > 0)
        case_fail("it is done with %llu bytes parked", (unsigned long long)ledger->parked);
}

static void compare(const struct work *work, const char *what, const uint8_t *got, size_t length,
                    uint64_t from)
{
    const uint8_t *wanted = job_bytes(work->job->source) + from;
    for (size_t i = 0; i < length; i++)
        if (got[i] != wanted[i]) {
            case_fail("%s: byte %zu of %zu is not byte %llu of the source", what, i, length,
                      (unsigned long long)from + i);
            return;
        }
}

/* Takes what is parked, in pieces, and frees the transfer. */
static void salvage(struct work *work)
{
    const uint64_t delivered = work->outcome->ledger.delivered;
    const uint64_t parked = work->outcome->ledger.parked;
    uint8_t *saved = malloc(parked + 1);
    uint64_t done = 0;
    ssize_t value;

    if (parked > 0 && sluice_transfer_free(work->transfer) != -EBUSY)
        case_fail("a transfer with bytes parked was freed");
    while ((value = sluice_transfer_salvage(work->transfer, saved + done,
                                            parked + 1 - done < 1000 ? parked + 1 - done : 1000)) >
           0)
        done += (uint64_t)value;
    if (value < 0)
        case_fail("salvage returned %zd", value);
    if (done != parked)
        case_fail("%llu bytes were parked, %llu salvaged", (unsigned long long)parked,
                  (unsigned long long)done);
    compare(work, "salvaged", saved, done, delivered);
    free(saved);
    if (sluice_transfer_free(work->transfer) < 0) {
        case_fail("it cannot be freed after everything was salvaged");
        sluice_transfer_discard(work->transfer);
    }
}

static void check_offset(const struct work *work, const struct end *end, const char *which)
{
    const struct job *job = work->job;
    off_t wanted = ELSEWHERE;

    if (!end_has_offset(end->kind) || work->changed_offset_unset)
        return;
    if (job->own_offsets)
        wanted = end->start + (off_t)work->outcome->ledger.delivered;
    else if (end->kind == END_APPEND)
        return;
    if (lseek(end->fd, 0, SEEK_CUR) != wanted)
        case_fail("the %s's offset is %lld, and should be %lld", which,
                  (long long)lseek(end->fd, 0, SEEK_CUR), (long long)wanted);
}

static void check_descriptor(const struct end *end, const char *which)
{
    if (fcntl(end->fd, F_GETFL) != end->flags)
        case_fail("the %s's flags were %#o and are %#o", which, (unsigned)end->flags,
                  (unsigned)fcntl(end->fd, F_GETFL));
    if (end->pipe_size >= 0 && fcntl(end->fd, F_GETPIPE_SZ) != end->pipe_size)
        case_fail("the %s's pipe had %d bytes and has %d", which, end->pipe_size,
                  fcntl(end->fd, F_GETPIPE_SZ));
}

static void check_ends(struct work *work)
{
    const struct job *job = work->job;
    const struct sluice_ledger *ledger = &work->outcome->ledger;
    static uint8_t *rest;

    check_descriptor(&work->source, "source");
    check_descriptor(&work->sink, "sink");
    check_offset(work, &work->source, "source");
    check_offset(work, &work->sink, "sink");

    if (job->sink != END_NULL && job->sink != END_ZERO) {
        const size_t more =
            end_received(&work->sink, work->got + work->received, JOB_MOST_BYTES - work->received);
        work->received += more == SIZE_MAX ? JOB_MOST_BYTES : more;
        if (work->received != ledger->delivered)
            case_fail("the sink has %zu bytes, %llu were delivered", work->received,
                      (unsigned long long)ledger->delivered);
        else
            compare(work, "the sink", work->got, work->received, 0);
    }
    if (job->source == END_ZERO || end_has_offset(job->source))
        return;
    if (!rest && !(rest = malloc(JOB_MOST_BYTES)))
        abort();
    const size_t left = end_rest(&work->source, rest, JOB_MOST_BYTES);
    if (ledger->taken + left != work->fed)
        case_fail("%zu bytes were in the source, %llu taken, %zu are left", work->fed,
                  (unsigned long long)ledger->taken, left);
    else
        compare(work, "left in the source", rest, left, ledger->taken);
}

static void check_process(unsigned descriptors)
{
    sigset_t pending;

    if (seen.descriptors != 2)
        case_fail("%d of the library's descriptors are still open", (int)seen.descriptors - 2);
    if (descriptors_open() != descriptors)
        case_fail("%u descriptors were open, %u are", descriptors, descriptors_open());
    if (seen.low > 0)
        case_fail("a descriptor of the library was 0, 1 or 2");
    sigpending(&pending);
    if (sigpipes > 0 || sigismember(&pending, SIGPIPE))
        case_fail("SIGPIPE %s", sigpipes > 0 ? "was delivered" : "is pending");
    sigpipes = 0;
}

/* ---- the whole of it ---- */

/* Asked before the transfer, of endpoints of its own. */
static void plan(struct work *work)
{
    struct outcome *outcome = work->outcome;
    struct sluice_options options = options_of(work);
    sluice_endpoint *in = NULL, *out = NULL;
    sluice_plan *plan;

    if (sluice_endpoint_from_fd(work->context, work->source.fd, SLUICE_BORROW, &in) >= 0 &&
        sluice_endpoint_from_fd(work->context, work->sink.fd, SLUICE_BORROW, &out) >= 0 &&
        sluice_plan_new(work->context, in, out, &options, &plan) >= 0) {
        outcome->usable = sluice_plan_usable(plan);
        for (unsigned i = 0; i < outcome->usable; i++) {
            struct sluice_candidate candidate = {.size = sizeof candidate};
            sluice_plan_candidate(plan, i, &candidate);
            outcome->plan[i] = candidate.method;
        }
        sluice_plan_free(plan);
    }
    sluice_endpoint_free(in);
    sluice_endpoint_free(out);
}

static void move(struct work *work)
{
    struct outcome *outcome = work->outcome;

    outcome->result = set_up(work);
    if (outcome->result >= 0) {
        const bool steps = work->job->steps || work->job->slow;
        outcome->result = steps ? step_through(work) : sluice_transfer_run(work->transfer);
        read_ledger(work);
        inject_pause(true); /* salvage is not what is tried */
        salvage(work);
        inject_pause(false);
    }
    sluice_endpoint_free(work->in);
    sluice_endpoint_free(work->out);
    sluice_context_free(work->context);
}

void job_run(const struct job *job, struct outcome *ret)
{
    static uint8_t *got;
    struct work work = {.job = job, .outcome = ret, .seed = job->seed};

    memset(ret, 0, sizeof *ret);
    ret->error.size = sizeof ret->error;
    if (!got && !(got = malloc(JOB_MOST_BYTES)))
        abort();
    work.got = got;
    signal(SIGPIPE, on_sigpipe);
    work.context = sluice_context_new(NULL, NULL);
    open_ends(&work);
    plan(&work);
    const unsigned descriptors = descriptors_open();
    const bool had_peer = work.source.peer >= 0;
    inject_begin(work.source.fd, work.sink.fd);
    move(&work);
    inject_end();
    inject_none();
    const bool seek_failed =
        seen.fired && (seen.last == POINT_SEEK_SOURCE || seen.last == POINT_SEEK_SINK);
    work.changed_offset_unset = seek_failed;
    check_process(descriptors - (had_peer && work.source.peer < 0)); /* it was fed to the end */
    check_ends(&work);
    end_close(&work.source);
    end_close(&work.sink);
}

unsigned job_methods(const struct job *job, enum sluice_method ret[SLUICE_METHOD_COUNT])
{
    struct outcome outcome = {0};
    struct work work = {.job = job, .outcome = &outcome};

    work.context = sluice_context_new(NULL, NULL);
    open_ends(&work);
    plan(&work);
    memcpy(ret, outcome.plan, sizeof outcome.plan);
    unsigned count = outcome.usable;
    /* Only if it is wanted is it among them. */
    struct job direct = *job;
    direct.method = SLUICE_METHOD_DIRECT;
    work.job = &direct;
    outcome.usable = 0;
    plan(&work);
    if (outcome.usable > 0)
        ret[count++] = SLUICE_METHOD_DIRECT;
    sluice_context_free(work.context);
    end_close(&work.source);
    end_close(&work.sink);
    return count;
}

/* ---- what became of it ---- */

bool job_next_method(const struct outcome *outcome, enum sluice_method method,
                     enum sluice_method *next)
{
    for (unsigned i = 0; i + 1 < outcome->usable; i++)
        if (outcome->plan[i] == method) {
            *next = outcome->plan[i + 1];
            return true;
        }
    return false;
}

void job_check_done(const struct job *job, const struct outcome *outcome)
{
    if (outcome->stage != STAGE_MOVE || outcome->result != 0)
        case_fail("it failed at stage %d with %s (side %s, %s)", outcome->stage,
                  errno_name(-outcome->result), sluice_side_name(outcome->error.side),
                  outcome->error.operation ? outcome->error.operation : "-");
    else if (outcome->ledger.delivered != job_expected(job))
        case_fail("it is done after %llu of %llu bytes",
                  (unsigned long long)outcome->ledger.delivered,
                  (unsigned long long)job_expected(job));
}

void job_check_no_fallback(const struct outcome *outcome)
{
    if (outcome->ledger.fallbacks > 0)
        case_fail("it fell back from %s to %s, and had no reason to",
                  sluice_method_name(outcome->fallback[0].from),
                  sluice_method_name(outcome->fallback[0].to));
}
