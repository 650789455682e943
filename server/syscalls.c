/* SPDX-License-Identifier: MIT */
#include "syscalls.h"

#include <errno.h>

#include "config.h"

#ifndef HAVE_SECCOMP

int syscalls_restrict(void)
{
    return -ENOTSUP;
}

#else

#include <linux/sockios.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Always allowed. The kernel notes which calls a filter allows whatever their arguments, and does not
 * run it for those (since Linux 5.11): so moving bytes costs nothing more. */
static const char *const always[] = {
    /* bytes */
    "read", "write", "readv", "writev", "pread64", "pwrite64", "recvfrom", "recvmsg", "recvmmsg",
    "sendto", "sendmsg", "sendmmsg", "splice", "tee", "vmsplice", "sendfile", "copy_file_range",
    /* sockets; no listen: those that there are to be are there */
    "accept4", "connect", "bind", "shutdown", "getsockname", "getpeername", "getsockopt",
    "setsockopt",
    /* descriptors */
    "close", "close_range", "dup", "fcntl", "pipe2", "eventfd2", "fstat", "fstatfs", "newfstatat",
    "statx", "lseek", "openat", "readlinkat", "readlink", "faccessat", "faccessat2", "access",
    "getdents64", "ftruncate", "fallocate", "fadvise64", "fsync", "fdatasync", "sync_file_range",
    "cachestat", "unlink", "unlinkat", "umask",
    /* waiting */
    "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll",
    "select", "pselect6", "timerfd_create", "timerfd_settime", "signalfd4", "nanosleep",
    "clock_nanosleep", "restart_syscall", "futex", "futex_waitv",
    /* memory */
    "munmap", "mremap", "madvise", "brk", "membarrier",
    /* time, and what a process asks of itself */
    "clock_gettime", "clock_getres", "gettimeofday", "time", "times", "getrusage", "getrandom",
    "getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getrlimit", "uname",
    "sysinfo", "getcpu", "sched_getaffinity", "sched_yield", "sched_getparam", "sched_getscheduler",
    /* signals, threads and the end */
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigtimedwait",
    "rt_sigsuspend", "sigaltstack", "setitimer", "timer_create", "timer_settime", "timer_delete",
    "set_robust_list", "set_tid_address", "rseq", "exit", "exit_group"};

/* What a sanitizer needs for its search for leaks, in a process of its own, and for its reports. */
static const char *const by_sanitizers[] = {
    "clone",     "ptrace",   "wait4", "process_vm_readv", "mprotect", "mmap", "prctl", "tgkill",
    "open",      "stat",     "lstat", "getdents",         "dup2",     "pipe", "mkdir", "arch_prctl",
    "setrlimit", "prlimit64"};

/* Allowed if the bits of one argument that are in `mask` are those of `value`: PROT_EXEC alone, say. A
 * call may have several rows, each of which is enough. */
static const struct {
    const char *name;
    unsigned argument;
    uint64_t mask, value;
} sometimes[] = {
    {"socket", 0, UINT32_MAX, AF_INET},
    {"socket", 0, UINT32_MAX, AF_INET6},
    {"socket", 0, UINT32_MAX, AF_UNIX},
    {"socket", 0, UINT32_MAX, AF_NETLINK}, /* getaddrinfo: which addresses have we? */
    {"ioctl", 1, UINT32_MAX, FIONREAD},
    {"ioctl", 1, UINT32_MAX, SIOCOUTQ},
    {"ioctl", 1, UINT32_MAX, SIOCATMARK},
    {"ioctl", 1, UINT32_MAX, FIONBIO},
    {"ioctl", 1, UINT32_MAX, TCGETS}, /* isatty */
    {"mmap", 2, PROT_WRITE | PROT_EXEC, 0},
    {"mmap", 2, PROT_WRITE | PROT_EXEC, PROT_WRITE},
    {"mmap", 2, PROT_WRITE | PROT_EXEC, PROT_EXEC}, /* a library for looking names up */
    {"mprotect", 2, PROT_EXEC, 0},
    {"clone", 0, CLONE_THREAD, CLONE_THREAD},
    {"prlimit64", 2, UINT64_MAX, 0}, /* only to ask */
    {"prctl", 0, UINT32_MAX, PR_SET_NAME},
    {"prctl", 0, UINT32_MAX, 0x53564d41 /* PR_SET_VMA */},
};

#define COUNT(table) (sizeof(table) / sizeof *(table))

/* A call that this architecture has not is no failure: the row is for others. */
static int add(scmp_filter_ctx filter, uint32_t action, const char *name, unsigned conditions,
               struct scmp_arg_cmp condition)
{
    const int number = seccomp_syscall_resolve_name(name);

    if (number == __NR_SCMP_ERROR || number < 0)
        return 0;
    return conditions ? seccomp_rule_add(filter, action, number, 1, condition)
                      : seccomp_rule_add(filter, action, number, 0);
}

static int fill(scmp_filter_ctx filter)
{
    const struct scmp_arg_cmp none = {0};
    int error = 0;

    for (size_t i = 0; i < COUNT(always) && error == 0; i++)
        error = add(filter, SCMP_ACT_ALLOW, always[i], 0, none);
    for (size_t i = 0; SANITIZED && i < COUNT(by_sanitizers) && error == 0; i++)
        error = add(filter, SCMP_ACT_ALLOW, by_sanitizers[i], 0, none);
    for (size_t i = 0; i < COUNT(sometimes) && error == 0; i++)
        error = add(filter, SCMP_ACT_ALLOW, sometimes[i].name, 1,
                    SCMP_CMP64(sometimes[i].argument, SCMP_CMP_MASKED_EQ, sometimes[i].mask,
                               sometimes[i].value));
    /* To ourselves alone: abort(), and to die of a signal. */
    const uint64_t self = (uint64_t)getpid();
    if (error == 0)
        error = add(filter, SCMP_ACT_ALLOW, "kill", 1, SCMP_CMP64(0, SCMP_CMP_EQ, self));
    if (error == 0)
        error = add(filter, SCMP_ACT_ALLOW, "tgkill", 1, SCMP_CMP64(0, SCMP_CMP_EQ, self));
    /* Its flags are in memory, where no filter can see them: the C library then takes clone(). */
    if (error == 0)
        error = add(filter, SCMP_ACT_ERRNO(ENOSYS), "clone3", 0, none);
    return error;
}

int syscalls_restrict(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));

    if (!filter)
        return -ENOMEM;
    int error = fill(filter);
    if (error == 0)
        error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (error == 0)
        error = seccomp_attr_set(filter, SCMP_FLTATR_API_SYSRAWRC, 1);
    if (error == 0)
        error = seccomp_load(filter);
    seccomp_release(filter);
    return error < 0 ? error : 0;
}

#endif
