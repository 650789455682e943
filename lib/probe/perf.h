/* SPDX-License-Identifier: MIT */
/* perf_event_open(2): an event of this thread, and the records that it leaves. */
#ifndef SLUICE_PERF_H
#define SLUICE_PERF_H

#include <linux/perf_event.h>
#include <stdint.h>

struct perf_event {
    int fd;
    struct perf_event_mmap_page *page; /* NULL: it only counts */
};

/* ring: pages of records, a power of two; 0: it only counts. The event is made disabled. Returns 0
 * or a negative errno. */
int perf_open(struct perf_event *event, struct perf_event_attr *attributes, unsigned ring);
void perf_close(struct perf_event *event);

void perf_start(const struct perf_event *event);
void perf_stop(const struct perf_event *event);
uint64_t perf_count(const struct perf_event *event);

/* Calls `each` for the body of every sample since the last time. */
void perf_samples(struct perf_event *event, void (*each)(const void *body, void *data), void *data);

#endif
