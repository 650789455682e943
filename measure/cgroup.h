/* SPDX-License-Identifier: MIT */
/* A group of processes whose memory, the page cache among it, is limited. Its directory goes away when
 * its maker ends, however that ends. */
#ifndef MEASURE_CGROUP_H
#define MEASURE_CGROUP_H

#include <stdint.h>
#include <sys/types.h>

struct cgroup {
    char path[512];
    int alive;     /* a pipe's end: closed when its maker ends */
    pid_t janitor; /* who then removes it */
};

/* Below the cgroup of this process: version 2, or the memory controller of version 1. Returns 0 or a
 * negative errno. */
int cgroup_new(uint64_t limit, struct cgroup *ret);
int cgroup_join(const struct cgroup *cgroup);
/* Once its processes have ended. */
void cgroup_free(struct cgroup *cgroup);

#endif
