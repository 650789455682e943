/* SPDX-License-Identifier: MIT */
/*
 * An ordinary user whose budget of pipe pages is spent gets pipes of a page or two, and
 * F_SETPIPE_SZ says EPERM: transfers go on with those.
 *
 * serial: it spends the budget of a whole user
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/pipe.h"
#include "tests/unit/rig.h"

static char bytes[300000];

/* A user whom nobody else is, so that nobody else is short of pipes. */
enum { LONELY = 64123 };

static void become_ordinary(void)
{
    if (geteuid() != 0)
        return;
    if (setgroups(0, NULL) < 0 || setresgid(LONELY, LONELY, LONELY) < 0 ||
        setresuid(LONELY, LONELY, LONELY) < 0)
        abort();
}

static void spend_the_budget(void)
{
    const struct rlimit many = {4096, 4096};
    int fds[2];

    setrlimit(RLIMIT_NOFILE, &many);
    for (int i = 0; i < 1500; i++) {
        if (pipe2(fds, O_CLOEXEC) < 0)
            abort();
        /* Within the budget a pipe can have 1 MiB; beyond it, it begins with less than 64 KiB. */
        if (fcntl(fds[1], F_SETPIPE_SZ, 1 << 20) < 0 && fcntl(fds[1], F_GETPIPE_SZ) < 65536)
            return;
    }
    abort();
}

/* Runs a check in a process that is an ordinary user's with nothing left. */
static void run_poor(void (*check)(void))
{
    int status;
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        become_ordinary();
        spend_the_budget();
        check();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void check_pool(void)
{
    struct pipe_pool pool = {.max_count = 4, .max_idle = 4};
    struct pipe *pipe;

    if (pipe_get(&pool, 1 << 20, &pipe) != 0)
        _exit(2);
    if (pipe->capacity >= 65536 || (int)pipe->capacity != fcntl(pipe->read_end, F_GETPIPE_SZ))
        _exit(3);
    pipe_put(&pool, pipe);
    struct pipe *again;
    if (pipe_get(&pool, 1 << 20, &again) != 0 || again != pipe) /* it is as good as it gets */
        _exit(4);
    pipe_put(&pool, again);
    pipe_pool_close(&pool);
}

static void a_pool_without_a_budget_has_small_pipes(void **state)
{
    (void)state;
    run_poor(check_pool);
}

static void check_transfers(void)
{
    static const enum end_kind sources[] = {END_FILE, END_UNIX, END_TCP};
    static const enum end_kind sinks[] = {END_FILE, END_UNIX, END_TCP};
    static char got[sizeof bytes + 1];

    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++) {
            const struct end_options options = {.open = true, .capacity = 1 << 16};
            struct sluice_options transfer_options = SLUICE_OPTIONS_INIT;
            struct rig rig = {0};
            const bool file = sources[i] == END_FILE;
            size_t fed = file ? sizeof bytes : 0, done = 0;
            int step;

            transfer_options.method = SLUICE_METHOD_SPLICE;
            end_open_source(&rig.source, sources[i], bytes, fed, &options);
            end_open_sink(&rig.sink, sinks[k], &options);
            rig_start(&rig, &transfer_options);
            do {
                fed += file ? 0 : end_feed(&rig.source, bytes + fed, sizeof bytes - fed);
                if (fed == sizeof bytes)
                    end_finish(&rig.source);
                step = rig_step(&rig, 0);
                done += end_drain(&rig.sink, got + done, 20000);
            } while (step > 0);
            if (step != SLUICE_DONE)
                _exit(5);
            if (rig_ledger(&rig).pipe_got >= 65536 || rig_ledger(&rig).pipe_got == 0 ||
                rig_ledger(&rig).pipe_got >= rig_ledger(&rig).pipe_asked)
                _exit(6);
            done += sinks[k] == END_FILE ? end_received(&rig.sink, got, sizeof got)
                                         : end_received(&rig.sink, got + done, sizeof got - done);
            if (done != sizeof bytes || memcmp(got, bytes, done) != 0)
                _exit(7);
            rig_stop(&rig);
        }
}

static void transfers_without_a_budget_lose_nothing(void **state)
{
    (void)state;
    pattern(bytes, sizeof bytes, 0);
    run_poor(check_transfers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pool_without_a_budget_has_small_pipes),
        cmocka_unit_test(transfers_without_a_budget_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
