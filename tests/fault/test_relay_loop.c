/* SPDX-License-Identifier: MIT */
/*
 * Every call of the relay's loop fails, with every errno that it may have, at its first calls. The
 * relay runs in a child. A conversation that meets the fault arrives whole or is told that it did
 * not; nothing spins; and the next conversation goes through as if nothing had been.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/log.h"
#include "server/net.h"
#include "server/relay.h"
#include "tests/unit/ends.h"

enum call {
    CALL_SOCKET,
    CALL_BIND,
    CALL_LISTEN,
    CALL_ACCEPT,
    CALL_CONNECT,
    CALL_SHUTDOWN,
    CALL_SETSOCKOPT,
    CALL_GETSOCKNAME,
    CALL_EPOLL_CREATE,
    CALL_EPOLL_CONTROL,
    CALL_EPOLL_WAIT,
};

enum { CONVERSATIONS = 4, LENGTH = 200000, FIRST = 6 };

static const struct {
    enum call call;
    const char *name;
    int errors[10];
} table[] = {
    {CALL_SOCKET, "socket", {EMFILE, ENFILE, ENOBUFS, ENOMEM, EACCES}},
    {CALL_BIND, "bind", {EADDRINUSE, EACCES, ENOMEM}},
    {CALL_LISTEN, "listen", {EADDRINUSE, ENOBUFS}},
    {CALL_ACCEPT,
     "accept",
     {EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNABORTED, EINTR, EAGAIN, EPERM, EPROTO, EHOSTUNREACH}},
    {CALL_CONNECT,
     "connect",
     {ECONNREFUSED, ETIMEDOUT, ENETUNREACH, EADDRNOTAVAIL, EAGAIN, EPERM, ENOBUFS}},
    {CALL_SHUTDOWN, "shutdown", {ENOTCONN, ENOBUFS}},
    {CALL_SETSOCKOPT, "setsockopt", {ENOPROTOOPT, ENOMEM, EINVAL}},
    {CALL_GETSOCKNAME, "getsockname", {ENOBUFS}},
    {CALL_EPOLL_CREATE, "epoll_create1", {EMFILE, ENFILE, ENOMEM}},
    {CALL_EPOLL_CONTROL, "epoll_ctl", {ENOMEM, ENOSPC}},
    {CALL_EPOLL_WAIT, "epoll_wait", {EINTR}},
};

/* ---- what stands between the relay and the kernel ---- */

static struct {
    enum call call;
    unsigned at, seen;
    int error;
} fault;

static bool strikes(enum call call)
{
    return fault.error != 0 && fault.call == call && ++fault.seen == fault.at;
}

#define WRAP(CALL, name, parameters, arguments)                                                    \
    int __real_##name parameters;                                                                  \
    int __wrap_##name parameters;                                                                  \
    int __wrap_##name parameters                                                                   \
    {                                                                                              \
        return strikes(CALL) ? -fault.error : __real_##name arguments;                             \
    }

WRAP(CALL_SOCKET, net_socket, (int domain, int type, int protocol), (domain, type, protocol))
WRAP(CALL_BIND, net_bind, (int fd, const struct sockaddr *to, socklen_t length), (fd, to, length))
WRAP(CALL_LISTEN, net_listen, (int fd, int backlog), (fd, backlog))
WRAP(CALL_ACCEPT, net_accept, (int fd, struct sockaddr *ret, socklen_t *length, int flags),
     (fd, ret, length, flags))
WRAP(CALL_CONNECT, net_connect, (int fd, const struct sockaddr *to, socklen_t length),
     (fd, to, length))
WRAP(CALL_SHUTDOWN, net_shutdown, (int fd, int how), (fd, how))
WRAP(CALL_SETSOCKOPT, net_setsockopt,
     (int fd, int level, int name, const void *value, socklen_t length),
     (fd, level, name, value, length))
WRAP(CALL_GETSOCKNAME, net_getsockname, (int fd, struct sockaddr *ret, socklen_t *length),
     (fd, ret, length))
WRAP(CALL_EPOLL_CREATE, net_epoll_create, (void), ())
WRAP(CALL_EPOLL_CONTROL, net_epoll_control,
     (int epoll, int operation, int fd, struct epoll_event *event), (epoll, operation, fd, event))
WRAP(CALL_EPOLL_WAIT, net_epoll_wait,
     (int epoll, struct epoll_event *events, int count, int64_t timeout),
     (epoll, events, count, timeout))

/* ---- the relay, in a child ---- */

/* Ends with 3 if it says that it cannot start, 4 if it cannot go on. */
static _Noreturn void relay_child(const struct sockaddr_in *target, int said)
{
    struct relay_options options = {.threads = 1,
                                    .connect_timeout = UINT64_C(1000000000),
                                    .drain_timeout = UINT64_C(1000000000)};
    const struct log_options quiet = {.fd = 2, .level = LOG_LEVEL_ERROR};
    const char *operation;
    struct relay *relay;
    struct peer at = {.length = sizeof at.address.in};

    alarm(60);
    log_open(&quiet);
    options.targets = target_list_new(1, TARGET_ROUND_ROBIN);
    options.targets->count = 1;
    options.targets->target[0].peer.address.in = *target;
    options.targets->target[0].peer.length = sizeof *target;
    if (relay_new(&options, &relay) < 0)
        _exit(3);
    at.address.in.sin_family = AF_INET;
    at.address.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = listener_open(&at, 100, false, &operation);
    if (fd < 0 || relay_listen(relay, fd, 0) < 0)
        _exit(3);
    struct sockaddr_in here;
    socklen_t length = sizeof here;
    getsockname(fd, (struct sockaddr *)&here, &length);
    if (write(said, &here, sizeof here) != sizeof here)
        _exit(5);
    close(said);
    relay_run(relay);
    _exit(4);
}

/* ---- conversations ---- */

static char words[LENGTH], got[LENGTH + 1];

static int open_target(struct sockaddr_in *ret)
{
    socklen_t length = sizeof *ret;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *ret = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)ret, length) == 0 && listen(fd, 20) == 0);
    getsockname(fd, (struct sockaddr *)ret, &length);
    return fd;
}

/* Echoes conversation after conversation, until it is killed. */
static _Noreturn void target_child(int listener)
{
    static char buffer[65536];
    alarm(60);
    signal(SIGPIPE, SIG_IGN);
    for (;;) {
        const int fd = accept(listener, NULL, NULL);
        ssize_t value;
        while ((value = read(fd, buffer, sizeof buffer)) > 0)
            for (ssize_t done = 0, now; done < value; done += now)
                if ((now = write(fd, buffer + done, (size_t)(value - done))) < 0)
                    break;
        close(fd);
    }
}

enum outcome { WHOLE, FAILED, CUT_OFF, OTHER_BYTES, NO_END };

/* Sends `length` bytes, ends, and reads them back. */
static enum outcome converse(const struct sockaddr_in *relay, size_t length)
{
    const struct timeval patience = {.tv_sec = 10};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t sent = 0, received = 0;
    enum outcome outcome = WHOLE;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (const struct sockaddr *)relay, sizeof *relay) < 0)
        outcome = FAILED;
    while (outcome == WHOLE) {
        struct pollfd poll_fd = {.fd = fd,
                                 .events = (short)(sent < length ? POLLIN | POLLOUT : POLLIN)};
        if (poll(&poll_fd, 1, 10000) <= 0) {
            outcome = NO_END;
            break;
        }
        if (poll_fd.revents & (POLLIN | POLLERR | POLLHUP)) {
            const ssize_t value = recv(fd, got + received, sizeof got - received, 0);
            if (value < 0)
                outcome = FAILED;
            if (value == 0) {
                /* Closed before a target was found: an end before the first byte. */
                if (received < length)
                    outcome = received == 0 ? FAILED : CUT_OFF;
                break;
            }
            received += value > 0 ? (size_t)value : 0;
        } else if (poll_fd.revents & POLLOUT) {
            const ssize_t value =
                send(fd, words + sent, length - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (value < 0 && errno != EAGAIN)
                outcome = FAILED;
            sent += value > 0 ? (size_t)value : 0;
            if (sent == length)
                shutdown(fd, SHUT_WR);
        }
    }
    if (received > length || memcmp(got, words, received) != 0)
        outcome = OTHER_BYTES;
    close(fd);
    return outcome;
}

/* CPU time of a child, in milliseconds. */
static unsigned long cpu_of(pid_t child)
{
    char path[64];
    unsigned long user = 0, system = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", child);
    FILE *file = fopen(path, "re");
    if (file && fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                       &user, &system) != 2)
        user = system = 0;
    if (file)
        fclose(file);
    return (user + system) * 1000 / (unsigned long)sysconf(_SC_CLK_TCK);
}

static void one_case(const char *name, enum call call, unsigned at, int error,
                     const struct sockaddr_in *target)
{
    struct sockaddr_in relay;
    int said[2], status;

    assert_int_equal(pipe(said), 0);
    const pid_t child = fork();
    if (child == 0) {
        fault.call = call;
        fault.at = at;
        fault.error = error;
        relay_child(target, said[1]);
    }
    close(said[1]);
    const bool started = read(said[0], &relay, sizeof relay) == sizeof relay;
    close(said[0]);
    if (!started) { /* it said so, instead of crashing */
        waitpid(child, &status, 0);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 3)
            fail_msg("%s, %s at call %u: status %x at the start", name, strerrorname_np(error), at,
                     (unsigned)status);
        return;
    }
    unsigned failed = 0;
    for (unsigned i = 0; i < CONVERSATIONS; i++) {
        const enum outcome outcome = converse(&relay, i % 2 ? LENGTH : 100);
        failed += outcome == FAILED;
        if (outcome > FAILED)
            fail_msg("%s, %s at call %u: conversation %u: outcome %d", name, strerrorname_np(error),
                     at, i, outcome);
    }
    if (failed > 1)
        fail_msg("%s, %s at call %u: one fault, and %u conversations failed", name,
                 strerrorname_np(error), at, failed);
    /* It is the call of this one that fails, if it has not yet. */
    if (converse(&relay, LENGTH) != WHOLE && (failed > 0 || converse(&relay, LENGTH) != WHOLE))
        fail_msg("%s, %s at call %u: it did not recover", name, strerrorname_np(error), at);
    const unsigned long before = cpu_of(child);
    usleep(20000);
    if (cpu_of(child) - before > 15 || waitpid(child, &status, WNOHANG) != 0)
        fail_msg("%s, %s at call %u: it spins, or has died", name, strerrorname_np(error), at);
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
}

static void every_call_may_fail(void **state)
{
    struct sockaddr_in target;
    unsigned cases = 0;
    const int listener = open_target(&target);
    const pid_t echo = fork();

    (void)state;
    if (echo == 0)
        target_child(listener);
    close(listener);
    for (size_t row = 0; row < sizeof table / sizeof *table; row++)
        for (size_t i = 0; i < 10 && table[row].errors[i]; i++)
            for (unsigned at = 1; at <= FIRST; at++, cases++)
                one_case(table[row].name, table[row].call, at, table[row].errors[i], &target);
    kill(echo, SIGKILL);
    waitpid(echo, NULL, 0);
    print_message("%u cases\n", cases);
}

static int make_words(void **state)
{
    (void)state;
    pattern(words, sizeof words, 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_call_may_fail)};
    return cmocka_run_group_tests(tests, make_words, NULL);
}
