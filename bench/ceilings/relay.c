/* SPDX-License-Identifier: MIT */
/*
 * The ceiling of a relay: one thread, edge-triggered epoll, nothing but the calls that move bytes.
 *
 *     relay splice|copy PORT TARGET-PORT
 *
 * splice: a pipe of 256 KiB a direction, kept for good; copy: one buffer for all, recv and send. No
 * limits, no timeouts, no accounts, no fallbacks; a failure ends that connection.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER = 64 << 10, PIPE = 256 << 10 };

struct end {
    int fd, pipe[2];
    size_t parked; /* from this end, not yet at the other */
    bool is_end, ended;
    struct end *other;
    struct end *next_dead;
    char *rest; /* copy: what the other did not take */
    size_t rest_at;
};

static bool splices;
static int epoll_fd;
static char buffer[BUFFER];
static struct sockaddr_in target;
static struct end *dead;

static void close_both(struct end *end)
{
    struct end *both[] = {end, end->other};
    if (end->fd < 0)
        return;
    for (int i = 0; i < 2; i++) {
        close(both[i]->fd);
        both[i]->fd = -1;
        if (splices) {
            close(both[i]->pipe[0]);
            close(both[i]->pipe[1]);
        }
        free(both[i]->rest);
        both[i]->next_dead = dead;
        dead = both[i];
    }
}

/* Returns false if the connection is to be closed. */
static bool passed_end(struct end *from)
{
    from->ended = true;
    shutdown(from->other->fd, SHUT_WR);
    return !from->other->ended;
}

static bool pump_splice(struct end *from)
{
    struct end *to = from->other;
    for (;;) {
        /* A pipe that holds something is drained first: filling it up takes many small calls. */
        if (from->parked == 0) {
            const ssize_t in = splice(from->fd, NULL, from->pipe[1], NULL, PIPE, SPLICE_F_NONBLOCK);
            if (in < 0)
                return errno == EAGAIN;
            if (in == 0)
                return passed_end(from);
            from->parked = (size_t)in;
        }
        const ssize_t out =
            splice(from->pipe[0], NULL, to->fd, NULL, from->parked, SPLICE_F_NONBLOCK);
        if (out < 0)
            return errno == EAGAIN;
        from->parked -= (size_t)out;
    }
}

static bool pump_copy(struct end *from)
{
    struct end *to = from->other;
    while (from->parked > 0) {
        const ssize_t out = send(to->fd, from->rest + from->rest_at, from->parked, MSG_NOSIGNAL);
        if (out < 0)
            return errno == EAGAIN;
        from->rest_at += (size_t)out;
        from->parked -= (size_t)out;
    }
    for (;;) {
        const ssize_t in = recv(from->fd, buffer, BUFFER, 0);
        if (in < 0)
            return errno == EAGAIN;
        if (in == 0)
            return passed_end(from);
        ssize_t out = send(to->fd, buffer, (size_t)in, MSG_NOSIGNAL);
        if (out < 0 && errno != EAGAIN)
            return false;
        if (out < 0)
            out = 0;
        if (out < in) {
            if (!from->rest && !(from->rest = malloc(BUFFER)))
                return false;
            from->rest_at = 0;
            from->parked = (size_t)(in - out);
            memcpy(from->rest, buffer + out, from->parked);
            return true;
        }
        if (in < BUFFER && !from->is_end)
            return true; /* an edge will tell */
    }
}

static bool pump(struct end *from)
{
    return from->ended || (splices ? pump_splice(from) : pump_copy(from));
}

static void watch(struct end *end)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.ptr = end};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, end->fd, &event);
}

static void meet(int listener)
{
    static const int on = 1;
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct end *client = calloc(1, sizeof *client), *server = calloc(1, sizeof *server);
        if (!client || !server)
            exit(1);
        client->fd = fd;
        server->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        client->other = server;
        server->other = client;
        setsockopt(server->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (splices)
            for (struct end *end = client; end; end = end == client ? server : NULL)
                if (pipe2(end->pipe, O_NONBLOCK) < 0 || fcntl(end->pipe[1], F_SETPIPE_SZ, PIPE) < 0)
                    exit(1);
        connect(server->fd, (struct sockaddr *)&target, sizeof target);
        watch(server);
        watch(client);
    }
}

int main(int argc, char **argv)
{
    static const int on = 1;
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event events[256], listening = {.events = EPOLLIN};

    if (argc != 4)
        return 2;
    splices = strcmp(argv[1], "splice") == 0;
    here.sin_port = htons((uint16_t)atoi(argv[2]));
    target = here;
    target.sin_port = htons((uint16_t)atoi(argv[3]));
    signal(SIGPIPE, SIG_IGN);
    epoll_fd = epoll_create1(0);
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&here, sizeof here) < 0 || listen(listener, 4096) < 0) {
        perror("listen");
        return 1;
    }
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &listening);
    for (;;) {
        const int ready = epoll_wait(epoll_fd, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            struct end *end = events[i].data.ptr;
            if (!end) {
                meet(listener);
                continue;
            }
            if (end->fd < 0)
                continue;
            end->is_end |= (events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
            /* Readable: it has bytes. Writable: the other's may be waiting. */
            if (((events[i].events & ~(uint32_t)EPOLLOUT) && !pump(end)) ||
                ((events[i].events & EPOLLOUT) && end->other->parked > 0 && !pump(end->other)))
                close_both(end);
        }
        while (dead) {
            struct end *next = dead->next_dead;
            free(dead);
            dead = next;
        }
    }
}
