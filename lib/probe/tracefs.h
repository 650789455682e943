/* SPDX-License-Identifier: MIT */
/* The kernel's tracepoints, as files. */
#ifndef SLUICE_TRACEFS_H
#define SLUICE_TRACEFS_H

#include <stddef.h>

#include "perf.h"

/* Its directory of events: where it is mounted, else of a mount that nobody sees. Returns a descriptor
 * or a negative errno. */
int tracefs_open(void);

/* The text of a file of it. 0 or a negative errno. */
int tracefs_read(int events, const char *path, char *text, size_t size);

/* An event of this thread at a tracepoint ("kmem/mm_page_alloc"): `type` and `config` are filled in;
 * `ring` as in perf_open(). 0 or a negative errno. */
int tracefs_event(int events, const char *name, struct perf_event_attr *attributes, unsigned ring,
                  struct perf_event *ret);

/* The same where it is the only one. */
int tracefs_open_event(const char *name, struct perf_event_attr *attributes, unsigned ring,
                       struct perf_event *ret);

#endif
