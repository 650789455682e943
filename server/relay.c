/* SPDX-License-Identifier: MIT */
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "connection.h"
#include "handover.h"
#include "lib/sys.h"
#include "log.h"
#include "tap.h"
#include "tap_sink.h"

enum {
    PIPES_MOST = 1024,       /* of a worker, as the process's descriptors allow */
    PIPES_IDLE = 128,        /* of all workers: half of what an ordinary user may have (64 MiB) */
    DESCRIPTORS_BESIDE = 64, /* that are not a connection's */
};

static const uint64_t full_look = 20000000; /* nanoseconds */

const uint32_t relay_latency_bound[RELAY_LATENCIES - 1] = {
    50, 100, 250, 500, 1000, 2500, 5000, 25000, 100000, 500000, 2500000};

static const char *const reasons[RELAY_REASONS] = {
    [RELAY_ENDED] = "ended",
    [RELAY_RESET] = "reset",
    [RELAY_FAILED] = "failed",
    [RELAY_NO_TARGET] = "no target",
    [RELAY_IDLE] = "idle",
    [RELAY_DENIED] = "denied",
    [RELAY_BAD_HEADER] = "bad header",
    [RELAY_DRAINED] = "drained",
    [RELAY_NO_MEMORY] = "out of resources",
};

const char *relay_reason_name(enum relay_reason reason)
{
    return (unsigned)reason < RELAY_REASONS ? reasons[reason] : "?";
}

const char *relay_tap_failure_name(enum relay_tap_failure failure)
{
    static const char *const names[RELAY_TAP_FAILURES] = {"not opened", "broken", "too slow"};
    return (unsigned)failure < RELAY_TAP_FAILURES ? names[failure] : "?";
}

/* ---- the rate of all ---- */

uint64_t relay_rate_allow(struct relay *relay, int direction, uint64_t want, uint64_t now,
                          uint64_t *deadline)
{
    if (!relay->options.rate_all)
        return want;
    pthread_mutex_lock(&relay->rate_mutex);
    const uint64_t allowed = rate_allow(&relay->rate_all[direction], want, now, deadline);
    pthread_mutex_unlock(&relay->rate_mutex);
    return allowed;
}

void relay_rate_spend(struct relay *relay, int direction, uint64_t bytes)
{
    if (!relay->options.rate_all)
        return;
    pthread_mutex_lock(&relay->rate_mutex);
    rate_spend(&relay->rate_all[direction], bytes);
    pthread_mutex_unlock(&relay->rate_mutex);
}

/* ---- making ---- */

/* As many connections as there are descriptors for, two each, of the hard limit. */
static unsigned descriptors_for(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 480;
    if (limit.rlim_cur < limit.rlim_max) {
        const rlim_t had = limit.rlim_cur;
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
            limit.rlim_cur = had;
    }
    const rlim_t most = limit.rlim_cur < 1 << 24 ? limit.rlim_cur : 1 << 24;
    return most > DESCRIPTORS_BESIDE + 16 ? (unsigned)(most - DESCRIPTORS_BESIDE) : 16;
}

static void look_again(struct loop *loop, struct timer *timer);
static void end_here(struct loop *loop, void *data);

static int make_worker(struct relay *relay, struct worker *worker, unsigned pipes)
{
    const struct sluice_context_options options = {
        .size = sizeof options,
        .max_pipes = pipes,
        .max_idle = relay->workers < PIPES_IDLE ? PIPES_IDLE / relay->workers : 1};
    int error = 0;

    worker->relay = relay;
    worker->look_again.fire = look_again;
    worker->targets = target_list_hold(relay->targets);
    worker->tap_list = tap_list_hold(relay->taps);
    worker->next_id = (uint64_t)(worker - relay->worker);
    handover_init(&worker->handover);
    worker->scratch = malloc(WORKER_SCRATCH);
    sluice_context *context = sluice_context_new(&options, &error);
    if (error == 0)
        error = worker->scratch ? loop_new(worker, &worker->loop) : -ENOMEM;
    units_init(&worker->units, context, worker->loop);
    return error;
}

int relay_new(const struct relay_options *options, struct relay **ret)
{
    struct relay *relay = calloc(1, sizeof *relay);
    if (!relay)
        return -ENOMEM;
    relay->options = *options;
    relay->targets = target_list_hold(options->targets);
    relay->taps = tap_list_hold(options->taps);
    pthread_mutex_init(&relay->rate_mutex, NULL);
    pthread_mutex_init(&relay->lists_mutex, NULL);
    for (int i = 0; i < RELAY_DIRECTIONS; i++)
        rate_init(&relay->rate_all[i], options->rate_all, sys_now());
    relay->workers = options->threads ? options->threads : 1;
    /* A pipe has two descriptors; a fifth of them all is plenty. */
    const unsigned descriptors = descriptors_for();
    unsigned pipes = descriptors / 10 / relay->workers;
    pipes = pipes > PIPES_MOST ? PIPES_MOST : pipes < 2 ? 2 : pipes;
    const unsigned taps = tap_list_descriptors(options->taps);
    const unsigned beside = (2 * pipes + taps * TAPS_ALONE) * relay->workers;
    const unsigned room = descriptors > beside ? (descriptors - beside) / (2 + taps) : 0;
    if (!relay->options.max_connections || relay->options.max_connections > room)
        relay->options.max_connections = room ? room : 1;
    relay->worker = calloc(relay->workers, sizeof *relay->worker);
    int error = relay->worker ? 0 : -ENOMEM;
    for (unsigned i = 0; i < relay->workers && error == 0; i++)
        error = make_worker(relay, &relay->worker[i], pipes);
    relay->control = relay->worker ? relay->worker[0].loop : NULL;
    if (error < 0) {
        relay_free(relay);
        return error;
    }
    *ret = relay;
    return 0;
}

static void free_worker(struct worker *worker)
{
    if (!worker->relay)
        return; /* it was never made */
    for (unsigned i = 0; i < worker->listeners; i++) {
        listener_stop(worker->listener[i]);
        free(worker->listener[i]);
    }
    free(worker->listener);
    if (worker->units.context)
        units_free(&worker->units);
    sluice_context_free(worker->units.context);
    if (worker->loop)
        timer_clear(worker->loop, &worker->look_again);
    loop_free(worker->loop);
    target_list_release(worker->targets);
    tap_list_release(worker->tap_list);
    free(worker->scratch);
    handover_free(&worker->handover);
}

void relay_free(struct relay *relay)
{
    if (!relay)
        return;
    if (relay->control)
        timer_clear(relay->control, &relay->drain_timer);
    /* The last one to go tells the control loop: so all loops are there until all have gone. */
    for (unsigned i = 0; relay->worker && i < relay->workers; i++)
        if (relay->worker[i].loop) {
            end_here(relay->worker[i].loop, NULL);
            taps_free(&relay->worker[i]);
        }
    for (unsigned i = 0; relay->worker && i < relay->workers; i++)
        free_worker(&relay->worker[i]);
    free(relay->worker);
    target_list_release(relay->targets);
    tap_list_release(relay->taps);
    pthread_mutex_destroy(&relay->rate_mutex);
    pthread_mutex_destroy(&relay->lists_mutex);
    free(relay);
}

/* ---- listening ---- */

static void check_drained(struct loop *loop, void *data)
{
    struct relay *relay = data;
    if (relay->draining && relay->active == 0 && relay->taps_alone == 0)
        loop_stop(loop);
}

static bool is_full(const struct relay *relay)
{
    return relay->active >= relay->options.max_connections;
}

/* Without memory to look again, one more is let in: else nobody might be any more. */
static bool pause_all(struct worker *worker)
{
    if (timer_set(worker->loop, &worker->look_again, loop_now(worker->loop) + full_look) < 0)
        return false;
    worker->full = true;
    for (unsigned i = 0; i < worker->listeners; i++)
        listener_pause(worker->listener[i]);
    return true;
}

/* A connection counts before it is accepted: so there are never more, whoever else accepts just now. */
static bool take_room(struct listener *listener)
{
    struct worker *worker = listener->data;
    struct relay *relay = worker->relay;
    unsigned active = relay->active;

    while (active < relay->options.max_connections)
        if (atomic_compare_exchange_weak(&relay->active, &active, active + 1))
            return true;
    if (pause_all(worker))
        return false;
    relay->active++;
    return true;
}

static void resume_if_room(struct worker *worker)
{
    if (!worker->full || is_full(worker->relay))
        return;
    worker->full = false;
    timer_clear(worker->loop, &worker->look_again);
    for (unsigned i = 0; i < worker->listeners; i++)
        listener_resume(worker->listener[i]);
}

static void release_room(struct worker *worker)
{
    const bool last = --worker->relay->active == 0;

    resume_if_room(worker);
    if (last && worker->draining)
        loop_call(worker->relay->control, check_drained, worker->relay);
}

static void leave_room(struct listener *listener)
{
    release_room(listener->data);
}

static void look_again(struct loop *loop, struct timer *timer)
{
    struct worker *worker = OWNER_OF(timer, struct worker, look_again);
    resume_if_room(worker);
    if (worker->full)
        timer_set(loop, timer, loop_now(loop) + full_look);
}

static void accepted(struct listener *listener, int fd, const struct peer *peer)
{
    struct worker *worker = listener->data, *to = handover_place(worker);

    worker->totals.accepted++;
    if (to != worker && handover_give(to, fd, peer)) {
        worker->totals.handed_over++;
    } else {
        worker->active++;
        connection_begin(worker, fd, peer);
    }
    if (!worker->full && is_full(worker->relay))
        pause_all(worker);
}

static void cannot_accept(struct listener *listener, int error)
{
    (void)listener;
    log_event(LOG_LEVEL_WARNING, "cannot accept", LOG_TEXT("error", strerrorname_np(-error)),
              LOG_TEXT("why", strerrordesc_np(-error)));
}

static int listen_in(struct worker *worker, int fd, bool shared)
{
    struct listener **list =
        realloc(worker->listener, (worker->listeners + 1) * sizeof(struct listener *));
    if (!list)
        return -ENOMEM;
    worker->listener = list;
    struct listener *listener = calloc(1, sizeof *listener);
    if (!listener)
        return -ENOMEM;
    listener->watch.fd = fd;
    listener->accepted = accepted;
    listener->refused = cannot_accept;
    listener->room = take_room;
    listener->left = leave_room;
    listener->data = worker;
    listener->shared = shared;
    const int error = listener_start(worker->loop, listener);
    if (error < 0) {
        free(listener);
        return error;
    }
    list[worker->listeners++] = listener;
    return 0;
}

int relay_listen(struct relay *relay, int fd, int index)
{
    if (index >= 0)
        return listen_in(&relay->worker[index], fd, false);
    int error = listen_in(&relay->worker[0], fd, relay->workers > 1);
    for (unsigned i = 1; i < relay->workers && error >= 0; i++) {
        const int own = sys_fcntl(fd, F_DUPFD_CLOEXEC, 3);
        error = own < 0 ? own : listen_in(&relay->worker[i], own, true);
        if (own >= 0 && error < 0)
            sys_close(own);
    }
    return error;
}

int relay_listening(const struct relay *relay, unsigned i)
{
    const struct worker *first = relay->worker;
    return i < first->listeners ? first->listener[i]->watch.fd : -1;
}

/* ---- every loop ---- */

int relay_each_loop(struct relay *relay, void (*function)(struct loop *, void *), void *data)
{
    int error = 0;
    for (unsigned i = 0; i < relay->workers; i++) {
        if (!relay->worker[i].started) { /* it is in this thread, or in none */
            function(relay->worker[i].loop, data);
            continue;
        }
        const int one = loop_ask(relay->worker[i].loop, function, data);
        if (one < 0)
            error = one;
    }
    return error;
}

static void nothing(struct loop *loop, void *data)
{
    (void)loop;
    (void)data;
}

/* Has each loop call a function, even one that is busy for long: that is waited for at most as long as
 * loop_ask() waits. */
static void tell_loops(struct relay *relay, void (*function)(struct loop *, void *))
{
    for (unsigned i = 0; i < relay->workers; i++) {
        if (!relay->worker[i].started)
            function(relay->worker[i].loop, NULL);
        else
            loop_call(relay->worker[i].loop, function, NULL);
    }
    relay_each_loop(relay, nothing, NULL);
}

/* ---- the end ---- */

static void stop_listening(struct worker *worker)
{
    for (unsigned i = 0; i < worker->listeners; i++)
        listener_stop(worker->listener[i]);
}

void worker_released(struct worker *worker)
{
    worker->active--;
    release_room(worker);
}

void worker_released_tap(struct worker *worker)
{
    struct relay *relay = worker->relay;

    if (--relay->taps_alone == 0 && worker->draining)
        loop_call(relay->control, check_drained, relay);
}

static void drain_here(struct loop *loop, void *data)
{
    struct worker *worker = loop_data(loop);
    (void)data;
    worker->draining = true;
    for (unsigned i = 0; i < worker->listeners && !is_full(worker->relay); i++)
        listener_take_rest(worker->listener[i]);
    stop_listening(worker);
}

static void end_here(struct loop *loop, void *data)
{
    struct worker *worker = loop_data(loop);

    handover_take(loop, data);
    while (worker->connections)
        connection_kill(worker->connections, RELAY_DRAINED);
}

static void drained_long_enough(struct loop *loop, struct timer *timer)
{
    struct relay *relay = OWNER_OF(timer, struct relay, drain_timer);
    (void)loop;
    log_event(LOG_LEVEL_WARNING, "drain timeout", LOG_NUMBER("connections", relay->active),
              LOG_NUMBER("taps", relay->taps_alone));
    relay_stop(relay);
}

void relay_drain(struct relay *relay)
{
    if (relay->draining)
        return;
    relay->draining = true;
    log_event(LOG_LEVEL_INFO, "draining", LOG_NUMBER("connections", relay->active));
    tell_loops(relay, drain_here);
    relay->drain_timer.fire = drained_long_enough;
    if (relay->options.drain_timeout)
        timer_set(relay->control, &relay->drain_timer, sys_now() + relay->options.drain_timeout);
    check_drained(relay->control, relay);
}

bool relay_draining(const struct relay *relay)
{
    return relay->draining;
}

void relay_stop(struct relay *relay)
{
    tell_loops(relay, drain_here);
    tell_loops(relay, end_here);
    loop_stop(relay->control);
}

/* ---- running ---- */

static void *run_worker(void *data)
{
    struct worker *worker = data;
    const int error = loop_run(worker->loop);
    if (error < 0) {
        log_event(LOG_LEVEL_ERROR, "a loop failed", LOG_TEXT("error", strerrorname_np(-error)));
        loop_stop(worker->relay->control);
    }
    return (void *)(intptr_t)error;
}

static int start_workers(struct relay *relay)
{
    int error = 0;

    /* Signals are the control loop's; and SIGPIPE nobody's. */
    for (unsigned i = 1; i < relay->workers && error == 0; i++) {
        error = sys_thread_on(-1, run_worker, &relay->worker[i], &relay->worker[i].thread);
        relay->worker[i].started = error == 0;
    }
    return error;
}

int relay_run(struct relay *relay)
{
    int error = start_workers(relay);
    if (error == 0)
        error = loop_run(relay->control);
    for (unsigned i = 1; i < relay->workers; i++) {
        struct worker *worker = &relay->worker[i];
        void *value = NULL;
        if (!worker->started)
            continue;
        loop_stop(worker->loop);
        pthread_join(worker->thread, &value);
        worker->started = false;
        if (error == 0)
            error = (int)(intptr_t)value;
    }
    return error;
}

struct loop *relay_control(const struct relay *relay)
{
    return relay->control;
}

/* Those of now, whenever it comes to it. */
static void take_lists(struct loop *loop, void *data)
{
    struct worker *worker = loop_data(loop);
    struct relay *relay = worker->relay;

    (void)data;
    target_list_release(worker->targets);
    tap_list_release(worker->tap_list);
    pthread_mutex_lock(&relay->lists_mutex);
    worker->targets = target_list_hold(relay->targets);
    worker->tap_list = tap_list_hold(relay->taps);
    pthread_mutex_unlock(&relay->lists_mutex);
}

void relay_set_lists(struct relay *relay, struct target_list *targets, struct tap_list *taps)
{
    struct target_list *old_targets = relay->targets;
    struct tap_list *old_taps = relay->taps;

    pthread_mutex_lock(&relay->lists_mutex);
    relay->targets = target_list_hold(targets);
    relay->taps = tap_list_hold(taps);
    pthread_mutex_unlock(&relay->lists_mutex);
    target_list_release(old_targets);
    tap_list_release(old_taps);
    tell_loops(relay, take_lists);
}

struct target_list *relay_targets(struct relay *relay)
{
    return target_list_hold(relay->targets);
}

/* ---- counting ---- */

static void add_totals(const struct relay_totals *from, struct relay_totals *to)
{
    to->accepted += from->accepted;
    to->handed_over += from->handed_over;
    for (int i = 0; i < RELAY_REASONS; i++)
        to->ended[i] += from->ended[i];
    to->connects += from->connects;
    to->connect_failures += from->connect_failures;
    to->connect_microseconds += from->connect_microseconds;
    for (int i = 0; i < RELAY_LATENCIES; i++)
        to->connect_latency[i] += from->connect_latency[i];
}

static void read_here(struct loop *loop, void *data)
{
    struct worker *worker = loop_data(loop);
    struct relay_totals *totals = data;

    add_totals(&worker->totals, totals);
    units_read(&worker->units, totals);
    taps_read(worker, totals);
    for (unsigned i = 0; i < worker->listeners; i++)
        totals->accept_failures += worker->listener[i]->failures;
}

int relay_read(struct relay *relay, struct relay_totals *ret)
{
    *ret = (struct relay_totals){0};
    const int error = relay_each_loop(relay, read_here, ret);
    ret->active = relay->active;
    ret->fewest = UINT64_MAX;
    for (unsigned i = 0; i < relay->workers; i++) {
        const uint64_t active = relay->worker[i].active;
        ret->fewest = active < ret->fewest ? active : ret->fewest;
        ret->most = active > ret->most ? active : ret->most;
    }
    ret->draining = relay->draining;
    return error;
}
