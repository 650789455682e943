/* SPDX-License-Identifier: MIT */
/*
 * Both ends of a relay: clients and targets of seeded conversations, in one process, which know what
 * each is to receive, byte for byte.
 *
 *     relay-peers TARGET [NAME=NUMBER…]
 *
 * TARGET is where the targets listen, "PORT" (0: any) or a path. Prints "target ADDRESS", reads the
 * relay's address (PORT or a path) from standard input, and talks. What it talks, by NAME:
 *
 *     count       conversations in all (1000)
 *     at_once     of these, at a time (64)
 *     seed        (1)
 *     bulk        percentage of directions with much to send (5), and how much: most (4194304)
 *     resets      percentage that end by a reset, or an exit with bytes unread (20)
 *     slow        percentage of sides that read slowly (10)
 *     pauses      percentage of segments that come after a pause (10)
 *     hold        seconds that all of them stay open, idle, once each has exchanged a message; then a
 *                 line "held" is printed, and a line of standard input awaited
 *     limit       seconds until it all is to be over (60)
 *
 * A client's first eight bytes are the conversation's number: so the target knows what is to come.
 * Ends with 0, or 1 and what was wrong with which conversation.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { CLIENT = 0, TARGET, SIDES, PIECE = 256 << 10 };
enum ending {
    END_CLOSE = 0, /* says the end, reads the other's, closes */
    END_RESET,     /* having sent, resets at once */
    END_EXIT,      /* closes in the middle, whatever there is to read */
};

static uint64_t count = 1000, at_once = 64, seed = 1, bulk = 5, most = 4 << 20, resets = 20,
                slow = 10, pauses = 10, hold = 0, limit = 60;
static const struct {
    const char *name;
    uint64_t *value;
} settings[] = {
    {"count", &count}, {"at_once", &at_once}, {"seed", &seed}, {"bulk", &bulk},
    {"most", &most},   {"resets", &resets},   {"slow", &slow}, {"pauses", &pauses},
    {"hold", &hold},   {"limit", &limit},
};

struct side {
    int fd; /* -1: not yet, or no more */
    bool is_target, over, sent_end, got_end, got_reset, slow, in_list;
    uint64_t sent, to_send, received;
    uint64_t wake;    /* when it goes on after a pause, 0: now */
    uint64_t random;  /* the generator of its segments and pauses */
    uint64_t segment; /* bytes left of this segment */
    enum ending ending;
    struct talk *talk;
};

struct talk {
    uint64_t number;
    struct side side[SIDES];
    bool begun, named, greeted[SIDES];
};

static struct talk *talks;
static struct side **paused;
static size_t paused_count;
static int epoll_fd, listener;
static uint64_t begun, over, greeted_count;
static bool failed, holding, is_unix[SIDES];
static unsigned wrongs;

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

static uint64_t mix(uint64_t value)
{
    value += 0x9e3779b97f4a7c15U;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9U;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebU;
    return value ^ (value >> 31);
}

static uint64_t draw(uint64_t *random, uint64_t below)
{
    *random = mix(*random);
    return below ? *random % below : 0;
}

static void wrong(const struct side *side, const char *what, uint64_t a, uint64_t b)
{
    fprintf(stderr, "conversation %llu, %s: %s (%llu, %llu); sent %llu of %llu, received %llu\n",
            (unsigned long long)side->talk->number, side->is_target ? "target" : "client", what,
            (unsigned long long)a, (unsigned long long)b, (unsigned long long)side->sent,
            (unsigned long long)side->to_send, (unsigned long long)side->received);
    failed = true;
    if (++wrongs == 10)
        exit(1);
}

/* ---- what is said ---- */

/* Eight bytes of a stream. The first of a client's say its number. */
static uint64_t word_at(const struct talk *talk, int from, uint64_t word)
{
    if (from == CLIENT && word == 0)
        return talk->number;
    return mix(talk->number * 2 + (uint64_t)from + seed * 1000003 + word * 0x9e3779b9U);
}

static void fill(const struct talk *talk, int from, uint64_t at, char *into, size_t length)
{
    for (size_t done = 0; done < length;) {
        const uint64_t word = word_at(talk, from, (at + done) / 8);
        const size_t skip = (at + done) % 8;
        size_t part = 8 - skip;
        if (part > length - done)
            part = length - done;
        memcpy(into + done, (const char *)&word + skip, part);
        done += part;
    }
}

static uint64_t draw_size(uint64_t *random)
{
    if (draw(random, 100) < bulk)
        return draw(random, most) + 1;
    switch (draw(random, 4)) {
    case 0:
        return draw(random, 16);
    case 1:
        return draw(random, 2000);
    case 2:
        return draw(random, 40000);
    default:
        return draw(random, 120000);
    }
}

static void plan(struct talk *talk, uint64_t number)
{
    uint64_t random = mix(seed * 7919 + number);

    *talk = (struct talk){.number = number};
    for (int i = 0; i < SIDES; i++) {
        struct side *side = &talk->side[i];
        side->fd = -1;
        side->talk = talk;
        side->is_target = i == TARGET;
        side->to_send = hold ? 64 : draw_size(&random) + (i == CLIENT ? 8 : 0);
        side->slow = !hold && draw(&random, 100) < slow;
        side->random = mix(random + (uint64_t)i);
    }
    if (!hold && draw(&random, 100) < resets) {
        struct side *side = &talk->side[draw(&random, 2)];
        side->ending = draw(&random, 2) ? END_RESET : END_EXIT;
    }
}

/* ---- sides ---- */

static void pause_until(struct side *side, uint64_t when)
{
    if (!side->in_list)
        paused[paused_count++] = side;
    side->in_list = true;
    side->wake = when;
}

static void side_over(struct side *side)
{
    if (side->over)
        return;
    side->over = true;
    if (side->fd >= 0)
        close(side->fd);
    side->fd = -1;
    struct talk *talk = side->talk;
    if (talk->side[CLIENT].over && talk->side[TARGET].over)
        over++;
}

static void reset(struct side *side)
{
    const struct linger hard = {.l_onoff = 1, .l_linger = 0};
    setsockopt(side->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    side_over(side);
}

static bool rough(const struct talk *talk)
{
    return talk->side[CLIENT].ending || talk->side[TARGET].ending;
}

/* The other side is gone for good: what it sent is all there, unless it went roughly. */
static void check_received(struct side *side)
{
    const struct side *other = &side->talk->side[!side->is_target];

    if (!rough(side->talk) && side->received != other->to_send)
        wrong(side, "the stream is cut off", side->received, other->to_send);
    if (!rough(side->talk) && side->got_reset)
        wrong(side, "it was reset, and nobody did that", 0, 0);
    /* A UNIX socket has no way to tell that. */
    if (!is_unix[side->is_target] && other->ending == END_RESET && side->got_end &&
        !side->got_reset && side->received < other->to_send)
        wrong(side, "a stream cut off by a reset looks whole", side->received, other->to_send);
}

static void greeted(struct side *side)
{
    struct talk *talk = side->talk;
    if (!hold || talk->greeted[side->is_target] ||
        side->received < talk->side[!side->is_target].to_send)
        return;
    talk->greeted[side->is_target] = true;
    greeted_count++;
}

static void receive(struct side *side)
{
    static char got[PIECE], wanted[PIECE];
    const struct side *other = &side->talk->side[!side->is_target];
    const size_t room = side->slow ? 1 + draw(&side->random, 5000) : sizeof got;

    while (side->fd >= 0 && !side->wake && !side->got_end) {
        const ssize_t value = recv(side->fd, got, room, MSG_DONTWAIT);
        if (value < 0 && errno == EAGAIN)
            return;
        if (value <= 0) {
            side->got_end = true;
            side->got_reset |= value < 0;
            check_received(side);
            if (side->got_reset || side->sent_end)
                side_over(side);
            return;
        }
        fill(side->talk, !side->is_target, side->received, wanted, (size_t)value);
        if (memcmp(got, wanted, (size_t)value) != 0) {
            wrong(side, "other bytes than were sent", side->received, (uint64_t)value);
            side_over(side);
            return;
        }
        side->received += (uint64_t)value;
        if (side->received > other->to_send)
            wrong(side, "more bytes than were sent", side->received, other->to_send);
        greeted(side);
        if (side->ending == END_EXIT && side->received > other->to_send / 2) {
            side_over(side);
            return;
        }
        if (side->slow)
            pause_until(side, now() + 200000 + draw(&side->random, 1000000));
    }
}

static uint64_t next_segment(struct side *side)
{
    switch (draw(&side->random, 6)) {
    case 0:
        return 1;
    case 1:
        return 1 + draw(&side->random, 100);
    case 2:
        return 1 + draw(&side->random, 9000);
    default:
        return 1 + draw(&side->random, PIECE);
    }
}

static void say_end(struct side *side)
{
    if (side->ending == END_RESET) {
        reset(side);
        return;
    }
    if (hold && !holding)
        return;
    side->sent_end = true;
    shutdown(side->fd, SHUT_WR);
    if (side->got_end)
        side_over(side);
}

static void transmit(struct side *side)
{
    static char piece[PIECE];

    while (side->fd >= 0 && !side->wake && !side->sent_end) {
        if (side->sent == side->to_send) {
            say_end(side);
            return;
        }
        if (side->segment == 0) {
            side->segment = next_segment(side);
            if (draw(&side->random, 100) < pauses) {
                pause_until(side, now() + draw(&side->random, 3000000));
                return;
            }
        }
        uint64_t length = side->to_send - side->sent;
        if (length > side->segment)
            length = side->segment;
        fill(side->talk, side->is_target, side->sent, piece, length);
        const ssize_t value = send(side->fd, piece, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (value < 0 && errno == EAGAIN)
            return;
        if (value < 0) {
            /* Read what there is; then it is over. */
            if (!rough(side->talk))
                wrong(side, "sending failed", (uint64_t)errno, 0);
            side->wake = 0;
            side->sent_end = true;
            side->got_reset = true; /* recv would not be told it any more */
            receive(side);
            if (!side->slow || side->got_end)
                side_over(side);
            return;
        }
        side->sent += (uint64_t)value;
        side->segment -= (uint64_t)value;
    }
}

static void work(struct side *side)
{
    if (side->over || side->wake)
        return;
    receive(side);
    transmit(side);
}

/* ---- sockets ---- */

static socklen_t name(const char *text, struct sockaddr_storage *ret)
{
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)ret;
    struct sockaddr_un *un = (struct sockaddr_un *)(void *)ret;

    memset(ret, 0, sizeof *ret);
    if (*text == '/') {
        un->sun_family = AF_UNIX;
        snprintf(un->sun_path, sizeof un->sun_path, "%s", text);
        return sizeof *un;
    }
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    in->sin_port = htons((uint16_t)atoi(text));
    return sizeof *in;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int open_listener(const char *text)
{
    struct sockaddr_storage address;
    const socklen_t length = name(text, &address);
    const int on = 1, fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, 16384) < 0)
        die("listen");
    if (address.ss_family == AF_INET) {
        socklen_t size = sizeof address;
        getsockname(fd, (struct sockaddr *)&address, &size);
        printf("target %u\n", ntohs(((struct sockaddr_in *)(void *)&address)->sin_port));
    } else {
        printf("target %s\n", text);
    }
    fflush(stdout);
    return fd;
}

static void watch(int fd, struct side *side)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.ptr = side};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl");
}

static void begin(const struct sockaddr_storage *address, socklen_t length)
{
    struct talk *talk = &talks[begun];

    plan(talk, begun++);
    struct side *side = &talk->side[CLIENT];
    side->fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (side->fd < 0)
        die("socket");
    int error;
    do /* a UNIX socket's queue may be full */
        error = connect(side->fd, (const struct sockaddr *)address, length);
    while (error < 0 && (errno == EAGAIN && usleep(1000) == 0));
    if (error < 0 && errno != EINPROGRESS)
        die("connect to the relay");
    watch(side->fd, side);
}

/* Targets whose number has not come yet. Each is read one byte at a time, up to that. */
struct newcomer {
    int fd;
    size_t got;
    char number[8];
};
static struct newcomer *newcomers;
static size_t newcomer_count;

static void meet(void)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0)
        newcomers[newcomer_count++] = (struct newcomer){.fd = fd};
}

/* A client that resets at once may never say its number. */
static void ask_names(void)
{
    for (size_t i = 0; i < newcomer_count;) {
        struct newcomer *one = &newcomers[i];
        const ssize_t value =
            recv(one->fd, one->number + one->got, sizeof one->number - one->got, MSG_DONTWAIT);
        if (value > 0)
            one->got += (size_t)value;
        const bool known = one->got == sizeof one->number;
        if (!known && (value > 0 || (value < 0 && errno == EAGAIN))) {
            i++;
            continue;
        }
        uint64_t number;
        memcpy(&number, one->number, sizeof number);
        if (known && number < begun && !talks[number].named) {
            struct side *side = &talks[number].side[TARGET];
            talks[number].named = true;
            side->fd = one->fd;
            side->received = sizeof number;
            watch(side->fd, side);
            work(side);
        } else {
            if (known) {
                fprintf(stderr, "a target was told the number %llu\n", (unsigned long long)number);
                failed = true;
            }
            close(one->fd);
        }
        *one = newcomers[--newcomer_count];
    }
}

/* A client that went roughly before its number was said leaves no target. */
static void forget_unnamed(void)
{
    for (uint64_t i = 0; i < begun; i++)
        if (talks[i].side[CLIENT].over && !talks[i].named && !talks[i].side[TARGET].over &&
            newcomer_count == 0) {
            if (!rough(&talks[i]))
                wrong(&talks[i].side[TARGET], "no target was connected", 0, 0);
            side_over(&talks[i].side[TARGET]);
        }
}

static void wake(void)
{
    const uint64_t time = now();
    for (size_t i = 0; i < paused_count;) {
        struct side *side = paused[i];
        if (side->wake > time) {
            i++;
            continue;
        }
        paused[i] = paused[--paused_count];
        side->wake = 0;
        side->in_list = false;
        if (!side->over)
            work(side);
    }
}

static void hold_them(void)
{
    char line[64];

    if (!hold || holding || greeted_count < 2 * count)
        return;
    printf("held\n");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        exit(1);
    holding = true;
    for (uint64_t i = 0; i < count; i++)
        for (int side = 0; side < SIDES; side++)
            work(&talks[i].side[side]);
}

static void parse(int argc, char **argv)
{
    for (int i = 2; i < argc; i++) {
        const char *equals = strchr(argv[i], '=');
        size_t row = 0;
        while (row < sizeof settings / sizeof *settings &&
               !(equals && strlen(settings[row].name) == (size_t)(equals - argv[i]) &&
                 strncmp(argv[i], settings[row].name, (size_t)(equals - argv[i])) == 0))
            row++;
        if (row == sizeof settings / sizeof *settings) {
            fprintf(stderr, "what is '%s'?\n", argv[i]);
            exit(2);
        }
        *settings[row].value = strtoull(equals + 1, NULL, 10);
    }
}

static void run(const struct sockaddr_storage *address, socklen_t length)
{
    struct epoll_event events[512];
    const uint64_t until = now() + limit * 1000000000U;

    while (over < count && !failed) {
        while (begun < count && begun - over < at_once)
            begin(address, length);
        const bool busy = paused_count + newcomer_count > 0;
        const int ready = epoll_wait(epoll_fd, events, 512, busy ? 1 : 50);
        for (int i = 0; i < ready; i++) {
            struct side *side = events[i].data.ptr;
            if (side)
                work(side);
            else
                meet();
        }
        ask_names();
        wake();
        if (ready == 0)
            forget_unnamed();
        hold_them();
        if (now() > until) {
            for (uint64_t i = 0; i < begun; i++)
                for (int side = 0; side < SIDES; side++)
                    if (!talks[i].side[side].over)
                        wrong(&talks[i].side[side], "it is not over", i, talks[i].named);
            failed = true;
        }
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_storage address;
    struct rlimit files;
    char line[256];

    if (argc < 2)
        return 2;
    parse(argc, argv);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    talks = calloc(count, sizeof *talks);
    paused = calloc(2 * count, sizeof *paused);
    newcomers = calloc(2 * count + 64, sizeof *newcomers);
    if (!talks || !paused || !newcomers)
        die("calloc");
    epoll_fd = epoll_create1(0);
    listener = open_listener(argv[1]);
    watch(listener, NULL);
    if (!fgets(line, sizeof line, stdin))
        return 2;
    line[strcspn(line, "\n")] = '\0';
    const socklen_t length = name(line, &address);
    is_unix[CLIENT] = *line == '/';
    is_unix[TARGET] = *argv[1] == '/';
    run(&address, length);
    printf("%llu conversations\n", (unsigned long long)over);
    return failed;
}
