/* SPDX-License-Identifier: MIT */
/* Which system calls a relay makes: the seccomp part of the sandbox. */
#ifndef SERVER_SYSCALLS_H
#define SERVER_SYSCALLS_H

/* A sanitizer makes calls of its own, and writes its reports to files: where one is built in, that stays
 * possible. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* From now on every other call fails with EPERM, in all threads. 0; -ENOTSUP: built without libseccomp;
 * or what seccomp(2) said: -EINVAL, -ENOSYS: not in this kernel. */
int syscalls_restrict(void);

#endif
