/* SPDX-License-Identifier: MIT */
#include "stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/endpoint.h"
#include "lib/sys.h"
#include "ways.h"

enum { BLOCK = 1 << 20 };

/* ---- bytes ---- */

/* No file system can compress them or share them. */
static void noise(char *bytes, size_t length, uint64_t *state)
{
    for (size_t at = 0; at + sizeof *state <= length; at += sizeof *state) {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        memcpy(bytes + at, state, sizeof *state);
    }
}

static int fill(int fd, uint64_t size)
{
    char *block;
    uint64_t state = 88172645463325252u;
    int error = buffers_new(BLOCK / DEPTH, &block);

    for (uint64_t at = 0; at < size && error == 0;) {
        noise(block, BLOCK, &state);
        const ssize_t written = sys_pwrite(fd, block, BLOCK, (int64_t)at);
        if (written < 0 && written != -EINTR)
            error = (int)written;
        at += written > 0 ? (uint64_t)written : 0;
    }
    free(block);
    return error;
}

/* ---- opening ---- */

static int open_memory(struct stage *stage)
{
    void *pages;

    stage->memory = fd_above_standard(memfd_create("sluice-bench", MFD_CLOEXEC));
    if (stage->memory < 0)
        return stage->memory == -1 ? -errno : stage->memory;
    int error = sys_ftruncate(stage->memory, (int64_t)stage->size);
    if (error == 0)
        error = fill(stage->memory, stage->size);
    if (error == 0)
        error =
            sys_mmap(stage->size, PROT_READ, MAP_SHARED | MAP_POPULATE, stage->memory, 0, &pages);
    if (error == 0)
        stage->mapped = pages;
    return error;
}

/* Room for the source and for a whole sink. */
static int open_files(struct stage *stage)
{
    enum { LEAST = 1 << 20 };
    int error = -ENOSPC;

    int *const files[] = {&stage->source, &stage->cold_source, &stage->sink};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        *files[i] = place_scratch(&stage->place);
        if (*files[i] < 0)
            return *files[i];
    }
    for (; stage->size >= LEAST; stage->size /= 2) {
        stage->cold_size = stage->size / 4 < LEAST ? LEAST : stage->size / 4;
        error = fill(stage->source, stage->size);
        if (error == 0)
            error = fill(stage->cold_source, stage->cold_size);
        if (error == 0)
            error = sys_fallocate(stage->sink, 0, 0, (int64_t)stage->size);
        if (error == -EOPNOTSUPP)
            error = 0; /* then we shall see */
        sys_ftruncate(stage->sink, 0);
        if (error != -ENOSPC && error != -EDQUOT && error != -EFBIG)
            break;
        sys_ftruncate(stage->source, (int64_t)(stage->size / 2));
        sys_ftruncate(stage->cold_source, 0);
    }
    return error;
}

static void close_files(struct stage *stage)
{
    int *const files[] = {&stage->source, &stage->cold_source, &stage->sink};

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (*files[i] >= 0)
            sys_close(*files[i]);
        *files[i] = -1;
    }
}

int stage_open(struct stage *stage, const char *directory, uint64_t size)
{
    stage->source = stage->cold_source = stage->sink = stage->memory = -1;
    stage->size = stage->wanted = size;
    int error = place_open(directory, &stage->place);
    if (error < 0) {
        stage->place.directory = -1;
        stage->place.path = NULL;
        return error;
    }
    const int files = open_files(stage);
    if (files < 0) {
        close_files(stage);
        stage->size = size;
    }
    error = open_memory(stage);
    if (error == 0 && files == 0) {
        fsync(stage->cold_source);
        stage->cold = stage_warm(stage, WARMTH_COLD, stage->cold_size) == 0;
    } else if (files < 0) {
        snprintf(stage->not_cold, sizeof stage->not_cold, "there is no file");
    }
    return error < 0 ? error : files;
}

void stage_close(struct stage *stage)
{
    if (stage->mapped)
        sys_munmap((char *)(uintptr_t)stage->mapped, stage->size);
    if (stage->memory >= 0)
        sys_close(stage->memory);
    close_files(stage);
    if (stage->place.path)
        place_close(&stage->place);
}

/* ---- hot and cold ---- */

static int64_t cached(int fd, uint64_t bytes)
{
    uint64_t pages;
    return fd >= 0 && sys_cachestat(fd, 0, bytes, &pages) == 0
               ? (int64_t)pages * sysconf(_SC_PAGESIZE)
               : -1;
}

int stage_source(const struct stage *stage, enum warmth warmth)
{
    return warmth == WARMTH_HOT ? stage->source : stage->cold_source;
}

int64_t stage_cached(const struct stage *stage, enum warmth warmth)
{
    const int64_t source = cached(stage_source(stage, warmth), stage->size);
    const int64_t sink = cached(stage->sink, stage->size);
    return source < 0 || sink < 0 ? -1 : source + sink;
}

/* Where nobody counts pages (before Linux 6.5): a byte here and there, if it is there already. */
static bool is_cold(const struct stage *stage, uint64_t bytes)
{
    const int64_t there = cached(stage->cold_source, bytes);

    if (there >= 0)
        return (uint64_t)there <= bytes / 64;
    for (uint64_t at = 0; at < bytes; at += bytes / 16 + 1)
        if (sys_pread_nowait(stage->cold_source, (int64_t)at) != -EAGAIN)
            return false;
    return true;
}

/* A file that was written past the page cache was never in it. */
static int fill_directly(struct stage *stage)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", stage->cold_source);
    const int direct = fd_above_standard(sys_open(path, O_WRONLY | O_DIRECT | O_CLOEXEC));

    if (direct < 0)
        return direct;
    sys_ftruncate(stage->cold_source, 0);
    int error = fill(direct, stage->cold_size);
    sys_close(direct);
    if (error < 0) /* it must not stay short */
        fill(stage->cold_source, stage->cold_size);
    return error;
}

static int chill(struct stage *stage, uint64_t bytes)
{
    sys_fadvise(stage->cold_source, 0, 0, POSIX_FADV_DONTNEED);
    if (is_cold(stage, bytes))
        return 0;
    const int error = fill_directly(stage);
    if (is_cold(stage, bytes))
        return 0;
    snprintf(stage->not_cold, sizeof stage->not_cold, "%s",
             error < 0 ? strerror(-error) : "its pages stay in memory, whatever is asked");
    return -EOPNOTSUPP;
}

static int warm(const struct stage *stage, uint64_t bytes)
{
    char *block = malloc(BLOCK);
    int error = block ? 0 : -ENOMEM;

    for (uint64_t at = 0; at < bytes && error == 0;) {
        const ssize_t got = sys_pread(stage->source, block, BLOCK, (int64_t)at);
        if (got <= 0 && got != -EINTR)
            error = got < 0 ? (int)got : -EIO;
        at += got > 0 ? (uint64_t)got : 0;
    }
    free(block);
    return error;
}

int stage_warm(struct stage *stage, enum warmth warmth, uint64_t bytes)
{
    if (warmth != WARMTH_HOT)
        return chill(stage, bytes);
    return cached(stage->source, bytes) >= (int64_t)bytes ? 0 : warm(stage, bytes);
}
