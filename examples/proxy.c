/* SPDX-License-Identifier: MIT */
/*
 * proxy PORT HOST:PORT: an event loop that relays TCP connections, both ways at once.
 *
 *     proxy 8080 localhost:80
 *
 * A connection is two transfers, one for each direction. A step moves bytes until a side says
 * EAGAIN, and never waits; a side that said so is told of by epoll, once (EPOLLET). So there is no
 * interest to change and no readiness to remember: any event on either socket is a reason for a
 * step in both directions.
 *
 * The end of one direction is passed on by shutdown(2), and only once every byte before it was
 * delivered; the other direction goes on (half-close).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <sluice.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    EVENTS = 64,
    BUDGET = 1 << 20, /* bytes of a step: one busy connection does not starve the others */
    CLIENT = 0,
    SERVER = 1,
};

struct connection {
    struct connection *next; /* among those that have more to do */
    bool listed, dead;
    int fd[2];
    sluice_endpoint *end[2];
    sluice_transfer *direction[2]; /* from the client, from the server; NULL: it has ended */
};

struct proxy {
    sluice_context *context;
    struct addrinfo *target;
    int epoll, listener;
    struct connection *more; /* whose budget was used up */
};

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "proxy: %s: %s\n", what, why);
    exit(1);
}

/* ---- one connection ---- */

static void connection_free(struct connection *connection)
{
    for (int side = CLIENT; side <= SERVER; side++) {
        /* Bytes that were taken and cannot be delivered any more: their reader is gone. */
        if (connection->direction[side])
            sluice_transfer_discard(connection->direction[side]);
    }
    for (int side = CLIENT; side <= SERVER; side++) {
        sluice_endpoint_free(connection->end[side]);
        if (connection->fd[side] >= 0)
            close(connection->fd[side]);
    }
    free(connection);
}

/* Moves what can be moved in one direction. Returns false if the connection is broken. */
static bool step(struct proxy *proxy, struct connection *connection, int from)
{
    struct sluice_wait wait = {.size = sizeof wait};

    if (!connection->direction[from])
        return true;
    switch (sluice_transfer_step(connection->direction[from], BUDGET, &wait)) {
    case SLUICE_WAIT: /* for an edge that epoll will tell of */
        return true;
    case SLUICE_MORE:
        if (!connection->listed) {
            connection->listed = true;
            connection->next = proxy->more;
            proxy->more = connection;
        }
        return true;
    case SLUICE_DONE: /* nothing is parked: the other side may know that this was all */
        shutdown(connection->fd[!from], SHUT_WR);
        sluice_transfer_free(connection->direction[from]);
        connection->direction[from] = NULL;
        return true;
    default:
        return false;
    }
}

/* Returns false when it is over. */
static bool advance(struct proxy *proxy, struct connection *connection)
{
    return step(proxy, connection, CLIENT) && step(proxy, connection, SERVER) &&
           (connection->direction[CLIENT] || connection->direction[SERVER]);
}

static int connect_to_target(const struct proxy *proxy)
{
    const struct addrinfo *target = proxy->target;
    const int fd = socket(target->ai_family, target->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, target->ai_addr, target->ai_addrlen) < 0 && errno != EINPROGRESS) {
        close(fd);
        return -1;
    }
    return fd;
}

static int connection_start(struct proxy *proxy, struct connection *connection)
{
    int error = 0;

    for (int side = CLIENT; side <= SERVER && error == 0; side++)
        error = sluice_endpoint_from_fd(proxy->context, connection->fd[side], SLUICE_BORROW,
                                        &connection->end[side]);
    for (int side = CLIENT; side <= SERVER && error == 0; side++)
        error = sluice_transfer_new(proxy->context, connection->end[side], connection->end[!side],
                                    NULL, &connection->direction[side], NULL);
    /* While the connection to the server is being made its socket says EAGAIN, as when it is dry.
     * */
    for (int side = CLIENT; side <= SERVER && error == 0; side++) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                    .data.ptr = connection};
        if (epoll_ctl(proxy->epoll, EPOLL_CTL_ADD, connection->fd[side], &event) < 0)
            error = -errno;
    }
    return error;
}

static void accept_connections(struct proxy *proxy)
{
    int fd;

    while ((fd = accept4(proxy->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *connection = calloc(1, sizeof *connection);
        if (!connection) {
            close(fd);
            continue;
        }
        connection->fd[CLIENT] = fd;
        connection->fd[SERVER] = connect_to_target(proxy);
        const int error = connection->fd[SERVER] < 0 ? -errno : connection_start(proxy, connection);
        if (error < 0) {
            fprintf(stderr, "proxy: a connection is refused: %s\n", strerror(-error));
            connection_free(connection);
        }
    }
}

/* ---- the loop ---- */

/* One more step for each of those whose budget was used up. */
static void advance_others(struct proxy *proxy)
{
    struct connection *list = proxy->more;

    proxy->more = NULL;
    while (list) {
        struct connection *connection = list;
        list = list->next;
        connection->listed = false;
        connection->dead |= !connection->dead && !advance(proxy, connection);
        if (connection->dead && !connection->listed)
            connection_free(connection);
    }
}

static void run(struct proxy *proxy)
{
    struct epoll_event events[EVENTS];

    for (;;) {
        const int count = epoll_wait(proxy->epoll, events, EVENTS, proxy->more ? 0 : -1);
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            if (!connection)
                accept_connections(proxy);
            else if (!connection->dead && !connection->listed)
                connection->dead = !advance(proxy, connection);
        }
        /* Freed only now: both of its sockets may have been among the events. */
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            if (!connection || !connection->dead)
                continue;
            for (int other = i + 1; other < count; other++)
                if (events[other].data.ptr == connection)
                    events[other].data.ptr = NULL;
            if (!connection->listed)
                connection_free(connection);
        }
        advance_others(proxy);
    }
}

static void find_target(struct proxy *proxy, const char *text)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    const char *colon = strrchr(text, ':');
    char host[256];

    if (!colon)
        fail(text, "not HOST:PORT");
    snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
    const int error = getaddrinfo(host, colon + 1, &hints, &proxy->target);
    if (error != 0)
        fail(text, gai_strerror(error));
}

static void listen_on(struct proxy *proxy, const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)strtoul(port, NULL, 10))};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    socklen_t length = sizeof address;
    const int on = 1;

    proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(proxy->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (proxy->listener < 0 || bind(proxy->listener, (void *)&address, length) < 0 ||
        listen(proxy->listener, 1024) < 0 ||
        epoll_ctl(proxy->epoll, EPOLL_CTL_ADD, proxy->listener, &event) < 0)
        fail(port, strerror(errno));
    getsockname(proxy->listener, (void *)&address, &length);
    fprintf(stderr, "listening on 127.0.0.1:%u\n", ntohs(address.sin_port));
}

int main(int argc, char **argv)
{
    struct proxy proxy = {.epoll = epoll_create1(EPOLL_CLOEXEC)};

    if (argc != 3) {
        fprintf(stderr, "usage: proxy PORT HOST:PORT\n");
        return 2;
    }
    proxy.context = sluice_context_new(NULL, NULL);
    if (proxy.epoll < 0 || !proxy.context)
        fail("start", strerror(errno));
    find_target(&proxy, argv[2]);
    listen_on(&proxy, argv[1]);
    run(&proxy);
}
