/* SPDX-License-Identifier: MIT */
/* Which system calls a relay makes: the seccomp part of the sandbox. */
#ifndef SERVER_SYSCALLS_H
#define SERVER_SYSCALLS_H

/* From now on every other call fails with EPERM, in all threads. 0; -ENOTSUP: built without libseccomp;
 * or what seccomp(2) said: -EINVAL, -ENOSYS: not in this kernel. */
int syscalls_restrict(void);

#endif
