/* SPDX-License-Identifier: MIT */
#include "tap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/sys.h"
#include "log.h"
#include "net.h"
#include "tap_sink.h"

enum {
    TARGET = 0,         /* the fan-out's first sink: the other end of the connection */
    WATCHES_A_SINK = 3, /* its descriptor, and what a thread of its own says */
    /* What a socket gives at a time is less than a large pipe could hold, and each time takes a pipe of the
     * backlog: so there are more of them, and smaller ones, than in a fan-out of one large stream. */
    PIPE_SIZE = 256 << 10,
    LAG_PIPES = 32,
    NAME = 512,
};

/* A descriptor that the last step waits for, by levels, and only until the next one: which they are, and
 * how long they live, is the fan-out's matter. */
struct tap_watch {
    struct watch watch;
    struct tap *tap;
};

struct tap_end {
    sluice_endpoint *endpoint, *spill;
    char *name;
    unsigned id;
    bool is_socket, told;
};

struct tap {
    struct worker *worker;
    struct tap *next, **link;      /* among the worker's, or among those that are alone */
    struct connection *connection; /* NULL: it is alone */
    sluice_fanout *fanout;
    sluice_endpoint *source, *target;
    uint64_t number; /* the connection's, for the log */
    uint64_t taken;
    struct sluice_sink_info left; /* what the target had got when it was taken off */
    struct timer timer;
    unsigned char direction;
    bool stirred;
    unsigned ends, watches;
    struct tap_end *end;
    struct tap_watch *watch;
};

static struct loop *loop_of(const struct tap *tap)
{
    return tap->worker->loop;
}

/* ---- counting ---- */

static struct sluice_sink_info info_of(const struct tap *tap, unsigned id)
{
    struct sluice_sink_info info = {.size = sizeof info};

    if (id == TARGET && !tap->target)
        return tap->left;
    sluice_fanout_sink(tap->fanout, id, &info);
    return info;
}

static void add_classes(const struct sluice_sink_info *info, uint64_t *ret)
{
    ret[SLUICE_CLASS_REFERENCE] += info->by_reference;
    ret[SLUICE_CLASS_KERNEL_COPY] += info->by_kernel;
    ret[SLUICE_CLASS_USER_COPY] += info->by_user;
}

static void add_tap(const struct tap *tap, struct relay_totals *totals)
{
    const int direction = tap->direction;
    struct sluice_fanout_ledger ledger = {.size = sizeof ledger};
    const struct sluice_sink_info target = info_of(tap, TARGET);

    sluice_fanout_ledger(tap->fanout, &ledger);
    totals->bytes[direction] += target.delivered;
    totals->parked[direction] += target.lag;
    totals->bytes_class[direction][SLUICE_CLASS_USER_COPY] += ledger.read_bytes;
    totals->bytes_class[direction][SLUICE_CLASS_REFERENCE] += ledger.spliced_bytes;
    add_classes(&target, totals->bytes_class[direction]);
    totals->calls[direction] += ledger.calls - ledger.eagain + (tap->target ? 0 : target.calls);
    uint64_t source_eagain = ledger.eagain - (tap->target ? target.eagain : 0);
    totals->sink_eagain[direction] += target.eagain;
    for (unsigned i = 0; i < tap->ends; i++) {
        const struct sluice_sink_info info = info_of(tap, tap->end[i].id);
        source_eagain -= info.eagain;
        add_classes(&info, totals->tap_class[direction]);
        totals->tap_dropped[direction] += info.dropped;
        totals->tap_lag[direction] += info.lag;
        totals->taps += info.state == SLUICE_SINK_RUNNING;
    }
    totals->source_eagain[direction] += source_eagain;
}

/* Once it is over: each is told once. */
static void count_fallbacks(const struct tap *tap, struct relay_totals *totals)
{
    struct sluice_fallback fallback = {.size = sizeof fallback};

    for (unsigned i = 0; sluice_fanout_fallback(tap->fanout, i, &fallback) == 0; i++)
        relay_count_fallback(totals, fallback.call,
                             fallback.reason ? fallback.reason : strerrorname_np(-fallback.error),
                             1);
}

static void add_counts(const struct relay_totals *from, struct relay_totals *to)
{
    for (int direction = 0; direction < RELAY_DIRECTIONS; direction++) {
        for (int i = 0; i <= SLUICE_CLASS_MAP; i++) {
            to->bytes_class[direction][i] += from->bytes_class[direction][i];
            to->tap_class[direction][i] += from->tap_class[direction][i];
        }
        to->bytes[direction] += from->bytes[direction];
        to->calls[direction] += from->calls[direction];
        to->source_eagain[direction] += from->source_eagain[direction];
        to->sink_eagain[direction] += from->sink_eagain[direction];
        to->tap_dropped[direction] += from->tap_dropped[direction];
    }
    for (int i = 0; i < RELAY_TAP_FAILURES; i++)
        to->tap_failures[i] += from->tap_failures[i];
    for (int i = 0; i < RELAY_FALLBACKS && from->fallback[i].call; i++)
        relay_count_fallback(to, from->fallback[i].call, from->fallback[i].reason,
                             from->fallback[i].count);
}

void taps_read(const struct worker *worker, struct relay_totals *ret)
{
    add_counts(&worker->tapped, ret);
    for (const struct tap *tap = worker->taps; tap; tap = tap->next)
        add_tap(tap, ret);
    for (const struct tap *tap = worker->taps_alone; tap; tap = tap->next)
        add_tap(tap, ret);
}

/* ---- what is said ---- */

static void count_failure(struct worker *worker, enum relay_tap_failure why)
{
    worker->tapped.tap_failures[why]++;
}

static const char *word_for(int direction)
{
    return direction == RELAY_TO_TARGET ? "client" : "target";
}

static void cannot_open(struct connection *connection, int direction, const char *name,
                        const char *operation, int error)
{
    count_failure(connection->worker, RELAY_TAP_NOT_OPENED);
    log_event(LOG_LEVEL_WARNING, "cannot tap", LOG_NUMBER("id", connection->id),
              LOG_TEXT("from", word_for(direction)), LOG_TEXT("to", name),
              LOG_TEXT("call", operation), LOG_TEXT("error", strerrorname_np(-error)),
              LOG_TEXT("why", error == -ENXIO ? "nobody reads it" : strerrordesc_np(-error)));
}

static void tell(struct tap *tap, struct tap_end *end)
{
    const struct sluice_sink_info info = info_of(tap, end->id);
    const bool detached = info.state == SLUICE_SINK_DETACHED;

    end->told = true;
    count_failure(tap->worker, detached ? RELAY_TAP_TOO_SLOW : RELAY_TAP_BROKEN);
    log_event(LOG_LEVEL_WARNING, detached ? "tap too slow" : "tap failed",
              LOG_NUMBER("id", tap->number), LOG_TEXT("from", word_for(tap->direction)),
              LOG_TEXT("to", end->name), LOG_TEXT("call", detached ? "" : info.operation),
              LOG_TEXT("error", detached ? "" : strerrorname_np(-info.error)),
              LOG_NUMBER("delivered", info.delivered), LOG_NUMBER("lost", info.dropped));
}

/* A sink was taken off. Without the target nothing more is to be taken for the others. */
static int on_event(sluice_fanout *fanout, unsigned id, void *data)
{
    struct tap *tap = data;

    if (id == TARGET)
        sluice_fanout_end(fanout);
    for (unsigned i = 0; i < tap->ends; i++)
        if (tap->end[i].id == id)
            tell(tap, &tap->end[i]);
    return 0;
}

/* ---- waiting ---- */

static void forget_watches(struct tap *tap)
{
    for (; tap->watches > 0; tap->watches--)
        loop_remove(loop_of(tap), &tap->watch[tap->watches - 1].watch);
}

static void go_on_alone(struct tap *tap);

static void stir(struct tap *tap)
{
    forget_watches(tap); /* if it may not go on yet, levels would be told again and again */
    tap->stirred = true;
    if (tap->connection)
        connection_run(tap->connection);
    else
        go_on_alone(tap);
}

static void sink_ready(struct loop *loop, struct watch *watch, uint32_t events)
{
    (void)loop;
    (void)events;
    stir(OWNER_OF(watch, struct tap_watch, watch)->tap);
}

static void time_has_come(struct loop *loop, struct timer *timer)
{
    (void)loop;
    stir(OWNER_OF(timer, struct tap, timer));
}

/* Watches what the last step waits for, but for the connection's own ends, which the loop has already:
 * these are returned. */
static unsigned char watch(struct tap *tap, uint64_t deadline)
{
    struct sluice_fanout_watch one = {.size = sizeof one};
    unsigned char wait = 0;

    for (unsigned i = 0; sluice_fanout_watch(tap->fanout, i, &one) == 0; i++) {
        struct tap_watch *watch = &tap->watch[tap->watches];
        if (one.sink == SLUICE_WATCH_SOURCE) {
            wait |= SLUICE_WAIT_SOURCE_IN;
        } else if (one.sink == TARGET) {
            wait |= SLUICE_WAIT_SINK_OUT;
        } else if (tap->watches < tap->ends * WATCHES_A_SINK) {
            watch->watch.fd = one.fd;
            if (loop_add(loop_of(tap), &watch->watch, (uint32_t)one.events, false) >= 0)
                tap->watches++;
            else /* no memory for it: then it is tried after a while */
                deadline = loop_now(loop_of(tap)) + CONNECTION_RETRY;
        }
    }
    if (deadline)
        timer_set(loop_of(tap), &tap->timer, deadline);
    return wait;
}

/* ---- moving ---- */

static int step(struct tap *tap, uint64_t budget, uint64_t *ret_deadline)
{
    forget_watches(tap);
    timer_clear(loop_of(tap), &tap->timer);
    tap->stirred = false;
    return sluice_fanout_step(tap->fanout, budget, ret_deadline);
}

static enum tap_state failed(struct tap_turn *turn, const struct sluice_sink_info *target)
{
    if (target->state == SLUICE_SINK_FAILED)
        turn->error = (struct sluice_error){.size = sizeof turn->error,
                                            .side = SLUICE_SIDE_SINK,
                                            .operation = target->operation,
                                            .error = target->error};
    turn->error.parked = target->state == SLUICE_SINK_FAILED ? target->dropped : target->lag;
    return TAP_FAILED;
}

enum tap_state tap_step(struct tap *tap, uint64_t budget, struct tap_turn *ret)
{
    struct sluice_fanout_ledger ledger = {.size = sizeof ledger};
    const uint64_t delivered = info_of(tap, TARGET).delivered;
    uint64_t deadline = 0;

    *ret = (struct tap_turn){.error.size = sizeof ret->error};
    const int value = step(tap, budget, &deadline);
    const struct sluice_sink_info target = info_of(tap, TARGET);
    sluice_fanout_ledger(tap->fanout, &ledger);
    ret->taken = ledger.taken - tap->taken;
    ret->moved = ret->taken > 0 || target.delivered > delivered;
    tap->taken = ledger.taken;
    sluice_fanout_error(tap->fanout, &ret->error);
    if (target.state == SLUICE_SINK_DONE && ret->error.error == 0)
        return TAP_ENDED;
    if (target.state != SLUICE_SINK_RUNNING || value < 0)
        return failed(ret, &target);
    if (value == SLUICE_MORE)
        return TAP_HAS_MORE;
    ret->wait = watch(tap, deadline);
    return TAP_WAITS;
}

bool tap_is_stirred(const struct tap *tap)
{
    return tap->stirred;
}

uint64_t tap_parked(const struct tap *tap)
{
    return info_of(tap, TARGET).lag;
}

/* ---- the end ---- */

/* What a peer has sent is thrown away: unread, it would turn the close into a reset, which overtakes what
 * the peer has not read yet. */
static void close_end(struct tap *tap, struct tap_end *end)
{
    struct sluice_endpoint_info info = {.size = sizeof info};

    if (end->is_socket && sluice_endpoint_describe(end->endpoint, &info) >= 0) {
        net_shutdown(info.fd, SHUT_WR);
        while (sys_recv(info.fd, tap->worker->scratch, WORKER_SCRATCH, MSG_DONTWAIT) ==
               WORKER_SCRATCH)
            ;
    }
    sluice_endpoint_free(end->endpoint);
    sluice_endpoint_free(end->spill);
    free(end->name);
}

/* What was not said of a sink yet. */
static void tell_the_rest(struct tap *tap, const struct tap_end *end)
{
    const struct sluice_sink_info info = info_of(tap, end->id);
    const uint64_t lost = info.dropped + info.lag;

    if (end->told || lost == 0)
        return;
    log_event(LOG_LEVEL_WARNING, "tap incomplete", LOG_NUMBER("id", tap->number),
              LOG_TEXT("from", word_for(tap->direction)), LOG_TEXT("to", end->name),
              LOG_NUMBER("delivered", info.delivered), LOG_NUMBER("lost", lost));
}

static void unlink_tap(struct tap *tap)
{
    if (!tap->link)
        return;
    *tap->link = tap->next;
    if (tap->next)
        tap->next->link = tap->link;
    tap->link = NULL;
}

static void link_tap(struct tap *tap, struct tap **list)
{
    tap->next = *list;
    tap->link = list;
    if (tap->next)
        tap->next->link = &tap->next;
    *list = tap;
}

static void free_memory(struct tap *tap)
{
    sluice_fanout_free(tap->fanout);
    for (unsigned i = 0; i < tap->ends; i++)
        close_end(tap, &tap->end[i]);
    sluice_endpoint_free(tap->target);
    sluice_endpoint_free(tap->source);
    free(tap->watch);
    free(tap->end);
    free(tap);
}

static void tap_free(struct tap *tap)
{
    struct worker *worker = tap->worker;

    forget_watches(tap);
    timer_clear(loop_of(tap), &tap->timer);
    for (unsigned i = 0; i < tap->ends; i++) {
        const struct sluice_sink_info info = info_of(tap, tap->end[i].id);
        tell_the_rest(tap, &tap->end[i]);
        worker->tapped.tap_dropped[tap->direction] += info.lag;
    }
    add_tap(tap, &worker->tapped);
    count_fallbacks(tap, &worker->tapped);
    unlink_tap(tap);
    free_memory(tap);
    worker->taps_alone_count--;
    worker_released_tap(worker);
}

static void go_on_alone(struct tap *tap)
{
    uint64_t deadline = 0;

    if (step(tap, 0, &deadline) == SLUICE_WAIT)
        watch(tap, deadline);
    else
        tap_free(tap);
}

static void cut_off_the_oldest(struct worker *worker)
{
    struct tap *tap = worker->taps_alone;

    while (tap->next)
        tap = tap->next;
    tap_free(tap);
}

uint64_t tap_leave(struct tap *tap)
{
    struct worker *worker = tap->worker;
    const uint64_t parked = tap_parked(tap);

    tap->left = info_of(tap, TARGET);
    tap->left.lag = 0;
    forget_watches(tap);
    sluice_fanout_remove(tap->fanout, TARGET);
    sluice_fanout_end(tap->fanout);
    sluice_endpoint_free(tap->target);
    tap->target = NULL;
    tap->connection = NULL;
    unlink_tap(tap);
    link_tap(tap, &worker->taps_alone);
    worker->relay->taps_alone++;
    if (++worker->taps_alone_count > TAPS_ALONE)
        cut_off_the_oldest(worker);
    go_on_alone(tap);
    return parked;
}

void taps_free(struct worker *worker)
{
    while (worker->taps_alone)
        tap_free(worker->taps_alone);
}

/* ---- the beginning ---- */

static struct tap_facts facts_of(const struct connection *connection, int direction,
                                 char client[static PEER_TEXT])
{
    struct timespec now = {0};

    clock_gettime(CLOCK_REALTIME, &now);
    return (struct tap_facts){.number = connection->id,
                              .time = (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec,
                              .client = small_peer_text(&connection->client, client),
                              .target = connection->target->name,
                              .sender = word_for(direction)};
}

static int adopt(struct worker *worker, int fd, sluice_endpoint **ret)
{
    const int error = sluice_endpoint_from_fd(worker->units.context, fd, SLUICE_OWN, ret);
    if (error < 0)
        sys_close(fd);
    return error;
}

static int open_end(struct tap *tap, const struct tap_sink *sink, const struct tap_facts *facts,
                    char *name, const char **operation)
{
    struct tap_end *end = &tap->end[tap->ends];
    struct sluice_sink_options options = sink->options;

    if (!options.lag_pipes)
        options.lag_pipes = LAG_PIPES;
    *end = (struct tap_end){.is_socket = sink->kind == TAP_TCP || sink->kind == TAP_UNIX};
    int error = tap_sink_open(sink, facts, name, NAME, operation);
    if (error >= 0)
        error = adopt(tap->worker, error, &end->endpoint);
    if (error >= 0 && sink->spill) {
        *operation = "open the file to spill to";
        error = tap_sink_open_spill(sink);
        if (error >= 0)
            error = adopt(tap->worker, error, &end->spill);
        options.spill = end->spill;
    }
    if (error >= 0) {
        *operation = "add";
        end->name = strdup(name);
        error = end->name ? sluice_fanout_add(tap->fanout, end->endpoint, &options, &end->id, NULL)
                          : -ENOMEM;
    }
    if (error < 0) {
        sluice_endpoint_free(end->endpoint);
        sluice_endpoint_free(end->spill);
        free(end->name);
        return error;
    }
    tap->ends++;
    return 0;
}

static unsigned count_sinks(const struct tap_list *list, int direction)
{
    unsigned count = 0;

    for (unsigned i = 0; list && i < list->count; i++)
        count += (list->sink[i].from >> direction) & 1;
    return count;
}

/* The fan-out between the two ends of the connection, and room for so many sinks. */
static int make(struct connection *connection, int direction, unsigned sinks, struct tap *tap)
{
    const struct sluice_fanout_options options = {
        .size = sizeof options,
        .flags = SLUICE_NO_SIGPIPE | SLUICE_FANOUT_NO_HUP | SLUICE_FANOUT_REST,
        .pipe_size = PIPE_SIZE,
        .event = on_event,
        .event_data = tap,
    };
    sluice_context *context = connection->worker->units.context;
    const int from = direction == RELAY_TO_TARGET ? END_CLIENT : END_TARGET;

    tap->worker = connection->worker;
    tap->connection = connection;
    tap->number = connection->id;
    tap->direction = (unsigned char)direction;
    tap->timer.fire = time_has_come;
    tap->end = calloc(sinks, sizeof *tap->end);
    tap->watch = calloc(sinks * WATCHES_A_SINK, sizeof *tap->watch);
    if (!tap->end || !tap->watch)
        return -ENOMEM;
    for (unsigned i = 0; i < sinks * WATCHES_A_SINK; i++)
        tap->watch[i] = (struct tap_watch){.watch = {.fd = -1, .ready = sink_ready}, .tap = tap};
    int error = sluice_endpoint_from_fd(context, connection->end[from].watch.fd, SLUICE_BORROW,
                                        &tap->source);
    if (error >= 0)
        error = sluice_endpoint_from_fd(context, connection->end[!from].watch.fd, SLUICE_BORROW,
                                        &tap->target);
    if (error >= 0)
        error = sluice_fanout_new(context, tap->source, &options, &tap->fanout, NULL);
    if (error >= 0)
        error = sluice_fanout_add(tap->fanout, tap->target, NULL, NULL, NULL);
    return error;
}

struct tap *tap_begin(struct connection *connection, int direction)
{
    const struct tap_list *list = connection->worker->tap_list;
    const unsigned sinks = count_sinks(list, direction);
    char client[PEER_TEXT], name[NAME] = "";
    const char *operation = "make";

    if (sinks == 0)
        return NULL;
    const struct tap_facts facts = facts_of(connection, direction, client);
    struct tap *tap = calloc(1, sizeof *tap);
    int error = tap ? make(connection, direction, sinks, tap) : -ENOMEM;
    for (unsigned i = 0; i < list->count && error >= 0; i++) {
        if (!((list->sink[i].from >> direction) & 1))
            continue;
        const int one = open_end(tap, &list->sink[i], &facts, name, &operation);
        if (one < 0)
            cannot_open(connection, direction, name, operation, one);
    }
    if (error < 0)
        cannot_open(connection, direction, name, operation, error);
    if (error < 0 || tap->ends == 0) {
        if (tap)
            free_memory(tap);
        return NULL;
    }
    link_tap(tap, &connection->worker->taps);
    for (unsigned i = 0; i < tap->ends; i++)
        log_event(LOG_LEVEL_DEBUG, "tapped", LOG_NUMBER("id", tap->number),
                  LOG_TEXT("from", facts.sender), LOG_TEXT("to", tap->end[i].name));
    return tap;
}
