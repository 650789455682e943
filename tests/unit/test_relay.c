/* SPDX-License-Identifier: MIT */
/*
 * A relay of both directions in one event loop with edge triggers: a side that is not in the mask
 * of a WAIT may have its edge lost, and a side in it may not, or the relay hangs for good. Peers
 * send and receive at random paces in pieces of random size.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/rig.h"

enum { BYTES = 1 << 20 };

/* One client of the relay: sends BYTES of one pattern and expects those of the other. */
struct peer {
    int fd;
    uint64_t seed, sends, expects;
    uint64_t sent, received;
    bool wrong, ended;
    pthread_t thread;
};

static void pause_a_little(uint64_t *seed)
{
    const struct timespec moment = {.tv_nsec = (long)random_below(seed, 200000)};
    if (random_below(seed, 8) == 0)
        nanosleep(&moment, NULL);
}

static void peer_send(struct peer *peer)
{
    char piece[30000];
    size_t length = 1 + random_below(&peer->seed, random_below(&peer->seed, 4) ? 100 : 30000);

    if (length > BYTES - peer->sent)
        length = BYTES - peer->sent;
    pattern(piece, length, peer->sends + peer->sent);
    const ssize_t value = send(peer->fd, piece, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (value > 0)
        peer->sent += (uint64_t)value;
    if (peer->sent == BYTES)
        shutdown(peer->fd, SHUT_WR);
}

static void peer_receive(struct peer *peer)
{
    char piece[20000], wanted[20000];
    const size_t most = 1 + random_below(&peer->seed, sizeof piece);
    const ssize_t value = recv(peer->fd, piece, most, MSG_DONTWAIT);

    if (value == 0 || (value < 0 && errno != EAGAIN && errno != EINTR))
        peer->ended = true;
    if (value <= 0)
        return;
    pattern(wanted, (size_t)value, peer->expects + peer->received);
    peer->wrong |= memcmp(piece, wanted, (size_t)value) != 0;
    peer->received += (uint64_t)value;
}

static void *peer_run(void *data)
{
    struct peer *peer = data;
    while (!(peer->ended && peer->sent == BYTES) && !peer->wrong) {
        struct pollfd fd = {.fd = peer->fd};
        if (!peer->ended)
            fd.events |= POLLIN;
        if (peer->sent < BYTES)
            fd.events |= POLLOUT;
        if (poll(&fd, 1, 10000) <= 0)
            break;
        if ((fd.revents & POLLOUT) && peer->sent < BYTES)
            peer_send(peer);
        if (!peer->ended && (fd.revents & (POLLIN | POLLHUP | POLLERR)))
            peer_receive(peer);
        pause_a_little(&peer->seed);
    }
    return NULL;
}

/* ---- the relay ---- */

struct direction {
    sluice_transfer *transfer;
    int from, to;
    unsigned mask; /* of its last WAIT */
    bool over;
    int result;
};

static void go_on(struct direction *direction)
{
    struct sluice_wait wait = {.size = sizeof wait};
    int step;

    while ((step = sluice_transfer_step(direction->transfer, 50000, &wait)) == SLUICE_MORE)
        ;
    direction->mask = wait.mask;
    if (step == SLUICE_WAIT)
        return;
    direction->over = true;
    direction->result = step;
    shutdown(direction->to, SHUT_WR);
}

/* Acts on an edge only if it was asked for: others are gone, as with any edge. */
static void edge(struct direction *direction, int fd, uint32_t events)
{
    const bool readable = events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    const bool writable = events & (EPOLLOUT | EPOLLHUP | EPOLLERR);
    const bool source =
        fd == direction->from && readable && (direction->mask & SLUICE_WAIT_SOURCE_IN);
    const bool sink = fd == direction->to && writable && (direction->mask & SLUICE_WAIT_SINK_OUT);
    if (!direction->over && (source || sink))
        go_on(direction);
}

static void relay(struct direction direction[2])
{
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < 2; i++) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                    .data.fd = direction[i].from};
        assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, direction[i].from, &event), 0);
    }
    go_on(&direction[0]);
    go_on(&direction[1]);
    while (!direction[0].over || !direction[1].over) {
        struct epoll_event events[4];
        const int count = epoll_wait(epoll, events, 4, 20000);
        assert_true(count > 0); /* else an edge was lost */
        for (int i = 0; i < count; i++)
            for (int k = 0; k < 2; k++)
                edge(&direction[k], events[i].data.fd, events[i].events);
    }
    close(epoll);
}

static void run_relay(enum end_kind kind, enum sluice_method method, uint64_t seed)
{
    const struct end_options small = {.capacity = 8192, .open = true};
    struct sluice_options options = SLUICE_OPTIONS_INIT;
    sluice_context *context = sluice_context_new(NULL, NULL);
    sluice_endpoint *endpoint[2];
    struct end end[2];
    struct peer peer[2] = {{.seed = seed, .sends = 0, .expects = 1 << 30},
                           {.seed = seed + 99, .sends = 1 << 30, .expects = 0}};
    struct direction direction[2] = {0};

    options.method = method;
    for (int i = 0; i < 2; i++) {
        end_open_source(&end[i], kind, "", 0, &small);
        peer[i].fd = end[i].peer;
        assert_int_equal(sluice_endpoint_from_fd(context, end[i].fd, SLUICE_BORROW, &endpoint[i]),
                         0);
    }
    for (int i = 0; i < 2; i++) {
        direction[i].from = end[i].fd;
        direction[i].to = end[!i].fd;
        assert_int_equal(sluice_transfer_new(context, endpoint[i], endpoint[!i], &options,
                                             &direction[i].transfer, NULL),
                         0);
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&peer[i].thread, NULL, peer_run, &peer[i]), 0);
    relay(direction);
    for (int i = 0; i < 2; i++) {
        pthread_join(peer[i].thread, NULL);
        assert_int_equal(direction[i].result, SLUICE_DONE);
        assert_int_equal(sluice_transfer_delivered(direction[i].transfer), BYTES);
        assert_false(peer[i].wrong);
        assert_int_equal(peer[i].received, BYTES);
        assert_int_equal(sluice_transfer_free(direction[i].transfer), 0);
    }
    for (int i = 0; i < 2; i++) {
        sluice_endpoint_free(endpoint[i]);
        end_close(&end[i]);
    }
    sluice_context_free(context);
}

static void no_edge_is_lost(void **state)
{
    static const enum end_kind kinds[] = {END_TCP, END_UNIX};
    static const enum sluice_method methods[] = {SLUICE_METHOD_AUTO, SLUICE_METHOD_READ_WRITE};

    (void)state;
    for (uint64_t seed = 1; seed <= 2; seed++)
        for (int kind = 0; kind < 2; kind++)
            for (int method = 0; method < 2; method++)
                run_relay(kinds[kind], methods[method], seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_edge_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
