/* SPDX-License-Identifier: MIT */
#include "tests/fault/pairs.h"

#include <stdio.h>

static const struct {
    enum end_kind source, sink;
} pairs[] = {
    {END_FILE, END_FILE},      {END_FILE, END_PIPE},   {END_FILE, END_TCP},
    {END_FILE, END_UNIX},      {END_FILE, END_NULL},   {END_FILE, END_APPEND},
    {END_FILE, END_DGRAM},     {END_DISK, END_DISK},   {END_DISK, END_FILE},
    {END_PIPE, END_FILE},      {END_PIPE, END_PIPE},   {END_PIPE, END_TCP},
    {END_PIPE, END_UNIX},      {END_PIPE, END_NULL},   {END_TCP, END_FILE},
    {END_TCP, END_PIPE},       {END_TCP, END_TCP},     {END_UNIX, END_UNIX},
    {END_UNIX, END_FILE},      {END_UDP, END_FILE},    {END_DGRAM, END_DGRAM},
    {END_SEQPACKET, END_UNIX}, {END_UNIX, END_UDP},    {END_ZERO, END_FILE},
    {END_DIRECT, END_FILE},    {END_FILE, END_DIRECT},
};

struct job pairs_job(enum end_kind source, enum end_kind sink, enum sluice_method method,
                     bool steps)
{
    struct job job = {
        .source = source, .sink = sink, .method = method, .own_offsets = steps, .steps = steps};

    if (source == END_DIRECT || sink == END_DIRECT)
        job.chunk = 8192;
    else if (end_has_offset(source) && end_has_offset(sink))
        job.chunk = 8000;
    else
        job.chunk = 5000;
    job.length = 5 * (size_t)job.chunk;
    job.message = job.chunk;
    if (sink == END_PIPE)
        job.capacity = 1 << 20; /* slots for many short pieces */
    return job;
}

static unsigned run_pair(cases_function *group, enum end_kind source, enum end_kind sink)
{
    enum sluice_method methods[SLUICE_METHOD_COUNT];
    struct job job = pairs_job(source, sink, SLUICE_METHOD_AUTO, false);
    unsigned failed = 0;

    if (!end_exists(source) || !end_exists(sink)) {
        printf("SKIP: no O_DIRECT in $TMPDIR\n");
        return 0;
    }
    const unsigned count = job_methods(&job, methods);
    failed += cases_run(group, &job);
    job = pairs_job(source, sink, SLUICE_METHOD_AUTO, true);
    failed += cases_run(group, &job);
    for (unsigned i = 0; i < count; i++) {
        job = pairs_job(source, sink, methods[i], i % 2);
        failed += cases_run(group, &job);
    }
    return failed;
}

unsigned pairs_run(cases_function *group)
{
    unsigned failed = 0;

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        failed += run_pair(group, pairs[i].source, pairs[i].sink);
    return failed;
}
