/* SPDX-License-Identifier: MIT */
#include "counts.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/probe/perf.h"
#include "lib/probe/tracefs.h"

/* ---- by the tracepoint ---- */

struct counting {
    struct perf_event event;
};

static int open_event(struct perf_event *event)
{
    struct perf_event_attr attributes = {.inherit = 1}; /* threads that it starts */
    return tracefs_open_event("raw_syscalls/sys_enter", &attributes, 0, event);
}

int counts_permitted(void)
{
    struct perf_event event;
    const int error = open_event(&event);

    if (error == 0)
        perf_close(&event);
    return error;
}

void counts_begin(struct counting **ret)
{
    struct counting *counting = malloc(sizeof *counting);

    if (counting && open_event(&counting->event) < 0) {
        free(counting);
        counting = NULL;
    }
    *ret = counting;
    if (counting)
        perf_start(&counting->event);
}

void counts_end(struct counting *counting, struct board *board)
{
    if (!counting)
        return;
    perf_stop(&counting->event);
    /* The call that stopped it was counted, and is none of the mover's. */
    const uint64_t calls = perf_count(&counting->event);
    board->calls = calls > 0 ? calls - 1 : 0;
    board->counted = true;
    perf_close(&counting->event);
    free(counting);
}

/* ---- by a tracer ---- */

void counts_be_traced(void)
{
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0)
        raise(SIGSTOP);
}

/* Each call stops twice: where it enters and where it leaves. Which of the two is told by a bit a
 * thread; threads are few. */
struct inside {
    pid_t thread[64];
    bool in[64];
    unsigned count;
};

static bool enters(struct inside *inside, pid_t thread)
{
    unsigned i = 0;

    while (i < inside->count && inside->thread[i] != thread)
        i++;
    if (i == inside->count) {
        if (i == 64)
            return false;
        inside->thread[inside->count++] = thread;
        inside->in[i] = false;
    }
    inside->in[i] = !inside->in[i];
    return inside->in[i];
}

int counts_follow(pid_t child, struct board *board, bool (*stopped)(void))
{
    const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;
    struct inside inside = {0};
    bool begun = false;
    int status;

    for (;;) {
        const pid_t thread = waitpid(begun ? -1 : child, &status, __WALL);
        if (thread < 0 && errno == EINTR) {
            if (stopped())
                kill(child, SIGKILL);
            continue;
        }
        if (thread < 0)
            return -errno;
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (thread != child)
                continue; /* a thread, or a neighbour: its word is on the board */
            board->counted = begun;
            return status;
        }
        const int signal = WSTOPSIG(status);
        if (!begun) {
            begun = ptrace(PTRACE_SETOPTIONS, child, NULL, (void *)options) == 0;
            ptrace(begun ? PTRACE_SYSCALL : PTRACE_DETACH, thread, NULL, NULL);
            continue;
        }
        if (signal == (SIGTRAP | 0x80) && enters(&inside, thread) && atomic_load(&board->moving))
            board->calls++;
        const bool own = signal == (SIGTRAP | 0x80) || signal == SIGTRAP || signal == SIGSTOP;
        ptrace(PTRACE_SYSCALL, thread, NULL, own ? NULL : (void *)(intptr_t)signal);
    }
}
