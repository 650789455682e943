/* SPDX-License-Identifier: MIT */
/*
 * Loads a relay, being both its clients and its target, in one thread.
 *
 *     relay-load MODE CONNECTIONS SIZE AMOUNT [IDLE]
 *
 *     bulk    SIZE bytes in all, spread over the connections, from clients to the target; AMOUNT is
 *             not used
 *     ask     AMOUNT exchanges in all of SIZE bytes each way, one at a time on each connection
 *     open    AMOUNT times: connect, exchange SIZE bytes, close; CONNECTIONS at a time
 *
 * The connections of bulk and ask are there before the clock starts. IDLE more stay open meanwhile and
 * say nothing.
 * Prints "target PORT", reads "PORT PID…" of the relay and the processes whose CPU time counts, and
 * prints "NAME VALUE" pairs on one line: seconds, cpu (of these processes, while it ran), exchanges'
 * p50, p99 and mean in microseconds.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum mode { BULK, ASK, OPEN };
enum { PIECE = 256 << 10, MOST_PIDS = 64 };

struct connection {
    int fd;
    bool is_target, idle;
    size_t got, sent; /* of this message */
    uint64_t began;
};

static enum mode mode;
static uint64_t size, amount, connections, idle;
static int epoll_fd, listener;
static char piece[PIECE];
static uint64_t begun, done, delivered, to_send, open_targets;
static bool holding; /* connections are made, and say nothing yet */
static struct connection **held;
static uint32_t *took; /* microseconds / 16 of each exchange, in nanoseconds / 64 */
static struct sockaddr_in relay;
static int pids[MOST_PIDS], pid_count;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

/* Nanoseconds on a CPU of all threads of the processes. */
static uint64_t cpu_time(void)
{
    uint64_t sum = 0;
    for (int i = 0; i < pid_count; i++) {
        char path[600];
        snprintf(path, sizeof path, "/proc/%d/task", pids[i]);
        DIR *directory = opendir(path);
        struct dirent *entry;
        while (directory && (entry = readdir(directory))) {
            unsigned long long ran = 0;
            snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", pids[i], entry->d_name);
            FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "re");
            if (file && fscanf(file, "%llu", &ran) == 1)
                sum += ran;
            if (file)
                fclose(file);
        }
        if (directory)
            closedir(directory);
    }
    return sum;
}

static struct connection *watch(int fd, bool is_target)
{
    static const int on = 1;
    struct connection *connection = calloc(1, sizeof *connection);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
    if (!connection)
        die("calloc");
    connection->fd = fd;
    connection->is_target = is_target;
    event.data.ptr = connection;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl");
    return connection;
}

static struct connection *start(bool as_idle)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0)
        die("socket");
    if (connect(fd, (struct sockaddr *)&relay, sizeof relay) < 0 && errno != EINPROGRESS)
        die("connect");
    struct connection *connection = watch(fd, false);
    connection->idle = as_idle;
    connection->began = now();
    if (!as_idle)
        begun++;
    return connection;
}

static void finish(struct connection *connection)
{
    close(connection->fd);
    open_targets -= connection->is_target;
    connection->fd = -1; /* never freed: few, or the test is short */
}

/* ---- bulk ---- */

static void bulk_client(struct connection *one)
{
    while (to_send > 0) {
        const size_t length = to_send < PIECE / 2 ? to_send : PIECE / 2;
        const ssize_t value = send(one->fd, piece, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (value < 0 && (errno == EAGAIN || errno == ENOTCONN))
            return;
        if (value < 0)
            die("send");
        to_send -= (uint64_t)value;
    }
}

static void bulk_target(struct connection *one)
{
    for (;;) {
        const ssize_t value = recv(one->fd, piece, PIECE, MSG_DONTWAIT | MSG_TRUNC);
        if (value <= 0) {
            if (value < 0 && errno != EAGAIN)
                die("recv");
            return;
        }
        delivered += (uint64_t)value;
    }
}

/* ---- exchanges ---- */

static bool receive(struct connection *one)
{
    while (one->got < size) {
        const ssize_t value = recv(one->fd, piece, size - one->got, MSG_DONTWAIT);
        if (value == 0 || (value < 0 && errno != EAGAIN)) {
            if (!one->is_target)
                die("the relay closed");
            finish(one);
            return false;
        }
        if (value < 0)
            return false;
        one->got += (size_t)value;
    }
    return true;
}

static bool transmit(struct connection *one)
{
    while (one->sent < size) {
        const ssize_t value = send(one->fd, piece, size - one->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (value < 0)
            return false;
        one->sent += (size_t)value;
    }
    return true;
}

static void answer(struct connection *one)
{
    while (one->fd >= 0 && receive(one) && transmit(one))
        one->got = one->sent = 0;
}

static void ask(struct connection *one)
{
    for (;;) {
        if (one->sent == 0 && mode == ASK) {
            if (begun > amount + connections)
                return;
            one->began = now();
        }
        if (!transmit(one) || !receive(one))
            return;
        const uint64_t nanoseconds = now() - one->began;
        if (done < amount)
            took[done] = (uint32_t)(nanoseconds / 64 < UINT32_MAX ? nanoseconds / 64 : UINT32_MAX);
        done++;
        one->got = one->sent = 0;
        if (mode == OPEN) {
            finish(one);
            if (begun < amount)
                start(false);
            return;
        }
        begun++;
    }
}

static void work(struct connection *one)
{
    if (one->fd < 0 || one->idle || holding)
        return;
    if (mode == BULK)
        (one->is_target ? bulk_target : bulk_client)(one);
    else
        (one->is_target ? answer : ask)(one);
}

static void meet(void)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        open_targets++;
        work(watch(fd, true));
    }
}

static void wait_once(void)
{
    struct epoll_event events[512];
    const int ready = epoll_wait(epoll_fd, events, 512, 1000);
    for (int i = 0; i < ready; i++)
        if (events[i].data.ptr)
            work(events[i].data.ptr);
        else
            meet();
}

/* Not more at once than the relay's queue takes. */
static struct connection *start_waiting(bool as_idle)
{
    static uint64_t started;
    struct connection *connection = start(as_idle);

    started++;
    while (started - open_targets > 256)
        wait_once();
    return connection;
}

static bool over(void)
{
    return mode == BULK ? delivered >= size : done >= amount;
}

static int by_time(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void read_relay(void)
{
    char line[512], *word = line, *end;
    if (!fgets(line, sizeof line, stdin))
        exit(2);
    relay = (struct sockaddr_in){.sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)strtol(word, &word, 10)),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (long pid; (pid = strtol(word, &end, 10)) > 0 && pid_count < MOST_PIDS; word = end)
        pids[pid_count++] = (int)pid;
}

int main(int argc, char **argv)
{
    static const char *const modes[] = {"bulk", "ask", "open"};
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof here;
    struct rlimit files;

    if (argc < 5)
        return 2;
    while (mode < OPEN && strcmp(argv[1], modes[mode]) != 0)
        mode++;
    connections = strtoull(argv[2], NULL, 10);
    size = strtoull(argv[3], NULL, 10);
    amount = strtoull(argv[4], NULL, 10);
    idle = argc > 5 ? strtoull(argv[5], NULL, 10) : 0;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    took = calloc(amount + 1, sizeof *took);
    held = calloc(connections + 1, sizeof *held);
    if (!took || !held)
        die("calloc");
    epoll_fd = epoll_create1(0);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (bind(listener, (struct sockaddr *)&here, length) < 0 || listen(listener, 16384) < 0)
        die("listen");
    getsockname(listener, (struct sockaddr *)&here, &length);
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
    printf("target %u\n", ntohs(here.sin_port));
    fflush(stdout);
    read_relay();

    holding = true;
    for (uint64_t i = 0; i < idle; i++)
        start_waiting(true);
    for (uint64_t i = 0; mode != OPEN && i < connections; i++)
        held[i] = start_waiting(false);
    while (open_targets < idle + (mode == OPEN ? 0 : connections))
        wait_once();
    holding = false;
    const uint64_t cpu_before = cpu_time(), before = now();
    to_send = size;
    for (uint64_t i = 0; i < connections; i++)
        if (mode == OPEN)
            start(false);
        else
            work(held[i]);
    while (!over())
        wait_once();
    const double seconds = (double)(now() - before) / 1e9;
    const double cpu = (double)(cpu_time() - cpu_before) / 1e9;
    printf("seconds %.6f cpu %.6f", seconds, cpu);
    if (mode != BULK) {
        double sum = 0;
        for (uint64_t i = 0; i < amount; i++)
            sum += took[i];
        qsort(took, amount, sizeof *took, by_time);
        printf(" p50 %.2f p99 %.2f mean %.2f", took[amount / 2] * 64e-3,
               took[amount - 1 - amount / 100] * 64e-3, sum / (double)amount * 64e-3);
    }
    printf("\n");
    return 0;
}
