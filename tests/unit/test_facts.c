/* SPDX-License-Identifier: MIT */
/* What a probe says of the machine is what others say of it. */
#include <fcntl.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "sluice.h"

static sluice_probe *probe;

static int measure(void **state)
{
    const char *const temporary = getenv("TMPDIR"), *directory = temporary ? temporary : "/var/tmp";
    const struct sluice_probe_options options = {.size = sizeof options,
                                                 .flags = SLUICE_PROBE_QUICK | SLUICE_PROBE_FACTS |
                                                          SLUICE_PROBE_HAZARDS,
                                                 .directories = 1,
                                                 .directory = &directory};
    (void)state;
    assert_int_equal(sluice_probe_new(&probe), 0);
    assert_int_equal(sluice_probe_run(probe, NULL, &options), 0);
    return 0;
}

static int let_go(void **state)
{
    (void)state;
    sluice_probe_free(probe);
    return 0;
}

/* The fact of that group, or of one that begins so, and name. */
static struct sluice_fact fact_of(const char *group, const char *name)
{
    struct sluice_fact fact = {.size = sizeof fact};

    for (unsigned i = 0; sluice_probe_fact(probe, i, &fact) == 0; i++)
        if (strncmp(fact.group, group, strlen(group)) == 0 && strcmp(fact.name, name) == 0)
            return fact;
    fail_msg("no fact '%s: %s'", group, name);
    return fact;
}

static long number_in(const char *path)
{
    FILE *file = fopen(path, "re");
    long number = -1;

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld", &number), 1);
    fclose(file);
    return number;
}

static void limits_are_the_kernels(void **state)
{
    struct rlimit limit;

    (void)state;
    assert_int_equal(fact_of("pipes", "largest").number, number_in("/proc/sys/fs/pipe-max-size"));
    assert_int_equal(fact_of("pipes", "soft limit of a user").number,
                     number_in("/proc/sys/fs/pipe-user-pages-soft"));
    assert_int_equal(fact_of("memory", "page").number, sysconf(_SC_PAGESIZE));
    assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
    const struct sluice_fact locked = fact_of("memory", "RLIMIT_MEMLOCK");
    assert_true(limit.rlim_cur == RLIM_INFINITY ? locked.number == -1
                                                : locked.number == (int64_t)limit.rlim_cur);
}

static void a_new_pipe_is_what_it_says(void **state)
{
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(fact_of("pipes", "a new one has").number, fcntl(fds[0], F_GETPIPE_SZ));
    assert_true(fact_of("pipes", "left of the budget").number >= 0);
    close(fds[0]);
    close(fds[1]);
}

static void every_interface_is_told(void **state)
{
    struct if_nameindex *interfaces = if_nameindex();
    char path[128], group[64];

    (void)state;
    assert_non_null(interfaces);
    for (const struct if_nameindex *each = interfaces; each->if_name; each++) {
        snprintf(group, sizeof group, "interface %s", each->if_name);
        snprintf(path, sizeof path, "/sys/class/net/%s/mtu", each->if_name);
        if (access(path, R_OK) == 0)
            assert_int_equal(fact_of(group, "MTU").number, number_in(path));
        assert_true(strlen(fact_of(group, "means").text) > 0);
    }
    if_freenameindex(interfaces);
}

static void calls_that_work_are_said_to(void **state)
{
    static const char *const calls[] = {"splice", "tee", "vmsplice", "sendfile", "copy_file_range"};

    (void)state;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        assert_int_equal(fact_of("calls", calls[i]).number, 1);
}

/* What a file's pages become in a pipe: the numbers differ by file system, not that they change. */
static void hazards_are_told(void **state)
{
    struct sluice_fact fact = {.size = sizeof fact};
    unsigned told = 0;

    (void)state;
    for (unsigned i = 0; sluice_probe_fact(probe, i, &fact) == 0; i++) {
        if (!strstr(fact.group, "in a pipe"))
            continue;
        told++;
        assert_true(fact.error < 0 || (fact.number >= 0 && fact.number <= 16384));
        if (strstr(fact.name, "closed"))
            assert_int_equal(fact.number, 0);
    }
    assert_int_equal(told, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_are_the_kernels),  cmocka_unit_test(a_new_pipe_is_what_it_says),
        cmocka_unit_test(every_interface_is_told), cmocka_unit_test(calls_that_work_are_said_to),
        cmocka_unit_test(hazards_are_told),
    };
    return cmocka_run_group_tests(tests, measure, let_go);
}
