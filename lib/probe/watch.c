/* SPDX-License-Identifier: MIT */
#include "watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../sys.h"
#include "perf.h"
#include "symbols.h"
#include "tracefs.h"

enum { FREQUENCY = 40000, STACK = 32, SAMPLE_RING = 128, TRACE_RING = 16 };

struct watch {
    struct perf_event samples, copies, pages;
    int sampling, tracing; /* 0, or why not: a negative errno */
    unsigned length_at;    /* of the traced record: where its length is */
    uint64_t pages_before;
    struct symbols symbols;
};

/* ---- samples ---- */

struct sample {
    uint64_t ip, depth, address[];
};

struct gathering {
    const struct symbols *symbols;
    struct watched *ret;
};

static void saw(struct watched *ret, const char *name)
{
    for (unsigned i = 0; i < ret->functions; i++)
        if (ret->function[i] == name)
            return;
    if (ret->functions < WATCH_FUNCTIONS)
        ret->function[ret->functions++] = name;
}

/* The innermost function says what the CPU was doing; the outer ones the way it came. */
static void on_sample(const void *body, void *data)
{
    const struct sample *sample = body;
    const struct gathering *gathering = data;
    const struct symbol *inner = symbols_find(gathering->symbols, sample->ip);

    gathering->ret->samples++;
    gathering->ret->in_copy += inner && !inner->wanted;
    for (uint64_t i = 0; i < sample->depth && i < STACK + 2; i++) {
        const struct symbol *outer = symbols_find(gathering->symbols, sample->address[i]);
        if (outer && outer->wanted)
            saw(gathering->ret, outer->wanted);
    }
}

static int open_samples(struct watch *watch, const char *const *wanted)
{
    struct perf_event_attr attributes = {.type = PERF_TYPE_SOFTWARE,
                                         .config = PERF_COUNT_SW_CPU_CLOCK,
                                         .freq = 1,
                                         .sample_freq = FREQUENCY,
                                         .sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_CALLCHAIN,
                                         .exclude_user = 1,
                                         .exclude_callchain_user = 1,
                                         .sample_max_stack = STACK};

    int error = perf_open(&watch->samples, &attributes, SAMPLE_RING);
    while (error == -EINVAL && attributes.sample_freq > 500) { /* it may be limited */
        attributes.sample_freq /= 2;
        error = perf_open(&watch->samples, &attributes, SAMPLE_RING);
    }
    if (error < 0)
        return error;
    error = symbols_read(wanted, &watch->symbols);
    if (error < 0)
        perf_close(&watch->samples);
    return error;
}

/* ---- tracepoints ---- */

static int open_trace(int events, const char *name, unsigned ring, struct perf_event *ret)
{
    struct perf_event_attr attributes = {.sample_period = ring ? 1 : 0,
                                         .sample_type = ring ? PERF_SAMPLE_RAW : 0};
    return tracefs_event(events, name, &attributes, ring, ret);
}

static int open_traces(struct watch *watch)
{
    char format[4096];
    const int events = tracefs_open();

    if (events < 0)
        return events;
    int error = tracefs_read(events, "skb/skb_copy_datagram_iovec/format", format, sizeof format);
    const char *field = error < 0 ? NULL : strstr(format, "int len;");
    if (error == 0 && (!field || sscanf(field, "int len; offset:%u;", &watch->length_at) != 1))
        error = -ENOTSUP;
    if (error == 0)
        error = open_trace(events, "skb/skb_copy_datagram_iovec", TRACE_RING, &watch->copies);
    if (error == 0)
        error = open_trace(events, "kmem/mm_page_alloc", 0, &watch->pages);
    if (error < 0)
        perf_close(&watch->copies);
    close(events);
    return error;
}

struct counting {
    unsigned length_at;
    int64_t bytes;
};

static void on_copy(const void *body, void *data)
{
    struct counting *counting = data;
    uint32_t size;
    int32_t length;

    memcpy(&size, body, sizeof size);
    if (counting->length_at + sizeof length > size)
        return;
    memcpy(&length, (const char *)body + sizeof size + counting->length_at, sizeof length);
    counting->bytes += length;
}

/* ---- both ---- */

int watch_open(const char *const *wanted, struct watch **ret)
{
    struct watch *watch = calloc(1, sizeof *watch);

    if (!watch)
        return -ENOMEM;
    watch->samples.fd = watch->copies.fd = watch->pages.fd = -1;
    watch->sampling = open_samples(watch, wanted);
    watch->tracing = open_traces(watch);
    if (watch->sampling < 0 && watch->tracing < 0) {
        const int error = watch->sampling;
        watch_close(watch);
        return error;
    }
    *ret = watch;
    return 0;
}

int watch_sees(const struct watch *watch, enum sluice_witness witness)
{
    return witness == SLUICE_WITNESS_SAMPLES ? watch->sampling
           : witness == SLUICE_WITNESS_TRACE ? watch->tracing
                                             : -EINVAL;
}

void watch_begin(struct watch *watch)
{
    watch->pages_before = perf_count(&watch->pages);
    perf_start(&watch->copies);
    perf_start(&watch->pages);
    perf_start(&watch->samples);
}

void watch_end(struct watch *watch, struct watched *ret)
{
    struct gathering gathering = {.symbols = &watch->symbols, .ret = ret};
    struct counting counting = {.length_at = watch->length_at};

    perf_stop(&watch->samples);
    perf_stop(&watch->pages);
    perf_stop(&watch->copies);
    perf_samples(&watch->samples, on_sample, &gathering);
    perf_samples(&watch->copies, on_copy, &counting);
    if (watch->tracing < 0) {
        ret->socket_copied = ret->pages = -1;
        return;
    }
    ret->socket_copied += counting.bytes;
    ret->pages += (int64_t)(perf_count(&watch->pages) - watch->pages_before);
}

void watch_close(struct watch *watch)
{
    perf_close(&watch->samples);
    perf_close(&watch->copies);
    perf_close(&watch->pages);
    free(watch);
}
