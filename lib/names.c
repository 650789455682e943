/* SPDX-License-Identifier: MIT */
/* The words for the enumerations of the interface, in one place. */
#include <errno.h>
#include <string.h>

#include "sluice.h"

#define NAME(table, value)                                                                         \
    ((size_t)(value) < sizeof(table) / sizeof *(table) && (table)[value] ? (table)[value] : "?")

static const char *const kinds[] = {
    [SLUICE_KIND_OTHER] = "other",   [SLUICE_KIND_REGULAR] = "regular",
    [SLUICE_KIND_BLOCK] = "block",   [SLUICE_KIND_PIPE] = "pipe",
    [SLUICE_KIND_STREAM] = "stream", [SLUICE_KIND_DATAGRAM] = "datagram",
    [SLUICE_KIND_CHAR] = "char",     [SLUICE_KIND_TERMINAL] = "terminal",
};

static const char *const methods[SLUICE_METHOD_COUNT] = {
    [SLUICE_METHOD_AUTO] = "auto",
    [SLUICE_METHOD_REFLINK] = "reflink",
    [SLUICE_METHOD_COPY_RANGE] = "copy-range",
    [SLUICE_METHOD_SENDFILE] = "sendfile",
    [SLUICE_METHOD_SPLICE] = "splice",
    [SLUICE_METHOD_MMAP_WRITE] = "mmap-write",
    [SLUICE_METHOD_READ_WRITE] = "read-write",
    [SLUICE_METHOD_DIRECT] = "direct",
};

static const char *const classes[] = {
    [SLUICE_CLASS_OFFLOAD] = "offload",
    [SLUICE_CLASS_REFERENCE] = "reference",
    [SLUICE_CLASS_DMA] = "dma",
    [SLUICE_CLASS_KERNEL_COPY] = "kernel-copy",
    [SLUICE_CLASS_USER_COPY] = "user-copy",
    [SLUICE_CLASS_MAP] = "map",
};

static const char *const knowns[] = {
    [SLUICE_EXPECTED] = "expected",
    [SLUICE_PROVEN] = "proven",
};

static const char *const sides[] = {
    [SLUICE_SIDE_SETUP] = "setup",
    [SLUICE_SIDE_SOURCE] = "source",
    [SLUICE_SIDE_SINK] = "sink",
    [SLUICE_SIDE_PIPE] = "pipe",
};

static const char *const slows[] = {
    [SLUICE_SLOW_WAIT] = "wait",
    [SLUICE_SLOW_DROP] = "drop",
    [SLUICE_SLOW_DETACH] = "detach",
    [SLUICE_SLOW_SPILL] = "spill",
};

const char *sluice_slow_name(enum sluice_slow slow)
{
    return NAME(slows, slow);
}

const char *sluice_kind_name(enum sluice_kind kind)
{
    return NAME(kinds, kind);
}

const char *sluice_method_name(enum sluice_method method)
{
    return NAME(methods, method);
}

const char *sluice_class_name(enum sluice_class class_)
{
    return NAME(classes, class_);
}

const char *sluice_known_name(enum sluice_known known)
{
    return NAME(knowns, known);
}

const char *sluice_side_name(enum sluice_side side)
{
    return NAME(sides, side);
}

int sluice_method_from_name(const char *name, enum sluice_method *ret)
{
    for (int method = 0; method < SLUICE_METHOD_COUNT; method++)
        if (strcmp(methods[method], name) == 0) {
            *ret = (enum sluice_method)method;
            return 0;
        }
    return -EINVAL;
}

#define STRING(x)       #x
#define DOTTED(a, b, c) STRING(a) "." STRING(b) "." STRING(c)

const char *sluice_version(void)
{
    return DOTTED(SLUICE_VERSION_MAJOR, SLUICE_VERSION_MINOR, SLUICE_VERSION_PATCH);
}

static const char *const verdicts[] = {
    [SLUICE_VERDICT_UNKNOWN] = "unknown",     [SLUICE_VERDICT_OFFLOAD] = "offload",
    [SLUICE_VERDICT_REFERENCE] = "reference", [SLUICE_VERDICT_DMA] = "dma",
    [SLUICE_VERDICT_COPIED] = "copied",
};

static const struct {
    enum sluice_witness witness;
    const char *name;
} witnesses[] = {
    {SLUICE_WITNESS_ALIAS, "alias"},       {SLUICE_WITNESS_WORD, "kernel's word"},
    {SLUICE_WITNESS_BLOCK, "block bytes"}, {SLUICE_WITNESS_CACHE, "cache"},
    {SLUICE_WITNESS_TRACE, "trace"},       {SLUICE_WITNESS_SAMPLES, "samples"},
    {SLUICE_WITNESS_COST, "cost"},
};

const char *sluice_verdict_name(enum sluice_verdict verdict)
{
    return NAME(verdicts, verdict);
}

const char *sluice_witness_name(enum sluice_witness witness)
{
    for (size_t i = 0; i < sizeof witnesses / sizeof *witnesses; i++)
        if (witnesses[i].witness == witness)
            return witnesses[i].name;
    return "?";
}
