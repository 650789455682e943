/* SPDX-License-Identifier: MIT */
/* Processes of a measurement. */
#ifndef MEASURE_CHILD_H
#define MEASURE_CHILD_H

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

/* fork(2): the child ends with its parent, however that ends, and of a signal as any program. Returns its
 * pid, 0 in the child, or a negative errno. */
pid_t child_fork(void);

/* Waits until it has ended; `stopped` says that it is to be killed. 0; -EINTR, it was killed; or a
 * negative errno. 0 and nothing is waited for where pid is not above 0. */
int child_await(pid_t pid, bool (*stopped)(void));

/* CPU seconds of it. */
double child_cpu(const struct rusage *before, const struct rusage *after);

#endif
