/* SPDX-License-Identifier: MIT */
/* Zero-copy sends: used where they are, given up where they copy, and never in the way of a send. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "sluice.h"
#include "tests/unit/ends.h"
#include "tests/unit/loan_scene.h"

/* Loopback copies, and says so: it is not asked again. */
static void a_socket_that_copies_is_not_asked_again(void **state)
{
    static const enum sluice_loan_way ways[] = {SLUICE_LOAN_ZEROCOPY, SLUICE_LOAN_SEND_ZC};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        enum { LENGTH = 64 * KIB };
        struct scene scene;
        sluice_loan *loan;
        char *got = malloc(LENGTH);

        loan_scene_open(&scene, TCP, ways[i], LENGTH, 1);
        assert_int_equal(sluice_loan_get(scene.pool, 0, &loan), 0);
        for (unsigned round = 0; round < 10; round++) {
            fill(sluice_loan_data(loan), LENGTH, round);
            assert_int_equal(sluice_loan_send_all(loan, scene.sink, 0, LENGTH, NULL), 0);
            assert_int_equal(read_all(scene.peer, got, LENGTH), LENGTH);
            assert_memory_equal(got, sluice_loan_data(loan), LENGTH);
            for (unsigned try = 0; try < 1000 && !sluice_loan_returned(loan); try++)
                poll(NULL, 0, 1);
            assert_int_equal(sluice_loan_returned(loan), 1);
        }
        const struct sluice_loan_choice choice = choice_of(&scene, ways[i]);
        if (choice.error || choice.refused) {
            print_message("SKIP: %s is refused here\n", sluice_loan_way_name(ways[i]));
        } else {
            const struct sluice_loan_stats stats = stats_of(&scene);
            assert_int_equal(stats.copied, 1);
            assert_int_equal(stats.sent, 1);
            assert_int_equal(stats.notified, 1);
            assert_int_equal(choice.calls, 1);
            assert_string_equal(choice.ruled_out, "the kernel says that it copies on this socket");
            assert_true(choice_of(&scene, SLUICE_LOAN_WRITE).calls >= 9);
        }
        int on = 1;
        socklen_t size = sizeof on;
        sluice_loan_put(loan);
        sluice_loan_sink_free(scene.sink);
        scene.sink = NULL;
        getsockopt(scene.fd, SOL_SOCKET, SO_ZEROCOPY, &on, &size);
        assert_int_equal(on, 0); /* left as it was found */
        loan_scene_close(&scene);
        free(got);
    }
}

/* A network of its own, with an interface that throws away all that is sent to it: what is sent
 * without a copy is then let go of without one, too. */
static bool enter_a_network_that_drops(void)
{
    const uid_t user = geteuid();
    if (unshare(user == 0 ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET) < 0)
        return false;
    if (user != 0) {
        const int map = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
        char text[64];
        const int length = snprintf(text, sizeof text, "0 %u 1", user);
        const bool mapped = map >= 0 && write(map, text, (size_t)length) == length;
        close(map);
        if (!mapped)
            return false;
    }
    return system("{ ip link add d0 mtu 65000 type veth peer name d1 && ip link set d0 up && "
                  "ip addr add 192.0.2.1/24 dev d0 && "
                  "ip neigh add 192.0.2.2 lladdr 02:00:00:00:00:01 dev d0; } 2>/dev/null") == 0;
}

/* 0: all is well. */
static int send_without_a_copy(enum sluice_loan_way way)
{
    enum { LENGTH = 32 * KIB, SENDS = 20 };
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(0xc0000202)};
    const struct sluice_loan_options options = {
        .size = sizeof options, .buffer_size = LENGTH, .max_loans = 2};
    struct scene scene = {.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    struct pollfd wait;

    assert_int_equal(connect(scene.fd, (const void *)&address, sizeof address), 0);
    assert_int_equal(
        sluice_endpoint_from_fd(loan_context, scene.fd, SLUICE_BORROW, &scene.endpoint), 0);
    assert_int_equal(sluice_loan_pool_new(loan_context, &options, &scene.pool), 0);
    assert_int_equal(sluice_loan_sink_new(scene.pool, scene.endpoint, NULL, &scene.sink), 0);
    if (way == SLUICE_LOAN_ZEROCOPY) { /* it is taken by itself where there is no ring */
        const struct sluice_loan_sink_options prefer = {.size = sizeof prefer, .prefer = way};
        sluice_loan_sink_free(scene.sink);
        assert_int_equal(sluice_loan_sink_new(scene.pool, scene.endpoint, &prefer, &scene.sink), 0);
    }
    wait = (struct pollfd){.fd = sluice_loan_pool_fd(scene.pool), .events = POLLIN};
    for (unsigned i = 0; i < SENDS; i++) {
        sluice_loan *loan;
        int error;
        while ((error = sluice_loan_get(scene.pool, 0, &loan)) == -EAGAIN)
            assert_int_equal(poll(&wait, 1, 10000), 1);
        assert_int_equal(error, 0);
        assert_int_equal(sluice_loan_send(loan, scene.sink, 0, LENGTH), LENGTH);
        if (i == 0) /* the trial */
            while (!sluice_loan_returned(loan))
                assert_int_equal(poll(&wait, 1, 10000), 1);
        sluice_loan_put(loan);
    }
    while (stats_of(&scene).lent > 0) {
        assert_int_equal(poll(&wait, 1, 10000), 1);
        sluice_loan_pool_reap(scene.pool);
    }
    const struct sluice_loan_stats stats = stats_of(&scene);
    const struct sluice_loan_choice choice = choice_of(&scene, way);
    const bool refused = choice.error || choice.refused;
    if (!refused) {
        assert_int_equal(choice.calls, SENDS);
        assert_int_equal(stats.sent, SENDS);
        assert_int_equal(stats.notified, SENDS);
        assert_int_equal(stats.copied, 0);
        assert_int_equal(stats.replaced, 0); /* it was given out again as it was */
        assert_null(choice.ruled_out);
    }
    sluice_loan_sink_free(scene.sink);
    assert_int_equal(sluice_loan_pool_free(scene.pool), 0);
    sluice_endpoint_free(scene.endpoint);
    close(scene.fd);
    return refused ? 77 : 0;
}

/* The kernel lends the pages in earnest, and says when they are back. */
static void what_is_really_lent_comes_back(void **state)
{
    static const enum sluice_loan_way ways[] = {SLUICE_LOAN_SEND_ZC, SLUICE_LOAN_ZEROCOPY};
    int status;

    (void)state;
    skip_under_wrapper();
    for (unsigned i = 0; i < 2; i++) {
        fflush(NULL);
        const pid_t child = fork();
        if (child == 0)
            _exit(enter_a_network_that_drops() ? send_without_a_copy(ways[i]) : 77);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 77)
            print_message("SKIP: %s: no network of our own, or it is refused\n",
                          sluice_loan_way_name(ways[i]));
        else
            assert_int_equal(WEXITSTATUS(status), 0);
    }
}

static void loopback_is_not_asked_at_all(void **state)
{
    struct scene scene;

    (void)state;
    loan_scene_open(&scene, TCP, SLUICE_LOAN_AUTO, 64 * KIB, 2);
    assert_string_equal(choice_of(&scene, SLUICE_LOAN_ZEROCOPY).ruled_out,
                        "loopback copies what is sent so");
    assert_non_null(choice_of(&scene, SLUICE_LOAN_SEND_ZC).ruled_out);
    assert_null(choice_of(&scene, SLUICE_LOAN_WRITE).ruled_out);
    send_round(&scene, 0, 64 * KIB, 1);
    assert_int_equal(stats_of(&scene).sent, 0);
    loan_scene_close(&scene);
}

/* The error queue of a socket that somebody else uses is left alone. */
static void a_socket_with_an_error_queue_in_use_is_left_alone(void **state)
{
    struct scene scene;
    const int on = 1;
    int value = 0;
    socklen_t size = sizeof value;

    (void)state;
    loan_scene_open(&scene, TCP, SLUICE_LOAN_ZEROCOPY, 64 * KIB, 2);
    assert_int_equal(setsockopt(scene.fd, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof on), 0);
    send_round(&scene, 0, 64 * KIB, 1);
    assert_int_equal(choice_of(&scene, SLUICE_LOAN_ZEROCOPY).error, -EBUSY);
    assert_int_equal(choice_of(&scene, SLUICE_LOAN_ZEROCOPY).calls, 0);
    sluice_loan_sink_free(scene.sink);
    scene.sink = NULL;
    getsockopt(scene.fd, SOL_SOCKET, SO_ZEROCOPY, &value, &size);
    assert_int_equal(value, 1);
    loan_scene_close(&scene);
}

/* RLIMIT_MEMLOCK of an ordinary user is no reason for a send to fail. */
static void locked_memory_that_is_not_granted_fails_no_send(void **state)
{
    enum { LENGTH = MIB };
    int status;

    (void)state;
    skip_under_wrapper();
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        const struct rlimit limit = {64 * KIB, 64 * KIB};
        int wrong = 0;
        if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0 ||
            (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0))
            _exit(77);
        for (unsigned i = 0; i < 2; i++) {
            const enum sluice_loan_way way = i ? SLUICE_LOAN_SEND_ZC : SLUICE_LOAN_ZEROCOPY;
            struct scene scene;
            sluice_loan *loan;
            char *got = malloc(LENGTH);
            loan_scene_open(&scene, TCP, way, LENGTH, 1);
            wrong |= sluice_loan_get(scene.pool, 0, &loan) != 0;
            fill(sluice_loan_data(loan), LENGTH, 1);
            size_t sent = 0;
            while (!wrong && sent < LENGTH) {
                const ssize_t value = sluice_loan_send(loan, scene.sink, sent, LENGTH - sent);
                wrong |= value <= 0;
                wrong |=
                    value > 0 && read_all(scene.peer, got + sent, (size_t)value) != (size_t)value;
                sent += value > 0 ? (size_t)value : 0;
            }
            wrong |= memcmp(got, sluice_loan_data(loan), LENGTH) != 0;
            wrong |= choice_of(&scene, way).refused == 0 && choice_of(&scene, way).error == 0;
            sluice_loan_put(loan);
            loan_scene_close(&scene);
            free(got);
        }
        _exit(wrong);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        print_message("SKIP: cannot become an ordinary user\n");
        return;
    }
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* Nothing of the library's is a standard descriptor, also where these are closed. */
static void no_descriptor_is_a_standard_one(void **state)
{
    int status;

    (void)state;
    skip_under_wrapper();
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        struct scene scene;
        struct stat file;
        int low = 0;
        loan_scene_open(&scene, TCP, SLUICE_LOAN_SEND_ZC, 64 * KIB, 2);
        for (int fd = 0; fd <= 2; fd++)
            close(fd);
        low |= sluice_loan_pool_fd(scene.pool) <= 2;
        send_round(&scene, 0, 64 * KIB, 1); /* makes a ring */
        for (int fd = 0; fd <= 2; fd++)
            low |= fstat(fd, &file) == 0;
        _exit(low);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_socket_that_copies_is_not_asked_again),
        cmocka_unit_test(what_is_really_lent_comes_back),
        cmocka_unit_test(loopback_is_not_asked_at_all),
        cmocka_unit_test(a_socket_with_an_error_queue_in_use_is_left_alone),
        cmocka_unit_test(locked_memory_that_is_not_granted_fails_no_send),
        cmocka_unit_test(no_descriptor_is_a_standard_one),
    };
    return cmocka_run_group_tests(tests, loan_set_up, loan_tear_down);
}
