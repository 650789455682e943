/* SPDX-License-Identifier: MIT */
/*
 * broadcast PORT: whatever comes from standard input goes to every TCP reader that is connected.
 *
 *     tail -f /var/log/syslog | broadcast 7000        nc localhost 7000
 *
 * Each piece of input is read into a loan once and sent to all readers from there. A loan is sent
 * by reference where that pays, so it must not be written while any reader's kernel still has it:
 * nobody has to keep account of that here. A piece is put back when the last reader has been sent
 * it, and the pool gives its memory out again when that is safe.
 *
 * A reader that falls behind by more than LAG pieces is disconnected: the others do not wait. Who
 * connects gets what comes from then on; at the end of the input every reader gets the rest.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <sluice.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PIECE = 64 << 10, /* bytes read at once, at most */
    LAG = 64,         /* pieces that a reader may be behind */
    EVENTS = 64,
};

/* A piece of input, and how many readers have not been sent all of it. */
struct piece {
    sluice_loan *loan;
    size_t length;
    unsigned readers;
};

struct reader {
    struct reader *next;
    int fd;
    sluice_endpoint *endpoint;
    sluice_loan_sink *sink;
    uint64_t piece; /* the number of the next one for it */
    size_t sent;    /* bytes of that one */
    bool gone;
};

struct server {
    sluice_context *context;
    sluice_loan_pool *pool;
    int epoll, listener;
    bool input_ended;
    struct piece pieces[LAG]; /* by number */
    uint64_t next_piece;
    struct reader *readers;
};

static void fail(const char *what, int error)
{
    fprintf(stderr, "broadcast: %s: %s\n", what, strerror(error));
    exit(1);
}

static void watch(const struct server *server, int fd, uint32_t events, void *who)
{
    struct epoll_event event = {.events = events, .data.ptr = who};
    if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        fail("epoll_ctl", errno);
}

/* ---- pieces ---- */

static void release(struct piece *piece)
{
    if (--piece->readers > 0)
        return;
    sluice_loan_put(piece->loan);
    piece->loan = NULL;
}

/* ---- readers ---- */

/* What a reader has sent is of no interest; but unread it would turn the end into a reset, and a
 * reset throws away what is still on its way. */
static void end_stream(int fd)
{
    char unread[4096];

    shutdown(fd, SHUT_WR);
    while (recv(fd, unread, sizeof unread, MSG_DONTWAIT) > 0)
        ;
}

static void disconnect(struct server *server, struct reader *reader)
{
    for (; reader->piece < server->next_piece; reader->piece++)
        release(&server->pieces[reader->piece % LAG]);
    struct reader **link = &server->readers;
    while (*link != reader)
        link = &(*link)->next;
    *link = reader->next;
    /* The sink goes before its descriptor does: a zero-copy send that is not answered yet is then
     * accounted for, and its memory is replaced. */
    sluice_loan_sink_free(reader->sink);
    end_stream(reader->fd);
    sluice_endpoint_free(reader->endpoint); /* closes it, too */
    free(reader);
}

/* Sends what there is for it, until its socket is full. */
static void serve(struct server *server, struct reader *reader)
{
    while (!reader->gone && reader->piece < server->next_piece) {
        struct piece *piece = &server->pieces[reader->piece % LAG];
        const ssize_t sent =
            sluice_loan_send(piece->loan, reader->sink, reader->sent, piece->length - reader->sent);
        if (sent == -EAGAIN)
            return; /* its socket will say when it can be written: edge-triggered */
        if (sent < 0) {
            reader->gone = true;
            return;
        }
        reader->sent += (size_t)sent;
        if (reader->sent == piece->length) {
            release(piece);
            reader->piece++;
            reader->sent = 0;
        }
    }
}

static void accept_readers(struct server *server)
{
    int fd;

    while ((fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct reader *reader = calloc(1, sizeof *reader);
        int error = reader ? 0 : -ENOMEM;
        if (error == 0)
            error = sluice_endpoint_from_fd(server->context, fd, SLUICE_OWN, &reader->endpoint);
        if (error == 0)
            error = sluice_loan_sink_new(server->pool, reader->endpoint, NULL, &reader->sink);
        if (error < 0) {
            fprintf(stderr, "broadcast: a reader is refused: %s\n", strerror(-error));
            if (!reader || !reader->endpoint)
                close(fd);
            else
                sluice_endpoint_free(reader->endpoint);
            free(reader);
            continue;
        }
        reader->fd = fd;
        reader->piece = server->next_piece;
        reader->next = server->readers;
        server->readers = reader;
        watch(server, fd, EPOLLOUT | EPOLLET, reader);
    }
}

static void disconnect_gone(struct server *server)
{
    for (struct reader *reader = server->readers, *next; reader; reader = next) {
        next = reader->next;
        if (reader->gone)
            disconnect(server, reader);
    }
}

/* ---- input ---- */

/* The place of the next piece: who has not been sent what stands there is too slow. */
static struct piece *make_room(struct server *server)
{
    struct piece *piece = &server->pieces[server->next_piece % LAG];

    for (struct reader *reader = server->readers; piece->loan && reader; reader = reader->next)
        if (server->next_piece - reader->piece == LAG) {
            fprintf(stderr, "broadcast: a reader is too slow, and is disconnected\n");
            reader->gone = true;
        }
    disconnect_gone(server);
    return piece;
}

static void read_input(struct server *server)
{
    struct piece *piece = make_room(server);
    sluice_loan *loan;

    const int error = sluice_loan_get(server->pool, SLUICE_LOAN_CONSTANT, &loan);
    if (error < 0)
        fail("no memory", -error);
    const ssize_t length = read(STDIN_FILENO, sluice_loan_data(loan), PIECE);
    if (length <= 0 || !server->readers) {
        if (length < 0 && errno != EINTR && errno != EAGAIN)
            fail("standard input", errno);
        server->input_ended = length == 0;
        sluice_loan_put(loan);
        return;
    }
    *piece = (struct piece){.loan = loan, .length = (size_t)length};
    for (struct reader *reader = server->readers; reader; reader = reader->next)
        piece->readers++;
    server->next_piece++;
    for (struct reader *reader = server->readers; reader; reader = reader->next)
        serve(server, reader);
}

/* ---- the loop ---- */

static void listen_on(struct server *server, const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)strtoul(port, NULL, 10))};
    socklen_t length = sizeof address;
    const int on = 1;

    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (server->listener < 0 || bind(server->listener, (void *)&address, length) < 0 ||
        listen(server->listener, 128) < 0)
        fail(port, errno);
    getsockname(server->listener, (void *)&address, &length);
    fprintf(stderr, "listening on 127.0.0.1:%u\n", ntohs(address.sin_port));
}

/* Input is read whenever there is some; and from a file, which epoll does not take, always. */
static bool input_is_ready(const struct server *server, int timeout, struct epoll_event *events,
                           int *ret_count, bool can_wait)
{
    bool ready = !can_wait && !server->input_ended;

    *ret_count = epoll_wait(server->epoll, events, EVENTS, ready ? 0 : timeout);
    for (int i = 0; i < *ret_count; i++)
        ready |= events[i].data.ptr == server;
    return ready && !server->input_ended;
}

static void run(struct server *server)
{
    struct epoll_event events[EVENTS], input = {.events = EPOLLIN, .data.ptr = server};
    const bool can_wait = epoll_ctl(server->epoll, EPOLL_CTL_ADD, STDIN_FILENO, &input) == 0;
    int count;

    watch(server, server->listener, EPOLLIN, &server->listener);
    /* After the end of the input, until every reader has got everything. */
    while (!server->input_ended || server->readers) {
        const bool input_ready = input_is_ready(server, -1, events, &count, can_wait);
        for (int i = 0; i < count; i++) {
            struct reader *reader = events[i].data.ptr;
            if (events[i].data.ptr == &server->listener)
                accept_readers(server);
            else if (events[i].data.ptr == server->pool)
                sluice_loan_pool_reap(server->pool);
            else if (events[i].data.ptr != server) {
                reader->gone |= (events[i].events & EPOLLHUP) != 0;
                serve(server, reader);
            }
        }
        disconnect_gone(server);
        if (input_ready)
            read_input(server);
        if (server->input_ended) {
            if (can_wait)
                epoll_ctl(server->epoll, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
            for (struct reader *reader = server->readers; reader; reader = reader->next)
                reader->gone |= reader->piece == server->next_piece;
            disconnect_gone(server);
        }
    }
}

int main(int argc, char **argv)
{
    /* Pieces that wait, one that is being read, and those that are lent for longer. */
    const struct sluice_loan_options options = {
        .size = sizeof options, .max_loans = 2 * LAG, .buffer_size = PIECE};
    struct server server = {.epoll = epoll_create1(EPOLL_CLOEXEC)};

    if (argc != 2) {
        fprintf(stderr, "usage: broadcast PORT\n");
        return 2;
    }
    if (server.epoll < 0)
        fail("epoll_create1", errno);
    server.context = sluice_context_new(NULL, NULL);
    int error = server.context ? 0 : -ENOMEM;
    if (error == 0)
        error = sluice_loan_pool_new(server.context, &options, &server.pool);
    if (error < 0)
        fail("no pool", -error);
    const int pool_fd = sluice_loan_pool_fd(server.pool);
    if (pool_fd < 0)
        fail("no descriptor", -pool_fd);
    watch(&server, pool_fd, EPOLLIN, server.pool);
    listen_on(&server, argv[1]);
    run(&server);

    /* What was lent and not answered is let go of: nobody writes to it any more. */
    sluice_loan_pool_abandon(server.pool);
    sluice_context_free(server.context);
    return 0;
}
