/* SPDX-License-Identifier: MIT */
#include "child.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

pid_t child_fork(void)
{
    const pid_t parent = getpid(), child = fork();

    if (child != 0)
        return child < 0 ? -errno : child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(0);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    return 0;
}

int child_await(pid_t pid, bool (*stopped)(void))
{
    int status;

    if (pid <= 0)
        return pid;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return errno == ECHILD ? 0 : -errno; /* somebody has waited for it already */
        if (stopped())
            kill(pid, SIGKILL);
    }
    return WIFSIGNALED(status) ? -EINTR : 0;
}

static double seconds_between(struct timeval before, struct timeval after)
{
    return (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_usec - before.tv_usec) / 1e6;
}

double child_cpu(const struct rusage *before, const struct rusage *after)
{
    return seconds_between(before->ru_utime, after->ru_utime) +
           seconds_between(before->ru_stime, after->ru_stime);
}
