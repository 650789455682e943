/* SPDX-License-Identifier: MIT */
#include "tests/fault/cases.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PATIENCE = 10,     /* seconds for one case: it takes a millisecond */
    MOST_MESSAGES = 6, /* in a group: one mistake fails hundreds of cases */
    MOST_DEATHS = 5,
};

/* What the child tells its parent. */
static struct report {
    unsigned begun; /* cases of this group that have begun, those of earlier children too */
    unsigned failed;
    unsigned messages;
    unsigned cases[SLUICE_METHOD_COUNT], failures[SLUICE_METHOD_COUNT];
    enum sluice_method method;
    bool has_failed; /* the current case */
    char description[400];
} * report;

/* In the child: cases left out because they were run before, and the current one. */
static unsigned skip, number;

static void start(void)
{
    if (report)
        return;
    report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (report == MAP_FAILED)
        abort();
}

bool case_begin(const char *format, ...)
{
    const struct itimerval patience = {.it_value.tv_sec = PATIENCE};
    va_list arguments;

    if (++number <= skip)
        return false;
    va_start(arguments, format);
    vsnprintf(report->description, sizeof report->description, format, arguments);
    va_end(arguments);
    report->begun = number;
    report->has_failed = false;
    report->method = SLUICE_METHOD_AUTO;
    setitimer(ITIMER_REAL, &patience, NULL); /* SIGALRM ends the child */
    return true;
}

void case_counts_for(enum sluice_method method)
{
    report->method = method;
    report->cases[method]++;
}

static void mark_failed(void)
{
    if (report->has_failed)
        return;
    report->has_failed = true;
    report->failed++;
    report->failures[report->method]++;
}

void case_fail(const char *format, ...)
{
    va_list arguments;

    mark_failed();
    if (report->messages++ >= MOST_MESSAGES)
        return;
    printf("FAIL: %s: ", report->description);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    fflush(stdout);
}

/* Returns whether the child came to the end of its cases. */
static bool run_child(cases_function *group, const void *data)
{
    int status;

    fflush(stdout);
    const pid_t child = fork();
    if (child < 0)
        abort();
    if (child == 0) {
        skip = report->begun;
        number = 0;
        group(data);
        exit(0); /* and not _exit: a leak is looked for now */
    }
    while (waitpid(child, &status, 0) < 0)
        ;
    if (status == 0)
        return true;
    report->messages = 0;
    if (WIFSIGNALED(status))
        case_fail("%s", WTERMSIG(status) == SIGALRM ? "it hangs" : strsignal(WTERMSIG(status)));
    else
        case_fail("the process ended with status %d", WEXITSTATUS(status));
    return false;
}

unsigned cases_run(cases_function *group, const void *data)
{
    unsigned deaths = 0;

    start();
    const unsigned before = report->failed;
    report->begun = report->messages = 0;
    while (!run_child(group, data))
        if (++deaths == MOST_DEATHS) {
            printf("FAIL: too many cases end the process: the rest of the group is not run\n");
            break;
        }
    return report->failed - before;
}

void cases_print(const char *title)
{
    unsigned cases = 0, failures = 0;

    printf("%s, cases by method:", title);
    for (int method = 0; method < SLUICE_METHOD_COUNT; method++) {
        if (report->cases[method])
            printf(" %s %u", sluice_method_name((enum sluice_method)method), report->cases[method]);
        if (report->failures[method])
            printf(" (%u failed)", report->failures[method]);
        cases += report->cases[method];
        failures += report->failures[method];
    }
    printf("; %u in all, %u failed\n", cases, failures);
    memset(report, 0, sizeof *report);
}
