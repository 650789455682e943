/* SPDX-License-Identifier: MIT */
/* The source of a fan-out has ended when it says so to recv(2): splice(2) says it too before TCP's urgent
 * data. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "sluice.h"

enum { BEFORE = 100000, AFTER = 30000, SINKS = 2 };

static void tcp_pair(int fds[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    const int listener = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fds[0], (struct sockaddr *)&address, sizeof address), 0);
    fds[1] = accept(listener, NULL, NULL);
    close(listener);
}

static void bytes_after_urgent_data_are_not_lost(void **state)
{
    char *bytes = malloc(BEFORE + AFTER), *got = malloc(BEFORE + AFTER + 1);
    sluice_context *context = sluice_context_new(NULL, NULL);
    sluice_endpoint *source, *sink[SINKS];
    sluice_fanout *fanout;
    unsigned id;
    int pair[2], file[SINKS];

    (void)state;
    for (int i = 0; i < BEFORE + AFTER; i++)
        bytes[i] = (char)((unsigned)i * 2654435761U >> 24);
    tcp_pair(pair);
    assert_int_equal(send(pair[0], bytes, BEFORE, 0), BEFORE);
    assert_int_equal(send(pair[0], "!", 1, MSG_OOB), 1);
    assert_int_equal(send(pair[0], bytes + BEFORE, AFTER, 0), AFTER);
    shutdown(pair[0], SHUT_WR);

    assert_int_equal(sluice_endpoint_from_fd(context, pair[1], SLUICE_BORROW, &source), 0);
    assert_int_equal(sluice_fanout_new(context, source, NULL, &fanout, NULL), 0);
    for (int i = 0; i < SINKS; i++) {
        file[i] = memfd_create("sink", MFD_CLOEXEC);
        assert_int_equal(sluice_endpoint_from_fd(context, file[i], SLUICE_BORROW, &sink[i]), 0);
        assert_int_equal(sluice_fanout_add(fanout, sink[i], NULL, &id, NULL), 0);
    }
    assert_int_equal(sluice_fanout_run(fanout), 0);
    for (int i = 0; i < SINKS; i++) {
        assert_int_equal(pread(file[i], got, BEFORE + AFTER + 1, 0), BEFORE + AFTER);
        assert_memory_equal(got, bytes, BEFORE + AFTER);
    }
    sluice_fanout_free(fanout);
    for (int i = 0; i < SINKS; i++) {
        sluice_endpoint_free(sink[i]);
        close(file[i]);
    }
    sluice_endpoint_free(source);
    sluice_context_free(context);
    close(pair[0]);
    close(pair[1]);
    free(bytes);
    free(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(bytes_after_urgent_data_are_not_lost)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
