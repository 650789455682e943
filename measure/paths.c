/* SPDX-License-Identifier: MIT */
#include "paths.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ways.h"

#define STREAMS (END_PIPE | END_TCP | END_UNIX)
#define SINKS   (END_FILE | STREAMS)

/* The most important first: where time runs short, the last are left out. */
static const struct path paths[] = {
    {"file-tcp", END_FILE, END_TCP},       {"file-pipe", END_FILE, END_PIPE},
    {"file-file", END_FILE, END_FILE},     {"tcp-file", END_TCP, END_FILE},
    {"tcp-tcp", END_TCP, END_TCP},         {"pipe-file", END_PIPE, END_FILE},
    {"memory-tcp", END_MEMORY, END_TCP},   {"memory-pipe", END_MEMORY, END_PIPE},
    {"file-unix", END_FILE, END_UNIX},     {"pipe-tcp", END_PIPE, END_TCP},
    {"pipe-pipe", END_PIPE, END_PIPE},     {"tcp-pipe", END_TCP, END_PIPE},
    {"unix-file", END_UNIX, END_FILE},     {"unix-unix", END_UNIX, END_UNIX},
    {"memory-unix", END_MEMORY, END_UNIX}, {"memory-file", END_MEMORY, END_FILE},
    {"file-memory", END_FILE, END_MEMORY}, {"pipe-memory", END_PIPE, END_MEMORY},
    {"tcp-memory", END_TCP, END_MEMORY},   {"unix-memory", END_UNIX, END_MEMORY},
};
enum { PATHS = sizeof paths / sizeof *paths, PATHS_QUICK = 9 };

static const struct way ways[] = {
    {"read-write", SLUICE_METHOD_READ_WRITE, NULL, END_FILE | STREAMS, SINKS},
    {"write", SLUICE_METHOD_AUTO, way_write, END_MEMORY, SINKS},
    {"mmap-write", SLUICE_METHOD_MMAP_WRITE, NULL, END_FILE, SINKS},
    {"sendfile", SLUICE_METHOD_SENDFILE, NULL, END_FILE | END_MEMORY, SINKS},
    {"splice", SLUICE_METHOD_SPLICE, NULL, END_FILE | END_MEMORY | STREAMS, SINKS},
    {"copy-range", SLUICE_METHOD_COPY_RANGE, NULL, END_FILE, END_FILE},
    {"reflink", SLUICE_METHOD_REFLINK, NULL, END_FILE, END_FILE},
    {"vmsplice", SLUICE_METHOD_AUTO, way_vmsplice, END_MEMORY, SINKS},
    {"msg-zerocopy", SLUICE_METHOD_AUTO, way_msg_zerocopy, END_MEMORY, END_TCP},
    {"send-zc", SLUICE_METHOD_AUTO, way_send_zc, END_MEMORY, END_TCP},
    {"direct", SLUICE_METHOD_DIRECT, NULL, END_FILE | STREAMS, SINKS},
    {"read", SLUICE_METHOD_AUTO, way_read, END_FILE | STREAMS, END_MEMORY},
    {"mmap", SLUICE_METHOD_AUTO, way_mmap, END_FILE, END_MEMORY},
    {"vmsplice-in", SLUICE_METHOD_AUTO, way_vmsplice_in, END_PIPE, END_MEMORY},
    {"zerocopy-receive", SLUICE_METHOD_AUTO, way_zerocopy_receive, END_TCP, END_MEMORY},
    {"aio", SLUICE_METHOD_AUTO, way_aio, END_FILE, SINKS | END_MEMORY, .direct = true},
    {"io_uring", SLUICE_METHOD_AUTO, way_io_uring, END_FILE, SINKS | END_MEMORY, .direct = true},
};
enum { WAYS = sizeof ways / sizeof *ways };

const struct path *path_at(unsigned index)
{
    return index < PATHS ? &paths[index] : NULL;
}

const struct way *way_at(unsigned index)
{
    return index < WAYS ? &ways[index] : NULL;
}

const struct path *path_named(const char *name)
{
    for (unsigned i = 0; i < PATHS; i++)
        if (strcmp(paths[i].name, name) == 0)
            return &paths[i];
    return NULL;
}

const struct way *way_named(const char *name)
{
    for (unsigned i = 0; i < WAYS; i++)
        if (strcmp(ways[i].name, name) == 0)
            return &ways[i];
    return NULL;
}

const char *warmth_name(enum warmth warmth)
{
    static const char *const names[WARMTH_COUNT] = {"hot", "cold", "cold, no readahead"};
    return warmth < WARMTH_COUNT ? names[warmth] : "?";
}

const char *counter_name(enum counter counter)
{
    static const char *const names[] = {"not counted", "tracepoint", "ptrace"};
    return counter <= COUNTER_TRACER ? names[counter] : "?";
}

/* ---- which cells ---- */

#define KIB 1024u

/* A group that is asked for: a size of the calls, with the cache in a state. */
struct setting {
    uint32_t chunk;
    enum warmth warmth;
    bool first_only; /* quick: on the first path alone */
    bool full_only;
};

static const struct setting settings[] = {
    {64 * KIB, WARMTH_HOT, false, false},   {4 * KIB, WARMTH_HOT, true, false},
    {1024 * KIB, WARMTH_HOT, true, false},  {64 * KIB, WARMTH_COLD, true, false},
    {64 * KIB, WARMTH_ALONE, true, false},  {16 * KIB, WARMTH_HOT, true, false},
    {256 * KIB, WARMTH_HOT, true, false},   {512, WARMTH_HOT, true, true},
    {4096 * KIB, WARMTH_HOT, true, true},   {1024 * KIB, WARMTH_COLD, true, true},
    {1024 * KIB, WARMTH_ALONE, true, true},
};
enum { SETTINGS = sizeof settings / sizeof *settings };

struct making {
    const struct choice *choice;
    struct cell *cells;
    unsigned count, room, groups;
};

static bool named(const char *const *names, const char *name)
{
    if (!names || !*names)
        return true;
    for (; *names; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

static struct cell *cell_add(struct making *making)
{
    if (making->count == making->room) {
        const unsigned room = making->room ? 2 * making->room : 64;
        struct cell *cells = realloc(making->cells, room * sizeof *cells);
        if (!cells)
            return NULL;
        making->cells = cells;
        making->room = room;
    }
    struct cell *cell = &making->cells[making->count++];
    memset(cell, 0, sizeof *cell);
    cell->group = making->groups;
    return cell;
}

/* Past the page cache: a file is needed, and no less than its blocks. */
static bool fits_directly(const struct way *way, const struct path *path, uint32_t chunk)
{
    if (!way->direct && way->method != SLUICE_METHOD_DIRECT)
        return true;
    return ((path->from | path->to) & END_FILE) && chunk >= 4 * KIB;
}

static int group_add(struct making *making, const struct path *path, uint32_t chunk,
                     enum warmth warmth)
{
    const unsigned first = making->count;

    for (unsigned i = 0; i < WAYS; i++) {
        const struct way *way = &ways[i];
        if (!(way->from & path->from) || !(way->to & path->to) ||
            !named(making->choice->ways, way->name) || !fits_directly(way, path, chunk))
            continue;
        struct cell *cell = cell_add(making);
        if (!cell)
            return -ENOMEM;
        cell->path = path;
        cell->way = way;
        cell->chunk = chunk;
        cell->warmth = warmth;
    }
    if (making->count == first)
        return 0;
    struct cell *control = cell_add(making);
    if (!control)
        return -ENOMEM;
    *control = making->cells[first];
    control->control = true;
    making->groups++;
    return 0;
}

/* Paths and chunks that are asked for by name are measured whatever the extent. */
static bool setting_wanted(const struct choice *choice, const struct setting *setting,
                           unsigned path)
{
    const bool by_name = choice->paths && *choice->paths;

    if (setting->warmth != WARMTH_HOT && paths[path].from != END_FILE)
        return false;
    if (choice->extent == EXTENT_FULL)
        return true;
    return !setting->full_only && (!setting->first_only || path == 0 || by_name);
}

static bool path_wanted(const struct choice *choice, unsigned path)
{
    const bool by_name = choice->paths && *choice->paths;

    if (choice->remote && !((paths[path].from | paths[path].to) & END_TCP))
        return false;
    return by_name ? named(choice->paths, paths[path].name)
                   : choice->extent == EXTENT_FULL || path < PATHS_QUICK;
}

static int add_setting(struct making *making, const struct setting *setting, unsigned path)
{
    const uint32_t *chunk = making->choice->chunks;

    if (!chunk || !*chunk)
        return group_add(making, &paths[path], setting->chunk, setting->warmth);
    /* Sizes that were asked for: once in each state of the cache. */
    if (setting->chunk != 64 * KIB)
        return 0;
    for (; *chunk; chunk++) {
        const int error = group_add(making, &paths[path], *chunk, setting->warmth);
        if (error < 0)
            return error;
    }
    return 0;
}

int cells_make(const struct choice *choice, struct cell **ret, unsigned *ret_count,
               unsigned *ret_groups)
{
    struct making making = {.choice = choice};

    for (unsigned i = 0; i < SETTINGS; i++)
        for (unsigned path = 0; path < PATHS; path++) {
            if (!path_wanted(choice, path) || !setting_wanted(choice, &settings[i], path))
                continue;
            const int error = add_setting(&making, &settings[i], path);
            if (error < 0) {
                free(making.cells);
                return error;
            }
        }
    *ret = making.cells;
    *ret_count = making.count;
    *ret_groups = making.groups;
    return 0;
}
