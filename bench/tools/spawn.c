// SPDX-License-Identifier: MIT
/*
 * Starts programs in turn and times each, from the start to its end:
 *
 *     spawn ROUNDS OUTPUT -- PROGRAM [ARGUMENT...] -- PROGRAM [ARGUMENT...] ...
 *
 * Standard output goes to OUTPUT, truncated for each. Prints a line for each program of each round:
 * its number, wall time and CPU time, both in microseconds. In C, because a harness in Python would
 * add a tenth of what is measured.
 */
#include <err.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST_PROGRAMS = 16 };

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static double cpu_us(const struct rusage *usage)
{
    struct timeval sum;
    timeradd(&usage->ru_utime, &usage->ru_stime, &sum);
    return (double)sum.tv_sec * 1e6 + (double)sum.tv_usec;
}

/* Cuts the arguments at each "--" into programs, and returns how many there are. */
static size_t split(char **arguments, char **programs[MOST_PROGRAMS])
{
    size_t count = 0;
    for (char **at = arguments; *at; at++) {
        if (strcmp(*at, "--") != 0)
            continue;
        *at = NULL;
        if (count == MOST_PROGRAMS || !at[1])
            errx(2, "too many programs, or one without a name");
        programs[count++] = at + 1;
    }
    return count;
}

static void run(size_t number, char **program, const posix_spawn_file_actions_t *actions)
{
    pid_t pid;
    int status;
    struct rusage usage;
    double start = now_us();
    if (posix_spawn(&pid, program[0], actions, NULL, program, environ) != 0)
        errx(1, "cannot start %s", program[0]);
    if (wait4(pid, &status, 0, &usage) != pid)
        err(1, "wait4");
    double end = now_us();
    if (status != 0)
        errx(1, "%s failed", program[0]);
    printf("%zu %.1f %.1f\n", number, end - start, cpu_us(&usage));
}

int main(int argc, char **argv)
{
    if (argc < 5)
        errx(2, "usage: spawn ROUNDS OUTPUT -- PROGRAM [ARGUMENT...] -- ...");
    char **programs[MOST_PROGRAMS];
    size_t count = split(argv + 3, programs);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, argv[2], O_WRONLY | O_CREAT | O_TRUNC,
                                     0600);
    long rounds = strtol(argv[1], NULL, 0);
    for (long round = 0; round < rounds; round++)
        for (size_t i = 0; i < count; i++) {
            size_t number = (i + (size_t)round) % count;
            run(number, programs[number], &actions);
        }
    return 0;
}
