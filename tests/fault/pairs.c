/* SPDX-License-Identifier: MIT */
#include "tests/fault/pairs.h"

#include <stdio.h>

/* A large pipe is not spliced straight into, and has slots for many short pieces. */
enum { LARGE = 1 << 20 };

static const struct {
    enum end_kind source, sink;
    size_t capacity;
} pairs[] = {
    {END_FILE, END_FILE, 0},      {END_FILE, END_PIPE, 0},     {END_FILE, END_PIPE, LARGE},
    {END_FILE, END_TCP, 0},       {END_FILE, END_UNIX, 0},     {END_FILE, END_NULL, 0},
    {END_FILE, END_APPEND, 0},    {END_FILE, END_DGRAM, 0},    {END_DISK, END_DISK, 0},
    {END_DISK, END_FILE, 0},      {END_PIPE, END_FILE, 0},     {END_PIPE, END_PIPE, 0},
    {END_PIPE, END_PIPE, LARGE},  {END_PIPE, END_TCP, 0},      {END_PIPE, END_UNIX, 0},
    {END_PIPE, END_NULL, 0},      {END_PIPE, END_NULL, LARGE}, {END_TCP, END_FILE, 0},
    {END_TCP, END_PIPE, 0},       {END_TCP, END_TCP, 0},       {END_UNIX, END_UNIX, 0},
    {END_UNIX, END_FILE, 0},      {END_UDP, END_FILE, 0},      {END_DGRAM, END_DGRAM, 0},
    {END_SEQPACKET, END_UNIX, 0}, {END_UNIX, END_UDP, 0},      {END_ZERO, END_FILE, 0},
    {END_DIRECT, END_FILE, 0},    {END_FILE, END_DIRECT, 0},   {END_DISK, END_PIPE, 0},
    {END_DISK, END_TCP, 0},       {END_PIPE, END_DISK, 0},     {END_UNIX, END_DISK, 0},
};

struct job pairs_job(enum end_kind source, enum end_kind sink, enum sluice_method method,
                     bool steps)
{
    struct job job = {
        .source = source, .sink = sink, .method = method, .own_offsets = steps, .steps = steps};

    if (source == END_DIRECT || sink == END_DIRECT || method == SLUICE_METHOD_DIRECT)
        job.chunk = 8192;
    else if (end_has_offset(source) && end_has_offset(sink))
        job.chunk = 8000;
    else
        job.chunk = 5000;
    job.length = 5 * (size_t)job.chunk;
    job.message = job.chunk;
    return job;
}

static unsigned run_job(cases_function *group, struct job job, size_t capacity)
{
    job.capacity = capacity;
    return cases_run(group, &job);
}

static unsigned run_pair(cases_function *group, enum end_kind source, enum end_kind sink,
                         size_t capacity)
{
    enum sluice_method methods[SLUICE_METHOD_COUNT];
    const struct job job = pairs_job(source, sink, SLUICE_METHOD_AUTO, false);
    unsigned failed = 0;

    if (!end_exists(source) || !end_exists(sink)) {
        printf("SKIP: no O_DIRECT in $TMPDIR\n");
        return 0;
    }
    const unsigned count = job_methods(&job, methods);
    failed += run_job(group, job, capacity);
    failed += run_job(group, pairs_job(source, sink, SLUICE_METHOD_AUTO, true), capacity);
    for (unsigned i = 0; i < count; i++)
        failed += run_job(group, pairs_job(source, sink, methods[i], i % 2), capacity);
    return failed;
}

unsigned pairs_run(cases_function *group)
{
    unsigned failed = 0;

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        failed += run_pair(group, pairs[i].source, pairs[i].sink, pairs[i].capacity);
    return failed;
}
