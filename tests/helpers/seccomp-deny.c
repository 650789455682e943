/* SPDX-License-Identifier: MIT */
/*
 * Runs a command for which the named system calls do not exist, as under the seccomp filter of a
 * container: they give ENOSYS, or another errno where one is named. Needs no privilege.
 *
 *     seccomp-deny splice,copy_file_range=EPERM -- COMMAND…
 */
#include <elf.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "errno-names.h"

#if defined(__x86_64__)
#define THIS_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define THIS_ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define THIS_ARCHITECTURE AUDIT_ARCH_RISCV64
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
#define THIS_ARCHITECTURE AUDIT_ARCH_PPC64LE
#elif defined(__s390x__)
#define THIS_ARCHITECTURE AUDIT_ARCH_S390X
#endif

/* clang-format off */
#define CALL(call) {.name = #call, .number = SYS_##call}
static const struct call {
    const char *name;
    long number;
} calls[] = {
    CALL(splice), CALL(tee), CALL(vmsplice), CALL(sendfile), CALL(copy_file_range), CALL(perf_event_open),
    CALL(preadv2), CALL(pwritev2), CALL(recvmsg), CALL(sendmsg), CALL(shutdown),
    CALL(pipe2), CALL(fcntl), CALL(ioctl), CALL(mmap), CALL(madvise),
    CALL(fadvise64), CALL(fallocate), CALL(ftruncate), CALL(fsync), CALL(fdatasync),
    CALL(linkat), CALL(renameat2), CALL(statx), CALL(memfd_create), CALL(io_uring_setup),
    CALL(ppoll), CALL(epoll_create1), CALL(eventfd2), CALL(timerfd_create), CALL(signalfd4),
    CALL(getrandom), CALL(getrusage), CALL(mlockall), CALL(io_uring_enter),
    CALL(landlock_create_ruleset),
#ifdef SYS_poll
    CALL(poll),
#endif
#ifdef SYS_cachestat
    CALL(cachestat),
#endif
};
/* clang-format on */

enum { CALLS = sizeof calls / sizeof calls[0], PROGRAM = 5 + 2 * CALLS };

static const struct call *call_from_name(const char *name)
{
    for (size_t i = 0; i < CALLS; i++)
        if (strcmp(calls[i].name, name) == 0)
            return &calls[i];
    return NULL;
}

/* Adds "if the call is this one, return this errno"; 0, or -1 where the rule makes no sense. */
static int add_rule(struct sock_fprog *program, char *rule)
{
    char *error_name = strchr(rule, '=');
    if (error_name)
        *error_name++ = '\0';
    const struct call *call = call_from_name(rule);
    const int error = error_name ? errno_from_name(error_name) : ENOSYS;
    if (!call || error == 0) {
        fprintf(stderr, "seccomp-deny: no such %s: '%s'\n", call ? "errno" : "system call",
                call ? error_name : rule);
        return -1;
    }
    if (program->len + 3 > PROGRAM) {
        fputs("seccomp-deny: too many rules\n", stderr);
        return -1;
    }
    program->filter[program->len++] =
        (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call->number, 0, 1);
    program->filter[program->len++] = (struct sock_filter)BPF_STMT(
        BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ((unsigned)error & SECCOMP_RET_DATA));
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 4 || strcmp(argv[2], "--") != 0) {
        fputs("usage: seccomp-deny CALL[=ERRNO][,…] -- COMMAND…\n", stderr);
        return 2;
    }

    /* Call numbers mean something for one architecture only; a call by another's is let through. */
    struct sock_filter filter[PROGRAM] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, THIS_ARCHITECTURE, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    };
    struct sock_fprog program = {.len = 4, .filter = filter};

    char *rest = argv[1];
    for (char *rule; (rule = strsep(&rest, ",")) != NULL;)
        if (add_rule(&program, rule) < 0)
            return 2;
    filter[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0) {
        perror("seccomp-deny: the filter was refused");
        return 125;
    }
    execvp(argv[3], argv + 3);
    fprintf(stderr, "seccomp-deny: cannot run '%s': %s\n", argv[3], strerror(errno));
    return 127;
}
