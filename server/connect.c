/* SPDX-License-Identifier: MIT */
/*
 * Connecting a connection to a target, without ever waiting: one target after another until one
 * accepts, each with its time; and the header that it is sent first.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "connection.h"
#include "lib/endpoint.h"
#include "lib/sys.h"
#include "log.h"
#include "net.h"

enum { HEADER_OUT_MOST = 4096 };

/* ---- what the target is sent first ---- */

int connection_send_pending(struct connection *connection)
{
    struct pending *pending = connection->pending;
    struct end *target = &connection->end[END_TARGET];

    if (!target->writable)
        return -EAGAIN;
    while (pending->sent < pending->length) {
        const ssize_t value =
            sys_send(target->watch.fd, pending->bytes + pending->sent,
                     pending->length - pending->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (value == -EINTR)
            continue;
        if (value == -EAGAIN)
            target->writable = false;
        if (value < 0)
            return (int)value;
        pending->sent += (size_t)value;
    }
    free(pending);
    connection->pending = NULL;
    return 0;
}

int connection_know_ends(struct connection *connection)
{
    if (connection->ends)
        return 0;
    struct ends *ends = connection->ends = calloc(1, sizeof *ends);
    if (!ends)
        return -ENOMEM;
    memcpy(&ends->client.address, &connection->client, sizeof connection->client);
    ends->client.length =
        connection->client.address.family == AF_INET    ? sizeof(struct sockaddr_in)
        : connection->client.address.family == AF_INET6 ? sizeof(struct sockaddr_in6)
        : connection->client.address.family == AF_UNIX  ? (socklen_t)sizeof(sa_family_t)
                                                        : 0;
    ends->server.length = sizeof ends->server.address;
    if (net_getsockname(connection->end[END_CLIENT].watch.fd, &ends->server.address.any,
                        &ends->server.length) < 0)
        ends->server.length = 0;
    return 0;
}

static int make_header(struct connection *connection)
{
    const struct relay_hooks *hooks = &connection->worker->relay->options.hooks;

    if (!hooks->header_write)
        return 0;
    if (connection_know_ends(connection) < 0)
        return -ENOMEM;
    struct pending *pending = malloc(sizeof *pending + HEADER_OUT_MOST);
    if (!pending)
        return -ENOMEM;
    pending->sent = 0;
    pending->length =
        hooks->header_write(hooks->data, connection->ends, pending->bytes, HEADER_OUT_MOST);
    if (pending->length > 0)
        connection->pending = pending;
    else
        free(pending);
    return 0;
}

/* ---- connecting ---- */

static void count_latency(struct connection *connection)
{
    struct relay_totals *totals = &connection->worker->totals;
    const uint64_t took = (sys_now() - connection->moved) / 1000;
    unsigned i = 0;

    while (i < RELAY_LATENCIES - 1 && took > relay_latency_bound[i])
        i++;
    totals->connect_latency[i]++;
    totals->connect_microseconds += took;
    totals->connects++;
}

static void connected(struct connection *connection)
{
    target_worked(connection->target);
    count_latency(connection);
    const int error = make_header(connection);
    free(connection->ends);
    connection->ends = NULL;
    if (error < 0)
        connection_fail(connection, error);
    else
        connection_relay(connection);
}

/* ENOSPC: epoll watches all that this user may have watched. */
static bool is_our_lack(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOBUFS || error == -ENOMEM ||
           error == -ENOSPC;
}

/* It is left, and the next one is to be tried. */
static void leave_target(struct connection *connection, int error)
{
    struct worker *worker = connection->worker;
    struct target *target = connection->target;

    loop_close(worker->loop, &connection->end[END_TARGET].watch);
    connection->end[END_TARGET].watched = false;
    worker->totals.connect_failures++;
    log_event(LOG_LEVEL_WARNING, "cannot connect", LOG_NUMBER("id", connection->id),
              LOG_TEXT("target", target->name), LOG_TEXT("error", strerrorname_np(-error)),
              LOG_TEXT("why", strerrordesc_np(-error)));
    if (!is_our_lack(error) && target_failed(target, loop_now(worker->loop)))
        log_event(LOG_LEVEL_WARNING, "set aside", LOG_TEXT("target", target->name));
    target->active--;
    connection->target = NULL;
}

static void target_refused(struct connection *connection, int error)
{
    leave_target(connection, error);
    connection_connect(connection);
}

static int open_target(struct connection *connection)
{
    static const int on = 1;
    struct end *end = &connection->end[END_TARGET];
    const struct peer *peer = &connection->target->peer;

    const int fd = fd_above_standard(
        net_socket(peer->address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (fd < 0)
        return fd;
    end->watch.fd = fd;
    end->is_unix = peer->address.any.sa_family == AF_UNIX;
    if (end_is_tcp(end)) {
        net_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        net_setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    }
    const int error = net_connect(fd, &peer->address.any, peer->length);
    return error == -EINTR ? -EINPROGRESS : error; /* it goes on by itself */
}

enum attempt { SETTLED = 0, REFUSED, NO_MEMORY }; /* settled: for now */

/* Tries one target. Settled, the connection may be gone. */
static enum attempt connect_one(struct connection *connection)
{
    struct loop *loop = connection_loop(connection);
    struct end *end = &connection->end[END_TARGET];

    int error = open_target(connection);
    if (error == 0 || error == -EINPROGRESS) {
        const int added = end_watch(loop, end);
        if (added < 0)
            error = added;
    }
    if (error == 0) {
        connected(connection);
        return SETTLED;
    }
    if (error == -EINPROGRESS) {
        /* What the client has sent by then is told in the turn in which the target accepts. */
        error = end_watch(loop, &connection->end[END_CLIENT]);
        if (error < 0)
            connection_fail(connection, error);
        return SETTLED;
    }
    /* EAGAIN: a UNIX socket's queue is full for the moment. */
    if ((is_our_lack(error) || error == -EAGAIN) && loop_now(loop) < connection->timer.at) {
        loop_close(loop, &end->watch);
        end->watched = false;
        connection->waiting = true;
        connection->target->active--;
        connection->target = NULL;
        connection->deadline = connection->timer.at;
        return timer_set(loop, &connection->timer, loop_now(loop) + CONNECTION_RETRY) == 0
                   ? SETTLED
                   : NO_MEMORY;
    }
    leave_target(connection, error);
    return REFUSED;
}

/* The next target that is to be tried; false: as many as there are have been. */
static bool choose_target(struct connection *connection)
{
    struct worker *worker = connection->worker;
    struct target_list *list = connection->targets;
    const uint64_t now = loop_now(worker->loop);
    struct target *target =
        connection->attempts < list->count ? target_choose(list, connection->tried, now) : NULL;

    if (!target)
        return false;
    const unsigned index = (unsigned)(target - list->target);
    if (index < 64)
        connection->tried |= UINT64_C(1) << index;
    connection->attempts++;
    connection->target = target;
    target->active++;
    connection->moved = now;
    return true;
}

static int set_time(struct connection *connection)
{
    const uint64_t until =
        connection->waiting
            ? connection->deadline
            : connection->moved + connection->worker->relay->options.connect_timeout;

    connection->waiting = false;
    return timer_set(connection_loop(connection), &connection->timer, until);
}

/* Those that refuse at once are as many as there are targets: so this is a loop. */
void connection_connect(struct connection *connection)
{
    enum attempt attempt = REFUSED;

    connection->phase = PHASE_CONNECTING;
    if (!connection->targets)
        connection->targets = target_list_hold(connection->worker->targets);
    while (attempt == REFUSED) {
        if (!choose_target(connection)) {
            connection_refuse(connection, RELAY_NO_TARGET, "no target could be connected to");
            return;
        }
        attempt = set_time(connection) < 0 ? NO_MEMORY : connect_one(connection);
    }
    if (attempt == NO_MEMORY)
        connection_kill(connection, RELAY_NO_MEMORY);
}

void connection_connect_event(struct connection *connection, uint32_t events)
{
    struct end *target = &connection->end[END_TARGET];
    int error = 0;

    if (events & (EPOLLERR | EPOLLHUP)) {
        sys_getsockopt(target->watch.fd, SOL_SOCKET, SO_ERROR, &error);
        target_refused(connection, error ? -error : -ECONNREFUSED);
        return;
    }
    if (!(events & EPOLLOUT))
        return;
    end_keep(target, events);
    connected(connection);
}

void connection_connect_late(struct connection *connection)
{
    if (connection->waiting) {
        connection->tried = 0;
        connection->attempts = 0;
        connection_connect(connection);
    } else {
        target_refused(connection, -ETIMEDOUT);
    }
}
