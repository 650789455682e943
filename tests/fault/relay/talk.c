/* SPDX-License-Identifier: MIT */
#include "tests/fault/relay/talk.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/ends.h"

enum { PATIENCE = 4000, HEADER = sizeof TALK_HEADER_IN - 1, LONGEST = HEADER + TALK_MOST };

int talk_listen(const char *path, struct peer *ret)
{
    *ret = (struct peer){.length = sizeof ret->address.in};
    if (path) {
        ret->length = sizeof ret->address.un;
        ret->address.un.sun_family = AF_UNIX;
        strncpy(ret->address.un.sun_path, path, sizeof ret->address.un.sun_path - 1);
    } else {
        ret->address.in.sin_family = AF_INET;
        ret->address.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
    const int fd =
        socket(ret->address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bind(fd, &ret->address.any, ret->length) < 0 || listen(fd, 20) < 0 ||
        getsockname(fd, &ret->address.any, &ret->length) < 0)
        return -1;
    return fd;
}

int talk_connect(const struct peer *relay)
{
    const int fd = socket(relay->address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, &relay->address.any, relay->length) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* ---- one side ---- */

struct side {
    int fd;
    const char *says, *hears; /* what it sends, and what it is to get */
    size_t says_length, hears_length, sent, got;
    size_t lead;  /* bytes of a header that it hears first */
    bool ended;   /* it has told its end */
    bool answers; /* ... but not before it was told the other's */
    bool resets;
    bool refused; /* a send has been told of a reset, and no recv will be */
    enum told told;
    const char *wrong;
};

static void close_side(struct side *side, enum told told)
{
    if (side->fd >= 0)
        close(side->fd);
    side->fd = -1;
    side->told = told;
}

/* How far it may go: each has its turn, until both stream. */
static size_t may_have_sent(const struct side *side)
{
    const size_t heard = side->got > side->lead ? side->got - side->lead : 0;

    if (side->answers)
        return heard < TALK_ASK ? 0 : heard < 2 * TALK_ASK ? TALK_ASK : side->says_length;
    return heard < TALK_ASK ? TALK_ASK : heard < 2 * TALK_ASK ? 2 * TALK_ASK : side->says_length;
}

static void hear(struct side *side)
{
    static char heard[65536];

    while (side->fd >= 0) {
        const ssize_t value = recv(side->fd, heard, sizeof heard, MSG_DONTWAIT);
        if (value < 0 && errno == EAGAIN)
            return;
        if (value <= 0) {
            side->told = TOLD_END;
            if (value < 0 || side->refused)
                close_side(side, TOLD_RESET);
            return;
        }
        if ((size_t)value > side->hears_length - side->got ||
            memcmp(heard, side->hears + side->got, (size_t)value) != 0) {
            side->wrong = side->answers ? "the target got other bytes than were sent"
                                        : "the client got other bytes than were sent";
            close_side(side, TOLD_BY_ITSELF);
            return;
        }
        side->got += (size_t)value;
    }
}

static void reset_by_itself(struct side *side)
{
    static const struct linger hard = {.l_onoff = 1};
    setsockopt(side->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close_side(side, TOLD_BY_ITSELF);
}

static void say(struct side *side)
{
    const size_t most = may_have_sent(side);

    while (side->fd >= 0 && side->sent < most) {
        const ssize_t value =
            send(side->fd, side->says + side->sent, most - side->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (value < 0 && errno == EAGAIN)
            break;
        if (value < 0) { /* what is to be read may still be there */
            side->sent = side->says_length;
            side->ended = side->refused = true;
            return;
        }
        side->sent += (size_t)value;
    }
    if (side->fd < 0)
        return;
    if (side->resets && side->sent > side->says_length / 2) {
        reset_by_itself(side);
    } else if (side->sent == side->says_length && !side->ended &&
               (!side->answers || side->told == TOLD_END)) {
        shutdown(side->fd, SHUT_WR);
        side->ended = true;
    }
}

static short events_of(const struct side *side)
{
    return (short)((side->told == TOLD_NOTHING ? POLLIN : 0) |
                   (side->sent < may_have_sent(side) ? POLLOUT : 0));
}

/* Told an end too early, it has nobody to talk to. */
static void turn(struct side *side)
{
    if (side->fd >= 0 && side->told == TOLD_NOTHING)
        hear(side);
    say(side);
    if (side->fd >= 0 && side->told == TOLD_END && (side->ended || side->got < side->hears_length))
        close_side(side, TOLD_END);
}

/* ---- both ---- */

static char words[2][LONGEST];

static void make_words(void)
{
    if (words[0][0])
        return;
    memcpy(words[0], TALK_HEADER_OUT, HEADER);
    pattern(words[0] + HEADER, TALK_MOST, 0);
    pattern(words[1], TALK_MOST, 1 << 20);
}

const char *talk_words(bool of_target)
{
    make_words();
    return of_target ? words[1] : words[0] + HEADER;
}

/* A target that was closed before a byte came: the relay had to begin once more. */
static bool was_for_nothing(const struct side *target)
{
    return target->fd < 0 && target->got == 0 && target->sent == 0 && !target->wrong;
}

struct talk talk_over(int client_fd, int listener, const struct talk_options *options)
{
    make_words();
    const size_t skip = options->headers ? 0 : HEADER, length = 2 * TALK_ASK + options->stream;
    struct side client = {.fd = client_fd,
                          .says = words[0] + HEADER,
                          .says_length = length,
                          .hears = words[1],
                          .hears_length = length,
                          .resets = options->client_resets};
    const struct side fresh = {.fd = -1,
                               .says = words[1],
                               .says_length = length,
                               .hears = words[0] + skip,
                               .hears_length = length + HEADER - skip,
                               .lead = HEADER - skip,
                               .answers = true,
                               .resets = options->target_resets};
    struct side target = fresh;
    const char *wrong = NULL;

    if (options->headers)
        send(client_fd, TALK_HEADER_IN, HEADER, MSG_NOSIGNAL);
    while (!wrong && (client.fd >= 0 || target.fd >= 0)) {
        struct pollfd ends[] = {
            {.fd = client.fd, .events = events_of(&client)},
            {.fd = target.fd, .events = events_of(&target)},
            {.fd = target.fd < 0 && client.fd >= 0 ? listener : -1, .events = POLLIN},
        };
        if (poll(ends, 3, PATIENCE) <= 0) {
            wrong = "it has no end";
            break;
        }
        if (was_for_nothing(&target)) {
            target = fresh;
            target.fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        }
        turn(&client);
        turn(&target);
        if (client.fd < 0 && was_for_nothing(&target)) {
            target = fresh; /* it may be on its way */
            target.fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        }
        wrong = client.wrong ? client.wrong : target.wrong;
    }
    close_side(&client, client.told);
    close_side(&target, target.told);
    return (struct talk){.client = client.told,
                         .target = target.told,
                         .client_got = client.got,
                         .target_got = target.got,
                         .client_whole = client.got == client.hears_length,
                         .target_whole = target.got == target.hears_length,
                         .wrong = wrong};
}
