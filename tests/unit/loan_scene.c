/* SPDX-License-Identifier: MIT */
#include "tests/unit/loan_scene.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/ends.h"

sluice_context *loan_context;

int loan_set_up(void **state)
{
    (void)state;
    loan_context = sluice_context_new(NULL, NULL);
    return loan_context ? 0 : -1;
}

int loan_tear_down(void **state)
{
    (void)state;
    sluice_context_free(loan_context);
    return 0;
}

const char *const loan_behind_names[] = {"pipe", "tcp", "unix"};

static void connect_tcp(int *ret_sender, int *ret_receiver)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(listener, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    *ret_sender = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(*ret_sender, (struct sockaddr *)&address, length), 0);
    *ret_receiver = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(*ret_receiver >= 0);
    close(listener);
}

void nonblocking(int fd)
{
    assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

void open_behind(enum behind behind, int *ret_writer, int *ret_reader)
{
    int fds[2];

    if (behind == TCP) {
        connect_tcp(ret_writer, ret_reader);
        return;
    }
    if (behind == PIPE) {
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        *ret_reader = fds[0];
        *ret_writer = fds[1];
        return;
    }
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    *ret_writer = fds[0];
    *ret_reader = fds[1];
}

void loan_scene_open(struct scene *scene, enum behind behind, enum sluice_loan_way prefer,
                     uint64_t buffer_size, uint32_t max)
{
    const struct sluice_loan_options options = {
        .size = sizeof options, .buffer_size = buffer_size, .max_loans = max};
    const struct sluice_loan_sink_options sink = {.size = sizeof sink, .prefer = prefer};

    open_behind(behind, &scene->fd, &scene->peer);
    nonblocking(scene->fd);
    assert_int_equal(
        sluice_endpoint_from_fd(loan_context, scene->fd, SLUICE_BORROW, &scene->endpoint), 0);
    assert_int_equal(sluice_loan_pool_new(loan_context, &options, &scene->pool), 0);
    assert_int_equal(sluice_loan_sink_new(scene->pool, scene->endpoint, &sink, &scene->sink), 0);
}

void loan_scene_close(struct scene *scene)
{
    sluice_loan_sink_free(scene->sink);
    assert_int_equal(sluice_loan_pool_free(scene->pool), 0);
    sluice_endpoint_free(scene->endpoint);
    close(scene->fd);
    close(scene->peer);
}

struct sluice_loan_stats stats_of(const struct scene *scene)
{
    struct sluice_loan_stats stats = {.size = sizeof stats};
    assert_int_equal(sluice_loan_pool_stats(scene->pool, &stats), 0);
    return stats;
}

struct sluice_loan_choice choice_of(const struct scene *scene, enum sluice_loan_way way)
{
    struct sluice_loan_choice choice = {.size = sizeof choice};
    for (unsigned i = 0; sluice_loan_sink_choice(scene->sink, i, &choice) == 0; i++)
        if (choice.way == way)
            return choice;
    fail();
    return choice;
}

void fill(void *into, size_t length, unsigned round)
{
    pattern(into, length, (uint64_t)round * 1000003U);
}

void send_round(struct scene *scene, unsigned flags, size_t length, unsigned round)
{
    sluice_loan *loan;

    assert_int_equal(sluice_loan_get(scene->pool, flags, &loan), 0);
    fill(sluice_loan_data(loan), length, round);
    assert_int_equal(sluice_loan_send_all(loan, scene->sink, 0, length, NULL), 0);
    sluice_loan_put(loan);
}

size_t read_all(int fd, char *into, size_t most)
{
    size_t length = 0;
    struct pollfd wait = {.fd = fd, .events = POLLIN};

    while (length < most && poll(&wait, 1, 1000) > 0) {
        const ssize_t value = read(fd, into + length, most - length);
        if (value <= 0)
            break;
        length += (size_t)value;
    }
    return length;
}

void skip_under_wrapper(void)
{
    const char *wrapper = getenv("TEST_WRAPPER");
    if (wrapper && *wrapper) {
        print_message("SKIP: a program around this one has limits and costs of its own\n");
        skip();
    }
}
