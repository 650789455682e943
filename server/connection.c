/* SPDX-License-Identifier: MIT */
#include "connection.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/sys.h"
#include "log.h"
#include "net.h"
#include "tap.h"

#define MILLISECOND UINT64_C(1000000)

/* Pieces of a client's input that are thrown away after an error. */
enum { THROWN_MOST = 64 };

/* How long a client may take to take note that it is over. */
static const uint64_t patience = 2000 * MILLISECOND;

/* ---- watching ---- */

int end_watch(struct loop *loop, struct end *end)
{
    if (end->watched)
        return 0;
    const int error = loop_add(loop, &end->watch, END_WATCHED, true);
    end->watched = error >= 0;
    return error;
}

void end_keep(struct end *end, uint32_t events)
{
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        end->readable = true;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        end->hup = true;
    if (events & EPOLLPRI)
        end->urgent = END_URGENT;
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        end->writable = true;
    if (events & (EPOLLHUP | EPOLLERR))
        end->left = true;
}

/* ---- the end ---- */

static void drop_directions(struct connection *connection)
{
    for (int i = 0; i < RELAY_DIRECTIONS; i++)
        direction_drop(connection, i);
}

static void release_target(struct connection *connection)
{
    if (connection->target)
        connection->target->active--;
    connection->target = NULL;
    target_list_release(connection->targets);
    connection->targets = NULL;
}

static void finish(struct connection *connection)
{
    struct worker *worker = connection->worker;
    struct loop *loop = worker->loop;

    drop_directions(connection);
    for (int i = 0; i < ENDS; i++)
        loop_close(loop, &connection->end[i].watch);
    timer_clear(loop, &connection->timer);
    if (connection->limits)
        timer_clear(loop, &connection->limits->timer);
    loop_not_later(loop, &connection->task);
    release_target(connection);
    worker->totals.ended[connection->reason]++;
    if (log_wants(LOG_LEVEL_DEBUG)) {
        char client[PEER_TEXT];
        log_event(LOG_LEVEL_DEBUG, "closed", LOG_NUMBER("id", connection->id),
                  LOG_TEXT("client", small_peer_text(&connection->client, client)),
                  LOG_TEXT("reason", relay_reason_name(connection->reason)),
                  LOG_NUMBER("milliseconds", (loop_now(loop) - connection->began) / MILLISECOND));
    }
    *connection->link = connection->next;
    if (connection->next)
        connection->next->link = connection->link;
    free(connection->limits);
    free(connection->pending);
    free(connection->ends);
    free(connection);
    worker_released(worker);
}

static void reset_now(struct connection *connection, struct end *end)
{
    static const struct linger hard = {.l_onoff = 1, .l_linger = 0};
    static const struct sockaddr nobody = {.sa_family = AF_UNSPEC};

    /* Where a filter forbids the option, leaving the peer resets it, too: what is cut off is not to
     * look whole. */
    if (end->watch.fd >= 0 && end_is_tcp(end) &&
        net_setsockopt(end->watch.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard) < 0)
        net_connect(end->watch.fd, &nobody, sizeof nobody);
    loop_close(connection_loop(connection), &end->watch);
}

static bool has_got_there(const struct end *end)
{
    int queued = 0;
    return sys_ioctl(end->watch.fd, SIOCOUTQ, &queued) < 0 || queued == 0;
}

/* What was delivered before the other side failed is to arrive: a reset overtakes it. */
static void try_reset(struct connection *connection)
{
    struct end *end = &connection->end[connection->reset_end];
    const uint64_t now = loop_now(connection_loop(connection));

    if (end_is_tcp(end) && !has_got_there(end) && now - connection->moved < patience &&
        timer_set(connection_loop(connection), &connection->timer, now + CONNECTION_RETRY) == 0)
        return;
    reset_now(connection, end);
    finish(connection);
}

static void begin_reset(struct connection *connection, int end)
{
    drop_directions(connection);
    reset_now(connection, &connection->end[!end]); /* its peer may wait still */
    connection->phase = PHASE_RESETTING;
    connection->reset_end = (unsigned char)end;
    connection->moved = loop_now(connection_loop(connection));
    try_reset(connection);
}

/* No edge would follow an interrupted call. */
static ssize_t receive(int fd, void *buffer, size_t length, int flags)
{
    ssize_t value;

    do
        value = sys_recv(fd, buffer, length, flags | MSG_DONTWAIT);
    while (value == -EINTR);
    return value;
}

/* Reads on to the other's end, so that what it sends meanwhile does not turn our close into a
 * reset. */
static void throw_away(struct connection *connection)
{
    struct worker *worker = connection->worker;
    struct end *end = &connection->end[connection->reset_end];
    ssize_t value;

    while (connection->thrown++ < THROWN_MOST &&
           (value = receive(end->watch.fd, worker->scratch, WORKER_SCRATCH, 0)) > 0)
        ;
    if (connection->thrown < THROWN_MOST && value == -EAGAIN)
        return;
    finish(connection);
}

/* Tells one side that it is over, in good order. */
static void begin_close(struct connection *connection, int end)
{
    struct loop *loop = connection_loop(connection);
    struct end *left = &connection->end[end];

    drop_directions(connection);
    release_target(connection);
    loop_close(loop, &connection->end[!end].watch);
    connection->phase = PHASE_CLOSING;
    connection->reset_end = (unsigned char)end;
    net_shutdown(left->watch.fd, SHUT_WR);
    if (timer_set(loop, &connection->timer, loop_now(loop) + patience) < 0 ||
        end_watch(loop, left) < 0)
        finish(connection);
    else
        throw_away(connection);
}

void connection_over(struct connection *connection)
{
    struct end *client = &connection->end[END_CLIENT], *target = &connection->end[END_TARGET];

    if (client->reset && target->reset) {
        reset_now(connection, client);
        reset_now(connection, target);
        finish(connection);
    } else if (client->reset) {
        begin_reset(connection, END_TARGET);
    } else if (target->reset) {
        begin_reset(connection, END_CLIENT);
    } else if (target->gone) {
        begin_close(connection, END_CLIENT);
    } else if (client->gone) {
        begin_close(connection, END_TARGET);
    } else {
        finish(connection);
    }
}

void connection_kill(struct connection *connection, enum relay_reason reason)
{
    connection->reason = (unsigned char)reason;
    reset_now(connection, &connection->end[END_CLIENT]);
    reset_now(connection, &connection->end[END_TARGET]);
    finish(connection);
}

void connection_refuse(struct connection *connection, enum relay_reason reason, const char *why)
{
    char client[PEER_TEXT];

    connection->reason = (unsigned char)reason;
    log_event(reason == RELAY_NO_TARGET ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
              relay_reason_name(reason), LOG_NUMBER("id", connection->id),
              LOG_TEXT("client", small_peer_text(&connection->client, client)),
              LOG_TEXT("why", why ? why : "?"));
    if (reason == RELAY_DENIED)
        finish(connection); /* it gets no more of our time */
    else
        begin_close(connection, END_CLIENT);
}

/* ---- relaying ---- */

/* A side that has told its end can only fail now; or, a UNIX socket, be closed. */
static void check_gone(struct connection *connection, int which_end)
{
    const int from = which_end == END_CLIENT ? RELAY_TO_TARGET : RELAY_TO_CLIENT;
    struct direction *to = &connection->direction[!from];
    struct end *end = &connection->end[which_end];
    int error = 0;

    if (!end->left || !connection->direction[from].ended || to->ended)
        return;
    if (end_is_tcp(end)) {
        sys_getsockopt(end->watch.fd, SOL_SOCKET, SO_ERROR, &error);
        end->reset = true;
        connection->reason =
            error == ECONNRESET || error == EPIPE || error == 0 ? RELAY_RESET : RELAY_FAILED;
    } else {
        end->gone = true;
    }
    direction_drop(connection, !from);
    to->ended = true;
}

static void relay_event(struct connection *connection, int which_end, uint32_t events)
{
    end_keep(&connection->end[which_end], events);
    check_gone(connection, which_end);
    connection_run(connection);
}

static void idle_check(struct connection *connection)
{
    struct loop *loop = connection_loop(connection);
    const uint64_t timeout = connection->worker->relay->options.idle_timeout;
    const uint64_t until = connection->moved + timeout;
    bool parked = false;

    if (loop_now(loop) < until) {
        timer_set(loop, &connection->timer, until);
        return;
    }
    for (int i = 0; i < RELAY_DIRECTIONS; i++)
        parked |= direction_is_parked(connection, i);
    connection->reason = RELAY_IDLE;
    log_event(LOG_LEVEL_INFO, "idle", LOG_NUMBER("id", connection->id));
    if (parked) {
        connection_kill(connection, RELAY_IDLE); /* what is cut off is not to look whole */
        return;
    }
    finish(connection);
}

static void again(struct loop *loop, struct task *task)
{
    (void)loop;
    connection_run(OWNER_OF(task, struct connection, task));
}

static void rate_again(struct loop *loop, struct timer *timer)
{
    struct limits *limits = OWNER_OF(timer, struct limits, timer);
    (void)loop;
    connection_run(limits->connection);
}

static int add_limits(struct connection *connection)
{
    const struct relay_options *options = &connection->worker->relay->options;
    const uint64_t now = loop_now(connection_loop(connection));

    if (!options->rate && !options->rate_all)
        return 0;
    struct limits *limits = calloc(1, sizeof *limits);
    if (!limits)
        return -ENOMEM;
    for (int i = 0; i < RELAY_DIRECTIONS; i++)
        rate_init(&limits->rate[i], options->rate, now);
    limits->timer.fire = rate_again;
    limits->connection = connection;
    connection->limits = limits;
    return 0;
}

void connection_fail(struct connection *connection, int error)
{
    log_event(LOG_LEVEL_ERROR, "failed", LOG_NUMBER("id", connection->id),
              LOG_TEXT("error", strerrorname_np(-error)));
    connection_kill(connection, RELAY_NO_MEMORY);
}

void connection_relay(struct connection *connection)
{
    struct loop *loop = connection_loop(connection);
    const uint64_t idle = connection->worker->relay->options.idle_timeout;

    timer_clear(loop, &connection->timer);
    connection->phase = PHASE_RELAYING;
    connection->moved = loop_now(loop);
    connection->end[END_TARGET].writable = true;
    connection->timed = idle > 0;
    for (int i = 0; i < RELAY_DIRECTIONS; i++)
        connection->direction[i].tap = tap_begin(connection, i);
    int error = add_limits(connection);
    if (error >= 0 && idle)
        error = timer_set(loop, &connection->timer, connection->moved + idle);
    /* If the target accepted at once; its first edge then says whether it has sent something already. */
    if (error >= 0)
        error = end_watch(loop, &connection->end[END_CLIENT]);
    if (error < 0) {
        connection_fail(connection, error);
        return;
    }
    connection_run(connection);
}

/* ---- the header that comes first ---- */

static void header_event(struct connection *connection)
{
    struct worker *worker = connection->worker;
    const struct relay_hooks *hooks = &worker->relay->options.hooks;
    const int fd = connection->end[END_CLIENT].watch.fd;
    const char *why = "the connection ended before its header did";
    const size_t most = hooks->header_most < WORKER_SCRATCH ? hooks->header_most : WORKER_SCRATCH;

    const ssize_t got = receive(fd, worker->scratch, most, MSG_PEEK);
    if (got == -EAGAIN)
        return;
    ssize_t length = -ECONNRESET;
    if (got > 0 && connection_know_ends(connection) == 0)
        length =
            hooks->header_read(hooks->data, worker->scratch, (size_t)got, connection->ends, &why);
    const bool room = (size_t)got < most;
    if (length == 0 && room && !connection->end[END_CLIENT].hup)
        return; /* more is to come, with an edge */
    if (length <= 0) {
        if (length == 0 && !room)
            why = "the header is too long";
        connection_refuse(connection, RELAY_BAD_HEADER, why);
        return;
    }
    if (receive(fd, worker->scratch, (size_t)length, 0) != length) { /* seen to be there */
        connection_refuse(connection, RELAY_BAD_HEADER, "the header cannot be taken");
        return;
    }
    const struct peer *client = &connection->ends->client;
    if (client->length > 0) {
        small_peer_set(&connection->client, client);
        if (hooks->admit && hooks->admit(hooks->data, client, connection->ends, &why) < 0) {
            connection_refuse(connection, RELAY_DENIED, why);
            return;
        }
    }
    /* An edge that came with the header is not told again: what follows it may be there already. */
    connection->end[END_CLIENT].readable = true;
    connection_connect(connection);
}

/* ---- events ---- */

static void timed_out(struct loop *loop, struct timer *timer)
{
    struct connection *connection = OWNER_OF(timer, struct connection, timer);

    (void)loop;
    switch (connection->phase) {
    case PHASE_HEADER:
        connection_refuse(connection, RELAY_BAD_HEADER, "no header came in time");
        break;
    case PHASE_CONNECTING:
        connection_connect_late(connection);
        break;
    case PHASE_RELAYING:
        idle_check(connection);
        break;
    case PHASE_RESETTING:
        try_reset(connection);
        break;
    default:
        finish(connection);
    }
}

static void end_event(struct connection *connection, int which_end, uint32_t events)
{
    switch (connection->phase) {
    case PHASE_RELAYING:
        relay_event(connection, which_end, events);
        break;
    case PHASE_CLOSING:
        throw_away(connection);
        break;
    case PHASE_RESETTING: /* it failed by itself, or has taken what there was */
        try_reset(connection);
        break;
    default:
        if (which_end == END_TARGET) {
            connection_connect_event(connection, events);
            break;
        }
        end_keep(&connection->end[END_CLIENT], events);
        if (connection->phase == PHASE_HEADER)
            header_event(connection);
    }
}

static void client_ready(struct loop *loop, struct watch *watch, uint32_t events)
{
    (void)loop;
    end_event(OWNER_OF(watch, struct connection, end[END_CLIENT].watch), END_CLIENT, events);
}

static void target_ready(struct loop *loop, struct watch *watch, uint32_t events)
{
    (void)loop;
    end_event(OWNER_OF(watch, struct connection, end[END_TARGET].watch), END_TARGET, events);
}

/* ---- the beginning ---- */

static int await_header(struct connection *connection)
{
    struct loop *loop = connection_loop(connection);

    const int error = timer_set(loop, &connection->timer,
                                loop_now(loop) + connection->worker->relay->options.header_timeout);
    return error < 0 ? error : end_watch(loop, &connection->end[END_CLIENT]);
}

static struct connection *make(struct worker *worker, int fd, const struct peer *peer)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection)
        return NULL;
    connection->worker = worker;
    connection->id = worker->next_id; /* no other worker has it */
    worker->next_id += worker->relay->workers;
    connection->began = loop_now(worker->loop);
    connection->timer.fire = timed_out;
    connection->task.run = again;
    connection->end[END_CLIENT].watch = (struct watch){.fd = fd, .ready = client_ready};
    connection->end[END_CLIENT].is_unix = peer->address.any.sa_family == AF_UNIX;
    connection->end[END_TARGET].watch = (struct watch){.fd = -1, .ready = target_ready};
    small_peer_set(&connection->client, peer);
    connection->next = worker->connections;
    connection->link = &worker->connections;
    if (connection->next)
        connection->next->link = &connection->next;
    worker->connections = connection;
    return connection;
}

void connection_begin(struct worker *worker, int fd, const struct peer *peer)
{
    const struct relay_hooks *hooks = &worker->relay->options.hooks;
    const char *why = NULL;

    struct connection *connection = make(worker, fd, peer);
    if (!connection) {
        sys_close(fd);
        worker->totals.ended[RELAY_NO_MEMORY]++;
        worker_released(worker);
        return;
    }
    if (hooks->admit && hooks->admit(hooks->data, peer, NULL, &why) < 0) {
        connection_refuse(connection, RELAY_DENIED, why);
        return;
    }
    if (!hooks->header_read)
        connection_connect(connection);
    else if (await_header(connection) < 0)
        connection_kill(connection, RELAY_NO_MEMORY);
}
